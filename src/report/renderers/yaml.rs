//! Objects as YAML, every text quoted, so that nothing in it can be read as anything else.

use std::io::Write;

use serde_json::Value;

use crate::report::sanitize;

/// Deeper values are written on one line as JSON.
const MAX_DEPTH: usize = 60;

/// Writes `value` as YAML, `indent` blanks in.
///
/// # Errors
/// When writing fails.
pub fn write_yaml(value: &Value, indent: usize, out: &mut dyn Write) -> std::io::Result<()> {
    write_block(value, indent, 0, out)
}

// The depth of this recursion is bounded by MAX_DEPTH.
fn write_block(
    value: &Value,
    indent: usize,
    depth: usize,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    match value {
        Value::Object(map) if !map.is_empty() && depth < MAX_DEPTH => {
            for (key, value) in map {
                write!(out, "{:indent$}{}:", "", scalar_key(key))?;
                write_child(value, indent + 2, depth, out)?;
            }
            Ok(())
        }
        Value::Array(items) if !items.is_empty() && depth < MAX_DEPTH => {
            for item in items {
                write!(out, "{:indent$}-", "")?;
                write_child(item, indent + 2, depth, out)?;
            }
            Ok(())
        }
        leaf => writeln!(out, "{:indent$}{}", "", quoted(leaf)),
    }
}

fn write_child(
    value: &Value,
    indent: usize,
    depth: usize,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let block = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if block && depth + 1 < MAX_DEPTH {
        writeln!(out)?;
        write_block(value, indent, depth + 1, out)
    } else {
        writeln!(out, " {}", quoted(value))
    }
}

/// Keys of plain letters stay as they are.
fn scalar_key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_');
    let starts = key.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let word = matches!(
        key.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if starts && !word && key.chars().all(plain) {
        key.to_owned()
    } else {
        quoted(&Value::String(key.to_owned()))
    }
}

/// A leaf as JSON, which is YAML too; unseen characters are written as escapes.
fn quoted(value: &Value) -> String {
    let json = value.to_string();
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if sanitize::is_unseen(c) {
            let mut units = [0_u16; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_cannot_become_anything_else() {
        let mut out = Vec::new();
        let value = json!({"a": ["yes", {"b": "x\n- y: z"}], "no": "\u{202e}", "e": {}, "k": 1});
        write_yaml(&value, 0, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a:\n  - \"yes\"\n  -\n    b: \"x\\n- y: z\"\n\"no\": \"\\u202e\"\ne: {}\nk: 1\n"
        );
    }
}
