//! Users, agents and addresses never seen before the range asked about.

use std::collections::BTreeSet;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::finding::Group;
use crate::hunt::hunts::Hunt;
use crate::hunt::hunts::HuntAnswer;
use crate::hunt::hunts::HuntContext;
use crate::hunt::hunts::Intro;
use crate::query::ast::QueryAst;
use crate::search::evidence::SearchOptions;
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct FirstSeen;

const INTRO: Intro = Intro {
    rule: "first-seen",
    id: "e7d3b6a1-5c2f-4b8a-9e1d-0f2a3b4c5d06",
    title: "Never seen before",
    level: Level::Low,
    tags: &["attack.initial-access", "attack.t1078"],
    description: "A user, an agent or an address that no event before --since names. What is \
        older than --since is what this learns from.",
    falsepositives: &["New workloads and new versions of clients."],
};

/// Events shown per new value.
const SHOWN: usize = 5;
/// New values per field; a range that is all new says nothing.
const VALUES_MAX: usize = 200;

impl Hunt for FirstSeen {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let mut answer = HuntAnswer::default();
        let Some(since) = context.range.since else {
            answer.undecidable =
                Some("needs a baseline: with --since it learns from what is older".to_owned());
            return Ok(answer);
        };
        let before = TimeRange { since: None, until: Some(since) };
        for field in [Field::path("user.username"), Field::path("userAgent"), Field::Peer] {
            let values = |range: TimeRange| {
                context.evidence.top(&QueryAst::All, range, std::slice::from_ref(&field), None, 0)
            };
            let known: BTreeSet<Option<String>> = values(before)?
                .into_iter()
                .filter_map(|row| row.values.into_iter().next())
                .collect();
            if known.is_empty() {
                answer.undecidable = Some("no event is older than --since".to_owned());
                return Ok(answer);
            }
            let mut new: Vec<(String, u64)> = values(context.range)?
                .into_iter()
                .filter_map(|row| Some((row.values.into_iter().next()??, row.count)))
                .filter(|(value, _)| !known.contains(&Some(value.clone())))
                .collect();
            if new.len() > VALUES_MAX {
                answer.notes.push(format!(
                    "first-seen: {} new values of {}, the most frequent {VALUES_MAX} are listed",
                    new.len(),
                    field.name()
                ));
                new.truncate(VALUES_MAX);
            }
            for (value, count) in new {
                let options = SearchOptions {
                    range: context.range,
                    limit: SHOWN,
                    ..SearchOptions::default()
                };
                let question = QueryAst::equals(field.clone(), &value);
                let hits = context.evidence.search(&question, &options)?.hits;
                let group = Group {
                    key: vec![(field.name(), value)],
                    first: hits.first().and_then(|hit| hit.time),
                    last: hits.last().and_then(|hit| hit.time),
                    measured: format!("{count} events, none before"),
                    ..Group::default()
                };
                answer.groups.push((group, hits));
            }
        }
        Ok(answer)
    }
}
