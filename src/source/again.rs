//! A run of bytes of a source is read once more, by its place.
//!
//! A plain file is read at the offset.
//! What comes out of a container is unpacked from the start of the file; who asks for runs in the
//! order of the source goes on where the last one ended, because the unpackers stay open.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::piece::Piece;
use super::reader::ReadItem;
use super::reader::ReadOptions;
use super::reader::Reader;
use super::sniff::SNIFF_BYTES;
use super::sniff::sniff;
use super::walk::label;

/// So many containers stay open at the place where a run ended.
const OPEN_MAX: usize = 4;
/// Bytes unpacked at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Which run of bytes.
#[derive(Clone, Debug)]
pub struct Run<'r> {
    /// The file.
    pub path: &'r Path,
    /// What the name of the source has behind that of the file, empty for the file itself.
    pub member: &'r str,
    /// Place of the source among those of its file, ascending: what tells whether an open
    /// container is past it.
    pub rank: u32,
    /// Offset in the decompressed source.
    pub offset: u64,
    /// Length.
    pub length: usize,
}

/// Why a run could not be read.
#[derive(Debug)]
pub enum NotAgain {
    /// No such file, or no right to read it.
    Gone(io::Error),
    /// The file is there, but what stands at the place is something else.
    Changed,
}

/// Reads runs of bytes again.
#[derive(Debug, Default)]
pub struct Again {
    open: Mutex<Vec<Open>>,
}

/// A container that is unpacked up to a place.
struct Open {
    path: PathBuf,
    reader: Reader,
    /// The source that is given out.
    name: String,
    piece: Option<Piece>,
    /// How far it is: rank and offset.
    at: (u32, u64),
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} unpacked up to {:?}", self.path.display(), self.at)
    }
}

impl Again {
    /// Returns the bytes of a run that `accept` takes for the right ones.
    ///
    /// # Errors
    /// When the file is gone, or nothing acceptable stands at the place.
    pub fn run(&self, run: &Run<'_>, accept: &dyn Fn(&[u8]) -> bool) -> Result<Vec<u8>, NotAgain> {
        let mut file = File::open(run.path).map_err(NotAgain::Gone)?;
        if !file.metadata().map_err(NotAgain::Gone)?.is_file() {
            return Err(NotAgain::Gone(io::Error::other("it is no regular file")));
        }
        if run.member.is_empty() {
            let mut head = Vec::with_capacity(SNIFF_BYTES);
            file.by_ref()
                .take(SNIFF_BYTES as u64)
                .read_to_end(&mut head)
                .map_err(NotAgain::Gone)?;
            if sniff(&head).is_none() {
                return plain(&mut file, run, accept);
            }
        }
        if let Some(mut open) = self.take(run) {
            if let Some(bytes) = open.run(run).filter(|bytes| accept(bytes)) {
                self.put_back(open);
                return Ok(bytes);
            }
        }
        // From the start; an archive may have several members of one name.
        let mut open = Open::new(run.path).map_err(NotAgain::Gone)?;
        while let Some(bytes) = open.run(run) {
            if accept(&bytes) {
                self.put_back(open);
                return Ok(bytes);
            }
            // Passed over; only another source of the name can have the run.
            open.piece = None;
            open.name.clear();
        }
        Err(NotAgain::Changed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the open container that is nearest before the run.
    fn take(&self, run: &Run<'_>) -> Option<Open> {
        let mut all = self.lock();
        let fits = |open: &Open| open.path == run.path && open.at <= (run.rank, run.offset);
        let nearest = all.iter().enumerate().filter(|(_, open)| fits(open));
        let (nearest, _) = nearest.max_by_key(|(_, open)| open.at)?;
        Some(all.remove(nearest))
    }

    fn put_back(&self, open: Open) {
        let mut all = self.lock();
        if all.len() >= OPEN_MAX {
            all.remove(0);
        }
        all.push(open);
    }
}

fn plain(
    file: &mut File,
    run: &Run<'_>,
    accept: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<u8>, NotAgain> {
    let size = file.metadata().map_err(NotAgain::Gone)?.len();
    if run.offset.saturating_add(run.length as u64) > size {
        return Err(NotAgain::Changed);
    }
    file.seek(SeekFrom::Start(run.offset)).map_err(NotAgain::Gone)?;
    let mut bytes = vec![0; run.length];
    match file.read_exact(&mut bytes) {
        Ok(()) if accept(&bytes) => Ok(bytes),
        Ok(()) => Err(NotAgain::Changed),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(NotAgain::Changed),
        Err(error) => Err(NotAgain::Gone(error)),
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Open> {
        let options =
            ReadOptions { piece_bytes: PIECE_BYTES, ahead: 1, lanes: 1, ..ReadOptions::default() };
        let reader = Reader::open(&[path.to_path_buf()], options).map_err(io::Error::other)?;
        Ok(Open { path: path.to_owned(), reader, name: String::new(), piece: None, at: (0, 0) })
    }

    /// Goes on to a run, if it is still to come.
    fn run(&mut self, run: &Run<'_>) -> Option<Vec<u8>> {
        let name = label(run.path) + run.member;
        let mut out: Vec<u8> = Vec::new();
        loop {
            if let Some(piece) = self.piece.as_ref().filter(|_| self.name == name) {
                let wanted = run.offset + out.len() as u64;
                if wanted >= piece.offset {
                    let from = usize::try_from(wanted - piece.offset).unwrap_or(usize::MAX);
                    let rest = piece.bytes.get(from..).unwrap_or_default();
                    let missing = run.length - out.len();
                    out.extend_from_slice(rest.get(..missing).unwrap_or(rest));
                    if out.len() == run.length {
                        self.at = (run.rank, run.offset + run.length as u64);
                        return Some(out);
                    }
                }
            }
            match self.reader.next()? {
                ReadItem::Start(info) => {
                    out.clear();
                    self.piece = None;
                    self.name.clone_from(&info.name);
                }
                ReadItem::Piece(piece) => self.piece = Some(piece),
                ReadItem::End(_) | ReadItem::File(_) => self.piece = None,
                ReadItem::Refused { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn text() -> Vec<u8> {
        (0..300_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect()
    }

    fn read(again: &Again, path: &Path, member: &str, rank: u32, at: usize) -> Option<Vec<u8>> {
        let run = Run { path, member, rank, offset: at as u64, length: 50_000 };
        let text = text();
        let right = &text[at..at + 50_000];
        again.run(&run, &|bytes| bytes == right).ok()
    }

    #[test]
    fn runs_come_back_from_files_and_containers_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, gz, tar) =
            (folder.path().join("a.log"), folder.path().join("a.gz"), folder.path().join("a.tar"));
        std::fs::write(&plain, text()).unwrap();
        let mut packed =
            flate2::write::GzEncoder::new(File::create(&gz).unwrap(), flate2::Compression::fast());
        packed.write_all(&text()).unwrap();
        packed.finish().unwrap();
        // Two members of one name: only what `accept` says tells them apart.
        let mut archive = tar::Builder::new(File::create(&tar).unwrap());
        for bytes in [vec![b'x'; 3_000_000], text()] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            archive.append_data(&mut header, "m/audit.log", bytes.as_slice()).unwrap();
        }
        archive.finish().unwrap();
        let again = Again::default();
        for at in [0, 50_000, 2_000_000, 1_000_000, 1_050_000, 3_000_000, 0] {
            assert!(read(&again, &plain, "", 0, at).is_some(), "{at}");
            assert!(read(&again, &gz, "", 0, at).is_some(), "{at}");
            assert!(read(&again, &tar, "!m/audit.log", 1, at).is_some(), "{at}");
        }
        assert!(again.lock().len() <= OPEN_MAX);
        let run = Run { path: &plain, member: "", rank: 0, offset: 7, length: 1 };
        assert!(matches!(again.run(&run, &|_| false), Err(NotAgain::Changed)));
        let run = Run { path: &folder.path().join("no"), ..run };
        assert!(matches!(again.run(&run, &|_| true), Err(NotAgain::Gone(_))));
        let run = Run { path: &gz, offset: 1 << 40, ..run };
        assert!(matches!(again.run(&run, &|_| true), Err(NotAgain::Changed)));
    }
}
