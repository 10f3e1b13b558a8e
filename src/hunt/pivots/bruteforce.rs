//! `bruteforce [MINIMUM]`: refused credentials (401), denied requests (403) and failed OAuth logins,
//! counted by address and name.

use std::collections::HashMap;

use crate::event::field::Field;
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
use crate::search::evidence::EventId;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::WantedPeer;
use crate::search::facet;
use crate::search::first_by_peer::as_compared;

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
        let mut parts: Vec<(&str, &'static str, Table)> = Vec::new();
        for (title, part, name) in [
            ("refused credentials (401) by address", unauthenticated, "user.username"),
            ("denied requests (403) by address", denied, "user.username"),
            ("failed logins by address and name", logins, OAUTH_USER),
        ] {
            let part = context.without_platform(&mut answer, &context.refined(part))?;
            let options = SearchOptions { range: context.range, ..SearchOptions::default() };
            let columns = ["cluster", "peer", name, "auditID", "ua"];
            let events = Table::ask(context.evidence, &part, &options, &columns)?;
            parts.push((title, name, events));
        }
        let told: Vec<Vec<Told<'_>>> =
            parts.iter().map(|(_, name, events)| counted(context, events, name, minimum)).collect();
        let mut let_in = then_let_in(context, told.iter().flatten())?.into_iter();
        for ((title, ..), told) in parts.iter().zip(&told) {
            answer.sections.push(laid_out(title, told, &mut let_in, &mut shared));
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
fn counted<'t>(
    context: &PivotContext<'_>,
    events: &'t Table,
    name: &'static str,
    minimum: u64,
) -> Vec<Told<'t>> {
    let rows = facet::count(
        events.lines().map(|line| (line.time(), line.values().iter().take(4).cloned().collect())),
        3,
        true,
        minimum,
    );
    let by_peer = ByPeer::of(events, name);
    let mut told: Vec<Told<'t>> = Vec::new();
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
    told
}

/// Lays the rows of one kind of refusal out, those of shared addresses apart.
fn laid_out(
    title: &str,
    told: &[Told<'_>],
    let_in: &mut impl Iterator<Item = Option<String>>,
    shared: &mut Section,
) -> Section {
    let mut section = table::section(title, COLUMNS);
    for (one, then) in told.iter().zip(let_in) {
        let mut agents: Vec<String> = Vec::new();
        for line in &one.lines {
            if let Some(agent) = line.get("ua").filter(|a| !agents.iter().any(|k| k == a)) {
                agents.push(agent.to_owned());
            }
        }
        table::push(
            if one.is_shared { &mut *shared } else { &mut section },
            vec![
                one.peer.clone().into(),
                one.is.clone().into(),
                one.who.clone().into(),
                one.count.into(),
                one.span.0.into(),
                one.span.1.into(),
                then.into(),
                agents.into(),
            ],
            one.lines.iter().map(Line::id).collect(),
        );
    }
    section
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

/// As whom each address was let in within half an hour after its last refusal.
fn then_let_in<'t>(
    context: &PivotContext<'_>,
    told: impl Iterator<Item = &'t Told<'t>>,
) -> Result<Vec<Option<String>>, HuntError> {
    let mut wanted: Vec<WantedPeer> = Vec::new();
    let mut wish_of: Vec<Option<usize>> = Vec::new();
    for one in told {
        let (Some(peer), Some(last), false) = (&one.peer, one.span.1, one.is_shared) else {
            wish_of.push(None);
            continue;
        };
        let until = Timestamp(last.0.saturating_add(1_800_000_000));
        wish_of.push(Some(wanted.len()));
        let range = TimeRange { since: Some(last), until: Some(until) };
        wanted.push(WantedPeer { peer: peer.clone(), range });
    }
    let question =
        QueryAst::all_of(vec![is("decision", "allow"), is("user", "system:anonymous").negated()]);
    let first = context.evidence.first_by_peer(&question, &wanted)?;
    let ids: Vec<EventId> = first.iter().flatten().map(|hit| hit.id).collect();
    let mut users = context.evidence.rows(&ids, &[Field::path("user.username")])?.into_iter();
    let told: Vec<Option<String>> = first
        .iter()
        .map(|hit| {
            let hit = (*hit)?;
            let user = users.next()?.into_iter().flatten().next();
            Some(format!("{} at {}", user?, hit.time?))
        })
        .collect();
    Ok(wish_of.into_iter().map(|wish| told.get(wish?).cloned().flatten()).collect())
}
