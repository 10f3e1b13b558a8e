//! The request view: the stages of one request joined, over stages and over servers.
//!
//! One request is (auditID, requestReceivedTimestamp, user); an aggregated API server writes it
//! down once more under the same auditID, with the front proxy as the peer, so actor and address
//! come from the front server (kubernetes/community#625).

use std::sync::Arc;

use hashbrown::HashMap;

use crate::event::time::Timestamp;
use crate::ledger::network::parse_address;
use crate::ledger::request_columns::Columns;
use crate::ledger::request_columns::Stage;
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
    /// How it ended.
    pub outcome: Outcome,
    /// Only an aggregated server's record is there: actor and address are the front proxy's word.
    pub actor_uncertain: bool,
    /// How many servers wrote it down.
    pub servers: usize,
    /// Whether its last stage was seen, and whether a stage was a panic.
    ended: bool,
    panicked: bool,
    columns: Arc<Columns>,
    /// Events that values are taken from: of the first that has any.
    line: u32,
    further_lines: Vec<u32>,
}

/// Columns that say which events may be one request and how it ended; every request has them.
const JOINED: [&str; 5] = ["id", "cluster", "log", "stage", "code"];
/// Places in [`JOINED`].
const ID: usize = 0;
const CLUSTER: usize = 1;
const LOG: usize = 2;
const STAGE: usize = 3;
const CODE: usize = 4;

/// Columns that tell apart what has one id; read of such events alone.
const TOLD_APART: [&str; 6] =
    ["requestReceivedTimestamp", "user", "verb", "requestURI", "peer", "ip"];
/// Places in [`TOLD_APART`]: of what is equal in all stages of a request, and of others.
const EQUAL: std::ops::Range<usize> = 0..4;
const VERB: usize = 2;
const URI: usize = 3;
const PEER: usize = 4;
const IP: usize = 5;

/// Events whose id others have as well.
struct Repeated {
    /// Their lines, ascending.
    lines: Vec<u32>,
    columns: Columns,
}

impl Repeated {
    fn ask(evidence: &dyn Evidence, columns: &Columns) -> Result<Repeated, SearchError> {
        let mut lines: Vec<u32> = Vec::new();
        if let Some((ids, classes)) = columns.codes.get(ID).zip(columns.classes(ID)) {
            let mut events_of: Vec<u32> = vec![0; classes.len()];
            for number in &ids.first {
                if let Some(events) = events_of.get_mut(classes.of(*number) as usize) {
                    *events += 1;
                }
            }
            let often = |number: &u32| {
                let class = classes.of(*number);
                class != 0 && events_of.get(class as usize).is_some_and(|events| *events > 1)
            };
            lines.extend((0..).zip(&ids.first).filter(|(_, n)| often(n)).map(|(line, _)| line));
        }
        let ids = lines.iter().map(|line| columns.id(*line)).collect();
        let columns = match lines.is_empty() {
            true => Columns::default(),
            false => Columns::ask(evidence, ids, &TOLD_APART)?,
        };
        Ok(Repeated { lines, columns })
    }

    /// The place of a line.
    fn place(&self, line: u32) -> Option<u32> {
        self.lines.binary_search(&line).ok().map(|place| place as u32)
    }

    /// First value of a request.
    fn of(&self, request: &Request, column: usize) -> Option<&str> {
        request.lines().find_map(|line| self.columns.first(column, self.place(line)?))
    }

    /// Addresses before the last one.
    fn claimed(&self, request: &Request) -> Vec<&str> {
        let has = |line: &u32| self.columns.first(IP, *line).is_some();
        let line = request.lines().filter_map(|line| self.place(line)).find(has);
        let Some((line, codes)) = line.zip(self.columns.codes.get(IP)) else { return Vec::new() };
        let mut ips: Vec<&str> = codes.of(line as usize).map(|ip| codes.text(ip)).collect();
        ips.pop();
        ips
    }
}

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
    /// Events that values are taken from.
    fn lines(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(self.line).chain(self.further_lines.iter().copied())
    }

    /// First value of a column.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.at(self.columns.column(column)?)
    }

    fn at(&self, column: usize) -> Option<&str> {
        self.lines().find_map(|line| self.columns.first(column, line))
    }

    /// The number of the first value of a column, 0 where it has none.
    fn number(&self, column: usize) -> u32 {
        let Some(codes) = self.columns.codes.get(column) else { return 0 };
        let of_line = |line: u32| codes.first.get(line as usize).copied().filter(|n| *n != 0);
        self.lines().find_map(of_line).unwrap_or_default()
    }

    /// Requests of one question share what was read of them; this tells them from others.
    pub(super) fn asked_together(&self) -> usize {
        Arc::as_ptr(&self.columns) as usize
    }

    /// The place of a column, for [`Self::class`].
    pub(super) fn column_number(&self, name: &str) -> usize {
        self.columns.column(name).unwrap_or(usize::MAX)
    }

    /// The class of its first value of a column among requests asked together; 0 is none.
    pub(super) fn class(&self, column: usize) -> u32 {
        self.columns.classes(column).map_or(0, |classes| classes.of(self.number(column)))
    }

    /// First value of the first column that has one.
    pub fn first_of(&self, columns: &[&str]) -> Option<&str> {
        columns.iter().find_map(|column| self.get(column))
    }

    /// All values of a column.
    pub fn all(&self, column: &str) -> Vec<&str> {
        let codes = self.columns.column(column).and_then(|at| self.columns.codes.get(at));
        let Some(codes) = codes else { return Vec::new() };
        let has = |line: &u32| codes.first.get(*line as usize).is_some_and(|first| *first != 0);
        let line = self.lines().find(has);
        line.into_iter()
            .flat_map(|line| codes.of(line as usize))
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

    /// stageTimestamp of its last stage, where there was one.
    pub fn end(&self) -> Option<Timestamp> {
        let column = self.columns.column("stageTimestamp")?;
        let codes = self.columns.codes.get(column).filter(|_| self.ended)?;
        codes.time(codes.first.get(self.line as usize).copied()?)
    }

    /// From the moment it was received to the end of its last stage, in microseconds.
    pub fn length(&self) -> Option<i64> {
        let column = self.columns.column("requestReceivedTimestamp")?;
        let start = self.columns.codes.get(column)?.time(self.number(column))?;
        Some(self.end()?.0 - start.0)
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

/// The same, of which only these columns are wanted, beside id, cluster, log, stage and code.
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
    let repeated = Repeated::ask(evidence, &columns)?;
    Ok(Requests {
        total_events: found.total,
        read_events: found.hits.len(),
        notes: found.notes,
        list: join(&found.hits, &columns, &repeated),
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
        let line = ids.len() as u32;
        ids.extend(request.lines().map(|line| request.columns.id(line)));
        let further_lines = (line + 1..ids.len() as u32).collect();
        list.push(Request { line, further_lines, ..request.clone() });
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

fn join(hits: &[Hit], columns: &Arc<Columns>, repeated: &Repeated) -> Vec<Request> {
    // What makes two events stages of one request; most ids occur once, which says enough.
    let mut by_key: HashMap<Vec<&str>, usize> = HashMap::new();
    let mut requests: Vec<Request> = Vec::with_capacity(hits.len());
    let mut several: Vec<usize> = Vec::new();
    for (line, hit) in (0_u32..).zip(hits) {
        if let Some(place) = repeated.place(line) {
            let id = columns.first(ID, line).unwrap_or_default();
            // Without an id nothing says that two events are one request.
            if !id.is_empty() {
                let text = |column| repeated.columns.first(column, place).unwrap_or_default();
                let of_all = [CLUSTER, LOG].map(|at| columns.first(at, line).unwrap_or_default());
                let key = std::iter::once(id).chain(of_all).chain(EQUAL.map(text)).collect();
                let at = *by_key.entry(key).or_insert(requests.len());
                if let Some(request) = requests.get_mut(at) {
                    add_stage(request, line);
                    continue;
                }
            }
            several.push(requests.len());
        }
        requests.push(start(hit, line, columns));
    }
    drop(by_key);
    join_servers(requests, &several, repeated)
}

fn start(hit: &Hit, line: u32, columns: &Arc<Columns>) -> Request {
    let mut request = Request {
        events: Vec::with_capacity(1),
        time: hit.time,
        outcome: Outcome::Unfinished,
        actor_uncertain: is_aggregated(columns.first(LOG, line)),
        servers: 1,
        ended: false,
        panicked: false,
        columns: Arc::clone(columns),
        line,
        further_lines: Vec::new(),
    };
    add_stage(&mut request, line);
    request
}

fn add_stage(request: &mut Request, line: u32) {
    let id = request.columns.id(line);
    let of_line = |codes: &Codes| codes.first.get(line as usize).copied();
    let number = request.columns.codes.get(STAGE).and_then(of_line).unwrap_or_default() as usize;
    let stage = number.checked_sub(1).and_then(|at| request.columns.stages.get(at)).copied();
    let stage = stage.unwrap_or_default();
    if matches!(stage, Stage::Last | Stage::Panic) && !request.ended {
        request.ended = true;
        // The last stage says most; what only earlier stages hold is kept.
        if request.line != line {
            request.further_lines.insert(0, request.line);
            request.line = line;
        }
        request.events.insert(0, id);
    } else {
        request.events.push(id);
    }
    request.panicked |= stage == Stage::Panic;
    let code = (request.number(CODE) as usize).checked_sub(1);
    let code = code.and_then(|at| request.columns.status.get(at)).copied().flatten();
    request.outcome = match code {
        _ if request.panicked => Outcome::Panicked,
        Some(code) if code >= 400 => Outcome::Failed(code),
        // Events from before stages (legacy text, GKE) are whole requests.
        _ if request.ended || stage == Stage::Unknown => Outcome::Succeeded,
        _ => Outcome::Unfinished,
    };
}

/// Joins what an aggregated server wrote down about a request with the front server's record, among
/// those whose id `several` have.
fn join_servers(requests: Vec<Request>, several: &[usize], repeated: &Repeated) -> Vec<Request> {
    let mut by_id: HashMap<(&str, &str), Vec<usize>> = HashMap::with_capacity(several.len());
    for at in several {
        let Some(request) = requests.get(*at) else { continue };
        if let Some(id) = request.at(ID) {
            by_id.entry((request.cluster(), id)).or_default().push(*at);
        }
    }
    let mut front_of: HashMap<usize, usize> = HashMap::new();
    for group in by_id.into_values() {
        for &copy in &group {
            let front = group.iter().copied().find(|&front| {
                front != copy
                    && requests
                        .get(front)
                        .zip(requests.get(copy))
                        .is_some_and(|(front, copy)| is_copy_of(copy, front, repeated))
                    && !front_of.contains_key(&front)
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
            front.events.extend(&copy.events);
            front.servers += 1;
            front.further_lines.extend(copy.lines());
        }
    }
    joined.into_iter().flatten().collect()
}

/// A client may choose the auditID, so that alone joins nothing: the same request must have been
/// received by another server within a second, and the copy must name the front's client.
fn is_copy_of(copy: &Request, front: &Request, repeated: &Repeated) -> bool {
    let near = match (copy.time, front.time) {
        (Some(a), Some(b)) => (a.0 - b.0).abs() < 1_000_000,
        _ => false,
    };
    let equal = |column| repeated.of(copy, column) == repeated.of(front, column);
    if !near || !equal(VERB) || !equal(URI) {
        return false;
    }
    if is_aggregated(front.at(LOG)) {
        return false;
    }
    if is_aggregated(copy.at(LOG)) {
        return true;
    }
    let peer = repeated.of(front, PEER).and_then(parse_address);
    copy.at(LOG).is_none()
        && front.at(LOG).is_none()
        && peer.is_some()
        && repeated.claimed(copy).iter().any(|ip| parse_address(ip) == peer)
}
