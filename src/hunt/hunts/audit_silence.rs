//! Logging was changed, and then a server fell silent.

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::finding::Group;
use crate::hunt::hunts::Hunt;
use crate::hunt::hunts::HuntAnswer;
use crate::hunt::hunts::HuntContext;
use crate::hunt::hunts::Intro;
use crate::hunt::hunts::any_equals;
use crate::query::ast::QueryAst;
use crate::search::evidence::Hit;
use crate::search::evidence::SearchOptions;
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct AuditSilence;

const INTRO: Intro = Intro {
    rule: "audit-silence",
    id: "c5e1a0d2-0f53-4c6e-8d7b-9a0b1c2d3e05",
    title: "Logging changed, then silence",
    level: Level::Critical,
    tags: &["attack.defense-impairment", "attack.t1685.002"],
    description: "The audit profile, a log forwarder or its collector was changed, and within an \
        hour a server of which events were kept before wrote nothing for far longer than usual.",
    falsepositives: &["Upgrades that roll the API servers.", "The end of the collection."],
};

const MINUTE: i64 = 60_000_000;
/// The silence begins within this time of the change.
const AFTER: i64 = 60 * MINUTE;
/// A silence is longer than this many usual gaps, and than [`SHORTEST`].
const FACTOR: i64 = 10;
const SHORTEST: i64 = 15 * MINUTE;

impl Hunt for AuditSilence {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let mut answer = HuntAnswer::default();
        let options = SearchOptions { range: context.range, ..SearchOptions::default() };
        let changes = context.evidence.search(&changes(), &options)?.hits;
        if changes.is_empty() {
            return Ok(answer);
        }
        // A server is a node where the evidence names nodes, else a source.
        let nodes = context.evidence.top(
            &QueryAst::All,
            TimeRange::ALL,
            &[Field::Node, Field::Log],
            None,
            0,
        )?;
        for server in nodes {
            let mut parts = Vec::new();
            let mut names = Vec::new();
            for (field, value) in [Field::Node, Field::Log].into_iter().zip(server.values) {
                if let Some(value) = value {
                    parts.push(QueryAst::equals(field, &value));
                    names.push(value);
                }
            }
            let question = QueryAst::all_of(parts);
            let minutes = context.evidence.histogram(&question, TimeRange::ALL, MINUTE)?;
            let times: Vec<i64> = minutes.iter().map(|(Timestamp(at), _)| *at).collect();
            let end = context.evidence.newest();
            for change in &changes {
                if let Some((from, to)) = silence(&times, end, change) {
                    answer.groups.push((group(&names.join(" "), from, to), vec![*change]));
                }
            }
        }
        Ok(answer)
    }
}

/// Writes to what decides which events are kept and where they go.
fn changes() -> QueryAst {
    let what = any_equals(
        "objectRef.resource",
        &["apiservers", "kubeapiservers", "clusterlogforwarders", "clusterloggings", "lokistacks"],
    );
    let verb = any_equals("verb", &["create", "update", "patch", "delete", "deletecollection"]);
    let platform = crate::query::platform::platform_identities();
    QueryAst::all_of(vec![
        what,
        verb,
        QueryAst::present(Field::path("objectRef.subresource")).negated(),
        platform.negated(),
    ])
}

/// The first silence of a server that begins within an hour of the change.
fn silence(minutes: &[i64], end: Option<Timestamp>, change: &Hit) -> Option<(i64, i64)> {
    let Timestamp(at) = change.time?;
    let mut gaps: Vec<i64> =
        minutes.windows(2).filter_map(|w| Some(w.get(1)? - w.first()?)).collect();
    gaps.sort_unstable();
    let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(MINUTE);
    let limit = (usual * FACTOR).max(SHORTEST);
    let last = end.map(|Timestamp(end)| end);
    let next = minutes.iter().skip(1).copied().map(Some).chain([last]);
    minutes.iter().zip(next).filter_map(|(from, to)| Some((*from, to?))).find(|(from, to)| {
        *from >= at - MINUTE && *from <= at.saturating_add(AFTER) && to - from > limit
    })
}

fn group(server: &str, from: i64, to: i64) -> Group {
    Group {
        key: vec![("server".to_owned(), server.to_owned())],
        first: Some(Timestamp(from)),
        last: Some(Timestamp(to)),
        measured: format!("silent for {} minutes", (to - from) / MINUTE),
        why: format!("no event from {} to {}", Timestamp(from), Timestamp(to)),
        ..Group::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::place::Place;
    use crate::event::place::SourceId;
    use crate::search::evidence::EventId;

    #[test]
    fn only_a_silence_after_the_change_counts() {
        let hit = |minute: i64| Hit {
            id: EventId(0),
            time: Some(Timestamp(minute * MINUTE)),
            place: Place { source: SourceId(0), offset: 0, line: 1, item: 0 },
        };
        let busy: Vec<i64> = (0..30).chain(90..120).map(|m| m * MINUTE).collect();
        let end = Some(Timestamp(119 * MINUTE));
        assert_eq!(silence(&busy, end, &hit(25)), Some((29 * MINUTE, 90 * MINUTE)));
        assert_eq!(silence(&busy, end, &hit(95)), None);
        // A server that never speaks again, while others do.
        assert!(silence(&busy, Some(Timestamp(400 * MINUTE)), &hit(110)).is_some());
    }
}
