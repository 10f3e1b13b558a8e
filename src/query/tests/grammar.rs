//! One row for each way of writing something (query.md, Grammar and Names).

use crate::query::ast::QueryAst;
use crate::query::error::QueryError;
use crate::query::matcher::MatchOptions;
use crate::query::matcher::Matcher;
use crate::query::parse::Files;
use crate::query::parse::MAX_DEPTH;
use crate::query::parse::ParseOptions;
use crate::query::parse::parse;

fn try_parse(text: &str) -> Result<QueryAst, QueryError> {
    parse(text, &ParseOptions { files: Files::Refused })
}

fn ok(text: &str) -> QueryAst {
    try_parse(text).unwrap_or_else(|error| panic!("{}", error.render(text)))
}

/// Parses, prints, and checks that the printed text means the same.
fn canonical(text: &str) -> String {
    let ast = ok(text);
    let printed = ast.to_string();
    assert_eq!(ok(&printed), ast, "{text} -> {printed}");
    printed
}

#[test]
fn everything() {
    for text in ["", "   ", "*", " * ", "**", "(*)"] {
        assert_eq!(ok(text), QueryAst::All, "{text:?}");
    }
}

#[test]
fn precedence_and_negation() {
    for (typed, printed) in [
        ("a OR b AND NOT c", "a OR (b AND NOT c)"),
        ("NOT a OR b", "NOT a OR b"),
        ("NOT (a OR b)", "NOT (a OR b)"),
        ("NOT(a)", "NOT a"),
        ("NOT NOT a", "NOT NOT a"),
        ("a b", "a AND b"),
        ("a b OR c d", "(a AND b) OR (c AND d)"),
        ("a and b or not c", "(a AND b) OR NOT c"),
        ("a And b Or Not c", "(a AND b) OR NOT c"),
        ("a && b || c", "(a AND b) OR c"),
        ("a -b", "a AND NOT b"),
        ("a !b", "a AND NOT b"),
        ("-(a b)", "NOT (a AND b)"),
        ("! a", "NOT a"),
        ("-\"a b\"", "NOT \"a b\""),
        ("-verb:get", "NOT verb:get"),
        ("a NOT b", "a AND NOT b"),
        ("(a OR b) c", "(a OR b) AND c"),
        ("((a))", "a"),
        ("(a b) c", "(a AND b) AND c"),
        ("oracle android notable", "oracle AND android AND notable"),
        ("\"and\" \"OR\" \"not\"", "\"and\" AND \"or\" AND \"not\""),
    ] {
        assert_eq!(canonical(typed), printed, "{typed}");
    }
}

#[test]
fn lists_of_values() {
    for (typed, printed) in [
        ("verb:(get OR list)", "verb:get OR verb:list"),
        ("verb:( get or list )", "verb:get OR verb:list"),
        ("verb:(get)", "verb:get"),
        ("verb:((get OR list) AND NOT *x)", "(verb:get OR verb:list) AND NOT verb:*x"),
        ("verb:(-get AND !list)", "NOT verb:get AND NOT verb:list"),
        ("-verb:(get OR list)", "NOT (verb:get OR verb:list)"),
        (
            "code:([400 TO 403] OR >=500)",
            "responseStatus.code:[400 TO 403] OR responseStatus.code:>=500",
        ),
        ("ip:(10.0.0.0/8 OR ::1)", "sourceIPs:10.0.0.0/8 OR sourceIPs:::1"),
        ("user:(\"a b\" OR /^c.*d/)", "user.username:\"a b\" OR user.username:~/^c.*d/"),
        (
            "uri:(/api/v1/nodes OR /apis/apps.k8s.io/v1/)",
            "requestURI:\"/api/v1/nodes\" OR requestURI:~/apis\\/apps.k8s.io\\/v1/",
        ),
        ("(verb:(get) AND a)", "verb:get AND a"),
    ] {
        assert_eq!(canonical(typed), printed, "{typed}");
    }
}

#[test]
fn values() {
    for (typed, printed) in [
        (
            "user:system:serviceaccount:payments:visa-processor",
            "user.username:system:serviceaccount:payments:visa-processor",
        ),
        ("ip:::1", "sourceIPs:::1"),
        ("ip:fd00::1", "sourceIPs:fd00::1"),
        ("user:f(x)", "user.username:\"f(x)\""),
        ("(user:f(x))", "user.username:\"f(x)\""),
        ("user:a\\)b", "user.username:\"a)b\""),
        ("user:a\\ b", "user.username:\"a b\""),
        ("user:a\\:b", "user.username:a:b"),
        ("user:\\\"a", "user.username:\"\\\"a\""),
        ("user:\"a \\\"b\\\" \\\\ c\"", "user.username:\"a \\\"b\\\" \\\\ c\""),
        ("user:\"\"", "user.username:\"\""),
        ("user:CORP\\alice", "user.username:\"CORP\\\\alice\""),
        ("user:a{b}c", "user.username:\"a{b}c\""),
        ("user:-", "user.username:\"-\""),
        ("user:-x", "user.username:\"-x\""),
        ("user:*", "user.username:*"),
        ("user:**", "user.username:*"),
        ("user:\"*\"", "user.username:\"*\""),
        ("user:\\*", "user.username:\"*\""),
        ("user:*x*", "user.username:*x*"),
        ("user:a?c", "user.username:a?c"),
        ("user:a\\?c", "user.username:\"a?c\""),
        ("user:a\\*b*", "user.username:a\\*b*"),
        ("user:\\@a*", "user.username:\\@a*"),
        ("user:a\\ b*", "user.username:a\\ b*"),
        ("ua:kubectl/v1.30*", "userAgent:kubectl/v1.30*"),
        ("user:AND", "user.username:AND"),
        ("code:403", "responseStatus.code:403"),
        ("requestObject.spec.hostPID:true", "requestObject.spec.hostPID:true"),
        ("requestObject.f\\:metadata:x", "requestObject.f\\:metadata:x"),
        ("requestObject.a\\ b\\{c\\}:x", "requestObject.a\\ b\\{c\\}:x"),
        ("requestObject.a\\:\\*:x", "requestObject.a\\:\\*:x"),
    ] {
        assert_eq!(canonical(typed), printed, "{typed}");
    }
}

#[test]
fn regexes() {
    for (typed, printed) in [
        ("requestURI:/limit=\\d+/", "requestURI:~/limit=\\d+/"),
        ("requestURI:/api/v1/nodes", "requestURI:\"/api/v1/nodes\""),
        ("requestURI:/api/v1/nodes/", "requestURI:\"/api/v1/nodes/\""),
        ("requestURI:~/nodes/", "requestURI:~/nodes/"),
        ("requestURI:~//", "requestURI:~//"),
        (
            "reason:/by \"visa.*\" of/",
            "annotations.authorization.k8s.io/reason:~/by \"visa.*\" of/",
        ),
        ("reason:/(a|b) c/ d", "annotations.authorization.k8s.io/reason:~/(a|b) c/ AND d"),
        ("(uri:/a.b/)", "requestURI:~/a.b/"),
        ("uri:/a/b.c/d/", "requestURI:~/a\\/b.c\\/d/"),
        ("uri:/a\\/ .c/", "requestURI:~/a\\/ .c/"),
        ("requestObject{a:/x{2}/}", "requestObject{a:~/x{2}/}"),
        ("requestObject{a:/x.y/ AND b:c}", "requestObject{a:~/x.y/ AND b:c}"),
        (
            "uri:/api/v1/nodes AND user.username:x AND uri:/apis/",
            "requestURI:\"/api/v1/nodes\" AND user.username:x AND requestURI:\"/apis/\"",
        ),
        (
            "uri:/api/v1 requestObject.rules{verbs:x} uri:/y/",
            "requestURI:\"/api/v1\" AND requestObject.rules{verbs:x} AND requestURI:\"/y/\"",
        ),
    ] {
        assert_eq!(canonical(typed), printed, "{typed}");
    }
}

#[test]
fn ranges() {
    for (typed, printed) in [
        ("code:[400 TO 499]", "responseStatus.code:[400 TO 499]"),
        ("code:[ 400 to 499 ]", "responseStatus.code:[400 TO 499]"),
        ("code:{400 TO 499}", "responseStatus.code:{400 TO 499}"),
        ("code:[400 TO 499}", "responseStatus.code:[400 TO 499}"),
        ("code:{400 TO 499]", "responseStatus.code:{400 TO 499]"),
        ("code:[400 TO *]", "responseStatus.code:>=400"),
        ("code:{400 TO *}", "responseStatus.code:>400"),
        ("code:[* TO 400]", "responseStatus.code:<=400"),
        ("code:{* TO 400}", "responseStatus.code:<400"),
        ("code:[* TO *]", "responseStatus.code:[* TO *]"),
        ("code:>=400", "responseStatus.code:>=400"),
        ("code:>400", "responseStatus.code:>400"),
        ("code:<=400", "responseStatus.code:<=400"),
        ("code:<400", "responseStatus.code:<400"),
        ("(code:<400)", "responseStatus.code:<400"),
        ("user:[a TO \"b c\"]", "user.username:[a TO \"b c\"]"),
        ("user:[\"*\" TO b]", "user.username:[\"*\" TO b]"),
        ("time:[2025-12-09 TO 2025-12-10}", "time:[2025-12-09 TO 2025-12-10}"),
        ("time:>2025-12-09T12:57:00Z", "time:>2025-12-09T12:57:00Z"),
        ("time:\"2025-12-09 12:57\"", "time:\"2025-12-09 12:57\""),
        ("took:>2s", "took:>2s"),
        ("took:[1.5s TO 2m}", "took:[1.5s TO 2m}"),
        (
            "requestObject{spec.replicas:{1 TO 3} AND a:b}",
            "requestObject{spec.replicas:{1 TO 3} AND a:b}",
        ),
    ] {
        assert_eq!(canonical(typed), printed, "{typed}");
    }
}

#[test]
fn nested_conditions() {
    for (typed, printed) in [
        (
            "requestObject.rules{verbs:\"*\" AND resources:secrets}",
            "requestObject.rules{verbs:\"*\" AND resources:secrets}",
        ),
        (
            "requestObject.rules{verbs:\"*\" resources:secrets}",
            "requestObject.rules{verbs:\"*\" AND resources:secrets}",
        ),
        (
            "requestObject.rules{ verbs:(get OR list) }",
            "requestObject.rules{verbs:get OR verbs:list}",
        ),
        ("NOT requestObject.rules{-verbs:get}", "NOT requestObject.rules{NOT verbs:get}"),
        ("requestObject.a{b{c:x}}", "requestObject.a{b{c:x}}"),
        ("(requestObject.a{(b:x)})", "requestObject.a{b:x}"),
        ("requestObject.a{b:x{y}}", "requestObject.a{b:\"x{y}\"}"),
        ("user{username:x AND groups:y}", "user{username:x AND groups:y}"),
        ("objectRef{resource:pods AND name:x}", "objectRef{resource:pods AND name:x}"),
        ("ip{.:10.0.0.0/8 AND NOT .:10.0.0.1}", "sourceIPs{.:10.0.0.0/8 AND NOT .:10.0.0.1}"),
        ("requestObject.a{\\.:x}", "requestObject.a{\\.:x}"),
        ("requestObject.a{b:*}", "requestObject.a{b:*}"),
        ("requestObject.rules{verbs:x}a", ""),
    ] {
        if printed.is_empty() {
            assert!(try_parse(typed).is_err(), "{typed}");
        } else {
            assert_eq!(canonical(typed), printed, "{typed}");
        }
    }
}

#[test]
fn words_and_phrases() {
    for (typed, printed) in [
        ("nsenter", "nsenter"),
        ("NsEnter", "nsenter"),
        ("visa-processor", "\"visa processor\""),
        ("10.128.1.81", "\"10 128 1 81\""),
        ("k8s.ovn.org/pod-networks", "\"k8s ovn org pod networks\""),
        ("\"Hello,   World!\"", "\"hello world\""),
        ("\"a*b\"", "\"a b\""),
        ("ns*", "ns*"),
        ("*enter", "*enter"),
        ("n?enter", "n?enter"),
        ("visa-proc*", "visa-proc*"),
        ("10.128.*", "10-128-*"),
        ("\\*x", "x"),
        ("a\\ b", "\"a b\""),
        ("/api/v1/nodes", "\"api v1 nodes\""),
        ("10.0.0.0/8", "\"10 0 0 0 8\""),
        ("f(x)", "\"f x\""),
        ("(f(x))", "\"f x\""),
        ("\"12:57:00\"", "\"12 57 00\""),
        ("system\\:anonymous", "\"system anonymous\""),
        ("ÄRGER", "ärger"),
        ("a&&b", "\"a b\""),
    ] {
        assert_eq!(canonical(typed), printed, "{typed}");
    }
}

/// (question, text the mark stands under, part of the message, part of the hint)
const ERRORS: &[(&str, &str, &str, &str)] = &[
    ("objectRef.resorce:secrets", "objectRef.resorce", "no field", "objectRef.resource"),
    ("a AND sourceIp:10.0.0.1", "sourceIp", "no field", "sourceIPs"),
    ("User:x", "User", "no field", "user"),
    ("user.nam:x", "user.nam", "no field", "user.username"),
    ("objectRef.foo:x", "objectRef.foo", "no field", "objectRef.subresource"),
    ("12:57:00", "12", "no field", "\"12:57:00\""),
    ("system:anonymous", "system", "no field", "user:system:anonymous"),
    ("fd00::1", "fd00", "no field", "ip:fd00::1"),
    ("alpine:3.18", "alpine", "no field", "\"alpine:3.18\""),
    ("verb:", "", "value is missing", "verb:*"),
    ("verb: get", "", "value is missing", "blank"),
    (":x", ":", "field is missing", "quotes"),
    ("verb:(get list)", "l", "AND or OR", "verb:(get OR list)"),
    ("verb:(get OR)", ")", "condition is missing", ""),
    ("verb:(get", "(", "never closed", ""),
    ("(a", "(", "never closed", ""),
    ("a)", ")", "closes nothing", ""),
    ("()", ")", "condition is missing", ""),
    ("a AND", "", "condition is missing", ""),
    ("AND a", "AND", "condition is missing", "quotes"),
    ("a OR OR b", "OR", "condition is missing", ""),
    ("NOT", "", "condition is missing", ""),
    ("\"abc", "\"abc", "never closed", ""),
    ("user:\"abc", "\"abc", "never closed", ""),
    ("\"a\"b", "b", "blank is missing", ""),
    ("\"user\":x", "\"user\"", "without quotes", ""),
    ("user:\"a\"*", "*", "blank is missing", "outside quotes"),
    ("user:/a(b/", "/a(b/", "regex", ""),
    ("user:~/abc", "~/", "never closed", ""),
    ("/limit=\\d+/", "/limit=\\d+/", "needs a field", "requestURI:"),
    ("[400 TO 499]", "[400", "needs a field", "code:[400 TO 499]"),
    ("code:[400 499]", "[400 ", "no range", "[low TO high]"),
    ("code:[400 TO 499", "[400 TO 499", "no range", ""),
    ("code:[400 TO ]", "", "bound is missing", ""),
    ("code:>=", ">=", "bound is missing", ""),
    ("code:>= 400", ">=", "bound is missing", "without a blank"),
    ("code:>=4*", "4*", "no wildcards", ""),
    ("code:>=abc", "abc", "no number", ""),
    ("time:>yesterday", "yesterday", "no time", "2025-12-09"),
    ("time:foo", "foo", "no time", "2025-12-09"),
    ("took:>abc", "abc", "no length of time", "2s"),
    ("hour:25", "25", "no hour", ""),
    ("flag:duplicate", "duplicate", "no flag", "duplicate-key"),
    ("weekday:saturday", "saturday", "no weekday", "sat"),
    ("ip:10.0.0.0/33", "10.0.0.0/33", "no network", ""),
    ("requestObject.*:x", "requestObject.*", "no wildcards", ""),
    (
        "requestObject.spec.containers[0].image:x",
        "requestObject.spec.containers[0].image",
        "no index",
        "",
    ),
    ("requestObject.spec.containers[0]:x", "requestObject.spec.containers[0]", "no index", ""),
    ("requestObject.rules{verbs:x", "{", "never closed", ""),
    ("requestObject.rules{}", "}", "condition is missing", ""),
    ("requestObject.rules{foo}", "foo", "needs a field", ""),
    ("requestObject.rules{*}", "*", "needs a field", ""),
    ("user{nam:x}", "nam", "no field", "user.username"),
    ("foo{a:b}", "foo", "no field", ""),
    ("{a:b}", "{", "path is missing", ""),
    ("ip:@list.txt", "@list.txt", "not read", ""),
    ("ip:@", "@", "file is missing", ""),
    ("---", "-", "letter or digit", ""),
    ("...", "...", "letter or digit", ""),
    ("\"\"", "\"\"", "letter or digit", ""),
    ("}", "}", "letter or digit", ""),
];

#[test]
fn errors_name_the_place_and_what_was_meant() {
    for (text, marked, message, hint) in ERRORS {
        let error = match try_parse(text) {
            Err(error) => error,
            Ok(ast) => panic!("{text} was read as {ast}"),
        };
        let shown = error.render(text);
        assert_eq!(&text[error.span.clone()], *marked, "{shown}");
        assert!(error.message.contains(message), "{shown}");
        assert!(error.hint.unwrap_or_default().contains(hint), "{shown}");
    }
}

#[test]
fn nesting_is_bounded() {
    for nested in [
        "(".repeat(100_000),
        "NOT ".repeat(100_000),
        "!".repeat(100_000) + "a",
        format!("{}a", "-".repeat(100_000)),
        format!("verb:{}", "(".repeat(100_000)),
        format!("verb:({}", "NOT ".repeat(100_000)),
        "requestObject{".to_owned() + &"a{".repeat(100_000),
    ] {
        let error = try_parse(&nested).unwrap_err();
        assert!(error.message.contains("inside each other"), "{}", error.message);
    }
    let deep = format!("{}a{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    assert!(try_parse(&deep).is_ok());
    let braces = MAX_DEPTH - 1;
    let deep = format!("requestObject{{{}b:c{}", "a{".repeat(braces), "}".repeat(braces + 1));
    let deep = ok(&deep);
    assert_eq!(ok(&deep.to_string()), deep);
    assert!(Matcher::compile(&deep, &MatchOptions::default()).is_ok());
}

#[test]
fn long_questions_are_read_in_one_go() {
    let many: Vec<String> = (0..100_000).map(|n| format!("uri:/api/v1/{n}")).collect();
    let flat = many.join(" OR ");
    assert!(matches!(ok(&flat), QueryAst::Or(parts) if parts.len() == 100_000));
    let values: Vec<String> = (0..100_000).map(|n| format!("/api/v1/{n}")).collect();
    let list = format!("uri:({} OR /x.y/)", values.join(" OR "));
    assert!(matches!(ok(&list), QueryAst::Or(parts) if parts.len() == 100_001));
}
