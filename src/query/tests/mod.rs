//! The room as a whole: what the grammar promises, and properties over questions nobody thought of.

mod grammar;
mod properties;
mod semantics;
