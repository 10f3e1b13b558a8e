//! The pack against its own events: every hunt finds what it must and leaves what it must.

use std::collections::BTreeSet;

use audithound::hunt::batch::HuntOptions;
use audithound::hunt::batch::Rules;
use audithound::hunt::batch::hunt;
use audithound::hunt::pack;
use audithound::search::evidence::Evidence;
use audithound::search::evidence::SearchOptions;
use audithound::search::scan::MemoryEvidence;
use audithound::sigma::Vars;
use audithound::sigma::rule::Correlation;
use audithound::sigma::rule::Level;
use audithound::sigma::rule::Meta;
use audithound::sigma::rule::RuleSet;
use serde_json::Value;

/// Placeholders have no values in the program; the pack's own tests bring some.
fn vars() -> Vars {
    let mut vars = Vars::new();
    for rule in pack::load_with_tests(&Vars::new()).rules {
        let Some(own) = rule.meta.own("placeholders").and_then(Value::as_object) else { continue };
        for (name, values) in own {
            let values = values.as_array().unwrap().iter();
            vars.insert(name.clone(), values.map(|v| v.as_str().unwrap().to_owned()).collect());
        }
    }
    vars
}

fn examples<'m>(meta: &'m Meta, kind: &str) -> Vec<&'m Value> {
    let list = meta.own("test").and_then(|test| test.get(kind)).and_then(Value::as_array);
    list.into_iter().flatten().collect()
}

fn is_base(meta: &Meta) -> bool {
    meta.own("base") == Some(&Value::Bool(true))
}

/// A correlation with what it refers to, and nothing else: the rest only costs time.
fn with_its_rules(whole: &RuleSet, correlation: &Correlation) -> RuleSet {
    let mut set = RuleSet { correlations: vec![correlation.clone()], ..RuleSet::default() };
    let mut open = correlation.rules.clone();
    while let Some(reference) = open.pop() {
        set.rules.extend(whole.rules.iter().find(|r| r.meta.is_called(&reference)).cloned());
        let inner = whole.correlations.iter().find(|c| c.meta.is_called(&reference));
        open.extend(inner.iter().flat_map(|c| c.rules.clone()));
        set.correlations.extend(inner.cloned());
    }
    set
}

#[test]
fn every_hunt_of_the_catalogue_is_there() {
    let set = pack::load_with_tests(&vars());
    let metas: Vec<&Meta> =
        set.rules.iter().map(|r| &r.meta).chain(set.correlations.iter().map(|c| &c.meta)).collect();
    let numbers: BTreeSet<u64> =
        metas.iter().filter_map(|meta| meta.own("number")?.as_u64()).collect();
    assert_eq!(numbers, (1..=150).collect());
    for meta in metas {
        assert!(meta.own("needs").is_some(), "{}: needs", meta.file);
        assert!(!meta.falsepositives.is_empty() || is_base(meta), "{}: falsepositives", meta.file);
    }
}

#[test]
fn every_rule_finds_its_hits_and_leaves_its_misses() {
    let mut failed = Vec::new();
    for rule in pack::load_with_tests(&vars()).rules {
        let (hits, misses) = (examples(&rule.meta, "hit"), examples(&rule.meta, "miss"));
        if !is_base(&rule.meta) {
            assert!(!hits.is_empty() && !misses.is_empty(), "{}", rule.meta.file);
        }
        let wanted = [(hits, true), (misses, false)];
        for (event, expected) in wanted.iter().flat_map(|(l, e)| l.iter().map(move |x| (x, *e))) {
            let evidence = MemoryEvidence::from_lines("example", event.as_str().unwrap());
            let found = evidence.search(&rule.question, &SearchOptions::default()).unwrap();
            if (found.total == 1) != expected {
                failed.push(format!("{} expected {expected}: {event}", rule.meta.file));
            }
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn every_correlation_finds_its_sequences_and_leaves_the_others() {
    let whole = pack::load_with_tests(&vars());
    let options = HuntOptions { level: Level::Informational, ..HuntOptions::default() };
    let mut failed = Vec::new();
    for correlation in &whole.correlations {
        let rules = Rules { builtin: with_its_rules(&whole, correlation), ..Rules::default() };
        let meta = &correlation.meta;
        let (hits, misses) = (examples(meta, "hit"), examples(meta, "miss"));
        if !is_base(meta) {
            assert!(!hits.is_empty() && !misses.is_empty(), "{}", meta.file);
        }
        let wanted = [(hits, true), (misses, false)];
        for (sequence, expected) in wanted.iter().flat_map(|(l, e)| l.iter().map(move |x| (x, *e)))
        {
            let lines: Vec<&str> =
                sequence.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
            let evidence = MemoryEvidence::from_lines("example", &lines.join("\n"));
            let report = hunt(&evidence, &rules, &options, &|_| {}).unwrap();
            let found = report.findings.iter().any(|finding| finding.card.id == meta.id);
            if found != expected {
                failed.push(format!("{} expected {expected}: {}", meta.file, lines.join("\n")));
            }
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}
