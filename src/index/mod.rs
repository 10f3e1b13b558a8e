//! Events become committed packs with a manifest, and packs give them back.

pub mod error;
pub mod mmap;
pub mod pack;
