//! One file for each container that is more than a decoder; the decoders are chosen here.

use std::io;
use std::io::BufRead;
use std::io::Read;

use super::sniff::Container;

pub(crate) mod gzip;
pub(crate) mod seekable;
pub(crate) mod sevenz;
pub(crate) mod tar;
pub(crate) mod utf16;
pub(crate) mod zip;

/// Dictionaries larger than this are refused, in KiB; `xz -9` needs 64 MiB.
const XZ_MEMORY_MAX: u32 = 256 << 10;

/// Returns what decompresses `packed`; for an archive there is nothing to return.
pub(crate) fn decoder<'r, R: BufRead + 'r>(
    container: Container,
    packed: R,
) -> io::Result<Box<dyn Read + 'r>> {
    Ok(match container {
        Container::Gzip => Box::new(gzip::Gunzip::new(packed)),
        Container::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        Container::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY_MAX)),
        Container::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        Container::Utf16Le => Box::new(utf16::Utf16::new(packed, false)),
        Container::Utf16Be => Box::new(utf16::Utf16::new(packed, true)),
        Container::Tar | Container::Zip | Container::SevenZip => {
            return Err(io::Error::other("an archive, not a stream"));
        }
    })
}
