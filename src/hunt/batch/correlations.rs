//! From the matches of rules to the instances of correlations.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::num::NonZeroU32;
use std::rc::Rc;

use crate::event::field::Field;
use crate::event::time::Timestamp;
use crate::hunt::batch::Asked;
use crate::hunt::batch::Run;
use crate::hunt::batch::followers;
use crate::hunt::batch::group_finding;
use crate::hunt::batch::groups::Keys;
use crate::hunt::batch::groups::Slots;
use crate::hunt::batch::selection::Chosen;
use crate::hunt::batch::selection::ChosenCorrelation;
use crate::hunt::batch::selection::Selection;
use crate::hunt::correlation::Instance;
use crate::hunt::correlation::Match;
use crate::hunt::correlation::correlate;
use crate::hunt::error::HuntError;
use crate::hunt::facts::Table;
use crate::hunt::finding::Group;
use crate::hunt::finding::HuntReport;
use crate::hunt::requests::Call;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::sigma::rule::Comparison;
use crate::sigma::rule::Correlation;
use crate::sigma::rule::CorrelationKind;
use crate::sigma::rule::Window;

/// Runs every correlation of the selection.
pub fn run(
    run: &mut Run<'_>,
    selection: &Selection<'_>,
    asked: &[Rc<Asked>],
    report: &mut HuntReport,
) -> Result<(), HuntError> {
    let mut ends = Ends::default();
    for chosen in &selection.correlations {
        let sources = sources(run, chosen.correlation, selection, asked, &ends)?;
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

/// Finds what the references of a correlation stand for, followers last.
fn sources(
    run: &mut Run<'_>,
    correlation: &Correlation,
    selection: &Selection<'_>,
    asked: &[Rc<Asked>],
    ends: &Ends,
) -> Result<Vec<Source>, SearchError> {
    let mut sources: Vec<Option<Source>> = Vec::new();
    let mut open: Vec<(usize, &Chosen<'_>)> = Vec::new();
    for (at, reference) in correlation.rules.iter().enumerate() {
        let mut rules = selection.rules.iter().zip(asked);
        let rule = rules.find(|(chosen, _)| chosen.rule.meta.is_called(reference));
        sources.push(match rule {
            Some((chosen, _)) if followers::follows(chosen, selection) => {
                open.push((at, chosen));
                None
            }
            Some((_, answer)) => Some(Source::Rule(Rc::clone(answer))),
            None => {
                let mut others = selection.correlations.iter();
                let other = others.find(|other| other.correlation.meta.is_called(reference));
                let ends = other.and_then(|other| ends.ends.get(&other.card.rule));
                Some(Source::Ends(ends.cloned().unwrap_or_default()))
            }
        });
    }
    let known = sources.iter().zip(&correlation.rules);
    let leader = known
        .filter(|_| !open.is_empty())
        .filter_map(|(source, reference)| Some((source.as_ref()?, reference)))
        .min_by_key(|(source, _)| source.calls().count())
        .map(|(source, reference)| (source.calls().copied().collect::<Vec<Call>>(), reference));
    for (at, chosen) in open {
        let Some((calls, name)) = &leader else { continue };
        let follower = (chosen, correlation.rules.get(at).map_or("", String::as_str));
        let answer =
            followers::asked(run, selection, correlation, follower, (calls, name.as_str()))?;
        if let Some(slot) = sources.get_mut(at) {
            *slot = Some(Source::Rule(Rc::new(answer)));
        }
    }
    Ok(sources.into_iter().map(|s| s.unwrap_or(Source::Ends(Vec::new()))).collect())
}

/// The requests that one of the references stands for.
enum Source {
    /// Those that a rule matched, pages of lists among them.
    Rule(Rc<Asked>),
    /// Those that end instances of another correlation.
    Ends(Vec<Call>),
}

impl Source {
    fn calls(&self) -> impl Iterator<Item = &Call> {
        let all = match self {
            Source::Rule(answer) => &answer.calls,
            Source::Ends(calls) => calls,
        };
        all.iter().filter(|call| !call.is_page)
    }
}

/// A match before its place among the others of its correlation is known.
///
/// There may be one for each request, so that they take few bytes.
struct Early<'c> {
    call: &'c Call,
    rule: u32,
    /// The number of a text, none of which is 0.
    value: Option<NonZeroU32>,
}

/// Returns the requests in order and the instances, whose items are positions among them.
fn instances(
    run: &mut Run<'_>,
    correlation: &Correlation,
    sources: &[Source],
    report: &mut HuntReport,
) -> Result<(Vec<Call>, Vec<Instance>), SearchError> {
    let needs_all = correlation.needs_all();
    if needs_all && sources.iter().any(|source| source.calls().next().is_none()) {
        return Ok((Vec::new(), Vec::new()));
    }
    let ids: Vec<EventId> = sources.iter().flat_map(Source::calls).map(|c| c.event).collect();
    let slots = Slots::load(run, correlation, &ids)?;
    let mut keys = Keys::default();
    // By group: what matched it.
    let mut groups: Vec<Vec<Early<'_>>> = Vec::new();
    let mut timeless = 0_u64;
    let mut keyless = 0_u64;
    // Small ones first: where every rule is needed, a group without the first is none.
    let mut order: Vec<(usize, &Source)> = sources.iter().enumerate().collect();
    order.sort_by_cached_key(|(_, source)| source.calls().count());
    for (turn, (rule, source)) in order.into_iter().enumerate() {
        let of_rule = slots.of_rule(correlation, rule);
        for call in source.calls() {
            if call.time.is_none() {
                timeless += 1;
                continue;
            }
            let found = of_rule.keys(call.event, &run.facts, &mut keys);
            keyless += u64::from(found.is_empty());
            for key in found {
                let key = key as usize;
                if groups.len() <= key {
                    groups.resize_with(key + 1, Vec::new);
                }
                let Some(group) = groups.get_mut(key) else { continue };
                if needs_all && turn > 0 && group.is_empty() {
                    continue;
                }
                let early = |value: Option<u32>| Early {
                    call,
                    rule: rule as u32,
                    value: value.and_then(NonZeroU32::new),
                };
                slots.counted(call.event, &mut run.facts, |value| group.push(early(value)));
            }
        }
    }
    let n_groups = groups.iter().filter(|group| !group.is_empty()).count();
    note_left_out(correlation, timeless, keyless, n_groups, report);
    groups.iter_mut().filter(|group| !possible(correlation, group)).for_each(Vec::clear);
    let mut calls: Vec<Call> = groups.iter().flatten().map(|early| *early.call).collect();
    calls.sort_by_key(|call| (call.time, call.place, call.event));
    calls.dedup_by_key(|call| call.event);
    let mut items = Table::default();
    calls.iter().zip(0..).for_each(|(call, item)| items.put(call.event, item));
    let texts = run.facts.texts();
    let mut named: BTreeMap<Vec<String>, Vec<Match>> = BTreeMap::new();
    for (key, group) in groups.into_iter().enumerate().filter(|(_, group)| !group.is_empty()) {
        let values = keys.values(key as u32, correlation.group_by.len());
        let key = values.into_iter().map(|number| texts.text(number).to_owned()).collect();
        let matches = group.into_iter().filter_map(|Early { call, rule, value }| {
            let Timestamp(time) = call.time?;
            let item = items.get(call.event) as usize;
            Some(Match { rule: rule as usize, time, item, value: value.map(NonZeroU32::get) })
        });
        named.entry(key).or_default().extend(matches);
    }
    let found = correlate(correlation, named, texts);
    Ok((calls, found))
}

/// Says whether any window of a group can fulfil the correlation.
fn possible(correlation: &Correlation, group: &[Early<'_>]) -> bool {
    // What a window holds is never more than what the group holds.
    let holds = |most: usize| {
        correlation.predicates.iter().all(|(op, n)| match op {
            Comparison::Greater => most as f64 > *n,
            Comparison::GreaterOrEqual | Comparison::Equal => most as f64 >= *n,
            _ => true,
        })
    };
    match correlation.kind {
        CorrelationKind::EventCount => holds(group.len()),
        CorrelationKind::ValueCount if group.len() < 1024 => {
            let values: HashSet<u32> =
                group.iter().filter_map(|early| early.value.map(NonZeroU32::get)).collect();
            holds(values.len())
        }
        _ if correlation.needs_all() => (0..correlation.rules.len())
            .all(|rule| group.iter().any(|early| early.rule as usize == rule)),
        _ => true,
    }
}

/// Says which requests could not take part.
fn note_left_out(
    correlation: &Correlation,
    timeless: u64,
    keyless: u64,
    n_groups: usize,
    report: &mut HuntReport,
) {
    let title = &correlation.meta.title;
    if timeless > 0 {
        report
            .notes
            .push(format!("{title}: {timeless} requests without a time were not correlated"));
    }
    if keyless > 0 && n_groups == 0 {
        let names: Vec<&str> = correlation.group_by.iter().map(|g| g.name.as_str()).collect();
        report.notes.push(format!(
            "{title}: none of {keyless} requests has {}, so nothing could be grouped",
            names.join(" and ")
        ));
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
