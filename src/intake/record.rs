//! What a piece of evidence turns out to be: an event, a blank line, or something rejected.

use std::borrow::Cow;

use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::place::Place;
use crate::event::time::Timestamp;

/// One event cut out of its source.
#[derive(Clone, Debug)]
pub struct Record<'c> {
    /// Where the enclosing record starts, and which event of it this is.
    pub place: Place,
    /// The enclosing original text (a line, or the lines a record spans), without its line end.
    /// The events of one record share the same slice.
    pub raw: &'c [u8],
    /// The event's own JSON text; borrowed from `raw` wherever it stands there verbatim.
    pub event: Cow<'c, [u8]>,
    /// What the envelope carried beside the event, as the text of a JSON object; `None` where
    /// there was no envelope or where it is laid flat among the event's own keys (ViaQ).
    pub envelope: Option<Cow<'c, [u8]>>,
    /// Node, cluster and log as far as the record itself tells them; the source's layout may
    /// add what is missing.
    pub origin: Origin,
    /// What is odd about it.
    pub flags: Vec<Flag>,
    /// Time of the envelope, used (and flagged) only where the event itself has no time.
    pub envelope_time: Option<Timestamp>,
    /// Name of the format that cut it out.
    pub format: &'static str,
}

/// A run of bytes that is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected<'c> {
    /// Where it starts.
    pub place: Place,
    /// Its bytes.
    pub raw: Cow<'c, [u8]>,
    /// Why it was rejected, one short clause.
    pub reason: String,
}

/// What intake says about each record it meets, in the order of the source.
#[derive(Clone, Debug)]
pub enum Met<'c> {
    /// An event.
    Event(Record<'c>),
    /// A line of nothing but white space.
    Blank,
    /// Something else, with the reason.
    Rejected(Rejected<'c>),
}
