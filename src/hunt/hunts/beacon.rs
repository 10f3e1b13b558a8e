//! Requests at the pace of a clock, by identities that are not the platform's.

use crate::event::field::Field;
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
pub struct Beacon;

const INTRO: Intro = Intro {
    rule: "beacon",
    id: "b2c4d6e8-1a3b-4c5d-8e7f-9a1b2c3d4e07",
    title: "Requests like clockwork",
    level: Level::Low,
    tags: &["attack.command-and-control", "attack.t1071"],
    description: "At least 60 % of the gaps between the requests of one user at one address are \
        within 10 % of one period of ten seconds or more: a program, perhaps an implant.",
    falsepositives: &["Controllers, monitoring, leader election."],
};

const SECOND: i64 = 1_000_000;
const GAPS_MIN: usize = 5;
const CANDIDATES_MAX: usize = 500;
const EVENTS_MAX: usize = 5_000;

impl Hunt for Beacon {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let mut answer = HuntAnswer::default();
        let others = crate::query::platform::platform_identities().negated();
        let fields = [Field::path("user.username"), Field::Peer];
        let least = GAPS_MIN as u64 + 1;
        let rows = context.evidence.top(&others, context.range, &fields, None, least)?;
        if rows.len() > CANDIDATES_MAX {
            answer.notes.push(format!(
                "beacon: {} pairs of user and address, the busiest {CANDIDATES_MAX} were examined",
                rows.len()
            ));
        }
        for row in rows.into_iter().take(CANDIDATES_MAX) {
            let values: Vec<String> = row.values.into_iter().flatten().collect();
            let [user, peer] = values.as_slice() else { continue };
            let question = QueryAst::all_of(vec![
                QueryAst::path_equals("user.username", user),
                QueryAst::equals(Field::Peer, peer),
            ]);
            let options = SearchOptions {
                range: context.range,
                limit: EVENTS_MAX,
                count_all: false,
                ..SearchOptions::default()
            };
            let hits = context.evidence.search(&question, &options)?.hits;
            let times: Vec<i64> = hits.iter().filter_map(|hit| Some(hit.time?.0)).collect();
            let Some((period, share)) = period(&times) else { continue };
            let group = Group {
                key: vec![
                    ("user.username".to_owned(), user.clone()),
                    ("peer".to_owned(), peer.clone()),
                ],
                first: hits.first().and_then(|hit| hit.time),
                last: hits.last().and_then(|hit| hit.time),
                measured: format!("every {} s, {share} % of the gaps", period / SECOND),
                ..Group::default()
            };
            answer.groups.push((group, hits));
        }
        Ok(answer)
    }
}

/// The period in microseconds and the share of gaps near it in percent, where there is one.
fn period(times: &[i64]) -> Option<(i64, usize)> {
    // Requests of one moment are one beat.
    let mut gaps: Vec<i64> = times
        .windows(2)
        .filter_map(|pair| Some(pair.get(1)? - pair.first()?))
        .filter(|gap| *gap >= SECOND)
        .collect();
    if gaps.len() < GAPS_MIN {
        return None;
    }
    gaps.sort_unstable();
    let median = gaps.get(gaps.len() / 2).copied()?;
    let near = gaps.iter().filter(|gap| (**gap - median).abs() * 10 <= median).count();
    let share = near * 100 / gaps.len();
    (median >= 10 * SECOND && share >= 60).then_some((median, share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_from_a_person() {
        let clock: Vec<i64> = (0..12).map(|n| n * 300 * SECOND + (n % 3) * SECOND).collect();
        assert_eq!(period(&clock).map(|(_, share)| share), Some(100));
        let person: Vec<i64> = (0..12).map(|n| n * n * 17 * SECOND).collect();
        assert_eq!(period(&person), None);
        assert_eq!(period(&clock[..5]), None);
    }
}
