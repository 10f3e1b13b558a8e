//! What the evidence can and cannot show: which times, which servers, which depth, which gaps.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::evidence::FacetRow;

/// Length of the intervals in which a heartbeat is looked for: leader leases are renewed every few
/// seconds and node leases every ten, so a minute without any is no accident.
const BEAT: i64 = 60_000_000;
/// An interval without heartbeats is a gap from this many on.
const GAP_BEATS: i64 = 2;
/// Resources of one row of the level table that are named; the rest is counted.
const RESOURCES_NAMED: usize = 12;

/// Returns tables of servers, levels, stages and gaps.
///
/// # Errors
/// As [`Evidence::search`].
pub fn coverage(evidence: &dyn Evidence) -> Result<Answer, SearchError> {
    let all = |fields: &[Field]| evidence.top(&QueryAst::All, TimeRange::ALL, fields, None, 1);
    let servers = all(&[Field::Cluster, Field::Node, Field::Log])?;
    let mut answer = Answer { name: "coverage".into(), ..Answer::default() };
    answer.sections.push(server_table(&servers));
    answer.sections.push(level_table(&all(&[
        Field::Level,
        Field::path("verb"),
        Field::path("objectRef.resource"),
    ])?));
    answer.sections.push(stage_table(&all(&[Field::path("stage")])?));
    let (gaps, notes) = gap_table(evidence, &servers)?;
    answer.sections.push(gaps);
    answer.notes = notes;
    Ok(answer)
}

fn table(title: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> Section {
    Section {
        title: title.into(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.into_iter().map(|cells| AnswerRow { cells, events: Vec::new() }).collect(),
        notes: Vec::new(),
    }
}

fn number(value: u64) -> Cell {
    Cell::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

fn value(row: &FacetRow, at: usize) -> Option<String> {
    row.values.get(at).cloned().flatten()
}

fn server_table(servers: &[FacetRow]) -> Section {
    let rows = servers
        .iter()
        .map(|row| {
            vec![
                Cell::from(value(row, 0)),
                Cell::from(value(row, 1)),
                Cell::from(value(row, 2)),
                number(row.count),
                Cell::from(row.first),
                Cell::from(row.last),
            ]
        })
        .collect();
    table("servers", &["cluster", "node", "log", "events", "first", "last"], rows)
}

/// The audit profile as it shows: which verbs on which resources were recorded how deeply.
fn level_table(levels: &[FacetRow]) -> Section {
    let mut profile: BTreeMap<(String, String), (u64, BTreeSet<String>)> = BTreeMap::new();
    for row in levels {
        let level = value(row, 0).unwrap_or_else(|| "unknown".into());
        let verb = value(row, 1).unwrap_or_default();
        let entry = profile.entry((level, verb)).or_default();
        entry.0 += row.count;
        entry.1.extend(value(row, 2));
    }
    let rows = profile
        .into_iter()
        .map(|((level, verb), (count, resources))| {
            let more = resources.len().saturating_sub(RESOURCES_NAMED);
            let mut named: Vec<String> = resources.into_iter().take(RESOURCES_NAMED).collect();
            if more > 0 {
                named.push(format!("and {more} more"));
            }
            vec![Cell::from(level), Cell::from(verb), number(count), Cell::List(named)]
        })
        .collect();
    table("levels", &["level", "verb", "events", "resources"], rows)
}

fn stage_table(stages: &[FacetRow]) -> Section {
    let rows =
        stages.iter().map(|row| vec![Cell::from(value(row, 0)), number(row.count)]).collect();
    table("stages", &["stage", "events"], rows)
}

/// Requests that a living control plane never stops making: leases, and the status of nodes.
fn heartbeat() -> QueryAst {
    let writes = ["update", "patch"].map(|verb| QueryAst::path_equals("verb", verb)).to_vec();
    QueryAst::all_of(vec![
        QueryAst::any_of(writes),
        QueryAst::any_of(vec![
            QueryAst::path_equals("objectRef.resource", "leases"),
            QueryAst::all_of(vec![
                QueryAst::path_equals("objectRef.resource", "nodes"),
                QueryAst::path_equals("objectRef.subresource", "status"),
            ]),
        ]),
    ])
}

fn gap_table(
    evidence: &dyn Evidence,
    servers: &[FacetRow],
) -> Result<(Section, Vec<String>), SearchError> {
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    for server in servers {
        let (Some(first), Some(last)) = (server.first, server.last) else { continue };
        let name = ["cluster", "node", "log"]
            .iter()
            .zip(&server.values)
            .filter_map(|(what, value)| value.as_ref().map(|value| format!("{what} {value}")))
            .collect::<Vec<_>>()
            .join(", ");
        let name = if name.is_empty() { "all events".to_owned() } else { name };
        let own = QueryAst::all_of(
            [Field::Cluster, Field::Node, Field::Log]
                .into_iter()
                .zip(&server.values)
                .map(|(field, value)| match value {
                    Some(value) => QueryAst::equals(field, value),
                    None => QueryAst::present(field).negated(),
                })
                .collect(),
        );
        let beats = QueryAst::all_of(vec![own.clone(), heartbeat()]);
        let beats = evidence.histogram(&beats, TimeRange::ALL, BEAT)?;
        let minutes: Vec<i64> = beats.iter().map(|(time, _)| time.0.div_euclid(BEAT)).collect();
        if minutes.is_empty() {
            if last.0 - first.0 > BEAT * GAP_BEATS {
                notes.push(format!(
                    "{name}: no renewal of leases or node status is recorded, so an idle server \
                     cannot be told from a missing log"
                ));
            }
            continue;
        }
        for (from, to) in gaps(&minutes, first.0.div_euclid(BEAT), last.0.div_euclid(BEAT)) {
            let range = TimeRange {
                since: Some(Timestamp(from * BEAT)),
                until: Some(Timestamp(to * BEAT)),
            };
            let n_events: u64 =
                evidence.histogram(&own, range, BEAT)?.iter().map(|(_, count)| count).sum();
            let what = if n_events == 0 {
                "nothing recorded: the log is missing, or the server was down"
            } else {
                "no heartbeats among other events"
            };
            rows.push(vec![
                Cell::from(name.as_str()),
                Cell::from(range.since),
                Cell::from(range.until),
                Cell::Number((to - from) * BEAT / 1_000_000),
                number(n_events),
                Cell::from(what),
            ]);
        }
    }
    let columns = ["server", "from", "to", "seconds", "events", "what"];
    Ok((table("gaps", &columns, rows), notes))
}

/// Returns the half-open runs of minutes between `first` and `last` in which no beat falls.
fn gaps(beats: &[i64], first: i64, last: i64) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    let mut due = first;
    for beat in beats.iter().copied().chain([last + 1]) {
        if beat - due >= GAP_BEATS {
            gaps.push((due, beat));
        }
        due = due.max(beat + 1);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::scan::MemoryEvidence;

    #[test]
    fn gaps_are_runs_without_beats() {
        assert_eq!(gaps(&[10, 11, 15, 16], 10, 16), [(12, 15)]);
        assert_eq!(gaps(&[12], 10, 15), [(10, 12), (13, 16)]);
        assert_eq!(gaps(&[10, 12, 14], 10, 14), []);
    }

    fn event(minute: u32, resource: &str, verb: &str, level: &str) -> String {
        format!(
            r#"{{"kind":"Event","level":"{level}","stage":"ResponseComplete","verb":"{verb}","objectRef":{{"resource":"{resource}"}},"requestReceivedTimestamp":"2025-07-02T10:{minute:02}:07Z"}}"#
        )
    }

    #[test]
    fn an_idle_hour_is_told_from_a_missing_one() {
        let mut log: Vec<String> = (0..60)
            .filter(|minute| !(20..30).contains(minute))
            .map(|minute| event(minute, "leases", "update", "Metadata"))
            .collect();
        log.push(event(45, "pods", "create", "Request"));
        let evidence = MemoryEvidence::from_lines("a", &log.join("\n"));
        let answer = coverage(&evidence).unwrap();
        let gaps = answer.sections.iter().find(|section| section.title == "gaps").unwrap();
        assert_eq!(gaps.rows.len(), 1);
        assert_eq!(gaps.rows[0].cells[3], Cell::Number(600));
        let levels = answer.sections.iter().find(|section| section.title == "levels").unwrap();
        assert_eq!(levels.rows.len(), 2);
        assert!(answer.notes.is_empty());
    }

    #[test]
    fn without_heartbeats_nothing_is_claimed() {
        let log = [event(0, "pods", "get", "Metadata"), event(50, "pods", "get", "Metadata")];
        let evidence = MemoryEvidence::from_lines("a", &log.join("\n"));
        let answer = coverage(&evidence).unwrap();
        let gaps = answer.sections.iter().find(|section| section.title == "gaps").unwrap();
        assert!(gaps.rows.is_empty());
        assert!(answer.notes[0].contains("cannot be told"), "{:?}", answer.notes);
    }
}
