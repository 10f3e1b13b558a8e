//! A piece of a source: whole records, the place where they start, and bytes that are let go of.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::Mutex;

use crate::event::place::Origin;
use crate::event::place::SourceId;
use crate::event::time::Timestamp;

/// What is known about a source before its first byte is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// Its number, counted in the order of reading.
    pub id: SourceId,
    /// `path`, or `path!member!member`; control characters of member names are replaced.
    pub name: String,
    /// Node, cluster and log as far as the layout around the source tells them.
    pub hint: Origin,
    /// When the file or the member was last changed, if somebody wrote that down.
    pub modified: Option<Timestamp>,
}

/// How the records of a piece are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A record is a line, or a JSON value that starts on a line and spans more of them.
    Lines,
    /// The body holds elements of an array too large for one piece: JSON values and commas.
    /// `head` and `tail` are what stood around them, for an array on its own just the brackets.
    Elements {
        /// From the start of the wrapper to the opening bracket of the array.
        head: Arc<Vec<u8>>,
        /// What closes the array and the wrapper.
        tail: Arc<Vec<u8>>,
    },
    /// Records of a CSV file; this is the source's first line.
    Csv(Arc<Vec<u8>>),
    /// One line that is longer than the limit; the piece holds its beginning only.
    Oversized,
}

/// Whole records of one source; the pieces of a source tile it without gap or overlap.
#[derive(Debug)]
pub struct Piece {
    /// The source.
    pub source: SourceId,
    /// Where the piece starts in the decompressed bytes of the source.
    pub offset: u64,
    /// Number of the line the piece starts on, 1-based.
    pub line: u64,
    /// Bytes of the source it stands for; more than `bytes` only for [`Mode::Oversized`].
    pub length: u64,
    /// Lines that end in it; a last line of the source counts without its line end as well.
    pub lines: u64,
    /// How its records are told apart.
    pub mode: Mode,
    /// What is known about the source up to the end of the piece.
    pub upto: Upto,
    /// The bytes.
    pub bytes: PieceBytes,
    /// The part of `bytes` that holds records, where a wrapper stands around them.
    pub body: std::ops::Range<usize>,
}

/// What is known about a source up to the end of a piece: enough to go on there after a run that
/// was interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upto {
    /// Bytes of the source so far.
    pub size: u64,
    /// Number of the line that follows.
    pub line: u64,
    /// SHA-256 of the bytes so far.
    pub sha256: [u8; 32],
    /// SHA-256 of the first 4096 of them, or of all if there are fewer.
    pub head_sha256: [u8; 32],
}

/// Bytes of a piece; the buffer goes back to its pool when the last owner lets go.
#[derive(Debug)]
pub struct PieceBytes {
    bytes: Vec<u8>,
    pool: Option<Arc<Pool>>,
}

impl PieceBytes {
    /// Wraps bytes that belong to `pool`.
    pub(crate) fn pooled(bytes: Vec<u8>, pool: &Arc<Pool>) -> PieceBytes {
        PieceBytes { bytes, pool: Some(Arc::clone(pool)) }
    }
}

impl From<Vec<u8>> for PieceBytes {
    fn from(bytes: Vec<u8>) -> PieceBytes {
        PieceBytes { bytes, pool: None }
    }
}

impl Deref for PieceBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PieceBytes {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.give(std::mem::take(&mut self.bytes));
        }
    }
}

impl Piece {
    /// Makes a piece of lines out of bytes in memory: for tests and for text that is no file.
    pub fn of_lines(source: SourceId, bytes: Vec<u8>) -> Piece {
        let length = bytes.len();
        let cut_last = bytes.last().is_some_and(|last| *last != b'\n');
        let lines = super::cut::newlines(&bytes) + u64::from(cut_last);
        Piece {
            source,
            offset: 0,
            line: 1,
            length: length as u64,
            lines,
            mode: Mode::Lines,
            upto: Upto::default(),
            bytes: PieceBytes::from(bytes),
            body: 0..length,
        }
    }
}

/// Buffers that wait to be used again, so that memory stays where it is.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Mutex<Vec<Vec<u8>>>,
    largest: usize,
}

/// No more buffers than this wait in a pool.
const WAITING_MAX: usize = 4;

impl Pool {
    /// Makes a pool that keeps buffers of at most `largest` bytes.
    pub(crate) fn new(largest: usize) -> Pool {
        Pool { free: Mutex::new(Vec::new()), largest }
    }

    /// Returns an empty buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.free.lock().ok().and_then(|mut free| free.pop()).unwrap_or_default()
    }

    fn give(&self, mut bytes: Vec<u8>) {
        if bytes.capacity() == 0 || bytes.capacity() > self.largest {
            return;
        }
        bytes.clear();
        if let Ok(mut free) = self.free.lock()
            && free.len() < WAITING_MAX
        {
            free.push(bytes);
        }
    }
}
