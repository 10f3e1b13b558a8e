//! ZIP: each member is a source of its own.

use std::io::Read;
use std::path::Path;

use super::seekable;
use crate::event::time::Timestamp;
use crate::source::unpack::Stopped;
use crate::source::unpack::Unpacker;
use crate::source::walk::clean;

/// Reads all members of a ZIP archive in the order of its table of contents.
pub(crate) fn read(
    unpacker: &mut Unpacker,
    name: &str,
    reader: &mut dyn Read,
    depth: usize,
    path: Option<&Path>,
) -> Result<(), Stopped> {
    let bytes = match seekable::open(unpacker, reader, path) {
        Ok(bytes) => bytes,
        Err(reason) => return unpacker.out.refuse(name, format!("zip: {reason}")),
    };
    let mut archive = match zip::ZipArchive::new(bytes) {
        Ok(archive) => archive,
        Err(error) => return unpacker.out.refuse(name, format!("zip: {error}")),
    };
    for index in 0..archive.len() {
        let entry = match archive.by_index(index) {
            Ok(entry) => entry,
            Err(error) => {
                unpacker.out.refuse(format!("{name}!#{index}"), format!("zip: {error}"))?;
                continue;
            }
        };
        if entry.is_dir() {
            continue;
        }
        let member = entry
            .name()
            .map(std::borrow::Cow::into_owned)
            .unwrap_or_else(|_| String::from_utf8_lossy(entry.name_raw()).into_owned());
        let full = format!("{name}!{}", clean(&member));
        if entry.is_symlink() {
            unpacker.out.refuse(full, "a symbolic link, not followed")?;
            continue;
        }
        let modified = entry.last_modified().and_then(|time| {
            let date = chrono::NaiveDate::from_ymd_opt(
                time.year().into(),
                time.month().into(),
                time.day().into(),
            )?;
            let moment =
                date.and_hms_opt(time.hour().into(), time.minute().into(), time.second().into())?;
            Some(Timestamp(moment.and_utc().timestamp_micros()))
        });
        let mut entry = unpacker.metered(entry);
        unpacker.read_stream(&full, modified, &mut entry, depth + 1, None)?;
        if unpacker.exceeded() {
            return unpacker.out.refuse(name, "zip: the other members, after one too large");
        }
    }
    Ok(())
}
