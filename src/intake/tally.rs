//! The books: what was read and what became of it, to be balanced at the end.

use std::ops::AddAssign;

/// What became of the records of a piece, a source or a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records met: events, blank lines and rejected runs.
    pub records: u64,
    /// Events that were kept.
    pub events: u64,
    /// Lines of nothing but white space.
    pub blank: u64,
    /// Runs of bytes that are no event.
    pub rejected: u64,
    /// Events that were there before, byte for byte or as the same canonical event; intake itself
    /// knows none, whoever keeps the events moves them here from `events`.
    pub duplicates: u64,
    /// Lines, the last one with or without its line end.
    pub lines: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
}

impl Tally {
    /// Says whether every record is accounted for.
    pub fn balances(&self) -> bool {
        self.records == self.events + self.blank + self.rejected + self.duplicates
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.records += other.records;
        self.events += other.events;
        self.blank += other.blank;
        self.rejected += other.rejected;
        self.duplicates += other.duplicates;
        self.lines += other.lines;
        self.bytes += other.bytes;
    }
}
