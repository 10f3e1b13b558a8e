//! Where values end, told by brackets and quotes alone: iterative, and blind to everything else.

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
    /// The text ends first, and lines in it look like records of their own.
    UnclosedOverRecords,
}

/// What is taken for the inside of a value that spans lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Lines that are indented, and those of a value that is indented by nothing.
    Any,
    /// Lines that are indented.
    Indented,
    /// Nothing: every line is a record.
    Lines,
}

/// Finds the end of the object or array that starts at the first byte of `text`.
///
/// A line that starts in the first column with anything but a closing bracket, a comma or a quote
/// ends the search: pretty-printers indent what is inside, so that line is a record of its own.
/// Some indent by nothing: then the line behind the opening bracket starts with a quote, or an
/// array has its bracket alone on a line, and only the brackets count ([`Layout::Any`]).
pub fn value_end(text: &[u8], layout: Layout) -> Span {
    let unindented = layout == Layout::Any;
    let mut depth = 0_usize;
    let mut flat = unindented && opens_alone(text);
    let mut over_records = false;
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        match c {
            b'"' => match string_end(text, at + 1) {
                StringEnd::Closed(end) => {
                    at = end;
                    continue;
                }
                StringEnd::Line(next) => return Span::Cut(next),
                StringEnd::Unclosed if over_records => return Span::UnclosedOverRecords,
                StringEnd::Unclosed => return Span::Unclosed,
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Span::Closed(at + 1);
                }
            }
            b'\n' if layout == Layout::Lines => return Span::Cut(at + 1),
            b'\n' => match text.get(at + 1) {
                Some(b'"') => flat |= unindented,
                Some(b' ' | b'\t' | b'}' | b']' | b',' | b'\n' | b'\r') | None => {}
                Some(_) if flat => over_records = true,
                Some(_) => return Span::Cut(at + 1),
            },
            _ => {}
        }
        at += 1;
    }
    if over_records { Span::UnclosedOverRecords } else { Span::Unclosed }
}

/// Says whether the text is an array whose bracket stands alone on its line.
fn opens_alone(text: &[u8]) -> bool {
    text.first() == Some(&b'[')
        && text.iter().skip(1).find(|c| !matches!(c, b' ' | b'\t' | b'\r')) == Some(&b'\n')
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

/// What stands behind one element of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementEnd {
    /// A comma at this index.
    Comma(usize),
    /// The bracket that closes the array, at this index.
    Close(usize),
    /// The start of a line that is indented like an element: the one before is broken.
    Broken(usize),
    /// The text ends inside the element.
    Unfinished,
}

/// Finds the end of the element that starts at `text`, in an array whose elements start on lines
/// of their own indented by `indent` blanks, where that is known.
pub fn element_end(text: &[u8], indent: Option<usize>) -> ElementEnd {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        match c {
            b'"' => match string_end(text, at + 1) {
                StringEnd::Closed(end) => {
                    at = end;
                    continue;
                }
                // Look at the line end again, outside of the broken string.
                StringEnd::Line(next) => {
                    at = next - 1;
                    continue;
                }
                StringEnd::Unclosed => return ElementEnd::Unfinished,
            },
            b'{' | b'[' => depth += 1,
            b']' if depth == 0 && closes(text, at, indent) => return ElementEnd::Close(at),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return ElementEnd::Comma(at),
            b'\n' if depth > 0 && indent.is_some_and(|by| is_element(text, at + 1, by)) => {
                return ElementEnd::Broken(at + 1);
            }
            _ => {}
        }
        at += 1;
    }
    ElementEnd::Unfinished
}

/// Says whether the bracket at `at` closes an array whose elements are indented by `indent`: one
/// that stands deeper belongs to a broken element.
fn closes(text: &[u8], at: usize, indent: Option<usize>) -> bool {
    let before = text.get(..at).unwrap_or_default();
    match (indent, memchr::memrchr(b'\n', before)) {
        (Some(indent), Some(line)) if indent > 0 => {
            let line = before.get(line + 1..).unwrap_or_default();
            line.len() < indent && line.iter().all(|c| matches!(c, b' ' | b'\t'))
        }
        _ => true,
    }
}

fn is_element(text: &[u8], at: usize, indent: usize) -> bool {
    indent > 0
        && text.get(at + indent) == Some(&b'{')
        && text
            .get(at..at + indent)
            .is_some_and(|blanks| blanks.iter().all(|c| matches!(c, b' ' | b'\t')))
}

/// Returns how far the first line of `text` that starts an object is indented.
pub fn element_indent(text: &[u8]) -> Option<usize> {
    let start = memchr::memchr(b'{', text)?;
    let line = memchr::memrchr(b'\n', text.get(..start)?)? + 1;
    let blanks = text.get(line..start)?;
    blanks.iter().all(|c| matches!(c, b' ' | b'\t')).then_some(blanks.len())
}

/// How far whole elements reach in `text`, which starts inside an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elements {
    /// The array goes on; everything in front of this index is whole elements.
    Open(usize),
    /// The array is closed by the bracket at this index.
    Closed(usize),
}

/// Walks over the elements of an array.
pub(crate) fn elements_end(text: &[u8], indent: Option<usize>) -> Elements {
    let mut at = 0;
    loop {
        match element_end(text.get(at..).unwrap_or_default(), indent) {
            ElementEnd::Comma(end) => at += end + 1,
            ElementEnd::Broken(end) => at += end,
            ElementEnd::Close(end) => return Elements::Closed(at + end),
            ElementEnd::Unfinished => return Elements::Open(at),
        }
    }
}

/// An array that a wrapper is all about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrapped {
    /// Index of its opening bracket.
    pub(crate) at: usize,
    /// What closes the array and the objects around it.
    pub(crate) tail: Vec<u8>,
}

/// Keys whose array is what a wrapper is about, and objects that such a key may stand in.
const ARRAYS: [&[u8]; 9] = [
    b"items",
    b"records",
    b"events",
    b"logEvents",
    b"results",
    b"resourceLogs",
    b"hits",
    b"result",
    b"streams",
];
const OBJECTS: [&[u8]; 2] = [b"hits", b"data"];

/// Finds the array that the value at the start of `text` is all about: the value itself, or the
/// one that its first known key leads to.
pub(crate) fn wrapped_array(text: &[u8]) -> Option<Wrapped> {
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut tail = vec![b']'];
    loop {
        at = skip_blanks(text, at);
        match text.get(at)? {
            b'[' => return Some(Wrapped { at, tail }),
            b'{' if tail.len() <= OBJECTS.len() => at = known_key(text, at + 1)?,
            _ => return None,
        }
        tail.push(b'}');
    }
}

/// Returns where the value of the first known key starts.
fn known_key(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = skip_blanks(text, at);
        if text.get(at) != Some(&b'"') {
            return None;
        }
        let StringEnd::Closed(end) = string_end(text, at + 1) else { return None };
        let key = text.get(at + 1..end - 1)?;
        at = skip_blanks(text, end);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = skip_blanks(text, at + 1);
        match text.get(at)? {
            b'[' if ARRAYS.contains(&key) => return Some(at),
            b'{' if OBJECTS.contains(&key) => return Some(at),
            _ => {}
        }
        // Pass over the value.
        let mut depth = 0_usize;
        loop {
            match text.get(at)? {
                b'"' => {
                    let StringEnd::Closed(end) = string_end(text, at + 1) else { return None };
                    at = end;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                b',' if depth == 0 => break,
                _ => {}
            }
            at += 1;
        }
        at += 1;
    }
}

/// Returns one past the bracket that closes `open` objects around `at`.
pub(crate) fn wrappers_end(text: &[u8], mut at: usize, open: usize) -> Option<usize> {
    let mut depth = open;
    while depth > 0 {
        match text.get(at)? {
            b'"' => {
                let StringEnd::Closed(end) = string_end(text, at + 1) else { return None };
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    Some(at)
}

fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(value_end(br#"{"a":"}\"}"}x"#, Layout::Any), Span::Closed(12));
        assert_eq!(value_end(b"[[1],{}] ", Layout::Any), Span::Closed(8));
    }

    #[test]
    fn pretty_values_span_lines_and_cut_ones_end_at_the_next_record() {
        let end = |text: &[u8]| value_end(text, Layout::Any);
        assert_eq!(end(b"{\n  \"a\": [\n    1\n  ]\n}\n{"), Span::Closed(22));
        assert_eq!(end(b"{\n\"a\": [\n{\n}\n]\n}\n"), Span::Closed(16));
        assert_eq!(end(b"[\n{\"a\":1},\n{}\n]\n"), Span::Closed(15));
        assert_eq!(end(b"{\"a\":{\n{\"b\":1}\n"), Span::Cut(7));
        assert_eq!(end(b"{\"a\":\"cut\n{\"b\":1}\n"), Span::Cut(10));
        assert_eq!(end(b"{\"a\":\"cut\\\n{\"b\":1}\n"), Span::Cut(11));
        assert_eq!(end(b"{\n  \"a\": 1,\n"), Span::Unclosed);
        assert_eq!(end(b"[\n{\"b\":1}\n"), Span::UnclosedOverRecords);
        assert_eq!(value_end(b"[\n{\"b\":1}\n", Layout::Indented), Span::Cut(2));
    }

    #[test]
    fn depth_is_only_a_number() {
        let deep = format!("{}{}", "[".repeat(300_000), "]".repeat(300_000));
        assert_eq!(value_end(deep.as_bytes(), Layout::Any), Span::Closed(600_000));
    }

    #[test]
    fn elements_are_walked_and_a_broken_one_ends_where_the_next_is_indented() {
        assert_eq!(elements_end(b"{\"a\":\"],\"}, [1], {", None), Elements::Open(16));
        assert_eq!(elements_end(b" 1, {}\n]", None), Elements::Closed(7));
        let broken = b"\n  {\n    \"a\": {\n  {\n  }\n]";
        assert_eq!(element_indent(broken), Some(2));
        assert_eq!(elements_end(broken, Some(2)), Elements::Closed(24));
        assert_eq!(element_end(broken, Some(2)), ElementEnd::Broken(16));
    }

    #[test]
    fn the_array_a_wrapper_is_about() {
        let find = |text: &str| wrapped_array(text.as_bytes());
        let wrapped = |at, tail: &str| Some(Wrapped { at, tail: tail.into() });
        assert_eq!(find(" [1"), wrapped(1, "]"));
        assert_eq!(
            find(r#"{"kind":"EventList","metadata":{"a":[1]},"items":[{"#),
            wrapped(49, "]}")
        );
        assert_eq!(find(r#"{"took":1,"hits":{"total":{"value":1},"hits":[{"#), wrapped(45, "]}}"));
        assert_eq!(find(r#"{"sourceIPs":["1"],"user":{"groups":[""#), None);
        assert_eq!(wrappers_end(br#"],"next":"}"} "#, 1, 1), Some(13));
    }
}
