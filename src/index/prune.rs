//! Old days are dropped: packs that end before a moment, and the files nothing is left of.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;
use std::path::Path;

use crate::event::time::Timestamp;
use crate::index::commit::Commit;
use crate::index::error::IndexError;
use crate::index::manifest::Manifest;
use crate::index::manifest::PackRow;

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneSummary {
    /// Events dropped.
    pub events: u64,
    /// Packs dropped.
    pub packs: u64,
    /// Bytes given back.
    pub bytes: u64,
    /// Events before the moment that stay because their pack holds later ones too.
    pub kept_packs: u64,
}

/// Drops the packs whose last event is before `moment`; events of unknown time stay.
///
/// The sources' books stay as they are: what was read is a fact; the manifest says how many events
/// were dropped again.
///
/// # Errors
/// When another process writes, or I/O; the index is then what it was.
pub fn prune(dir: &Path, moment: Timestamp) -> Result<PruneSummary, IndexError> {
    Manifest::load(dir)?;
    let mut commit = Commit::open(dir)?;
    let old: Vec<PackRow> = commit.manifest.packs.clone();
    let goes = |row: &PackRow| !row.untimed && row.last.is_some_and(|last| last < moment.0);
    let mut summary = PruneSummary::default();
    for row in &old {
        if goes(row) {
            summary.events += u64::from(row.events);
            summary.packs += 1;
            summary.bytes += row.length;
        } else if row.first.is_some_and(|first| first < moment.0) {
            summary.kept_packs += 1;
        }
    }
    if summary.packs == 0 {
        return Ok(summary);
    }
    let mut by_file: BTreeMap<u32, (bool, bool)> = BTreeMap::new();
    for row in &old {
        let (gone, stays) = by_file.entry(row.file).or_default();
        if goes(row) { *gone = true } else { *stays = true }
    }
    let next_file = old.iter().map(|row| row.file + 1).max().unwrap_or(1);
    let mixed: BTreeSet<u32> =
        by_file.iter().filter(|(_, (gone, stays))| *gone && *stays).map(|(f, _)| *f).collect();
    let mut packs = Vec::new();
    let mut numbers: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    let mut copy = Copy { dir, number: next_file, file: None, length: 0 };
    for (number, row) in old.iter().enumerate().filter(|(_, row)| !goes(row)) {
        let mut row = row.clone();
        if mixed.contains(&row.file) {
            row = copy.pack(&row)?;
        }
        numbers.insert(number as u32, (packs.len() as u32, 0));
        packs.push(row);
    }
    copy.finish()?;
    commit.manifest.packs = packs;
    commit.manifest.pruned += summary.events;
    commit.renumber(&numbers)?;
    commit.checkpoint()?;
    commit.remove_unnamed_packs()?;
    Ok(summary)
}

/// Copies packs that stay out of files that go.
struct Copy<'d> {
    dir: &'d Path,
    number: u32,
    file: Option<File>,
    length: u64,
}

impl Copy<'_> {
    fn pack(&mut self, row: &PackRow) -> Result<PackRow, IndexError> {
        let from = self.dir.join(Manifest::pack_file(row.file));
        let io = |error| IndexError::io("read", &from, error);
        let mut source = File::open(&from).map_err(io)?;
        source.seek(SeekFrom::Start(row.offset)).map_err(io)?;
        let mut bytes = Vec::new();
        source.take(row.length).read_to_end(&mut bytes).map_err(io)?;
        let to = self.dir.join(Manifest::pack_file(self.number));
        let io = |error| IndexError::io("write", &to, error);
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create(&to).map_err(io)?),
        };
        file.write_all(&bytes).map_err(io)?;
        let moved = PackRow { file: self.number, offset: self.length, ..row.clone() };
        self.length += row.length;
        Ok(moved)
    }

    fn finish(&self) -> Result<(), IndexError> {
        let path = self.dir.join(Manifest::pack_file(self.number));
        match &self.file {
            Some(file) => file.sync_data().map_err(|e| IndexError::io("write", path, e)),
            None => Ok(()),
        }
    }
}
