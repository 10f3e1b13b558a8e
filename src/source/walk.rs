//! Paths become files in a stable order; what must not be read is refused with one line.

use std::fs::Metadata;
use std::path::Path;
use std::path::PathBuf;

use walkdir::WalkDir;

use super::error::SourceError;

/// One thing to read, or not to.
#[derive(Debug)]
pub(crate) enum Found {
    /// Standard input.
    Stdin,
    /// A file, or a FIFO that is read like one.
    File(PathBuf, Option<Metadata>),
    /// Something that is not read.
    Refused(String, String),
}

/// Checks that every path is there, so that a misspelt name stops the run before it starts.
///
/// # Errors
/// A path that is not there or cannot be read, or no path at all.
pub fn check(paths: &[PathBuf]) -> Result<(), SourceError> {
    if paths.is_empty() {
        return Err(SourceError::NoPath);
    }
    for path in paths.iter().filter(|path| path.as_os_str() != "-") {
        match std::fs::metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SourceError::NotFound(path.clone()));
            }
            Err(error) => return Err(SourceError::Unreadable(path.clone(), error)),
        }
    }
    Ok(())
}

/// Iterates over what stands at `path`, directories in the order of their names.
///
/// `skip` are canonical paths of folders that are not entered.
pub(crate) fn walk(path: &Path, skip: &[PathBuf]) -> Box<dyn Iterator<Item = Found> + Send> {
    if path.as_os_str() == "-" {
        return Box::new(std::iter::once(Found::Stdin));
    }
    let skip = skip.to_vec();
    let wanted = move |entry: &walkdir::DirEntry| {
        skip.is_empty()
            || !entry.file_type().is_dir()
            || !entry.path().canonicalize().is_ok_and(|path| skip.contains(&path))
    };
    let entries = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    let entries = entries.filter_entry(wanted);
    Box::new(entries.filter_map(|entry| match entry {
        Ok(entry) => {
            let path = entry.path().to_path_buf();
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => None,
                Ok(metadata) => Some(judge(path, metadata)),
                Err(error) => Some(Found::Refused(label(&path), error.to_string())),
            }
        }
        Err(error) => {
            let name = error.path().map(label).unwrap_or_default();
            let reason = match error.loop_ancestor() {
                Some(ancestor) => format!("symbolic link loop back to {}", label(ancestor)),
                None => error
                    .io_error()
                    .map_or_else(|| error.to_string(), std::string::ToString::to_string),
            };
            Some(Found::Refused(name, reason))
        }
    }))
}

fn judge(path: PathBuf, metadata: Metadata) -> Found {
    match special(&metadata) {
        Some(what) => Found::Refused(label(&path), format!("{what}, not a file")),
        None => Found::File(path, Some(metadata)),
    }
}

/// Names what kind of special file this is; FIFOs are streams and not special here.
#[cfg(unix)]
fn special(metadata: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if kind.is_block_device() || kind.is_char_device() {
        Some("a device")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        None
    }
}

#[cfg(not(unix))]
fn special(metadata: &Metadata) -> Option<&'static str> {
    (!metadata.is_file()).then_some("a special file")
}

/// Returns a path as a label: text, control characters replaced, never used as a path again.
pub(crate) fn label(path: &Path) -> String {
    clean(&path.to_string_lossy())
}

/// Replaces control characters and marks that turn the direction of text (an attacker names files
/// too).
pub(crate) fn clean(name: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if name.chars().any(odd) {
        name.chars().map(|c| if odd(c) { '\u{fffd}' } else { c }).collect()
    } else {
        name.to_owned()
    }
}
