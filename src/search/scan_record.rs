//! What a scan knows of one event, and what it says about evidence without bodies.

use xxhash_rust::xxh3::xxh3_128;

use crate::event::audit_event::AuditEvent;
use crate::event::audit_event::event_time;
use crate::event::field::Field;
use crate::event::json::Kind;
use crate::event::json::Tape;
use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::place::Place;
use crate::event::place::SourceId;
use crate::event::time::Timestamp;
use crate::event::zone::Zone;
use crate::intake::parse::Scratch;
use crate::intake::parse::Strictness;
use crate::intake::parse::parse_json;
use crate::query::ast::QueryAst;
use crate::query::matcher::MatchOptions;
use crate::query::matcher::Matcher;
use crate::search::error::SearchError;
use crate::search::evidence::StoredEvent;

/// What is said where a question asks about bodies and no event has one.
pub const NO_BODIES: &str = "the evidence holds no request or response bodies (audit level \
     Metadata): this question cannot be answered from it";

/// An event to be held in memory; see [`crate::intake::record::Record`] for the parts.
#[derive(Clone, Debug, Default)]
pub struct ScanRecord {
    /// The enclosing original text.
    pub raw: Vec<u8>,
    /// The event's own JSON text.
    pub event: Vec<u8>,
    /// The envelope beside it, a JSON object.
    pub envelope: Option<Vec<u8>>,
    /// Node, cluster, log.
    pub origin: Origin,
    /// Name of the source it stands in.
    pub source: String,
    /// Offset of the record in its source.
    pub offset: u64,
    /// Line of the record, 1-based.
    pub line: u64,
    /// Which event of the record.
    pub item: u32,
    /// What intake noted.
    pub flags: Vec<Flag>,
    /// Time of the envelope, used where the event has none.
    pub envelope_time: Option<Timestamp>,
}

/// A parsed event with all that is known about it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) record: ScanRecord,
    pub(crate) source: SourceId,
    tape: Tape,
    envelope: Tape,
    pub(crate) time: Option<Timestamp>,
}

impl Held {
    pub(crate) fn new(mut record: ScanRecord, scratch: &mut Scratch) -> Option<Held> {
        let mut tape = Tape::default();
        let strictness = parse_json(&record.event, scratch, &mut tape).ok()?;
        if strictness == Strictness::Lenient && !record.flags.contains(&Flag::Lenient) {
            record.flags.push(Flag::Lenient);
        }
        let mut envelope = Tape::default();
        if let Some(text) = &record.envelope {
            if parse_json(text, scratch, &mut envelope).is_err() {
                envelope.nodes.clear();
            }
        }
        let own = event_time(tape.root(&record.event)?);
        let time = own.or(record.envelope_time);
        if own.is_none() && time.is_some() && !record.flags.contains(&Flag::EnvelopeTime) {
            record.flags.push(Flag::EnvelopeTime);
        }
        Some(Held { record, source: SourceId(0), tape, envelope, time })
    }

    pub(crate) fn view(&self) -> Option<AuditEvent<'_>> {
        let record = &self.record;
        Some(AuditEvent {
            event: self.tape.root(&record.event)?,
            envelope: record.envelope.as_ref().and_then(|text| self.envelope.root(text)),
            origin: &record.origin,
            source: &record.source,
            flags: &record.flags,
            time: self.time,
        })
    }

    /// What two copies of one event have in common, wherever they were collected: the event's own
    /// text, byte for byte.  An auditID would not do, since a client may choose it.
    pub(crate) fn identity(&self) -> u128 {
        xxh3_128(&self.record.event)
    }

    pub(crate) fn place(&self) -> Place {
        let ScanRecord { offset, line, item, .. } = self.record;
        Place { source: self.source, offset, line, item }
    }

    /// What events are ordered by.
    pub(crate) fn key(&self) -> (Option<Timestamp>, &str, u64, u32) {
        (self.time, &self.record.source, self.record.offset, self.record.item)
    }
}

pub(crate) fn stored(record: &ScanRecord, place: Place, time: Option<Timestamp>) -> StoredEvent {
    StoredEvent {
        raw: record.raw.clone(),
        event: record.event.clone(),
        envelope: record.envelope.clone(),
        origin: record.origin.clone(),
        place,
        time,
    }
}

pub(crate) fn compile(question: &QueryAst, zone: Zone) -> Result<Matcher, SearchError> {
    Matcher::compile(question, &MatchOptions { zone })
        .map_err(|error| SearchError::Question(error.to_string()))
}

/// Says whether an event carries a body.
pub fn has_body(event: &AuditEvent<'_>) -> bool {
    event.event.entries().any(|(key, value)| {
        value.kind() != Kind::Null
            && key.leaf_text().is_some_and(|key| key == "requestObject" || key == "responseObject")
    })
}

/// Says whether a question asks about bodies by path.
pub fn asks_bodies(question: &QueryAst) -> bool {
    let body = |path: &str| {
        ["requestObject", "responseObject"].iter().any(|root| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    match question {
        QueryAst::Field { field: Field::Path(path), .. } => body(path),
        QueryAst::Within { path, .. } => body(path),
        QueryAst::And(parts) | QueryAst::Or(parts) => parts.iter().any(asks_bodies),
        QueryAst::Not(inner) => asks_bodies(inner),
        _ => false,
    }
}
