//! What a pack leaves out where the lines stay in their sources, and how it is had again.
//!
//! The frames of bodies, envelopes and enclosing lines can be made again from the records the pack
//! was made of: the builder is a function of these and of nothing else.  So such a pack holds the
//! runs of bytes they stand in ([`PieceRow`]), with their SHA-256, and of every frame left out the
//! length and a checksum.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::index::pack::layout::number;
use crate::index::pack::place_list::Places;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::FrameRef;
use crate::index::pack::wire::Short;
use crate::index::pack::wire::put;
use crate::index::pack::wire::put_bytes;

/// Frames left out, by their number, as they were before compression.
pub type MadeFrames = HashMap<u32, Vec<u8>>;

/// Makes frames again that a pack leaves out; packs know no files, whoever opens them does.
pub trait LeftOut: std::fmt::Debug + Send + Sync {
    /// Returns all frames that the pack with this checksum leaves out; `about` says what they are
    /// made of, and is asked where they are not at hand.
    ///
    /// # Errors
    /// A sentence that names the source, the place in it, and what to do.
    fn frames(
        &self,
        sum: u64,
        about: &dyn Fn() -> Result<About, Damage>,
    ) -> Result<Arc<MadeFrames>, String>;
}

/// What the frames that a pack leaves out are made of, and what they must be.
#[derive(Clone, Debug)]
pub struct About {
    /// Where the events stand.
    pub pieces: Vec<PieceRow>,
    /// Which of the records there are in the pack.
    pub places: Arc<Places>,
    /// Their times.
    pub times: Arc<Vec<i64>>,
    /// The frames.
    pub frames: Vec<(u32, FrameRef)>,
}

/// Stands in [`Damage::what`] for "the lines are needed and cannot be read"; the sentence about it
/// is the pack's to tell.
pub const UNREADABLE: &str = "lines that were left in their source cannot be read";

impl Damage {
    /// Says whether nothing is damaged, but a source is not what it was.
    pub fn is_unreadable(&self) -> bool {
        self.what == UNREADABLE
    }
}

/// How the records of a piece are told apart; see `source::Mode`, which this mirrors on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PieceMode {
    /// Lines.
    Lines,
    /// Elements of an array, between these two texts.
    Elements(Vec<u8>, Vec<u8>),
    /// Rows of CSV below this header.
    Csv(Vec<u8>),
}

/// A run of bytes of a source that some events of a pack were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceRow {
    /// The source, by its row in the manifest.
    pub source: u32,
    /// Where the run starts, in decompressed bytes.
    pub offset: u64,
    /// Its length.
    pub length: u64,
    /// Number of its first line.
    pub line: u64,
    /// The part of it that holds records.
    pub body: Range<u64>,
    /// How records are told apart.
    pub mode: PieceMode,
    /// SHA-256 of the run.
    pub sha256: [u8; 32],
}

/// Appends rows.
pub fn write_pieces(rows: &[PieceRow], out: &mut Vec<u8>) {
    put(out, rows.len() as u64);
    for row in rows {
        put(out, u64::from(row.source));
        for value in [row.offset, row.length, row.line, row.body.start, row.body.end] {
            put(out, value);
        }
        match &row.mode {
            PieceMode::Lines => put(out, 0),
            PieceMode::Elements(head, tail) => {
                put(out, 1);
                put_bytes(out, head);
                put_bytes(out, tail);
            }
            PieceMode::Csv(header) => {
                put(out, 2);
                put_bytes(out, header);
            }
        }
        out.extend_from_slice(&row.sha256);
    }
}

/// Reads rows back.
///
/// # Errors
/// When the bytes are not what [`write_pieces`] wrote.
pub fn read_pieces(bytes: &[u8]) -> Result<Vec<PieceRow>, Short> {
    let mut cursor = Cursor::new(bytes);
    let n = cursor.get_len(bytes.len())?;
    let mut rows = Vec::with_capacity(n);
    for _ in 0..n {
        let source = number(&mut cursor)?;
        let (offset, length, line) = (cursor.get()?, cursor.get()?, cursor.get()?);
        let body = cursor.get()?..cursor.get()?;
        let mode = match cursor.get()? {
            0 => PieceMode::Lines,
            1 => PieceMode::Elements(cursor.get_bytes()?.to_vec(), cursor.get_bytes()?.to_vec()),
            2 => PieceMode::Csv(cursor.get_bytes()?.to_vec()),
            _ => return Err(Short),
        };
        let sha256 = cursor.take(32)?.try_into().map_err(|_| Short)?;
        rows.push(PieceRow { source, offset, length, line, body, mode, sha256 });
    }
    if cursor.is_done() { Ok(rows) } else { Err(Short) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_short_ones_do_not() {
        let row = |mode| PieceRow {
            source: 3,
            offset: 1 << 40,
            length: 17,
            line: 5,
            body: 1..16,
            mode,
            sha256: [7; 32],
        };
        let rows = [
            row(PieceMode::Lines),
            row(PieceMode::Elements(b"{\"items\":[".to_vec(), b"]}".to_vec())),
            row(PieceMode::Csv(b"_raw\n".to_vec())),
        ];
        let mut out = Vec::new();
        write_pieces(&rows, &mut out);
        assert_eq!(read_pieces(&out).unwrap(), rows);
        for cut in 0..out.len() {
            assert!(read_pieces(&out[..cut]).is_err(), "{cut}");
        }
    }
}
