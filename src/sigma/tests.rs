//! Every form of the specification against the question it must become.

use super::*;
use crate::event::field::Field;
use crate::query::ast::Bound;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::WordPattern;
use crate::sigma::rule::NeededLevel;
use crate::sigma::rule::Rule;

fn rule(detection: &str) -> Rule {
    let text = format!(
        "title: T\nsigma-version: 3\nlogsource:\n  product: kubernetes\ndetection:\n{detection}\n"
    );
    let mut vars = Vars::new();
    vars.insert("admins".into(), vec!["alice".into(), "bob".into()]);
    let mut set = parse([("t.yml", text.as_str())], &vars);
    assert!(set.unusable.is_empty(), "{:?}", set.unusable);
    set.rules.remove(0)
}

fn question(item: &str) -> QueryAst {
    let rule = rule(&format!("  s:\n    {item}\n  condition: s"));
    assert_eq!(rule.flaws, [], "{item}");
    rule.question
}

fn field(path: &str, test: Test) -> QueryAst {
    QueryAst::Field { field: Field::path(path), test }
}

fn like(path: &str, pattern: &str) -> QueryAst {
    let mut parts = Vec::new();
    for c in pattern.chars() {
        match (c, parts.last_mut()) {
            ('*', _) => parts.push(GlobPart::AnyRun),
            ('?', _) => parts.push(GlobPart::AnyOne),
            (c, Some(GlobPart::Text(text))) => text.push(c),
            (c, _) => parts.push(GlobPart::Text(c.to_string())),
        }
    }
    field(path, Test::Like { glob: Glob(parts), cased: false })
}

fn equals(path: &str, text: &str) -> QueryAst {
    QueryAst::path_equals(path, text)
}

#[test]
fn modifiers() {
    let uri = "requestURI";
    assert_eq!(question("verb: get"), equals("verb", "get"));
    assert_eq!(
        question("verb: [get, list]"),
        QueryAst::Or(vec![equals("verb", "get"), equals("verb", "list")])
    );
    assert_eq!(question("requestURI|contains: exec"), like(uri, "*exec*"));
    assert_eq!(question("requestURI|startswith: /api"), like(uri, "/api*"));
    assert_eq!(question("requestURI|endswith: exec"), like(uri, "*exec"));
    assert_eq!(
        question("requestURI|contains|all: [a, b]"),
        QueryAst::And(vec![like(uri, "*a*"), like(uri, "*b*")])
    );
    assert_eq!(question("requestURI: '/a*b?'"), like(uri, "/a*b?"));
    assert_eq!(question(r"requestURI: '/a\*'"), equals(uri, "/a*"));
    assert_eq!(question("requestURI: '*'"), QueryAst::present(Field::path(uri)));
    assert_eq!(
        question("user.username|cased: Admin"),
        field("user.username", Test::Equals { text: "Admin".into(), cased: true })
    );
    assert_eq!(
        question(r"requestURI|re|i: 'exec\?command=\w+'"),
        field(uri, Test::Matches(r"(?i)exec\?command=\w+".into()))
    );
    assert_eq!(
        question("responseStatus.code|gte: 400"),
        field(
            "responseStatus.code",
            Test::Range { low: Bound::Included("400".into()), high: Bound::Open }
        )
    );
    assert_eq!(
        question("responseStatus.code|lt: 400"),
        field(
            "responseStatus.code",
            Test::Range { low: Bound::Open, high: Bound::Excluded("400".into()) }
        )
    );
    assert_eq!(question("responseStatus.code: 403"), equals("responseStatus.code", "403"));
    assert_eq!(question("verb|neq: get"), equals("verb", "get").negated());
    let present = QueryAst::present(Field::path("impersonatedUser"));
    assert_eq!(question("impersonatedUser|exists: true"), present);
    assert_eq!(question("impersonatedUser|exists: false"), present.clone().negated());
    assert_eq!(question("impersonatedUser: null"), present.negated());
    assert_eq!(
        question("user.username|fieldref: impersonatedUser.username"),
        field("user.username", Test::SameAs(Field::path("impersonatedUser.username")))
    );
    assert_eq!(
        question("user.username|expand: '%admins%@corp'"),
        QueryAst::Or(vec![
            equals("user.username", "alice@corp"),
            equals("user.username", "bob@corp")
        ])
    );
}

#[test]
fn networks() {
    assert_eq!(
        question("sourceIPs|cidr: 10.128.0.0/14"),
        field("sourceIPs", Test::Network { address: "10.128.0.0".parse().unwrap(), prefix: 14 })
    );
    assert_eq!(
        question("requestObject.spec.externalIPs|cidr: 10.4.0.0/15"),
        QueryAst::Or(vec![
            like("requestObject.spec.externalIPs", "10.4.*"),
            like("requestObject.spec.externalIPs", "10.5.*"),
        ])
    );
    assert_eq!(
        question("requestObject.spec.externalIPs|cidr: 10.4.0.1/32"),
        equals("requestObject.spec.externalIPs", "10.4.0.1")
    );
}

#[test]
fn encodings() {
    assert_eq!(
        question("requestURI|base64|contains: nsenter"),
        like("requestURI", "*bnNlbnRlcg==*")
    );
    let QueryAst::Or(offsets) = question("requestURI|base64offset|contains: nsenter") else {
        panic!("three offsets");
    };
    assert_eq!(offsets.len(), 3);
    let QueryAst::Or(dashes) = question("requestURI|windash|contains: ' -c '") else {
        panic!("five dashes");
    };
    assert_eq!(dashes.len(), 5);
    assert_eq!(
        question("requestURI|wide|base64offset|contains: sh"),
        QueryAst::Or(vec![
            like("requestURI", "*cwBoA*"),
            like("requestURI", "*MAaA*"),
            like("requestURI", "*zAGgA*"),
        ])
    );
}

#[test]
fn parts_of_times() {
    assert_eq!(
        question("requestReceivedTimestamp|hour: 3"),
        like("requestReceivedTimestamp", "????-??-??T03:*")
    );
    assert_eq!(question("time|month: 12"), like("requestReceivedTimestamp", "????-12-*"));
}

#[test]
fn conditions() {
    let three = |condition: &str| {
        rule(&format!(
            "  sel_a:\n    verb: get\n  sel_b:\n    verb: list\n  filter_c:\n    userAgent: x\n  \
             condition: {condition}"
        ))
        .question
    };
    let (a, b, c) = (equals("verb", "get"), equals("verb", "list"), equals("userAgent", "x"));
    assert_eq!(three("1 of sel_*"), QueryAst::Or(vec![a.clone(), b.clone()]));
    assert_eq!(three("all of sel_*"), QueryAst::And(vec![a.clone(), b.clone()]));
    assert_eq!(
        three("1 of sel_* and not filter_c"),
        QueryAst::And(vec![QueryAst::Or(vec![a.clone(), b.clone()]), c.clone().negated()])
    );
    assert_eq!(three("not (sel_a or sel_b)"), QueryAst::Or(vec![a.clone(), b.clone()]).negated());
    assert_eq!(
        three("2 of them"),
        QueryAst::Or(vec![
            QueryAst::And(vec![c.clone(), a.clone()]),
            QueryAst::And(vec![c.clone(), b.clone()]),
            QueryAst::And(vec![a.clone(), b.clone()]),
        ])
    );
    assert_eq!(three("[sel_a, sel_b]"), QueryAst::Or(vec![a, b]));
}

#[test]
fn one_element_of_an_array() {
    let rule = rule(
        "  s:\n    requestObject.rules[any]:\n      verbs: '*'\n      resources: secrets\n  \
         condition: s",
    );
    assert_eq!(
        rule.question,
        QueryAst::Within {
            path: "requestObject.rules".into(),
            inner: Box::new(QueryAst::And(vec![
                QueryAst::present(Field::path("verbs")),
                equals("resources", "secrets")
            ])),
        }
    );
    assert_eq!(rule.needs, NeededLevel::Request);
}

#[test]
fn keywords() {
    let words =
        |detection: &str| rule(&format!("  k:\n    - '{detection}'\n  condition: k")).question;
    let is = |text: &str| WordPattern::Is(text.into());
    let glob = |parts: &[GlobPart]| WordPattern::Like(Glob(parts.to_vec()));
    let text = |t: &str| GlobPart::Text(t.into());
    assert_eq!(
        words("Visa-Processor"),
        QueryAst::Words(vec![
            glob(&[GlobPart::AnyRun, text("visa")]),
            glob(&[text("processor"), GlobPart::AnyRun])
        ])
    );
    assert_eq!(words(" exec "), QueryAst::Words(vec![is("exec")]));
    assert_eq!(
        words("xm?ig"),
        QueryAst::Words(vec![glob(&[
            GlobPart::AnyRun,
            text("xm"),
            GlobPart::AnyOne,
            text("ig"),
            GlobPart::AnyRun
        ])])
    );
}

#[test]
fn empty_text_of_a_reference_is_absence() {
    let api = Field::path("objectRef.apiGroup");
    assert_eq!(
        question("apiGroup: ''"),
        QueryAst::Or(vec![QueryAst::present(api.clone()).negated(), QueryAst::equals(api, "")])
    );
}

#[test]
fn what_cannot_match_says_why() {
    let reasons = |item: &str| rule(&format!("  s:\n    {item}\n  condition: s")).cannot_match();
    assert_eq!(
        reasons("CommandLine|contains: x"),
        ["field CommandLine is not a field of an audit event"]
    );
    assert_eq!(reasons("verb: replace"), ["verb replace never occurs in audit events"]);
    assert_eq!(
        reasons("responseStatus.code: ALLOW"),
        ["responseStatus.code is a number and never ALLOW"]
    );
    assert_eq!(reasons("verb|expand: '%nobody%'"), ["placeholder %nobody% has no values (--vars)"]);
    let partly = rule("  s:\n    verb: [replace, patch]\n  condition: s");
    assert!(partly.cannot_match().is_empty());
    assert_eq!(partly.flaws.len(), 1);
}

#[test]
fn filters_are_added_to_their_rules() {
    let text = "title: A\nname: a\nlogsource: {product: kubernetes}\ndetection:\n  s: {verb: get}\n  condition: s\n---\n\
                title: F\nlogsource: {product: kubernetes}\nfilter:\n  rules: [a, b]\n  s: {userAgent: x}\n  condition: not s\n";
    let set = parse([("t", text)], &Vars::new());
    assert_eq!(
        set.rules[0].question,
        QueryAst::And(vec![equals("verb", "get"), equals("userAgent", "x").negated()])
    );
    assert_eq!(set.dangling_filters, [("F".to_owned(), "b".to_owned())]);
}

#[test]
fn broken_documents_are_named() {
    let set = parse([("bad.yml", "a: ["), ("x.yml", "title: T\ndetection: {}\n")], &Vars::new());
    assert_eq!(set.unusable.len(), 2, "{:?}", set.unusable);
    assert_eq!(set.unusable[0].file, "bad.yml");
}

/// Reads every YAML file below a folder of `../shared`, which is not always there.
fn shared(folder: &str) -> Option<RuleSet> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(folder);
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    let texts: Vec<(String, String)> = walkdir::WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|e| e.path().extension().is_some_and(|x| x == "yml" || x == "yaml"))
        .map(|e| (e.path().display().to_string(), std::fs::read_to_string(e.path()).unwrap()))
        .collect();
    assert!(!texts.is_empty());
    Some(parse(texts.iter().map(|(f, t)| (f.as_str(), t.as_str())), &Vars::new()))
}

use crate::sigma::rule::RuleSet;

#[test]
fn public_kubernetes_rules_all_lower() {
    let Some(set) = shared("sigma-rules/sigmahq-k8s-audit") else { return };
    assert_eq!(set.unusable, []);
    assert_eq!(set.rules.len(), 11);
    for rule in &set.rules {
        assert_eq!(rule.cannot_match(), Vec::<String>::new(), "{}", rule.meta.title);
        assert_eq!(logsource::not_applicable(&rule.logsource), None, "{}", rule.meta.title);
    }
}

#[test]
fn other_log_sources_are_not_applicable() {
    let Some(set) = shared("sigma-rules/sigmahq-cloud-k8s") else { return };
    assert_eq!(set.rules.len(), 10);
    assert!(set.rules.iter().all(|r| logsource::not_applicable(&r.logsource).is_some()));
}

#[test]
fn the_specifications_samples_and_odd_syntax_parse() {
    let Some(set) = shared("sigma-rules/spec-tests") else { return };
    assert_eq!(set.unusable, []);
    assert_eq!((set.rules.len(), set.correlations.len()), (1, 6));
    let Some(set) = shared("sigma-rules/sigmahq-syntax") else { return };
    assert_eq!(set.unusable, []);
    assert_eq!(set.rules.len(), 10);
    let Some(set) = shared("sigma-rules/thirdparty-jaypark81") else { return };
    assert_eq!(set.unusable, []);
}
