//! Where a window of bytes may be cut so that no record is cut.

/// Returns the end of the last whole record of `window`, which starts at a record and is not the
/// end of its source; `None` if no record ends inside for sure.
///
/// A record starts at the first column with something else than a closing bracket or a comma:
/// so the lines of a pretty-printed event stay together, and a file of lines is cut at any line.
pub(crate) fn lines_end(window: &[u8]) -> Option<usize> {
    let mut end = window.len();
    while let Some(at) = memchr::memrchr(b'\n', window.get(..end)?) {
        match window.get(at + 1) {
            None | Some(b' ' | b'\t' | b'}' | b']' | b',') => end = at,
            Some(_) => return Some(at + 1),
        }
    }
    None
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
        assert_eq!(lines_end(b"one long line"), None);
        assert_eq!(lines_end(b""), None);
    }
}
