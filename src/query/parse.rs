//! Text becomes a question (query.md, Grammar), or an error that names the place.

use std::path::PathBuf;

use crate::event::field::Field;
use crate::event::field::FieldKind;
use crate::event::time::parse_period;
use crate::event::words::fold;
use crate::query::address::network;
use crate::query::address::parse_address;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::WordPattern;
use crate::query::error::QueryError;
use crate::query::lex::Cursor;
use crate::query::lex::Operator;
use crate::query::lex::Piece;
use crate::query::lex::Stop;
use crate::query::lex::glob;
use crate::query::lex::has_wildcard;
use crate::query::lex::spelled;
use crate::query::resolve::UnknownField;
use crate::query::resolve::resolve;
use crate::query::resolve::resolve_object;
use crate::query::resolve::resolve_path;

/// Deepest nesting of brackets and NOTs: far beyond what a person writes, far below what would
/// hurt the stack.
pub const MAX_DEPTH: usize = 128;

/// Reads the file of `field:@FILE`.
pub type FileReader<'a> = &'a dyn Fn(&str) -> std::io::Result<Vec<u8>>;

/// Where `field:@FILE` looks for files.
pub enum Files<'a> {
    /// Below this directory, unless the name is absolute; the empty path is the current directory.
    Directory(PathBuf),
    /// Whatever the closure returns for the name as typed.
    Reader(FileReader<'a>),
    /// Nowhere: such a question is an error.
    Refused,
}

impl std::fmt::Debug for Files<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Files::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Files::Reader(_) => f.write_str("Reader"),
            Files::Refused => f.write_str("Refused"),
        }
    }
}

/// How a question is read.
#[derive(Debug)]
pub struct ParseOptions<'a> {
    /// Where lists of values are read from.
    pub files: Files<'a>,
}

impl Default for ParseOptions<'_> {
    fn default() -> Self {
        ParseOptions { files: Files::Directory(PathBuf::new()) }
    }
}

/// Parses the text of a question.
///
/// # Errors
/// What cannot be asked, with its place and what may have been meant.
pub fn parse(text: &str, options: &ParseOptions<'_>) -> Result<QueryAst, QueryError> {
    let mut parser = Parser {
        cursor: Cursor::new(text),
        options,
        depth: 0,
        prefix: Vec::new(),
        lists: 0,
        regex_ends: None,
    };
    parser.cursor.skip_blanks();
    if parser.cursor.peek().is_none() {
        return Ok(QueryAst::All);
    }
    let ast = parser.any_of()?;
    parser.cursor.skip_blanks();
    match parser.cursor.peek() {
        None => Ok(ast),
        Some(_) => {
            let at = parser.cursor.at;
            Err(QueryError::new(at..at + 1, "this bracket closes nothing")
                .hint("a bracket inside a value is written \\) or stands in quotes"))
        }
    }
}

/// A question that is being read.
pub(crate) struct Parser<'q, 'o> {
    pub(crate) cursor: Cursor<'q>,
    pub(crate) options: &'o ParseOptions<'o>,
    pub(crate) depth: usize,
    /// The paths of the `path{` that are open, each the whole way from the event.
    pub(crate) prefix: Vec<String>,
    /// How many `field:(` are open.
    pub(crate) lists: usize,
    /// From where the end of a regex was looked for, and what was found.
    pub(crate) regex_ends: Option<(usize, Option<usize>)>,
}

/// What a step of reading gives.
pub(crate) type Parsed<T = QueryAst> = Result<T, QueryError>;

/// Puts one part in place of a list of one.
pub(crate) fn list(mut parts: Vec<QueryAst>, make: fn(Vec<QueryAst>) -> QueryAst) -> QueryAst {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            make(parts)
        }
    }
}

impl<'q> Parser<'q, '_> {
    fn any_of(&mut self) -> Parsed {
        let mut parts = vec![self.all_of()?];
        loop {
            self.cursor.skip_blanks();
            if !self.cursor.eat_operator(Operator::Or) {
                return Ok(list(parts, QueryAst::Or));
            }
            parts.push(self.all_of()?);
        }
    }

    fn all_of(&mut self) -> Parsed {
        let mut parts = vec![self.unary()?];
        loop {
            self.cursor.skip_blanks();
            if self.cursor.eat_operator(Operator::And) {
                parts.push(self.unary()?);
                continue;
            }
            let ends = matches!(self.cursor.operator(), Some((Operator::Or, _)))
                || (self.cursor.at_term_end());
            if ends {
                return Ok(list(parts, QueryAst::And));
            }
            parts.push(self.unary()?);
        }
    }

    pub(crate) fn deeper(&mut self, at: usize) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(QueryError::new(
                at..at + 1,
                format!("more than {MAX_DEPTH} brackets and NOTs inside each other"),
            ));
        }
        Ok(())
    }

    /// Takes the sign of a negation, if one stands here.
    pub(crate) fn negation(&mut self) -> bool {
        if self.cursor.eat_operator(Operator::Not) || self.cursor.eat("!") {
            return true;
        }
        let mut behind = self.cursor.rest().chars().skip(1);
        let sign = self.cursor.peek() == Some('-')
            && behind.next().is_some_and(|c| !c.is_whitespace() && c != ')');
        sign && self.cursor.eat("-")
    }

    fn unary(&mut self) -> Parsed {
        self.cursor.skip_blanks();
        let start = self.cursor.at;
        if self.negation() {
            self.deeper(start)?;
            let inner = self.unary()?;
            self.depth -= 1;
            return Ok(QueryAst::Not(Box::new(inner)));
        }
        self.missing_condition()?;
        if self.cursor.eat("(") {
            self.deeper(start)?;
            let inner = self.any_of()?;
            self.depth -= 1;
            self.close(start)?;
            self.end_of_term(start)?;
            return Ok(inner);
        }
        self.term()
    }

    /// Complains where a condition is due and something else stands.
    pub(crate) fn missing_condition(&self) -> Parsed<()> {
        let at = self.cursor.at;
        if let Some((_, length)) = self.cursor.operator() {
            return Err(QueryError::new(at..at + length, "a condition is missing here")
                .hint("put the word in quotes to look for it"));
        }
        if self.cursor.at_term_end() {
            let end = if self.cursor.peek().is_none() { at } else { at + 1 };
            return Err(QueryError::new(at..end, "a condition is missing here"));
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, opened: usize) -> Parsed<()> {
        self.cursor.skip_blanks();
        if self.cursor.eat(")") {
            return Ok(());
        }
        Err(QueryError::new(opened..opened + 1, "this bracket is never closed"))
    }

    /// Complains where a term has ended and no blank or bracket follows.
    pub(crate) fn end_of_term(&self, start: usize) -> Parsed<()> {
        if self.cursor.at_term_end() {
            return Ok(());
        }
        let at = self.cursor.at;
        if self.cursor.peek() == Some(':') {
            return Err(QueryError::new(start..at, "names of fields stand without quotes")
                .hint("blanks and brackets in a name are escaped with a backslash"));
        }
        let next = self.cursor.peek().map_or(0, char::len_utf8);
        Err(QueryError::new(at..at + next, "a blank is missing here")
            .hint("wildcards work outside quotes; blanks there are escaped: *visa\\ card*"))
    }

    fn term(&mut self) -> Parsed {
        let start = self.cursor.at;
        if self.cursor.peek() == Some('"') {
            let text = self.cursor.quoted()?;
            self.end_of_term(start)?;
            let pieces: Vec<Piece> = text.chars().map(Piece::Char).collect();
            return self.words(&pieces, start);
        }
        let head = self.cursor.run(Stop::Head);
        let span = start..self.cursor.at;
        match self.cursor.peek() {
            Some(':') if !head.is_empty() => {
                let field = self.field(&head, span)?;
                drop(head);
                self.cursor.bump();
                self.value(&field)
            }
            Some('{') if !head.is_empty() => {
                let path = self.object(&head, span)?;
                drop(head);
                self.within(path)
            }
            Some(':') => {
                Err(QueryError::new(start..start + 1, "a field is missing before the colon")
                    .hint("put the text in quotes to look for it"))
            }
            Some('{') => {
                Err(QueryError::new(start..start + 1, "a path is missing before the brace")
                    .hint("write path{condition AND condition}"))
            }
            _ => self.bare(&head, start),
        }
    }

    fn bare(&self, pieces: &[Piece], start: usize) -> Parsed {
        if pieces.iter().all(|piece| *piece == Piece::Star) && self.prefix.is_empty() {
            return Ok(QueryAst::All);
        }
        let typed = spelled(pieces);
        let regex = typed.len() > 2
            && typed.starts_with('/')
            && typed.ends_with('/')
            && typed.contains(['\\', '[', '(', '+', '^', '$', '|', '{']);
        if typed.starts_with('[') {
            return Err(QueryError::new(start..self.cursor.at, "a range needs a field")
                .hint("for instance code:[400 TO 499]; a text with brackets goes in quotes"));
        }
        if regex {
            return Err(QueryError::new(start..self.cursor.at, "a regex needs a field")
                .hint(format!("for instance requestURI:{typed}")));
        }
        self.words(pieces, start)
    }

    fn words(&self, pieces: &[Piece], start: usize) -> Parsed {
        let span = start..self.cursor.at;
        if !self.prefix.is_empty() {
            return Err(QueryError::new(span, "inside path{ } every condition needs a field")
                .hint("write name:value; the element itself is called . (a full stop)"));
        }
        let mut words = Vec::new();
        let mut word: Vec<Piece> = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Char(c) if !c.is_alphanumeric() => {
                    words.extend(word_pattern(&word));
                    word.clear();
                }
                piece => word.push(*piece),
            }
        }
        words.extend(word_pattern(&word));
        if words.is_empty() {
            return Err(QueryError::new(span, "there is no letter or digit here to look for")
                .hint("a value with signs alone is asked of a field: requestURI:\"/\""));
        }
        let any_word = [WordPattern::Like(Glob(vec![GlobPart::AnyRun]))];
        Ok(if words == any_word { QueryAst::All } else { QueryAst::Words(words) })
    }

    /// Resolves the name in front of a colon.
    fn field(&self, head: &[Piece], span: std::ops::Range<usize>) -> Parsed<Field> {
        let name = self.name(head, &span)?;
        let resolved = match self.prefix.last() {
            None => resolve(&name),
            Some(prefix) if head == [Piece::Char('.')] && self.typed(&span) == "." => {
                return Ok(Field::Path(String::new()))
                    .inspect(|_| debug_assert!(!prefix.is_empty()));
            }
            Some(prefix) => {
                resolve_path(&format!("{prefix}.{name}")).map(|()| Field::Path(name.clone()))
            }
        };
        resolved.map_err(|unknown| self.unknown_field(&unknown, span))
    }

    fn object(&self, head: &[Piece], span: std::ops::Range<usize>) -> Parsed<(String, String)> {
        let name = self.name(head, &span)?;
        let unknown = |unknown: UnknownField| self.unknown_field(&unknown, span.clone());
        match self.prefix.last() {
            None => resolve_object(&name).map(|path| (path.clone(), path)).map_err(unknown),
            Some(prefix) => {
                let whole = format!("{prefix}.{name}");
                resolve_path(&whole).map(|()| (name, whole)).map_err(unknown)
            }
        }
    }

    fn name(&self, head: &[Piece], span: &std::ops::Range<usize>) -> Parsed<String> {
        if has_wildcard(head) {
            return Err(QueryError::new(span.clone(), "names of fields take no wildcards")
                .hint("a bare word looks everywhere; a path looks in any element of its arrays"));
        }
        let name = spelled(head);
        if has_index(self.typed(span)) {
            return Err(QueryError::new(span.clone(), "paths take no index")
                .hint("arrays are looked through: requestObject.spec.containers.image:x"));
        }
        Ok(name)
    }

    pub(crate) fn typed(&self, span: &std::ops::Range<usize>) -> &'q str {
        self.cursor.text.get(span.clone()).unwrap_or_default()
    }

    fn unknown_field(&self, unknown: &UnknownField, span: std::ops::Range<usize>) -> QueryError {
        let mut rest = self.cursor.clone();
        rest.at = span.start;
        let typed = spelled(&rest.run(Stop::Value));
        let mut hints: Vec<String> = unknown.hint().into_iter().collect();
        let belongs = if unknown.name == "system" {
            Some("user")
        } else if parse_address(&typed).is_some() || network(&typed).is_some() {
            Some("ip")
        } else if parse_period(&typed).is_some() {
            Some("time")
        } else {
            None
        };
        if let Some(field) = belongs {
            hints.insert(0, format!("did you mean {field}:{typed}?"));
        }
        let short: String = typed.chars().take(80).collect();
        if self.prefix.is_empty() && !short.contains('"') && short.len() == typed.len() {
            hints.push(format!("in quotes it is looked for anywhere: \"{short}\""));
        }
        QueryError {
            message: format!("`{}` is no field", unknown.name),
            hint: (!hints.is_empty()).then(|| hints.join("; ")),
            span,
        }
    }

    fn within(&mut self, (path, whole): (String, String)) -> Parsed {
        let opened = self.cursor.at;
        if whole == "envelope" || whole.starts_with("envelope.") {
            return Err(QueryError::new(opened..opened + 1, "envelopes have no inner conditions"));
        }
        self.cursor.bump();
        self.deeper(opened)?;
        self.cursor.braces += 1;
        self.prefix.push(whole);
        let inner = self.any_of()?;
        self.cursor.skip_blanks();
        if !self.cursor.eat("}") {
            return Err(QueryError::new(opened..opened + 1, "this brace is never closed"));
        }
        self.prefix.pop();
        self.cursor.braces -= 1;
        self.depth -= 1;
        self.end_of_term(opened)?;
        Ok(QueryAst::Within { path, inner: Box::new(inner) })
    }

    /// The kind of a field here, where paths inside `path{` are relative.
    pub(crate) fn kind(&self, field: &Field) -> FieldKind {
        match (self.prefix.last(), field) {
            (Some(prefix), Field::Path(path)) if path.is_empty() => Field::path(prefix).kind(),
            (Some(prefix), Field::Path(path)) => Field::Path(format!("{prefix}.{path}")).kind(),
            (_, field) => field.kind(),
        }
    }
}

/// Says whether a path holds `[0]` or the like; a key that does is written with backslashes.
fn has_index(path: &str) -> bool {
    path.split('[').skip(1).any(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        digits > 0 && rest.get(digits..).is_some_and(|rest| rest.starts_with(']'))
    })
}

fn word_pattern(pieces: &[Piece]) -> Option<WordPattern> {
    if pieces.is_empty() {
        return None;
    }
    if !has_wildcard(pieces) {
        return Some(WordPattern::Is(fold(&spelled(pieces))));
    }
    let parts = glob(pieces).0.into_iter().map(|part| match part {
        GlobPart::Text(text) => GlobPart::Text(fold(&text)),
        other => other,
    });
    Some(WordPattern::Like(Glob(parts.collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> QueryAst {
        match parse(text, &ParseOptions { files: Files::Refused }) {
            Ok(ast) => ast,
            Err(error) => panic!("{text}\n{}", error.render(text)),
        }
    }

    fn canonical(text: &str) -> String {
        let printed = ok(text).to_string();
        assert_eq!(ok(&printed), ok(text), "{text} -> {printed}");
        printed
    }

    #[test]
    fn canonical_texts() {
        for (typed, printed) in [
            ("", "*"),
            ("  ", "*"),
            ("*", "*"),
            ("a OR b AND NOT c", "a OR (b AND NOT c)"),
            ("a b", "a AND b"),
            ("a and b or c", "(a AND b) OR c"),
            ("a && b || c", "(a AND b) OR c"),
            ("-a", "NOT a"),
            ("!a", "NOT a"),
            ("not (a or b)", "NOT (a OR b)"),
            ("verb:(get OR list)", "verb:get OR verb:list"),
            ("verb:(NOT get AND !list)", "NOT verb:get AND NOT verb:list"),
            ("-verb:(get or list)", "NOT (verb:get OR verb:list)"),
            (
                "user:system:serviceaccount:payments:visa-processor",
                "user.username:system:serviceaccount:payments:visa-processor",
            ),
            ("ip:::1", "sourceIPs:::1"),
            ("ip:10.128.0.0/14", "sourceIPs:10.128.0.0/14"),
            ("ip:10.129.3.4/14", "sourceIPs:10.128.0.0/14"),
            ("ip:::ffff:10.0.0.0/104", "sourceIPs:10.0.0.0/8"),
            ("ip:\"10.128.0.0/14\"", "sourceIPs:\"10.128.0.0/14\""),
            ("uri:10.0.0.0/8", "requestURI:\"10.0.0.0/8\""),
            ("userAgent:curl*", "userAgent:curl*"),
            ("user:*visa*", "user.username:*visa*"),
            ("as:*", "impersonatedUser.username:*"),
            ("impersonatedUser:*", "impersonatedUser:*"),
            ("uri:\"*\"", "requestURI:\"*\""),
            ("uri:\\*", "requestURI:\"*\""),
            ("uri:\\*a*", "requestURI:\\*a*"),
            ("requestURI:/limit=\\d+/", "requestURI:~/limit=\\d+/"),
            ("requestURI:/api/v1/nodes", "requestURI:\"/api/v1/nodes\""),
            ("requestURI:/api/v1/", "requestURI:\"/api/v1/\""),
            ("requestURI:~/api/", "requestURI:~/api/"),
            ("requestURI:~/a b\"(c)/ x", "requestURI:~/a b\"(c)/ AND x"),
            ("(uri:/a.b/)", "requestURI:~/a.b/"),
            ("uri:/a\\/b.c/", "requestURI:~/a\\/b.c/"),
            (
                "uri:/api/v1/nodes user.username:x uri:/apis/",
                "requestURI:\"/api/v1/nodes\" AND user.username:x AND requestURI:\"/apis/\"",
            ),
            ("code:>=400", "responseStatus.code:>=400"),
            ("code:[400 TO 499]", "responseStatus.code:[400 TO 499]"),
            ("code:{400 to *]", "responseStatus.code:>400"),
            ("code:[* TO *]", "responseStatus.code:[* TO *]"),
            (
                "requestReceivedTimestamp:[2025-12-09T12:57:00Z TO 2025-12-09T12:58:00Z}",
                "requestReceivedTimestamp:[2025-12-09T12:57:00Z TO 2025-12-09T12:58:00Z}",
            ),
            ("took:>2s", "took:>2s"),
            ("took:>1.5s", "took:>1.5s"),
            (
                "requestObject.rules{verbs:\"*\" AND resources:secrets}",
                "requestObject.rules{verbs:\"*\" AND resources:secrets}",
            ),
            ("requestObject.a{b{c:x} OR NOT .:y}", "requestObject.a{b{c:x} OR NOT .:y}"),
            ("user{username:x AND groups:y}", "user{username:x AND groups:y}"),
            ("ip{.:10.0.0.0/8 AND NOT .:10.0.0.1}", "sourceIPs{.:10.0.0.0/8 AND NOT .:10.0.0.1}"),
            ("visa-processor", "\"visa processor\""),
            ("10.128.1.81", "\"10 128 1 81\""),
            ("\"Hello, World\"", "\"hello world\""),
            ("k8s.ovn.org/pod-net*", "k8s-ovn-org-pod-net*"),
            ("/api/v1/nodes", "\"api v1 nodes\""),
            ("\"and\"", "\"and\""),
            ("user:a\\ b", "user.username:\"a b\""),
            ("user:CORP\\alice", "user.username:\"CORP\\\\alice\""),
            ("requestObject.f\\:metadata:*", "requestObject.f\\:metadata:*"),
            ("user:f(x)", "user.username:\"f(x)\""),
            ("(user:x)", "user.username:x"),
            ("weekday:Sat", "weekday:Sat"),
            ("hour:<6", "hour:<6"),
            ("time:2025-12-09", "time:2025-12-09"),
        ] {
            assert_eq!(canonical(typed), printed, "{typed}");
        }
    }

    #[test]
    fn real_data_path() {
        assert_eq!(
            canonical("requestObject.metadata.annotations.k8s.ovn.org/pod-networks:*10.128.1.81*"),
            "requestObject.metadata.annotations.k8s.ovn.org/pod-networks:*10.128.1.81*"
        );
    }
}
