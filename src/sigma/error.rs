//! Why a Sigma document cannot become a question.

/// What is wrong with a document; the rest of the batch goes on without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigmaError {
    /// Not YAML, or not a Sigma document.
    #[error("{0}")]
    Unreadable(String),
    /// A part of the specification that has no counterpart here.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A `%placeholder%` without values.
    #[error("placeholder %{0}% has no values (--vars)")]
    Placeholder(String),
}
