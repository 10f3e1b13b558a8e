//! Why a question could not be answered.

/// Situations in which an answer would be wrong or incomplete.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The question itself does not work.
    #[error("{0}")]
    Question(String),
    /// The index is not readable where it must be.
    #[error("the index is damaged: {0}")]
    Damaged(String),
    /// Reading failed.
    #[error("cannot read {path}")]
    Io {
        /// What was read.
        path: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Lines were left in the sources, and one of these has changed or is gone: the sentence names
    /// it, the place, and what to do.
    #[error("{0}")]
    SourceChanged(String),
}
