//! Requests instead of events: stages of one request are one, pages of one list are one, and what
//! the collector of the evidence did is labelled.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::event::field::Field;
use crate::event::place::Place;
use crate::event::time::Timestamp;
use crate::hunt::facts::Fact;
use crate::hunt::facts::Facts;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;

/// Pages of one list follow each other faster than this: the API server's continue tokens expire
/// with etcd's compaction, five minutes by default.
const LIST_SPAN: i64 = 5 * 60 * 1_000_000;

/// One request, by the best of its stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The stage that stands for it: ResponseComplete or Panic where there is one.
    pub event: EventId,
    /// Its time.
    pub time: Option<Timestamp>,
    /// Where that stage stands.
    pub place: Place,
    /// Stages among the hits.
    pub n_events: u32,
    /// Whether it continues a list that another call of the same matches began.
    pub is_page: bool,
}

/// Collapses lists of hits, each in the order of the evidence, into requests in the same order.
///
/// # Errors
/// When the evidence cannot be read.
pub fn collapse(
    evidence: &dyn Evidence,
    facts: &mut Facts,
    lists: Vec<Vec<Hit>>,
    pages: &HashSet<EventId>,
) -> Result<Vec<Vec<Call>>, SearchError> {
    // Stages of one request bear one time, so hits of a time of their own are requests.
    let ties = lists.iter().flat_map(|hits| hits.chunk_by(|a, b| a.time == b.time));
    let ties: Vec<EventId> = ties.filter(|run| run.len() > 1).flatten().map(|hit| hit.id).collect();
    let told_apart = [Fact::AuditId, Fact::User, Fact::Stage].map(|fact| fact as usize);
    facts.load_some(evidence, &ties, &told_apart)?;
    let mut all: Vec<Vec<Call>> = lists.into_iter().map(|hits| requests(&hits, facts)).collect();
    let listing = all.iter_mut().filter(|calls| calls.iter().any(|c| pages.contains(&c.event)));
    let mut listing: Vec<&mut Vec<Call>> = listing.collect();
    let ids: Vec<EventId> =
        listing.iter().flat_map(|calls| calls.iter().map(|c| c.event)).collect();
    facts.load_some(evidence, &ids, &[Fact::Verb as usize])?;
    let lists: Vec<EventId> =
        ids.into_iter().filter(|id| facts.text(*id, Fact::Verb) == "list").collect();
    facts.load_some(evidence, &lists, &ACTOR.map(|fact| fact as usize))?;
    for calls in &mut listing {
        mark_pages(calls, facts);
    }
    Ok(all)
}

fn requests(hits: &[Hit], facts: &Facts) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::with_capacity(hits.len());
    for run in hits.chunk_by(|a, b| a.time == b.time) {
        let mut seen: HashMap<(u32, u32), usize> = HashMap::new();
        for hit in run {
            let call = Call {
                event: hit.id,
                time: hit.time,
                place: hit.place,
                n_events: 1,
                is_page: false,
            };
            let audit_id = facts.number(hit.id, Fact::AuditId);
            if run.len() == 1 || audit_id == 0 {
                // Nothing says what it belongs to, so it stands for itself.
                calls.push(call);
                continue;
            }
            let key = (audit_id, facts.number(hit.id, Fact::User));
            match seen.get(&key).and_then(|at| calls.get_mut(*at)) {
                Some(known) => {
                    known.n_events += 1;
                    let ended =
                        |id| matches!(facts.text(id, Fact::Stage), "ResponseComplete" | "Panic");
                    if ended(hit.id) && !ended(known.event) {
                        known.event = hit.id;
                        known.place = hit.place;
                    }
                }
                None => {
                    seen.insert(key, calls.len());
                    calls.push(call);
                }
            }
        }
    }
    calls
}

/// What tells one client's lists of one thing from others, and a page from a list.
const ACTOR: [Fact; 6] =
    [Fact::User, Fact::Credential, Fact::Agent, Fact::Resource, Fact::Namespace, Fact::Uri];

/// Asks for all pages but the first of lists.
pub fn pages() -> QueryAst {
    QueryAst::all_of(vec![QueryAst::path_equals("verb", "list"), like("requestURI", "continue=")])
}

/// `path` holds `text`.
fn like(path: &str, text: &str) -> QueryAst {
    let text = GlobPart::Text(text.to_owned());
    let glob = Glob(vec![GlobPart::AnyRun, text, GlobPart::AnyRun]);
    QueryAst::Field { field: Field::path(path), test: Test::Like { glob, cased: false } }
}

/// A list with `continue=` goes on where the same client's last list of the same thing ended.
fn mark_pages(calls: &mut [Call], facts: &Facts) {
    type Actor = (u32, u32, u32, u32, u32);
    let mut last: HashMap<Actor, Timestamp> = HashMap::new();
    for call in calls {
        if facts.text(call.event, Fact::Verb) != "list" {
            continue;
        }
        let Some(time) = call.time else { continue };
        let actor = (
            facts.number(call.event, Fact::User),
            facts.number(call.event, Fact::Credential),
            facts.number(call.event, Fact::Agent),
            facts.number(call.event, Fact::Resource),
            facts.number(call.event, Fact::Namespace),
        );
        let continues = query_has(facts.text(call.event, Fact::Uri), "continue");
        let before = last.insert(actor, time);
        call.is_page =
            continues && before.is_some_and(|before| time.0.saturating_sub(before.0) <= LIST_SPAN);
    }
}

/// Says whether the query part of a URI has a parameter of this name with a value.
pub fn query_has(uri: &str, name: &str) -> bool {
    let Some((_, query)) = uri.split_once('?') else { return false };
    query.split('&').any(|pair| {
        pair.split_once('=').is_some_and(|(key, value)| key == name && !value.is_empty())
    })
}

/// A request as a finding shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The event that stands for it.
    pub event: EventId,
    /// Its time.
    pub time: Option<Timestamp>,
    /// auditID.
    pub audit_id: String,
    /// Stage of that event.
    pub stage: String,
    /// Verb.
    pub verb: String,
    /// Who.
    pub user: String,
    /// As whom.
    pub as_user: String,
    /// Source addresses in the order of the event.
    pub addresses: Vec<String>,
    /// User agent.
    pub agent: String,
    /// API group.
    pub group: String,
    /// Resource.
    pub resource: String,
    /// Subresource.
    pub sub: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Status code.
    pub code: String,
    /// Decision of the authorizer.
    pub decision: String,
    /// Credential id.
    pub credential: String,
    /// Path and query.
    pub uri: String,
    /// Name of the source.
    pub source: String,
    /// Line in it.
    pub line: u64,
    /// Offset in it.
    pub offset: u64,
    /// `collection`, `single-object read`, `page of a list`, `dry run`, `unfinished`.
    pub labels: Vec<&'static str>,
}

impl Request {
    /// Lays out one call.
    pub fn of(call: &Call, facts: &Facts, evidence: &dyn Evidence) -> Request {
        let text = |fact| facts.text(call.event, fact).to_owned();
        Request {
            event: call.event,
            time: call.time,
            audit_id: text(Fact::AuditId),
            stage: text(Fact::Stage),
            verb: text(Fact::Verb),
            user: text(Fact::User),
            as_user: text(Fact::As),
            addresses: facts
                .numbers(call.event, Fact::Addresses as usize)
                .map(|number| facts.texts().text(number).to_owned())
                .collect(),
            agent: text(Fact::Agent),
            group: text(Fact::Group),
            resource: text(Fact::Resource),
            sub: text(Fact::Sub),
            namespace: text(Fact::Namespace),
            name: text(Fact::Name),
            code: text(Fact::Code),
            decision: text(Fact::Decision),
            credential: text(Fact::Credential),
            uri: text(Fact::Uri),
            source: evidence.source_name(call.place.source),
            line: call.place.line,
            offset: call.place.offset,
            labels: labels(call, facts),
        }
    }

    /// The object in short: `ns/resource/name/sub`.
    pub fn object(&self) -> String {
        let mut out = String::new();
        if !self.namespace.is_empty() && self.resource != "namespaces" {
            out.push_str(&self.namespace);
            out.push('/');
        }
        out.push_str(if self.resource.is_empty() { &self.uri } else { &self.resource });
        for part in [&self.name, &self.sub] {
            if !part.is_empty() {
                out.push('/');
                out.push_str(part);
            }
        }
        out
    }

    /// Whether the request was refused.
    pub fn denied(&self) -> bool {
        self.decision == "forbid" || matches!(self.code.as_str(), "401" | "403")
    }
}

/// Says whether a call looks like the collection of this evidence (hunts.md 149): reading logs
/// through the kubelet as `oc adm node-logs` does, and must-gather's own namespaces.
pub fn is_collection(event: EventId, facts: &Facts) -> bool {
    let text = |fact| facts.text(event, fact);
    let node_logs = text(Fact::Resource) == "nodes"
        && text(Fact::Sub) == "proxy"
        && text(Fact::Verb) == "get"
        && text(Fact::Uri).contains("/proxy/logs");
    node_logs || text(Fact::Namespace).starts_with("openshift-must-gather-")
}

/// What [`is_collection`] needs.
const COLLECTION: [Fact; 5] = [Fact::Resource, Fact::Sub, Fact::Verb, Fact::Uri, Fact::Namespace];

/// Returns the events that look like the collection of this evidence, among those that [`collection`]
/// asks for.
///
/// # Errors
/// When the evidence cannot be read.
pub fn collection_among(
    evidence: &dyn Evidence,
    facts: &mut Facts,
    hits: &[Hit],
) -> Result<HashSet<EventId>, SearchError> {
    let ids: Vec<EventId> = hits.iter().map(|hit| hit.id).collect();
    facts.load_some(evidence, &ids, &COLLECTION.map(|fact| fact as usize))?;
    Ok(ids.into_iter().filter(|id| is_collection(*id, facts)).collect())
}

/// Returns which of these events are pages as [`pages`] asks for; what [`collection_among`] reads of
/// them is enough to say.
pub fn pages_among(facts: &Facts, hits: &[Hit]) -> Vec<EventId> {
    let is_page = |id: &EventId| {
        facts.text(*id, Fact::Verb) == "list" && query_has(facts.text(*id, Fact::Uri), "continue")
    };
    hits.iter().map(|hit| hit.id).filter(is_page).collect()
}

/// Asks for everything that can look like the collection of this evidence.
pub fn collection() -> QueryAst {
    let gathering =
        Glob(vec![GlobPart::Text("openshift-must-gather-".to_owned()), GlobPart::AnyRun]);
    QueryAst::any_of(vec![
        QueryAst::all_of(vec![
            QueryAst::path_equals("objectRef.resource", "nodes"),
            QueryAst::path_equals("objectRef.subresource", "proxy"),
            QueryAst::path_equals("verb", "get"),
            like("requestURI", "/proxy/logs"),
        ]),
        QueryAst::Field {
            field: Field::Namespace,
            test: Test::Like { glob: gathering, cased: false },
        },
    ])
}

fn labels(call: &Call, facts: &Facts) -> Vec<&'static str> {
    let text = |fact| facts.text(call.event, fact);
    let uri = text(Fact::Uri);
    let mut labels = Vec::new();
    if is_collection(call.event, facts) {
        labels.push("collection");
    }
    if matches!(text(Fact::Verb), "list" | "watch")
        && (uri.contains("fieldSelector=metadata.name%3D")
            || uri.contains("fieldSelector=metadata.name="))
    {
        labels.push("single-object read");
    }
    if call.is_page {
        labels.push("page of a list");
    }
    if query_has(uri, "dryRun") {
        labels.push("dry run");
    }
    if matches!(text(Fact::Stage), "RequestReceived" | "ResponseStarted") {
        labels.push("unfinished");
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::evidence::SearchOptions;
    use crate::search::scan::MemoryEvidence;
    use crate::search::scan::ScanRecord;
    use serde_json::json;

    /// Events as (microseconds, auditID, stage, verb, user, uri) collapsed.
    fn calls(events: &[(i64, &str, &str, &str, &str, &str)]) -> Vec<Call> {
        let texts = events.iter().map(|(time, audit_id, stage, verb, user, uri)| {
            json!({
                "kind": "Event", "apiVersion": "audit.k8s.io/v1",
                "auditID": audit_id, "stage": stage, "verb": verb, "user": {"username": user},
                "requestURI": uri, "requestReceivedTimestamp": Timestamp(*time).to_rfc3339(),
            })
        });
        let records = texts.enumerate().map(|(n, event)| ScanRecord {
            event: event.to_string().into_bytes(),
            offset: n as u64,
            ..ScanRecord::default()
        });
        let evidence = MemoryEvidence::new(records);
        let ask = |question| evidence.search(&question, &SearchOptions::default()).unwrap().hits;
        let pages = ask(pages()).iter().map(|hit| hit.id).collect();
        let mut facts = Facts::default();
        let found = collapse(&evidence, &mut facts, vec![ask(QueryAst::All)], &pages);
        found.unwrap().remove(0)
    }

    #[test]
    fn stages_are_one_request_and_the_last_stands_for_it() {
        let calls = calls(&[
            (1, "a", "ResponseStarted", "create", "u", "/exec"),
            (1, "a", "ResponseComplete", "create", "u", "/exec"),
            (1, "b", "ResponseStarted", "get", "u", "/exec"),
            (2, "a", "ResponseComplete", "create", "u", "/exec"),
            (2, "", "ResponseComplete", "get", "u", "/x"),
            (2, "", "ResponseComplete", "get", "u", "/y"),
        ]);
        // The same auditID at another time is another request: a client may set it.
        assert_eq!(calls.len(), 5);
        assert_eq!(calls[0].event, EventId(1));
        assert_eq!(calls[0].n_events, 2);
    }

    #[test]
    fn pages_belong_to_their_list() {
        let minute = 60_000_000;
        let calls = calls(&[
            (0, "a", "ResponseComplete", "list", "u", "/api/v1/secrets?limit=500"),
            (1, "b", "ResponseComplete", "list", "u", "/api/v1/secrets?continue=x&limit=500"),
            (2, "c", "ResponseComplete", "list", "u", "/api/v1/secrets?limit=500"),
            (3, "d", "ResponseComplete", "list", "u", "/api/v1/secrets?continue=y&limit=500"),
            (4, "e", "ResponseComplete", "list", "v", "/api/v1/secrets?continue=y&limit=500"),
            (9 * minute, "f", "ResponseComplete", "list", "u", "/api/v1/secrets?continue=z"),
        ]);
        let pages: Vec<bool> = calls.iter().map(|call| call.is_page).collect();
        assert_eq!(pages, [false, true, false, true, false, false]);
    }

    #[test]
    fn parameters_are_named_exactly() {
        assert!(query_has("/a?limit=1&continue=x", "continue"));
        assert!(!query_has("/a?discontinue=x", "continue"));
        assert!(!query_has("/a?continue=", "continue"));
        assert!(!query_has("/continue=x", "continue"));
    }
}
