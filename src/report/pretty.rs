//! A JSON text on many lines for the eye, whatever its depth; nothing in it acts on a terminal.

use crate::report::sanitize::is_unseen;
use crate::report::sanitize::push_escaped;

/// Deeper levels are not indented further, so that deep nesting cannot make a text explode.
const DEEPEST_INDENT: usize = 40;

/// Returns strict JSON (see [`crate::report::embed`]) with one entry per line, strings and numbers
/// as written, unseen characters as JSON escapes.
pub fn pretty(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth: usize = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out.push('"');
                while let Some(c) = chars.next() {
                    push_visible(c, &mut out);
                    match c {
                        '\\' => out.extend(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(close) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    push_line(depth, &mut out);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                push_line(depth, &mut out);
                out.push(c);
            }
            ',' => {
                out.push(c);
                push_line(depth, &mut out);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

fn push_line(depth: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..depth.min(DEEPEST_INDENT) {
        out.push_str("  ");
    }
}

fn push_visible(c: char, out: &mut String) {
    if is_unseen(c) { push_escaped(c, out) } else { out.push(c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_per_line() {
        expect_test::expect![[r#"
            {
              "a": [
                1,
                {}
              ],
              "b{,": "x\"y\u202e",
              "c": []
            }"#]]
        .assert_eq(&pretty("{\"a\":[1,{ }],\"b{,\":\"x\\\"y\u{202e}\",\"c\":[]}"));
    }

    #[test]
    fn depth_is_no_danger() {
        let text = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(pretty(&text).len() < 100 * text.len());
    }
}
