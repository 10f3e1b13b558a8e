//! Correlations over matches that are all known and in order: an exact sweep with two pointers,
//! no eviction and no watermark.
//!
//! Decisions where the specification is silent: a window is closed on both sides (two matches
//! exactly `timespan` apart are in one window); it is looked at when a match enters it; a match
//! without a value for a group-by field belongs to no group; a match with several values belongs
//! to a group for each; overlapping windows that fulfil the condition are one instance.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use hashbrown::HashSet;

use crate::hunt::facts::Texts;
use crate::sigma::rule::Correlation;
use crate::sigma::rule::CorrelationKind;
use crate::sigma::rule::Presence;
use crate::sigma::rule::Window;

/// One match of one of the rules, in one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Which of [`Correlation::rules`].
    pub rule: usize,
    /// Its time in microseconds.
    pub time: i64,
    /// What is matched; breaks ties of time, and the same item under two rules is one request.
    pub item: usize,
    /// The value that is counted or summed, by the number of its text.
    pub value: Option<u32>,
}

/// Matches that fulfil a correlation.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Values of the group-by fields.
    pub key: Vec<String>,
    /// Items, in order, each once.
    pub items: Vec<usize>,
    /// First and last time.
    pub first: i64,
    /// See `first`.
    pub last: i64,
    /// The highest count, number of values, sum, ... of any one window.
    pub measure: f64,
    /// The values counted by `value_count`.
    pub values: Vec<String>,
}

/// Finds every instance of `correlation`, by group and time.
pub fn correlate(
    correlation: &Correlation,
    groups: BTreeMap<Vec<String>, Vec<Match>>,
    texts: &Texts,
) -> Vec<Instance> {
    let mut found = Vec::new();
    for (key, mut matches) in groups {
        matches.sort_by_key(|m| (m.time, m.item, m.rule));
        let counts_items = matches!(
            correlation.kind,
            CorrelationKind::EventCount
                | CorrelationKind::ValueSum
                | CorrelationKind::ValueAvg
                | CorrelationKind::ValuePercentile
                | CorrelationKind::ValueMedian
        );
        if counts_items {
            // One request that two of the rules match is one request.
            matches.dedup_by_key(|m| (m.time, m.item));
        }
        for segment in segments(&matches, correlation) {
            let whole = correlation.window != Window::Sliding;
            let mut instances = match correlation.kind {
                CorrelationKind::TemporalOrdered => ordered(segment, correlation, whole, texts),
                _ => windows(segment, correlation, whole, texts),
            };
            for instance in &mut instances {
                instance.key.clone_from(&key);
            }
            found.append(&mut instances);
        }
    }
    found.sort_by(|a, b| (a.first, &a.key).cmp(&(b.first, &b.key)));
    found
}

/// Cuts matches as the window mode says; sliding windows are not cut.
fn segments<'m>(matches: &'m [Match], correlation: &Correlation) -> Vec<&'m [Match]> {
    let span = correlation.timespan.max(1);
    match correlation.window {
        Window::Sliding => vec![matches],
        Window::Tumbling => {
            matches.chunk_by(|a, b| a.time.div_euclid(span) == b.time.div_euclid(span)).collect()
        }
        Window::Session(gap) => {
            let mut start = matches.first().map_or(0, |m| m.time);
            matches
                .chunk_by(|a, b| {
                    let same = b.time - a.time <= gap && b.time - start <= span;
                    if !same {
                        start = b.time;
                    }
                    same
                })
                .collect()
        }
    }
}

/// What is known about the matches between two pointers.
#[derive(Default)]
struct Content {
    n: usize,
    values: HashMap<u32, usize>,
    numbers: Vec<f64>,
    sum: f64,
    /// Matches of each rule.
    rules: Vec<usize>,
}

impl Content {
    fn add(&mut self, m: &Match, texts: &Texts) {
        self.n += 1;
        if let Some(count) = self.rules.get_mut(m.rule) {
            *count += 1;
        }
        if let Some(value) = m.value {
            *self.values.entry(value).or_default() += 1;
            if let Ok(number) = texts.text(value).parse::<f64>() {
                let at = self.numbers.partition_point(|n| n.total_cmp(&number).is_lt());
                self.numbers.insert(at, number);
                self.sum += number;
            }
        }
    }

    fn remove(&mut self, m: &Match, texts: &Texts) {
        self.n = self.n.saturating_sub(1);
        if let Some(count) = self.rules.get_mut(m.rule) {
            *count = count.saturating_sub(1);
        }
        if let Some(value) = m.value {
            decrement(&mut self.values, &value);
            if let Ok(number) = texts.text(value).parse::<f64>() {
                let at = self.numbers.partition_point(|n| n.total_cmp(&number).is_lt());
                if at < self.numbers.len() {
                    self.numbers.remove(at);
                }
                // An empty window must not keep what rounding left over.
                self.sum = if self.numbers.is_empty() { 0.0 } else { self.sum - number };
            }
        }
    }

    /// The measured quantity, `None` where there is nothing to measure.
    fn measure(&self, correlation: &Correlation) -> Option<f64> {
        let some = |value: f64| (!self.numbers.is_empty()).then_some(value);
        match correlation.kind {
            CorrelationKind::EventCount => Some(self.n as f64),
            CorrelationKind::ValueCount => Some(self.values.len() as f64),
            CorrelationKind::ValueSum => some(self.sum),
            CorrelationKind::ValueAvg => some(self.sum / self.numbers.len() as f64),
            CorrelationKind::ValueMedian => percentile(&self.numbers, 50.0),
            CorrelationKind::ValuePercentile => percentile(&self.numbers, correlation.percentile),
            CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => {
                Some(self.rules.iter().filter(|count| **count > 0).count() as f64)
            }
        }
    }

    fn fulfils(&self, correlation: &Correlation) -> bool {
        if correlation.kind == CorrelationKind::Temporal {
            return match &correlation.presence {
                Some(presence) => present(presence, &self.rules, &correlation.rules),
                None => self.rules.iter().all(|count| *count > 0),
            };
        }
        self.measure(correlation)
            .is_some_and(|m| correlation.predicates.iter().all(|(op, n)| op.holds(m, *n)))
    }
}

fn decrement<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Linear interpolation between the closest ranks, as `PERCENTILE_CONT` of SQL.
fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = percent.clamp(0.0, 100.0) / 100.0 * last as f64;
    let below = sorted.get(rank.floor() as usize)?;
    let above = sorted.get((rank.ceil() as usize).min(last))?;
    Some(below + (above - below) * rank.fract())
}

fn present(presence: &Presence, rules: &[usize], names: &[String]) -> bool {
    match presence {
        Presence::Rule(name) => names
            .iter()
            .position(|n| n == name)
            .is_some_and(|at| rules.get(at).is_some_and(|count| *count > 0)),
        Presence::And(parts) => parts.iter().all(|part| present(part, rules, names)),
        Presence::Or(parts) => parts.iter().any(|part| present(part, rules, names)),
        Presence::Not(inner) => !present(inner, rules, names),
    }
}

/// An instance while it grows: positions in the segment.
struct Run {
    start: usize,
    end: usize,
    measure: f64,
}

fn windows(
    matches: &[Match],
    correlation: &Correlation,
    whole: bool,
    texts: &Texts,
) -> Vec<Instance> {
    let mut content = Content { rules: vec![0; correlation.rules.len()], ..Content::default() };
    let mut runs: Vec<Run> = Vec::new();
    let mut left = 0;
    for (right, entering) in matches.iter().enumerate() {
        content.add(entering, texts);
        while let Some(leaving) = matches.get(left) {
            if whole || entering.time - leaving.time <= correlation.timespan {
                break;
            }
            content.remove(leaving, texts);
            left += 1;
        }
        if (whole && right + 1 < matches.len()) || !content.fulfils(correlation) {
            continue;
        }
        let measure = content.measure(correlation).unwrap_or_default();
        match runs.last_mut() {
            Some(run) if left <= run.end => {
                run.end = right;
                run.measure = run.measure.max(measure);
            }
            _ => runs.push(Run { start: left, end: right, measure }),
        }
    }
    runs.iter()
        .filter_map(|run| {
            let inside = matches.get(run.start..=run.end)?;
            Some(instance(inside.iter(), run.measure, correlation.kind, texts))
        })
        .collect()
}

/// Chains of the rules in their order; for every end the chain that began last.
fn ordered(
    matches: &[Match],
    correlation: &Correlation,
    whole: bool,
    texts: &Texts,
) -> Vec<Instance> {
    let n_rules = correlation.rules.len();
    let mut chains: Vec<Option<Vec<usize>>> = vec![None; n_rules];
    let mut found: Vec<Vec<usize>> = Vec::new();
    let time_of = |at: usize| matches.get(at).map_or(0, |m| m.time);
    let mut next = 0;
    for group in matches.chunk_by(|a, b| (a.time, a.item) == (b.time, b.item)) {
        let begin = next;
        next += group.len();
        // One request is one step, even where several rules match it: later steps come first, so
        // that it never follows itself.
        for (offset, m) in group.iter().enumerate().rev() {
            let at = begin + offset;
            let chain = match m.rule.checked_sub(1) {
                None => Some(vec![at]),
                Some(before) => chains
                    .get(before)
                    .and_then(Option::as_ref)
                    .filter(|chain| {
                        let start = chain.first().map_or(i64::MIN, |first| time_of(*first));
                        whole || m.time.saturating_sub(start) <= correlation.timespan
                    })
                    .map(|chain| chain.iter().copied().chain([at]).collect()),
            };
            if let Some(chain) = chain {
                if m.rule + 1 == n_rules {
                    found.push(chain);
                } else if let Some(slot) = chains.get_mut(m.rule) {
                    *slot = Some(chain);
                }
            }
        }
    }
    let mut merged: Vec<Vec<usize>> = Vec::new();
    for chain in found {
        let begins = chain.first().map_or(0, |at| time_of(*at));
        match merged.last_mut() {
            Some(last) if last.last().is_some_and(|at| begins <= time_of(*at)) => {
                last.extend(chain);
                last.sort_unstable();
                last.dedup();
            }
            _ => merged.push(chain),
        }
    }
    merged
        .into_iter()
        .map(|chain| {
            instance(
                chain.iter().filter_map(|at| matches.get(*at)),
                n_rules as f64,
                correlation.kind,
                texts,
            )
        })
        .collect()
}

fn instance<'m>(
    matches: impl Iterator<Item = &'m Match> + Clone,
    measure: f64,
    kind: CorrelationKind,
    texts: &Texts,
) -> Instance {
    let mut seen = HashSet::new();
    let items = matches.clone().map(|m| m.item).filter(|item| seen.insert(*item)).collect();
    let mut values: Vec<String> = Vec::new();
    if kind == CorrelationKind::ValueCount {
        let numbers: HashSet<u32> = matches.clone().filter_map(|m| m.value).collect();
        values = numbers.into_iter().map(|number| texts.text(number).to_owned()).collect();
        values.sort_unstable();
    }
    Instance {
        key: Vec::new(),
        items,
        first: matches.clone().map(|m| m.time).min().unwrap_or_default(),
        last: matches.map(|m| m.time).max().unwrap_or_default(),
        measure,
        values,
    }
}

#[cfg(test)]
mod tests;
