//! The canonical text of a question: what `parse` reads back as the same tree.

use std::fmt::Display;
use std::fmt::Formatter;
use std::fmt::Result;
use std::fmt::Write;

use crate::event::field::Field;
use crate::event::field::FieldKind;
use crate::query::address::network;
use crate::query::ast::Bound;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::Part;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;
use crate::query::ast::WordPattern;

impl Display for QueryAst {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            QueryAst::All => f.write_str("*"),
            QueryAst::And(parts) => joined(f, parts, " AND "),
            QueryAst::Or(parts) => joined(f, parts, " OR "),
            QueryAst::Not(inner) => {
                f.write_str("NOT ")?;
                operand(f, inner)
            }
            QueryAst::Field { field, test } => write_test(f, &field_text(field), field, test),
            QueryAst::Within { path, inner } => {
                f.write_str(&path_text(path))?;
                write!(f, "{{{inner}}}")
            }
            QueryAst::Words(words) => write_words(f, words),
        }
    }
}

/// Returns the canonical text of `ast`.
pub fn print(ast: &QueryAst) -> String {
    ast.to_string()
}

fn joined(f: &mut Formatter<'_>, parts: &[QueryAst], between: &str) -> Result {
    match parts {
        [] if between == " AND " => f.write_str("*"),
        [] => f.write_str("NOT *"),
        [only] => write!(f, "{only}"),
        [first, rest @ ..] => {
            operand(f, first)?;
            for part in rest {
                f.write_str(between)?;
                operand(f, part)?;
            }
            Ok(())
        }
    }
}

fn operand(f: &mut Formatter<'_>, ast: &QueryAst) -> Result {
    match ast {
        QueryAst::And(_) | QueryAst::Or(_) => write!(f, "({ast})"),
        other => write!(f, "{other}"),
    }
}

/// Returns the name of a field as it is typed.
pub fn field_text(field: &Field) -> String {
    match field {
        Field::Path(path) => path_text(path),
        other => escape_path(&other.name()),
    }
}

fn path_text(path: &str) -> String {
    match path {
        // The element itself, inside `path{ ... }`.
        "" => ".".to_owned(),
        "." => "\\.".to_owned(),
        path => escape_path(path),
    }
}

fn escape_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (at, c) in path.char_indices() {
        let special = matches!(c, ':' | '(' | ')' | '{' | '}' | '[' | ']' | '"' | '*' | '?' | '\\')
            || c.is_whitespace()
            || (at == 0 && matches!(c, '-' | '!'));
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn write_test(f: &mut Formatter<'_>, name: &str, field: &Field, test: &Test) -> Result {
    // The empty path inside `path{ }` may be an address, too.
    let itself = *field == Field::Path(String::new());
    let address = field.kind() == FieldKind::Address || itself;
    match test {
        Test::Present => write!(f, "{name}:*"),
        Test::Equals { text, cased: false } if address && text.contains('/') => {
            write!(f, "{name}:{}", quoted(text))
        }
        Test::Equals { text, cased: false } => write!(f, "{name}:{}", value_text(text)),
        // The language has no word for these two, but a regex says the same.
        Test::Equals { text, cased: true } => {
            write!(f, "{name}:~/{}/", regex_text(&format!("\\A{}\\z", regex::escape(text))))
        }
        Test::Like { glob, cased: true } => write!(f, "{name}:~/{}/", regex_text(&as_regex(glob))),
        Test::Like { glob, cased: false } => write!(f, "{name}:{}", glob_text(glob)),
        Test::Matches(pattern) => write!(f, "{name}:~/{}/", regex_text(pattern)),
        Test::Range { low, high } => write_range(f, name, low, high),
        Test::Network { address, prefix } => write!(f, "{name}:{address}/{prefix}"),
        Test::OneOf(set) => write_set(f, name, set, address),
        // Sigma alone asks this; the text is for people and does not parse.
        Test::SameAs(other) => write!(f, "{name}:[same as {}]", field_text(other)),
        Test::Holds { other, part, cased } => {
            let part = match part {
                Part::Whole => "same as",
                Part::Start => "starts with",
                Part::Middle => "contains",
                Part::End => "ends with",
            };
            let case = if *cased { ", cased" } else { "" };
            write!(f, "{name}:[{part} {}{case}]", field_text(other))
        }
    }
}

fn write_range(f: &mut Formatter<'_>, name: &str, low: &Bound, high: &Bound) -> Result {
    match (low, high) {
        (Bound::Included(low), Bound::Open) => write!(f, "{name}:>={}", bound_text(low)),
        (Bound::Excluded(low), Bound::Open) => write!(f, "{name}:>{}", bound_text(low)),
        (Bound::Open, Bound::Included(high)) => write!(f, "{name}:<={}", bound_text(high)),
        (Bound::Open, Bound::Excluded(high)) => write!(f, "{name}:<{}", bound_text(high)),
        (low, high) => {
            let side = |bound: &Bound| match bound {
                Bound::Open => "*".to_owned(),
                Bound::Included(text) | Bound::Excluded(text) => bound_text(text),
            };
            let open = if matches!(low, Bound::Excluded(_)) { '{' } else { '[' };
            let close = if matches!(high, Bound::Excluded(_)) { '}' } else { ']' };
            write!(f, "{name}:{open}{} TO {}{close}", side(low), side(high))
        }
    }
}

fn write_set(f: &mut Formatter<'_>, name: &str, set: &ValueSet, address: bool) -> Result {
    if !set.file.is_empty() {
        return write!(f, "{name}:@{}", value_text(&set.file));
    }
    let mut values: Vec<String> = set.texts.iter().map(|text| value_text(text)).collect();
    if address {
        values.extend(set.networks.iter().map(|(address, prefix)| format!("{address}/{prefix}")));
    }
    match values.as_slice() {
        [] => write!(f, "NOT *"),
        values => write!(f, "{name}:({})", values.join(" OR ")),
    }
}

/// Returns a value as it is typed: bare where nothing in it means anything, else in quotes.
pub fn value_text(text: &str) -> String {
    // `10.0.0.0/8` in quotes is a text, bare it is a network on address fields; a slash at the
    // start could open a regex; what begins with `<`, `>`, `@`, `~` is something else.
    let starts =
        text.chars().next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.'));
    let bare = starts
        && text.chars().all(|c| c.is_alphanumeric() || "_.:-=@/,+%&;#$".contains(c))
        && !text.ends_with('/')
        && network(text).is_none();
    if bare { text.to_owned() } else { quoted(text) }
}

fn bound_text(text: &str) -> String {
    let bare = !text.is_empty()
        && !text.starts_with('=')
        && text.chars().all(|c| c.is_alphanumeric() || "_.:-=+".contains(c));
    if bare { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

fn glob_text(glob: &Glob) -> String {
    let mut out = String::new();
    for part in &glob.0 {
        match part {
            GlobPart::AnyRun => out.push('*'),
            GlobPart::AnyOne => out.push('?'),
            GlobPart::Text(text) => {
                for c in text.chars() {
                    let bare = c.is_alphanumeric()
                        || "_.:-=,+%&;#$".contains(c)
                        || (!c.is_ascii() && !c.is_whitespace() && !c.is_control())
                        || (!out.is_empty() && matches!(c, '/' | '@' | '<' | '>' | '~'));
                    // Only punctuation and blanks can be escaped; other controls stand as they are.
                    if !bare && (c.is_ascii_punctuation() || c.is_whitespace()) {
                        out.push('\\');
                    }
                    out.push(c);
                }
            }
        }
    }
    out
}

/// Returns a regex that accepts what the glob accepts, with case.
pub fn as_regex(glob: &Glob) -> String {
    let mut out = String::from("(?s)\\A");
    for part in &glob.0 {
        match part {
            GlobPart::AnyRun => out.push_str(".*"),
            GlobPart::AnyOne => out.push('.'),
            GlobPart::Text(text) => out.push_str(&regex::escape(text)),
        }
    }
    out.push_str("\\z");
    out
}

/// Escapes the slashes of a pattern, so that none of them ends it.
fn regex_text(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push('\\');
                out.extend(chars.next());
            }
            '/' => out.push_str("\\/"),
            c => out.push(c),
        }
    }
    out
}

fn write_words(f: &mut Formatter<'_>, words: &[WordPattern]) -> Result {
    // U+0130 alone folds to two characters, the second of which is no letter.
    let typed = |word: &str| word.replace("i\u{307}", "\u{130}");
    if let [WordPattern::Is(word)] = words {
        let operator = ["and", "or", "not"].contains(&word.as_str());
        return if operator { write!(f, "\"{word}\"") } else { f.write_str(&typed(word)) };
    }
    let exact: Option<Vec<String>> = words
        .iter()
        .map(|word| match word {
            WordPattern::Is(word) => Some(typed(word)),
            WordPattern::Like(_) => None,
        })
        .collect();
    if let Some(exact) = exact {
        return write!(f, "\"{}\"", exact.join(" "));
    }
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            f.write_char('-')?;
        }
        match word {
            WordPattern::Is(word) => f.write_str(&typed(word))?,
            WordPattern::Like(glob) => f.write_str(&typed(&glob_text(glob)))?,
        }
    }
    Ok(())
}
