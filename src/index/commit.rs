//! What is written, in the order of the evidence: packs, rejected runs, further places, manifest.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::event::place::Place;
use crate::event::place::SourceId;
use crate::index::append::Appender;
use crate::index::dedupe::Duplicate;
use crate::index::error::IndexError;
use crate::index::manifest::Counts;
use crate::index::manifest::MANIFEST;
use crate::index::manifest::Manifest;
use crate::index::manifest::PackRow;
use crate::index::manifest::Reached;
use crate::index::pack::finish::PackBytes;
use crate::intake::record::Rejected;

/// File of rejected runs, one JSON object a line.
pub const REJECTED: &str = "rejected.jsonl";
/// File of further places of events.
pub const DUPLICATES: &str = "duplicates.bin";
/// A pack file is closed at this size, so that old days can be dropped file by file.
const PACK_FILE_MAX: u64 = 256 << 20;
/// The manifest is written about this often, so that a killed run loses little.
pub const CHECKPOINT: Duration = Duration::from_secs(5);
/// Bytes of a rejected run that are kept; its place leads to the rest.
const REJECTED_KEPT: usize = 4096;

/// A rejected run as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RejectedRow {
    /// Number of the source.
    pub source: u32,
    /// Offset in it.
    pub offset: u64,
    /// Line in it, 1-based.
    pub line: u64,
    /// Which part of the record.
    #[serde(default)]
    pub item: u32,
    /// Length in bytes.
    pub length: u64,
    /// Why.
    pub reason: String,
    /// The beginning of it, bytes that are no UTF-8 replaced.
    pub text: String,
    /// This row is no run: what the source has at this offset and behind it in the rows above was
    /// the first part of a record, which was read whole later.  A row, because the file is only
    /// ever appended to: until the manifest is written the former rows hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_up: bool,
}

/// Reads the file of rejected runs, without those that were taken up later.
///
/// # Errors
/// When a line of it cannot be read.
pub fn rejected_rows(bytes: &[u8]) -> serde_json::Result<Vec<RejectedRow>> {
    let mut rows: Vec<RejectedRow> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let row: RejectedRow = serde_json::from_slice(line)?;
        if row.taken_up {
            rows.retain(|above| above.source != row.source || above.offset < row.offset);
        } else {
            rows.push(row);
        }
    }
    Ok(rows)
}

impl RejectedRow {
    /// Keeps what is needed of a rejected run.
    pub fn of(rejected: &Rejected<'_>) -> RejectedRow {
        let kept = rejected.raw.get(..REJECTED_KEPT.min(rejected.raw.len())).unwrap_or_default();
        RejectedRow {
            source: rejected.place.source.0,
            offset: rejected.place.offset,
            line: rejected.place.line,
            item: rejected.place.item,
            length: rejected.raw.len() as u64,
            reason: rejected.reason.clone(),
            text: String::from_utf8_lossy(kept).into_owned(),
            taken_up: false,
        }
    }
}

/// What a worker made of a unit.
#[derive(Debug)]
pub struct UnitResult {
    /// Number of the unit.
    pub number: u64,
    /// Its pack, unless it has no events.
    pub pack: Option<PackBytes>,
    /// What was rejected.
    pub rejected: Vec<RejectedRow>,
    /// What was found again.
    pub duplicates: Vec<Duplicate>,
    /// Per piece: its source, its counts and the span of its events' times.
    pub sources: Vec<PieceResult>,
}

/// What became of one piece.
#[derive(Clone, Debug)]
pub struct PieceResult {
    /// Its source, by its row in the manifest.
    pub source: SourceId,
    /// Its records.
    pub counts: Counts,
    /// Times of its earliest and latest event.
    pub span: Option<(i64, i64)>,
    /// How far the source is read now; `None` inside an array, where no run can go on.
    pub reached: Option<Reached>,
}

impl UnitResult {
    /// An empty result.
    pub fn new(number: u64) -> UnitResult {
        UnitResult {
            number,
            pack: None,
            rejected: Vec::new(),
            duplicates: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// Moves duplicates from the events of their sources to where they belong.
    pub fn count_duplicates(&mut self, duplicates: &[Duplicate]) {
        for duplicate in duplicates {
            if duplicate.same_place {
                // It is in the index, and counted with the source it was and is in.
                continue;
            }
            let own = self
                .sources
                .iter_mut()
                .find(|piece| piece.source == duplicate.place.source && piece.counts.events > 0);
            if let Some(piece) = own {
                piece.counts.events -= 1;
                piece.counts.duplicates += 1;
                piece.counts.repeats += u64::from(duplicate.same_source);
            }
        }
    }
}

/// The writing side of an index directory, held by one process at a time.
#[derive(Debug)]
pub struct Commit {
    dir: PathBuf,
    /// What is written so far; on disk only after [`Self::checkpoint`].
    pub manifest: Manifest,
    pack_file: Option<(u32, File, u64)>,
    /// The last pack file that was ended.
    last_pack_file: u32,
    rejected: Appender,
    duplicates: Appender,
    last: Instant,
    /// How often the manifest is written.
    pub every: Duration,
    /// Holds the lock as long as it lives.
    _lock: File,
}

impl Commit {
    /// Opens an index for writing, or makes one.
    ///
    /// # Errors
    /// When another process writes to it, when the directory holds something else, or I/O.
    pub fn open(dir: &Path) -> Result<Commit, IndexError> {
        if !dir.join(MANIFEST).exists() && dir.is_dir() && holds_anything_else(dir) {
            return Err(IndexError::Source(format!(
                "{} is a directory that holds other things; name an empty or a new one with --index",
                dir.display()
            )));
        }
        std::fs::create_dir_all(dir).map_err(|error| IndexError::io("make", dir, error))?;
        let path = dir.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| IndexError::io("open", &path, error))?;
        // A process that is just being started by this one shares the lock for a moment.
        let mut tries = 0;
        while lock.try_lock().is_err() {
            tries += 1;
            if tries > 20 {
                return Err(IndexError::Locked(dir.display().to_string()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let known = dir.join(MANIFEST).exists();
        let manifest = if known {
            Manifest::load(dir)?
        } else {
            let mut manifest = Manifest::empty();
            manifest.store(dir)?;
            manifest
        };
        let mut commit = Commit {
            rejected: Appender::open(dir.join(REJECTED), &manifest.rejected)?,
            duplicates: Appender::open(dir.join(DUPLICATES), &manifest.duplicates)?,
            dir: dir.to_owned(),
            manifest,
            pack_file: None,
            last_pack_file: 0,
            last: Instant::now(),
            every: CHECKPOINT,
            _lock: lock,
        };
        // Where the manifest is lost nothing is known of the packs, and nothing is removed.
        if known {
            commit.remove_unnamed_packs()?;
        }
        Ok(commit)
    }

    /// Forgets what is accounted for of a source that is read from its start once more; its events
    /// stay, and are counted again where they are met again.
    ///
    /// # Errors
    /// When the files of rejected runs and of further places cannot be written.
    pub fn restart(&mut self, number: usize) -> Result<(), IndexError> {
        let Some(row) = self.manifest.sources.get_mut(number) else { return Ok(()) };
        let counts = std::mem::take(&mut row.counts);
        row.reached = None;
        self.manifest.totals.subtract(&counts);
        let source = number as u32;
        if counts.rejected > 0 {
            self.rejected.retain(|line| {
                serde_json::from_slice::<RejectedRow>(line).map_or(true, |r| r.source != source)
            })?;
        }
        if counts.duplicates > 0 {
            self.duplicates.retain_chunks(Duplicate::LEN, |row| {
                row.get(8..12) != Some(source.to_le_bytes().as_slice())
            })?;
        }
        Ok(())
    }

    /// Forgets the rejected run that a source ended with, where reading goes on at its start: it was
    /// the first part of a record that was still being written.
    ///
    /// # Errors
    /// When the file of rejected runs cannot be written.
    pub fn take_up(&mut self, number: usize, offset: u64) -> Result<(), IndexError> {
        let Some(row) = self.manifest.sources.get_mut(number) else { return Ok(()) };
        let Some(reached) = row.reached.as_ref().filter(|reached| reached.size > offset) else {
            return Ok(());
        };
        let source = number as u32;
        let known = rejected_rows(&self.rejected.whole()?).unwrap_or_default();
        let runs = known.iter().filter(|run| run.source == source && run.offset >= offset);
        let taken = runs.count() as u64;
        let mark = RejectedRow {
            source,
            offset,
            line: reached.line,
            item: 0,
            length: 0,
            reason: String::new(),
            text: String::new(),
            taken_up: true,
        };
        let mut line = serde_json::to_vec(&mark).unwrap_or_default();
        line.push(b'\n');
        self.rejected.append(&line)?;
        let counts = Counts {
            records: taken,
            rejected: taken,
            lines: row.counts.lines.saturating_sub(reached.line.saturating_sub(1)),
            bytes: reached.size - offset,
            ..Counts::default()
        };
        row.counts.subtract(&counts);
        self.manifest.totals.subtract(&counts);
        row.reached = None;
        Ok(())
    }

    /// Gives the further places of events the new numbers of their packs, and of the events the
    /// numbers from a base on; those of packs that are not in `numbers` are dropped.
    ///
    /// # Errors
    /// When the file of further places cannot be written.
    pub fn renumber(&mut self, numbers: &BTreeMap<u32, (u32, u32)>) -> Result<(), IndexError> {
        if self.manifest.duplicates.bytes == 0 {
            return Ok(());
        }
        let all = self.duplicates.whole()?;
        let mut kept = Vec::with_capacity(all.len());
        for row in all.chunks_exact(Duplicate::LEN) {
            let number = |at: usize| {
                let bytes = row.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                bytes.map_or(u32::MAX, u32::from_le_bytes)
            };
            if let Some((pack, base)) = numbers.get(&number(0)) {
                kept.extend_from_slice(&pack.to_le_bytes());
                kept.extend_from_slice(&(number(4).saturating_add(*base)).to_le_bytes());
                kept.extend_from_slice(row.get(8..).unwrap_or_default());
            }
        }
        self.duplicates.replace(&kept)
    }

    /// Appends what a worker made of a unit.
    pub(super) fn add(&mut self, unit: UnitResult) -> Result<(), IndexError> {
        for piece in &unit.sources {
            self.manifest.totals.add(&piece.counts);
            if let Some(row) = self.manifest.sources.get_mut(piece.source.0 as usize) {
                row.counts.add(&piece.counts);
                row.reached.clone_from(&piece.reached);
                if let Some((first, last)) = &piece.span {
                    row.first = Some(row.first.map_or(*first, |f| f.min(*first)));
                    row.last = Some(row.last.map_or(*last, |l| l.max(*last)));
                }
            }
        }
        for row in &unit.rejected {
            let mut line = serde_json::to_vec(row).unwrap_or_default();
            line.push(b'\n');
            self.rejected.append(&line)?;
        }
        for duplicate in unit.duplicates.iter().filter(|duplicate| !duplicate.same_place) {
            self.duplicates.append(&duplicate.to_bytes())?;
        }
        if let Some(pack) = &unit.pack {
            self.append_pack(pack)?;
        }
        Ok(())
    }

    /// Makes a checkpoint if the last one is some time ago.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub fn checkpoint_if_due(&mut self) -> Result<(), IndexError> {
        if self.last.elapsed() >= self.every { self.checkpoint() } else { Ok(()) }
    }

    fn append_pack(&mut self, pack: &PackBytes) -> Result<(), IndexError> {
        let row = self.write_pack(pack)?;
        self.manifest.packs.push(row);
        Ok(())
    }

    /// Ends the pack file at hand, so that the next pack begins another one.
    pub(super) fn begin_pack_file(&mut self) -> Result<(), IndexError> {
        let Some((number, file, _)) = self.pack_file.take() else { return Ok(()) };
        self.last_pack_file = self.last_pack_file.max(number);
        let path = self.dir.join(Manifest::pack_file(number));
        file.sync_data().map_err(|error| IndexError::io("write", path, error))
    }

    /// Appends a pack to the pack file at hand; it is part of the index once the manifest has the
    /// row that is returned.
    pub(super) fn write_pack(&mut self, pack: &PackBytes) -> Result<PackRow, IndexError> {
        if self.pack_file.as_ref().is_some_and(|(.., length)| *length >= PACK_FILE_MAX) {
            self.begin_pack_file()?;
        }
        let (number, mut file, length) = match self.pack_file.take() {
            Some(open) => open,
            None => {
                let named = self.manifest.packs.iter().map(|p| p.file).max().unwrap_or(0);
                let number = named.max(self.last_pack_file) + 1;
                let path = self.dir.join(Manifest::pack_file(number));
                let file =
                    File::create(&path).map_err(|error| IndexError::io("make", &path, error))?;
                (number, file, 0)
            }
        };
        let path = self.dir.join(Manifest::pack_file(number));
        file.write_all(&pack.bytes).map_err(|error| IndexError::io("write", path, error))?;
        let row = PackRow {
            file: number,
            offset: length,
            length: pack.bytes.len() as u64,
            events: pack.n_events,
            event_bytes: pack.event_bytes,
            first: pack.span.map(|(first, _)| first.0),
            last: pack.span.map(|(_, last)| last.0),
            untimed: pack.some_without_time,
        };
        self.pack_file = Some((number, file, length + row.length));
        Ok(row)
    }

    /// Removes the pack files that the manifest does not name: a run that died left them, or what
    /// stood there stands elsewhere by now.  Who has them mapped keeps them.
    pub(super) fn remove_unnamed_packs(&mut self) -> Result<(), IndexError> {
        let named: BTreeSet<String> =
            self.manifest.packs.iter().map(|row| Manifest::pack_file(row.file)).collect();
        let io = |error| IndexError::io("read", &self.dir, error);
        for entry in std::fs::read_dir(&self.dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("packs-") && !named.contains(name) {
                std::fs::remove_file(&path)
                    .map_err(|error| IndexError::io("remove", &path, error))?;
            }
        }
        Ok(())
    }

    /// Makes everything written so far part of the index.
    ///
    /// # Errors
    /// When writing fails; the index is then what the last checkpoint made it.
    pub fn checkpoint(&mut self) -> Result<(), IndexError> {
        if let Some((number, file, _)) = &self.pack_file {
            let path = self.dir.join(Manifest::pack_file(*number));
            file.sync_data().map_err(|error| IndexError::io("write", path, error))?;
        }
        self.rejected.sync()?;
        self.duplicates.sync()?;
        self.manifest.rejected = self.rejected.state();
        self.manifest.duplicates = self.duplicates.state();
        self.manifest.store(&self.dir)?;
        self.rejected.settle()?;
        self.duplicates.settle()?;
        self.last = Instant::now();
        Ok(())
    }

    /// Balances the books and makes the last checkpoint of a run.
    ///
    /// # Errors
    /// When the books do not balance, or writing fails.
    pub fn finish(&mut self) -> Result<(), IndexError> {
        let mut sum = Counts::default();
        self.manifest.sources.iter().for_each(|source| sum.add(&source.counts));
        let packed: u64 = self.manifest.packs.iter().map(|pack| u64::from(pack.events)).sum();
        if sum != self.manifest.totals
            || !sum.balances()
            || packed + self.manifest.pruned != sum.events
        {
            return Err(IndexError::Unbalanced(format!(
                "sources say {sum:?}, totals say {:?}, packs hold {packed}",
                self.manifest.totals
            )));
        }
        self.checkpoint()
    }
}

/// Says whether a directory holds anything that no index would.
fn holds_anything_else(dir: &Path) -> bool {
    let own = |name: &str| {
        name.starts_with("packs-")
            || name.starts_with(REJECTED)
            || name.starts_with(DUPLICATES)
            || matches!(name, "lock" | "manifest.json.new")
    };
    std::fs::read_dir(dir).is_ok_and(|entries| {
        entries.flatten().any(|entry| !entry.file_name().to_str().is_some_and(own))
    })
}

/// A place as it is kept for a duplicate.
pub fn place_bytes(place: &Place) -> [u8; 24] {
    let mut out = [0; 24];
    let numbers = place
        .source
        .0
        .to_le_bytes()
        .into_iter()
        .chain(place.item.to_le_bytes())
        .chain(place.offset.to_le_bytes())
        .chain(place.line.to_le_bytes());
    for (slot, byte) in out.iter_mut().zip(numbers) {
        *slot = byte;
    }
    out
}
