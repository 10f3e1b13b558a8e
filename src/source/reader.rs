//! The reader: paths go in, sources and their pieces come out in a stable order.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::sync_channel;

use crate::event::place::SourceId;
use crate::event::time::Timestamp;

use super::before::Before;
use super::before::History;
use super::error::SourceError;
use super::piece::Piece;
use super::piece::SourceInfo;
use super::unpack::Unpacker;
use super::walk;
use super::walk::Found;

/// How to read, and what to refuse.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Bytes a piece should have; a piece is longer only where a record is.
    pub piece_bytes: usize,
    /// Longest record that is looked at; a longer line is rejected by its place.
    pub record_max: usize,
    /// Containers inside containers that are opened.
    pub depth_max: usize,
    /// Bytes that may come out of one compressed byte, once `expansion_free` is passed.
    pub expansion_max: u64,
    /// Bytes that may come out of any file without a look at the ratio.
    pub expansion_free: u64,
    /// Largest archive inside an archive that must be held in memory whole (zip and 7z).
    pub held_max: u64,
    /// Pieces that may wait to be taken.
    pub ahead: usize,
    /// Files that are read, decompressed and hashed at the same time; their items do not mix.
    pub lanes: usize,
    /// Folders that are not entered: an index that lies among its own evidence.
    pub skip: Vec<PathBuf>,
    /// What was read before and need not be read again.
    pub before: Arc<Before>,
    /// Number of the first source, for an index that has some already.
    pub first_id: SourceId,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions {
            piece_bytes: 16 << 20,
            record_max: 1 << 30,
            depth_max: 6,
            expansion_max: 1000,
            expansion_free: 1 << 30,
            held_max: 256 << 20,
            ahead: 2,
            // One lane feeds some cores: inflating is several times faster than indexing.
            lanes: std::thread::available_parallelism().map_or(1, |n| (n.get() / 4).clamp(1, 8)),
            skip: Vec::new(),
            before: Arc::default(),
            first_id: SourceId(0),
        }
    }
}

/// What the reader says, in this order for each file given or found:
/// for each source in it `Start`, its `Piece`s, `End`; then one `File`.
/// `Refused` may stand anywhere between sources.
#[derive(Debug)]
pub enum ReadItem {
    /// A source begins.
    Start(Arc<SourceInfo>),
    /// The next records of the source that began last.
    Piece(Piece),
    /// The source ends.
    End(SourceEnd),
    /// The file that held the sources since the last `File` was read to its end.
    File(FileEnd),
    /// Something was not read.
    Refused {
        /// What.
        name: String,
        /// Why, one clause.
        reason: String,
    },
}

/// What is known about a source after its last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceEnd {
    /// The source.
    pub id: SourceId,
    /// Its size, decompressed.
    pub size: u64,
    /// SHA-256 of its decompressed bytes.
    pub sha256: [u8; 32],
    /// What went wrong; the records before it were given out.
    pub problem: Option<String>,
}

/// What is known about a file after its last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEnd {
    /// Its path as text, `-` for standard input; the first part of the name of its sources.
    pub name: String,
    /// The path itself, `None` for standard input.
    pub path: Option<PathBuf>,
    /// Its size on disk.
    pub size: u64,
    /// SHA-256 of its bytes on disk.
    pub sha256: [u8; 32],
    /// When it was last changed.
    pub modified: Option<Timestamp>,
    /// Number of its first source; its sources follow one another.
    pub first: SourceId,
    /// How many sources it held.
    pub sources: u32,
    /// SHA-256 of its first 4096 bytes, or of all if it has fewer.
    pub head_sha256: [u8; 32],
    /// How it stands to what was read before.
    pub history: History,
    /// Whether the file is the source itself, uncompressed, so that it can be read at an offset.
    pub plain: bool,
    /// What went wrong with the file as a whole.
    pub problem: Option<String>,
}

/// Reads ahead on threads of its own; dropping it stops them.
///
/// Each file has a lane: a thread and a channel.  Lanes run side by side, but their items are given
/// out one file after the other, so what comes out does not depend on how many there are.
pub struct Reader {
    options: ReadOptions,
    found: Box<dyn Iterator<Item = Found> + Send>,
    lanes: VecDeque<Receiver<ReadItem>>,
    /// Sources of the files that were given out whole.
    passed: u32,
    /// Sources of the file that is given out.
    started: u32,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader of {} lanes, {} sources passed", self.lanes.len(), self.passed)
    }
}

impl Reader {
    /// Starts to read `paths` in the order given; directories are walked in the order of names.
    ///
    /// # Errors
    /// A path that is not there, or no path at all.
    pub fn open(paths: &[PathBuf], options: ReadOptions) -> Result<Reader, SourceError> {
        walk::check(paths)?;
        let owned: Vec<PathBuf> = paths.to_vec();
        let skip: Vec<PathBuf> =
            options.skip.iter().filter_map(|path| path.canonicalize().ok()).collect();
        let found = Box::new(owned.into_iter().flat_map(move |path| walk::walk(&path, &skip)));
        let passed = options.first_id.0;
        let mut reader = Reader { options, found, lanes: VecDeque::new(), passed, started: 0 };
        reader.fill_lanes().map_err(SourceError::Thread)?;
        Ok(reader)
    }

    /// Starts lanes for the next files.
    fn fill_lanes(&mut self) -> std::io::Result<()> {
        while self.lanes.len() < self.options.lanes.max(1) {
            let Some(found) = self.found.next() else { break };
            let (give, items) = sync_channel(self.options.ahead.max(1));
            let options = self.options.clone();
            let name = "read".to_owned();
            // A closed channel stops the thread at its next piece; one that waits in a read (a
            // FIFO nobody writes to) is left alone.
            std::thread::Builder::new().name(name).spawn(move || {
                let _ = Unpacker::new(options, give).read_found(found);
            })?;
            self.lanes.push_back(items);
        }
        Ok(())
    }

    /// Turns the numbers of sources, which each lane counts from 0, into those of the whole run.
    fn number(&mut self, mut item: ReadItem) -> ReadItem {
        let base = self.passed;
        match &mut item {
            ReadItem::Start(info) => {
                self.started += 1;
                let info = Arc::make_mut(info);
                info.id = SourceId(base + info.id.0);
            }
            ReadItem::Piece(piece) => piece.source = SourceId(base + piece.source.0),
            ReadItem::End(end) => end.id = SourceId(base + end.id.0),
            ReadItem::File(file) => file.first = SourceId(base + file.first.0),
            ReadItem::Refused { .. } => {}
        }
        item
    }
}

impl Iterator for Reader {
    type Item = ReadItem;
    fn next(&mut self) -> Option<ReadItem> {
        loop {
            let lane = self.lanes.front()?;
            if let Ok(item) = lane.recv() {
                return Some(self.number(item));
            }
            self.lanes.pop_front();
            self.passed += std::mem::take(&mut self.started);
            if let Err(error) = self.fill_lanes() {
                let reason = format!("cannot start a thread to read with: {error}");
                return Some(ReadItem::Refused { name: "the next file".to_owned(), reason });
            }
        }
    }
}
