//! Whether the clocks of the nodes agree, by requests whose true order is known.
//!
//! An update names the version of the object it was made from, so of two updates of one object the
//! one with the lower version was done when the other began.  Every object that is created takes
//! the next version of the whole store, so a create with a lower version was received before one
//! with a higher version was done.  A request that kube-apiserver passed on reached the aggregated
//! server later, under the same auditID.  Where the times say the reverse the clocks differ, by at
//! least that much.
//!
//! `creationTimestamp` says nothing more: it is the clock of the server that logged the create.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::words::fold;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::coverage::cells::number;
use crate::hunt::coverage::cells::table;
use crate::hunt::coverage::cells::value;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::evidence::FacetRow;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::SortOrder;

/// The newest updates that are looked at.
const UPDATES_MAX: usize = 50_000;
/// The newest requests to aggregated servers that are looked for in the front server's log.
const TWINS_MAX: usize = 2_000;
/// The servers behind kube-apiserver.
const AGGREGATED: [&str; 2] = ["openshift-apiserver", "oauth-apiserver"];

/// Two nodes of one cluster, by name.
type Pair = (Option<String>, String, String);

/// What is known of the clock of the second node of a pair, against that of the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bounds {
    comparisons: u64,
    /// It is ahead by at least so much, microseconds.
    low: Option<i64>,
    /// It is ahead by at most so much.
    high: Option<i64>,
}

/// Bounds of all pairs.
#[derive(Debug, Default)]
struct Clocks(BTreeMap<Pair, Bounds>);

impl Clocks {
    /// Notes that something at `before` on one node truly came before something at `after` on
    /// another.
    fn note(&mut self, cluster: &Option<String>, before: (&str, i64), after: (&str, i64)) {
        if before.0 == after.0 || before.0.is_empty() || after.0.is_empty() {
            return;
        }
        let apart = after.1.saturating_sub(before.1);
        let in_order = before.0 < after.0;
        let (a, b) = if in_order { (before.0, after.0) } else { (after.0, before.0) };
        let bounds = self.0.entry((cluster.clone(), a.to_owned(), b.to_owned())).or_default();
        bounds.comparisons += 1;
        if in_order {
            bounds.high = Some(bounds.high.map_or(apart, |high| high.min(apart)));
        } else {
            let low = apart.saturating_neg();
            bounds.low = Some(bounds.low.map_or(low, |known| known.max(low)));
        }
    }
}

/// Returns what is known of the clocks of each two nodes, and what limits that.
///
/// # Errors
/// As [`Evidence::search`].
pub fn skew_table(
    evidence: &dyn Evidence,
    servers: &[FacetRow],
) -> Result<(Section, Vec<String>), SearchError> {
    let mut clocks = Clocks::default();
    let mut notes = Vec::new();
    let mut nodes: Vec<String> = servers.iter().filter_map(|row| value(row, 1)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    if nodes.len() > 1 {
        if by_updates(evidence, &mut clocks)? {
            notes.push(format!("clock skew: only the newest {UPDATES_MAX} updates were compared"));
        }
        if by_creates(evidence, &mut clocks)? {
            notes.push(format!("clock skew: only the newest {UPDATES_MAX} creates were compared"));
        }
        by_twins(evidence, &mut clocks)?;
    }
    let columns = [
        "cluster",
        "node",
        "other_node",
        "comparisons",
        "other_ahead_at_least_ms",
        "other_ahead_at_most_ms",
        "what",
    ];
    let rows = clocks.0.iter().map(|(pair, bounds)| row(pair, *bounds)).collect();
    Ok((table("clock skew", &columns, rows), notes))
}

fn row((cluster, node, other): &Pair, bounds: Bounds) -> Vec<Cell> {
    let ms = |micros: i64| micros / 1000;
    let what = match (bounds.low, bounds.high) {
        (Some(low), Some(high)) if low > high => {
            "the clocks moved against each other within this time".to_owned()
        }
        (Some(low), _) if low > 0 => {
            format!("the clock of {other} is ahead of that of {node} by at least {} ms", ms(low))
        }
        (_, Some(high)) if high < 0 => {
            format!("the clock of {other} is behind that of {node} by at least {} ms", ms(-high))
        }
        _ => "no skew shows".to_owned(),
    };
    vec![
        Cell::from(cluster.clone()),
        Cell::from(node.as_str()),
        Cell::from(other.as_str()),
        number(bounds.comparisons),
        Cell::from(bounds.low.map(ms)),
        Cell::from(bounds.high.map(ms)),
        Cell::from(what),
    ]
}

/// Compares updates of one object; says whether there were more than were looked at.
fn by_updates(evidence: &dyn Evidence, clocks: &mut Clocks) -> Result<bool, SearchError> {
    const VERSION: &str = "objectRef.resourceVersion";
    let question = QueryAst::all_of(vec![
        QueryAst::path_equals("verb", "update"),
        QueryAst::path_equals("responseStatus.code", "200"),
        QueryAst::path_equals("stage", "ResponseComplete"),
        QueryAst::present(Field::path(VERSION)),
        QueryAst::present(Field::Node),
    ]);
    let options = SearchOptions {
        range: TimeRange::ALL,
        order: SortOrder::Newest,
        limit: UPDATES_MAX,
        count_all: false,
    };
    let hits = evidence.search(&question, &options)?.hits;
    let ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
    let fields = [
        Field::Cluster,
        Field::path("objectRef.apiGroup"),
        Field::path("objectRef.resource"),
        Field::path("objectRef.namespace"),
        Field::path("objectRef.name"),
        Field::Node,
        Field::path(VERSION),
    ];
    let mut objects: HashMap<Vec<String>, Vec<(u64, i64, String)>> = HashMap::new();
    for (hit, mut row) in hits.iter().zip(evidence.rows(&ids, &fields)?) {
        let version = row.pop().unwrap_or_default().pop().and_then(|v| v.parse().ok());
        let node = row.pop().unwrap_or_default().pop();
        if let (Some(version), Some(node), Some(time)) = (version, node, hit.time) {
            let object = row.into_iter().map(|mut v| v.pop().unwrap_or_default()).collect();
            objects.entry(object).or_default().push((version, time.0, node));
        }
    }
    for (object, mut writes) in objects {
        writes.sort_unstable();
        let cluster = object.first().filter(|cluster| !cluster.is_empty()).cloned();
        for (a, b) in writes.iter().zip(writes.iter().skip(1)).filter(|(a, b)| a.0 < b.0) {
            clocks.note(&cluster, (&a.2, a.1), (&b.2, b.1));
        }
    }
    Ok(hits.len() == UPDATES_MAX)
}

/// Compares creates whose answer was recorded; says whether there were more than were looked at.
///
/// Updates are left out: one that changes nothing answers with a version of long ago.  So are
/// Events, which a cluster may keep in a store of their own.
fn by_creates(evidence: &dyn Evidence, clocks: &mut Clocks) -> Result<bool, SearchError> {
    const VERSION: &str = "responseObject.metadata.resourceVersion";
    let question = QueryAst::all_of(vec![
        QueryAst::path_equals("verb", "create"),
        QueryAst::path_equals("responseStatus.code", "201"),
        QueryAst::path_equals("stage", "ResponseComplete"),
        QueryAst::equals(Field::Log, "kube-apiserver"),
        QueryAst::present(Field::path(VERSION)),
        QueryAst::present(Field::Node),
        QueryAst::path_equals("objectRef.resource", "events").negated(),
        QueryAst::present(Field::path("objectRef.subresource")).negated(),
    ]);
    let options = SearchOptions {
        range: TimeRange::ALL,
        order: SortOrder::Newest,
        limit: UPDATES_MAX,
        count_all: false,
    };
    let hits = evidence.search(&question, &options)?.hits;
    let ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
    let fields = [Field::Cluster, Field::Node, Field::path(VERSION), Field::path("stageTimestamp")];
    let mut creates: BTreeMap<Option<String>, Vec<Create>> = BTreeMap::new();
    for (hit, row) in hits.iter().zip(evidence.rows(&ids, &fields)?) {
        let one = |at: usize| row.get(at).and_then(|values| values.first());
        let version = one(2).and_then(|version| version.parse().ok());
        let done = one(3).and_then(|time| Timestamp::parse(time));
        if let (Some(node), Some(version), Some(received), Some(done)) =
            (one(1), version, hit.time, done)
        {
            let own = Create { version, node: node.clone(), received: received.0, done: done.0 };
            creates.entry(one(0).cloned()).or_default().push(own);
        }
    }
    for (cluster, mut creates) in creates {
        creates.sort_unstable();
        for (a, b) in creates.iter().zip(creates.iter().skip(1)).filter(|(a, b)| a.before(b)) {
            clocks.note(&cluster, (&a.node, a.received), (&b.node, b.done));
        }
    }
    Ok(hits.len() == UPDATES_MAX)
}

/// A create, by the version that the store gave its object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Create {
    version: u64,
    node: String,
    received: i64,
    done: i64,
}

impl Create {
    fn before(&self, other: &Create) -> bool {
        self.version < other.version
    }
}

/// Compares what the front server passed on with what the servers behind it received.
fn by_twins(evidence: &dyn Evidence, clocks: &mut Clocks) -> Result<(), SearchError> {
    let logs = AGGREGATED.map(|log| QueryAst::equals(Field::Log, log)).to_vec();
    let question = QueryAst::all_of(vec![
        QueryAst::any_of(logs),
        QueryAst::present(Field::Node),
        QueryAst::present(Field::path("requestReceivedTimestamp")),
    ]);
    let options = SearchOptions {
        range: TimeRange::ALL,
        order: SortOrder::Newest,
        limit: TWINS_MAX,
        count_all: false,
    };
    let behind = received(evidence, &question, &options)?;
    if behind.is_empty() {
        return Ok(());
    }
    let mut texts: Vec<String> = behind.keys().map(|(_, id)| fold(id)).collect();
    texts.sort_unstable();
    texts.dedup();
    let set = ValueSet { texts, ..ValueSet::default() };
    let question = QueryAst::all_of(vec![
        QueryAst::equals(Field::Log, "kube-apiserver"),
        QueryAst::present(Field::Node),
        QueryAst::Field { field: Field::path("auditID"), test: Test::OneOf(Arc::new(set)) },
    ]);
    let front = received(evidence, &question, &SearchOptions::default())?;
    for (key, (node, time)) in &behind {
        if let Some((front_node, front_time)) = front.get(key) {
            clocks.note(&key.0, (front_node, *front_time), (node, *time));
        }
    }
    Ok(())
}

/// Node and time of the requests that match, by cluster and auditID.
type Received = HashMap<(Option<String>, String), (String, i64)>;

fn received(
    evidence: &dyn Evidence,
    question: &QueryAst,
    options: &SearchOptions,
) -> Result<Received, SearchError> {
    let hits = evidence.search(question, options)?.hits;
    let ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
    let fields = [Field::Cluster, Field::path("auditID"), Field::Node];
    let mut found = Received::new();
    for (hit, row) in hits.iter().zip(evidence.rows(&ids, &fields)?) {
        let one = |at: usize| row.get(at).and_then(|values| values.first()).cloned();
        if let (Some(id), Some(node), Some(time)) = (one(1), one(2), hit.time) {
            found.entry((one(0), id)).or_insert((node, time.0));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::place::Origin;
    use crate::search::scan::MemoryEvidence;
    use crate::search::scan::ScanRecord;

    #[test]
    fn creates_on_two_nodes_tell_how_far_apart_they_are() {
        // b is seven seconds behind a.
        let create = |node: &str, version: u32, received: &str, done: &str| {
            ScanRecord {
            event: format!(
                r#"{{"verb":"create","stage":"ResponseComplete","responseStatus":{{"code":201}},"objectRef":{{"resource":"pods"}},"requestReceivedTimestamp":"2026-03-02T00:00:{received}Z","stageTimestamp":"2026-03-02T00:00:{done}Z","responseObject":{{"metadata":{{"resourceVersion":"{version}"}}}}}}"#
            )
            .into_bytes(),
            origin: Origin {
                node: Some(node.to_owned()),
                cluster: None,
                log: Some("kube-apiserver".to_owned()),
            },
            source: node.to_owned(),
            ..ScanRecord::default()
        }
        };
        let evidence = MemoryEvidence::new([
            create("a", 99, "20.0", "20.1"),
            create("b", 100, "14.0", "14.1"),
            create("a", 101, "22.0", "22.1"),
        ]);
        let mut clocks = Clocks::default();
        assert!(!by_creates(&evidence, &mut clocks).unwrap());
        let bounds = clocks.0[&(None, "a".to_owned(), "b".to_owned())];
        assert_eq!(
            bounds,
            Bounds { comparisons: 2, low: Some(-8_100_000), high: Some(-5_900_000) }
        );
    }

    #[test]
    fn a_reversed_order_bounds_the_skew() {
        let mut clocks = Clocks::default();
        // b is five seconds behind: what came later there seems to be earlier.
        clocks.note(&None, ("a", 10_000_000), ("b", 5_100_000));
        clocks.note(&None, ("b", 6_000_000), ("a", 11_200_000));
        let bounds = clocks.0[&(None, "a".to_owned(), "b".to_owned())];
        assert_eq!(
            bounds,
            Bounds { comparisons: 2, low: Some(-5_200_000), high: Some(-4_900_000) }
        );
        let cells = row(&(None, "a".into(), "b".into()), bounds);
        assert!(
            matches!(&cells[6], Cell::Text(what) if what.contains("behind that of a by at least 4900 ms"))
        );
    }
}
