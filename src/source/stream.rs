//! A stream of bytes becomes the pieces of one source, counted and hashed on the way.

use std::io::Read;

use sha2::Digest;
use sha2::Sha256;

use super::cut;
use super::piece::Mode;
use super::piece::Piece;
use super::piece::PieceBytes;
use super::reader::ReadItem;
use super::reader::SourceEnd;
use super::unpack::Outlet;
use super::unpack::Stopped;
use crate::event::place::SourceId;

/// Bytes of an oversized line that are kept to show what it was.
const OVERSIZED_KEPT: usize = 64 << 10;

/// Reads one source to its end.
pub(crate) struct Stream<'r> {
    reader: &'r mut dyn Read,
    window: Vec<u8>,
    id: SourceId,
    offset: u64,
    line: u64,
    hash: Sha256,
    ended: bool,
    problem: Option<String>,
}

impl<'r> Stream<'r> {
    /// Makes a stream whose first bytes were read already.
    pub(crate) fn new(id: SourceId, head: &[u8], reader: &'r mut dyn Read, out: &Outlet) -> Self {
        let mut window = out.pool.take();
        window.extend_from_slice(head);
        Stream {
            reader,
            window,
            id,
            offset: 0,
            line: 1,
            hash: Sha256::new(),
            ended: false,
            problem: None,
        }
    }

    /// Gives out all pieces.
    pub(crate) fn run(mut self, out: &mut Outlet) -> Result<SourceEnd, Stopped> {
        let (piece_bytes, record_max) = (out.options.piece_bytes, out.options.record_max);
        let mut want = piece_bytes;
        loop {
            self.fill(want);
            let end =
                if self.ended { Some(self.window.len()) } else { cut::lines_end(&self.window) };
            match end {
                Some(0) => break,
                Some(end) => {
                    self.give(end, Mode::Lines, out)?;
                    want = piece_bytes;
                }
                None if self.window.len() < record_max => {
                    want = self.window.len().saturating_mul(2).min(record_max);
                }
                None => {
                    self.skip_long(out)?;
                    want = piece_bytes;
                }
            }
        }
        Ok(SourceEnd {
            id: self.id,
            size: self.offset,
            sha256: self.hash.finalize().into(),
            problem: self.problem,
        })
    }

    /// Reads until the window holds `want` bytes or the stream ends.
    fn fill(&mut self, want: usize) {
        while !self.ended && self.window.len() < want {
            let room = want - self.window.len();
            self.window.reserve(room);
            match (&mut *self.reader).take(room as u64).read_to_end(&mut self.window) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) => {
                    self.problem = Some(error.to_string());
                    self.ended = true;
                }
            }
        }
    }

    /// Gives out the first `end` bytes of the window.
    fn give(&mut self, end: usize, mode: Mode, out: &mut Outlet) -> Result<(), Stopped> {
        let mut next = out.pool.take();
        next.extend_from_slice(self.window.get(end..).unwrap_or_default());
        let mut bytes = std::mem::replace(&mut self.window, next);
        bytes.truncate(end);
        self.send(bytes, end as u64, mode, out)
    }

    fn send(
        &mut self,
        bytes: Vec<u8>,
        length: u64,
        mode: Mode,
        out: &mut Outlet,
    ) -> Result<(), Stopped> {
        let lines = cut::newlines(&bytes);
        if mode != Mode::Oversized {
            self.hash.update(&bytes);
        }
        let body = 0..bytes.len();
        let piece = Piece {
            source: self.id,
            offset: self.offset,
            line: self.line,
            length,
            mode,
            bytes: PieceBytes::pooled(bytes, &out.pool),
            body,
        };
        self.offset += length;
        self.line += lines;
        out.send(ReadItem::Piece(piece))
    }

    /// Passes over a record that is longer than the limit, to the next line end.
    fn skip_long(&mut self, out: &mut Outlet) -> Result<(), Stopped> {
        // Lines that end inside the window but start like the inside of a record are passed over
        // with it: nothing in front of them was a record either.
        let kept = self.window.get(..OVERSIZED_KEPT).unwrap_or(&self.window).to_vec();
        let mut length = 0_u64;
        let mut lines = 0;
        loop {
            let found = memchr::memchr(b'\n', &self.window);
            let end = found.map_or(self.window.len(), |at| at + 1);
            let passed = self.window.get(..end).unwrap_or_default();
            self.hash.update(passed);
            length += end as u64;
            lines += u64::from(found.is_some());
            self.window.drain(..end);
            if found.is_some() || self.ended {
                break;
            }
            self.fill(out.options.piece_bytes);
        }
        let inside = cut::newlines(&kept);
        self.send(kept, length, Mode::Oversized, out)?;
        self.line = self.line + lines - inside;
        Ok(())
    }
}
