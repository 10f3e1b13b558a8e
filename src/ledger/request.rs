//! The request view: the stages of one request joined, over stages and over servers.
//!
//! One request is (auditID, requestReceivedTimestamp, user); an aggregated API server writes it
//! down once more under the same auditID, with the front proxy as the peer, so actor and address
//! come from the front server (kubernetes/community#625).

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::time::Timestamp;
use crate::ledger::network::parse_address;
use crate::ledger::table::Line;
use crate::ledger::table::Table;
use crate::ledger::usage::is_aggregated;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Row;
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
    columns: Arc<HashMap<&'static str, usize>>,
    values: Row,
}

/// Columns that every request has.
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
        self.all(column).first().map(String::as_str)
    }

    /// First value of the first column that has one.
    pub fn first_of(&self, columns: &[&str]) -> Option<&str> {
        columns.iter().find_map(|column| self.get(column))
    }

    /// All values of a column.
    pub fn all(&self, column: &str) -> &[String] {
        self.columns.get(column).and_then(|at| self.values.get(*at)).map_or(&[], Vec::as_slice)
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
    pub fn claimed(&self) -> &[String] {
        let ips = self.all("ip");
        ips.split_last().map_or(&[], |(_, before)| before)
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
    columns.extend(extra.iter().filter(|column| !COLUMNS.contains(column)));
    let table = Table::ask(evidence, question, options, &columns)?;
    Ok(Requests {
        total_events: table.total,
        read_events: table.len(),
        notes: table.notes.clone(),
        list: join(&table, &columns),
    })
}

type Key<'t> = (&'t str, &'t str, &'t str, &'t str, &'t str, &'t str, &'t str);

fn join(table: &Table, columns: &[&'static str]) -> Vec<Request> {
    let columns: Arc<HashMap<&'static str, usize>> =
        Arc::new(columns.iter().enumerate().map(|(at, name)| (*name, at)).collect());
    let mut by_key: HashMap<Key<'_>, usize> = HashMap::new();
    let mut requests: Vec<Request> = Vec::new();
    for line in table.lines() {
        let text = |column: &str| line.get(column).unwrap_or_default();
        let key: Key<'_> = (
            text("cluster"),
            text("log"),
            text("id"),
            text("requestReceivedTimestamp"),
            text("user"),
            text("verb"),
            text("requestURI"),
        );
        // Without an id nothing says that two events are one request.
        let known = if key.2.is_empty() { None } else { by_key.get(&key).copied() };
        match known.and_then(|at| requests.get_mut(at)) {
            Some(request) => add_stage(request, &line),
            None => {
                if !key.2.is_empty() {
                    by_key.insert(key, requests.len());
                }
                requests.push(start(&line, &columns));
            }
        }
    }
    join_servers(requests)
}

fn start(line: &Line<'_>, columns: &Arc<HashMap<&'static str, usize>>) -> Request {
    let mut request = Request {
        events: Vec::new(),
        time: line.time(),
        stages: Vec::new(),
        end: None,
        outcome: Outcome::Unfinished,
        actor_uncertain: is_aggregated(line.get("log")),
        servers: 1,
        columns: Arc::clone(columns),
        values: line.values().clone(),
    };
    add_stage(&mut request, line);
    request
}

fn add_stage(request: &mut Request, line: &Line<'_>) {
    let stage = line.get("stage").unwrap_or_default();
    let last = matches!(stage, "ResponseComplete" | "Panic");
    let had_last = request.stages.iter().any(|s| s == "ResponseComplete" || s == "Panic");
    if last && !had_last {
        // The last stage says most; what only earlier stages hold is kept.
        let before = std::mem::replace(&mut request.values, line.values().clone());
        for (value, before) in request.values.iter_mut().zip(before) {
            if value.is_empty() {
                *value = before;
            }
        }
        request.events.insert(0, line.id());
        request.end = line.get("stageTimestamp").and_then(Timestamp::parse);
    } else {
        request.events.push(line.id());
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
    let mut by_id: HashMap<(String, String), Vec<usize>> = HashMap::new();
    for (at, request) in requests.iter().enumerate() {
        if let Some(id) = request.get("id") {
            let key = (request.cluster().to_owned(), id.to_owned());
            by_id.entry(key).or_default().push(at);
        }
    }
    let mut front_of: HashMap<usize, usize> = HashMap::new();
    for group in by_id.into_values().filter(|group| group.len() > 1) {
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
    let mut joined: Vec<Option<Request>> = requests.into_iter().map(Some).collect();
    let mut copies: Vec<(usize, usize)> = front_of.into_iter().collect();
    copies.sort_unstable();
    for (copy, front) in copies {
        let Some(copy) = joined.get_mut(copy).and_then(Option::take) else { continue };
        if let Some(Some(front)) = joined.get_mut(front) {
            front.events.extend(copy.events);
            front.servers += 1;
            for (value, other) in front.values.iter_mut().zip(copy.values) {
                if value.is_empty() {
                    *value = other;
                }
            }
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
