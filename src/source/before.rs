//! What was read before: a file is known by its content, not by its name, because logs rotate.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;

use sha2::Digest;
use sha2::Sha256;

use super::cut::csv_header;

/// Bytes at the start of a file that tell quickly whether it can be a known one that grew.
const HEAD_BYTES: u64 = 4096;

/// Bytes read at once while a file is only hashed.
const HASH_BYTES: usize = 1 << 20;

/// Files that were read before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Size and SHA-256 of every file that was read to its end without a problem.
    pub whole: HashSet<(u64, [u8; 32])>,
    /// Files that were their own source, and may have grown since.
    pub plain: Vec<PlainBefore>,
    /// Names of all files: one whose content is none of the above has changed.
    pub names: HashSet<String>,
}

/// A file that was its own source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainBefore {
    /// SHA-256 of its first 4096 bytes, or of all if there were fewer ([`FileEnd::head_sha256`]).
    ///
    /// [`FileEnd::head_sha256`]: super::FileEnd::head_sha256
    pub head_sha256: [u8; 32],
    /// Its size.
    pub size: u64,
    /// SHA-256 of all its bytes.
    pub sha256: [u8; 32],
    /// Where to go on: its size, or the start of a last record that was not finished.
    pub offset: u64,
    /// Number of the line there.
    pub line: u64,
}

/// How a file stands to what was read before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// Nothing like it was read.
    #[default]
    New,
    /// Its bytes were read before, under whatever name; they were not read again.
    Known,
    /// It starts with the bytes of a file that was read before; it was read from this offset on,
    /// size and SHA-256 are of the whole.
    Grown(u64),
    /// Its name was read before, but its content is neither the old one nor goes on from it.
    Changed,
}

/// Where to go on in a file that grew.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    pub(crate) offset: u64,
    pub(crate) line: u64,
    /// Fed with everything in front of `offset`.
    pub(crate) hash: Sha256,
    /// The header, if the file is a CSV export.
    pub(crate) csv_header: Option<Vec<u8>>,
    /// SHA-256 of the first bytes of the file.
    pub(crate) head_sha256: [u8; 32],
}

/// What a look at a file's content said.
#[derive(Debug)]
pub(crate) enum Verdict {
    Known([u8; 32]),
    Grown(Resume),
    Unknown,
}

impl Before {
    /// Holds the content of `file`, `size` bytes long, against what was read before; the file is
    /// left at the place where reading goes on.
    pub(crate) fn judge(&self, file: &mut File, size: u64) -> io::Result<Verdict> {
        if self.whole.iter().any(|(known, _)| *known == size) {
            let sha256 = digest(&hash_on(file, Sha256::new(), size)?);
            file.seek(SeekFrom::Start(0))?;
            if self.whole.contains(&(size, sha256)) {
                return Ok(Verdict::Known(sha256));
            }
        }
        let mut grown: Vec<&PlainBefore> = Vec::new();
        for plain in self.plain.iter().filter(|plain| plain.size < size && plain.size > 0) {
            let head = hash_on(file, Sha256::new(), plain.size.min(HEAD_BYTES))?;
            file.seek(SeekFrom::Start(0))?;
            if digest(&head) == plain.head_sha256 {
                grown.push(plain);
            }
        }
        grown.sort_by_key(|plain| plain.size);
        let resume = self.longest(file, &grown)?;
        let Some(mut resume) = resume else {
            file.seek(SeekFrom::Start(0))?;
            return Ok(Verdict::Unknown);
        };
        file.seek(SeekFrom::Start(0))?;
        resume.head_sha256 = digest(&hash_on(file, Sha256::new(), HEAD_BYTES)?);
        file.seek(SeekFrom::Start(0))?;
        let mut head = Vec::new();
        file.by_ref().take(64 << 10).read_to_end(&mut head)?;
        resume.csv_header =
            csv_header(&head).map(|end| head.get(..end).unwrap_or_default().to_vec());
        file.seek(SeekFrom::Start(resume.offset))?;
        Ok(Verdict::Grown(resume))
    }

    /// Finds the longest known file that `file` starts with; reads each byte at most twice.
    fn longest(&self, file: &mut File, grown: &[&PlainBefore]) -> io::Result<Option<Resume>> {
        let mut hash = Sha256::new();
        let mut at = 0;
        let mut found = None;
        for plain in grown {
            let offset = plain.offset.min(plain.size);
            if offset < at {
                // Its unfinished record starts in front of where a shorter one ended.
                file.seek(SeekFrom::Start(0))?;
                hash = Sha256::new();
                at = 0;
            }
            hash = hash_on(file, hash, offset - at)?;
            let before = hash.clone();
            hash = hash_on(file, hash, plain.size - offset)?;
            at = plain.size;
            if digest(&hash) == plain.sha256 {
                found = Some(Resume {
                    offset,
                    line: plain.line,
                    hash: before,
                    csv_header: None,
                    head_sha256: [0; 32],
                });
            }
        }
        Ok(found)
    }
}

fn digest(hash: &Sha256) -> [u8; 32] {
    hash.clone().finalize().into()
}

/// Feeds the next `length` bytes of `file` to `hash`; fewer if the file ends.
fn hash_on(file: &mut File, mut hash: Sha256, length: u64) -> io::Result<Sha256> {
    let mut left = length;
    let mut buffer = vec![0; HASH_BYTES.min(usize::try_from(length).unwrap_or(HASH_BYTES))];
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(buffer.get_mut(..want).unwrap_or_default())?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        left -= read as u64;
    }
    Ok(hash)
}

/// Hashes what a reader gives and the first 4096 bytes of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadHash {
    hash: Sha256,
    taken: u64,
}

impl HeadHash {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let left = usize::try_from(HEAD_BYTES - self.taken.min(HEAD_BYTES)).unwrap_or_default();
        let head = bytes.get(..left).unwrap_or(bytes);
        self.hash.update(head);
        self.taken += head.len() as u64;
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }
}

/// Returns size and SHA-256 of a file, for whoever checks evidence against what was written down.
///
/// # Errors
/// Those of reading.
pub fn hash_file(path: &std::path::Path) -> io::Result<(u64, [u8; 32])> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; HASH_BYTES];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, hash.finalize().into()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::source::FileEnd;
    use crate::source::ReadItem;
    use crate::source::ReadOptions;
    use crate::source::Reader;

    /// Reads one file; returns its end, where its first piece started, and its bytes.
    fn read(path: &std::path::Path, before: &Before) -> (FileEnd, Option<(u64, u64)>, Vec<u8>) {
        let options = ReadOptions {
            before: Arc::new(before.clone()),
            piece_bytes: 100,
            ..ReadOptions::default()
        };
        let (mut end, mut start, mut bytes) = (None, None, Vec::new());
        for item in Reader::open(&[path.to_path_buf()], options).unwrap() {
            match item {
                ReadItem::Piece(piece) => {
                    start.get_or_insert((piece.offset, piece.line));
                    bytes.extend_from_slice(&piece.bytes);
                }
                ReadItem::File(file) => end = Some(file),
                _ => {}
            }
        }
        (end.unwrap(), start, bytes)
    }

    fn remember(before: &mut Before, end: &FileEnd, offset: u64, line: u64) {
        before.whole.insert((end.size, end.sha256));
        before.names.insert(end.name.clone());
        before.plain.push(PlainBefore {
            head_sha256: end.head_sha256,
            size: end.size,
            sha256: end.sha256,
            offset,
            line,
        });
    }

    #[test]
    fn known_grown_renamed_and_changed_files() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rotated) = (folder.path().join("audit.log"), folder.path().join("audit-1.log"));
        let lines = |numbers: std::ops::Range<u32>| -> String {
            numbers.map(|number| format!("line {number}\n")).collect()
        };
        let mut before = Before::default();
        fs::write(&path, lines(0..1000) + "unfin").unwrap();
        let (end, start, _) = read(&path, &before);
        assert_eq!((end.history, start), (History::New, Some((0, 1))));
        let offset = lines(0..1000).len() as u64;
        remember(&mut before, &end, offset, 1001);

        assert_eq!(read(&path, &before).0.history, History::Known);
        let whole = lines(0..1000) + "unfinished\n" + &lines(1000..1010);
        fs::rename(&path, &rotated).unwrap();
        fs::write(&rotated, &whole).unwrap();
        let (end, start, bytes) = read(&rotated, &before);
        assert_eq!((end.history, start), (History::Grown(offset), Some((offset, 1001))));
        assert_eq!(bytes, &whole.as_bytes()[offset as usize..]);
        assert_eq!((end.size, end.sha256), hash_file(&rotated).unwrap());
        assert_eq!(end.head_sha256, before.plain[0].head_sha256);
        remember(&mut before, &end, end.size, 1012);

        fs::write(&rotated, whole.clone() + "more\n").unwrap();
        let (end, start, bytes) = read(&rotated, &before);
        assert_eq!(start, Some((whole.len() as u64, 1012)));
        assert_eq!((bytes.as_slice(), end.sources), (&b"more\n"[..], 1));

        fs::write(&path, whole.replace("line 500", "line 5oo") + "x").unwrap();
        let (end, start, _) = read(&path, &before);
        assert_eq!((end.history, start), (History::Changed, Some((0, 1))));
    }
}
