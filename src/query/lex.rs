//! Reads the text of a question piece by piece: blanks, quotes, escapes, wildcards, operators.

use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::error::QueryError;

/// One character of an unquoted term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A character that stands for itself.
    Char(char),
    /// `*`.
    Star,
    /// `?`.
    Question,
}

/// Where an unquoted run ends, beside the blank and the unbalanced bracket that end every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the first unescaped `:` or `{`: the head of a term.
    Head,
    /// Nowhere else: a value.
    Value,
    /// At `]` or `}`: a bound of a range.
    Bound,
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `AND`, `&&`.
    And,
    /// `OR`, `||`.
    Or,
    /// `NOT`.
    Not,
}

/// A place in the text of a question.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'q> {
    /// The whole text.
    pub text: &'q str,
    /// Byte offset of the next character.
    pub at: usize,
    /// How many `path{` are open.
    pub braces: usize,
}

impl<'q> Cursor<'q> {
    pub(crate) fn new(text: &'q str) -> Cursor<'q> {
        Cursor { text, at: 0, braces: 0 }
    }

    pub(crate) fn rest(&self) -> &'q str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Takes `text` if it stands here.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let here = self.rest().starts_with(text);
        if here {
            self.at += text.len();
        }
        here
    }

    pub(crate) fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Says whether a term can end here.
    pub(crate) fn at_term_end(&self) -> bool {
        match self.peek() {
            None | Some(')') => true,
            Some('}') => self.braces > 0,
            Some(c) => c.is_whitespace(),
        }
    }

    /// Returns the operator that stands here and its length in bytes.
    pub(crate) fn operator(&self) -> Option<(Operator, usize)> {
        let rest = self.rest();
        const NAMES: [(&str, Operator); 5] = [
            ("AND", Operator::And),
            ("OR", Operator::Or),
            ("NOT", Operator::Not),
            ("&&", Operator::And),
            ("||", Operator::Or),
        ];
        NAMES.iter().find_map(|(name, operator)| {
            let here = rest.get(..name.len())?.eq_ignore_ascii_case(name);
            let behind = rest.get(name.len()..)?.chars().next();
            let ends =
                behind.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '}'));
            (here && ends).then_some((*operator, name.len()))
        })
    }

    /// Takes `operator` if it stands here.
    pub(crate) fn eat_operator(&mut self, operator: Operator) -> bool {
        match self.operator() {
            Some((found, length)) if found == operator => {
                self.at += length;
                true
            }
            _ => false,
        }
    }

    /// Reads the character behind a backslash: punctuation and blanks stand for themselves, in
    /// front of anything else the backslash does (`CORP\alice`).
    fn escaped(&mut self) -> char {
        match self.peek() {
            Some(c) if c.is_ascii_punctuation() || c.is_whitespace() => {
                self.at += c.len_utf8();
                c
            }
            _ => '\\',
        }
    }

    /// Reads a quoted text; the cursor stands at the opening quote.
    pub(crate) fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        self.bump();
        let mut out = String::new();
        loop {
            match self.bump() {
                None => {
                    return Err(QueryError::new(start..self.at, "this quote is never closed")
                        .hint("a quote inside a value is written \\\""));
                }
                Some('"') => return Ok(out),
                Some('\\') => out.push(self.escaped()),
                Some(c) => out.push(c),
            }
        }
    }

    /// Reads an unquoted run up to the next blank, unbalanced bracket or `stop`.
    pub(crate) fn run(&mut self, stop: Stop) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let (mut round, mut curly) = (0_usize, 0_usize);
        while let Some(c) = self.peek() {
            match c {
                c if c.is_whitespace() => break,
                ':' | '{' if stop == Stop::Head => break,
                ']' | '}' if stop == Stop::Bound => break,
                ')' if stop != Stop::Bound && round == 0 => break,
                '}' if curly == 0 && self.braces > 0 => break,
                '(' => round += 1,
                ')' => round = round.saturating_sub(1),
                '{' => curly += 1,
                '}' => curly = curly.saturating_sub(1),
                _ => {}
            }
            self.at += c.len_utf8();
            pieces.push(match c {
                '\\' => Piece::Char(self.escaped()),
                '*' => Piece::Star,
                '?' => Piece::Question,
                c => Piece::Char(c),
            });
        }
        pieces
    }

    /// Returns the end of the regex whose opening slash stands here: the offset of the next
    /// unescaped slash that a blank, `)`, `}` or the end follows (query.md, Grammar).
    pub(crate) fn regex_end(&self) -> Option<usize> {
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => {
                    chars.next();
                }
                '/' => match chars.peek() {
                    None | Some((_, ')' | '}')) => return Some(self.at + at),
                    Some((_, c)) if c.is_whitespace() => return Some(self.at + at),
                    Some(_) => {}
                },
                _ => {}
            }
        }
        None
    }
}

/// Returns the text that `pieces` spell, wildcards as the characters they are.
pub(crate) fn spelled(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Char(c) => *c,
            Piece::Star => '*',
            Piece::Question => '?',
        })
        .collect()
}

/// Says whether `pieces` hold a wildcard.
pub(crate) fn has_wildcard(pieces: &[Piece]) -> bool {
    pieces.iter().any(|piece| !matches!(piece, Piece::Char(_)))
}

/// Puts pieces together as a pattern; stars beside stars are one.
pub(crate) fn glob(pieces: &[Piece]) -> Glob {
    let mut parts: Vec<GlobPart> = Vec::new();
    for piece in pieces {
        match (piece, parts.last_mut()) {
            (Piece::Char(c), Some(GlobPart::Text(text))) => text.push(*c),
            (Piece::Char(c), _) => parts.push(GlobPart::Text(c.to_string())),
            (Piece::Star, Some(GlobPart::AnyRun)) => {}
            (Piece::Star, _) => parts.push(GlobPart::AnyRun),
            (Piece::Question, _) => parts.push(GlobPart::AnyOne),
        }
    }
    Glob(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> (String, &str) {
        let mut cursor = Cursor::new(text);
        let pieces = cursor.run(Stop::Value);
        (spelled(&pieces), cursor.rest())
    }

    #[test]
    fn a_value_runs_to_a_blank_or_an_unbalanced_bracket() {
        assert_eq!(value("a:b c"), ("a:b".into(), " c"));
        assert_eq!(value("f(x)) y"), ("f(x)".into(), ") y"));
        assert_eq!(value("a\\ b\\)"), ("a b)".into(), ""));
        assert_eq!(value("CORP\\alice"), ("CORP\\alice".into(), ""));
        assert_eq!(value("a\\"), ("a\\".into(), ""));
    }

    #[test]
    fn operators_stand_alone() {
        let operator = |text: &str| Cursor::new(text).operator().map(|(o, _)| o);
        assert_eq!(operator("and x"), Some(Operator::And));
        assert_eq!(operator("Or"), Some(Operator::Or));
        assert_eq!(operator("NOT(x)"), Some(Operator::Not));
        assert_eq!(operator("android"), None);
        assert_eq!(operator("or-x"), None);
        assert_eq!(operator("&& x"), Some(Operator::And));
    }
}
