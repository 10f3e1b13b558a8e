//! What the tests of this room share: records as owned text.

use std::path::PathBuf;

use super::piece_reader::PieceReader;
use super::record::Met;
use super::tally::Tally;
use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::place::SourceId;
use crate::event::time::Timestamp;
use crate::source::Mode;
use crate::source::Piece;
use crate::source::ReadItem;
use crate::source::ReadOptions;
use crate::source::Reader;
use crate::source::SourceInfo;

/// One record, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: &'static str,
    pub(crate) source: String,
    pub(crate) offset: u64,
    pub(crate) line: u64,
    pub(crate) item: u32,
    pub(crate) raw: String,
    pub(crate) event: String,
    pub(crate) envelope: Option<String>,
    pub(crate) origin: Origin,
    pub(crate) flags: Vec<Flag>,
    pub(crate) envelope_time: Option<Timestamp>,
    pub(crate) format: &'static str,
    pub(crate) reason: String,
}

impl Seen {
    /// The value at a path of the event, as text.
    pub(crate) fn at(&self, path: &[&str]) -> Option<String> {
        let mut here: serde_json::Value = serde_json::from_str(&self.event).unwrap();
        for key in path {
            here = match key.parse::<usize>() {
                Ok(at) if here.is_array() => here.get(at)?.clone(),
                _ => here.get(key)?.clone(),
            };
        }
        Some(match here {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        })
    }
}

fn info(name: &str) -> SourceInfo {
    SourceInfo { id: SourceId(0), name: name.to_owned(), hint: Origin::default(), modified: None }
}

fn read_piece(
    reader: &mut PieceReader,
    piece: &Piece,
    info: &SourceInfo,
    seen: &mut Vec<Seen>,
) -> Tally {
    reader.read(piece, info, &mut |met, tape| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let base = Seen { source: info.name.clone(), ..Seen::default() };
        seen.push(match met {
            Met::Blank => Seen { kind: "blank", ..base },
            Met::Rejected(rejected) => Seen {
                kind: "rejected",
                offset: rejected.place.offset,
                line: rejected.place.line,
                item: rejected.place.item,
                raw: text(&rejected.raw),
                reason: rejected.reason,
                ..base
            },
            Met::Event(record) => {
                let mut own = crate::event::json::Tape::default();
                crate::event::json::parse_lenient(&record.event, &mut own).unwrap();
                assert_eq!(&own, tape, "{}", text(&record.event));
                Seen {
                    kind: "event",
                    offset: record.place.offset,
                    line: record.place.line,
                    item: record.place.item,
                    raw: text(record.raw),
                    event: text(&record.event),
                    envelope: record.envelope.as_deref().map(text),
                    origin: record.origin,
                    flags: record.flags,
                    envelope_time: record.envelope_time,
                    format: record.format,
                    ..base
                }
            }
        });
    })
}

/// Reads bytes as one piece of lines.
pub(crate) fn meet(bytes: &[u8]) -> (Vec<Seen>, Tally) {
    let mut seen = Vec::new();
    let piece = Piece::of_lines(SourceId(0), bytes.to_vec());
    let tally = read_piece(&mut PieceReader::new(), &piece, &info("test"), &mut seen);
    assert!(tally.balances(), "{tally:?}");
    assert_eq!(tally.records, seen.len() as u64);
    (seen, tally)
}

/// What a whole run over paths gave.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) seen: Vec<Seen>,
    pub(crate) tally: Tally,
    pub(crate) sources: Vec<String>,
    pub(crate) sizes: Vec<u64>,
    pub(crate) problems: Vec<String>,
    pub(crate) refused: Vec<(String, String)>,
    pub(crate) files: usize,
}

/// Reads paths, checks that the pieces tile their sources, and collects everything.
pub(crate) fn run(paths: &[PathBuf], options: ReadOptions) -> Run {
    let mut run = Run::default();
    let mut reader = PieceReader::new();
    let mut current = info("");
    let (mut offset, mut line) = (0, 1);
    for item in Reader::open(paths, options).unwrap() {
        match item {
            ReadItem::Start(start) => {
                assert_eq!(start.id.0 as usize, run.sources.len());
                current = SourceInfo::clone(&start);
                (offset, line) = (0, 1);
                run.sources.push(start.name.clone());
            }
            ReadItem::Piece(piece) => {
                assert_eq!(piece.source, current.id);
                assert_eq!((piece.offset, piece.line), (offset, line));
                offset += piece.length;
                line += match piece.mode {
                    Mode::Oversized => piece.lines,
                    _ => memchr::memchr_iter(b'\n', &piece.bytes).count() as u64,
                };
                run.tally += read_piece(&mut reader, &piece, &current, &mut run.seen);
            }
            ReadItem::End(end) => {
                assert_eq!(end.size, offset);
                run.sizes.push(end.size);
                run.problems.extend(end.problem);
            }
            ReadItem::File(file) => {
                assert_eq!((file.first.0 + file.sources) as usize, run.sources.len());
                run.files += 1;
                run.problems.extend(file.problem);
            }
            ReadItem::Refused { name, reason } => run.refused.push((name, reason)),
        }
    }
    assert!(run.tally.balances());
    run
}
