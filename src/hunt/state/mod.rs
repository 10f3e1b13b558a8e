//! The time machine: rebuilds objects from the writes that the log shows.

pub mod fold;
pub mod history;
pub mod kind;
pub mod merge;
pub mod patch;
pub mod rebuild;
pub mod signature;
pub mod value;
pub mod write;
