//! A path becomes pieces of bytes, each with its place.  Knows no JSON.
pub mod mmap;
