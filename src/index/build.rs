//! Evidence becomes packs: one thread reads, all others parse and pack, one order rules.
//!
//! Work is cut into units of whole pieces, numbered as they are read.  A worker parses a unit into
//! a pack on its own thread; then, in the order of the units, it asks which of its events were seen
//! before ([`crate::index::dedupe`]), and, in the same order again, appends its bytes.  So the
//! result does not depend on how many workers there are, and a commit is a prefix of the evidence.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use std::time::Instant;

use crate::event::audit_event::event_time;
use crate::event::json::Tape;
use crate::event::place::Flag;
use crate::event::place::SourceId;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::index::commit::CHECKPOINT;
use crate::index::commit::Commit;
use crate::index::commit::PieceResult;
use crate::index::commit::RejectedRow;
use crate::index::commit::Turn;
use crate::index::commit::UnitResult;
use crate::index::dedupe::Seen;
use crate::index::error::IndexError;
use crate::index::manifest::Counts;
use crate::index::manifest::FileRow;
use crate::index::manifest::HexBytes;
use crate::index::manifest::Reached;
use crate::index::manifest::SourceRow;
use crate::index::pack::build::PackBuilder;
use crate::index::pack::wire::FrameWriter;
use crate::intake::PieceReader;
use crate::intake::parse::Scratch;
use crate::intake::parse::parse_json;
use crate::intake::record::Met;
use crate::intake::record::Record;
use crate::source::FileEnd;
use crate::source::History;
use crate::source::Mode;
use crate::source::Piece;
use crate::source::ReadItem;
use crate::source::ReadOptions;
use crate::source::Reader;
use crate::source::SourceEnd;
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
    /// How often what is done so far becomes part of the index.
    pub checkpoint: Duration,
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

/// Raw bytes of evidence in one unit, about: a pack is as large as this makes it.
const UNIT_BYTES: u64 = 16 << 20;

/// Pieces that one worker packs together.
struct Unit {
    number: u64,
    pieces: Vec<UnitPiece>,
    bytes: u64,
}

/// A piece, its source, and the row of the source in the manifest.
struct UnitPiece {
    piece: Piece,
    info: Arc<SourceInfo>,
    row: SourceId,
}

/// Builds an index, or adds to one.
///
/// # Errors
/// When the index cannot be written or no path can be read; what single sources did wrong is in
/// the summary.
pub fn build(options: &BuildOptions, progress: &dyn Progress) -> Result<BuildSummary, IndexError> {
    let start = Instant::now();
    let mut commit = Commit::open(&options.dir)?;
    commit.every = options.checkpoint;
    let before = commit.manifest.totals;
    let mut threads = options.threads;
    if threads == 0 {
        threads = std::thread::available_parallelism().map_or(1, usize::from);
    }
    let piece = piece_bytes(options.memory, threads);
    let read = ReadOptions {
        piece_bytes: piece,
        before: Arc::new(commit.manifest.before()),
        // One record may take as much as the memory allows, whatever a piece should have.
        record_max: usize::try_from(options.memory / 4)
            .unwrap_or(usize::MAX)
            .clamp(80 << 20, 1 << 30),
        skip: vec![options.dir.clone()],
        ..ReadOptions::default()
    };
    let seen = Seen::load(&options.dir, &commit.manifest)?;
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

/// A piece is what a pack is made of; less of it where memory is short.
fn piece_bytes(memory: u64, threads: usize) -> usize {
    // Reading ahead, every worker's piece, its values and its skeletons: about five times a piece
    // per worker and four of the reader.
    let share = memory / (threads as u64 * 5 + 4);
    share.clamp(1 << 20, UNIT_BYTES) as usize
}

/// What this run added; a source that was started anew may have taken something away before.
fn difference(now: &Counts, before: &Counts) -> Counts {
    Counts {
        records: now.records.saturating_sub(before.records),
        events: now.events.saturating_sub(before.events),
        blank: now.blank.saturating_sub(before.blank),
        rejected: now.rejected.saturating_sub(before.rejected),
        duplicates: now.duplicates.saturating_sub(before.duplicates),
        repeats: now.repeats.saturating_sub(before.repeats),
        outside: now.outside.saturating_sub(before.outside),
        lines: now.lines.saturating_sub(before.lines),
        bytes: now.bytes.saturating_sub(before.bytes),
    }
}

/// Cuts what the reader says into units and keeps the list of sources and files.
struct Feed<'t> {
    turn: &'t Turn,
    options: &'t BuildOptions,
    give: SyncSender<Unit>,
    unit: Unit,
    /// A unit is closed at half of this.
    unit_bytes: u64,
    /// The source that is given out, and its row once its first piece or its end was seen.
    current: Option<(Arc<SourceInfo>, Option<usize>)>,
    /// Rows of the file that is given out.
    rows: Vec<usize>,
    fed: Fed,
}

/// What the feed saw.
#[derive(Default)]
struct Fed {
    skipped: Vec<String>,
    problems: Vec<(String, String)>,
    /// Rows of the sources that were read.
    read: BTreeSet<usize>,
}

impl<'t> Feed<'t> {
    fn new(
        turn: &'t Turn,
        options: &'t BuildOptions,
        give: SyncSender<Unit>,
        unit_bytes: u64,
    ) -> Feed<'t> {
        Feed {
            unit_bytes,
            turn,
            options,
            give,
            unit: Unit { number: 0, pieces: Vec::new(), bytes: 0 },
            current: None,
            rows: Vec::new(),
            fed: Fed::default(),
        }
    }

    fn run(mut self, reader: Reader) -> Fed {
        for item in reader {
            match item {
                ReadItem::Start(info) => self.current = Some((info, None)),
                ReadItem::Piece(piece) => {
                    if !self.piece(piece) {
                        break;
                    }
                }
                ReadItem::End(end) => self.end(end),
                ReadItem::File(file) => self.file(file),
                ReadItem::Refused { name, reason } => {
                    self.turn.with_commit(|commit| commit.manifest.refused.push((name, reason)));
                }
            }
        }
        if !self.unit.pieces.is_empty() {
            send(&mut self.unit, &self.give);
        }
        self.fed
    }

    /// Adds a piece to the unit; false when the workers are gone.
    fn piece(&mut self, piece: Piece) -> bool {
        let head = format!("{:x}", HexBytes(&piece.upto.head_sha256));
        let Some(row) = self.row(piece.offset, &head) else { return true };
        let Some((info, _)) = &self.current else { return true };
        self.unit.bytes += piece.bytes.len() as u64;
        let info = Arc::clone(info);
        self.unit.pieces.push(UnitPiece { piece, info, row: SourceId(row as u32) });
        self.unit.bytes < self.unit_bytes / 2 || send(&mut self.unit, &self.give)
    }

    /// Finds or makes the row of the current source, which is read from `offset` on.
    fn row(&mut self, offset: u64, head: &str) -> Option<usize> {
        let (info, row) = self.current.as_mut()?;
        if let Some(row) = row {
            return Some(*row);
        }
        let options = self.options;
        let own = self.turn.with_commit(|commit| {
            let known = if offset > 0 {
                commit.manifest.going_on(&info.name, offset, head)
            } else {
                commit.manifest.unfinished(&info.name)
            };
            if let Some(known) = known {
                if offset == 0 {
                    commit.restart(known)?;
                } else {
                    commit.take_up(known, offset)?;
                }
                if let Some(row) = commit.manifest.sources.get_mut(known) {
                    row.sha256.clear();
                }
                return Ok(known);
            }
            commit.manifest.sources.push(source_row(info, options));
            Ok(commit.manifest.sources.len() - 1)
        });
        match own {
            Ok(own) => {
                *row = Some(own);
                self.rows.push(own);
                self.fed.read.insert(own);
                Some(own)
            }
            Err(error) => {
                self.turn.fail(error);
                None
            }
        }
    }

    /// The unit behind everything that was given out so far.
    fn due(&self) -> u64 {
        self.unit.number + u64::from(!self.unit.pieces.is_empty())
    }

    fn end(&mut self, end: SourceEnd) {
        // A source without a byte has no piece.
        let Some(row) = self.row(0, "") else { return };
        if let (Some(problem), Some((info, _))) = (&end.problem, &self.current) {
            self.fed.problems.push((info.name.clone(), problem.clone()));
        }
        self.turn.after(self.due(), move |commit| {
            if let Some(row) = commit.manifest.sources.get_mut(row) {
                row.size = end.size;
                row.problem = end.problem;
                row.sha256 = format!("{:x}", HexBytes(&end.sha256));
            }
        });
        self.current = None;
    }

    fn file(&mut self, file: FileEnd) {
        let mut rows: Vec<u32> =
            std::mem::take(&mut self.rows).iter().map(|row| *row as u32).collect();
        rows.sort_unstable();
        if file.history == History::Known {
            self.fed.skipped.push(file.name);
            return;
        }
        if file.history == History::Changed {
            let what = "it has changed since it was indexed; it was read as a new source";
            self.fed.problems.push((file.name.clone(), what.to_owned()));
        }
        if let Some(problem) = &file.problem {
            self.fed.problems.push((file.name.clone(), problem.clone()));
        }
        let row = FileRow {
            name: file.name,
            size: file.size,
            sha256: format!("{:x}", HexBytes(&file.sha256)),
            head_sha256: format!("{:x}", HexBytes(&file.head_sha256)),
            plain: file.plain,
            sources: rows,
            problem: file.problem,
            partial: self.options.range != TimeRange::ALL,
        };
        self.turn.after(self.due(), move |commit| {
            let files = &mut commit.manifest.files;
            match files.iter_mut().find(|f| f.sources == row.sources && f.name == row.name) {
                Some(known) => *known = row,
                None => files.push(row),
            }
        });
    }
}

/// Hands a unit to the workers; false when they are gone.
fn send(unit: &mut Unit, give: &SyncSender<Unit>) -> bool {
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
        for UnitPiece { piece, info, row } in &unit.pieces {
            let mut outside = 0;
            let mut span: Option<(i64, i64)> = None;
            // Where the last record starts, if it is none.
            let mut last_rejected = None;
            let tally = reader.read(piece, info, &mut |met, tape| match met {
                Met::Event(mut record) => {
                    last_rejected = None;
                    record.place.source = *row;
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
                Met::Blank => last_rejected = None,
                Met::Rejected(mut rejected) => {
                    last_rejected = Some((rejected.place.offset, rejected.place.line));
                    rejected.place.source = *row;
                    result.rejected.push(RejectedRow::of(&rejected));
                }
            });
            let mut counts = Counts::from(tally);
            counts.events -= outside;
            counts.outside = outside;
            // A last line without its end may be the first half of a line to come.
            let unended = piece.bytes.last() != Some(&b'\n');
            let (offset, line) =
                last_rejected.filter(|_| unended).unwrap_or((piece.upto.size, piece.upto.line));
            let reached = Reached {
                size: piece.upto.size,
                sha256: format!("{:x}", HexBytes(&piece.upto.sha256)),
                head_sha256: format!("{:x}", HexBytes(&piece.upto.head_sha256)),
                offset,
                line,
            };
            let inside = matches!(piece.mode, Mode::Elements { .. });
            let reached = (!inside).then_some(reached);
            result.sources.push(PieceResult { source: *row, counts, span, reached });
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
    for UnitPiece { piece, info, .. } in &unit.pieces {
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
