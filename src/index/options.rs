//! How an index is built, who is told about it, and what is said at the end.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::index::commit::CHECKPOINT;
use crate::index::manifest::Counts;
use crate::index::pack::derived::Derive;

/// How an index is built.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// What to read: files, directories, `-`.
    pub paths: Vec<PathBuf>,
    /// Where the index stands, or will.
    pub dir: PathBuf,
    /// Threads that parse and pack; 0 for as many as there are cores.
    pub threads: usize,
    /// Bytes of memory to stay within.
    pub memory: u64,
    /// Cluster of events that do not name theirs.
    pub cluster: Option<String>,
    /// Only events of this time are indexed.
    pub range: TimeRange,
    /// How often what is done so far becomes part of the index.
    pub checkpoint: Duration,
    /// Where raw lines are kept.
    pub keep_raw: KeepRaw,
    /// What is derived from each pack and kept in it; without it, it is derived on reading.
    pub derive: Option<&'static dyn Derive>,
}

/// Where raw lines are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepRaw {
    /// In the index.
    #[default]
    Store,
    /// In their sources, wherever these can be read again.
    Reference,
}

impl BuildOptions {
    /// Everything under `paths` into `dir`, with all cores.
    pub fn new(paths: Vec<PathBuf>, dir: PathBuf) -> BuildOptions {
        BuildOptions {
            paths,
            dir,
            threads: 0,
            memory: 512 << 20,
            cluster: None,
            range: TimeRange::ALL,
            checkpoint: CHECKPOINT,
            keep_raw: KeepRaw::Store,
            derive: None,
        }
    }
}

/// Told about progress from any thread.
pub trait Progress: Sync {
    /// So many more bytes were read and events indexed.
    fn advance(&self, bytes: u64, events: u64);
}

/// Nobody is told.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Progress for Quiet {
    fn advance(&self, _bytes: u64, _events: u64) {}
}

/// CPU time of the workers by stage, nanoseconds.
#[derive(Debug, Default)]
pub struct StageTimes {
    /// Parsing and packing in memory.
    pub parse: AtomicU64,
    /// Looking for duplicates, waiting for one's turn included.
    pub dedupe: AtomicU64,
    /// Compressing and filters.
    pub store: AtomicU64,
    /// Appending, waiting for one's turn included.
    pub write: AtomicU64,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildSummary {
    /// Sources read.
    pub sources: u64,
    /// What became of the records of this run.
    pub counts: Counts,
    /// Time of the earliest event of this run.
    pub first_event: Option<Timestamp>,
    /// Time of the latest event of this run.
    pub last_event: Option<Timestamp>,
    /// Files that were in the index already and were not read again.
    pub skipped: Vec<String>,
    /// What was not read, and why.
    pub refused: Vec<(String, String)>,
    /// Sources and files with a problem: what was read before it is kept.
    pub problems: Vec<(String, String)>,
    /// Wall time.
    pub elapsed: Duration,
    /// Nanoseconds per stage: parse, dedupe, store, write.
    pub stages: [u64; 4],
}
