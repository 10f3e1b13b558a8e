//! Maps a file into memory: the only place that may.
#![expect(unsafe_code, reason = "memmap2 cannot promise that nobody truncates the file")]

use std::fs::File;

use memmap2::Mmap;

/// Maps a file for reading.
///
/// # Errors
/// When the operating system refuses.
pub fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: pack files of an index are written once and never changed or cut by this program.
    unsafe { Mmap::map(file) }
}
