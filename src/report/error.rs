//! Why something could not be written down.

use crate::search::error::SearchError;

/// Situations in which a report stays unfinished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Whoever should get the text does not take it.
    #[error("cannot write the results")]
    Write(#[from] std::io::Error),
    /// An event that the report names could not be read.
    #[error(transparent)]
    Evidence(#[from] SearchError),
}
