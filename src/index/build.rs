//! Evidence becomes packs: one thread reads, all others parse and pack, one order rules.
//!
//! Work is cut into units of whole pieces, numbered as they are read.  A worker parses a unit into
//! a pack on its own thread; then, in the order of the units, it asks which of its events were seen
//! before ([`crate::index::dedupe`]), and, in the same order again, appends its bytes.  So the
//! result does not depend on how many workers there are, and a commit is a prefix of the evidence.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use std::time::Instant;

use crate::event::audit_event::event_time;
use crate::event::json::Tape;
use crate::event::place::Flag;
use crate::event::place::SourceId;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::index::commit::Commit;
use crate::index::commit::RejectedRow;
use crate::index::commit::Turn;
use crate::index::commit::UnitResult;
use crate::index::dedupe::Seen;
use crate::index::error::IndexError;
use crate::index::manifest::Counts;
use crate::index::manifest::FileRow;
use crate::index::manifest::HexBytes;
use crate::index::manifest::SourceRow;
use crate::index::pack::build::PackBuilder;
use crate::index::pack::wire::FrameWriter;
use crate::intake::PieceReader;
use crate::intake::parse::Scratch;
use crate::intake::parse::parse_json;
use crate::intake::record::Met;
use crate::intake::record::Record;
use crate::source::Piece;
use crate::source::ReadItem;
use crate::source::ReadOptions;
use crate::source::Reader;
use crate::source::SourceInfo;

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

/// Raw bytes of evidence in one unit, about: a pack is as large as this makes it.
const UNIT_BYTES: u64 = 16 << 20;

/// Pieces that one worker packs together.
struct Unit {
    number: u64,
    pieces: Vec<(Piece, Arc<SourceInfo>)>,
    bytes: u64,
}

/// Builds an index, or adds to one.
///
/// # Errors
/// When the index cannot be written or no path can be read; what single sources did wrong is in
/// the summary.
pub fn build(options: &BuildOptions, progress: &dyn Progress) -> Result<BuildSummary, IndexError> {
    let start = Instant::now();
    let mut commit = Commit::open(&options.dir)?;
    let before = commit.manifest.totals;
    let mut threads = options.threads;
    if threads == 0 {
        threads = std::thread::available_parallelism().map_or(1, usize::from);
    }
    let read = ReadOptions {
        piece_bytes: piece_bytes(options.memory, threads),
        first_id: SourceId(commit.manifest.sources.len() as u32),
        ..ReadOptions::default()
    };
    let seen = Seen::load(&options.dir, &commit.manifest)?;
    commit.manifest.refused.clear();
    let first_source = commit.manifest.sources.len();
    let reader = Reader::open(&options.paths, read)
        .map_err(|error| IndexError::Source(error.to_string()))?;
    let stages = StageTimes::default();
    let turn = Turn::new(commit, seen);
    let (give, take) = sync_channel::<Unit>(1);
    let take = Mutex::new(take);
    let problems = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&take, &turn, options, progress, &stages));
        }
        let problems = feed(reader, &turn, options, give);
        problems
    });
    let mut commit = turn.into_commit()?;
    commit.finish()?;
    let manifest = &commit.manifest;
    let mut summary = BuildSummary {
        sources: (manifest.sources.len() - first_source) as u64,
        counts: difference(&manifest.totals, &before),
        refused: manifest.refused.clone(),
        problems,
        elapsed: start.elapsed(),
        stages: [
            stages.parse.load(Ordering::Relaxed),
            stages.dedupe.load(Ordering::Relaxed),
            stages.store.load(Ordering::Relaxed),
            stages.write.load(Ordering::Relaxed),
        ],
        ..BuildSummary::default()
    };
    let own = manifest.sources.get(first_source..).unwrap_or_default();
    summary.first_event = own.iter().filter_map(|s| s.first).min().map(Timestamp);
    summary.last_event = own.iter().filter_map(|s| s.last).max().map(Timestamp);
    if !summary.counts.balances() {
        return Err(IndexError::Unbalanced(format!("{:?}", summary.counts)));
    }
    Ok(summary)
}

/// A piece is what a pack is made of; less of it where memory is short.
fn piece_bytes(memory: u64, threads: usize) -> usize {
    // Reading ahead, every worker's piece, its values and its skeletons: about five times a piece
    // per worker and four of the reader.
    let share = memory / (threads as u64 * 5 + 4);
    share.clamp(1 << 20, UNIT_BYTES) as usize
}

fn difference(now: &Counts, before: &Counts) -> Counts {
    Counts {
        records: now.records - before.records,
        events: now.events - before.events,
        blank: now.blank - before.blank,
        rejected: now.rejected - before.rejected,
        duplicates: now.duplicates - before.duplicates,
        repeats: now.repeats - before.repeats,
        outside: now.outside - before.outside,
        lines: now.lines - before.lines,
        bytes: now.bytes - before.bytes,
    }
}

/// Cuts what the reader says into units and keeps the list of sources and files.
fn feed(
    reader: Reader,
    turn: &Turn,
    options: &BuildOptions,
    give: std::sync::mpsc::SyncSender<Unit>,
) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let mut unit = Unit { number: 0, pieces: Vec::new(), bytes: 0 };
    let mut current: Option<Arc<SourceInfo>> = None;
    for item in reader {
        match item {
            ReadItem::Start(info) => {
                turn.with_commit(|commit| commit.manifest.sources.push(source_row(&info, options)));
                current = Some(info);
            }
            ReadItem::Piece(piece) => {
                let Some(info) = &current else { continue };
                unit.bytes += piece.bytes.len() as u64;
                unit.pieces.push((piece, Arc::clone(info)));
                if unit.bytes >= UNIT_BYTES / 2 && !send(&mut unit, &give) {
                    break;
                }
            }
            ReadItem::End(end) => {
                if let Some(problem) = &end.problem {
                    let name = current.as_ref().map(|i| i.name.clone()).unwrap_or_default();
                    problems.push((name, problem.clone()));
                }
                turn.with_commit(|commit| {
                    if let Some(row) = commit.manifest.sources.get_mut(end.id.0 as usize) {
                        row.size = end.size;
                        row.sha256 = format!("{:x}", HexBytes(&end.sha256));
                        row.problem = end.problem;
                    }
                });
            }
            ReadItem::File(file) => {
                if let Some(problem) = &file.problem {
                    problems.push((file.name.clone(), problem.clone()));
                }
                turn.with_commit(|commit| {
                    commit.manifest.files.push(FileRow {
                        name: file.name,
                        size: file.size,
                        sha256: format!("{:x}", HexBytes(&file.sha256)),
                        plain: file.plain,
                        first_source: file.first.0,
                        sources: file.sources,
                        problem: file.problem,
                        partial: options.range != TimeRange::ALL,
                    });
                });
            }
            ReadItem::Refused { name, reason } => {
                turn.with_commit(|commit| commit.manifest.refused.push((name, reason)));
            }
        }
    }
    if !unit.pieces.is_empty() {
        send(&mut unit, &give);
    }
    problems
}

/// Hands a unit to the workers; false when they are gone.
fn send(unit: &mut Unit, give: &std::sync::mpsc::SyncSender<Unit>) -> bool {
    let next = Unit { number: unit.number + 1, pieces: Vec::new(), bytes: 0 };
    give.send(std::mem::replace(unit, next)).is_ok()
}

fn source_row(info: &SourceInfo, options: &BuildOptions) -> SourceRow {
    SourceRow {
        name: info.name.clone(),
        node: info.hint.node.clone(),
        log: info.hint.log.clone(),
        cluster: info.hint.cluster.clone().or_else(|| options.cluster.clone()),
        ..SourceRow::default()
    }
}

/// What one worker does until there are no units left.
fn work(
    take: &Mutex<Receiver<Unit>>,
    turn: &Turn,
    options: &BuildOptions,
    progress: &dyn Progress,
    stages: &StageTimes,
) {
    let mut worker = Worker {
        reader: PieceReader::new(),
        builder: PackBuilder::default(),
        scratch: Scratch::default(),
        envelope: Tape::default(),
        options,
    };
    let Ok(mut writer) = FrameWriter::new(PACK_LEVEL) else {
        turn.fail(IndexError::Source("no memory for zstd".to_owned()));
        return;
    };
    loop {
        let unit = match take.lock() {
            Ok(units) => units.recv(),
            Err(_) => return,
        };
        let Ok(unit) = unit else { return };
        if let Err(error) = worker.unit(unit, turn, &mut writer, progress, stages) {
            turn.fail(error);
            // The reader must not wait for a worker that is gone.
            while take.lock().is_ok_and(|units| units.recv().is_ok()) {}
            return;
        }
    }
}

/// zstd level of the packs.
const PACK_LEVEL: i32 = 3;

struct Worker<'o> {
    reader: PieceReader,
    builder: PackBuilder,
    scratch: Scratch,
    envelope: Tape,
    options: &'o BuildOptions,
}

impl Worker<'_> {
    fn unit(
        &mut self,
        unit: Unit,
        turn: &Turn,
        writer: &mut FrameWriter,
        progress: &dyn Progress,
        stages: &StageTimes,
    ) -> Result<(), IndexError> {
        let clock = Instant::now();
        let mut result = UnitResult::new(unit.number);
        self.pack(&unit, &mut result, &[]);
        let clock = lap(clock, &stages.parse);
        let duplicates = turn.duplicates(unit.number, &self.builder, |events| {
            self_texts(&unit, self.options, events)
        })?;
        let clock = lap(clock, &stages.dedupe);
        if !duplicates.is_empty() {
            result = UnitResult::new(unit.number);
            let numbers: Vec<u32> = duplicates.iter().map(|d| d.event).collect();
            self.pack(&unit, &mut result, &numbers);
            result.count_duplicates(&duplicates);
        }
        result.duplicates = duplicates;
        let bytes = unit.bytes;
        drop(unit);
        if !self.builder.is_empty() {
            let pack = self
                .builder
                .finish(writer)
                .map_err(|error| IndexError::io("compress", &self.options.dir, error))?;
            result.pack = Some(pack);
        }
        let clock = lap(clock, &stages.store);
        let events = self.builder.len() as u64;
        turn.commit(result)?;
        lap(clock, &stages.write);
        progress.advance(bytes, events);
        Ok(())
    }

    /// Parses the pieces of a unit into the builder, leaving out events by their number.
    fn pack(&mut self, unit: &Unit, result: &mut UnitResult, leave_out: &[u32]) {
        self.builder.clear();
        let Worker { reader, builder, scratch, envelope, options } = self;
        let mut leave_out = leave_out.iter().copied().peekable();
        let mut number = 0_u32;
        for (piece, info) in &unit.pieces {
            let mut outside = 0;
            let mut span: Option<(i64, i64)> = None;
            let tally = reader.read(piece, info, &mut |met, tape| match met {
                Met::Event(mut record) => {
                    let time = complete(&mut record, tape, info, options);
                    if !options.range.contains(time) {
                        outside += 1;
                        return;
                    }
                    if let Some(Timestamp(at)) = time {
                        span = Some(span.map_or((at, at), |(a, b)| (a.min(at), b.max(at))));
                    }
                    let own = number;
                    number += 1;
                    if leave_out.next_if_eq(&own).is_some() {
                        return;
                    }
                    let envelope = parse_envelope(&record, scratch, envelope);
                    builder.push(&record, tape, envelope, time);
                }
                Met::Blank => {}
                Met::Rejected(rejected) => result.rejected.push(RejectedRow::of(&rejected)),
            });
            let mut counts = Counts::from(tally);
            counts.events -= outside;
            counts.outside = outside;
            result.sources.push((piece.source, counts, span));
        }
    }
}

fn lap(clock: Instant, stage: &AtomicU64) -> Instant {
    let now = Instant::now();
    stage.fetch_add(now.duration_since(clock).as_nanos() as u64, Ordering::Relaxed);
    now
}

/// Adds to a record what its source and the run tell, and returns its time.
fn complete(
    record: &mut Record<'_>,
    tape: &Tape,
    info: &SourceInfo,
    options: &BuildOptions,
) -> Option<Timestamp> {
    let origin = &mut record.origin;
    if origin.node.is_none() {
        origin.node.clone_from(&info.hint.node);
    }
    if origin.log.is_none() {
        origin.log.clone_from(&info.hint.log);
    }
    if origin.cluster.is_none() {
        origin.cluster = info.hint.cluster.clone().or_else(|| options.cluster.clone());
    }
    let own = tape.root(&record.event).and_then(event_time);
    if own.is_none() && record.envelope_time.is_some() {
        if !record.flags.contains(&Flag::EnvelopeTime) {
            record.flags.push(Flag::EnvelopeTime);
        }
        return record.envelope_time;
    }
    own
}

fn parse_envelope<'t>(
    record: &Record<'_>,
    scratch: &mut Scratch,
    tape: &'t mut Tape,
) -> Option<&'t Tape> {
    let text = record.envelope.as_ref()?;
    match parse_json(text, scratch, tape) {
        Ok(_) => Some(tape),
        Err(_) => None,
    }
}

/// Returns the texts of some events of a unit (ascending numbers), read once more.
fn self_texts(unit: &Unit, options: &BuildOptions, events: &[u32]) -> Vec<Vec<u8>> {
    let mut texts = Vec::with_capacity(events.len());
    let mut wanted = events.iter().copied().peekable();
    let mut number = 0_u32;
    let mut reader = PieceReader::new();
    for (piece, info) in &unit.pieces {
        reader.read(piece, info, &mut |met, tape| {
            if let Met::Event(mut record) = met {
                let time = complete(&mut record, tape, info, options);
                if !options.range.contains(time) {
                    return;
                }
                if wanted.next_if_eq(&number).is_some() {
                    texts.push(record.event.into_owned());
                }
                number += 1;
            }
        });
    }
    texts
}
