//! The request view: the stages of one request joined, over stages and over servers.
//!
//! One request is (auditID, requestReceivedTimestamp, user); an aggregated API server writes it
//! down once more under the same auditID, with the front proxy as the peer, so actor and address
//! come from the front server (kubernetes/community#625).

use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::event::field::Field;
use crate::event::time::Timestamp;
use crate::ledger::network::parse_address;
use crate::ledger::table::field;
use crate::ledger::usage::is_aggregated;
use crate::query::ast::QueryAst;
use crate::search::codes::Codes;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;
use crate::search::evidence::SearchOptions;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with success.
    Succeeded,
    /// It was answered with this code of 400 or above.
    Failed(u32),
    /// The server panicked over it.
    Panicked,
    /// The evidence holds no end of it; that is no failure (attribution.md, rule 12).
    Unfinished,
}

impl Outcome {
    /// One word for a table.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed(401) => "unauthenticated",
            Outcome::Failed(403) => "denied",
            Outcome::Failed(_) => "failed",
            Outcome::Panicked => "panic",
            Outcome::Unfinished => "unfinished",
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its events: the front server's first, the most telling stage first.
    pub events: Vec<EventId>,
    /// When it was received.
    pub time: Option<Timestamp>,
    /// Stages seen.
    pub stages: Vec<String>,
    /// stageTimestamp of its last stage, where there was one.
    pub end: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// Only an aggregated server's record is there: actor and address are the front proxy's word.
    pub actor_uncertain: bool,
    /// How many servers wrote it down.
    pub servers: usize,
    columns: Arc<Columns>,
    /// Events that values are taken from: of the first that has any.
    lines: Vec<u32>,
}

/// Values of events, the texts apart: of thousands of requests few are looked at.
#[derive(Debug, Default)]
struct Columns {
    at: HashMap<&'static str, usize>,
    codes: Vec<Codes>,
    ids: Vec<EventId>,
}

impl Columns {
    fn ask(
        evidence: &dyn Evidence,
        ids: Vec<EventId>,
        names: &[&'static str],
    ) -> Result<Columns, SearchError> {
        let fields: Vec<Field> = names.iter().map(|name| field(name)).collect();
        let codes = evidence.codes(&ids, &fields)?;
        let at = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
        Ok(Columns { at, codes, ids })
    }

    /// First value of an event.
    fn first(&self, column: usize, line: u32) -> Option<&str> {
        let codes = self.codes.get(column)?;
        match codes.first.get(line as usize) {
            None | Some(0) => None,
            Some(number) => Some(codes.text(*number)),
        }
    }

    fn column(&self, name: &str) -> Option<usize> {
        let at = self.at.get(name).copied();
        debug_assert!(at.is_some(), "{name} was not asked for");
        at
    }

    fn id(&self, line: u32) -> EventId {
        self.ids.get(line as usize).copied().unwrap_or(EventId(0))
    }
}

/// Columns by which events are joined into requests; every request has them.
const JOINED: [&str; 12] = [
    "id",
    "cluster",
    "log",
    "requestReceivedTimestamp",
    "user",
    "verb",
    "requestURI",
    "stage",
    "stageTimestamp",
    "code",
    "ip",
    "peer",
];
/// Places in [`JOINED`]: of the id, of what else must be equal, and of what a stage tells.
const ID: usize = 0;
const EQUAL: std::ops::Range<usize> = 1..7;
const LOG: usize = 2;
const STAGE: usize = 7;
const STAGE_TIME: usize = 8;

/// Columns that every request has unless only some were asked for.
pub const COLUMNS: &[&str] = &[
    "id",
    "stage",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "verb",
    "requestURI",
    "user",
    "as",
    "ip",
    "peer",
    "ua",
    "resource",
    "sub",
    "objectRef.apiGroup",
    "objectRef.namespace",
    "objectRef.name",
    "name",
    "code",
    "decision",
    "reason",
    "credential",
    "cluster",
    "log",
];

impl Request {
    /// First value of a column.
    pub fn get(&self, column: &str) -> Option<&str> {
        let column = self.columns.column(column)?;
        self.lines.iter().find_map(|line| self.columns.first(column, *line))
    }

    /// First value of the first column that has one.
    pub fn first_of(&self, columns: &[&str]) -> Option<&str> {
        columns.iter().find_map(|column| self.get(column))
    }

    /// All values of a column.
    pub fn all(&self, column: &str) -> Vec<&str> {
        let codes = self.columns.column(column).and_then(|at| self.columns.codes.get(at));
        let Some(codes) = codes else { return Vec::new() };
        let has = |line: &&u32| codes.first.get(**line as usize).is_some_and(|first| *first != 0);
        let line = self.lines.iter().find(has);
        line.into_iter()
            .flat_map(|line| codes.of(*line as usize))
            .map(|number| codes.text(number))
            .collect()
    }

    /// Status code.
    pub fn code(&self) -> Option<i64> {
        self.get("code")?.parse().ok()
    }

    /// Cluster.
    pub fn cluster(&self) -> &str {
        self.get("cluster").unwrap_or_default()
    }

    /// From the moment it was received to the end of its last stage, in microseconds.
    pub fn length(&self) -> Option<i64> {
        let start = Timestamp::parse(self.get("requestReceivedTimestamp")?)?;
        Some(self.end?.0 - start.0)
    }

    /// `resource/subresource`.
    pub fn resource(&self) -> Option<String> {
        let resource = self.get("resource")?;
        Some(match self.get("sub") {
            Some(sub) => format!("{resource}/{sub}"),
            None => resource.to_owned(),
        })
    }

    /// Addresses before the last one, which the client may have made up.
    pub fn claimed(&self) -> Vec<&str> {
        let mut ips = self.all("ip");
        ips.pop();
        ips
    }
}

/// Requests, and what was said when they were asked for.
#[derive(Debug, Default)]
pub struct Requests {
    /// In order of time.
    pub list: Vec<Request>,
    /// How many events match in all, also where fewer were read.
    pub total_events: u64,
    /// How many events were read.
    pub read_events: usize,
    /// What the evidence cannot answer.
    pub notes: Vec<String>,
}

/// Asks for events and joins them into requests; `extra` names more columns.
///
/// # Errors
/// When the evidence cannot be read.
pub fn ask(
    evidence: &dyn Evidence,
    question: &QueryAst,
    options: &SearchOptions,
    extra: &[&'static str],
) -> Result<Requests, SearchError> {
    let mut columns: Vec<&'static str> = COLUMNS.to_vec();
    columns.extend(extra);
    ask_columns(evidence, question, options, &columns)
}

/// The same, of which only these columns are wanted, beside those by which events are joined.
///
/// # Errors
/// When the evidence cannot be read.
pub fn ask_columns(
    evidence: &dyn Evidence,
    question: &QueryAst,
    options: &SearchOptions,
    wanted: &[&'static str],
) -> Result<Requests, SearchError> {
    let found = evidence.search(question, options)?;
    let ids: Vec<EventId> = found.hits.iter().map(|hit| hit.id).collect();
    let columns = Arc::new(Columns::ask(evidence, ids, &with_joined(wanted))?);
    Ok(Requests {
        total_events: found.total,
        read_events: found.hits.len(),
        notes: found.notes,
        list: join(&found.hits, &columns),
    })
}

/// The same requests with these columns as well.
///
/// # Errors
/// When the evidence cannot be read.
pub fn with_columns<'r>(
    evidence: &dyn Evidence,
    requests: impl IntoIterator<Item = &'r Request>,
    wanted: &[&'static str],
) -> Result<Vec<Request>, SearchError> {
    let mut ids: Vec<EventId> = Vec::new();
    let mut list: Vec<Request> = Vec::new();
    for request in requests {
        let first = ids.len() as u32;
        ids.extend(request.lines.iter().map(|line| request.columns.id(*line)));
        list.push(Request { lines: (first..ids.len() as u32).collect(), ..request.clone() });
    }
    let columns = Arc::new(Columns::ask(evidence, ids, &with_joined(wanted))?);
    for request in &mut list {
        request.columns = Arc::clone(&columns);
    }
    Ok(list)
}

fn with_joined(wanted: &[&'static str]) -> Vec<&'static str> {
    let mut all = JOINED.to_vec();
    for column in wanted {
        if !all.contains(column) {
            all.push(column);
        }
    }
    all
}

/// What makes two events stages of one request.
struct Key<'c> {
    columns: &'c Columns,
    line: u32,
    id: &'c str,
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Key<'_>) -> bool {
        let text = |column, line| self.columns.first(column, line).unwrap_or_default();
        self.id == other.id
            && EQUAL.into_iter().all(|column| text(column, self.line) == text(column, other.line))
    }
}

impl Eq for Key<'_> {}

fn join(hits: &[Hit], columns: &Arc<Columns>) -> Vec<Request> {
    let mut by_key: HashMap<Key<'_>, usize> = HashMap::with_capacity(hits.len());
    let mut requests: Vec<Request> = Vec::with_capacity(hits.len());
    for (line, hit) in (0_u32..).zip(hits) {
        // Without an id nothing says that two events are one request.
        let id = columns.first(ID, line).filter(|id| !id.is_empty());
        if let Some(id) = id {
            let key = Key { columns, line, id };
            let at = *by_key.entry(key).or_insert(requests.len());
            if let Some(request) = requests.get_mut(at) {
                add_stage(request, line);
                continue;
            }
        }
        requests.push(start(hit, line, columns));
    }
    drop(by_key);
    join_servers(requests)
}

fn start(hit: &Hit, line: u32, columns: &Arc<Columns>) -> Request {
    let mut request = Request {
        events: Vec::with_capacity(1),
        time: hit.time,
        stages: Vec::with_capacity(1),
        end: None,
        outcome: Outcome::Unfinished,
        actor_uncertain: is_aggregated(columns.first(LOG, line)),
        servers: 1,
        columns: Arc::clone(columns),
        lines: vec![line],
    };
    add_stage(&mut request, line);
    request
}

fn add_stage(request: &mut Request, line: u32) {
    let columns = Arc::clone(&request.columns);
    let stage = columns.first(STAGE, line).unwrap_or_default();
    let last = matches!(stage, "ResponseComplete" | "Panic");
    let had_last = request.stages.iter().any(|s| s == "ResponseComplete" || s == "Panic");
    if last && !had_last {
        // The last stage says most; what only earlier stages hold is kept.
        if request.lines.first() != Some(&line) {
            request.lines.insert(0, line);
        }
        request.events.insert(0, columns.id(line));
        request.end = columns.first(STAGE_TIME, line).and_then(Timestamp::parse);
    } else {
        request.events.push(columns.id(line));
    }
    if !request.stages.iter().any(|known| known == stage) {
        request.stages.push(stage.to_owned());
    }
    let code = request.get("code").and_then(|code| code.parse::<u32>().ok());
    let ended = last || had_last;
    request.outcome = match code {
        _ if request.stages.iter().any(|s| s == "Panic") => Outcome::Panicked,
        Some(code) if code >= 400 => Outcome::Failed(code),
        // Events from before stages (legacy text, GKE) are whole requests.
        _ if ended || stage.is_empty() => Outcome::Succeeded,
        _ => Outcome::Unfinished,
    };
}

/// Joins what an aggregated server wrote down about a request with the front server's record.
fn join_servers(requests: Vec<Request>) -> Vec<Request> {
    let mut first_of: HashMap<(&str, &str), usize> = HashMap::with_capacity(requests.len());
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, request) in requests.iter().enumerate() {
        if let Some(id) = request.get("id") {
            let first = *first_of.entry((request.cluster(), id)).or_insert(at);
            if first != at {
                groups.entry(first).or_insert_with(|| vec![first]).push(at);
            }
        }
    }
    drop(first_of);
    let mut front_of: HashMap<usize, usize> = HashMap::new();
    for group in groups.into_values() {
        for &copy in &group {
            let front = group.iter().copied().find(|&front| {
                front != copy
                    && !front_of.contains_key(&front)
                    && requests
                        .get(front)
                        .zip(requests.get(copy))
                        .is_some_and(|(front, copy)| is_copy_of(copy, front))
            });
            if let Some(front) = front {
                front_of.insert(copy, front);
            }
        }
    }
    if front_of.is_empty() {
        return requests;
    }
    let mut joined: Vec<Option<Request>> = requests.into_iter().map(Some).collect();
    let mut copies: Vec<(usize, usize)> = front_of.into_iter().collect();
    copies.sort_unstable();
    for (copy, front) in copies {
        let Some(copy) = joined.get_mut(copy).and_then(Option::take) else { continue };
        if let Some(Some(front)) = joined.get_mut(front) {
            front.events.extend(copy.events);
            front.servers += 1;
            front.lines.extend(copy.lines);
        }
    }
    joined.into_iter().flatten().collect()
}

/// A client may choose the auditID, so that alone joins nothing: the same request must have been
/// received by another server within a second, and the copy must name the front's client.
fn is_copy_of(copy: &Request, front: &Request) -> bool {
    let near = match (copy.time, front.time) {
        (Some(a), Some(b)) => (a.0 - b.0).abs() < 1_000_000,
        _ => false,
    };
    if !near || copy.get("verb") != front.get("verb") {
        return false;
    }
    if copy.get("requestURI") != front.get("requestURI") {
        return false;
    }
    if is_aggregated(front.get("log")) {
        return false;
    }
    if is_aggregated(copy.get("log")) {
        return true;
    }
    let peer = front.get("peer").and_then(parse_address);
    copy.get("log").is_none()
        && front.get("log").is_none()
        && peer.is_some()
        && copy.claimed().iter().any(|ip| parse_address(ip) == peer)
}
