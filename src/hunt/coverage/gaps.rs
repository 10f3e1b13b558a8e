//! Times in which the steady heartbeat of a living control plane is missing from a server's log.

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::coverage::cells::number;
use crate::hunt::coverage::cells::table;
use crate::hunt::coverage::cells::value;
use crate::query::ast::Bound;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::evidence::FacetRow;

const SECOND: i64 = 1_000_000;
/// No interval without heartbeats below this is a gap: leader leases are renewed every few seconds,
/// node leases every ten, and a server that restarts takes less than a minute to be back.
const GAP_MIN: i64 = 60 * SECOND;
/// An interval this many times the usual one is a gap.  The usual one is that which nineteen of
/// twenty stay below, so that neither beats at random nor beats in step make gaps by themselves.
const GAP_FACTOR: i64 = 4;
/// Intervals into which the time of a server is cut at most when beats are looked for.
const BUCKETS_MAX: i64 = 100_000;
/// Gaps told per server; the rest is counted.
const TOLD_MAX: usize = 100;

/// One server of the evidence and its heartbeats.
struct Server {
    name: String,
    cluster: Option<String>,
    log: Option<String>,
    first: i64,
    last: i64,
    own: QueryAst,
    /// Starts of the intervals with beats, ascending.
    beats: Vec<i64>,
    bucket: i64,
    /// Longer than this without a beat is a gap.
    longest: i64,
}

/// Requests that a living control plane never stops making: leases, and the status of nodes.
pub fn heartbeat() -> QueryAst {
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

/// Returns the gaps, and one sentence per server about which nothing can be said.
///
/// # Errors
/// As [`Evidence::search`].
pub fn gap_table(
    evidence: &dyn Evidence,
    servers: &[FacetRow],
) -> Result<(Section, Vec<String>), SearchError> {
    let mut notes = Vec::new();
    let mut known: Vec<Server> = Vec::new();
    for row in servers {
        let Some(server) = server(evidence, row)? else { continue };
        if server.beats.len() > 1 {
            known.push(server);
        } else if server.last - server.first > 2 * GAP_MIN {
            notes.push(format!(
                "{}: no renewal of leases or node status is recorded, so an idle server cannot be \
                 told from a missing log",
                server.name
            ));
        }
    }
    let mut rows = Vec::new();
    for (at, server) in known.iter().enumerate() {
        let own = gaps_of(server, &known);
        if own.len() > TOLD_MAX {
            notes.push(format!(
                "{}: {} more gaps are not listed",
                server.name,
                own.len() - TOLD_MAX
            ));
        }
        for gap in own.into_iter().take(TOLD_MAX) {
            rows.push(row(evidence, &known, at, gap)?);
        }
    }
    let columns =
        ["server", "from", "to", "seconds", "events", "ended_later", "usual_seconds", "what"];
    Ok((table("gaps", &columns, rows), notes))
}

fn server(evidence: &dyn Evidence, row: &FacetRow) -> Result<Option<Server>, SearchError> {
    let (Some(first), Some(last)) = (row.first, row.last) else { return Ok(None) };
    let name = ["cluster", "node", "log"]
        .iter()
        .zip(&row.values)
        .filter_map(|(what, value)| value.as_ref().map(|value| format!("{what} {value}")))
        .collect::<Vec<_>>()
        .join(", ");
    let own = QueryAst::all_of(
        [Field::Cluster, Field::Node, Field::Log]
            .into_iter()
            .zip(&row.values)
            .map(|(field, value)| match value {
                Some(value) => QueryAst::equals(field, value),
                None => QueryAst::present(field).negated(),
            })
            .collect(),
    );
    let span = last.0.saturating_sub(first.0);
    let bucket = (span / BUCKETS_MAX).div_euclid(SECOND).saturating_add(1) * SECOND;
    let question = QueryAst::all_of(vec![own.clone(), heartbeat()]);
    let beats: Vec<i64> = evidence
        .histogram(&question, TimeRange::ALL, bucket)?
        .into_iter()
        .map(|(start, _)| start.0)
        .collect();
    Ok(Some(Server {
        name: if name.is_empty() { "all events".to_owned() } else { name },
        cluster: value(row, 0),
        log: value(row, 2),
        first: first.0.div_euclid(bucket) * bucket,
        last: last.0,
        own,
        longest: longest(&beats, bucket),
        beats,
        bucket,
    }))
}

/// Returns how long a server is usually silent at most.
fn longest(beats: &[i64], bucket: i64) -> i64 {
    (usual(beats, bucket).saturating_mul(GAP_FACTOR)).max(GAP_MIN).max(2 * bucket)
}

fn usual(beats: &[i64], bucket: i64) -> i64 {
    let mut intervals: Vec<i64> =
        beats.iter().zip(beats.iter().skip(1)).map(|(a, b)| b - a).collect();
    intervals.sort_unstable();
    intervals.get(intervals.len() * 19 / 20).copied().unwrap_or(bucket)
}

/// Returns the half-open times without beats, with those at the ends that only the others show.
fn gaps_of(server: &Server, all: &[Server]) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    // Of the same log on other nodes the same time is expected.
    let peers = || all.iter().filter(|o| o.cluster == server.cluster && o.log == server.log);
    let start = peers().map(|peer| peer.first).min().unwrap_or(server.first);
    let end = peers().map(|peer| peer.last).max().unwrap_or(server.last);
    let mut due = start;
    for beat in server.beats.iter().copied().chain([end]) {
        if beat.saturating_sub(due) > server.longest {
            gaps.push((due, beat));
        }
        due = due.max(beat);
    }
    gaps
}

fn row(
    evidence: &dyn Evidence,
    all: &[Server],
    at: usize,
    (from, to): (i64, i64),
) -> Result<Vec<Cell>, SearchError> {
    let Some(server) = all.get(at) else { return Ok(Vec::new()) };
    // The events of the beats at both ends lie in their own intervals.
    let inner =
        if server.beats.contains(&from) { from.saturating_add(server.bucket) } else { from };
    let range = TimeRange { since: Some(Timestamp(inner)), until: Some(Timestamp(to)) };
    let count = |question: &QueryAst| -> Result<u64, SearchError> {
        let minutes = evidence.histogram(question, range, server.bucket)?;
        Ok(minutes.iter().map(|(_, count)| count).sum())
    };
    let events = count(&server.own)?;
    // A watch is written when it ends: what was received in the gap may be recorded behind it.
    let written_later = QueryAst::Field {
        field: Field::path("stageTimestamp"),
        test: Test::Range { low: Bound::Included(Timestamp(to).to_rfc3339()), high: Bound::Open },
    };
    let later = count(&QueryAst::all_of(vec![server.own.clone(), written_later]))?;
    let events_then = events.saturating_sub(later);
    let going_on: Vec<&str> = all
        .iter()
        .enumerate()
        .filter(|(number, other)| *number != at && other.cluster == server.cluster)
        .filter(|(_, other)| beats_in(other, inner, to))
        .map(|(_, other)| other.name.as_str())
        .collect();
    let what = match (events_then, going_on.is_empty()) {
        (0, false) if to <= server.first.saturating_add(server.bucket) => format!(
            "the log begins later than that of {}: rotated away, or never collected",
            going_on.join("; ")
        ),
        (0, false) if from.saturating_add(server.longest) >= server.last => {
            format!("the log ends earlier than that of {}", going_on.join("; "))
        }
        (0, false) => format!(
            "nothing recorded while {} went on: this log is missing, or the server was down",
            going_on.join("; ")
        ),
        (0, true) if events > 0 && !server.beats.contains(&from) => {
            "the log begins at the end of this time: before it only requests are known that were \
             still going on then"
                .to_owned()
        }
        (0, true) => "nothing recorded, by no server of the cluster: all logs are missing, or the \
                      control plane was down (an idle one still has heartbeats)"
            .to_owned(),
        (_, false) => format!(
            "no heartbeats among other events while {} went on: a part of this log is missing",
            going_on.join("; ")
        ),
        (_, true) => {
            "no heartbeats among other events: a part of the log is missing or was filtered"
                .to_owned()
        }
    };
    Ok(vec![
        Cell::from(server.name.as_str()),
        Cell::from(Timestamp(from)),
        Cell::from(Timestamp(to)),
        Cell::Number(to.saturating_sub(from) / SECOND),
        number(events),
        number(later),
        Cell::Number(usual(&server.beats, server.bucket) / SECOND),
        Cell::from(what),
    ])
}

fn beats_in(server: &Server, from: i64, to: i64) -> bool {
    let next = server.beats.partition_point(|beat| *beat < from);
    server.beats.get(next).is_some_and(|beat| *beat < to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_decides_what_is_a_gap() {
        let every_ten: Vec<i64> = (0..100).map(|n| n * 10 * SECOND).collect();
        assert_eq!(longest(&every_ten, SECOND), GAP_MIN);
        let every_five_minutes: Vec<i64> = (0..100).map(|n| n * 300 * SECOND).collect();
        assert_eq!(longest(&every_five_minutes, SECOND), 1200 * SECOND);
    }
}
