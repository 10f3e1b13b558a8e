//! Why an index could not be written, opened or trusted.

use std::path::PathBuf;

/// Situations around an index directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The directory is no index.
    #[error(
        "{0} is not an audithound index (no manifest.json in it); make one with `audithound index PATH... --index {0}`"
    )]
    NotAnIndex(String),
    /// Written by another version of the format.
    #[error(
        "{path} has index format {found}, this program reads format {expected}; index the evidence again with this version"
    )]
    OtherVersion {
        /// The directory.
        path: String,
        /// What it says.
        found: u32,
        /// What we read.
        expected: u32,
    },
    /// Bytes of the index are not what was written.
    #[error("the index is damaged: {file} at byte {offset}: {what}")]
    Damaged {
        /// File inside the index.
        file: String,
        /// Where.
        offset: u64,
        /// What does not fit.
        what: String,
    },
    /// Lines that were left in their sources are needed and are not there as they were.
    #[error("{0}")]
    LeftOut(String),
    /// Somebody else is writing.
    #[error(
        "another process is writing to {0}; wait for it to end, or index into another directory"
    )]
    Locked(String),
    /// The operating system refused.
    #[error("cannot {attempt} {path}: {source}")]
    Io {
        /// A verb: read, write, open, ...
        attempt: &'static str,
        /// What was touched.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A source could not be read at all.
    #[error("{0}")]
    Source(String),
    /// The books do not balance: a bug, and never silent.
    #[error("the books do not balance: {0}")]
    Unbalanced(String),
}

impl IndexError {
    /// Wraps an I/O error with what was attempted.
    pub fn io(attempt: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        IndexError::Io { attempt, path: path.into(), source }
    }
}
