//! Events become committed packs with a manifest, and packs give them back.
//!
//! In comes what `source` and `intake` read, out comes a directory: packs ([`pack`]), the runs of
//! bytes that were no events, the further places of events found again, and the manifest
//! ([`manifest`]) that says what of all this counts.  The room knows no questions.

mod append;
pub mod build;
pub mod commit;
pub mod dedupe;
pub mod error;
mod feed;
pub mod lines;
pub mod manifest;
pub mod memory;
pub mod merge;
pub mod mmap;
pub mod options;
pub mod pack;
pub mod prune;
pub mod reader;
pub mod turn;
pub mod verify;
mod worker;
