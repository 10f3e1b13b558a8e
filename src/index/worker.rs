//! What one worker does: a unit is parsed and packed, its duplicates are left out, its pack written.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use crate::event::audit_event::event_time;
use crate::event::json::Tape;
use crate::event::place::Flag;
use crate::event::time::Timestamp;
use crate::index::commit::PieceResult;
use crate::index::commit::RejectedRow;
use crate::index::commit::UnitResult;
use crate::index::error::IndexError;
use crate::index::feed::Unit;
use crate::index::feed::UnitPiece;
use crate::index::lines::parse_envelope;
use crate::index::lines::piece_row;
use crate::index::manifest::Counts;
use crate::index::manifest::HexBytes;
use crate::index::manifest::Reached;
use crate::index::options::BuildOptions;
use crate::index::options::Progress;
use crate::index::options::StageTimes;
use crate::index::pack::build::PackBuilder;
use crate::index::pack::left_out::PieceRow;
use crate::index::pack::wire::FrameWriter;
use crate::index::turn::Turn;
use crate::intake::PieceReader;
use crate::intake::parse::Scratch;
use crate::intake::record::Met;
use crate::intake::record::Record;
use crate::source::Mode;
use crate::source::SourceInfo;

/// What one worker does until there are no units left.
pub(super) fn work(
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
pub(super) const PACK_LEVEL: i32 = 3;

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
        // One source that cannot be read again, and the pack holds all its lines.
        let refers = unit.pieces.iter().all(|piece| piece.left);
        let pieces: Option<Vec<PieceRow>> = refers.then(|| {
            unit.pieces.iter().filter_map(|unit| piece_row(unit.row, &unit.piece)).collect()
        });
        drop(unit);
        if !self.builder.is_empty() {
            let pieces = pieces.as_deref();
            let made = match (self.options.derive, pieces) {
                (Some(derive), _) => self.builder.finish_with(derive, pieces, writer),
                (None, Some(pieces)) => self.builder.finish_referring(pieces, writer),
                (None, None) => self.builder.finish(writer),
            };
            let pack =
                made.map_err(|error| IndexError::io("compress", &self.options.dir, error))?;
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
        for unit in &unit.pieces {
            let UnitPiece { piece, info, row, .. } = unit;
            builder.begin_piece();
            let mut outside = 0;
            let mut span: Option<(i64, i64)> = None;
            // Where the last record starts, if it is none.
            let mut last_rejected = None;
            let tally = reader.read(piece, info, &mut |met, tape| match met {
                Met::Event(mut record) => {
                    last_rejected = None;
                    record.place.source = *row;
                    let time = complete(&mut record, tape, info, options);
                    if !unit.takes(time) {
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

/// Returns the texts of some events of a unit (ascending numbers), read once more.
fn self_texts(unit: &Unit, options: &BuildOptions, events: &[u32]) -> Vec<Vec<u8>> {
    let mut texts = Vec::with_capacity(events.len());
    let mut wanted = events.iter().copied().peekable();
    let mut number = 0_u32;
    let mut reader = PieceReader::new();
    for unit in &unit.pieces {
        let UnitPiece { piece, info, .. } = unit;
        reader.read(piece, info, &mut |met, tape| {
            if let Met::Event(mut record) = met {
                let time = complete(&mut record, tape, info, options);
                if !unit.takes(time) {
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
