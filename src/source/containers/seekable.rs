//! Archives whose table of contents stands at the end need their bytes twice.

use std::fs::File;
use std::io::BufReader;
use std::io::Cursor;
use std::io::Read;
use std::io::Seek;
use std::path::Path;

use crate::source::unpack::Unpacker;

/// Bytes that can be read again from any place.
pub(crate) trait Seekable: Read + Seek {}
impl<T: Read + Seek> Seekable for T {}

/// Returns the archive as something to seek in: the file itself if it stands alone on disk, its
/// bytes in memory if it came out of another archive or a pipe.
///
/// # Errors
/// One clause that says why not.
pub(crate) fn open(
    unpacker: &Unpacker,
    reader: &mut dyn Read,
    path: Option<&Path>,
) -> Result<Box<dyn Seekable>, String> {
    if let Some(path) = path
        && std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
    {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let size = file.metadata().map_err(|error| error.to_string())?.len();
        unpacker.count_packed(size);
        return Ok(Box::new(BufReader::with_capacity(64 << 10, file)));
    }
    let limit = unpacker.out.options.held_max;
    let mut bytes = Vec::new();
    let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!(
            "larger than {} MiB inside another container: unpack it first",
            limit >> 20
        ));
    }
    Ok(Box::new(Cursor::new(bytes)))
}
