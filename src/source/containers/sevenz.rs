//! 7z: each member is a source of its own.

use std::io::Read;
use std::path::Path;

use sevenz_rust2::ArchiveReader;
use sevenz_rust2::EntryDecision;
use sevenz_rust2::Password;

use super::seekable;
use crate::source::unpack::Stopped;
use crate::source::unpack::Unpacker;
use crate::source::walk::clean;

/// Dictionaries larger than this are refused, in KiB.
const DICTIONARY_MAX: usize = 256 << 10;

/// Reads all members of a 7z archive in the order of its blocks.
pub(crate) fn read(
    unpacker: &mut Unpacker,
    name: &str,
    reader: &mut dyn Read,
    depth: usize,
    path: Option<&Path>,
) -> Result<(), Stopped> {
    let bytes = match seekable::open(unpacker, reader, path) {
        Ok(bytes) => bytes,
        Err(reason) => return unpacker.out.refuse(name, format!("7z: {reason}")),
    };
    let opened = ArchiveReader::new_with_memory_limit(bytes, Password::empty(), DICTIONARY_MAX);
    let mut archive = match opened {
        Ok(archive) => archive,
        Err(error) => return unpacker.out.refuse(name, format!("7z: {error}")),
    };
    archive.set_thread_count(1);
    let mut stopped = false;
    let result = archive.for_each_entries_with_decision(|entry, data| {
        if entry.is_directory() {
            return Ok(EntryDecision::Continue);
        }
        let full = format!("{name}!{}", clean(entry.name()));
        let mut data = unpacker.metered(data);
        match unpacker.read_stream(&full, None, &mut data, depth + 1, None) {
            // What a bomb has left is not read to its end.
            Ok(()) if unpacker.exceeded() => Ok(EntryDecision::Stop),
            Ok(()) => Ok(EntryDecision::Continue),
            Err(Stopped) => {
                stopped = true;
                Ok(EntryDecision::Stop)
            }
        }
    });
    match result {
        _ if stopped => Err(Stopped),
        Ok(()) => Ok(()),
        Err(error) => unpacker.out.refuse(name, format!("7z: {error}")),
    }
}
