//! The same for a terminal: flags, exit codes, progress.
//!
//! What comes in is what an analyst typed; what goes out is results on standard output, everything
//! else on standard error, and an exit code.
//! This room refuses to know how anything is stored.

pub mod args;
pub mod command;
pub mod common;
pub mod dispatch;
pub mod exit;
pub mod hits;
pub mod progress;
