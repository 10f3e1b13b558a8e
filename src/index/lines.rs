//! Lines that were left in their sources are read again, and what packs leave out is made of them.
//!
//! Whatever comes from here was held against what was written down: the bytes of a source against
//! their SHA-256, the frames made of them against their checksums.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use sha2::Digest as _;
use sha2::Sha256;

use crate::event::json::Tape;
use crate::event::place::Origin;
use crate::event::place::SourceId;
use crate::event::time::Timestamp;
use crate::index::manifest::Manifest;
use crate::index::pack::build::PackBuilder;
use crate::index::pack::left_out::About;
use crate::index::pack::left_out::LeftOut;
use crate::index::pack::left_out::MadeFrames;
use crate::index::pack::left_out::PieceMode;
use crate::index::pack::left_out::PieceRow;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::FrameRef;
use crate::intake::PieceReader;
use crate::intake::parse::Scratch;
use crate::intake::parse::parse_json;
use crate::intake::record::Met;
use crate::intake::record::Record;
use crate::source::Again;
use crate::source::Mode;
use crate::source::NotAgain;
use crate::source::Piece;
use crate::source::PieceBytes;
use crate::source::Run;
use crate::source::SourceInfo;
use crate::source::Upto;

/// Bytes of frames made again that are kept; the oldest are let go of first.
const KEPT_BYTES: usize = 256 << 20;

/// Where a source can be found again.
#[derive(Clone, Debug, Default)]
struct Found {
    name: String,
    member: String,
    paths: Vec<PathBuf>,
}

/// Reads lines again that were left in their sources.
#[derive(Clone, Debug)]
pub struct Lines {
    sources: Arc<Vec<Found>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    again: Again,
    made: Mutex<Made>,
    /// One pack at a time is made again per slot: threads that want the same one wait for it.
    slots: [Mutex<()>; 8],
}

/// Frames made again, by the checksum of their pack.
#[derive(Debug, Default)]
struct Made {
    frames: HashMap<u64, Arc<MadeFrames>>,
    order: VecDeque<u64>,
    bytes: usize,
}

impl Lines {
    /// Knows where the sources of an index were when they were read.
    pub fn new(manifest: &Manifest) -> Lines {
        Lines { sources: Arc::new(found(manifest)), shared: Arc::default() }
    }

    /// Knows more sources; what is open and what was made stays.
    #[must_use]
    pub fn renewed(&self, manifest: &Manifest) -> Lines {
        Lines { sources: Arc::new(found(manifest)), shared: Arc::clone(&self.shared) }
    }

    /// Reads the bytes of a piece again.
    fn piece(&self, row: &PieceRow) -> Result<Piece, String> {
        let nowhere = Found::default();
        let source = self.sources.get(row.source as usize).unwrap_or(&nowhere);
        let length = usize::try_from(row.length).map_err(|error| error.to_string())?;
        let accept = |bytes: &[u8]| Sha256::digest(bytes).as_slice() == row.sha256;
        let mut changed: Option<&Path> = None;
        for path in &source.paths {
            let run =
                Run { path, member: &source.member, rank: row.source, offset: row.offset, length };
            match self.shared.again.run(&run, &accept) {
                Ok(bytes) => return Ok(piece_of(row, bytes)),
                Err(NotAgain::Changed) => changed = Some(path),
                Err(NotAgain::Gone(_)) => {}
            }
        }
        let what = if changed.is_some() { "has changed" } else { "is gone" };
        Err(format!(
            "the source {} {what} since it was indexed: the line {} at byte {} and what follows \
             were left there (--keep-raw=reference) and are needed; put the file back as it was, \
             or give the path it has now to `audithound index`",
            source.name, row.line, row.offset
        ))
    }

    /// Makes what a pack leaves out.
    fn make(&self, about: &About) -> Result<MadeFrames, String> {
        let mut builder = PackBuilder::default();
        let mut reader = PieceReader::new();
        let (mut scratch, mut space) = (Scratch::default(), Tape::default());
        let mut next = 0;
        for row in &about.pieces {
            let piece = self.piece(row)?;
            let info = SourceInfo {
                id: SourceId(row.source),
                name: self.sources.get(row.source as usize).map_or("", |s| &s.name).to_owned(),
                hint: Origin::default(),
                modified: None,
            };
            builder.begin_piece();
            reader.read(&piece, &info, &mut |met, tape| {
                let Met::Event(record) = met else { return };
                // Duplicates and events outside the asked time have no place in the pack.
                if about.places.get(next) != Some(record.place) {
                    return;
                }
                let time = about.times.get(next).copied().filter(|time| *time != NO_TIME);
                next += 1;
                let envelope = parse_envelope(&record, &mut scratch, &mut space);
                builder.push(&record, tape, envelope, time.map(Timestamp));
            });
        }
        let made = builder.left_out().map_err(|error| error.to_string())?;
        let fits = |(number, frame): &(u32, FrameRef)| {
            made.get(number).is_some_and(|plain| frame.fits(plain))
        };
        if next != about.places.len() || !about.frames.iter().all(fits) {
            return Err(
                "the lines that were left in their source are there, but this version of the \
                 program takes them apart differently from the one that indexed them; index the \
                 evidence again"
                    .to_owned(),
            );
        }
        Ok(made)
    }
}

impl LeftOut for Lines {
    fn frames(
        &self,
        sum: u64,
        about: &dyn Fn() -> Result<About, Damage>,
    ) -> Result<Arc<MadeFrames>, String> {
        let slots = &self.shared.slots;
        let slot = slots.get(sum as usize % slots.len());
        let _busy = slot.map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(made) = self.shared.lock().frames.get(&sum) {
            return Ok(Arc::clone(made));
        }
        let about = about().map_err(|damage| damage.what.to_owned())?;
        let made = Arc::new(self.make(&about)?);
        self.shared.lock().keep(sum, Arc::clone(&made));
        Ok(made)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    fn keep(&mut self, pack: u64, made: Arc<MadeFrames>) {
        let size = |made: &MadeFrames| made.values().map(Vec::len).sum::<usize>();
        self.bytes += size(&made);
        self.order.push_back(pack);
        self.frames.insert(pack, made);
        while self.bytes > KEPT_BYTES && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.frames.remove(&oldest).map_or(0, |made| size(&made));
        }
    }
}

fn piece_of(row: &PieceRow, bytes: Vec<u8>) -> Piece {
    let mode = match &row.mode {
        PieceMode::Lines => Mode::Lines,
        PieceMode::Elements(head, tail) => {
            Mode::Elements { head: Arc::new(head.clone()), tail: Arc::new(tail.clone()) }
        }
        PieceMode::Csv(header) => Mode::Csv(Arc::new(header.clone())),
    };
    Piece {
        source: SourceId(row.source),
        offset: row.offset,
        line: row.line,
        length: row.length,
        lines: 0,
        mode,
        upto: Upto::default(),
        body: row.body.start as usize..row.body.end as usize,
        bytes: PieceBytes::from(bytes),
    }
}

/// What a pack must remember of a piece to have it again; `None` for a line that was too long,
/// which holds no events.
pub(super) fn piece_row(source: SourceId, piece: &Piece) -> Option<PieceRow> {
    let mode = match &piece.mode {
        Mode::Lines => PieceMode::Lines,
        Mode::Elements { head, tail } => PieceMode::Elements(head.to_vec(), tail.to_vec()),
        Mode::Csv(header) => PieceMode::Csv(header.to_vec()),
        Mode::Oversized => return None,
    };
    Some(PieceRow {
        source: source.0,
        offset: piece.offset,
        length: piece.bytes.len() as u64,
        line: piece.line,
        body: piece.body.start as u64..piece.body.end as u64,
        mode,
        sha256: Sha256::digest(&*piece.bytes).into(),
    })
}

/// Splits the name of a source into its file, if that can be read again, and the members' part.
///
/// Names are labels: one that a path with odd characters got leads nowhere, and a FIFO or standard
/// input gives its bytes only once.
pub(super) fn file_of(name: &str) -> Option<(PathBuf, &str)> {
    let ends = std::iter::once(name.len()).chain(name.rmatch_indices('!').map(|(at, _)| at));
    for end in ends {
        let (path, member) = name.split_at_checked(end)?;
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            let path = std::path::absolute(path).ok()?;
            // It must come back from the manifest, which is text.
            return path.to_str().is_some().then_some((path, member));
        }
    }
    None
}

/// Parses the envelope beside an event, if there is one.
pub(super) fn parse_envelope<'t>(
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

/// Lists for each source the paths it may have now, likeliest first.
fn found(manifest: &Manifest) -> Vec<Found> {
    let mut all: Vec<Found> = manifest
        .sources
        .iter()
        .map(|row| {
            let left = row.left.clone().unwrap_or_default();
            let paths = if left.path.is_empty() { vec![] } else { vec![left.path.into()] };
            Found { name: row.name.clone(), member: left.member, paths }
        })
        .collect();
    // The same content under other names: found again by hash, or the same start, grown.
    let mut grown: HashMap<&str, Vec<&str>> = HashMap::new();
    for file in &manifest.files {
        if file.plain {
            grown.entry(&file.head_sha256).or_default().extend(paths_of(file));
        }
    }
    for file in &manifest.files {
        for source in &file.sources {
            add(&mut all, *source, paths_of(file));
        }
    }
    for (number, row) in manifest.sources.iter().enumerate() {
        let Some(reached) = row.reached.as_ref().filter(|_| row.left.is_some()) else { continue };
        let others = grown.get(reached.head_sha256.as_str()).into_iter().flatten().copied();
        if all.get(number).is_some_and(|found| found.member.is_empty()) {
            add(&mut all, number as u32, others);
        }
    }
    all
}

fn paths_of(file: &crate::index::manifest::FileRow) -> impl Iterator<Item = &str> {
    std::iter::once(file.name.as_str()).chain(file.also.iter().map(String::as_str))
}

fn add<'p>(all: &mut [Found], source: u32, paths: impl Iterator<Item = &'p str>) {
    let Some(found) = all.get_mut(source as usize) else { return };
    for path in paths {
        let path = PathBuf::from(path);
        if !found.paths.contains(&path) {
            found.paths.push(path);
        }
    }
}
