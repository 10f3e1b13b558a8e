//! ZIP: each member is a source of its own.

use std::io::Read;
use std::path::Path;

use crate::source::unpack::Stopped;
use crate::source::unpack::Unpacker;

/// Reads all members of a ZIP archive.
pub(crate) fn read(
    unpacker: &mut Unpacker,
    name: &str,
    _reader: &mut dyn Read,
    _depth: usize,
    _path: Option<&Path>,
) -> Result<(), Stopped> {
    unpacker.out.refuse(name, "zip archives are not read yet")
}
