//! A file is unwrapped, container by container, until evidence stands there.

use std::cell::Cell;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::BufReader;
use std::io::Cursor;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use sha2::Digest;
use sha2::Sha256;

use super::before::HeadHash;
use super::before::History;
use super::before::Resume;
use super::before::Verdict;
use super::containers;
use super::layout::origin_of_name;
use super::piece::Pool;
use super::piece::SourceInfo;
use super::reader::FileEnd;
use super::reader::ReadItem;
use super::reader::ReadOptions;
use super::reader::SourceEnd;
use super::sniff::Container;
use super::sniff::SNIFF_BYTES;
use super::sniff::sniff;
use super::stream::Stream;
use super::stream::Streamed;
use super::walk::Found;
use super::walk::label;
use crate::event::place::SourceId;
use crate::event::time::Timestamp;

/// Nobody listens any more.
#[derive(Debug)]
pub(crate) struct Stopped;

/// Where items go.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) options: ReadOptions,
    pub(crate) pool: Arc<Pool>,
    give: SyncSender<ReadItem>,
    next_id: u32,
}

impl Outlet {
    /// Hands one item over; waits while enough are waiting.
    pub(crate) fn send(&mut self, item: ReadItem) -> Result<(), Stopped> {
        self.give.send(item).map_err(|_| Stopped)
    }

    /// Says that something is not read.
    pub(crate) fn refuse(
        &mut self,
        name: impl Into<String>,
        reason: impl Into<String>,
    ) -> Result<(), Stopped> {
        self.send(ReadItem::Refused { name: name.into(), reason: reason.into() })
    }
}

/// Counts what goes into decompressors and what comes out, so that a bomb is seen.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    packed: Cell<u64>,
    unpacked: Cell<u64>,
    exceeded: Cell<bool>,
}

/// Reads one file.
#[derive(Debug)]
pub(crate) struct Unpacker {
    pub(crate) out: Outlet,
    meter: Rc<Meter>,
}

impl Unpacker {
    pub(crate) fn new(options: ReadOptions, give: SyncSender<ReadItem>) -> Unpacker {
        let pool = Arc::new(Pool::new(options.piece_bytes.saturating_mul(2)));
        let out = Outlet { options, pool, give, next_id: 0 };
        Unpacker { out, meter: Rc::default() }
    }

    /// Reads what was found at a path.
    pub(crate) fn read_found(&mut self, found: Found) -> Result<(), Stopped> {
        match found {
            Found::Refused(name, reason) => self.out.refuse(name, reason),
            Found::Stdin => {
                let stdin = Box::new(io::stdin().lock());
                self.read_top(new_end("-".to_owned(), None, None), stdin, None, None)
            }
            Found::File(path, metadata) => match File::open(&path) {
                Ok(file) => self.read_file(path, metadata, file),
                Err(error) => self.out.refuse(label(&path), error.to_string()),
            },
        }
    }

    fn read_file(
        &mut self,
        path: PathBuf,
        metadata: Option<Metadata>,
        file: File,
    ) -> Result<(), Stopped> {
        let modified = metadata
            .as_ref()
            .and_then(|metadata| metadata.modified().ok())
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|age| i64::try_from(age.as_micros()).ok())
            .map(Timestamp);
        let name = label(&path);
        let mut file = file;
        let regular = metadata.filter(Metadata::is_file).map(|metadata| metadata.len());
        let mut history = History::New;
        let mut resume = None;
        if let Some(size) = regular {
            match self.out.options.before.judge(&mut file, size) {
                Ok(Verdict::Known(sha256)) => {
                    let mut end = new_end(name, Some(path), modified);
                    (end.size, end.sha256, end.history) = (size, sha256, History::Known);
                    return self.out.send(ReadItem::File(end));
                }
                Ok(Verdict::Grown(from)) => {
                    history = History::Grown(from.offset);
                    resume = Some(from);
                }
                Ok(Verdict::Unknown) if self.out.options.before.names.contains(&name) => {
                    history = History::Changed;
                }
                Ok(Verdict::Unknown) => {}
                Err(error) => return self.out.refuse(name, error.to_string()),
            }
        }
        let mut end = new_end(name, Some(path), modified);
        end.history = history;
        self.read_top(end, Box::new(file), regular, resume)
    }

    /// Reads one file to its end and hashes it; `size` is what it should have.
    fn read_top(
        &mut self,
        mut end: FileEnd,
        mut file: Box<dyn Read>,
        size: Option<u64>,
        resume: Option<Resume>,
    ) -> Result<(), Stopped> {
        let (head, error) = read_head(&mut file);
        end.problem = error.map(|error| error.to_string());
        let container = if resume.is_none() { sniff(&head) } else { None };
        if container.is_none() {
            let name = end.name.clone();
            let head_before = resume.as_ref().map(|resume| resume.head_sha256);
            let source = self.emit_source(&name, end.modified, &head, &mut file, resume)?;
            (end.size, end.sha256, end.plain) = (source.size, source.sha256, true);
            end.head_sha256 = head_before.unwrap_or(source.head_sha256);
        } else {
            let mut whole = Hashing {
                inner: Cursor::new(head).chain(file),
                hash: Sha256::new(),
                head: HeadHash::default(),
                size: 0,
                meter: Rc::clone(&self.meter),
            };
            let path = end.path.clone().filter(|_| size.is_some());
            let name = end.name.clone();
            self.read_stream(&name, end.modified, &mut whole, 0, path.as_deref())?;
            if let Err(error) = io::copy(&mut whole, &mut io::sink()) {
                end.problem = Some(error.to_string());
            }
            end.size = whole.size;
            end.sha256 = whole.hash.finalize().into();
            end.head_sha256 = whole.head.finish();
        }
        if let Some(size) = size.filter(|size| *size > end.size && end.problem.is_none()) {
            end.problem = Some(format!(
                "the file shrank from {size} to {} bytes while it was read",
                end.size
            ));
        }
        end.sources = self.out.next_id;
        self.out.send(ReadItem::File(end))
    }

    /// Unwraps one stream: another container, or a source.
    ///
    /// This recurses at most `depth_max` deep.
    pub(crate) fn read_stream(
        &mut self,
        name: &str,
        modified: Option<Timestamp>,
        reader: &mut dyn Read,
        depth: usize,
        path: Option<&Path>,
    ) -> Result<(), Stopped> {
        let (head, error) = read_head(reader);
        let container = sniff(&head);
        if let Some(error) = error {
            let mut nothing = Failing(Some(error));
            return self.emit_source(name, modified, &head, &mut nothing, None).map(drop);
        }
        let Some(container) = container else {
            return self.emit_source(name, modified, &head, reader, None).map(drop);
        };
        if depth >= self.out.options.depth_max {
            let reason = format!(
                "{} at depth {depth}: more than {} containers inside one another",
                container.name(),
                self.out.options.depth_max
            );
            return self.out.refuse(name, reason);
        }
        let mut whole = Cursor::new(head).chain(reader);
        match container {
            Container::Tar => containers::tar::read(self, name, &mut whole, depth),
            Container::Zip => containers::zip::read(self, name, &mut whole, depth, path),
            Container::SevenZip => containers::sevenz::read(self, name, &mut whole, depth, path),
            Container::Utf16Le | Container::Utf16Be => {
                let text = BufReader::with_capacity(64 << 10, &mut whole);
                match containers::decoder(container, text) {
                    // Offsets are those of the text as UTF-8, and the name says so.
                    Ok(mut text) => {
                        let name = format!("{name}!{}", container.name());
                        self.read_stream(&name, modified, &mut text, depth + 1, None)
                    }
                    Err(error) => self.out.refuse(name, error.to_string()),
                }
            }
            Container::Gzip | Container::Zstd | Container::Xz | Container::Bzip2 => {
                let packed = BufReader::with_capacity(64 << 10, &mut whole);
                match containers::decoder(container, packed) {
                    Ok(decoder) => {
                        let mut decoder = self.metered(decoder);
                        self.read_stream(name, modified, &mut decoder, depth + 1, None)
                    }
                    Err(error) => self.out.refuse(name, format!("{}: {error}", container.name())),
                }
            }
        }
    }

    /// Counts what comes out of a decompressor and stops a bomb.
    pub(crate) fn metered<R: Read>(&self, inner: R) -> Metered<R> {
        Metered {
            inner,
            meter: Rc::clone(&self.meter),
            ratio: self.out.options.expansion_max,
            free: self.out.options.expansion_free,
        }
    }

    /// Says whether this file became too large.
    pub(crate) fn exceeded(&self) -> bool {
        self.meter.exceeded.get()
    }

    /// Counts packed bytes that are not read through the file's own stream.
    pub(crate) fn count_packed(&self, bytes: u64) {
        self.meter.packed.set(self.meter.packed.get().max(bytes));
    }

    fn emit_source(
        &mut self,
        name: &str,
        modified: Option<Timestamp>,
        head: &[u8],
        reader: &mut dyn Read,
        resume: Option<Resume>,
    ) -> Result<Streamed, Stopped> {
        let id = SourceId(self.out.next_id);
        self.out.next_id += 1;
        let info = SourceInfo { id, name: name.to_owned(), hint: origin_of_name(name), modified };
        self.out.send(ReadItem::Start(Arc::new(info)))?;
        let stream = Stream::new(id, head, reader, &self.out, resume);
        let streamed = stream.run(&mut self.out)?;
        self.out.send(ReadItem::End(SourceEnd {
            id,
            size: streamed.size,
            sha256: streamed.sha256,
            problem: streamed.problem.clone(),
        }))?;
        Ok(streamed)
    }
}

fn new_end(name: String, path: Option<PathBuf>, modified: Option<Timestamp>) -> FileEnd {
    FileEnd {
        name,
        path,
        size: 0,
        sha256: [0; 32],
        modified,
        first: SourceId(0),
        sources: 0,
        head_sha256: [0; 32],
        history: History::New,
        plain: false,
        problem: None,
    }
}

/// Reads as much of the start of a stream as [`sniff`] wants.
fn read_head(reader: &mut dyn Read) -> (Vec<u8>, Option<io::Error>) {
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    let error = reader.take(SNIFF_BYTES as u64).read_to_end(&mut head).err();
    (head, error)
}

/// A stream that failed while its start was read: it says so where the rest would be.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// The bytes of a file on disk, hashed and counted.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    head: HeadHash,
    size: u64,
    meter: Rc<Meter>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        self.head.update(buffer.get(..read).unwrap_or_default());
        self.size += read as u64;
        self.meter.packed.set(self.meter.packed.get() + read as u64);
        Ok(read)
    }
}

/// What comes out of a decompressor, counted.
#[derive(Debug)]
pub(crate) struct Metered<R> {
    inner: R,
    meter: Rc<Meter>,
    ratio: u64,
    free: u64,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (packed, unpacked) = (self.meter.packed.get(), self.meter.unpacked.get());
        if unpacked > self.free && unpacked / packed.max(1) > self.ratio {
            self.meter.exceeded.set(true);
            return Err(io::Error::other(format!(
                "refused: {packed} bytes became more than {unpacked}, over {} times as many",
                self.ratio
            )));
        }
        let read = self.inner.read(buffer)?;
        self.meter.unpacked.set(unpacked + read as u64);
        Ok(read)
    }
}
