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

use super::containers;
use super::layout::origin_of_name;
use super::piece::Pool;
use super::piece::SourceInfo;
use super::reader::FileEnd;
use super::reader::ReadItem;
use super::reader::ReadOptions;
use super::sniff::Container;
use super::sniff::SNIFF_BYTES;
use super::sniff::sniff;
use super::stream::Stream;
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

/// Reads files one after the other.
#[derive(Debug)]
pub(crate) struct Unpacker {
    pub(crate) out: Outlet,
    meter: Rc<Meter>,
    /// Digest and size of the last source, for files that are their own source.
    last: Option<(u64, [u8; 32])>,
}

impl Unpacker {
    pub(crate) fn new(options: ReadOptions, give: SyncSender<ReadItem>) -> Unpacker {
        let pool = Arc::new(Pool::new(options.piece_bytes.saturating_mul(2)));
        let next_id = options.first_id.0;
        let out = Outlet { options, pool, give, next_id };
        Unpacker { out, meter: Rc::default(), last: None }
    }

    /// Reads what was found at a path.
    pub(crate) fn read_found(&mut self, found: Found) -> Result<(), Stopped> {
        match found {
            Found::Refused(name, reason) => self.out.refuse(name, reason),
            Found::Stdin => {
                let stdin = Box::new(io::stdin().lock());
                self.read_top("-".to_owned(), None, None, stdin)
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
        self.read_top(label(&path), Some(path), modified, Box::new(file))
    }

    /// Reads one file to its end and hashes it.
    fn read_top(
        &mut self,
        name: String,
        path: Option<PathBuf>,
        modified: Option<Timestamp>,
        mut file: Box<dyn Read>,
    ) -> Result<(), Stopped> {
        self.meter = Rc::default();
        let first = SourceId(self.out.next_id);
        let mut end = FileEnd {
            name: name.clone(),
            path,
            size: 0,
            sha256: [0; 32],
            modified,
            first,
            sources: 0,
            plain: false,
            problem: None,
        };
        let (head, error) = read_head(&mut file);
        end.problem = error.map(|error| error.to_string());
        let container = sniff(&head);
        if container.is_none() {
            self.emit_source(&name, modified, &head, &mut file)?;
            if let Some((size, sha256)) = self.last.take() {
                (end.size, end.sha256, end.plain) = (size, sha256, true);
            }
        } else {
            let mut whole = Hashing {
                inner: Cursor::new(head).chain(file),
                hash: Sha256::new(),
                meter: Rc::clone(&self.meter),
            };
            let seekable = end.path.clone();
            self.read_stream(&name, modified, &mut whole, 0, seekable.as_deref())?;
            if let Err(error) = io::copy(&mut whole, &mut io::sink()) {
                end.problem = Some(error.to_string());
            }
            end.size = self.meter.packed.get();
            end.sha256 = whole.hash.finalize().into();
        }
        end.sources = self.out.next_id - first.0;
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
            return self.emit_source(name, modified, &head, &mut nothing);
        }
        let Some(container) = container else {
            return self.emit_source(name, modified, &head, reader);
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
    ) -> Result<(), Stopped> {
        let id = SourceId(self.out.next_id);
        self.out.next_id += 1;
        let info = SourceInfo { id, name: name.to_owned(), hint: origin_of_name(name), modified };
        self.out.send(ReadItem::Start(Arc::new(info)))?;
        let end = Stream::new(id, head, reader, &self.out).run(&mut self.out)?;
        self.last = Some((end.size, end.sha256));
        self.out.send(ReadItem::End(end))
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
    meter: Rc<Meter>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
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
