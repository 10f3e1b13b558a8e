//! JSON bytes become a [`Tape`]: SIMD first, the tolerant parser for what SIMD refuses.
//!
//! simd-json validates a copy of the text and says where its structure is; from those places and
//! the text itself the flat tape is laid, so that every span is of the bytes as found.  This is
//! the only file that knows simd-json.

use simd_json::Buffers;
use simd_json::INPUT_PADDING;

use crate::event::json::Kind;
use crate::event::json::Node;
use crate::event::json::NotJson;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;

/// Nesting deeper than this goes to the tolerant parser, which does not care.
const SIMD_DEPTH_MAX: usize = 128;

/// Buffers that one worker reuses for every line.
pub struct Scratch {
    input: Vec<u8>,
    buffers: Buffers,
    simd_tape: simd_json::Tape<'static>,
    open: Vec<u32>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scratch of {} bytes", self.input.capacity())
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch {
            input: Vec::new(),
            buffers: Buffers::with_max_depth(8192, SIMD_DEPTH_MAX),
            simd_tape: simd_json::Tape::null(),
            open: Vec::new(),
        }
    }
}

/// How a text was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// A strict parser accepts it.
    Strict,
    /// Only the tolerant parser does: numbers past 64 bits, lone surrogates, bytes that are no
    /// UTF-8, very deep nesting.
    Lenient,
}

/// Parses one JSON value into `tape`.
///
/// # Errors
/// The place of the first byte that no parser accepts.
pub fn parse_json(
    text: &[u8],
    scratch: &mut Scratch,
    tape: &mut Tape,
) -> Result<Strictness, NotJson> {
    if parse_simd(text, scratch, tape) {
        return Ok(Strictness::Strict);
    }
    parse_lenient(text, tape)?;
    Ok(Strictness::Lenient)
}

/// Lays the tape from simd-json's structure; false where simd-json refuses the text.
fn parse_simd(text: &[u8], scratch: &mut Scratch, tape: &mut Tape) -> bool {
    if text.len() >= u32::MAX as usize - INPUT_PADDING {
        return false;
    }
    scratch.input.clear();
    scratch.input.extend_from_slice(text);
    scratch.input.resize(text.len() + INPUT_PADDING, b' ');
    let mut simd_tape = std::mem::replace(&mut scratch.simd_tape, simd_json::Tape::null()).reset();
    let parsed = simd_json::fill_tape_padded(
        &mut scratch.input,
        text.len(),
        &mut scratch.buffers,
        &mut simd_tape,
    );
    let valid = parsed.is_ok();
    scratch.simd_tape = simd_tape.reset();
    valid && lay(text, scratch.buffers.structural_indexes(), &mut scratch.open, tape)
}

/// Walks the structural characters (brackets, colons, commas, first characters of values) of a
/// valid text; false where they do not fit each other, which valid JSON rules out.
fn lay(text: &[u8], structure: &[u32], open: &mut Vec<u32>, tape: &mut Tape) -> bool {
    tape.nodes.clear();
    open.clear();
    let mut backslashes = memchr::memchr_iter(b'\\', text).peekable();
    let mut at = 0;
    while let Some(&start) = structure.get(at) {
        let Some(&first) = text.get(start as usize) else { break };
        let number = tape.nodes.len() as u32;
        match first {
            b',' | b':' => {}
            b'{' | b'[' => {
                open.push(number);
                let kind = if first == b'{' { Kind::Object } else { Kind::Array };
                tape.nodes.push(Node { kind, escaped: false, start, end: 0, next: 0 });
            }
            b'}' | b']' => {
                let Some(node) = open.pop().and_then(|top| tape.nodes.get_mut(top as usize)) else {
                    return false;
                };
                node.end = start + 1;
                node.next = number;
            }
            _ => {
                let behind = structure.get(at + 1).copied().unwrap_or(text.len() as u32);
                let end = trim_end(text, start, behind.min(text.len() as u32));
                let node = if first == b'"' {
                    let is_key = text.get(behind as usize) == Some(&b':');
                    let kind = if is_key { Kind::Key } else { Kind::String };
                    // The span lies between the quotes.
                    let (start, end) = (start + 1, end.saturating_sub(1).max(start + 1));
                    while backslashes.peek().is_some_and(|b| (*b as u32) < start) {
                        backslashes.next();
                    }
                    let escaped = backslashes.peek().is_some_and(|b| (*b as u32) < end);
                    Node { kind, escaped, start, end, next: number + 1 }
                } else {
                    let kind = match first {
                        b't' => Kind::True,
                        b'f' => Kind::False,
                        b'n' => Kind::Null,
                        _ => Kind::Number,
                    };
                    Node { kind, escaped: false, start, end, next: number + 1 }
                };
                tape.nodes.push(node);
            }
        }
        at += 1;
    }
    open.is_empty() && !tape.nodes.is_empty()
}

/// Returns one past the last byte before `behind` that is no white space.
fn trim_end(text: &[u8], start: u32, behind: u32) -> u32 {
    let mut end = behind;
    while end > start && matches!(text.get(end as usize - 1), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        end -= 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(text: &[u8]) -> (Option<Tape>, Option<Tape>) {
        let (mut simd, mut lenient) = (Tape::default(), Tape::default());
        let mut scratch = Scratch::default();
        let strict = parse_simd(text, &mut scratch, &mut simd);
        let tolerant = parse_lenient(text, &mut lenient).is_ok();
        (strict.then_some(simd), tolerant.then_some(lenient))
    }

    #[test]
    fn both_parsers_lay_the_same_tape() {
        for text in [
            r#"{"a":"b"}"#,
            " { \"a\" : [ 1 , -2.5e3 , true , false , null , \"x\\\"y\\\\\" , \"\" ] , \"\":{} , \"e\":[] } \r",
            "[]",
            r#""word""#,
            "12",
            "{\n\t\"kind\": \"Event\",\n\t\"a\\u0041\": [{\"b\": {\"c\": [[\"d\"]]}}]\n}",
        ] {
            let (simd, lenient) = both(text.as_bytes());
            assert!(simd.is_some(), "{text}");
            assert_eq!(simd, lenient, "{text}");
        }
    }

    #[test]
    fn what_simd_refuses_is_read_by_the_other() {
        let mut scratch = Scratch::default();
        let mut tape = Tape::default();
        for text in [
            r#"{"a":123456789012345678901234567890}"#.as_bytes(),
            br#"{"a":"\ud800"}"#,
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"tab\there\"}",
        ] {
            assert_eq!(parse_json(text, &mut scratch, &mut tape), Ok(Strictness::Lenient));
        }
        assert_eq!(parse_json(b"{}", &mut scratch, &mut tape), Ok(Strictness::Strict));
        assert!(parse_json(b"{\"a\":}", &mut scratch, &mut tape).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_alike(text in r#"[\[\]{}:,"\\a1 tfn.eu\-0]{0,40}"#) {
            let (simd, lenient) = both(text.as_bytes());
            if let Some(simd) = simd {
                prop_assert_eq!(Some(simd), lenient);
            }
        }
    }
}
