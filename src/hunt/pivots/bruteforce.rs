//! `bruteforce [MINIMUM]`: refused credentials (401), denied requests (403) and failed OAuth logins,
//! counted by address and name.

use std::collections::HashMap;

use rayon::iter::IntoParallelRefIterator;
use rayon::iter::ParallelIterator;

use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::words::fold;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::ledger::address::Owner;
use crate::ledger::network::parse_address;
use crate::ledger::question::any;
use crate::ledger::question::is;
use crate::ledger::table::Line;
use crate::ledger::table::Table;
use crate::query::ast::QueryAst;
use crate::search::evidence::SearchOptions;
use crate::search::facet;

/// See the file's text.
#[derive(Debug)]
pub struct Bruteforce;

impl Pivot for Bruteforce {
    fn name(&self) -> &'static str {
        "bruteforce"
    }

    fn about(&self) -> &'static str {
        "refused credentials, denied requests and failed logins, by address and name"
    }

    fn arguments(&self) -> &'static str {
        "[MINIMUM]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let minimum = match table::optional_argument(self, arguments)? {
            None => 1,
            Some(text) => text
                .parse::<u64>()
                .map_err(|_| HuntError::Usage(format!("{text:?} is no number")))?,
        };
        let unauthenticated = is("code", "401");
        let denied = is("code", "403");
        let logins = any(OAUTH_DECISION, &["deny", "error"]);
        let question = context.refined(QueryAst::any_of(vec![
            unauthenticated.clone(),
            denied.clone(),
            logins.clone(),
        ]));
        let mut answer = context.answer(self, &question);
        let mut shared =
            table::section("shared addresses, left out: they identify nobody", COLUMNS);
        for (title, part, name) in [
            ("refused credentials (401) by address", unauthenticated, "user.username"),
            ("denied requests (403) by address", denied, "user.username"),
            ("failed logins by address and name", logins, OAUTH_USER),
        ] {
            let part = context.without_platform(&mut answer, &context.refined(part))?;
            let section = counted(context, title, &part, name, minimum, &mut shared)?;
            answer.sections.push(section);
        }
        let rows: usize = answer.sections.iter().map(|section| section.rows.len()).sum();
        answer.summary = format!("{rows} sources of refusals");
        if !shared.rows.is_empty() {
            answer.sections.push(shared);
        }
        Ok(answer)
    }
}

/// Decision of the oauth-server (openshift/oauth-server pkg/audit/annotation.go).
pub const OAUTH_DECISION: &str = "annotations.authentication.openshift.io/decision";
/// Whom it decided about.
pub const OAUTH_USER: &str = "annotations.authentication.openshift.io/username";

const COLUMNS: &[&str] =
    &["address", "address_is", "name", "requests", "first", "last", "then_let_in", "agents"];

/// Events shown for one address and name.
const SHOWN: usize = 100;

/// Counts requests, not stages, by address and name.
fn counted(
    context: &PivotContext<'_>,
    title: &str,
    question: &QueryAst,
    name: &'static str,
    minimum: u64,
    shared: &mut Section,
) -> Result<Section, HuntError> {
    let mut section = table::section(title, COLUMNS);
    let options = SearchOptions { range: context.range, ..SearchOptions::default() };
    let columns = ["cluster", "peer", name, "auditID", "ua"];
    let events = Table::ask(context.evidence, question, &options, &columns)?;
    let rows = facet::count(
        events.lines().map(|line| (line.time(), line.values().iter().take(4).cloned().collect())),
        3,
        true,
        minimum,
    );
    let by_peer = ByPeer::of(&events, name);
    let mut told: Vec<Told<'_>> = Vec::new();
    for row in rows.into_iter().take(context.options.limit.max(1)) {
        let mut values = row.values.into_iter();
        let cluster = values.next().flatten().unwrap_or_default();
        let (peer, who) = (values.next().flatten(), values.next().flatten());
        let address = peer.as_deref().and_then(parse_address);
        let ledger = &context.ledgers.addresses;
        let owner = address.zip(row.first).map(|(a, time)| ledger.owner_at(&cluster, a, time));
        let is_shared = matches!(owner, Some(Owner::Shared(_) | Owner::Balancer(_)));
        let is = address.zip(row.first).map(|(a, time)| context.owner_at(&cluster, a, time));
        let lines = by_peer.of_row(peer.as_deref(), who.as_deref());
        let count = i64::try_from(row.count).unwrap_or(i64::MAX);
        told.push(Told { peer, who, is, is_shared, count, span: (row.first, row.last), lines });
    }
    let let_in = told
        .par_iter()
        .map(|one| then_let_in(context, one.peer.as_deref(), one.is_shared, one.span.1))
        .collect::<Result<Vec<Option<String>>, HuntError>>()?;
    for (one, then) in told.into_iter().zip(let_in) {
        let mut agents: Vec<String> = Vec::new();
        for line in &one.lines {
            if let Some(agent) = line.get("ua").filter(|a| !agents.iter().any(|k| k == a)) {
                agents.push(agent.to_owned());
            }
        }
        table::push(
            if one.is_shared { &mut *shared } else { &mut section },
            vec![
                one.peer.into(),
                one.is.into(),
                one.who.into(),
                one.count.into(),
                one.span.0.into(),
                one.span.1.into(),
                then.into(),
                agents.into(),
            ],
            one.lines.iter().map(Line::id).collect(),
        );
    }
    Ok(section)
}

/// One row before it is known who was let in.
struct Told<'t> {
    peer: Option<String>,
    who: Option<String>,
    is: Option<String>,
    is_shared: bool,
    count: i64,
    span: (Option<Timestamp>, Option<Timestamp>),
    lines: Vec<Line<'t>>,
}

/// Refusals by address, as questions compare addresses and names.
struct ByPeer<'t> {
    all: Vec<Line<'t>>,
    lines: HashMap<String, Vec<Line<'t>>>,
    name: &'static str,
}

impl<'t> ByPeer<'t> {
    fn of(events: &'t Table, name: &'static str) -> ByPeer<'t> {
        let mut by_peer = ByPeer { all: events.lines().collect(), lines: HashMap::new(), name };
        for line in &by_peer.all {
            let peer = line.get("peer").map(as_compared).unwrap_or_default();
            by_peer.lines.entry(peer).or_default().push(*line);
        }
        by_peer
    }

    /// The first events of a row; where it names no address or nobody, that is no condition.
    fn of_row(&self, peer: Option<&str>, who: Option<&str>) -> Vec<Line<'t>> {
        let lines = match peer {
            Some(peer) => self.lines.get(&as_compared(peer)),
            None => Some(&self.all),
        };
        let who = who.map(fold);
        let named = |line: &&Line<'t>| match &who {
            Some(who) => line.all(self.name).iter().any(|name| fold(name) == *who),
            None => true,
        };
        lines.into_iter().flatten().filter(named).take(SHOWN).copied().collect()
    }
}

/// An address has one form, whatever its spelling.
fn as_compared(text: &str) -> String {
    match crate::query::address::parse_address(text) {
        Some(address) => address.to_string(),
        None => fold(text),
    }
}

/// As whom the address was let in within half an hour after the last refusal.
fn then_let_in(
    context: &PivotContext<'_>,
    peer: Option<&str>,
    is_shared: bool,
    last: Option<Timestamp>,
) -> Result<Option<String>, HuntError> {
    let (Some(peer), Some(last), false) = (peer, last, is_shared) else { return Ok(None) };
    let range = TimeRange { since: Some(last), until: Some(Timestamp(last.0 + 1_800_000_000)) };
    let question = QueryAst::all_of(vec![
        is("peer", peer),
        is("decision", "allow"),
        is("user", "system:anonymous").negated(),
    ]);
    let options = SearchOptions { range, limit: 1, count_all: false, ..SearchOptions::default() };
    let table = Table::ask(context.evidence, &question, &options, &["user"])?;
    let first = table.lines().next();
    Ok(first.and_then(|line| {
        let time = line.time()?;
        Some(format!("{} at {time}", line.get("user")?))
    }))
}
