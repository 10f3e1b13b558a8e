//! Text from an event is made harmless for the place it goes to: a terminal, a spreadsheet, a
//! page, a Markdown document.  Everything in an event was chosen by whoever sent the request.

use std::borrow::Cow;

/// Says whether a character acts on its surroundings instead of being seen: control characters
/// (terminal escapes begin with one), line separators, and the invisible characters of Unicode
/// that reorder or hide text (UAX #9, Unicode Technical Report 36).
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}'
            | '\u{61c}'
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Returns `text` as one line for a terminal: what is unseen is written as `\n`, `\t`, `\r` or
/// `\u{1b}`.
pub fn terminal(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Returns JSON text for a terminal: what is unseen stands inside strings and becomes JSON escapes.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unseen(c) { push_escaped(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Appends a character as the JSON escapes that stand for it.
pub fn push_escaped(c: char, out: &mut String) {
    let mut units = [0_u16; 2];
    for unit in c.encode_utf16(&mut units) {
        out.push_str(&format!("\\u{unit:04x}"));
    }
}

/// Returns text of our own that may quote evidence, line ends kept.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n')
}

/// Returns the content of a CSV cell: what is unseen is visible (line ends and tabs stay, the CSV
/// quotes hold them), and what a spreadsheet would compute gets an apostrophe in front.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let shown = escape(text, |c| c == '\n' || c == '\t');
    let first = text.trim_start_matches(' ').chars().next();
    // The full-width forms are formulas to some spreadsheets as well.
    if matches!(
        first,
        Some(
            '=' | '+' | '-' | '@' | '\t' | '\r' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}'
        )
    ) {
        return Cow::Owned(format!("'{shown}"));
    }
    shown
}

/// Returns text for the content or a quoted attribute of an HTML page.
pub fn html(text: &str) -> Cow<'_, str> {
    let shown = escape(text, |c| c == '\n');
    if !shown.contains(['&', '<', '>', '"', '\'']) {
        return shown;
    }
    let mut out = String::with_capacity(shown.len() + 16);
    for c in shown.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Returns text for a paragraph or a table cell of a Markdown document: plain words as they are,
/// everything else as a code span, in which links, images and HTML are dead.
pub fn markdown(text: &str) -> Cow<'_, str> {
    let shown = terminal(text);
    let plain = |c: char| c.is_alphanumeric() || " .,;:/()%='-".contains(c);
    let begins = shown.chars().next().is_none_or(|c| c.is_alphanumeric() || c == '/');
    let linked = shown.contains("://") || shown.to_ascii_lowercase().contains("www.");
    if begins && !linked && shown.chars().all(plain) {
        return shown;
    }
    Cow::Owned(markdown_code(text))
}

/// Returns text as a code span of a Markdown document.
pub fn markdown_code(text: &str) -> String {
    let shown = terminal(text);
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A pipe ends a table cell even inside a code span (GFM, tables).
    let body = shown.replace('|', "\\|");
    let pad = if body.starts_with(['`', ' ']) || body.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{body}{pad}{fence}")
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| is_unseen(c) && !keep(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !is_unseen(c) || keep(c) {
            out.push(c);
        } else if matches!(c, '\n' | '\t' | '\r') {
            out.extend(c.escape_default());
        } else {
            out.extend(c.escape_unicode());
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_one_visible_line() {
        assert_eq!(terminal("curl/8.0"), "curl/8.0");
        assert_eq!(terminal("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(terminal("a\nb\tc\rd"), "a\\nb\\tc\\rd");
        assert_eq!(terminal("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(terminal("a\u{9b}31m"), "a\\u{9b}31m");
        assert_eq!(terminal("x\u{2028}y\u{e0041}"), "x\\u{2028}y\\u{e0041}");
        assert_eq!(lines("a\nb\u{7}"), "a\nb\\u{7}");
    }

    #[test]
    fn a_spreadsheet_computes_nothing() {
        for hostile in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\u{ff1d}1"] {
            assert!(csv_cell(hostile).starts_with('\''), "{hostile:?}");
        }
        assert_eq!(csv_cell("a=1"), "a=1");
        assert_eq!(csv_cell("a\nb"), "a\nb");
        assert_eq!(csv_cell("a\u{1b}b"), "a\\u{1b}b");
    }

    #[test]
    fn a_page_gets_no_markup() {
        assert_eq!(html("<b a='\"&'>"), "&lt;b a=&#39;&quot;&amp;&#39;&gt;");
    }

    #[test]
    fn markdown_links_and_images_are_dead() {
        assert_eq!(markdown("system:serviceaccount:a:b"), "system:serviceaccount:a:b");
        assert_eq!(markdown("![x](http://evil)"), "`![x](http://evil)`");
        assert_eq!(markdown("http://evil"), "`http://evil`");
        assert_eq!(markdown("a|b"), "`a\\|b`");
        assert_eq!(markdown("a``b"), "```a``b```");
        assert_eq!(markdown("`"), "`` ` ``");
        assert_eq!(markdown("# x"), "`# x`");
    }
}
