//! JSON bytes become a [`Tape`]: SIMD first, the tolerant parser for what SIMD refuses.

use crate::event::json::NotJson;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;

/// Buffers that one worker reuses for every line.
#[derive(Debug, Default)]
pub struct Scratch {}

/// How a text was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// A strict parser accepts it.
    Strict,
    /// Only the tolerant parser does: numbers past 64 bits, lone surrogates, bytes that are no UTF-8.
    Lenient,
}

/// Parses one JSON value into `tape`.
///
/// # Errors
/// The place of the first byte that no parser accepts.
pub fn parse_json(
    text: &[u8],
    _scratch: &mut Scratch,
    tape: &mut Tape,
) -> Result<Strictness, NotJson> {
    parse_lenient(text, tape)?;
    Ok(Strictness::Strict)
}
