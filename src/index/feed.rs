//! What the reader says is cut into units of work, and the list of sources and files is kept.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::event::place::SourceId;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::index::lines::file_of;
use crate::index::manifest::FileRow;
use crate::index::manifest::HexBytes;
use crate::index::manifest::LeftIn;
use crate::index::manifest::SourceRow;
use crate::index::manifest::bytes_of_hex;
use crate::index::options::BuildOptions;
use crate::index::options::KeepRaw;
use crate::index::turn::Turn;
use crate::source::FileEnd;
use crate::source::History;
use crate::source::Piece;
use crate::source::ReadItem;
use crate::source::Reader;
use crate::source::SourceEnd;
use crate::source::SourceInfo;
use crate::source::hash_file;

/// Pieces that one worker packs together.
pub(super) struct Unit {
    pub(super) number: u64,
    pub(super) pieces: Vec<UnitPiece>,
    pub(super) bytes: u64,
}

/// A piece, its source, and the row of the source in the manifest.
pub(super) struct UnitPiece {
    pub(super) piece: Piece,
    pub(super) info: Arc<SourceInfo>,
    pub(super) row: SourceId,
    /// Whether its lines are left where they are.
    pub(super) left: bool,
    /// Events of these times are taken in.
    pub(super) ranges: Arc<Vec<TimeRange>>,
}

impl UnitPiece {
    /// Says whether events of a time are taken in.
    pub(super) fn takes(&self, time: Option<Timestamp>) -> bool {
        self.ranges.iter().any(|range| range.contains(time))
    }
}

/// Cuts what the reader says into units and keeps the list of sources and files.
pub(super) struct Feed<'t> {
    turn: &'t Turn,
    options: &'t BuildOptions,
    give: SyncSender<Unit>,
    unit: Unit,
    /// A unit is closed at half of this.
    unit_bytes: u64,
    /// The source that is given out, and its row once its first piece or its end was seen.
    current: Option<(Arc<SourceInfo>, Option<usize>)>,
    /// Where the lines of the current source are left.
    left: Option<LeftIn>,
    /// Times that are asked for of the current source, by this run and by earlier ones.
    ranges: Arc<Vec<TimeRange>>,
    /// Whether files of which other times were asked for are what they were, by name.
    same: HashMap<String, bool>,
    /// Rows of the file that is given out.
    rows: Vec<usize>,
    fed: Fed,
}

/// What the feed saw.
#[derive(Default)]
pub(super) struct Fed {
    pub(super) skipped: Vec<String>,
    pub(super) problems: Vec<(String, String)>,
    /// Rows of the sources that were read.
    pub(super) read: BTreeSet<usize>,
}

impl<'t> Feed<'t> {
    pub(super) fn new(
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
            left: None,
            ranges: Arc::default(),
            same: HashMap::new(),
            rows: Vec::new(),
            fed: Fed::default(),
        }
    }

    pub(super) fn run(mut self, reader: Reader) -> Fed {
        for item in reader {
            match item {
                ReadItem::Start(info) => self.start(info),
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

    fn start(&mut self, info: Arc<SourceInfo>) {
        self.left = None;
        if self.options.keep_raw == KeepRaw::Reference {
            match file_of(&info.name) {
                Some((path, member)) => {
                    let path = path.to_string_lossy().into_owned();
                    self.left = Some(LeftIn { path, member: member.to_owned() });
                }
                None => {
                    let what = "it is no file that can be read again; its lines are stored";
                    self.fed.problems.push((info.name.clone(), what.to_owned()));
                }
            }
        }
        self.current = Some((info, None));
    }

    /// Adds a piece to the unit; false when the workers are gone.
    fn piece(&mut self, piece: Piece) -> bool {
        let head = format!("{:x}", HexBytes(&piece.upto.head_sha256));
        let Some(row) = self.row(piece.offset, &head) else { return true };
        let Some((info, _)) = &self.current else { return true };
        self.unit.bytes += piece.bytes.len() as u64;
        let info = Arc::clone(info);
        let left = self.left.is_some();
        self.unit.pieces.push(UnitPiece {
            piece,
            info,
            row: SourceId(row as u32),
            left,
            ranges: Arc::clone(&self.ranges),
        });
        self.unit.bytes < self.unit_bytes / 2 || send(&mut self.unit, &self.give)
    }

    /// Finds or makes the row of the current source, which is read from `offset` on.
    fn row(&mut self, offset: u64, head: &str) -> Option<usize> {
        let (info, row) = self.current.as_mut()?;
        if let Some(row) = row {
            return Some(*row);
        }
        let options = self.options;
        let left = self.left.clone();
        let same = &mut self.same;
        let own = self.turn.with_commit(|commit| {
            let known = if offset > 0 {
                commit.manifest.going_on(&info.name, offset, head)
            } else {
                let windowed = commit.manifest.windowed(&info.name);
                let windowed = windowed.filter(|(_, file)| {
                    *same.entry(file.name.clone()).or_insert_with(|| is_same(file))
                });
                commit.manifest.unfinished(&info.name).or(windowed.map(|(number, _)| number))
            };
            if let Some(known) = known {
                if offset == 0 {
                    commit.restart(known)?;
                } else {
                    commit.take_up(known, offset)?;
                }
                if let Some(row) = commit.manifest.sources.get_mut(known) {
                    row.sha256.clear();
                    row.left = left.or(row.left.take());
                    row.ask_also(&options.range);
                    return Ok((known, row.ranges()));
                }
            }
            let mut row = SourceRow { left, ..source_row(info, options) };
            row.ask(&[options.range]);
            commit.manifest.sources.push(row);
            Ok((commit.manifest.sources.len() - 1, vec![options.range]))
        });
        match own {
            Ok((own, ranges)) => {
                self.ranges = Arc::new(ranges);
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
            let sha256 = format!("{:x}", HexBytes(&file.sha256));
            if let Some((path, _)) = file_of(&file.name) {
                let path = path.to_string_lossy();
                self.turn.with_commit(|commit| {
                    commit.manifest.found_again(file.size, &sha256, &path);
                });
            }
            self.fed.skipped.push(file.name);
            return;
        }
        let sha256 = format!("{:x}", HexBytes(&file.sha256));
        let wider = self.turn.with_commit(|commit| {
            let same = |f: &FileRow| f.size == file.size && f.sha256 == sha256 && f.sources == rows;
            commit.manifest.files.iter().any(same)
        });
        if file.history == History::Changed && !wider {
            let what = "it has changed since it was indexed; it was read as a new source";
            self.fed.problems.push((file.name.clone(), what.to_owned()));
        }
        if let Some(problem) = &file.problem {
            self.fed.problems.push((file.name.clone(), problem.clone()));
        }
        let row = FileRow {
            name: file.name,
            size: file.size,
            sha256,
            head_sha256: format!("{:x}", HexBytes(&file.head_sha256)),
            plain: file.plain,
            sources: rows,
            problem: file.problem,
            partial: self.options.range != TimeRange::ALL,
            also: Vec::new(),
        };
        self.turn.after(self.due(), move |commit| {
            let files = &mut commit.manifest.files;
            match files.iter_mut().find(|f| f.sources == row.sources && f.name == row.name) {
                Some(known) => *known = FileRow { also: std::mem::take(&mut known.also), ..row },
                None => files.push(row),
            }
        });
    }
}

/// Says whether a file is what it was when it was read.
fn is_same(file: &FileRow) -> bool {
    let path = std::path::Path::new(&file.name);
    std::fs::metadata(path).is_ok_and(|now| now.is_file() && now.len() == file.size)
        && hash_file(path)
            .is_ok_and(|(size, sum)| size == file.size && bytes_of_hex(&file.sha256) == Some(sum))
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
