//! What a scan knows of one event, and what it says about evidence without bodies.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::hash::RandomState;

use xxhash_rust::xxh3::xxh3_64_with_seed;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::event::audit_event::AuditEvent;
use crate::event::audit_event::event_time;
use crate::event::field::Field;
use crate::event::field::LEVEL_PATHS;
use crate::event::field::is_event_root;
use crate::event::json::Json;
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

/// The events that were read, by what they are: of all copies of an event the first that is read
/// counts, as in an index.
///
/// Two events are one when they are equal but for what forwarders add and for the order of keys,
/// the rule of [`crate::index::dedupe::canonical`].  Their parts are hashed with a seed of this
/// run alone and added up, so that nobody can write an event that passes for another one.
#[derive(Debug)]
pub(crate) struct Identities {
    seed: u64,
    seen: HashSet<u128>,
}

impl Default for Identities {
    fn default() -> Identities {
        Identities { seed: RandomState::new().hash_one(0_u8), seen: HashSet::new() }
    }
}

impl Identities {
    /// Notes an event and says whether it is the first of its copies.
    pub(crate) fn is_first(&mut self, event: Json<'_>) -> bool {
        let identity = self.identity(event);
        self.seen.insert(identity)
    }

    fn identity(&self, root: Json<'_>) -> u128 {
        let mut sum = 0_u128;
        let mut add = |path: u64, mark: u64, text: &[u8]| {
            let seed = path.rotate_left(8) ^ mark;
            sum = sum.wrapping_add(xxh3_128_with_seed(text, seed));
        };
        let has_received = root.get("requestReceivedTimestamp").is_some();
        if let Some(level) = LEVEL_PATHS.iter().find_map(|path| root.text_at(&[path])) {
            add(self.seed, 0, level.as_bytes());
        }
        let mut open: Vec<(u64, Json<'_>)> = Vec::new();
        for (key, value) in root.entries() {
            let Some(key) = key.leaf_text() else { continue };
            let forwarded = !is_event_root(&key)
                || matches!(&*key, "level" | "kind" | "apiVersion")
                || (key == "timestamp" && has_received);
            if !forwarded {
                open.push((xxh3_64_with_seed(key.as_bytes(), self.seed), value));
            }
        }
        while let Some((path, value)) = open.pop() {
            match value.kind() {
                Kind::Object => {
                    add(path, 1, b"");
                    for (key, value) in value.entries() {
                        let key = key.leaf_text().unwrap_or_default();
                        open.push((xxh3_64_with_seed(key.as_bytes(), path ^ self.seed), value));
                    }
                }
                Kind::Array => {
                    add(path, 2, b"");
                    for (at, value) in value.elements().enumerate() {
                        let at = (at as u64).to_le_bytes();
                        open.push((xxh3_64_with_seed(&at, !path ^ self.seed), value));
                    }
                }
                Kind::String => add(path, 3, value.leaf_text().unwrap_or_default().as_bytes()),
                _ => add(path, 4, value.leaf_text().unwrap_or_default().as_bytes()),
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::parse_lenient;
    use crate::index::dedupe::canonical;

    #[test]
    fn copies_are_what_an_index_takes_for_copies() {
        let events = [
            r#"{"auditID":"a","level":"Metadata","verb":"get","user":{"username":"u","groups":["x","y"]}}"#,
            r#"{"k8s_audit_level":"Metadata","level":"info","user":{"groups":["x","y"],"username":"u"},"verb":"\u0067et","auditID":"a","hostname":"m"}"#,
            r#"{"auditID":"a","level":"Metadata","verb":"get","user":{"username":"u","groups":["y","x"]}}"#,
            r#"{"auditID":"b","level":"Metadata","verb":"get","user":{"username":"u","groups":["x","y"]}}"#,
            r#"{"auditID":"a","level":"Request","verb":"get","user":{"username":"u","groups":["x","y"]}}"#,
            r#"{"auditID":"a","requestObject":{"a":1}}"#,
            r#"{"auditID":"a","requestObject":{"a":"1"}}"#,
            r#"{"auditID":"a","requestObject":{"a":[1]}}"#,
            r#"{"auditID":"a","requestObject":{"a":{"0":1}}}"#,
            r#"{"auditID":"a","requestObject":{"a":{}}}"#,
            r#"{"auditID":"a","requestObject":{"a":null},"timestamp":"t"}"#,
            r#"{"auditID":"a","requestObject":{"a":null},"timestamp":"t","requestReceivedTimestamp":"r"}"#,
            r#"{"auditID":"a","requestObject":{"a":null},"requestReceivedTimestamp":"r"}"#,
            r#"{"auditID":"a","requestObject":{"a":1,"a":2}}"#,
            r#"{"auditID":"a","requestObject":{"a":2,"a":1}}"#,
        ];
        let identities = Identities::default();
        let identity = |text: &str| {
            let mut tape = Tape::default();
            parse_lenient(text.as_bytes(), &mut tape).unwrap();
            identities.identity(tape.root(text.as_bytes()).unwrap())
        };
        for a in events {
            for b in events {
                let same = canonical(a.as_bytes()) == canonical(b.as_bytes());
                assert_eq!(identity(a) == identity(b), same, "{a} {b}");
            }
        }
    }
}
