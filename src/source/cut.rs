//! Where a window of bytes may be cut so that no record is cut.

use super::brackets::Layout;
use super::brackets::Span;
use super::brackets::value_end;

/// Returns the end of the last whole record of `window`, which starts at a record and is not the
/// end of its source; `None` if no record ends inside for sure.
///
/// A record starts in the first column with something else than a closing bracket, a comma or a
/// quote, behind a line that does not end like the inside of a value: so the lines of a
/// pretty-printed event stay together, and a file of lines is cut at any line.
pub(crate) fn lines_end(window: &[u8]) -> Option<usize> {
    let mut end = window.len();
    while let Some(at) = memchr::memrchr(b'\n', window.get(..end)?) {
        let starts =
            !matches!(window.get(at + 1), None | Some(b' ' | b'\t' | b'}' | b']' | b',' | b'"'));
        if starts && !ends_inside(window.get(..at).unwrap_or_default()) {
            return Some(at + 1);
        }
        end = at;
    }
    None
}

fn ends_inside(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    matches!(line.last(), Some(b'{' | b'[' | b',' | b':'))
}

/// Returns the end of the last whole record where lines do not tell: values that are indented by
/// nothing, and lines that are all indented.
pub(crate) fn values_end(window: &[u8]) -> Option<usize> {
    let mut end = None;
    let mut at = 0;
    loop {
        let rest = window.get(at..)?;
        let lead = rest.iter().take_while(|c| c.is_ascii_whitespace() || **c == b',').count();
        let value = rest.get(lead..).unwrap_or_default();
        let length = match value.first() {
            None => return end,
            Some(b'{' | b'[') => match value_end(value, Layout::Any) {
                Span::Closed(length) => length,
                Span::Cut(length) => length,
                Span::Unclosed | Span::UnclosedOverRecords => return end,
            },
            Some(_) => match memchr::memchr(b'\n', value) {
                Some(length) => length + 1,
                None => return end,
            },
        };
        at += lead + length;
        // The rest of the line belongs to the value if it is blank.
        let tail = window.get(at..)?;
        let blank = tail.iter().take_while(|c| matches!(c, b' ' | b'\t' | b'\r' | b',')).count();
        if tail.get(blank) == Some(&b'\n') {
            at += blank + 1;
        }
        if at < window.len() {
            end = Some(at);
        }
    }
}

/// Returns the end of the last whole record of CSV: a line end outside of quotes.
pub(crate) fn csv_end(window: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut end = None;
    for at in memchr::memchr2_iter(b'"', b'\n', window) {
        match window.get(at) {
            Some(b'"') => quoted = !quoted,
            _ if !quoted => end = Some(at + 1),
            _ => {}
        }
    }
    end
}

/// Columns of an export that hold an event, or a part of it that names the table.
const CSV_COLUMNS: [&str; 6] = ["_raw", "log_s", "AuditId", "@message", "message", "Line"];

/// A header longer than this is none.
const CSV_HEADER_MAX: usize = 64 << 10;

/// Returns the length of the header line if `window` starts with that of a CSV export.
pub(crate) fn csv_header(window: &[u8]) -> Option<usize> {
    let text = window.strip_prefix(b"\xef\xbb\xbf").unwrap_or(window);
    if matches!(text.first(), None | Some(b'{' | b'[' | b'<')) {
        return None;
    }
    let head = window.get(..CSV_HEADER_MAX).unwrap_or(window);
    let end = memchr::memchr(b'\n', head)? + 1;
    let line = std::str::from_utf8(head.get(..end)?).ok()?.trim_start_matches('\u{feff}').trim();
    if !line.contains(',') && !CSV_COLUMNS.contains(&line.trim_matches('"')) {
        return None;
    }
    let mut names = line.split(',').map(|name| name.trim().trim_matches('"'));
    let known = names.any(|name| CSV_COLUMNS.contains(&name));
    let plain = line
        .split(',')
        .all(|name| name.chars().all(|c| c.is_alphanumeric() || " \"_-.@:()[]{}/$#".contains(c)));
    (known && plain).then_some(end)
}

/// Counts the line ends of `bytes`.
pub(crate) fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_lines_and_pretty_events_are_not_cut() {
        assert_eq!(lines_end(b"{a}\n{b}\n{c"), Some(8));
        assert_eq!(lines_end(b"{a}\n{b}\n"), Some(4));
        assert_eq!(lines_end(b"{\n  \"a\": 1\n}\n{\n  \"b"), Some(13));
        assert_eq!(lines_end(b"[\n  {\n  },\n  {"), None);
        assert_eq!(lines_end(b"[\n{},\n{},\n{"), None);
        assert_eq!(lines_end(b"one long line"), None);
        assert_eq!(lines_end(b""), None);
    }

    #[test]
    fn values_are_cut_at_values() {
        assert_eq!(values_end(b" {a}\n {b}\n {c"), Some(10));
        assert_eq!(values_end(b"{\n\"a\": [\n{\n}\n]\n}\n{\n\"b"), Some(17));
        assert_eq!(values_end(b"{},\n{},\n{"), Some(8));
        assert_eq!(values_end(b"{}{}{"), Some(4));
        assert_eq!(values_end(b"[\n  {\n  },\n  {"), None);
    }

    #[test]
    fn csv_is_cut_outside_of_quotes() {
        assert_eq!(csv_end(b"a,\"b\nc\"\nd,\"e\n"), Some(8));
        assert_eq!(csv_header(b"\"_time\",\"_raw\",host\n1,"), Some(20));
        assert_eq!(csv_header(b"_raw\nx"), Some(5));
        assert_eq!(csv_header(b"message {\"_raw\",1}\n"), None);
        assert_eq!(csv_header(b"a,b\n"), None);
    }
}
