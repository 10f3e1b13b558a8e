//! What a format is: something that takes one layer off a record.

use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::Range;

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::time::Timestamp;

/// What people read about a format in `audithound formats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatRow {
    /// Its name, one word.
    pub name: &'static str,
    /// What it is, one sentence.
    pub about: &'static str,
    /// Who writes it.
    pub from: &'static str,
    /// The beginning of one record of it.
    pub example: &'static str,
}

/// One layer of a record: its text, and the value if the text is JSON.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'c> {
    /// The text, without blanks around it.
    pub text: &'c [u8],
    /// The JSON value the text is.
    pub json: Option<Json<'c>>,
}

/// What one layer turned out to hold.
#[derive(Debug)]
pub enum Peeled<'c> {
    /// The layer is of another format.
    NotMine,
    /// The layer is an event, or it holds some, perhaps wrapped again.
    Inner(Vec<Inner<'c>>),
    /// The layer is of this format and holds no event: why, one clause.
    Rejected(String),
}

/// Something found inside a layer.
#[derive(Clone, Debug, Default)]
pub struct Inner<'c> {
    /// Its text: an event, or another layer.
    pub text: Cow<'c, [u8]>,
    /// Whether the text is an event as it stands and is not to be peeled again.
    pub event: bool,
    /// Where the element of an array stands that holds it, in the text of the layer.
    pub element: Option<Range<usize>>,
    /// What stood beside it, as the text of a JSON object.
    pub envelope: Option<Vec<u8>>,
    /// What the layer says about where it came from.
    pub origin: Origin,
    /// What is odd about it.
    pub flags: Vec<Flag>,
    /// Time of the layer.
    pub time: Option<Timestamp>,
    /// Why this part is no event; it is rejected.
    pub rejected: Option<String>,
}

impl<'c> Peeled<'c> {
    /// One thing inside.
    pub fn one(inner: Inner<'c>) -> Peeled<'c> {
        Peeled::Inner(vec![inner])
    }
}

/// A way audit events are written, wrapped or exported.
pub trait Format: Debug + Sync {
    /// Says what it is.
    fn row(&self) -> FormatRow;

    /// Takes one layer off.
    ///
    /// Formats exclude one another: at most one says something else than [`Peeled::NotMine`] about
    /// a layer, so the order in which they are asked is a matter of speed only.
    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c>;
}

/// Returns where `part` stands in `whole`, which it was cut out of.
pub fn range_in(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// Returns the text of a value as it can be written into another JSON text.
pub fn value_text(value: Json<'_>) -> Cow<'_, [u8]> {
    match value.kind() {
        Kind::String | Kind::Key => {
            let raw = value.raw();
            let mut quoted = Vec::with_capacity(raw.len() + 2);
            quoted.push(b'"');
            quoted.extend_from_slice(raw);
            quoted.push(b'"');
            Cow::Owned(quoted)
        }
        Kind::True => Cow::Borrowed(b"true"),
        Kind::False => Cow::Borrowed(b"false"),
        Kind::Null => Cow::Borrowed(b"null"),
        Kind::Object | Kind::Array | Kind::Number => Cow::Borrowed(value.raw()),
    }
}

/// Writes a JSON object member by member.
#[derive(Clone, Debug)]
pub struct ObjectText(Vec<u8>);

impl Default for ObjectText {
    fn default() -> ObjectText {
        ObjectText::new()
    }
}

impl ObjectText {
    /// Starts an empty object.
    pub fn new() -> ObjectText {
        ObjectText(vec![b'{'])
    }

    /// Says whether nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    fn key(&mut self, key: &str) {
        if !self.is_empty() {
            self.0.push(b',');
        }
        push_quoted(&mut self.0, key);
        self.0.push(b':');
    }

    /// Puts in a member whose value is text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        push_quoted(&mut self.0, value);
    }

    /// Puts in a member whose value is JSON already.
    pub fn json(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.0.extend_from_slice(value);
    }

    /// Puts in a member that was found elsewhere, as it stands there.
    pub fn member(&mut self, key: Json<'_>, value: Json<'_>) {
        if !self.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(&value_text(key));
        self.0.push(b':');
        self.0.extend_from_slice(&value_text(value));
    }

    /// Puts in all members of `object` but those under the keys `but`.
    pub fn members(&mut self, object: Json<'_>, but: &[&str]) {
        for (key, value) in object.entries() {
            let name = key.leaf_text().unwrap_or_default();
            if !but.contains(&name.as_ref()) {
                self.member(key, value);
            }
        }
    }

    /// Returns the text.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    /// Returns the text, or `None` if nothing was put in.
    pub fn finish_some(self) -> Option<Vec<u8>> {
        if self.is_empty() { None } else { Some(self.finish()) }
    }
}

/// Writes `text` as a JSON string.
pub fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if (c as u32) < 0x20 => {
                out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
            }
            c => {
                let mut buffer = [0_u8; 4];
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
        }
    }
    out.push(b'"');
}

/// Joins two envelopes into one object; members of both stay.
pub fn join_envelopes(outer: Option<Vec<u8>>, inner: Option<Vec<u8>>) -> Option<Vec<u8>> {
    match (outer, inner) {
        (Some(mut outer), Some(inner)) => {
            outer.pop();
            if outer.len() > 1 && inner.len() > 2 {
                outer.push(b',');
            }
            outer.extend_from_slice(inner.get(1..).unwrap_or_default());
            Some(outer)
        }
        (outer, inner) => outer.or(inner),
    }
}

/// Fills what `inner` does not know with what `outer` knows.
pub fn join_origins(outer: Origin, inner: Origin) -> Origin {
    Origin {
        node: inner.node.or(outer.node),
        cluster: inner.cluster.or(outer.cluster),
        log: inner.log.or(outer.log),
    }
}
