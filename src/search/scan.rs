//! The same questions without an index: every event is judged.  Slow, simple, and the oracle.

use rayon::prelude::*;

use crate::event::audit_event::AuditEvent;
use crate::event::field::Field;
use crate::event::place::Flag;
use crate::event::place::Place;
use crate::event::place::SourceId;
use crate::event::time::Timestamp;
use crate::event::zone::Zone;
use crate::intake::parse::Scratch;
use crate::query::ast::QueryAst;
use crate::query::matcher::field_values;
use crate::search::conflict::ReadAuditIds;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;
use crate::search::evidence::Hits;
use crate::search::evidence::Row;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::SortOrder;
use crate::search::evidence::StoredEvent;
use crate::search::scan_record::Held;
use crate::search::scan_record::Identities;
use crate::search::scan_record::compile;
use crate::search::scan_record::stored;

pub use crate::search::scan_question::ScanHit;
pub use crate::search::scan_question::ScanQuestion;
pub use crate::search::scan_record::NO_BODIES;
pub use crate::search::scan_record::ScanRecord;
pub use crate::search::scan_record::asks_bodies;
pub use crate::search::scan_record::has_body;

/// Events in memory that questions can be put to; an [`EventId`] is the rank in their order.
#[derive(Debug, Default)]
pub struct MemoryEvidence {
    /// In the order (time, source name, offset, item); events without a time first.
    events: Vec<Held>,
    /// Names of the sources, sorted.
    sources: Vec<String>,
    zone: Zone,
    unreadable: u64,
    duplicates: u64,
    has_bodies: bool,
}

impl MemoryEvidence {
    /// Holds `records`; those whose event is no JSON are counted in [`Self::unreadable`], copies
    /// of an event in [`Self::duplicates`]: the first that comes is held.
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
        let all = events.len();
        let mut identities = Identities::default();
        events.retain(|held| held.view().is_some_and(|view| identities.is_first(view.event)));
        let duplicates = (all - events.len()) as u64;
        flag_conflicts(&mut events);
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
        MemoryEvidence { events, sources, zone: Zone::UTC, unreadable, duplicates, has_bodies }
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

    /// How many records were exact copies of another one's event.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
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

/// Flags the events whose auditID conflicts.
fn flag_conflicts(events: &mut [Held]) {
    let mut read = ReadAuditIds::default();
    events.iter().filter_map(Held::view).for_each(|event| read.note(&event));
    for held in events {
        let conflicts = held.view().is_some_and(|event| read.conflict(&event));
        if conflicts && !held.record.flags.contains(&Flag::AuditIdConflict) {
            held.record.flags.push(Flag::AuditIdConflict);
        }
    }
}

impl Evidence for MemoryEvidence {
    fn search(&self, question: &QueryAst, options: &SearchOptions) -> Result<Hits, SearchError> {
        let matcher = compile(question, self.zone)?;
        let matches = |held: &Held| {
            options.range.contains(held.time)
                && held.view().is_some_and(|event| matcher.matches(&event))
        };
        let wanted = if options.limit == 0 { usize::MAX } else { options.limit };
        let newest = options.order == SortOrder::Newest;
        let mut ranks: Vec<usize>;
        if options.count_all || options.limit == 0 {
            let all = self.events.par_iter().enumerate();
            ranks = all.filter(|(_, held)| matches(held)).map(|(rank, _)| rank).collect();
            if newest {
                ranks.reverse();
            }
        } else {
            let all = (0..self.events.len())
                .map(|at| if newest { self.events.len() - 1 - at } else { at });
            ranks = all
                .filter(|rank| self.events.get(*rank).is_some_and(matches))
                .take(wanted)
                .collect();
        }
        let total = ranks.len() as u64;
        ranks.truncate(wanted);
        let hit = |rank: usize| {
            let held = self.events.get(rank)?;
            Some(Hit { id: EventId(rank as u64), time: held.time, place: held.place() })
        };
        let mut notes = Vec::new();
        if !self.is_empty() && !self.has_bodies && asks_bodies(question) {
            notes.push(NO_BODIES.to_owned());
        }
        Ok(Hits { hits: ranks.into_iter().filter_map(hit).collect(), total, notes })
    }

    fn fetch(&self, id: EventId) -> Result<StoredEvent, SearchError> {
        let held = self.known(id)?;
        Ok(stored(&held.record, held.place(), held.time))
    }

    fn places(&self, ids: &[EventId]) -> Result<Vec<Place>, SearchError> {
        ids.iter().map(|id| Ok(self.known(*id)?.place())).collect()
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

    fn record(source: &str, offset: u64, second: u32, verb: &str) -> ScanRecord {
        let time = format!("2025-12-09T12:57:{second:02}.000000Z");
        let event = format!(r#"{{"verb":"{verb}","requestReceivedTimestamp":"{time}"}}"#);
        ScanRecord {
            raw: format!("node-1 {event}").into_bytes(),
            event: event.into_bytes(),
            source: source.to_owned(),
            offset,
            line: offset + 1,
            ..ScanRecord::default()
        }
    }

    fn records() -> Vec<ScanRecord> {
        let mut records = vec![
            record("b", 0, 5, "x1"),
            record("a", 9, 5, "x2"),
            record("a", 1, 7, "x3"),
            record("b", 7, 5, "x1"),
            record("a", 20, 5, "x1"),
            record("c", 2, 1, "x4"),
            record("c", 3, 59, "y"),
        ];
        records.push(ScanRecord { event: b"{\"verb\":\"x5\"}".to_vec(), ..record("c", 4, 1, "") });
        records.push(ScanRecord { event: b"{oops".to_vec(), ..record("c", 5, 1, "") });
        records
    }

    fn verbs(evidence: &MemoryEvidence, options: &SearchOptions) -> (Vec<String>, u64) {
        let ast = parse("verb:x*", &ParseOptions::default()).unwrap();
        let hits = evidence.search(&ast, options).unwrap();
        let ids: Vec<EventId> = hits.hits.iter().map(|hit| hit.id).collect();
        let rows = evidence.rows(&ids, &[Field::path("verb")]).unwrap();
        (rows.into_iter().map(|row| row.concat().concat()).collect(), hits.total)
    }

    #[test]
    fn order_limit_and_copies() {
        let evidence = MemoryEvidence::new(records());
        assert_eq!((evidence.len(), evidence.unreadable(), evidence.duplicates()), (6, 1, 2));
        let all = SearchOptions::default();
        assert_eq!(verbs(&evidence, &all).0, ["x5", "x4", "x2", "x1", "x3"]);
        let newest = SearchOptions { order: SortOrder::Newest, limit: 2, ..all };
        assert_eq!(verbs(&evidence, &newest), (vec!["x3".into(), "x1".into()], 5));
        let few = SearchOptions { limit: 1, count_all: false, ..all };
        assert_eq!(verbs(&evidence, &few), (vec!["x5".into()], 1));
        let range = crate::event::time::TimeRange {
            since: Timestamp::parse("2025-12-09T12:57:05Z"),
            until: Timestamp::parse("2025-12-09T12:57:07Z"),
        };
        assert_eq!(verbs(&evidence, &SearchOptions { range, ..all }).0, ["x2", "x1"]);
        let hit = evidence.search(&QueryAst::All, &all).unwrap().hits[3];
        let stored = evidence.fetch(hit.id).unwrap();
        assert!(stored.raw.starts_with(b"node-1 {") && stored.event.starts_with(b"{"));
        assert_eq!((evidence.source_name(hit.place.source), hit.place.offset), ("b".into(), 0));
        assert_eq!(evidence.newest(), Timestamp::parse("2025-12-09T12:57:59Z"));
        assert!(evidence.fetch(EventId(99)).is_err());
    }

    #[test]
    fn one_at_a_time_finds_the_same() {
        let ast = parse("verb:x*", &ParseOptions::default()).unwrap();
        for rotate in 0..records().len() {
            for (limit, order) in
                [(0, SortOrder::Oldest), (2, SortOrder::Oldest), (3, SortOrder::Newest)]
            {
                let mut mixed = records();
                mixed.rotate_left(rotate);
                let options = SearchOptions { limit, order, ..SearchOptions::default() };
                let evidence = MemoryEvidence::new(mixed.clone());
                let expected = evidence.search(&ast, &options).unwrap();
                let mut one = ScanQuestion::new(&ast, options, Zone::UTC).unwrap();
                mixed.into_iter().for_each(|record| {
                    one.judge(record);
                });
                let (hits, found, notes) = one.finish();
                assert_eq!((found, notes), (expected.total, expected.notes));
                assert_eq!(hits.len(), expected.hits.len());
                for (hit, expected) in hits.iter().zip(&expected.hits) {
                    let place = expected.place;
                    assert_eq!(hit.source, evidence.source_name(place.source));
                    assert_eq!(hit.stored.place.offset, place.offset);
                    assert_eq!(hit.stored.event, evidence.fetch(expected.id).unwrap().event);
                }
            }
        }
        let mut counting =
            ScanQuestion::new(&ast, SearchOptions::default(), Zone::UTC).unwrap().counting();
        records().into_iter().for_each(|record| {
            counting.judge(record);
        });
        assert_eq!((counting.total(), counting.duplicates(), counting.judged()), (5, 2, 8));
    }

    #[test]
    fn evidence_without_bodies_says_so() {
        let asks = |question: &str, text: &str| {
            let evidence = MemoryEvidence::from_lines("s", text);
            let ast = parse(question, &ParseOptions::default()).unwrap();
            evidence.search(&ast, &SearchOptions::default()).unwrap().notes
        };
        let without = "{\"level\":\"Metadata\",\"requestObject\":null}\n";
        let with = "{\"responseObject\":{\"a\":1}}\n{}\n";
        assert_eq!(asks("requestObject.spec.hostPID:true", without), [NO_BODIES]);
        assert_eq!(asks("verb:get AND NOT responseObject.a{b:c}", without), [NO_BODIES]);
        assert!(asks("requestObject.spec.hostPID:true", with).is_empty());
        assert!(asks("verb:get nsenter", without).is_empty());
        assert!(asks("requestObject.spec.hostPID:true", "").is_empty());
    }

    #[test]
    fn lines_keep_their_places() {
        let evidence =
            MemoryEvidence::from_lines("s", "\n{\"verb\":\"a\"}\r\nnothing\n{\"verb\":\"b\"}");
        let hits = evidence.search(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
        let places: Vec<(u64, u64)> = hits.iter().map(|h| (h.place.offset, h.place.line)).collect();
        assert_eq!(places, [(1, 2), (23, 4)]);
    }

    #[test]
    fn an_event_without_a_time_takes_its_envelopes() {
        let time = Timestamp::parse("2025-12-09T12:57:05Z");
        let evidence = MemoryEvidence::new([ScanRecord {
            event: b"{}".to_vec(),
            envelope_time: time,
            ..ScanRecord::default()
        }]);
        assert_eq!(count(&evidence, "flag:envelope-time time:2025-12-09 hour:12"), 1);
        assert_eq!(evidence.newest(), time);
    }
}
