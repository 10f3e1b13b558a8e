//! The value behind a colon: plain text, wildcards, regexes, ranges, lists (query.md, Grammar).

use std::ops::Range;
use std::sync::Arc;

use crate::event::field::Field;
use crate::event::field::FieldKind;
use crate::event::place::Flag;
use crate::event::time::parse_period;
use crate::event::words::fold;
use crate::event::zone::WEEKDAYS;
use crate::query::address::network;
use crate::query::ast::Bound;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::error::QueryError;
use crate::query::lex::Operator;
use crate::query::lex::Piece;
use crate::query::lex::Stop;
use crate::query::lex::glob;
use crate::query::lex::has_wildcard;
use crate::query::lex::spelled;
use crate::query::parse::Files;
use crate::query::parse::Parsed;
use crate::query::parse::Parser;
use crate::query::parse::list;
use crate::query::print::field_text;
use crate::query::range::duration;
use crate::query::range::parse_number;
use crate::query::resolve::is_field;
use crate::query::resolve::is_path;
use crate::query::value::regex;
use crate::query::value_list::value_set;

impl Parser<'_, '_> {
    /// Reads the value of `field`, or a list of values in brackets.
    ///
    /// What recurses is kept apart from what does not: frames of debug builds are large.
    pub(crate) fn value(&mut self, field: &Field) -> Parsed {
        if self.cursor.peek() == Some('(') {
            return self.value_list(field);
        }
        let start = self.cursor.at;
        let test = self.test(field)?;
        self.end_of_term(start)?;
        Ok(QueryAst::Field { field: field.clone(), test })
    }

    fn value_list(&mut self, field: &Field) -> Parsed {
        let start = self.cursor.at;
        self.cursor.bump();
        self.deeper(start)?;
        self.lists += 1;
        let inner = self.value_any_of(field)?;
        self.lists -= 1;
        self.depth -= 1;
        self.close(start)?;
        self.end_of_term(start)?;
        Ok(inner)
    }

    fn test(&mut self, field: &Field) -> Parsed<Test> {
        let start = self.cursor.at;
        if self.cursor.at_term_end() {
            let name = field_text(field);
            return Err(QueryError::new(start..start, "a value is missing behind the colon").hint(
                format!("write it without a blank; {name}:* asks whether there is any value"),
            ));
        }
        match self.cursor.peek() {
            Some('"') => {
                let text = self.cursor.quoted()?;
                self.literal(field, text, start)
            }
            Some('[' | '{') => self.range(field),
            Some('<' | '>') => self.comparison(field),
            Some('@') => self.file(field),
            Some('~') if self.cursor.rest().starts_with("~/") => {
                self.cursor.bump();
                self.regex(start)
            }
            Some('/') if self.is_regex() => self.regex(start),
            _ => self.plain(field, start),
        }
    }

    fn value_any_of(&mut self, field: &Field) -> Parsed {
        let mut parts = vec![self.value_all_of(field)?];
        loop {
            self.cursor.skip_blanks();
            if self.cursor.eat_operator(Operator::Or) {
                parts.push(self.value_all_of(field)?);
                continue;
            }
            return match self.between_values() {
                Some(error) => Err(error),
                None => Ok(list(parts, QueryAst::Or)),
            };
        }
    }

    /// Complains where a list goes on without an operator.
    fn between_values(&self) -> Option<QueryError> {
        let at = self.cursor.at;
        let next = self.cursor.peek().filter(|c| *c != ')')?;
        let error = QueryError::new(
            at..at + next.len_utf8(),
            "between the values of a list stands AND or OR",
        );
        Some(error.hint("for instance verb:(get OR list); a text with blanks goes in quotes"))
    }

    fn value_all_of(&mut self, field: &Field) -> Parsed {
        let mut parts = vec![self.value_unary(field)?];
        loop {
            self.cursor.skip_blanks();
            if !self.cursor.eat_operator(Operator::And) {
                return Ok(list(parts, QueryAst::And));
            }
            parts.push(self.value_unary(field)?);
        }
    }

    fn value_unary(&mut self, field: &Field) -> Parsed {
        self.cursor.skip_blanks();
        let start = self.cursor.at;
        if self.negation() {
            self.deeper(start)?;
            let inner = self.value_unary(field)?;
            self.depth -= 1;
            return Ok(QueryAst::Not(Box::new(inner)));
        }
        self.missing_condition()?;
        self.value(field)
    }

    /// A text that stands for itself.
    fn literal(&self, field: &Field, text: String, start: usize) -> Parsed<Test> {
        self.check_equal(field, &text, start..self.cursor.at)?;
        Ok(Test::Equals { text, cased: false })
    }

    /// An unquoted value: plain, with wildcards, or a network.
    fn plain(&mut self, field: &Field, start: usize) -> Parsed<Test> {
        let pieces = self.cursor.run(Stop::Value);
        if !has_wildcard(&pieces) {
            let text = spelled(&pieces);
            if self.kind(field) == FieldKind::Address && text.contains('/') {
                return match network(&text) {
                    Some((address, prefix)) => Ok(Test::Network { address, prefix }),
                    None => Err(QueryError::new(
                        start..self.cursor.at,
                        format!("`{text}` is no network"),
                    )
                    .hint("for instance 10.128.0.0/14 or fd00::/8")),
                };
            }
            return self.literal(field, text, start);
        }
        let glob = glob(&pieces);
        if glob.0 == [GlobPart::AnyRun] {
            return Ok(Test::Present);
        }
        Ok(Test::Like { glob, cased: false })
    }

    /// Says whether the value that starts with a slash here is a regex (query.md, Grammar).
    fn is_regex(&mut self) -> bool {
        let Some(end) = self.regex_end() else { return false };
        let body = self.typed(&(self.cursor.at + 1..end));
        const META: [char; 13] = ['.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '^', '$', '|'];
        !self.holds_terms(body) && (body.contains(META) || body.contains('\\'))
    }

    /// As [`crate::query::lex::Cursor::regex_end`], but looks at no part of the text twice: a
    /// question may hold a hundred thousand values that start with a slash.
    fn regex_end(&mut self) -> Option<usize> {
        let at = self.cursor.at;
        match self.regex_ends {
            Some((from, end)) if from <= at && end.is_none_or(|end| end > at) => end,
            _ => {
                let end = self.cursor.regex_end();
                self.regex_ends = Some((at, end));
                end
            }
        }
    }

    /// Says whether the would-be regex has run over conditions that follow a plain value, as in
    /// `uri:/api/v1/nodes user.username:x uri:/apis/` or `uri:(/api/v1 OR /apis/apps.k8s.io/)`.
    fn holds_terms(&self, body: &str) -> bool {
        body.split_whitespace().skip(1).any(|piece| {
            let operator = ["and", "or"].iter().any(|name| piece.eq_ignore_ascii_case(name));
            if self.lists > 0 && operator {
                return true;
            }
            let term = piece.trim_start_matches(['(', '-', '!']);
            let Some(at) = term.find([':', '{']) else { return false };
            let (name, rest) = term.split_at(at);
            let known = match self.prefix.last() {
                None => is_field(name),
                Some(prefix) => is_path(&format!("{prefix}.{name}")),
            };
            rest.len() > 1 && !name.is_empty() && known
        })
    }

    fn regex(&mut self, start: usize) -> Parsed<Test> {
        let opened = self.cursor.at;
        let Some(end) = self.regex_end() else {
            return Err(QueryError::new(start..opened + 1, "this regex is never closed")
                .hint("it ends at a slash in front of a blank, a bracket or the end"));
        };
        let body = self.typed(&(opened + 1..end));
        self.cursor.at = end + 1;
        let mut pattern = String::with_capacity(body.len());
        let mut chars = body.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('/') => pattern.push('/'),
                    next => {
                        pattern.push('\\');
                        pattern.extend(next);
                    }
                },
                c => pattern.push(c),
            }
        }
        regex(&pattern).map_err(|error| QueryError { span: start..end + 1, ..error })?;
        Ok(Test::Matches(pattern))
    }

    fn comparison(&mut self, field: &Field) -> Parsed<Test> {
        let start = self.cursor.at;
        let below = self.cursor.bump() == Some('<');
        let included = self.cursor.eat("=");
        if self.cursor.at_term_end() {
            return Err(QueryError::new(start..self.cursor.at, "a bound is missing here")
                .hint("write it without a blank: code:>=400"));
        }
        let text = self.bound_text(field, Stop::Value)?;
        let bound = match text {
            None => Bound::Open,
            Some(text) if included => Bound::Included(text),
            Some(text) => Bound::Excluded(text),
        };
        Ok(if below {
            Test::Range { low: Bound::Open, high: bound }
        } else {
            Test::Range { low: bound, high: Bound::Open }
        })
    }

    fn range(&mut self, field: &Field) -> Parsed<Test> {
        let start = self.cursor.at;
        let low_included = self.cursor.bump() == Some('[');
        let form = |at: usize| {
            QueryError::new(start..at, "this is no range").hint(
                "[low TO high] includes, {low TO high} excludes, * is open; a text goes in quotes",
            )
        };
        self.cursor.skip_blanks();
        let low = self.bound_text(field, Stop::Bound)?;
        self.cursor.skip_blanks();
        let to = self.cursor.rest().get(..2).is_some_and(|to| to.eq_ignore_ascii_case("to"));
        let apart = self.cursor.rest().chars().nth(2).is_some_and(char::is_whitespace);
        if !to || !apart {
            return Err(form(self.cursor.at));
        }
        self.cursor.at += 2;
        self.cursor.skip_blanks();
        let high = self.bound_text(field, Stop::Bound)?;
        self.cursor.skip_blanks();
        let high_included = match self.cursor.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(form(self.cursor.at)),
        };
        self.cursor.bump();
        let bound = |text: Option<String>, included: bool| match text {
            None => Bound::Open,
            Some(text) if included => Bound::Included(text),
            Some(text) => Bound::Excluded(text),
        };
        Ok(Test::Range { low: bound(low, low_included), high: bound(high, high_included) })
    }

    /// Reads a bound; `None` is `*`.
    fn bound_text(&mut self, field: &Field, stop: Stop) -> Parsed<Option<String>> {
        let start = self.cursor.at;
        let text = if self.cursor.peek() == Some('"') {
            self.cursor.quoted()?
        } else {
            let pieces = self.cursor.run(stop);
            if pieces == [Piece::Star] {
                return Ok(None);
            }
            if has_wildcard(&pieces) {
                return Err(QueryError::new(start..self.cursor.at, "a bound takes no wildcards")
                    .hint("a star alone leaves the side open"));
            }
            if pieces.is_empty() {
                return Err(QueryError::new(start..start, "a bound is missing here")
                    .hint("[low TO high]; a star leaves a side open"));
            }
            spelled(&pieces)
        };
        self.check_bound(field, &text, start..self.cursor.at)?;
        Ok(Some(text))
    }

    /// Complains about bounds that no value of the field can be compared with.
    fn check_bound(&self, field: &Field, text: &str, span: Range<usize>) -> Parsed<()> {
        let number = parse_number(text).is_some();
        match (field, self.kind(field)) {
            (Field::Took, _) if !number && duration(text).is_none() => {
                Err(QueryError::new(span, format!("`{text}` is no length of time"))
                    .hint("for instance 2s, 1.5s, 250ms or microseconds"))
            }
            (Field::Took, _) => Ok(()),
            (_, FieldKind::Number) if !number => {
                Err(QueryError::new(span, format!("`{text}` is no number")))
            }
            (_, FieldKind::Time) if parse_period(text).is_none() => Err(no_time(text, span)),
            _ => Ok(()),
        }
    }

    /// Complains about values that no value of the field can be equal to.
    fn check_equal(&self, field: &Field, text: &str, span: Range<usize>) -> Parsed<()> {
        match (field, self.kind(field)) {
            (Field::Weekday, _) if !WEEKDAYS.contains(&fold(text).as_str()) => {
                Err(QueryError::new(span, format!("`{text}` is no weekday"))
                    .hint(format!("one of {}", WEEKDAYS.join(", "))))
            }
            (Field::Hour, _) if text.parse::<u8>().map_or(true, |hour| hour > 23) => {
                Err(QueryError::new(span, format!("`{text}` is no hour")).hint("0 to 23"))
            }
            (Field::Flag, _) if Flag::ALL.iter().all(|flag| flag.name() != fold(text)) => {
                let names: Vec<&str> = Flag::ALL.iter().map(|flag| flag.name()).collect();
                Err(QueryError::new(span, format!("`{text}` is no flag"))
                    .hint(format!("one of {}", names.join(", "))))
            }
            (Field::Took, _) => self.check_bound(field, text, span),
            (_, FieldKind::Time) if parse_period(text).is_none() => Err(no_time(text, span)),
            _ => Ok(()),
        }
    }

    fn file(&mut self, field: &Field) -> Parsed<Test> {
        let start = self.cursor.at;
        self.cursor.bump();
        let name = if self.cursor.peek() == Some('"') {
            self.cursor.quoted()?
        } else {
            spelled(&self.cursor.run(Stop::Value))
        };
        let span = start..self.cursor.at;
        if name.is_empty() {
            return Err(QueryError::new(span, "the name of a file is missing behind the @")
                .hint("a value that starts with @ goes in quotes"));
        }
        let read = match &self.options.files {
            Files::Directory(base) => std::fs::read(base.join(&name)),
            Files::Reader(reader) => reader(&name),
            Files::Refused => {
                return Err(QueryError::new(span, "lists of values are not read from files here"));
            }
        };
        let bytes = read.map_err(|error| {
            QueryError::new(span.clone(), format!("cannot read `{name}`: {error}"))
                .hint("a value that starts with @ goes in quotes")
        })?;
        let set = value_set(&name, &bytes, self.kind(field));
        if set.texts.is_empty() && set.networks.is_empty() {
            return Err(QueryError::new(span, format!("`{name}` holds no value")));
        }
        Ok(Test::OneOf(Arc::new(set)))
    }
}

fn no_time(text: &str, span: Range<usize>) -> QueryError {
    QueryError::new(span, format!("`{text}` is no time"))
        .hint("for instance 2025-12-09, 2025-12-09T12:57 or 2025-12-09T12:57:08Z")
}
