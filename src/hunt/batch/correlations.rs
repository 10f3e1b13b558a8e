//! From the matches of rules to the instances of correlations.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::rc::Rc;

use crate::event::field::CREDENTIAL_ID;
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
use crate::hunt::requests::Fact;
use crate::hunt::requests::Facts;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::sigma::rule::Correlation;
use crate::sigma::rule::CorrelationKind;
use crate::sigma::rule::Window;

/// Groups a match may belong to at most: several values in several fields multiply.
const MAX_KEYS: usize = 64;
/// Events whose further fields are asked for at once.
const CHUNK: usize = 8192;

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
            report_instances(run, chosen, found, report);
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
    run: &Run<'_>,
    correlation: &Correlation,
    sources: &[Vec<Call>],
    report: &mut HuntReport,
) -> Result<(Vec<Call>, Vec<Instance>), SearchError> {
    let mut calls: Vec<Call> = sources.iter().flatten().copied().collect();
    calls.sort_by_key(|call| (call.time, call.place, call.event));
    calls.dedup_by_key(|call| call.event);
    let positions: HashMap<EventId, usize> =
        calls.iter().enumerate().map(|(at, call)| (call.event, at)).collect();
    let values = Values::load(run.evidence, correlation, &calls)?;
    let mut groups: BTreeMap<Vec<String>, Vec<Match>> = BTreeMap::new();
    let mut timeless = 0_u64;
    let mut keyless = 0_u64;
    for (rule, source) in sources.iter().enumerate() {
        let reference = correlation.rules.get(rule).map_or("", String::as_str);
        for call in source {
            let Some(Timestamp(time)) = call.time else {
                timeless += 1;
                continue;
            };
            let Some(item) = positions.get(&call.event).copied() else { continue };
            let keys = keys_of(correlation, reference, call.event, &run.facts, &values);
            keyless += u64::from(keys.is_empty());
            for key in keys {
                let matches = groups.entry(key).or_default();
                for value in counted(correlation, call.event, &run.facts, &values) {
                    matches.push(Match { rule, time, item, value });
                }
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
    let found = correlate(correlation, groups);
    Ok((calls, found))
}

/// Every combination of the values of the group-by fields; none where one has no value.
fn keys_of(
    correlation: &Correlation,
    reference: &str,
    event: EventId,
    facts: &Facts,
    values: &Values,
) -> Vec<Vec<String>> {
    let mut keys: Vec<Vec<String>> = vec![Vec::new()];
    for group_by in &correlation.group_by {
        let fields = group_by.fields.get(reference).or_else(|| group_by.fields.get("*"));
        let mut found: Vec<String> = fields
            .into_iter()
            .flatten()
            .flat_map(|field| values.of(event, field, facts))
            .filter(|value| !value.is_empty())
            .collect();
        found.sort_unstable();
        found.dedup();
        keys = keys
            .iter()
            .flat_map(|key| {
                found.iter().map(move |value| {
                    let mut key = key.clone();
                    key.push(value.clone());
                    key
                })
            })
            .take(MAX_KEYS)
            .collect();
    }
    keys
}

/// What a match adds to the count: nothing but itself, or each value of the counted field.
fn counted(
    correlation: &Correlation,
    event: EventId,
    facts: &Facts,
    values: &Values,
) -> Vec<Option<String>> {
    match correlation.value_fields.as_slice() {
        [] => vec![None],
        [field] => {
            let found = values.of(event, field, facts);
            if found.is_empty() { vec![None] } else { found.into_iter().map(Some).collect() }
        }
        many => {
            let parts: Vec<String> = many
                .iter()
                .map(|field| values.of(event, field, facts).into_iter().next().unwrap_or_default())
                .collect();
            vec![Some(parts.join(" / "))]
        }
    }
}

/// Values of fields that are not among the facts.
#[derive(Default)]
struct Values {
    rows: HashMap<(EventId, Field), Vec<String>>,
}

impl Values {
    fn load(
        evidence: &dyn Evidence,
        correlation: &Correlation,
        calls: &[Call],
    ) -> Result<Values, SearchError> {
        let mut fields: Vec<Field> = correlation
            .group_by
            .iter()
            .flat_map(|group_by| group_by.fields.values().flatten())
            .chain(&correlation.value_fields)
            .filter(|field| fact_of(field).is_none())
            .cloned()
            .collect();
        fields.sort();
        fields.dedup();
        let mut values = Values::default();
        if fields.is_empty() {
            return Ok(values);
        }
        let ids: Vec<EventId> = calls.iter().map(|call| call.event).collect();
        for chunk in ids.chunks(CHUNK) {
            for (id, row) in chunk.iter().zip(evidence.rows(chunk, &fields)?) {
                for (field, found) in fields.iter().zip(row) {
                    values.rows.insert((*id, field.clone()), found);
                }
            }
        }
        Ok(values)
    }

    fn of(&self, event: EventId, field: &Field, facts: &Facts) -> Vec<String> {
        match fact_of(field) {
            Some(Fact::Addresses) => {
                let joined = facts.text(event, Fact::Addresses);
                joined.split(',').filter(|ip| !ip.is_empty()).map(str::to_owned).collect()
            }
            Some(fact) => {
                let text = facts.text(event, fact);
                if text.is_empty() { Vec::new() } else { vec![text.to_owned()] }
            }
            None => self.rows.get(&(event, field.clone())).cloned().unwrap_or_default(),
        }
    }
}

fn fact_of(field: &Field) -> Option<Fact> {
    Some(match field {
        Field::Peer => Fact::Peer,
        Field::Namespace => Fact::Namespace,
        Field::Name => Fact::Name,
        Field::Path(path) => match path.as_str() {
            "user.username" => Fact::User,
            "impersonatedUser.username" => Fact::As,
            "sourceIPs" => Fact::Addresses,
            "userAgent" => Fact::Agent,
            "objectRef.resource" => Fact::Resource,
            "objectRef.subresource" => Fact::Sub,
            "responseStatus.code" => Fact::Code,
            "verb" => Fact::Verb,
            CREDENTIAL_ID => Fact::Credential,
            "requestURI" => Fact::Uri,
            _ => return None,
        },
        _ => return None,
    })
}

fn report_instances(
    run: &Run<'_>,
    chosen: &ChosenCorrelation<'_>,
    found: Vec<(Instance, Vec<Call>)>,
    report: &mut HuntReport,
) {
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
        report.findings.push(group_finding(run, &chosen.card, groups, suppressed));
    }
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
