//! tar: each member is a source of its own; links and devices are named and passed over.

use std::io;
use std::io::Read;

use crate::event::time::Timestamp;
use crate::source::unpack::Stopped;
use crate::source::unpack::Unpacker;
use crate::source::walk::clean;

/// Reads all members of a tar stream.
pub(crate) fn read(
    unpacker: &mut Unpacker,
    name: &str,
    reader: &mut dyn Read,
    depth: usize,
) -> Result<(), Stopped> {
    let mut archive = tar::Archive::new(reader);
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => return unpacker.out.refuse(name, format!("tar: {error}")),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return unpacker.out.refuse(name, format!("tar: {error}")),
        };
        let member = clean(&String::from_utf8_lossy(&entry.path_bytes()));
        let full = format!("{name}!{member}");
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            let modified = entry.header().mtime().ok().and_then(|seconds| {
                i64::try_from(seconds).ok()?.checked_mul(1_000_000).map(Timestamp)
            });
            let size = entry.size();
            let mut entry = Whole { inner: entry, left: size };
            if kind.is_gnu_sparse() {
                // Holes cost nothing in the archive: they count as expansion.
                let mut entry = unpacker.metered(entry);
                unpacker.read_stream(&full, modified, &mut entry, depth + 1, None)?;
            } else {
                unpacker.read_stream(&full, modified, &mut entry, depth + 1, None)?;
            }
            if unpacker.exceeded() {
                return unpacker.out.refuse(name, "tar: the other members, after one too large");
            }
        } else {
            let what = if kind.is_symlink() {
                "a symbolic link, not followed"
            } else if kind.is_hard_link() {
                "a hard link to another member"
            } else {
                "not a file"
            };
            unpacker.out.refuse(full, what)?;
        }
    }
    Ok(())
}

/// A member that says so if it is shorter than its header promised.
struct Whole<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            let missing = std::mem::take(&mut self.left);
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the member is cut off: {missing} bytes are missing"),
            ));
        }
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}
