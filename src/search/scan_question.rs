//! A question put to events one at a time, so that evidence of any size can be scanned.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::event::field::Field;
use crate::event::place::Flag;
use crate::event::time::Timestamp;
use crate::event::zone::Zone;
use crate::intake::parse::Scratch;
use crate::query::ast::QueryAst;
use crate::query::matcher::Matcher;
use crate::query::matcher::field_values;
use crate::search::conflict::ReadAuditIds;
use crate::search::error::SearchError;
use crate::search::evidence::Row;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::SortOrder;
use crate::search::evidence::StoredEvent;
use crate::search::scan_record::Held;
use crate::search::scan_record::Identities;
use crate::search::scan_record::NO_BODIES;
use crate::search::scan_record::ScanRecord;
use crate::search::scan_record::asks_bodies;
use crate::search::scan_record::compile;
use crate::search::scan_record::has_body;
use crate::search::scan_record::stored;

/// A question put to events one at a time, in the order of reading, keeping no more than the limit
/// asks for.
///
/// Of the copies of an event the first that is read counts, as in an index.  A question about
/// `flag:audit-id-conflict` cannot be judged before all is read: it is put to
/// [`crate::search::scan::MemoryEvidence`].
#[derive(Debug)]
pub struct ScanQuestion {
    matcher: Matcher,
    zone: Zone,
    options: SearchOptions,
    counts_only: bool,
    asks_bodies: bool,
    has_bodies: bool,
    judged: u64,
    duplicates: u64,
    total: u64,
    kept: BinaryHeap<Kept>,
    identities: Identities,
    audit_ids: ReadAuditIds,
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
            counts_only: false,
            asks_bodies: asks_bodies(question),
            has_bodies: false,
            judged: 0,
            duplicates: 0,
            total: 0,
            kept: BinaryHeap::new(),
            identities: Identities::default(),
            audit_ids: ReadAuditIds::default(),
            scratch: Scratch::default(),
        })
    }

    /// Keeps no event: only [`Self::total`] is wanted.
    #[must_use]
    pub fn counting(self) -> ScanQuestion {
        ScanQuestion { counts_only: true, ..self }
    }

    /// Judges one event and says whether it matches; `None` where its text is no JSON.
    pub fn judge(&mut self, record: ScanRecord) -> Option<bool> {
        let held = Held::new(record, &mut self.scratch)?;
        let event = held.view()?;
        self.judged += 1;
        if !self.identities.is_first(event.event) {
            self.duplicates += 1;
            return Some(false);
        }
        if !self.counts_only {
            self.audit_ids.note(&event);
        }
        self.has_bodies |= self.asks_bodies && !self.has_bodies && has_body(&event);
        let matched = self.options.range.contains(held.time) && self.matcher.matches(&event);
        if matched {
            self.total += 1;
            if !self.counts_only {
                self.keep(Kept { held, newest: self.options.order == SortOrder::Newest });
            }
        }
        Some(matched)
    }

    fn keep(&mut self, kept: Kept) {
        self.kept.push(kept);
        if self.options.limit > 0 && self.kept.len() > self.options.limit {
            self.kept.pop();
        }
    }

    /// How many events match so far, copies left out.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many records were judged so far.
    pub fn judged(&self) -> u64 {
        self.judged
    }

    /// How many records were copies of an event that had been read before.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// The zone that hours and weekdays are told in.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The newest of the kept events.
    pub fn newest(&self) -> Option<Timestamp> {
        self.kept.iter().filter_map(|kept| kept.held.time).max()
    }

    /// Returns the hits in order, how many events match, and what cannot be answered.
    pub fn finish(self) -> (Vec<ScanHit>, u64, Vec<String>) {
        let total = self.total();
        let hits = self.kept.into_sorted_vec().into_iter().map(|kept| {
            let mut held = kept.held;
            if held.view().is_some_and(|event| self.audit_ids.conflict(&event)) {
                held.record.flags.push(Flag::AuditIdConflict);
            }
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
        (hits.collect(), total, notes)
    }
}
