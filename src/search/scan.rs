//! The same questions without an index: every event is judged.  Slow, simple, and the oracle.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

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
use crate::query::matcher::field_values;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;
use crate::search::evidence::Hits;
use crate::search::evidence::Row;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::SortOrder;
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
struct Held {
    record: ScanRecord,
    source: SourceId,
    tape: Tape,
    envelope: Tape,
    time: Option<Timestamp>,
}

impl Held {
    fn new(mut record: ScanRecord, scratch: &mut Scratch) -> Option<Held> {
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

    fn view(&self) -> Option<AuditEvent<'_>> {
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

    fn place(&self) -> Place {
        let ScanRecord { offset, line, item, .. } = self.record;
        Place { source: self.source, offset, line, item }
    }

    fn key(&self) -> (Option<Timestamp>, &str, u64, u32) {
        (self.time, &self.record.source, self.record.offset, self.record.item)
    }
}

/// Events in memory that questions can be put to; an [`EventId`] is the rank in their order.
#[derive(Debug, Default)]
pub struct MemoryEvidence {
    /// In the order (time, source name, offset, item); events without a time first.
    events: Vec<Held>,
    /// Names of the sources, sorted.
    sources: Vec<String>,
    zone: Zone,
    unreadable: u64,
    has_bodies: bool,
}

impl MemoryEvidence {
    /// Holds `records`; those whose event is no JSON are counted in [`Self::unreadable`].
    pub fn new(records: impl IntoIterator<Item = ScanRecord>) -> MemoryEvidence {
        let mut scratch = Scratch::default();
        let mut unreadable = 0;
        let mut events: Vec<Held> = records
            .into_iter()
            .filter_map(|record| {
                let held = Held::new(record, &mut scratch);
                unreadable += u64::from(held.is_none());
                held
            })
            .collect();
        events.sort_by(|a, b| a.key().cmp(&b.key()));
        let mut sources: Vec<String> =
            events.iter().map(|held| held.record.source.clone()).collect();
        sources.sort_unstable();
        sources.dedup();
        for held in &mut events {
            let rank = sources.binary_search(&held.record.source).unwrap_or_default();
            held.source = SourceId(u32::try_from(rank).unwrap_or(u32::MAX));
        }
        let has_bodies = events.iter().any(|held| held.view().is_some_and(|e| has_body(&e)));
        MemoryEvidence { events, sources, zone: Zone::UTC, unreadable, has_bodies }
    }

    /// Holds the events of `text`, one JSON object a line; other lines are passed over.
    pub fn from_lines(source: &str, text: &str) -> MemoryEvidence {
        let mut offset = 0_u64;
        let records = text.split_inclusive('\n').zip(1_u64..).map(|(whole, line)| {
            let raw = whole.strip_suffix('\n').unwrap_or(whole);
            let raw = raw.strip_suffix('\r').unwrap_or(raw);
            let record = ScanRecord {
                raw: raw.as_bytes().to_vec(),
                event: raw.as_bytes().to_vec(),
                source: source.to_owned(),
                offset,
                line,
                ..ScanRecord::default()
            };
            offset += whole.len() as u64;
            record
        });
        MemoryEvidence::new(records.filter(|record| record.event.starts_with(b"{")))
    }

    /// Tells hours and weekdays in `zone`.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> MemoryEvidence {
        MemoryEvidence { zone, ..self }
    }

    /// How many events are held.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Says whether no event is held.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How many records held no JSON.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Returns the parsed view of an event.
    pub fn event(&self, id: EventId) -> Option<AuditEvent<'_>> {
        self.held(id).and_then(Held::view)
    }

    fn held(&self, id: EventId) -> Option<&Held> {
        self.events.get(usize::try_from(id.0).ok()?)
    }

    fn known(&self, id: EventId) -> Result<&Held, SearchError> {
        self.held(id).ok_or_else(|| SearchError::Damaged(format!("there is no event {}", id.0)))
    }
}

impl Evidence for MemoryEvidence {
    fn search(&self, question: &QueryAst, options: &SearchOptions) -> Result<Hits, SearchError> {
        let matcher = compile(question, self.zone)?;
        let mut hits = Hits::default();
        let wanted = if options.limit == 0 { usize::MAX } else { options.limit };
        let mut judge = |(rank, held): (usize, &Held)| {
            if !options.count_all && hits.hits.len() >= wanted {
                return;
            }
            let matched = options.range.contains(held.time)
                && held.view().is_some_and(|event| matcher.matches(&event));
            if matched {
                hits.total += 1;
                if hits.hits.len() < wanted {
                    let id = EventId(rank as u64);
                    hits.hits.push(Hit { id, time: held.time, place: held.place() });
                }
            }
        };
        match options.order {
            SortOrder::Oldest => self.events.iter().enumerate().for_each(&mut judge),
            SortOrder::Newest => self.events.iter().enumerate().rev().for_each(&mut judge),
        }
        if !self.has_bodies && asks_bodies(question) {
            hits.notes.push(NO_BODIES.to_owned());
        }
        Ok(hits)
    }

    fn fetch(&self, id: EventId) -> Result<StoredEvent, SearchError> {
        let held = self.known(id)?;
        Ok(stored(&held.record, held.place(), held.time))
    }

    fn rows(&self, ids: &[EventId], fields: &[Field]) -> Result<Vec<Row>, SearchError> {
        ids.iter()
            .map(|id| {
                let held = self.known(*id)?;
                let event = held.view();
                let values = |field| {
                    event.as_ref().map(|e| field_values(e, field, self.zone)).unwrap_or_default()
                };
                Ok(fields.iter().map(values).collect())
            })
            .collect()
    }

    fn source_name(&self, source: SourceId) -> String {
        self.sources.get(source.0 as usize).cloned().unwrap_or_default()
    }

    fn newest(&self) -> Option<Timestamp> {
        self.events.last().and_then(|held| held.time)
    }
}

fn stored(record: &ScanRecord, place: Place, time: Option<Timestamp>) -> StoredEvent {
    StoredEvent {
        raw: record.raw.clone(),
        event: record.event.clone(),
        envelope: record.envelope.clone(),
        origin: record.origin.clone(),
        place,
        time,
    }
}

fn compile(question: &QueryAst, zone: Zone) -> Result<Matcher, SearchError> {
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

/// A question put to events one at a time, in any order, keeping no more than the limit asks for.
#[derive(Debug)]
pub struct ScanQuestion {
    matcher: Matcher,
    zone: Zone,
    options: SearchOptions,
    asks_bodies: bool,
    has_bodies: bool,
    judged: u64,
    total: u64,
    kept: BinaryHeap<Kept>,
    scratch: Scratch,
}

/// A match of a [`ScanQuestion`].
#[derive(Debug)]
pub struct ScanHit {
    /// The event with its bytes; `place.source` means nothing here, see `source`.
    pub stored: StoredEvent,
    /// Name of its source.
    pub source: String,
    /// What is odd about it.
    pub flags: Vec<Flag>,
    held: Held,
}

impl ScanHit {
    /// Returns the values of `fields`.
    pub fn row(&self, fields: &[Field], zone: Zone) -> Row {
        let event = self.held.view();
        let values =
            |field| event.as_ref().map(|e| field_values(e, field, zone)).unwrap_or_default();
        fields.iter().map(values).collect()
    }
}

/// The greatest of the heap is the first to be let go.
#[derive(Debug)]
struct Kept {
    held: Held,
    newest: bool,
}

impl Ord for Kept {
    fn cmp(&self, other: &Kept) -> Ordering {
        let order = self.held.key().cmp(&other.held.key());
        if self.newest { order.reverse() } else { order }
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Kept) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Kept) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Kept {}

impl ScanQuestion {
    /// Makes a question ready.
    ///
    /// # Errors
    /// When the question does not work.
    pub fn new(
        question: &QueryAst,
        options: SearchOptions,
        zone: Zone,
    ) -> Result<ScanQuestion, SearchError> {
        Ok(ScanQuestion {
            matcher: compile(question, zone)?,
            zone,
            options,
            asks_bodies: asks_bodies(question),
            has_bodies: false,
            judged: 0,
            total: 0,
            kept: BinaryHeap::new(),
            scratch: Scratch::default(),
        })
    }

    /// Judges one event and says whether it matches; `None` where its text is no JSON.
    pub fn judge(&mut self, record: ScanRecord) -> Option<bool> {
        let held = Held::new(record, &mut self.scratch)?;
        let event = held.view()?;
        self.judged += 1;
        self.has_bodies |= self.asks_bodies && has_body(&event);
        let matched = self.options.range.contains(held.time) && self.matcher.matches(&event);
        if matched {
            self.total += 1;
            self.kept.push(Kept { held, newest: self.options.order == SortOrder::Newest });
            if self.options.limit > 0 && self.kept.len() > self.options.limit {
                self.kept.pop();
            }
        }
        Some(matched)
    }

    /// Takes over what another question of the same text has found: one for each worker.
    pub fn merge(&mut self, other: ScanQuestion) {
        self.has_bodies |= other.has_bodies;
        self.judged += other.judged;
        self.total += other.total;
        for kept in other.kept {
            self.kept.push(kept);
            if self.options.limit > 0 && self.kept.len() > self.options.limit {
                self.kept.pop();
            }
        }
    }

    /// How many events match so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many events were judged so far.
    pub fn judged(&self) -> u64 {
        self.judged
    }

    /// The zone that hours and weekdays are told in.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Returns the hits in order, how many events match, and what cannot be answered.
    pub fn finish(self) -> (Vec<ScanHit>, u64, Vec<String>) {
        let hits = self.kept.into_sorted_vec().into_iter().map(|kept| {
            let held = kept.held;
            ScanHit {
                stored: stored(&held.record, held.place(), held.time),
                source: held.record.source.clone(),
                flags: held.view().map(|event| event.flags()).unwrap_or_default(),
                held,
            }
        });
        let notes = if self.asks_bodies && !self.has_bodies && self.judged > 0 {
            vec![NO_BODIES.to_owned()]
        } else {
            Vec::new()
        };
        (hits.collect(), self.total, notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::parse::ParseOptions;
    use crate::query::parse::parse;
    use std::io::Read;
    use std::path::Path;

    fn count(evidence: &MemoryEvidence, question: &str) -> u64 {
        let ast = parse(question, &ParseOptions::default()).unwrap();
        evidence.search(&ast, &SearchOptions::default()).unwrap().total
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn the_real_log_answers_as_counted_by_other_means() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/realdata/ralvares-security-demos/audit.tar.gz");
        let Ok(file) = std::fs::File::open(&path) else {
            eprintln!("skipped: {} is not here", path.display());
            return;
        };
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let mut text = String::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".log") && !name.contains("._") {
                entry.read_to_string(&mut text).unwrap();
            }
        }
        let evidence = MemoryEvidence::from_lines("audit.log", &text);
        assert_eq!(evidence.len(), 11_258);
        for (question, expected) in [
            ("user:system:anonymous AND code:403", 3),
            ("resource:secrets AND verb:list", 14),
            ("ip:10.128.1.81", 4),
            ("ip:10.0.0.0/8", 2_552),
            ("requestObject.spec.hostPID:true", 2),
            ("objectRef.subresource:exec", 4),
            ("nsenter", 5),
            (
                "user.extra.authentication.kubernetes.io/credential-id:JTI=a2b87c24-8ad3-4cac-b77f-0a896de31caa",
                17,
            ),
            ("annotations.authorization.k8s.io/decision:forbid", 3),
            ("code:>=400", 346),
            ("*", 11_258),
            ("NOT *", 0),
        ] {
            assert_eq!(count(&evidence, question), expected, "{question}");
        }
    }
}
