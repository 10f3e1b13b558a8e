//! One file per command: its arguments with their help, and `run`.

pub mod compare;
pub mod completions;
pub mod debug;
pub mod debug_plan;
pub mod demo;
pub mod fields;
pub mod formats;
pub mod histogram;
pub mod hunt;
pub mod index;
pub mod investigate;
pub mod pivot;
pub mod prune;
pub mod rejected;
pub mod rules;
pub mod scan;
pub mod search;
pub mod show;
pub mod sources;
pub mod state;
pub mod timeline;
pub mod top;
pub mod verify;
