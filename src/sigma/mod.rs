//! Sigma rules (specification 2.1) become questions of our own; the libraries that parse them are
//! used here and nowhere else.

mod adapter;
mod encoding;
pub mod error;
pub mod feasible;
pub mod fields;
mod leaf;
pub mod logsource;
mod lower;
mod placeholders;
pub mod rule;

pub use adapter::parse;
pub use lower::Vars;

#[cfg(test)]
mod tests;
