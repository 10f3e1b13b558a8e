//! The conformance cases of hunts.md section 4: what other engines got wrong.

use super::*;
use crate::sigma::Vars;

/// A correlation as written, over rules called a, b, c.
fn correlation(body: &str) -> Correlation {
    let text = format!("title: T\ncorrelation:\n{body}\n");
    let mut set = crate::sigma::parse([("t", text.as_str())], &Vars::new());
    assert!(set.unusable.is_empty(), "{:?}", set.unusable);
    set.correlations.remove(0)
}

const SECOND: i64 = 1_000_000;

/// Matches as (rule, second, value) with the position as item, all in one group.
fn run(correlation: &Correlation, matches: &[(usize, i64, &str)]) -> Vec<Instance> {
    let mut texts = Texts::default();
    let matches = matches
        .iter()
        .enumerate()
        .map(|(item, (rule, second, value))| Match {
            rule: *rule,
            time: second * SECOND,
            item,
            value: (!value.is_empty()).then(|| texts.number(value)),
        })
        .collect();
    correlate(correlation, BTreeMap::from([(vec!["g".to_owned()], matches)]), &texts)
}

fn items(found: &[Instance]) -> Vec<Vec<usize>> {
    found.iter().map(|instance| instance.items.clone()).collect()
}

const COUNT: &str = "  type: event_count\n  rules: [a]\n  group-by: [user.username]\n  timespan: 10s\n  condition: {gte: 3}";

#[test]
fn a_window_is_never_longer_than_its_timespan() {
    let count = correlation(COUNT);
    let at = |seconds: &[i64]| {
        let matches: Vec<(usize, i64, &str)> = seconds.iter().map(|s| (0, *s, "")).collect();
        items(&run(&count, &matches))
    };
    assert_eq!(at(&[0, 5, 10]), [[0, 1, 2]], "both ends belong to the window");
    assert_eq!(at(&[0, 5, 11]), Vec::<Vec<usize>>::new());
    // hayabusa#1896: 0, 6, 12, 18 never has three within ten seconds.
    assert_eq!(at(&[0, 6, 12, 18]), Vec::<Vec<usize>>::new());
    // Two bursts are two instances, one long burst is one.
    assert_eq!(at(&[0, 1, 2, 50, 51, 52]), [[0, 1, 2], [3, 4, 5]]);
    assert_eq!(at(&[0, 4, 8, 12, 16]), [[0, 1, 2, 3, 4]]);
}

#[test]
fn the_count_is_that_of_one_window() {
    let found = run(&correlation(COUNT), &[(0, 0, ""), (0, 4, ""), (0, 8, ""), (0, 12, "")]);
    assert_eq!(found.len(), 1);
    assert!((found[0].measure - 3.0).abs() < f64::EPSILON);
}

#[test]
fn order_of_the_input_does_not_matter() {
    let count = correlation(COUNT);
    let sorted = run(&count, &[(0, 0, ""), (0, 5, ""), (0, 9, "")]);
    let shuffled = run(&count, &[(0, 9, ""), (0, 0, ""), (0, 5, "")]);
    assert_eq!((sorted[0].first, sorted[0].last), (shuffled[0].first, shuffled[0].last));
    assert_eq!(sorted[0].items.len(), shuffled[0].items.len());
}

#[test]
fn one_request_under_two_rules_counts_once() {
    let count = correlation(&COUNT.replace("[a]", "[a, b]"));
    let m = |rule, item, second: i64| Match { rule, time: second * SECOND, item, value: None };
    let groups = BTreeMap::from([(
        vec!["g".to_owned()],
        vec![m(0, 0, 1), m(1, 0, 1), m(0, 1, 2), m(1, 1, 2)],
    )]);
    assert_eq!(correlate(&count, groups, &Texts::default()), []);
}

#[test]
fn groups_do_not_mix() {
    let count = correlation(COUNT);
    let m = |item, second: i64| Match { rule: 0, time: second * SECOND, item, value: None };
    let groups = BTreeMap::from([
        (vec!["x".to_owned()], vec![m(0, 0), m(1, 1)]),
        (vec!["y".to_owned()], vec![m(2, 2), m(3, 3), m(4, 4)]),
    ]);
    let found = correlate(&count, groups, &Texts::default());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].key, ["y"]);
}

#[test]
fn different_values_are_counted_once_each() {
    let values = correlation(
        "  type: value_count\n  rules: [a]\n  group-by: [user.username]\n  timespan: 10s\n  condition: {field: objectRef.name, gte: 2}",
    );
    assert_eq!(items(&run(&values, &[(0, 0, "x"), (0, 1, "x"), (0, 2, "x")])).len(), 0);
    let found = run(&values, &[(0, 0, "x"), (0, 1, "x"), (0, 2, "y"), (0, 3, "")]);
    assert_eq!(found[0].values, ["x", "y"]);
    assert_eq!(items(&run(&values, &[(0, 0, "x"), (0, 11, "y")])).len(), 0);
}

#[test]
fn temporal_needs_every_rule_in_any_order_within_the_span() {
    let temporal = correlation(
        "  type: temporal\n  rules: [a, b]\n  group-by: [user.username]\n  timespan: 10s",
    );
    assert_eq!(items(&run(&temporal, &[(1, 0, ""), (0, 10, "")])), [[0, 1]]);
    assert_eq!(items(&run(&temporal, &[(1, 0, ""), (0, 11, "")])).len(), 0);
    assert_eq!(items(&run(&temporal, &[(0, 0, ""), (0, 1, "")])).len(), 0);
}

#[test]
fn temporal_conditions_may_be_written_out() {
    let either = correlation(
        "  type: temporal\n  rules: [a, b, c]\n  group-by: [user.username]\n  timespan: 10s\n  condition: a and (b or c)",
    );
    assert_eq!(items(&run(&either, &[(0, 0, ""), (2, 1, "")])).len(), 1);
    assert_eq!(items(&run(&either, &[(1, 0, ""), (2, 1, "")])).len(), 0);
}

#[test]
fn ordered_needs_the_order() {
    let ordered = correlation(
        "  type: temporal_ordered\n  rules: [a, b, c]\n  group-by: [user.username]\n  timespan: 10s",
    );
    assert_eq!(items(&run(&ordered, &[(0, 0, ""), (1, 1, ""), (2, 2, "")])), [[0, 1, 2]]);
    // hayabusa#1841: any order is not the order.
    assert_eq!(items(&run(&ordered, &[(1, 0, ""), (0, 1, ""), (2, 2, "")])).len(), 0);
    // The chain that began last is the one that fits.
    assert_eq!(
        items(&run(&ordered, &[(0, 0, ""), (1, 5, ""), (0, 8, ""), (1, 9, ""), (2, 12, "")])),
        [[2, 3, 4]]
    );
    assert_eq!(items(&run(&ordered, &[(0, 0, ""), (1, 5, ""), (2, 11, "")])).len(), 0);
    // One request is not two steps.
    let m = |rule, item, second: i64| Match { rule, time: second * SECOND, item, value: None };
    let groups = BTreeMap::from([(vec!["g".to_owned()], vec![m(0, 0, 1), m(1, 0, 1), m(2, 1, 2)])]);
    assert_eq!(correlate(&ordered, groups, &Texts::default()), []);
}

#[test]
fn chains_that_overlap_are_one_instance() {
    let ordered = correlation(
        "  type: temporal_ordered\n  rules: [a, b]\n  group-by: [user.username]\n  timespan: 10s",
    );
    assert_eq!(items(&run(&ordered, &[(0, 0, ""), (1, 1, ""), (1, 2, "")])), [[0, 1, 2]]);
    assert_eq!(
        items(&run(&ordered, &[(0, 0, ""), (1, 1, ""), (0, 30, ""), (1, 31, "")])),
        [[0, 1], [2, 3]]
    );
}

#[test]
fn sums_means_and_percentiles() {
    let of = |kind: &str, condition: &str| {
        correlation(&format!(
            "  type: {kind}\n  rules: [a]\n  group-by: [user.username]\n  timespan: 10s\n  condition: {{field: took, {condition}}}"
        ))
    };
    let values = [(0, 0, "1"), (0, 1, "2"), (0, 2, "9")];
    assert_eq!(run(&of("value_sum", "gte: 12"), &values).len(), 1);
    assert_eq!(run(&of("value_sum", "gt: 12"), &values).len(), 0);
    assert_eq!(run(&of("value_avg", "gte: 4"), &values).len(), 1);
    assert_eq!(run(&of("value_median", "eq: 2"), &values).len(), 1);
    assert_eq!(run(&of("value_percentile", "percentile: 100, gte: 9"), &values).len(), 1);
    assert_eq!(run(&of("value_sum", "gte: 1"), &[(0, 0, "no number")]).len(), 0);
}

#[test]
fn tumbling_and_session_windows() {
    let tumbling = correlation(&format!("{COUNT}\n  window: tumbling"));
    assert_eq!(items(&run(&tumbling, &[(0, 8, ""), (0, 9, ""), (0, 10, "")])).len(), 0);
    assert_eq!(items(&run(&tumbling, &[(0, 7, ""), (0, 8, ""), (0, 9, "")])).len(), 1);
    let session = correlation(&format!("{COUNT}\n  window: session\n  gap: 2s"));
    assert_eq!(items(&run(&session, &[(0, 0, ""), (0, 2, ""), (0, 4, "")])).len(), 1);
    assert_eq!(items(&run(&session, &[(0, 0, ""), (0, 3, ""), (0, 4, "")])).len(), 0);
}

#[test]
fn equal_times_have_a_stable_order() {
    let ordered = correlation(
        "  type: temporal_ordered\n  rules: [a, b]\n  group-by: [user.username]\n  timespan: 10s",
    );
    let first = run(&ordered, &[(0, 1, ""), (1, 1, ""), (1, 1, "")]);
    assert_eq!(items(&first), [[0, 1, 2]]);
    assert_eq!(items(&run(&ordered, &[(1, 1, ""), (0, 1, "")])).len(), 0);
}
