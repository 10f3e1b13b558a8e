//! An event's own JSON text becomes part of another JSON text, unaltered wherever it is JSON.

use std::borrow::Cow;

use crate::event::json::Tape;
use crate::event::json::parse_lenient;

/// Returns `event` as one JSON value on one line.
///
/// A text that is strict JSON without line ends comes back as it is.  Line ends between tokens are
/// left out, and what only the tolerant parser reads (bytes that are no UTF-8, control characters
/// and broken escapes inside strings, numbers such as `1.`) is written the way JSON can hold it; a
/// text that is no JSON at all becomes a string.
pub fn embed<'e>(event: &'e [u8], tape: &mut Tape) -> Cow<'e, [u8]> {
    if parse_lenient(event, tape).is_err() {
        let text = String::from_utf8_lossy(event);
        return Cow::Owned(serde_json::Value::from(text).to_string().into_bytes());
    }
    if std::str::from_utf8(event).is_ok() && is_plain(event) {
        return Cow::Borrowed(event);
    }
    let text = String::from_utf8_lossy(event);
    Cow::Owned(rewrite(text.as_bytes()))
}

/// Says whether nothing in the text needs rewriting; only ever errs towards rewriting.
fn is_plain(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => match plain_string_end(text, at + 1) {
                Some(end) => at = end,
                None => return false,
            },
            b'-' | b'0'..=b'9' => {
                let end = number_end(text, at);
                if !is_strict_number(text.get(at..end).unwrap_or_default()) {
                    return false;
                }
                at = end;
            }
            0..=0x1f => return false,
            _ => at += 1,
        }
    }
    true
}

/// Returns the offset behind the closing quote of a strict string, `None` for any other.
fn plain_string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += escape_length(text.get(at..)?)?,
            0..=0x1f => return None,
            _ => at += 1,
        }
    }
}

/// Returns the length of the valid escape that `text` begins with.
fn escape_length(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => text.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

fn number_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest
        .iter()
        .take_while(|c| c.is_ascii_digit() || matches!(c, b'-' | b'+' | b'.' | b'e' | b'E'))
        .count()
}

/// Says whether `text` is a number of RFC 8259, section 6.
fn is_strict_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let digits = |text: &[u8]| text.iter().take_while(|c| c.is_ascii_digit()).count();
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text.first() == Some(&b'0')) {
        return false;
    }
    let mut rest = text.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let n = digits(fraction);
        if n == 0 {
            return false;
        }
        rest = fraction.get(n..).unwrap_or_default();
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let n = digits(exponent);
        return n > 0 && n == exponent.len();
    }
    rest.is_empty()
}

fn rewrite(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len() + 16);
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = rewrite_string(text, at, &mut out),
            b'-' | b'0'..=b'9' => {
                let end = number_end(text, at);
                let number = text.get(at..end).unwrap_or_default();
                let strict = is_strict_number(number);
                if !strict {
                    out.push(b'"');
                }
                out.extend_from_slice(number);
                if !strict {
                    out.push(b'"');
                }
                at = end;
            }
            b'\n' | b'\r' => at += 1,
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    out
}

fn rewrite_string(text: &[u8], start: usize, out: &mut Vec<u8>) -> usize {
    out.push(b'"');
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                out.push(b'"');
                return at + 1;
            }
            b'\\' => {
                let rest = text.get(at..).unwrap_or_default();
                if let Some(length) = escape_length(rest) {
                    out.extend_from_slice(rest.get(..length).unwrap_or_default());
                    at += length;
                } else {
                    // A broken escape: its backslash is kept as a character.
                    out.extend_from_slice(b"\\\\");
                    at += 1;
                }
            }
            0..=0x1f => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                at += 1;
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(text: &[u8]) -> String {
        let mut tape = Tape::default();
        let out = embed(text, &mut tape).into_owned();
        let out = String::from_utf8(out).unwrap();
        // Any strict parser must accept it; serde_json alone would refuse lone surrogates.
        let checked = out.replace("\\ud800", "");
        serde_json::from_str::<serde_json::Value>(&checked).unwrap();
        assert!(!out.contains('\n'));
        out
    }

    #[test]
    fn strict_json_is_not_touched() {
        let text = br#"{"a" : [1, -2.5e+10, 12345678901234567890123], "b":"\u0041\n\/ \ud800"}"#;
        assert_eq!(embedded(text).as_bytes(), text);
    }

    #[test]
    fn pretty_json_loses_its_line_ends_only() {
        assert_eq!(embedded(b"{\n  \"a\": \"x  y\"\r\n}"), "{  \"a\": \"x  y\"}");
    }

    #[test]
    fn what_only_a_tolerant_parser_reads_becomes_json() {
        assert_eq!(embedded(b"{\"a\":\"\xff\"}"), "{\"a\":\"\u{fffd}\"}");
        assert_eq!(embedded(b"{\"a\":\"x\ny\x1b\"}"), r#"{"a":"x\u000ay\u001b"}"#);
        assert_eq!(embedded(br#"{"a":"\q\u00"}"#), r#"{"a":"\\q\\u00"}"#);
        assert_eq!(embedded(b"{\"a\":01,\"b\":1.}"), r#"{"a":"01","b":"1."}"#);
        assert_eq!(embedded(b"{\"a\":"), r#""{\"a\":""#);
    }
}
