//! What keeps evidence from being read at all.

use std::path::PathBuf;

use thiserror::Error;

/// Why the reading of some paths could not start.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A path does not exist.
    #[error("{}: no such file or directory", .0.display())]
    NotFound(PathBuf),
    /// A path was given that cannot be looked at.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Unreadable(PathBuf, std::io::Error),
    /// No path was given.
    #[error("no path to read was given")]
    NoPath,
    /// The thread that reads ahead could not be started.
    #[error("cannot start a thread to read with: {0}")]
    Thread(std::io::Error),
}
