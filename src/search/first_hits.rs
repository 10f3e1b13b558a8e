//! The first hits of packs that are asked side by side, and when enough of them were asked.

use std::collections::BTreeMap;

use crate::event::time::Timestamp;
use crate::index::pack::view::NO_TIME;
use crate::search::error::SearchError;
use crate::search::evidence::SortOrder;

/// An event of a pack before its place is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Microseconds, [`NO_TIME`] where it has none: such come before all others.
    pub time: i64,
    /// Its pack.
    pub pack: u32,
    /// Its number in the pack.
    pub event: u32,
}

impl Candidate {
    /// Its time; `None` where it has none.
    pub fn time(self) -> Option<Timestamp> {
        (self.time != NO_TIME).then_some(Timestamp(self.time))
    }
}

/// What comes first has the least.
pub fn key(order: SortOrder, time: i64) -> i64 {
    match order {
        SortOrder::Oldest => time,
        SortOrder::Newest => time.saturating_neg(),
    }
}

/// Answers of packs, taken together in the order of the packs whenever they come: so much is asked
/// as the answer needs, and the answer does not depend on who was quick.
#[derive(Debug)]
pub struct FirstHits {
    order: SortOrder,
    limit: usize,
    /// For each pack the least key that an event of it can have, ascending.
    bounds: Vec<i64>,
    /// Answers that came before those of earlier packs.
    waiting: BTreeMap<usize, Result<Vec<Candidate>, SearchError>>,
    /// Answers of so many packs are in what was found.
    taken: usize,
    found: Vec<Candidate>,
    total: u64,
    failed: Option<SearchError>,
    enough: bool,
}

impl FirstHits {
    /// Looks for the first `limit` hits of packs with these bounds.
    pub fn new(order: SortOrder, limit: usize, bounds: Vec<i64>) -> FirstHits {
        FirstHits {
            order,
            limit,
            bounds,
            waiting: BTreeMap::new(),
            taken: 0,
            found: Vec::new(),
            total: 0,
            failed: None,
            enough: false,
        }
    }

    /// Says whether no further pack needs to be asked.
    pub fn is_enough(&self) -> bool {
        self.enough
    }

    /// Takes the answer of the pack at a place in the order.
    pub fn put(&mut self, at: usize, answer: Result<Vec<Candidate>, SearchError>) {
        self.waiting.insert(at, answer);
        while let (false, Some(answer)) = (self.enough, self.waiting.remove(&self.taken)) {
            self.taken += 1;
            match answer {
                Ok(own) => self.take(own),
                Err(error) => {
                    self.failed = Some(error);
                    self.enough = true;
                }
            }
        }
    }

    fn take(&mut self, own: Vec<Candidate>) {
        self.total += own.len() as u64;
        self.found.extend(own);
        let Some(nth) = self.limit.checked_sub(1).filter(|_| self.found.len() >= self.limit) else {
            return;
        };
        let order = self.order;
        let key = |candidate: &Candidate| key(order, candidate.time);
        let last = key(self.found.select_nth_unstable_by_key(nth, key).1);
        // What has the same time as the last may stand before it.
        self.found.retain(|candidate| key(candidate) <= last);
        self.enough = self.bounds.get(self.taken).is_none_or(|next| last < *next);
    }

    /// Returns the hits that can be among the first, in no order, and how many were met.
    ///
    /// # Errors
    /// That of the first pack which could not be asked.
    pub fn into_found(self) -> Result<(Vec<Candidate>, u64), SearchError> {
        self.failed.map_or(Ok((self.found, self.total)), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(pack: u32, times: &[i64]) -> Vec<Candidate> {
        times.iter().zip(0..).map(|(time, event)| Candidate { time: *time, pack, event }).collect()
    }

    fn times(first: FirstHits) -> (Vec<i64>, u64) {
        let (mut found, total) = first.into_found().unwrap();
        found.sort_unstable();
        (found.iter().map(|candidate| candidate.time).collect(), total)
    }

    #[test]
    fn asking_ends_where_no_later_pack_can_better_what_was_found() {
        let mut first = FirstHits::new(SortOrder::Oldest, 2, vec![0, 10, 20, 30]);
        first.put(0, Ok(own(0, &[5])));
        first.put(1, Ok(own(1, &[20, 20, 25])));
        assert!(!first.is_enough(), "an event at 20 in the next pack may stand before these");
        first.put(2, Ok(own(2, &[20])));
        assert!(first.is_enough());
        assert_eq!(times(first), (vec![5, 20, 20, 20], 5));
    }

    #[test]
    fn answers_come_in_any_order() {
        let answers = || vec![own(0, &[1]), own(1, &[12, 14]), own(2, &[]), own(3, &[31])];
        for turn in 0..4 {
            let mut first = FirstHits::new(SortOrder::Oldest, 3, vec![0, 10, 20, 30]);
            for at in 0..4 {
                let at = (at + turn) % 4;
                first.put(at, Ok(answers().swap_remove(at)));
            }
            assert_eq!(times(first), (vec![1, 12, 14], 3), "the last is not needed");
        }
    }

    #[test]
    fn a_failure_counts_where_its_pack_is_needed() {
        let wrong = || Err(SearchError::Question("broken".to_owned()));
        let mut first = FirstHits::new(SortOrder::Newest, 1, vec![-40, -30, -20]);
        first.put(2, wrong());
        first.put(0, Ok(own(0, &[35])));
        assert_eq!(times(first), (vec![35], 1));
        let mut first = FirstHits::new(SortOrder::Newest, 1, vec![-40, -30, -20]);
        first.put(1, wrong());
        first.put(0, Ok(own(0, &[30])));
        assert!(first.is_enough() && first.into_found().is_err());
    }
}
