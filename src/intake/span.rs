//! Where a JSON value ends, by its brackets alone: iterative, and blind to everything else.

/// How the search for the end of a value came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// One past the bracket that closes the value.
    Closed(usize),
    /// The value is not closed, and this is the first line behind its start that looks like a
    /// record of its own: whoever wrote the value was cut off.
    Cut(usize),
    /// The text ends first.
    Unclosed,
}

/// Finds the end of the object or array that starts at the first byte of `text`.
///
/// A line that starts in the first column with anything but a closing bracket, a comma or a quote
/// ends the search: pretty-printers indent what is inside, so that line is a record of its own.
/// Where they indent by nothing, the first line inside starts with a quote, and then only the
/// brackets count.
pub fn value_end(text: &[u8]) -> Span {
    let mut depth = 0_usize;
    let mut unindented = false;
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        match c {
            b'"' => match string_end(text, at + 1) {
                StringEnd::Closed(end) => {
                    at = end;
                    continue;
                }
                StringEnd::Line(next) => return Span::Cut(next),
                StringEnd::Unclosed => return Span::Unclosed,
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Span::Closed(at + 1);
                }
            }
            b'\n' => match text.get(at + 1) {
                Some(b'"') => unindented = true,
                Some(b' ' | b'\t' | b'}' | b']' | b',' | b'\n' | b'\r') | None => {}
                Some(_) if unindented => {}
                Some(_) => return Span::Cut(at + 1),
            },
            _ => {}
        }
        at += 1;
    }
    Span::Unclosed
}

enum StringEnd {
    /// One past the closing quote.
    Closed(usize),
    /// A line ends inside the string, which JSON does not allow: start of the next line.
    Line(usize),
    Unclosed,
}

fn string_end(text: &[u8], mut at: usize) -> StringEnd {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', rest) else {
            return StringEnd::Unclosed;
        };
        at += found;
        match text.get(at) {
            Some(b'"') => return StringEnd::Closed(at + 1),
            Some(b'\n') => return StringEnd::Line(at + 1),
            _ if text.get(at + 1) == Some(&b'\n') => return StringEnd::Line(at + 2),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(value_end(br#"{"a":"}\"}"}x"#), Span::Closed(12));
        assert_eq!(value_end(b"[[1],{}] "), Span::Closed(8));
    }

    #[test]
    fn pretty_values_span_lines_and_cut_ones_end_at_the_next_record() {
        assert_eq!(value_end(b"{\n  \"a\": [\n    1\n  ]\n}\n{"), Span::Closed(22));
        assert_eq!(value_end(b"{\n\"a\": [\n{\n}\n]\n}\n"), Span::Closed(16));
        assert_eq!(value_end(b"{\"a\":{\n{\"b\":1}\n"), Span::Cut(7));
        assert_eq!(value_end(b"{\"a\":\"cut\n{\"b\":1}\n"), Span::Cut(10));
        assert_eq!(value_end(b"{\"a\":\"cut\\\n{\"b\":1}\n"), Span::Cut(11));
        assert_eq!(value_end(b"{\n  \"a\": 1,\n"), Span::Unclosed);
    }

    #[test]
    fn depth_is_only_a_number() {
        let deep = format!("{}{}", "[".repeat(300_000), "]".repeat(300_000));
        assert_eq!(value_end(deep.as_bytes()), Span::Closed(600_000));
    }
}
