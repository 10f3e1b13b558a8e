//! Properties over questions and events that nobody thought of.

use std::net::IpAddr;

use proptest::prelude::*;

use crate::event::audit_event::AuditEvent;
use crate::event::field::Field;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::event::place::Origin;
use crate::event::words::fold;
use crate::query::ast::Bound;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::WordPattern;
use crate::query::matcher::MatchOptions;
use crate::query::matcher::Matcher;
use crate::query::parse::Files;
use crate::query::parse::ParseOptions;
use crate::query::parse::parse;
use crate::query::value::regex;

const REFUSED: ParseOptions<'static> = ParseOptions { files: Files::Refused };

/// Text in which everything that means something to the parser is frequent.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "user",
            "verb",
            "ip",
            "time",
            "code",
            "requestObject.a",
            "AND",
            "or",
            "Not",
            "TO",
            " ",
            " ",
            ":",
            ":",
            "(",
            ")",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "*",
            "?",
            "\\",
            "/",
            "~/",
            "@",
            ">=",
            "<",
            "-",
            "!",
            ".",
            "a",
            "İ",
            "Σ",
            "10.0.0.0/8",
            "::1",
            "2025-12-09",
            "403",
            "&&",
            "||",
            "\u{301}",
            "\t",
            "#",
            "x.y",
            "2s",
            "took",
            "weekday",
            "peer",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A text worth comparing: short, with wildcards, quotes and slashes in it.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "a",
            "A",
            "b",
            "ab",
            "aB",
            "*",
            "a*",
            "?",
            "/a/",
            "/",
            "a b",
            "\"",
            "\\",
            "a\\",
            "1",
            "2",
            "10",
            "1.5",
            "true",
            "@x",
            "~x",
            ">=1",
            "(a)",
            "a)",
            "}",
            "and",
            "É",
            "é",
            "ß",
            "10.0.0.1",
            "10.0.0.0/8",
            "::ffff:10.0.0.1",
            "fd00::1",
            "2025-12-09",
            "2025-12-09T12:57:08.837027Z",
            "a\nb",
            "\u{a0}",
            "İ",
            "x\u{1}",
        ])
        .prop_map(str::to_owned),
        "[aAbB*?/ .:-]{0,6}",
        any::<String>(),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        prop::sample::select(vec![
            "user.username",
            "verb",
            "requestURI",
            "sourceIPs",
            "objectRef.name",
            "requestObject",
            "requestObject.a",
            "requestObject.a.b",
            "requestObject.b",
            "annotations.a.b/c",
            "requestObject.f:x y",
            "requestObject.[0]{*}\\",
            "requestObject.and",
            "requestObject.a..",
        ])
        .prop_map(Field::path),
        prop::sample::select(vec![
            Field::Level,
            Field::Who,
            Field::Name,
            Field::Namespace,
            Field::Peer,
            Field::Source,
            Field::Log,
            Field::Envelope("a.b".into()),
        ]),
    ]
}

fn relative() -> impl Strategy<Value = Field> {
    prop::sample::select(vec!["", ".", "a", "b", "a.b", "and", "not", "-x", "!", "a b", ":"])
        .prop_map(Field::path)
}

fn glob(text: BoxedStrategy<String>) -> impl Strategy<Value = Glob> {
    let part =
        prop_oneof![text.prop_map(GlobPart::Text), Just(GlobPart::AnyRun), Just(GlobPart::AnyOne)];
    prop::collection::vec(part, 1..6).prop_map(|parts| {
        let mut out: Vec<GlobPart> = Vec::new();
        for part in parts {
            match (&part, out.last()) {
                (GlobPart::Text(text), _) if text.is_empty() => {}
                (GlobPart::Text(_), Some(GlobPart::Text(_)))
                | (GlobPart::AnyRun, Some(GlobPart::AnyRun)) => {}
                _ => out.push(part),
            }
        }
        // A pattern without a wildcard is a plain value, one star alone is presence.
        if !out.contains(&GlobPart::AnyOne) {
            out.push(GlobPart::AnyOne);
        }
        Glob(out)
    })
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        Just(Bound::Open),
        value().prop_map(Bound::Included),
        value().prop_map(Bound::Excluded)
    ]
}

fn range() -> impl Strategy<Value = Test> {
    (bound(), bound()).prop_map(|(low, high)| Test::Range { low, high })
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        1 => Just(Test::Present),
        4 => value().prop_map(|text| Test::Equals { text, cased: false }),
        3 => glob(value().boxed()).prop_map(|glob| Test::Like { glob, cased: false }),
        1 => prop::sample::select(vec![
                "a.b", "(?i)ab+", "/", "a/ b", "\\\\", "\"", "", "[/]\\)", "\\d{2}/}", "x\ny",
            ])
            .prop_map(|pattern| Test::Matches(pattern.into())),
        2 => range(),
    ]
}

fn words() -> impl Strategy<Value = QueryAst> {
    let word = prop_oneof![
        prop::sample::select(vec!["a", "b", "and", "or", "not", "é", "1", "İx", "ΑΣ"])
            .prop_map(str::to_owned),
        "[a-zA-Z0-9]{1,4}",
    ];
    let word = word.prop_map(|word| fold(&word)).boxed();
    let pattern = prop_oneof![
        3 => word.clone().prop_map(WordPattern::Is),
        1 => glob(word).prop_map(WordPattern::Like),
    ];
    prop::collection::vec(pattern, 1..4).prop_map(QueryAst::Words)
}

fn tree(leaf: BoxedStrategy<QueryAst>) -> BoxedStrategy<QueryAst> {
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(QueryAst::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(QueryAst::Or),
            inner.prop_map(|ast| QueryAst::Not(Box::new(ast))),
        ]
    })
    .boxed()
}

fn within() -> impl Strategy<Value = QueryAst> {
    let leaf = (relative(), test()).prop_map(|(field, test)| QueryAst::Field { field, test });
    let paths = ["requestObject.a", "requestObject.b", "requestObject", "annotations.x y:z"];
    (prop::sample::select(paths.to_vec()), tree(leaf.boxed()))
        .prop_map(|(path, inner)| QueryAst::Within { path: path.into(), inner: Box::new(inner) })
}

fn question() -> BoxedStrategy<QueryAst> {
    let network = prop::sample::select(vec![
        ("10.0.0.0", 8),
        ("10.0.0.1", 32),
        ("fd00::", 8),
        ("0.0.0.0", 0),
    ])
    .prop_map(|(address, prefix)| QueryAst::Field {
        field: Field::path("sourceIPs"),
        test: Test::Network { address: address.parse::<IpAddr>().unwrap(), prefix },
    });
    let leaf = prop_oneof![
        6 => (field(), test()).prop_map(|(field, test)| QueryAst::Field { field, test }),
        2 => words(),
        1 => within(),
        1 => network,
        1 => Just(QueryAst::All),
    ];
    tree(leaf.boxed())
}

/// A value of an event, in a form of its own.
#[derive(Clone, Debug)]
enum Value {
    Null,
    Bool(bool),
    Number(i32),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

fn json(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-3..12).prop_map(Value::Number),
        value().prop_map(Value::Text),
    ];
    let key = prop::sample::select(vec!["a", "b", "a.b", "c", "", "and", "a b", ":", "."]);
    leaf.prop_recursive(depth, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            prop::collection::vec((key.clone().prop_map(str::to_owned), inner), 0..4)
                .prop_map(Value::Object),
        ]
    })
    .boxed()
}

fn event() -> impl Strategy<Value = Value> {
    let text = || value().prop_map(Value::Text);
    let root = prop_oneof![
        2 => json(3).prop_map(|body| ("requestObject".to_owned(), body)),
        1 => json(2).prop_map(|map| ("annotations".to_owned(), map)),
        1 => text().prop_map(|verb| ("verb".to_owned(), verb)),
        1 => text().prop_map(|uri| ("requestURI".to_owned(), uri)),
        1 => prop::collection::vec(text(), 0..3)
            .prop_map(|ips| ("sourceIPs".to_owned(), Value::List(ips))),
        1 => text().prop_map(|name| {
            ("user".to_owned(), Value::Object(vec![("username".to_owned(), name)]))
        }),
        1 => text().prop_map(|name| {
            let resource = Value::Text("namespaces".to_owned());
            let parts = vec![("name".to_owned(), name), ("resource".to_owned(), resource)];
            ("objectRef".to_owned(), Value::Object(parts))
        }),
    ];
    prop::collection::vec(root, 0..6).prop_map(Value::Object)
}

fn to_json(value: &Value) -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::Text(t) => text(t),
        Value::List(items) => {
            format!("[{}]", items.iter().map(to_json).collect::<Vec<_>>().join(","))
        }
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, v)| format!("{}:{}", text(key), to_json(v))).collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

/// The plain reading of the same rules: everything is spelled out, nothing is fast.
mod plain {
    use super::*;

    /// Every value under a key with its joined path; elements of arrays have the array's path.
    fn nodes<'v>(at: &str, value: &'v Value, first: bool, out: &mut Vec<(String, &'v Value)>) {
        match value {
            Value::Object(entries) => {
                for (key, inner) in entries {
                    let path = if first { key.clone() } else { format!("{at}.{key}") };
                    out.push((path.clone(), inner));
                    nodes(&path, inner, false, out);
                }
            }
            Value::List(items) => items.iter().for_each(|item| nodes(at, item, first, out)),
            _ => {}
        }
    }

    fn at<'v>(root: &'v Value, path: &str) -> Vec<&'v Value> {
        if path.is_empty() {
            return vec![root];
        }
        let mut all = Vec::new();
        nodes("", root, true, &mut all);
        all.into_iter().filter(|(found, _)| found == path).map(|(_, value)| value).collect()
    }

    fn leaves(value: &Value) -> Vec<String> {
        match value {
            Value::Null | Value::Object(_) => Vec::new(),
            Value::Bool(b) => vec![b.to_string()],
            Value::Number(n) => vec![n.to_string()],
            Value::Text(text) => vec![text.clone()],
            Value::List(items) => items.iter().flat_map(leaves).collect(),
        }
    }

    fn texts(root: &Value, path: &str) -> Vec<String> {
        at(root, path).into_iter().flat_map(leaves).collect()
    }

    fn first(root: &Value, paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| texts(root, path)).find(|t| !t.is_empty()).unwrap_or_default()
    }

    fn values(root: &Value, field: &Field) -> Vec<String> {
        let name = [
            "objectRef.name",
            "responseObject.metadata.name",
            "requestObject.metadata.name",
            "requestObject.metadata.generateName",
        ];
        match field {
            Field::Path(path) => texts(root, path),
            Field::Level => first(root, &["k8s_audit_level", "openshift_audit_level", "level"]),
            Field::Who => {
                [texts(root, "user.username"), texts(root, "impersonatedUser.username")].concat()
            }
            Field::Name => first(root, &name),
            Field::Namespace => {
                let own = texts(root, "objectRef.namespace");
                let itself = texts(root, "objectRef.resource").iter().any(|r| r == "namespaces");
                if own.is_empty() && itself { first(root, &name) } else { own }
            }
            Field::Peer => {
                at(root, "sourceIPs").into_iter().filter_map(|ips| leaves(ips).pop()).collect()
            }
            Field::Source => vec!["s".into()],
            Field::Flag => {
                fn twice(value: &Value) -> bool {
                    match value {
                        Value::Object(entries) => {
                            let mut keys: Vec<&String> = entries.iter().map(|(k, _)| k).collect();
                            keys.sort();
                            let all = keys.len();
                            keys.dedup();
                            keys.len() < all || entries.iter().any(|(_, v)| twice(v))
                        }
                        Value::List(items) => items.iter().any(twice),
                        _ => false,
                    }
                }
                if twice(root) { vec!["duplicate-key".into()] } else { Vec::new() }
            }
            Field::Envelope(path) => texts(root, path),
            _ => Vec::new(),
        }
    }

    fn like(glob: &[GlobPart], text: &[char]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some((GlobPart::AnyRun, rest)) => {
                (0..=text.len()).any(|from| like(rest, &text[from..]))
            }
            Some((GlobPart::AnyOne, rest)) => !text.is_empty() && like(rest, &text[1..]),
            Some((GlobPart::Text(want), rest)) => {
                let want: Vec<char> = fold(want).chars().collect();
                text.starts_with(&want) && like(rest, &text[want.len()..])
            }
        }
    }

    fn address(text: &str) -> Option<u128> {
        match text.parse::<IpAddr>().ok()? {
            IpAddr::V4(v4) => Some(v4.to_ipv6_mapped().into()),
            IpAddr::V6(v6) => Some(v6.into()),
        }
    }

    fn inside(text: &str, bound: &Bound, low: bool, is_address: bool) -> bool {
        let (limit, included) = match bound {
            Bound::Open => return true,
            Bound::Included(limit) => (limit, true),
            Bound::Excluded(limit) => (limit, false),
        };
        let number = |text: &str| {
            let plain = regex(r"\A-?[0-9]+(\.[0-9]*)?\z").unwrap().is_match(text);
            if plain { text.parse::<f64>().ok() } else { None }
        };
        let time = crate::event::time::parse_period;
        let order = if let (Some(a), Some(b)) = (number(text), number(limit)) {
            a.total_cmp(&b)
        } else if let (Some((a, _)), Some((start, end))) = (time(text), time(limit)) {
            if a < start {
                std::cmp::Ordering::Less
            } else if a >= end {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        } else if let (true, Some(a), Some(b)) = (is_address, address(text), address(limit)) {
            // IPv4 stands in front of IPv6, as addresses do.
            (a >> 32 != 0xffff, a).cmp(&(b >> 32 != 0xffff, b))
        } else {
            fold(text).into_bytes().cmp(&fold(limit).into_bytes())
        };
        order.is_eq() && included || if low { order.is_gt() } else { order.is_lt() }
    }

    fn passes(test: &Test, text: &str, is_address: bool) -> bool {
        match test {
            Test::Present => true,
            Test::Equals { text: want, .. } => {
                let same = fold(text) == fold(want);
                match (is_address, address(want)) {
                    (true, Some(want)) => address(text) == Some(want),
                    _ => same,
                }
            }
            Test::Like { glob, .. } => like(&glob.0, &fold(text).chars().collect::<Vec<char>>()),
            Test::Matches(pattern) => regex(pattern).unwrap().is_match(text),
            Test::Range { low, high } => {
                inside(text, low, true, is_address) && inside(text, high, false, is_address)
            }
            Test::Network { address: net, prefix } => {
                let net = net.to_string();
                address(text).is_some_and(|value| {
                    let bits = if net.contains(':') { *prefix } else { prefix + 96 };
                    let v4 = value >> 32 == 0xffff;
                    let shift = 128 - u32::from(bits);
                    let cut = |n: u128| if shift == 128 { 0 } else { n >> shift };
                    v4 != net.contains(':') && cut(value) == cut(address(&net).unwrap())
                })
            }
            _ => unreachable!("{test:?}"),
        }
    }

    fn all_texts(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::List(items) => items.iter().for_each(|item| all_texts(item, out)),
            Value::Object(entries) => {
                for (key, inner) in entries {
                    out.push(key.clone());
                    all_texts(inner, out);
                }
            }
            leaf => out.extend(leaves(leaf)),
        }
    }

    fn holds_words(root: &Value, words: &[WordPattern]) -> bool {
        let mut texts = Vec::new();
        all_texts(root, &mut texts);
        for uri in self::texts(root, "requestURI") {
            if let Some((_, query)) = uri.split_once('?') {
                texts.push(percent_decoded(query));
            }
        }
        texts.iter().any(|text| {
            let found: Vec<String> = text
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(fold)
                .collect();
            found.windows(words.len()).any(|window| {
                window.iter().zip(words).all(|(word, pattern)| match pattern {
                    WordPattern::Is(want) => word == want,
                    WordPattern::Like(glob) => like(&glob.0, &word.chars().collect::<Vec<char>>()),
                })
            })
        })
    }

    fn percent_decoded(query: &str) -> String {
        let mut out = Vec::new();
        let mut rest = query.as_bytes();
        while let Some((&c, behind)) = rest.split_first() {
            let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            let hex = hex.filter(|hex| hex.bytes().all(|c| c.is_ascii_hexdigit()));
            match (c, hex) {
                (b'%', Some(hex)) => {
                    out.push(u8::from_str_radix(hex, 16).unwrap());
                    rest = &behind[2..];
                }
                (b'+', _) => {
                    out.push(b' ');
                    rest = behind;
                }
                _ => {
                    out.push(c);
                    rest = behind;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    pub(super) fn holds(ast: &QueryAst, root: &Value, prefix: &str) -> bool {
        match ast {
            QueryAst::All => true,
            QueryAst::And(parts) => parts.iter().all(|part| holds(part, root, prefix)),
            QueryAst::Or(parts) => parts.iter().any(|part| holds(part, root, prefix)),
            QueryAst::Not(inner) => !holds(inner, root, prefix),
            QueryAst::Field { field: Field::Path(path), test: Test::Present } => {
                at(root, path).iter().any(|node| !matches!(node, Value::Null))
            }
            QueryAst::Field { field: Field::Envelope(path), test: Test::Present } => {
                at(root, path).iter().any(|node| !matches!(node, Value::Null))
            }
            QueryAst::Field { field: Field::Who, test: Test::Present } => {
                ["user.username", "impersonatedUser.username"]
                    .iter()
                    .any(|path| at(root, path).iter().any(|n| !matches!(n, Value::Null)))
            }
            QueryAst::Field { field, test } => {
                let path = |p: &str| format!("{prefix}{p}") == "sourceIPs";
                let is_address =
                    *field == Field::Peer || matches!(field, Field::Path(p) if path(p));
                values(root, field).iter().any(|text| passes(test, text, is_address))
            }
            QueryAst::Within { path, inner } => at(root, path).into_iter().any(|node| match node {
                Value::List(items) => items.iter().any(|item| holds(inner, item, "in ")),
                node => holds(inner, node, "in "),
            }),
            QueryAst::Words(words) => holds_words(root, words),
        }
    }
}

fn matches(ast: &QueryAst, text: &str) -> bool {
    let mut tape = Tape::default();
    parse_lenient(text.as_bytes(), &mut tape).unwrap();
    let origin = Origin::default();
    let event = AuditEvent {
        event: tape.root(text.as_bytes()).unwrap(),
        envelope: None,
        origin: &origin,
        source: "s",
        flags: &[],
        time: None,
    };
    Matcher::compile(ast, &MatchOptions::default()).unwrap().matches(&event)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text in hostile_text()) {
        match parse(&text, &REFUSED) {
            Ok(ast) => {
                let printed = ast.to_string();
                let again = parse(&printed, &REFUSED);
                prop_assert_eq!(again.as_ref(), Ok(&ast), "{} -> {}", text, printed);
                prop_assert!(Matcher::compile(&ast, &MatchOptions::default()).is_ok());
            }
            Err(error) => {
                prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len());
                prop_assert!(text.is_char_boundary(error.span.start), "{:?}", error);
                prop_assert!(text.is_char_boundary(error.span.end), "{:?}", error);
                prop_assert!(error.render(&text).contains('^'));
            }
        }
    }

    #[test]
    fn any_text_at_all_is_read_or_refused(text in any::<String>()) {
        let _ = parse(&text, &REFUSED).map_err(|error| error.render(&text));
    }

    #[test]
    fn what_is_printed_is_read_back(ast in question()) {
        let printed = ast.to_string();
        match parse(&printed, &REFUSED) {
            Ok(again) => prop_assert_eq!(again, ast, "{}", printed),
            Err(error) => prop_assert!(false, "{}", error.render(&printed)),
        }
    }

    #[test]
    fn the_matcher_agrees_with_the_plain_reading(ast in question(), event in event()) {
        let text = to_json(&event);
        prop_assert_eq!(matches(&ast, &text), plain::holds(&ast, &event, ""), "{} on {}", ast, text);
    }
}
