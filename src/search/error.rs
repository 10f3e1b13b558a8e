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
    /// The raw lines stay in the sources, and one of them changed or is gone.
    #[error("the source {0} is gone or has changed since it was indexed")]
    SourceChanged(String),
}
