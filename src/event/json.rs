//! A JSON text laid flat: one node per key and value, each with its place in the text.
//!
//! Nothing is copied and nothing is lost: duplicate keys stay, numbers keep their digits, strings
//! keep their escapes until somebody asks for the decoded text.  No function here recurses on the
//! depth of the input, which is chosen by whoever wrote the event.

use std::borrow::Cow;

/// What a node of a [`Tape`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{...}`; its children are alternating [`Kind::Key`] and value nodes.
    Object,
    /// `[...]`; its children are value nodes.
    Array,
    /// A key of an object; the span is the text between the quotes.
    Key,
    /// A string; the span is the text between the quotes.
    String,
    /// A number; the span is its digits as written.
    Number,
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`.
    Null,
}

/// One key or value: `start..end` are byte offsets in the text, `next` is the index of the first
/// node behind this one and everything in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Whether the span of a key or string holds a backslash.
    pub escaped: bool,
    /// First byte of the span.
    pub start: u32,
    /// One past the last byte of the span.
    pub end: u32,
    /// Index of the node behind this subtree.
    pub next: u32,
}

/// The nodes of one JSON text; reusable, so that parsing a line allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    /// All nodes in the order of the text; node 0 is the root value.
    pub nodes: Vec<Node>,
}

/// A view of one value of a text.
#[derive(Clone, Copy, Debug)]
pub struct Json<'t> {
    text: &'t [u8],
    nodes: &'t [Node],
    at: u32,
}

impl Tape {
    /// Returns the root value, or `None` for an empty tape.
    pub fn root<'t>(&'t self, text: &'t [u8]) -> Option<Json<'t>> {
        if self.nodes.is_empty() { None } else { Some(Json { text, nodes: &self.nodes, at: 0 }) }
    }
}

impl<'t> Json<'t> {
    fn node(&self) -> Node {
        self.nodes.get(self.at as usize).copied().unwrap_or(Node {
            kind: Kind::Null,
            escaped: false,
            start: 0,
            end: 0,
            next: self.at + 1,
        })
    }

    /// Returns what this value is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Returns the index of this value's node in its tape.
    pub fn node_index(&self) -> u32 {
        self.at
    }

    /// Returns the span between the quotes of a string or key, the digits of a number, or the
    /// whole text of anything else, as written.
    pub fn raw(&self) -> &'t [u8] {
        let node = self.node();
        self.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// Returns the text of a leaf with its escapes decoded: a string's content, a number's
    /// digits, `true`, `false`; `None` for null, objects and arrays.
    pub fn leaf_text(&self) -> Option<Cow<'t, str>> {
        let node = self.node();
        match node.kind {
            Kind::String | Kind::Key => Some(decode(self.raw(), node.escaped)),
            Kind::Number => Some(String::from_utf8_lossy(self.raw())),
            Kind::True => Some(Cow::Borrowed("true")),
            Kind::False => Some(Cow::Borrowed("false")),
            Kind::Null | Kind::Object | Kind::Array => None,
        }
    }

    /// Returns the decoded text if this is a string.
    pub fn as_str(&self) -> Option<Cow<'t, str>> {
        if self.kind() == Kind::String { self.leaf_text() } else { None }
    }

    /// Iterates over `(key, value)` of an object; empty for anything else.
    pub fn entries(&self) -> Entries<'t> {
        let node = self.node();
        let (at, end) = if node.kind == Kind::Object { (self.at + 1, node.next) } else { (0, 0) };
        Entries { text: self.text, nodes: self.nodes, at, end }
    }

    /// Iterates over the elements of an array; empty for anything else.
    pub fn elements(&self) -> Elements<'t> {
        let node = self.node();
        let (at, end) = if node.kind == Kind::Array { (self.at + 1, node.next) } else { (0, 0) };
        Elements { text: self.text, nodes: self.nodes, at, end }
    }

    /// Iterates over this value and every key and value inside it, in the order of the text.
    pub fn descendants(&self) -> impl Iterator<Item = Json<'t>> + use<'t> {
        let (text, nodes) = (self.text, self.nodes);
        (self.at..self.node().next).map(move |at| Json { text, nodes, at })
    }

    /// Returns the first value under `key` of an object.
    pub fn get(&self, key: &str) -> Option<Json<'t>> {
        self.entries().find(|(k, _)| k.leaf_text().is_some_and(|t| t == key)).map(|(_, v)| v)
    }

    /// Returns the first value under a chain of keys.
    pub fn at_path(&self, keys: &[&str]) -> Option<Json<'t>> {
        let mut here = *self;
        for key in keys {
            here = here.get(key)?;
        }
        Some(here)
    }

    /// Returns the decoded text of the first string or number under a chain of keys.
    pub fn text_at(&self, keys: &[&str]) -> Option<Cow<'t, str>> {
        self.at_path(keys)?.leaf_text()
    }
}

/// Iterator over the entries of an object.
#[derive(Clone, Debug)]
pub struct Entries<'t> {
    text: &'t [u8],
    nodes: &'t [Node],
    at: u32,
    end: u32,
}

impl<'t> Iterator for Entries<'t> {
    type Item = (Json<'t>, Json<'t>);
    fn next(&mut self) -> Option<Self::Item> {
        if self.at + 1 >= self.end {
            return None;
        }
        let key = Json { text: self.text, nodes: self.nodes, at: self.at };
        let value = Json { text: self.text, nodes: self.nodes, at: self.at + 1 };
        self.at = value.node().next;
        Some((key, value))
    }
}

/// Iterator over the elements of an array.
#[derive(Clone, Debug)]
pub struct Elements<'t> {
    text: &'t [u8],
    nodes: &'t [Node],
    at: u32,
    end: u32,
}

impl<'t> Iterator for Elements<'t> {
    type Item = Json<'t>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let value = Json { text: self.text, nodes: self.nodes, at: self.at };
        self.at = value.node().next;
        Some(value)
    }
}

/// Decodes the span between the quotes of a JSON string.
///
/// A lone surrogate or a broken escape becomes U+FFFD, bytes that are no UTF-8 likewise: evidence
/// stays searchable, the raw bytes stay in the store.
pub fn decode(raw: &[u8], escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return String::from_utf8_lossy(raw);
    }
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        let (decoded, used) = decode_escape(escape);
        let mut buffer = [0_u8; 4];
        out.extend_from_slice(decoded.encode_utf8(&mut buffer).as_bytes());
        rest = escape.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// Decodes the escape at the start of `escape` into a character and the bytes it took.
fn decode_escape(escape: &[u8]) -> (char, usize) {
    match escape.get(1) {
        Some(b'n') => ('\n', 2),
        Some(b't') => ('\t', 2),
        Some(b'r') => ('\r', 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'u') => decode_unicode(escape),
        Some(&c) if c.is_ascii() => (c as char, 2),
        _ => (char::REPLACEMENT_CHARACTER, 1),
    }
}

fn decode_unicode(escape: &[u8]) -> (char, usize) {
    let unit = |from: usize| -> Option<u32> {
        let digits = escape.get(from..from + 4)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(high) = unit(2) else { return (char::REPLACEMENT_CHARACTER, 2) };
    if (0xD800..0xDC00).contains(&high) && escape.get(6..8) == Some(b"\\u") {
        if let Some(low) = unit(8).filter(|low| (0xDC00..0xE000).contains(low)) {
            let point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            return (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
        }
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

/// Why a text is no JSON, and the byte where that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// Byte offset of the first thing that does not fit.
    pub at: usize,
    /// What was wrong there.
    pub what: &'static str,
}

/// Parses `text` (one value, blanks around it allowed) by hand: slower than SIMD, but it reads
/// what a strict parser refuses and keeps it: numbers of any size, lone surrogates, bytes that are
/// no UTF-8, control characters inside strings, any depth.
///
/// # Errors
/// The place of the first byte that fits no JSON value, and trailing text behind the value.
pub fn parse_lenient(text: &[u8], tape: &mut Tape) -> Result<(), NotJson> {
    let end = parse_lenient_prefix(text, tape)?;
    let rest = skip_blanks(text, end);
    if rest < text.len() {
        return Err(NotJson { at: rest, what: "text behind the JSON value" });
    }
    Ok(())
}

fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Parses the first JSON value of `text` and returns the offset one past it.
///
/// # Errors
/// As [`parse_lenient`]; an unfinished value is an error at the end of the text.
pub fn parse_lenient_prefix(text: &[u8], tape: &mut Tape) -> Result<usize, NotJson> {
    tape.nodes.clear();
    if text.len() >= u32::MAX as usize {
        return Err(NotJson { at: 0, what: "text of 4 GiB or more" });
    }
    let mut open: Vec<u32> = Vec::new();
    let mut at = skip_blanks(text, 0);
    loop {
        // Here a value is due.
        let start = at;
        let Some(&first) = text.get(at) else {
            return Err(NotJson { at, what: "unexpected end" });
        };
        match first {
            b'{' | b'[' => {
                let kind = if first == b'{' { Kind::Object } else { Kind::Array };
                open.push(index(tape.nodes.len()));
                tape.nodes.push(Node {
                    kind,
                    escaped: false,
                    start: index(start),
                    end: 0,
                    next: 0,
                });
                at = skip_blanks(text, at + 1);
                let close = if first == b'{' { b'}' } else { b']' };
                if text.get(at) != Some(&close) {
                    if first == b'{' {
                        at = parse_key(text, at, tape)?;
                    }
                    continue;
                }
            }
            b'"' => at = push_string(text, at, Kind::String, tape)?,
            b't' => at = push_word(text, at, b"true", Kind::True, tape)?,
            b'f' => at = push_word(text, at, b"false", Kind::False, tape)?,
            b'n' => at = push_word(text, at, b"null", Kind::Null, tape)?,
            b'-' | b'0'..=b'9' => at = push_number(text, at, tape)?,
            _ => return Err(NotJson { at, what: "expected a JSON value" }),
        }
        // Behind a value (or at the bracket that closes an empty object or array).
        loop {
            let Some(&top) = open.last() else { return Ok(at) };
            at = skip_blanks(text, at);
            let object = tape.nodes.get(top as usize).is_some_and(|node| node.kind == Kind::Object);
            match text.get(at) {
                Some(b',') => {
                    at = skip_blanks(text, at + 1);
                    if object {
                        at = parse_key(text, at, tape)?;
                    }
                    break;
                }
                Some(&c) if c == if object { b'}' } else { b']' } => {
                    at += 1;
                    let next = index(tape.nodes.len());
                    if let Some(node) = tape.nodes.get_mut(top as usize) {
                        node.end = index(at);
                        node.next = next;
                    }
                    open.pop();
                }
                Some(_) => return Err(NotJson { at, what: "expected a comma or a bracket" }),
                None => return Err(NotJson { at, what: "unexpected end" }),
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "texts of 4 GiB and more are refused before")]
fn index(at: usize) -> u32 {
    at as u32
}

fn parse_key(text: &[u8], at: usize, tape: &mut Tape) -> Result<usize, NotJson> {
    if text.get(at) != Some(&b'"') {
        return Err(NotJson { at, what: "expected a key in quotes" });
    }
    let at = skip_blanks(text, push_string(text, at, Kind::Key, tape)?);
    if text.get(at) != Some(&b':') {
        return Err(NotJson { at, what: "expected a colon" });
    }
    Ok(skip_blanks(text, at + 1))
}

fn push_string(text: &[u8], at: usize, kind: Kind, tape: &mut Tape) -> Result<usize, NotJson> {
    let start = at + 1;
    let mut here = start;
    let mut escaped = false;
    loop {
        let rest = text.get(here..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
            return Err(NotJson { at: text.len(), what: "unfinished string" });
        };
        here += found;
        if text.get(here) == Some(&b'"') {
            break;
        }
        escaped = true;
        here += 2;
    }
    let next = index(tape.nodes.len()) + 1;
    tape.nodes.push(Node { kind, escaped, start: index(start), end: index(here), next });
    Ok(here + 1)
}

fn push_word(
    text: &[u8],
    at: usize,
    word: &[u8],
    kind: Kind,
    tape: &mut Tape,
) -> Result<usize, NotJson> {
    if text.get(at..at + word.len()) != Some(word) {
        return Err(NotJson { at, what: "expected true, false or null" });
    }
    let next = index(tape.nodes.len()) + 1;
    let end = at + word.len();
    tape.nodes.push(Node { kind, escaped: false, start: index(at), end: index(end), next });
    Ok(end)
}

fn push_number(text: &[u8], at: usize, tape: &mut Tape) -> Result<usize, NotJson> {
    let digits = |from: usize| -> usize {
        text.get(from..).unwrap_or_default().iter().take_while(|c| c.is_ascii_digit()).count()
    };
    let mut end = at + usize::from(text.get(at) == Some(&b'-'));
    let whole = digits(end);
    if whole == 0 {
        return Err(NotJson { at, what: "expected digits" });
    }
    end += whole;
    if text.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        end += 1 + usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        end += digits(end);
    }
    let next = index(tape.nodes.len()) + 1;
    tape.nodes.push(Node {
        kind: Kind::Number,
        escaped: false,
        start: index(at),
        end: index(end),
        next,
    });
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(text: &str) -> Vec<String> {
        let mut tape = Tape::default();
        parse_lenient(text.as_bytes(), &mut tape).unwrap();
        (0..tape.nodes.len())
            .filter_map(|at| {
                let json = Json { text: text.as_bytes(), nodes: &tape.nodes, at: index(at) };
                json.leaf_text().map(|t| format!("{:?}={t}", json.kind()))
            })
            .collect()
    }

    #[test]
    fn reads_every_kind_of_value() {
        assert_eq!(
            leaves(r#" {"a":[1,-2.5e+3,"x\n\u00e9"],"b":{"c":true},"d":null,"e":[],"f":{}} "#),
            [
                "Key=a",
                "Number=1",
                "Number=-2.5e+3",
                "String=x\né",
                "Key=b",
                "Key=c",
                "True=true",
                "Key=d",
                "Key=e",
                "Key=f"
            ]
        );
    }

    #[test]
    fn reads_what_a_strict_parser_refuses() {
        assert_eq!(
            leaves(r#"["\ud800x",123456789012345678901234567890,"\ud83d\ude00"]"#),
            ["String=\u{fffd}x", "Number=123456789012345678901234567890", "String=\u{1F600}"]
        );
    }

    #[test]
    fn deep_nesting_neither_recurses_nor_fails() {
        let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
        let mut tape = Tape::default();
        parse_lenient(deep.as_bytes(), &mut tape).unwrap();
        assert_eq!(tape.nodes.len(), 200_001);
    }

    #[test]
    fn names_the_place_of_what_is_wrong() {
        let mut tape = Tape::default();
        let at = |text: &str, tape: &mut Tape| parse_lenient(text.as_bytes(), tape).unwrap_err().at;
        assert_eq!(at(r#"{"a":1,}"#, &mut tape), 7);
        assert_eq!(at(r#"{"a":1"#, &mut tape), 6);
        assert_eq!(at(r#"{"a":1} x"#, &mut tape), 8);
        assert_eq!(at("", &mut tape), 0);
        assert_eq!(at(r#"{"a" 1}"#, &mut tape), 5);
    }

    #[test]
    fn get_and_paths() {
        let text = br#"{"user":{"username":"u","groups":["a","b"]},"code":403}"#;
        let mut tape = Tape::default();
        parse_lenient(text, &mut tape).unwrap();
        let root = tape.root(text).unwrap();
        assert_eq!(root.text_at(&["user", "username"]).unwrap(), "u");
        assert_eq!(root.get("code").unwrap().leaf_text().unwrap(), "403");
        let groups: Vec<_> = root
            .at_path(&["user", "groups"])
            .unwrap()
            .elements()
            .filter_map(|e| e.as_str())
            .collect();
        assert_eq!(groups, ["a", "b"]);
    }
}
