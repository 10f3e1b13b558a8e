//! One write to one object as the log shows it, and the question that finds such writes.

use serde_json::Value;

use crate::event::field::Field;
use crate::hunt::state::kind::resources;
use crate::hunt::state::value;
use crate::hunt::timeline::TimelineEvent;
use crate::hunt::timeline::describe;
use crate::ledger::uri::query_pairs;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::evidence::SearchOptions;

/// A write request that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The event.
    pub event: TimelineEvent,
    /// `objectRef.apiGroup`, empty for core.
    pub group: String,
    /// Request body, `None` where it was not logged.
    pub request: Option<Value>,
    /// Response body if it is an object of the API (and no `Status`).
    pub response: Option<Value>,
    /// Selectors of a `deletecollection`, as they stand in the request.
    pub selectors: Vec<(String, String)>,
    /// `metadata.resourceVersion` of the response.
    pub version: Option<u64>,
}

/// The writes found, and what was left out of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Writes {
    /// In the order they are to be folded in.
    pub writes: Vec<Write>,
    /// Requests that failed.
    pub failed: usize,
    /// Requests that only asked what would happen.
    pub dry_runs: usize,
    /// Remarks, among them what the clocks of the servers disagree on.
    pub notes: Vec<String>,
}

/// Which objects are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Kind as typed.
    pub kind: String,
    /// Namespace, empty for cluster-scoped objects or all namespaces.
    pub namespace: String,
    /// Name, empty for all.
    pub name: String,
    /// Only this cluster, where the evidence holds several.
    pub cluster: Option<String>,
}

fn any_path(path: &str, values: &[&str]) -> QueryAst {
    QueryAst::any_of(values.iter().map(|value| QueryAst::path_equals(path, value)).collect())
}

impl Target {
    /// Requests on objects of this kind, namespace and cluster.
    fn scope(&self) -> Vec<QueryAst> {
        let (names, group) = resources(&self.kind);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut parts = vec![any_path("objectRef.resource", &names)];
        if let Some(group) = group {
            parts.push(QueryAst::path_equals("objectRef.apiGroup", &group));
        }
        if !self.namespace.is_empty() {
            parts.push(QueryAst::equals(Field::Namespace, &self.namespace));
        }
        if let Some(cluster) = &self.cluster {
            parts.push(QueryAst::equals(Field::Cluster, cluster));
        }
        parts
    }

    /// The question that finds every write to the target.
    pub fn writes(&self) -> QueryAst {
        let mut parts = self.scope();
        parts.push(any_path("verb", &["create", "update", "patch", "delete", "deletecollection"]));
        if !self.name.is_empty() {
            parts.push(QueryAst::any_of(vec![
                QueryAst::equals(Field::Name, &self.name),
                QueryAst::path_equals("verb", "deletecollection"),
            ]));
        }
        QueryAst::all_of(parts)
    }

    /// The question that finds reads of the one object by its name.
    pub fn reads(&self) -> QueryAst {
        let mut parts = self.scope();
        parts.push(QueryAst::path_equals("verb", "get"));
        parts.push(QueryAst::path_equals("objectRef.name", &self.name));
        parts.push(QueryAst::present(Field::path("objectRef.subresource")).negated());
        QueryAst::all_of(parts)
    }
}

/// Subresources whose requests change nothing that is kept in the object.
const NO_STATE: &[&str] = &["exec", "attach", "portforward", "proxy", "log", "token", "eviction"];

/// Collects the writes a question finds, in the order of their resource versions where those are
/// logged and of their time otherwise.
///
/// # Errors
/// As [`Evidence::search`] and [`Evidence::fetch`].
pub fn collect(
    evidence: &dyn Evidence,
    question: &QueryAst,
    options: &SearchOptions,
) -> Result<Writes, SearchError> {
    let hits = evidence.search(question, options)?;
    let mut found = Writes { notes: hits.notes, ..Writes::default() };
    for event in describe(evidence, &hits.hits)? {
        let unfinished = !matches!(event.stage.as_str(), "ResponseComplete" | "");
        if unfinished || NO_STATE.contains(&event.subresource.as_str()) {
            continue;
        }
        let stored = evidence.fetch(event.id)?;
        let Some(body) = value::parse(&stored.event) else { continue };
        if event.failed() || value::text_at(&body, &["responseStatus", "status"]) == "Failure" {
            found.failed += 1;
            continue;
        }
        if is_dry_run(&event.request_uri, &body) {
            found.dry_runs += 1;
            continue;
        }
        found.writes.push(of_event(event, &body));
    }
    order(&mut found);
    Ok(found)
}

fn of_event(event: TimelineEvent, body: &Value) -> Write {
    let object = |key: &str| {
        let value = value::at(body, &[key]);
        (value.is_object() || value.is_array()).then(|| value.clone())
    };
    let response = object("responseObject").filter(|r| value::text_at(r, &["kind"]) != "Status");
    let version = response
        .as_ref()
        .and_then(|r| value::text_at(r, &["metadata", "resourceVersion"]).parse().ok());
    let selectors = query_pairs(&event.request_uri)
        .into_iter()
        .filter(|(key, _)| key == "labelSelector" || key == "fieldSelector")
        .collect();
    Write {
        group: value::text_at(body, &["objectRef", "apiGroup"]),
        request: object("requestObject"),
        response,
        selectors,
        version,
        event,
    }
}

/// `dryRun=All` in the query of the request, or in its options' body (meta/v1 `DeleteOptions`).
fn is_dry_run(uri: &str, body: &Value) -> bool {
    query_pairs(uri).iter().any(|(key, value)| key == "dryRun" && !value.is_empty())
        || value::texts_at(body, &["requestObject", "dryRun"]).iter().any(|v| v == "All")
}

/// Puts the writes that name a resource version in its order, within the places that such writes
/// have by time; the others stay where their time puts them (attribution.md, 14).
fn order(found: &mut Writes) {
    let places: Vec<usize> = found
        .writes
        .iter()
        .enumerate()
        .filter(|(_, write)| write.version.is_some())
        .map(|(place, _)| place)
        .collect();
    let mut by_version = places.clone();
    by_version.sort_by_key(|place| found.writes.get(*place).and_then(|write| write.version));
    if places == by_version {
        return;
    }
    let mut skew = 0;
    let mut sorted = found.writes.clone();
    for (to, from) in places.iter().zip(&by_version) {
        let (Some(write), Some(slot)) = (found.writes.get(*from), sorted.get_mut(*to)) else {
            continue;
        };
        if let (Some(a), Some(b)) = (write.event.time, slot.event.time) {
            skew = skew.max((a.0 - b.0).abs());
        }
        *slot = write.clone();
    }
    found.writes = sorted;
    found.notes.push(format!(
        "resource versions and times disagree on the order of some writes, by up to {} ms: clocks of servers differ, or requests overlapped; resource versions decide",
        skew / 1000
    ));
}
