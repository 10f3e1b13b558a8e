//! What is wrong with a question, where, and what may have been meant.

use std::ops::Range;

/// A question that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
pub struct QueryError {
    /// The place in the text of the question, in bytes.
    pub span: Range<usize>,
    /// What is wrong there.
    pub message: String,
    /// What to type instead.
    pub hint: Option<String>,
}

impl QueryError {
    /// An error at `span`.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> QueryError {
        QueryError { span, message: message.into(), hint: None }
    }

    /// Adds what to type instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> QueryError {
        self.hint = Some(hint.into());
        self
    }

    /// Renders the error with the text of the question and the place marked in it.
    ///
    /// ```text
    /// `objectRef.resorce` is no field
    ///   objectRef.resorce:secrets
    ///   ^^^^^^^^^^^^^^^^^
    ///   did you mean objectRef.resource?
    /// ```
    /// Control characters of the question are escaped: it may have been pasted from evidence.
    pub fn render(&self, text: &str) -> String {
        /// More than a terminal line shows around the marked place.
        const AROUND: usize = 120;
        let start = floor_boundary(text, self.span.start);
        let end = floor_boundary(text, self.span.end).max(start);
        let from = floor_boundary(text, start.saturating_sub(AROUND));
        let to = floor_boundary(text, end.saturating_add(AROUND));
        let marked_end = floor_boundary(text, end.min(start.saturating_add(AROUND)));
        let part = |a: usize, b: usize| visible(text.get(a..b).unwrap_or_default());
        let before = format!("{}{}", if from > 0 { "..." } else { "" }, part(from, start));
        let marked = part(start, marked_end);
        let cut = if marked_end < end { "..." } else { "" };
        let after = if marked_end < end { String::new() } else { part(end, to) };
        let more = if marked_end == end && to < text.len() { "..." } else { "" };
        let mut out = format!("{}\n  {before}{marked}{cut}{after}{more}\n", visible(&self.message));
        out.push_str("  ");
        out.extend(std::iter::repeat_n(' ', before.chars().count()));
        out.extend(std::iter::repeat_n('^', marked.chars().count().max(1)));
        out.push('\n');
        if let Some(hint) = &self.hint {
            out.push_str("  ");
            out.push_str(&visible(hint));
            out.push('\n');
        }
        out
    }
}

/// Returns the last character boundary of `text` at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Escapes what a terminal would act upon: controls, and marks that reorder or hide text.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        if hidden { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_marked_and_the_hint_follows() {
        let error = QueryError::new(4..7, "what is `b:c`").hint("try b");
        assert_eq!(error.render("a:x b:c d"), "what is `b:c`\n  a:x b:c d\n      ^^^\n  try b\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = "\u{1b}[31mx \u{202e}y";
        let shown = QueryError::new(0..4, "bad \u{7}").hint("\u{1b}").render(text);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
        assert!(!shown.contains('\u{7}'));
        assert!(shown.contains("^^^^"));
    }

    #[test]
    fn any_span_renders() {
        for (start, end) in [(0, 0), (1, 2), (3, 9), (9, 3), (100, 200)] {
            assert!(QueryError::new(start..end, "m").render("äöü").contains('^'));
        }
        let long = "é".repeat(10_000);
        assert!(QueryError::new(5_001..15_000, "m").render(&long).chars().count() < 1_000);
    }
}
