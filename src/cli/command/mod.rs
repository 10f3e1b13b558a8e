//! One file per command: its arguments with their help, and `run`.

pub mod completions;
pub mod fields;
pub mod state;
