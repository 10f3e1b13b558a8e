//! A file that is only ever appended to, with the checksum of what is committed of it.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use xxhash_rust::xxh3::Xxh3;

use crate::index::error::IndexError;
use crate::index::manifest::AppendedFile;

/// An append-only file with a running checksum.
pub(super) struct Appender {
    path: PathBuf,
    /// Whether what is written stands beside the file, to take its place once the manifest says so.
    beside: bool,
    file: File,
    bytes: u64,
    sum: Xxh3,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Appender of {} at {}", self.path.display(), self.bytes)
    }
}

impl Appender {
    /// Opens the file at the end of what is committed; what stands behind is from a run that died.
    ///
    /// A run that died between its manifest and the change of names left the file beside it.
    pub(super) fn open(path: PathBuf, committed: &AppendedFile) -> Result<Appender, IndexError> {
        let beside = beside(&path);
        if committed.bytes > 0 && !holds(&path, committed) && holds(&beside, committed) {
            std::fs::rename(&beside, &path).map_err(|e| IndexError::io("rename", &beside, e))?;
        }
        let _ = std::fs::remove_file(&beside);
        let (mut file, sum) = summed(&path, committed.bytes)?;
        let io = |attempt| {
            let path = path.clone();
            move |error| IndexError::io(attempt, path, error)
        };
        file.set_len(committed.bytes).map_err(io("truncate"))?;
        file.seek(SeekFrom::End(0)).map_err(io("seek in"))?;
        Ok(Appender { path, beside: false, file, bytes: committed.bytes, sum })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        self.file.write_all(bytes).map_err(|error| IndexError::io("write", &self.path, error))?;
        self.sum.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes other content beside the file; it takes the file's place in [`Self::settle`].
    pub(super) fn replace(&mut self, kept: &[u8]) -> Result<(), IndexError> {
        let beside = beside(&self.path);
        let io = |error| IndexError::io("write", &beside, error);
        self.file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&beside)
            .map_err(io)?;
        self.beside = true;
        self.sum = Xxh3::new();
        self.bytes = 0;
        self.append(kept)
    }

    /// Gives the new content the file's name; the manifest that speaks of it is written already.
    pub(super) fn settle(&mut self) -> Result<(), IndexError> {
        if self.beside {
            let beside = beside(&self.path);
            std::fs::rename(&beside, &self.path)
                .map_err(|error| IndexError::io("rename", &beside, error))?;
            self.beside = false;
        }
        Ok(())
    }

    pub(super) fn whole(&mut self) -> Result<Vec<u8>, IndexError> {
        let io = |error| IndexError::io("read", &self.path, error);
        let mut all = Vec::new();
        self.file.seek(SeekFrom::Start(0)).map_err(io)?;
        self.file.read_to_end(&mut all).map_err(io)?;
        Ok(all)
    }

    /// Keeps some of the lines.
    pub(super) fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) -> Result<(), IndexError> {
        let all = self.whole()?;
        let lines = all.split_inclusive(|byte| *byte == b'\n').filter(|line| keep(line));
        self.replace(&lines.collect::<Vec<_>>().concat())
    }

    /// Keeps some of the rows of a fixed length.
    pub(super) fn retain_chunks(
        &mut self,
        len: usize,
        keep: impl Fn(&[u8]) -> bool,
    ) -> Result<(), IndexError> {
        let all = self.whole()?;
        self.replace(&all.chunks(len).filter(|row| keep(row)).collect::<Vec<_>>().concat())
    }

    pub(super) fn state(&self) -> AppendedFile {
        AppendedFile { bytes: self.bytes, sum: format!("{:016x}", self.sum.digest()) }
    }

    pub(super) fn sync(&self) -> Result<(), IndexError> {
        self.file.sync_data().map_err(|error| IndexError::io("write", &self.path, error))
    }
}

/// Where new content of a file stands until the manifest speaks of it.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Says whether a file begins with what is committed.
fn holds(path: &Path, committed: &AppendedFile) -> bool {
    path.exists()
        && summed(path, committed.bytes)
            .is_ok_and(|(_, sum)| format!("{:016x}", sum.digest()) == committed.sum)
}

/// Opens a file and sums its first `bytes`.
fn summed(path: &Path, bytes: u64) -> Result<(File, Xxh3), IndexError> {
    let io = |attempt| move |error| IndexError::io(attempt, path, error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io("open"))?;
    let mut sum = Xxh3::new();
    let mut left = bytes;
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        let want = left.min(buffer.len() as u64) as usize;
        let got = file.read(buffer.get_mut(..want).unwrap_or_default()).map_err(io("read"))?;
        if got == 0 {
            return Err(IndexError::Damaged {
                file: path.display().to_string(),
                offset: bytes - left,
                what: "the file is too short".to_owned(),
            });
        }
        sum.update(buffer.get(..got).unwrap_or_default());
        left -= got as u64;
    }
    Ok((file, sum))
}
