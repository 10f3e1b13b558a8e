//! From the matches of rules to the instances of correlations.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::rc::Rc;

use crate::event::field::Field;
use crate::event::time::Timestamp;
use crate::hunt::batch::Asked;
use crate::hunt::batch::Run;
use crate::hunt::batch::group_finding;
use crate::hunt::batch::selection::ChosenCorrelation;
use crate::hunt::batch::selection::Selection;
use crate::hunt::correlation::Instance;
use crate::hunt::correlation::Match;
use crate::hunt::correlation::correlate;
use crate::hunt::error::HuntError;
use crate::hunt::finding::Group;
use crate::hunt::finding::HuntReport;
use crate::hunt::requests::Call;
use crate::hunt::requests::Facts;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::sigma::rule::Correlation;
use crate::sigma::rule::CorrelationKind;
use crate::sigma::rule::Window;

/// Groups a match may belong to at most: several values in several fields multiply.
const MAX_KEYS: usize = 64;

/// Runs every correlation of the selection.
pub fn run(
    run: &mut Run<'_>,
    selection: &Selection<'_>,
    asked: &[Rc<Asked>],
    report: &mut HuntReport,
) -> Result<(), HuntError> {
    let mut ends = Ends::default();
    for chosen in &selection.correlations {
        let sources: Vec<Vec<Call>> = chosen
            .correlation
            .rules
            .iter()
            .map(|reference| calls_of(reference, selection, asked, &ends))
            .collect();
        let (calls, instances) = instances(run, chosen.correlation, &sources, report)?;
        let nested: Vec<String> = selection
            .correlations
            .iter()
            .filter(|other| {
                chosen.correlation.rules.iter().any(|r| other.correlation.meta.is_called(r))
            })
            .map(|other| other.card.rule.clone())
            .collect();
        let found: Vec<(Instance, Vec<Call>)> = instances
            .into_iter()
            .map(|instance| {
                let own = instance.items.iter().filter_map(|at| calls.get(*at));
                let all = own.flat_map(|call| ends.behind(call, &nested)).collect();
                (instance, all)
            })
            .collect();
        for (_, all) in &found {
            ends.add(&chosen.card.rule, all);
        }
        if chosen.reported {
            report_instances(run, chosen, found, report)?;
        }
    }
    Ok(())
}

/// What instances end with, for correlations of correlations.
#[derive(Default)]
struct Ends {
    /// By correlation: the last request of every instance.
    ends: HashMap<String, Vec<Call>>,
    /// By correlation and that request: all of its instance.
    instances: HashMap<(String, EventId), Vec<Call>>,
}

impl Ends {
    fn add(&mut self, correlation: &str, calls: &[Call]) {
        if let Some(last) = calls.last() {
            self.ends.entry(correlation.to_owned()).or_default().push(*last);
            self.instances
                .entry((correlation.to_owned(), last.event))
                .or_default()
                .extend_from_slice(calls);
        }
    }

    /// The request, with those of the instances of `correlations` that it ends.
    fn behind(&self, call: &Call, correlations: &[String]) -> Vec<Call> {
        let mut all = vec![*call];
        for correlation in correlations {
            let key = (correlation.clone(), call.event);
            all.extend(self.instances.get(&key).into_iter().flatten());
        }
        all
    }
}

/// The requests, pages of lists left out, that a reference stands for.
fn calls_of(
    reference: &str,
    selection: &Selection<'_>,
    asked: &[Rc<Asked>],
    ends: &Ends,
) -> Vec<Call> {
    let rule =
        selection.rules.iter().zip(asked).find(|(chosen, _)| chosen.rule.meta.is_called(reference));
    if let Some((_, answer)) = rule {
        return answer.calls.iter().filter(|call| !call.is_page).copied().collect();
    }
    selection
        .correlations
        .iter()
        .find(|chosen| chosen.correlation.meta.is_called(reference))
        .and_then(|chosen| ends.ends.get(&chosen.card.rule))
        .cloned()
        .unwrap_or_default()
}

/// Returns the requests in order and the instances, whose items are positions among them.
fn instances(
    run: &mut Run<'_>,
    correlation: &Correlation,
    sources: &[Vec<Call>],
    report: &mut HuntReport,
) -> Result<(Vec<Call>, Vec<Instance>), SearchError> {
    let mut calls: Vec<Call> = sources.iter().flatten().copied().collect();
    calls.sort_by_key(|call| (call.time, call.place, call.event));
    calls.dedup_by_key(|call| call.event);
    let positions: HashMap<EventId, usize> =
        calls.iter().enumerate().map(|(at, call)| (call.event, at)).collect();
    let slots = Slots::load(run, correlation, &calls)?;
    let mut groups: HashMap<Key, Vec<Match>> = HashMap::new();
    let mut timeless = 0_u64;
    let mut keyless = 0_u64;
    for (rule, source) in sources.iter().enumerate() {
        let keys_of = slots.of_rule(correlation, rule);
        for call in source {
            let Some(Timestamp(time)) = call.time else {
                timeless += 1;
                continue;
            };
            let Some(item) = positions.get(&call.event).copied() else { continue };
            let keys = keys_of.keys(call.event, &run.facts);
            keyless += u64::from(keys.is_empty());
            let counted = slots.counted(call.event, &mut run.facts);
            for key in keys {
                let matches = groups.entry(key).or_default();
                matches.extend(counted.iter().map(|value| Match {
                    rule,
                    time,
                    item,
                    value: *value,
                }));
            }
        }
    }
    if timeless > 0 {
        let title = &correlation.meta.title;
        report
            .notes
            .push(format!("{title}: {timeless} requests without a time were not correlated"));
    }
    if keyless > 0 && groups.is_empty() {
        let names: Vec<&str> = correlation.group_by.iter().map(|g| g.name.as_str()).collect();
        report.notes.push(format!(
            "{}: none of {keyless} requests has {}, so nothing could be grouped",
            correlation.meta.title,
            names.join(" and ")
        ));
    }
    let texts = run.facts.texts();
    let named = |key: Key| key.iter().map(|number| texts.text(*number).to_owned()).collect();
    let groups: BTreeMap<Vec<String>, Vec<Match>> =
        groups.into_iter().map(|(key, matches)| (named(key), matches)).collect();
    let found = correlate(correlation, groups, texts);
    Ok((calls, found))
}

/// Values of the group-by fields, by the numbers of their texts.
type Key = Vec<u32>;

/// Where the fields of a correlation stand among the facts.
struct Slots {
    /// For each group-by its field by rule, `*` for all.
    group_by: Vec<BTreeMap<String, Vec<usize>>>,
    /// Fields whose values are counted.
    counted: Vec<usize>,
}

impl Slots {
    /// Reads the fields of a correlation for its requests.
    fn load(
        run: &mut Run<'_>,
        correlation: &Correlation,
        calls: &[Call],
    ) -> Result<Slots, SearchError> {
        let mut slots = |fields: &[Field]| -> Vec<usize> {
            fields.iter().map(|field| run.facts.slot(field)).collect()
        };
        let group_by: Vec<BTreeMap<String, Vec<usize>>> = correlation
            .group_by
            .iter()
            .map(|g| g.fields.iter().map(|(rule, own)| (rule.clone(), slots(own))).collect())
            .collect();
        let counted = slots(&correlation.value_fields);
        let mut all: Vec<usize> =
            group_by.iter().flat_map(BTreeMap::values).flatten().chain(&counted).copied().collect();
        all.sort_unstable();
        all.dedup();
        let ids: Vec<EventId> = calls.iter().map(|call| call.event).collect();
        run.facts.load_some(run.evidence, &ids, &all)?;
        Ok(Slots { group_by, counted })
    }

    /// The group-by fields as one of the rules names them.
    fn of_rule(&self, correlation: &Correlation, rule: usize) -> RuleSlots {
        let reference = correlation.rules.get(rule).map_or("", String::as_str);
        let own = |fields: &'_ BTreeMap<String, Vec<usize>>| {
            fields.get(reference).or_else(|| fields.get("*")).cloned().unwrap_or_default()
        };
        RuleSlots(self.group_by.iter().map(own).collect())
    }

    /// What a match adds to the count: nothing but itself, or each value of the counted field.
    fn counted(&self, event: EventId, facts: &mut Facts) -> Vec<Option<u32>> {
        match self.counted.as_slice() {
            [] => vec![None],
            [slot] => {
                let found: Vec<Option<u32>> = facts.numbers(event, *slot).map(Some).collect();
                if found.is_empty() { vec![None] } else { found }
            }
            many => {
                let part = |slot: &usize| {
                    let number = facts.numbers(event, *slot).next().unwrap_or_default();
                    facts.texts().text(number).to_owned()
                };
                let parts: Vec<String> = many.iter().map(part).collect();
                vec![Some(facts.number_of(&parts.join(" / ")))]
            }
        }
    }
}

/// The group-by fields of one rule.
struct RuleSlots(Vec<Vec<usize>>);

impl RuleSlots {
    /// Every combination of the values of the group-by fields; none where one has no value.
    fn keys(&self, event: EventId, facts: &Facts) -> Vec<Key> {
        let mut keys: Vec<Key> = vec![Vec::with_capacity(self.0.len())];
        for slots in &self.0 {
            let mut found: Vec<u32> =
                slots.iter().flat_map(|slot| facts.numbers(event, *slot)).collect();
            if let [only] = found.as_slice() {
                keys.iter_mut().for_each(|key| key.push(*only));
                continue;
            }
            let texts = facts.texts();
            found.sort_unstable_by_key(|number| texts.text(*number));
            found.dedup();
            keys = keys
                .iter()
                .flat_map(|key| {
                    found.iter().map(move |value| {
                        let mut key = key.clone();
                        key.push(*value);
                        key
                    })
                })
                .take(MAX_KEYS)
                .collect();
        }
        keys
    }
}

fn report_instances(
    run: &mut Run<'_>,
    chosen: &ChosenCorrelation<'_>,
    found: Vec<(Instance, Vec<Call>)>,
    report: &mut HuntReport,
) -> Result<(), SearchError> {
    let correlation = chosen.correlation;
    let mut suppressed = 0;
    let mut groups = Vec::new();
    for (instance, mut own) in found {
        own.sort_by_key(|call| (call.time, call.place, call.event));
        own.dedup_by_key(|call| call.event);
        let (kept, n) = run.allowed.split(&chosen.card, &own);
        suppressed += n;
        // What is left of an instance need not fulfil the condition any more.
        if n > 0 && kept.len() < own.len() {
            continue;
        }
        let names = correlation.group_by.iter().map(|g| g.name.clone());
        groups.push((
            Group {
                key: names.zip(instance.key.iter().cloned()).collect(),
                first: own.first().and_then(|call| call.time),
                last: own.last().and_then(|call| call.time),
                measured: measured(correlation, &instance),
                ..Group::default()
            },
            own,
        ));
    }
    if groups.is_empty() {
        report.n_nothing += 1;
    } else {
        report.findings.push(group_finding(run, &chosen.card, groups, suppressed)?);
    }
    Ok(())
}

/// The measure in words.
fn measured(correlation: &Correlation, instance: &Instance) -> String {
    let span = match correlation.window {
        Window::Session(_) => "one session".to_owned(),
        _ => {
            let seconds = correlation.timespan / 1_000_000;
            match seconds {
                s if s % 86_400 == 0 => format!("{}d", s / 86_400),
                s if s % 3_600 == 0 => format!("{}h", s / 3_600),
                s if s % 60 == 0 => format!("{}m", s / 60),
                s => format!("{s}s"),
            }
        }
    };
    let names: Vec<String> = correlation.value_fields.iter().map(Field::name).collect();
    let number = if instance.measure.fract() == 0.0 {
        format!("{:.0}", instance.measure)
    } else {
        format!("{:.2}", instance.measure)
    };
    match correlation.kind {
        CorrelationKind::EventCount => format!("{number} requests within {span}"),
        CorrelationKind::ValueCount => {
            let mut values = instance.values.clone();
            let more = values.len().saturating_sub(10);
            values.truncate(10);
            let mut text = format!(
                "{number} values of {} within {span}: {}",
                names.join(", "),
                values.join(", ")
            );
            if more > 0 {
                text.push_str(&format!(" and {more} more"));
            }
            text
        }
        CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => {
            let seconds = (instance.last - instance.first) as f64 / 1e6;
            format!("{} after one another in {seconds:.1} s", correlation.rules.join(", "))
        }
        kind => format!("{} of {} is {number} within {span}", kind.name(), names.join(", ")),
    }
}
