//! A line becomes an event, and every line is accounted for.  Knows no files.

pub mod parse;
pub mod record;
