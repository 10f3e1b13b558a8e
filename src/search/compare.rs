//! Two copies of one log: what each has and the other lacks, by what the events are.

use std::collections::HashMap;
use std::path::Path;

use crate::event::audit_event::event_time;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::event::time::Timestamp;
use crate::search::scan::ScanRecord;
use crate::search::scan_paths::ScanReport;
use crate::search::scan_paths::read_every;
use crate::source::SourceError;

/// One event of one copy, as far as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its time.
    pub time: Option<Timestamp>,
    /// Its auditID.
    pub audit_id: Option<String>,
    /// Its stage.
    pub stage: Option<String>,
    /// Name of its source.
    pub source: String,
    /// Offset of the record there.
    pub offset: u64,
    /// Line of the record.
    pub line: u64,
}

/// One copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// Different events.
    pub events: u64,
    /// Events that only this copy has.
    pub only: Vec<Told>,
    /// Events that stand in this copy once more, at each further place.
    pub repeats: Vec<Told>,
    /// Time of its first event.
    pub first: Option<Timestamp>,
    /// Time of its last event.
    pub last: Option<Timestamp>,
    /// What was met beside events.
    pub report: ScanReport,
}

/// Both copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The first.
    pub a: Copy,
    /// The second.
    pub b: Copy,
    /// Events that both have.
    pub both: u64,
}

impl Comparison {
    /// Says whether both copies cover the time of an event that one of them lacks: then it is
    /// missing there, not merely outside.
    pub fn is_within_both(&self, time: Option<Timestamp>) -> Option<bool> {
        let time = time?;
        let covers = |copy: &Copy| Some(copy.first? <= time && time <= copy.last?);
        Some(covers(&self.a)? && covers(&self.b)?)
    }
}

impl Copy {
    fn meet(&mut self, told: &Told) {
        self.events += 1;
        self.first = self.first.into_iter().chain(told.time).min();
        self.last = self.last.into_iter().chain(told.time).max();
    }
}

/// Compares two copies by the canonical form of their events.
///
/// What is kept of an event that both have is 16 bytes; the first copy is read once more where it
/// has something that the second lacks.
///
/// # Errors
/// A path that is not there.
pub fn compare(a: &Path, b: &Path) -> Result<Comparison, SourceError> {
    let mut found = Comparison::default();
    let mut tape = Tape::default();
    let mut known: HashMap<u128, bool> = HashMap::new();
    found.a.report = read_every(&[a.to_owned()], None, &mut |record, identity, again| {
        let told = told(&record, &mut tape);
        if again {
            found.a.repeats.push(told);
        } else {
            found.a.meet(&told);
            known.insert(identity, false);
        }
    })?;
    found.b.report = read_every(&[b.to_owned()], None, &mut |record, identity, again| {
        let told = told(&record, &mut tape);
        if again {
            found.b.repeats.push(told);
            return;
        }
        found.b.meet(&told);
        match known.get_mut(&identity) {
            Some(seen) => {
                *seen = true;
                found.both += 1;
            }
            None => found.b.only.push(told),
        }
    })?;
    if found.both < found.a.events {
        read_every(&[a.to_owned()], None, &mut |record, identity, again| {
            if !again && known.get(&identity) == Some(&false) {
                found.a.only.push(told(&record, &mut tape));
            }
        })?;
    }
    for list in [&mut found.a.only, &mut found.a.repeats, &mut found.b.only, &mut found.b.repeats] {
        list.sort_by(|a, b| (a.time, &a.source, a.offset).cmp(&(b.time, &b.source, b.offset)));
    }
    Ok(found)
}

fn told(record: &ScanRecord, tape: &mut Tape) -> Told {
    let root = match parse_lenient(&record.event, tape) {
        Ok(()) => tape.root(&record.event),
        Err(_) => None,
    };
    let text = |key: &str| Some(root?.text_at(&[key])?.into_owned());
    Told {
        time: root.and_then(event_time).or(record.envelope_time),
        audit_id: text("auditID"),
        stage: text("stage"),
        source: record.source.clone(),
        offset: record.offset,
        line: record.line,
    }
}
