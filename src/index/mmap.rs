//! Maps a file into memory: the only place that may.
#![expect(unsafe_code, reason = "memmap2 cannot promise that nobody changes the file")]

use std::fs::File;
use std::ops::Deref;
use std::ops::Range;

use memmap2::Mmap;

/// A mapped file, which can be read from as well: a little is copied in less time than the pages
/// around it are mapped and given back.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    #[cfg(unix)]
    file: File,
}

impl MappedFile {
    /// Maps a file for reading.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn new(file: File) -> std::io::Result<MappedFile> {
        // SAFETY: pack files of an index are written once and never changed or cut by this program.
        let map = unsafe { Mmap::map(&file)? };
        Ok(MappedFile {
            map,
            #[cfg(unix)]
            file,
        })
    }

    /// Copies what stands at a range of the file to `out`, which is as long.
    ///
    /// # Errors
    /// When the file ends before, or cannot be read.
    pub fn read(&self, range: Range<usize>, out: &mut [u8]) -> std::io::Result<()> {
        #[cfg(unix)]
        {
            std::os::unix::fs::FileExt::read_exact_at(&self.file, out, range.start as u64)
        }
        #[cfg(not(unix))]
        {
            let bytes = self.map.get(range).filter(|bytes| bytes.len() == out.len());
            out.copy_from_slice(bytes.ok_or(std::io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

/// Takes the pages of a part of a map out of this process; whoever reads there again gets them back
/// from the page cache.
///
/// The pages of a mapped file count as memory of the process, wanted or not, until the system needs
/// them for others.
pub fn let_go(file: &MappedFile, range: Range<usize>) {
    #[cfg(unix)]
    {
        let advice = memmap2::UncheckedAdvice::DontNeed;
        // SAFETY: the map is for reading only, so nothing written to it can be lost, and the file
        // behind it does not change (see above): the bytes are the same when they are read again.
        let _ = unsafe { file.map.unchecked_advise_range(advice, range.start, range.len()) };
    }
    #[cfg(not(unix))]
    let _ = (file, range);
}
