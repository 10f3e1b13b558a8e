//! Evidence becomes packs: one thread reads, all others parse and pack, one order rules.
//!
//! Work is cut into units of whole pieces, numbered as they are read.  A worker parses a unit into
//! a pack on its own thread; then, in the order of the units, it asks which of its events were seen
//! before ([`crate::index::dedupe`]), and, in the same order again, appends its bytes.  So the
//! result does not depend on how many workers there are, and a commit is a prefix of the evidence.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use crate::event::time::Timestamp;
use crate::index::commit::Commit;
use crate::index::dedupe::Seen;
use crate::index::error::IndexError;
pub use crate::index::options::BuildOptions;
pub use crate::index::options::BuildSummary;
pub use crate::index::options::KeepRaw;
pub use crate::index::options::Progress;
pub use crate::index::options::Quiet;
pub use crate::index::options::StageTimes;

use crate::index::feed::Feed;
use crate::index::feed::Unit;
use crate::index::manifest::Counts;
use crate::index::merge::put_together;
use crate::index::turn::Turn;
use crate::index::worker::work;
use crate::source::ReadOptions;
use crate::source::Reader;
use crate::source::check_paths;

/// Raw bytes of evidence in one unit, about: a pack is as large as this makes it.
const UNIT_BYTES: u64 = 16 << 20;

/// Builds an index, or adds to one.
///
/// # Errors
/// When the index cannot be written or no path can be read; what single sources did wrong is in
/// the summary.
pub fn build(options: &BuildOptions, progress: &dyn Progress) -> Result<BuildSummary, IndexError> {
    let start = Instant::now();
    // A misspelt path makes no index.
    check_paths(&options.paths).map_err(|error| IndexError::Source(error.to_string()))?;
    let mut commit = Commit::open(&options.dir)?;
    commit.every = options.checkpoint;
    let before = commit.manifest.totals;
    let mut threads = options.threads;
    if threads == 0 {
        threads = std::thread::available_parallelism().map_or(1, usize::from);
        // Fewer where memory is short: half the smallest piece each would be no use.
        while threads > 1 && memory_min(threads) > options.memory {
            threads -= 1;
        }
    }
    let piece = piece_bytes(options.memory, threads);
    let read = ReadOptions {
        piece_bytes: piece,
        before: Arc::new(commit.manifest.before(&options.range)),
        // One record may take as much as the memory allows, whatever a piece should have.
        record_max: usize::try_from(options.memory / 4)
            .unwrap_or(usize::MAX)
            .clamp(80 << 20, 1 << 30),
        skip: vec![options.dir.clone()],
        ..ReadOptions::default()
    };
    let seen = Seen::load(&options.dir, &commit.manifest, options.memory)?;
    commit.manifest.refused.clear();
    let reader = Reader::open(&options.paths, read)
        .map_err(|error| IndexError::Source(error.to_string()))?;
    let stages = StageTimes::default();
    let turn = Turn::new(commit, seen);
    let (give, take) = sync_channel::<Unit>(1);
    let take = Mutex::new(take);
    let fed = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&take, &turn, options, progress, &stages));
        }
        Feed::new(&turn, options, give, piece as u64).run(reader)
    });
    let mut commit = turn.into_commit()?;
    commit.finish()?;
    put_together(&options.dir, &mut commit, options.derive, piece as u64)?;
    let manifest = &commit.manifest;
    let mut summary = BuildSummary {
        sources: fed.read.len() as u64,
        counts: difference(&manifest.totals, &before),
        refused: manifest.refused.clone(),
        skipped: fed.skipped,
        problems: fed.problems,
        elapsed: start.elapsed(),
        stages: [
            stages.parse.load(Ordering::Relaxed),
            stages.dedupe.load(Ordering::Relaxed),
            stages.store.load(Ordering::Relaxed),
            stages.write.load(Ordering::Relaxed),
        ],
        ..BuildSummary::default()
    };
    let own = || fed.read.iter().filter_map(|row| manifest.sources.get(*row));
    summary.first_event = own().filter_map(|s| s.first).min().map(Timestamp);
    summary.last_event = own().filter_map(|s| s.last).max().map(Timestamp);
    Ok(summary)
}

/// Memory that a run takes whatever the size of its pieces: the program, tables, unpackers.
const MEMORY_BASE: u64 = 68 << 20;
/// The smallest piece.
const PIECE_MIN: u64 = 1 << 20;

/// Returns the least memory that so many threads can work with; for 0 threads, one.
pub fn memory_min(threads: usize) -> u64 {
    MEMORY_BASE + shares(threads.max(1)) * PIECE_MIN
}

/// Reading ahead, every worker's piece, its values and its skeletons, what the allocator keeps: by
/// measurement (`benches/ingest.rs --mixed`) about six times a piece per worker and twelve besides.
fn shares(threads: usize) -> u64 {
    threads as u64 * 6 + 12
}

/// A piece is what a pack is made of; less of it where memory is short.
fn piece_bytes(memory: u64, threads: usize) -> usize {
    (memory.saturating_sub(MEMORY_BASE) / shares(threads)).clamp(PIECE_MIN, UNIT_BYTES) as usize
}

/// What this run added; a source that was started anew may have taken something away before.
fn difference(now: &Counts, before: &Counts) -> Counts {
    let mut run = Counts {
        records: 0,
        events: now.events.saturating_sub(before.events),
        blank: now.blank.saturating_sub(before.blank),
        rejected: now.rejected.saturating_sub(before.rejected),
        duplicates: now.duplicates.saturating_sub(before.duplicates),
        repeats: now.repeats.saturating_sub(before.repeats),
        outside: now.outside.saturating_sub(before.outside),
        lines: now.lines.saturating_sub(before.lines),
        bytes: now.bytes.saturating_sub(before.bytes),
    };
    // A rejected half line that is read whole now leaves one record less than there were: the books
    // of a run are of what it met.
    run.records = run.events + run.blank + run.rejected + run.duplicates + run.outside;
    run
}
