//! A stream of bytes becomes the pieces of one source, counted and hashed on the way.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;

use super::before::HeadHash;
use super::before::Resume;
use super::brackets::Elements;
use super::brackets::element_indent;
use super::brackets::elements_end;
use super::brackets::wrapped_array;
use super::brackets::wrappers_end;
use super::cut;
use super::piece::Mode;
use super::piece::Piece;
use super::piece::PieceBytes;
use super::piece::Upto;
use super::reader::ReadItem;
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
    head: HeadHash,
    /// SHA-256 of the start of the source, where its start is not read.
    head_before: Option<[u8; 32]>,
    ended: bool,
    problem: Option<String>,
    state: State,
}

/// What is known about a stream after its last byte.
#[derive(Clone, Debug)]
pub(crate) struct Streamed {
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) head_sha256: [u8; 32],
    pub(crate) problem: Option<String>,
}

/// How the window is cut.
#[derive(Clone, PartialEq, Eq)]
enum State {
    Lines,
    /// Inside an array too large for one piece.
    Elements {
        head: Arc<Vec<u8>>,
        tail: Arc<Vec<u8>>,
        indent: Option<usize>,
    },
    Csv(Arc<Vec<u8>>),
}

/// Whole records at the start of the window.
struct Cut {
    end: usize,
    body: Range<usize>,
    mode: Mode,
}

impl Cut {
    fn of(end: usize, mode: Mode) -> Cut {
        Cut { end, body: 0..end, mode }
    }
}

impl<'r> Stream<'r> {
    /// Makes a stream whose first bytes were read already.
    pub(crate) fn new(
        id: SourceId,
        head: &[u8],
        reader: &'r mut dyn Read,
        out: &Outlet,
        resume: Option<Resume>,
    ) -> Self {
        let mut window = out.pool.take();
        window.extend_from_slice(head);
        let head_before = resume.as_ref().map(|resume| resume.head_sha256);
        let resume = resume.unwrap_or_else(|| Resume {
            offset: 0,
            line: 1,
            hash: Sha256::new(),
            csv_header: None,
            head_sha256: [0; 32],
        });
        let state = match resume.csv_header {
            Some(header) => State::Csv(Arc::new(header)),
            None => State::Lines,
        };
        Stream {
            reader,
            window,
            id,
            offset: resume.offset,
            line: resume.line,
            hash: resume.hash,
            head: HeadHash::default(),
            head_before,
            ended: false,
            problem: None,
            state,
        }
    }

    /// Gives out all pieces.
    pub(crate) fn run(mut self, out: &mut Outlet) -> Result<Streamed, Stopped> {
        let (piece_bytes, record_max) = (out.options.piece_bytes, out.options.record_max);
        let mut want = piece_bytes;
        loop {
            self.fill(want);
            match self.next_cut() {
                Some(cut) if cut.end == 0 => break,
                Some(cut) => {
                    self.give(cut, out)?;
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
        Ok(Streamed {
            size: self.offset,
            sha256: self.hash.finalize().into(),
            head_sha256: self.head.finish(),
            problem: self.problem,
        })
    }

    /// Says how much of the window is whole records; `None` if more must be read to know.
    fn next_cut(&mut self) -> Option<Cut> {
        if self.offset == 0
            && self.state == State::Lines
            && let Some(length) = cut::csv_header(&self.window)
        {
            let header = self.window.get(..length).unwrap_or_default().to_vec();
            self.state = State::Csv(Arc::new(header));
        }
        match self.state.clone() {
            State::Lines => self.lines_cut(),
            State::Csv(header) => {
                let all = self.window.len();
                let end = if self.ended { all } else { cut::csv_end(&self.window)? };
                let start = if self.offset == 0 { header.len() } else { 0 };
                Some(Cut { end, body: start.min(end)..end, mode: Mode::Csv(header) })
            }
            State::Elements { head, tail, indent } => self.elements_cut(&head, &tail, indent, 0),
        }
    }

    fn lines_cut(&mut self) -> Option<Cut> {
        let window = &self.window;
        if self.ended {
            return Some(Cut::of(window.len(), Mode::Lines));
        }
        if let Some(end) = cut::lines_end(window).or_else(|| cut::values_end(window)) {
            return Some(Cut::of(end, Mode::Lines));
        }
        // One record is larger than a piece: an array can still be read element by element.
        let array = wrapped_array(window)?;
        let start = array.at + 1;
        let inside = window.get(start..).unwrap_or_default();
        let indent = element_indent(inside);
        if !matches!(elements_end(inside, indent), Elements::Open(end) if end > 0) {
            return None;
        }
        let head = Arc::new(window.get(..start).unwrap_or_default().to_vec());
        let tail = Arc::new(array.tail);
        self.state = State::Elements { head: Arc::clone(&head), tail: Arc::clone(&tail), indent };
        self.elements_cut(&head, &tail, indent, start)
    }

    fn elements_cut(
        &mut self,
        head: &Arc<Vec<u8>>,
        tail: &Arc<Vec<u8>>,
        indent: Option<usize>,
        start: usize,
    ) -> Option<Cut> {
        let mode = Mode::Elements { head: Arc::clone(head), tail: Arc::clone(tail) };
        let all = self.window.len();
        let inside = self.window.get(start..).unwrap_or_default();
        match elements_end(inside, indent) {
            Elements::Open(0) if self.ended => Some(Cut { end: all, body: start..all, mode }),
            Elements::Open(0) => None,
            Elements::Open(end) => {
                let end = start + end;
                Some(Cut { end, body: start..end, mode })
            }
            Elements::Closed(at) => {
                let close = start + at;
                let end = wrappers_end(&self.window, close + 1, tail.len().saturating_sub(1));
                let end = match end {
                    Some(end) => end,
                    None if self.ended => all,
                    None => return None,
                };
                let rest = self.window.get(end..).unwrap_or_default();
                let blank = rest.iter().take_while(|c| matches!(c, b' ' | b'\t' | b'\r')).count();
                let line = rest.get(blank) == Some(&b'\n');
                self.state = State::Lines;
                Some(Cut {
                    end: if line { end + blank + 1 } else { end },
                    body: start..close,
                    mode,
                })
            }
        }
    }

    /// Reads until the window holds `want` bytes or the stream ends.
    fn fill(&mut self, want: usize) {
        while !self.ended && self.window.len() < want {
            let room = want - self.window.len();
            self.window.reserve_exact(room);
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

    /// Gives out the start of the window.
    fn give(&mut self, cut: Cut, out: &mut Outlet) -> Result<(), Stopped> {
        let mut next = out.pool.take();
        next.extend_from_slice(self.window.get(cut.end..).unwrap_or_default());
        let mut bytes = std::mem::replace(&mut self.window, next);
        bytes.truncate(cut.end);
        self.hash.update(&bytes);
        self.head.update(&bytes);
        let lines = cut::newlines(&bytes);
        let cut_last = self.ended && self.window.is_empty() && bytes.last() != Some(&b'\n');
        let counts = (cut.end as u64, lines, lines + u64::from(cut_last));
        self.send(bytes, counts, cut.body, cut.mode, out)
    }

    fn send(
        &mut self,
        bytes: Vec<u8>,
        (length, ends, lines): (u64, u64, u64),
        body: Range<usize>,
        mode: Mode,
        out: &mut Outlet,
    ) -> Result<(), Stopped> {
        let piece = Piece {
            source: self.id,
            offset: self.offset,
            line: self.line,
            length,
            lines,
            mode,
            upto: Upto {
                size: self.offset + length,
                line: self.line + ends,
                sha256: self.hash.clone().finalize().into(),
                head_sha256: self.head_before.unwrap_or_else(|| self.head.clone().finish()),
            },
            bytes: PieceBytes::pooled(bytes, &out.pool),
            body,
        };
        self.offset += length;
        self.line += ends;
        out.send(ReadItem::Piece(piece))
    }

    /// Passes over a record that is longer than the limit: what of it is in the window, and the
    /// rest of its last line.
    fn skip_long(&mut self, out: &mut Outlet) -> Result<(), Stopped> {
        let kept = self.window.get(..OVERSIZED_KEPT).unwrap_or(&self.window).to_vec();
        let (mut length, mut ends) = (0_u64, 0);
        loop {
            // The lines in the window all belong to a value that starts with it and has no end in
            // it; they go together, or each of them would be looked at with all behind it again.
            let found = if length == 0 {
                memchr::memrchr(b'\n', &self.window)
            } else {
                memchr::memchr(b'\n', &self.window)
            };
            let end = found.map_or(self.window.len(), |at| at + 1);
            let passed = self.window.get(..end).unwrap_or_default();
            self.hash.update(passed);
            self.head.update(passed);
            length += end as u64;
            ends += cut::newlines(passed);
            self.window.drain(..end);
            if found.is_some() || self.ended {
                break;
            }
            self.fill(out.options.piece_bytes);
        }
        let body = 0..kept.len();
        self.send(kept, (length, ends, ends.max(1)), body, Mode::Oversized, out)
    }
}
