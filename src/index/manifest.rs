//! The manifest: what an index holds, from which evidence, and whether the books balance.
//!
//! It is the last thing written and the first thing read; what it does not name is not part of
//! the index.  One JSON file with its own checksum, replaced in one step.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::index::error::IndexError;
use crate::intake::Tally;
use crate::source::Before;
use crate::source::PlainBefore;

/// Version of everything in the directory.
pub const FORMAT: u32 = 2;
/// Name of the manifest in the directory.
pub const MANIFEST: &str = "manifest.json";

/// The whole manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: u32,
    /// Who wrote it last.
    pub program: String,
    /// SHA-256 of the manifest with this field all zeros.
    pub checksum: String,
    /// Everything that was read.
    pub totals: Counts,
    /// Files, in the order they were read.
    pub files: Vec<FileRow>,
    /// Sources, by number.
    pub sources: Vec<SourceRow>,
    /// Packs, in the order of the evidence.
    pub packs: Vec<PackRow>,
    /// What is known of events found again, kept in `duplicates.bin`.
    pub duplicates: AppendedFile,
    /// What was rejected, kept in `rejected.jsonl`.
    pub rejected: AppendedFile,
    /// Names and reasons of what was not read at all.
    pub refused: Vec<(String, String)>,
    /// Events that were dropped again by `prune`.
    #[serde(default)]
    pub pruned: u64,
}

/// A tally as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records met.
    pub records: u64,
    /// Events indexed.
    pub events: u64,
    /// Blank lines.
    pub blank: u64,
    /// Rejected runs.
    pub rejected: u64,
    /// Exact duplicates, kept as further places of the first.
    pub duplicates: u64,
    /// Of these: repeats inside one source, an anomaly.
    pub repeats: u64,
    /// Events left out by `--since` and `--until`.
    pub outside: u64,
    /// Lines.
    pub lines: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
}

impl Counts {
    /// Says whether every record is accounted for.
    pub fn balances(&self) -> bool {
        self.records == self.events + self.blank + self.rejected + self.duplicates + self.outside
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Counts) {
        self.records += other.records;
        self.events += other.events;
        self.blank += other.blank;
        self.rejected += other.rejected;
        self.duplicates += other.duplicates;
        self.repeats += other.repeats;
        self.outside += other.outside;
        self.lines += other.lines;
        self.bytes += other.bytes;
    }

    /// Takes another count away.
    pub fn subtract(&mut self, other: &Counts) {
        self.records -= other.records;
        self.events -= other.events;
        self.blank -= other.blank;
        self.rejected -= other.rejected;
        self.duplicates -= other.duplicates;
        self.repeats -= other.repeats;
        self.outside -= other.outside;
        self.lines -= other.lines;
        self.bytes -= other.bytes;
    }
}

impl From<Tally> for Counts {
    fn from(tally: Tally) -> Counts {
        Counts {
            records: tally.records,
            events: tally.events,
            blank: tally.blank,
            rejected: tally.rejected,
            duplicates: tally.duplicates,
            lines: tally.lines,
            bytes: tally.bytes,
            ..Counts::default()
        }
    }
}

/// One file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow {
    /// Path as given, `-` for standard input.
    pub name: String,
    /// Bytes on disk.
    pub size: u64,
    /// SHA-256 of the bytes on disk, hex.
    pub sha256: String,
    /// Whether it is its own source, uncompressed.
    pub plain: bool,
    /// Numbers of its sources.
    pub sources: Vec<u32>,
    /// What went wrong with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<String>,
    /// Whether events were left out by `--since` and `--until`.
    #[serde(default)]
    pub partial: bool,
    /// SHA-256 of its first 4096 bytes, hex: whether another file can be this one grown.
    pub head_sha256: String,
    /// Other paths at which the same bytes were found later, absolute; kept where lines were left
    /// in the file.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub also: Vec<String>,
}

/// Where the lines of a source were left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftIn {
    /// Absolute path of the file.
    pub path: String,
    /// What the name of the source has behind that of the file.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub member: String,
}

/// One source: a file, or a member of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRow {
    /// `path` or `path!member!member`.
    pub name: String,
    /// Bytes, decompressed.
    pub size: u64,
    /// SHA-256 of them, hex; empty while it is being read.
    pub sha256: String,
    /// What became of its records.
    pub counts: Counts,
    /// Time of its earliest event, microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<i64>,
    /// Time of its latest event, microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<i64>,
    /// Node told by the layout.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<String>,
    /// Which server's log, told by the layout.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<String>,
    /// Cluster, told by the layout or by `--cluster`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster: Option<String>,
    /// What went wrong with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<String>,
    /// Times that were asked for when it was read (`--since`, `--until`); none for all.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub windows: Vec<(Option<i64>, Option<i64>)>,
    /// Where its lines were left; `None` where all are stored.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left: Option<LeftIn>,
    /// How far it is committed, and where to go on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reached: Option<Reached>,
}

/// How far a source is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Bytes that are accounted for.
    pub size: u64,
    /// SHA-256 of them, hex.
    pub sha256: String,
    /// SHA-256 of the first 4096 of them, hex.
    pub head_sha256: String,
    /// Where to go on: behind these bytes, or at a last line that had no end yet.
    pub offset: u64,
    /// Number of the line there.
    pub line: u64,
}

/// One pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackRow {
    /// Number of its file.
    pub file: u32,
    /// Where it starts there.
    pub offset: u64,
    /// Its length.
    pub length: u64,
    /// Its events.
    pub events: u32,
    /// Bytes of their texts; 0 in an index written before this was kept.
    #[serde(default)]
    pub event_bytes: u64,
    /// Time of its earliest event, microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<i64>,
    /// Time of its latest event, microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<i64>,
    /// Whether some event has no time.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub untimed: bool,
}

/// A file that is only ever appended to: so much of it belongs to the index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendedFile {
    /// Bytes.
    pub bytes: u64,
    /// XXH3-64 of these bytes, hex.
    pub sum: String,
}

impl SourceRow {
    /// Returns the times that were asked for so far.
    pub fn ranges(&self) -> Vec<TimeRange> {
        if self.windows.is_empty() {
            return vec![TimeRange::ALL];
        }
        let range = |(since, until): &(Option<i64>, Option<i64>)| TimeRange {
            since: since.map(Timestamp),
            until: until.map(Timestamp),
        };
        self.windows.iter().map(range).collect()
    }

    /// Notes that events of a time are asked for, too.
    pub fn ask_also(&mut self, range: &TimeRange) {
        let mut ranges = self.ranges();
        if ranges.iter().any(|known| known.covers(range)) {
            return;
        }
        ranges.retain(|known| !range.covers(known));
        ranges.push(*range);
        self.ask(&ranges);
    }

    /// Sets the times that are asked for.
    pub fn ask(&mut self, ranges: &[TimeRange]) {
        let all = ranges.contains(&TimeRange::ALL);
        let window = |range: &TimeRange| (range.since.map(|t| t.0), range.until.map(|t| t.0));
        self.windows = if all { Vec::new() } else { ranges.iter().map(window).collect() };
    }
}

impl Manifest {
    /// An index of nothing.
    pub fn empty() -> Manifest {
        Manifest {
            format: FORMAT,
            program: concat!("audithound ", env!("CARGO_PKG_VERSION")).to_owned(),
            checksum: String::new(),
            totals: Counts::default(),
            files: Vec::new(),
            sources: Vec::new(),
            packs: Vec::new(),
            duplicates: AppendedFile::default(),
            rejected: AppendedFile::default(),
            refused: Vec::new(),
            pruned: 0,
        }
    }

    /// Returns what the reader must know of earlier runs, where events of `range` are asked for:
    /// files that were read whole, and plain ones that may have grown or were not finished.
    pub fn before(&self, range: &TimeRange) -> Before {
        let mut before = Before::default();
        let covered = |source: &SourceRow| source.ranges().iter().any(|r| r.covers(range));
        let lacking: HashSet<u32> = (0_u32..)
            .zip(&self.sources)
            .filter(|(_, source)| !covered(source))
            .map(|(number, _)| number)
            .collect();
        let mut lacks: HashSet<u32> = lacking.clone();
        for file in &self.files {
            before.names.insert(file.name.clone());
            // An index written before windows were kept does not know which.
            let unknown = |s: &u32| {
                self.sources.get(*s as usize).is_none_or(|source| source.windows.is_empty())
            };
            if file.partial && file.sources.iter().all(unknown) {
                lacks.extend(&file.sources);
            } else if file.problem.is_none() && !file.sources.iter().any(|s| lacking.contains(s)) {
                before.whole.extend(bytes_of_hex(&file.sha256).map(|sum| (file.size, sum)));
            }
        }
        for (number, source) in self.sources.iter().enumerate() {
            let plain = !lacks.contains(&(number as u32)) && !self.is_unpacked(number as u32);
            let Some(reached) = source.reached.as_ref().filter(|_| plain) else { continue };
            let sums = bytes_of_hex(&reached.sha256).zip(bytes_of_hex(&reached.head_sha256));
            before.plain.extend(sums.map(|(sha256, head_sha256)| PlainBefore {
                head_sha256,
                size: reached.size,
                sha256,
                offset: reached.offset,
                line: reached.line,
            }));
        }
        before
    }

    /// Says whether a source is known to have come out of a container.
    fn is_unpacked(&self, number: u32) -> bool {
        self.files.iter().any(|file| !file.plain && file.sources.contains(&number))
    }

    /// Returns the newest source that was left unfinished under a name: not read to its end, or
    /// its file was not.
    pub fn unfinished(&self, name: &str) -> Option<usize> {
        let newest = self.sources.iter().rposition(|source| source.name == name)?;
        let ended = self.sources.get(newest).is_some_and(|source| !source.sha256.is_empty());
        let in_file = self.files.iter().any(|file| file.sources.contains(&(newest as u32)));
        (!ended || !in_file).then_some(newest)
    }

    /// Returns the newest source of a name of which events of another time were asked for, with
    /// its file.
    pub fn windowed(&self, name: &str) -> Option<(usize, &FileRow)> {
        let newest = self.sources.iter().rposition(|source| source.name == name)?;
        let known = self.sources.get(newest).is_some_and(|source| !source.windows.is_empty());
        let file = self.files.iter().find(|file| file.sources.contains(&(newest as u32)))?;
        known.then_some((newest, file))
    }

    /// Returns the source that goes on at `offset` with this start, best one of the same name.
    pub fn going_on(&self, name: &str, offset: u64, head_sha256: &str) -> Option<usize> {
        let fits = |source: &SourceRow| {
            source.reached.as_ref().is_some_and(|r| r.offset == offset && head_fits(r, head_sha256))
        };
        self.sources.iter().rposition(|source| fits(source) && source.name == name)
    }

    /// Notes that the bytes of a known file stand at another path too, where that may be needed.
    pub fn found_again(&mut self, size: u64, sha256: &str, path: &str) {
        let sources = &self.sources;
        let left = |file: &FileRow| {
            file.sources.iter().filter_map(|s| sources.get(*s as usize)).any(|s| s.left.is_some())
        };
        let same = |file: &&mut FileRow| file.size == size && file.sha256 == sha256;
        for file in self.files.iter_mut().filter(same) {
            if left(file) && !file.also.iter().any(|known| known == path) {
                file.also.push(path.to_owned());
            }
        }
    }

    /// Name of pack file `number`.
    pub fn pack_file(number: u32) -> String {
        format!("packs-{number:06}")
    }

    /// Reads the manifest of an index.
    ///
    /// # Errors
    /// When the directory is no index, of another version, or damaged.
    pub fn load(dir: &Path) -> Result<Manifest, IndexError> {
        let path = dir.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(IndexError::NotAnIndex(dir.display().to_string()));
            }
            Err(error) => return Err(IndexError::io("read", path, error)),
        };
        let damaged =
            |what: String| IndexError::Damaged { file: MANIFEST.to_owned(), offset: 0, what };
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        if let Ok(version) = serde_json::from_slice::<Version>(&text) {
            if version.format != FORMAT {
                return Err(IndexError::OtherVersion {
                    path: dir.display().to_string(),
                    found: version.format,
                    expected: FORMAT,
                });
            }
        }
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| damaged(format!("it is no manifest: {error}")))?;
        if checksum(&text, &manifest.checksum) != Some(manifest.checksum.clone()) {
            return Err(damaged("its checksum does not fit".to_owned()));
        }
        Ok(manifest)
    }

    /// Replaces the manifest of an index in one step.
    ///
    /// # Errors
    /// When writing fails; the old manifest is untouched then.
    pub fn store(&mut self, dir: &Path) -> Result<(), IndexError> {
        self.program = concat!("audithound ", env!("CARGO_PKG_VERSION")).to_owned();
        self.checksum = "0".repeat(64);
        let io = |attempt: &'static str| {
            move |error: std::io::Error| IndexError::io(attempt, dir.join(MANIFEST), error)
        };
        let text = serde_json::to_string(self)
            .map_err(|error| io("write")(std::io::Error::other(error)))?;
        let sum = format!("{:x}", HexBytes(&Sha256::digest(text.as_bytes())));
        let text = text.replacen(&self.checksum, &sum, 1);
        self.checksum = sum;
        let temporary = dir.join("manifest.json.new");
        let mut file = File::create(&temporary).map_err(io("write"))?;
        file.write_all(text.as_bytes()).map_err(io("write"))?;
        file.write_all(b"\n").map_err(io("write"))?;
        file.sync_all().map_err(io("write"))?;
        std::fs::rename(&temporary, dir.join(MANIFEST)).map_err(io("replace"))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("write"))
    }
}

/// Says whether the first 4096 bytes may be the same: known for certain only where there were as
/// many before.
fn head_fits(reached: &Reached, head_sha256: &str) -> bool {
    reached.size < 4096 || reached.head_sha256 == head_sha256
}

/// Reads 32 bytes written as hex.
pub fn bytes_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (at, slot) in out.iter_mut().enumerate() {
        *slot = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}

/// Computes the checksum of a manifest's text, taking `own` in it for zeros.
fn checksum(text: &[u8], own: &str) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim_end();
    if own.len() != 64 {
        return None;
    }
    let text = text.replacen(own, &"0".repeat(64), 1);
    Some(format!("{:x}", HexBytes(&Sha256::digest(text.as_bytes()))))
}

/// Bytes printed as hex.
#[derive(Debug)]
pub struct HexBytes<'b>(pub &'b [u8]);

impl std::fmt::LowerHex for HexBytes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_notices_a_flipped_byte() {
        let dir = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::empty();
        manifest.sources.push(SourceRow { name: "a.log".into(), size: 7, ..SourceRow::default() });
        manifest.store(dir.path()).unwrap();
        assert_eq!(Manifest::load(dir.path()).unwrap(), manifest);
        let path = dir.path().join(MANIFEST);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"size\":7", "\"size\":8")).unwrap();
        let error = Manifest::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("checksum"), "{error}");
        std::fs::write(&path, text.replace(&format!("\"format\":{FORMAT}"), "\"format\":9"))
            .unwrap();
        let error = Manifest::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("format 9"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = Manifest::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("is not an audithound index"), "{error}");
    }
}
