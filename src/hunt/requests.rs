//! Requests instead of events: stages of one request are one, pages of one list are one, and what
//! the collector of the evidence did is labelled.

use std::collections::HashMap;

use crate::event::field::CREDENTIAL_ID;
use crate::event::field::DECISION;
use crate::event::field::Field;
use crate::event::place::Place;
use crate::event::time::Timestamp;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;

/// A fact about an event that findings show or count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// auditID
    AuditId,
    /// stage
    Stage,
    /// verb
    Verb,
    /// user.username
    User,
    /// impersonatedUser.username
    As,
    /// sourceIPs, joined with a comma
    Addresses,
    /// the last of sourceIPs
    Peer,
    /// userAgent
    Agent,
    /// objectRef.apiGroup
    Group,
    /// objectRef.resource
    Resource,
    /// objectRef.subresource
    Sub,
    /// namespace
    Namespace,
    /// name with its fallbacks
    Name,
    /// responseStatus.code
    Code,
    /// authorizer's decision
    Decision,
    /// credential id
    Credential,
    /// requestURI
    Uri,
}

const N_FACTS: usize = 17;

fn fact_fields() -> [Field; N_FACTS] {
    [
        Field::path("auditID"),
        Field::path("stage"),
        Field::path("verb"),
        Field::path("user.username"),
        Field::path("impersonatedUser.username"),
        Field::path("sourceIPs"),
        Field::Peer,
        Field::path("userAgent"),
        Field::path("objectRef.apiGroup"),
        Field::path("objectRef.resource"),
        Field::path("objectRef.subresource"),
        Field::Namespace,
        Field::Name,
        Field::path("responseStatus.code"),
        Field::path(DECISION),
        Field::path(CREDENTIAL_ID),
        Field::path("requestURI"),
    ]
}

/// How many events are asked for at once, so that their texts are never all in memory twice.
const CHUNK: usize = 8192;
/// Pages of one list follow each other faster than this: the API server's continue tokens expire
/// with etcd's compaction, five minutes by default.
const LIST_SPAN: i64 = 5 * 60 * 1_000_000;

/// Texts, each kept once.
#[derive(Debug, Default)]
pub struct Texts {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Texts {
    /// The number of a text; 0 is the empty one.
    pub fn number(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len() + 1).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// The text of a number.
    pub fn text(&self, number: u32) -> &str {
        (number as usize)
            .checked_sub(1)
            .and_then(|at| self.texts.get(at))
            .map_or("", String::as_str)
    }
}

/// The facts about all events that some hunt matched.
#[derive(Debug, Default)]
pub struct Facts {
    rows: HashMap<EventId, [u32; N_FACTS]>,
    texts: Texts,
}

impl Facts {
    /// Reads what is not known yet about `ids`.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn load(&mut self, evidence: &dyn Evidence, ids: &[EventId]) -> Result<(), SearchError> {
        let mut missing: Vec<EventId> =
            ids.iter().copied().filter(|id| !self.rows.contains_key(id)).collect();
        missing.sort_unstable();
        missing.dedup();
        let fields = fact_fields();
        for chunk in missing.chunks(CHUNK) {
            for (id, row) in chunk.iter().zip(evidence.rows(chunk, &fields)?) {
                let mut numbers = [0_u32; N_FACTS];
                for (at, (number, values)) in numbers.iter_mut().zip(&row).enumerate() {
                    *number = match values.as_slice() {
                        [] => 0,
                        [one] => self.texts.number(one),
                        many if at == Fact::Addresses as usize => {
                            self.texts.number(&many.join(","))
                        }
                        [first, ..] => self.texts.number(first),
                    };
                }
                self.rows.insert(*id, numbers);
            }
        }
        Ok(())
    }

    /// A fact as text, empty where the event has none.
    pub fn text(&self, id: EventId, fact: Fact) -> &str {
        self.texts.text(self.number(id, fact))
    }

    fn number(&self, id: EventId, fact: Fact) -> u32 {
        self.rows.get(&id).and_then(|row| row.get(fact as usize)).copied().unwrap_or(0)
    }
}

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

/// Collapses hits, in the order of the evidence, into requests in the same order.
pub fn collapse(hits: &[Hit], facts: &Facts) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::with_capacity(hits.len());
    let mut seen: HashMap<(u32, Option<Timestamp>, u32), usize> = HashMap::new();
    for hit in hits {
        let audit_id = facts.number(hit.id, Fact::AuditId);
        let call =
            Call { event: hit.id, time: hit.time, place: hit.place, n_events: 1, is_page: false };
        if audit_id == 0 {
            // Nothing says what it belongs to, so it stands for itself.
            calls.push(call);
            continue;
        }
        let key = (audit_id, hit.time, facts.number(hit.id, Fact::User));
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
    mark_pages(&mut calls, facts);
    calls
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
                .text(call.event, Fact::Addresses)
                .split(',')
                .filter(|ip| !ip.is_empty())
                .map(str::to_owned)
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
pub fn is_collection(call: &Call, facts: &Facts) -> bool {
    let text = |fact| facts.text(call.event, fact);
    let node_logs = text(Fact::Resource) == "nodes"
        && text(Fact::Sub) == "proxy"
        && text(Fact::Verb) == "get"
        && text(Fact::Uri).contains("/proxy/logs");
    node_logs || text(Fact::Namespace).starts_with("openshift-must-gather-")
}

fn labels(call: &Call, facts: &Facts) -> Vec<&'static str> {
    let text = |fact| facts.text(call.event, fact);
    let uri = text(Fact::Uri);
    let mut labels = Vec::new();
    if is_collection(call, facts) {
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
    use crate::event::place::SourceId;

    /// Facts as (auditID, stage, verb, user, uri), one event each, all lists of secrets.
    fn case(events: &[(i64, &str, &str, &str, &str, &str)]) -> (Vec<Hit>, Facts) {
        let mut facts = Facts::default();
        let mut hits = Vec::new();
        for (n, (time, audit_id, stage, verb, user, uri)) in events.iter().enumerate() {
            let mut row = [0; N_FACTS];
            for (fact, text) in [
                (Fact::AuditId, audit_id),
                (Fact::Stage, stage),
                (Fact::Verb, verb),
                (Fact::User, user),
                (Fact::Uri, uri),
            ] {
                row[fact as usize] = facts.texts.number(text);
            }
            let id = EventId(n as u64);
            facts.rows.insert(id, row);
            let place = Place { source: SourceId(0), offset: n as u64, line: 1, item: 0 };
            hits.push(Hit { id, time: Some(Timestamp(*time)), place });
        }
        (hits, facts)
    }

    #[test]
    fn stages_are_one_request_and_the_last_stands_for_it() {
        let (hits, facts) = case(&[
            (1, "a", "ResponseStarted", "create", "u", "/exec"),
            (1, "a", "ResponseComplete", "create", "u", "/exec"),
            (1, "b", "ResponseStarted", "get", "u", "/exec"),
            (2, "a", "ResponseComplete", "create", "u", "/exec"),
            (2, "", "ResponseComplete", "get", "u", "/x"),
            (2, "", "ResponseComplete", "get", "u", "/x"),
        ]);
        let calls = collapse(&hits, &facts);
        // The same auditID at another time is another request: a client may set it.
        assert_eq!(calls.len(), 5);
        assert_eq!(calls[0].event, EventId(1));
        assert_eq!(calls[0].n_events, 2);
    }

    #[test]
    fn pages_belong_to_their_list() {
        let minute = 60_000_000;
        let (hits, facts) = case(&[
            (0, "a", "ResponseComplete", "list", "u", "/api/v1/secrets?limit=500"),
            (1, "b", "ResponseComplete", "list", "u", "/api/v1/secrets?continue=x&limit=500"),
            (2, "c", "ResponseComplete", "list", "u", "/api/v1/secrets?limit=500"),
            (3, "d", "ResponseComplete", "list", "u", "/api/v1/secrets?continue=y&limit=500"),
            (4, "e", "ResponseComplete", "list", "v", "/api/v1/secrets?continue=y&limit=500"),
            (9 * minute, "f", "ResponseComplete", "list", "u", "/api/v1/secrets?continue=z"),
        ]);
        let pages: Vec<bool> = collapse(&hits, &facts).iter().map(|call| call.is_page).collect();
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
