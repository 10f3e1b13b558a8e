//! Maps a file into memory: the only place that may.
#![expect(unsafe_code, reason = "memmap2 cannot promise that nobody changes the file")]

use std::fs::File;
use std::ops::Range;

use memmap2::Mmap;

/// Maps a file for reading.
///
/// # Errors
/// When the operating system refuses.
pub fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: pack files of an index are written once and never changed or cut by this program.
    unsafe { Mmap::map(file) }
}

/// Takes the pages of a part of a map out of this process; whoever reads there again gets them back
/// from the page cache.
///
/// The pages of a mapped file count as memory of the process, wanted or not, until the system needs
/// them for others.
pub fn let_go(map: &Mmap, range: Range<usize>) {
    #[cfg(unix)]
    {
        let advice = memmap2::UncheckedAdvice::DontNeed;
        // SAFETY: the map is for reading only, so nothing written to it can be lost, and the file
        // behind it does not change (see above): the bytes are the same when they are read again.
        let _ = unsafe { map.unchecked_advise_range(advice, range.start, range.len()) };
    }
    #[cfg(not(unix))]
    let _ = (map, range);
}
