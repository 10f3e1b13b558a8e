//! Why a pivot, a hunt or an investigation could not answer.

use crate::search::error::SearchError;

/// Situations in which there is no answer; "nothing found" is an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HuntError {
    /// The evidence could not be asked.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// What was typed does not work; the text says what would.
    #[error("{0}")]
    Usage(String),
}
