//! The reader: paths go in, sources and their pieces come out in a stable order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use crate::event::place::SourceId;
use crate::event::time::Timestamp;

use super::error::SourceError;
use super::piece::Piece;
use super::piece::SourceInfo;
use super::unpack::Unpacker;
use super::walk;

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
    /// Whether the file is the source itself, uncompressed, so that it can be read at an offset.
    pub plain: bool,
    /// What went wrong with the file as a whole.
    pub problem: Option<String>,
}

/// Reads ahead on a thread of its own; dropping it stops the thread.
#[derive(Debug)]
pub struct Reader {
    items: Option<Receiver<ReadItem>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts to read `paths` in the order given; directories are walked in the order of names.
    ///
    /// # Errors
    /// A path that is not there, or no path at all.
    pub fn open(paths: &[PathBuf], options: ReadOptions) -> Result<Reader, SourceError> {
        walk::check(paths)?;
        let (give, items) = sync_channel(options.ahead.max(1));
        let paths = paths.to_vec();
        let thread = std::thread::Builder::new()
            .name("read".to_owned())
            .spawn(move || {
                let mut unpacker = Unpacker::new(options, give);
                for path in &paths {
                    for found in walk::walk(path) {
                        if unpacker.read_found(found).is_err() {
                            return;
                        }
                    }
                }
            })
            .map_err(SourceError::Thread)?;
        Ok(Reader { items: Some(items), thread: Some(thread) })
    }
}

impl Iterator for Reader {
    type Item = ReadItem;
    fn next(&mut self) -> Option<ReadItem> {
        self.items.as_ref()?.recv().ok()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // A closed channel stops the thread at its next piece; a read that blocks (a FIFO nobody
        // writes to) is not waited for.
        self.items = None;
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}
