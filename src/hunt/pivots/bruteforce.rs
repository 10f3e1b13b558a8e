//! `bruteforce [MINIMUM]`: refused credentials (401), denied requests (403) and failed OAuth logins,
//! counted by address and name.

use hashbrown::HashMap;
use rayon::prelude::*;

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
use crate::ledger::table::field;
use crate::query::ast::QueryAst;
use crate::search::codes::Codes;
use crate::search::evidence::EventId;
use crate::search::evidence::Hit;
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
        let mut asked: Vec<(&str, QueryAst, &str)> = Vec::new();
        for (title, part, name) in [
            ("refused credentials (401) by address", unauthenticated, "user.username"),
            ("denied requests (403) by address", denied, "user.username"),
            ("failed logins by address and name", logins, OAUTH_USER),
        ] {
            let part = context.without_platform(&mut answer, &context.refined(part))?;
            asked.push((title, part, name));
        }
        let parts: Vec<(&str, Refusals)> = asked
            .par_iter()
            .map(|(title, part, name)| Ok((*title, Refusals::ask(context, part, name)?)))
            .collect::<Result<_, HuntError>>()?;
        let told: Vec<Vec<Told>> =
            parts.par_iter().map(|(_, refusals)| refusals.counted(context, minimum)).collect();
        let mut let_in = then_let_in(context, told.iter().flatten())?.into_iter();
        for ((title, refusals), told) in parts.iter().zip(&told) {
            let section = laid_out(title, refusals, told, &mut let_in, &mut shared);
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

/// Refusals of one kind, by numbers of their values.
struct Refusals {
    hits: Vec<Hit>,
    cluster: Codes,
    peer: Codes,
    name: Codes,
    id: Codes,
    agent: Codes,
}

impl Refusals {
    fn ask(
        context: &PivotContext<'_>,
        question: &QueryAst,
        name: &str,
    ) -> Result<Refusals, HuntError> {
        let options = SearchOptions { range: context.range, ..SearchOptions::default() };
        let hits = context.evidence.search(question, &options)?.hits;
        let ids: Vec<EventId> = hits.iter().map(|hit| hit.id).collect();
        let fields = ["cluster", "peer", name, "auditID", "ua"].map(field);
        let mut codes = context.evidence.codes(&ids, &fields)?.into_iter();
        let mut next = || codes.next().unwrap_or_else(|| Codes::none(ids.len()));
        let (cluster, peer, name, id, agent) = (next(), next(), next(), next(), next());
        Ok(Refusals { hits, cluster, peer, name, id, agent })
    }

    /// Counts requests, not stages, by address and name.
    fn counted(&self, context: &PivotContext<'_>, minimum: u64) -> Vec<Told> {
        let times = self.hits.iter().map(|hit| hit.time);
        let by = [&self.cluster, &self.peer, &self.name];
        let (rows, by_peer) = rayon::join(
            || facet::count_codes(times, &by, Some(&self.id), minimum),
            || ByPeer::of(self),
        );
        let mut told: Vec<Told> = Vec::new();
        for row in rows.into_iter().take(context.options.limit.max(1)) {
            let mut values = row.values.into_iter();
            let cluster = values.next().flatten().unwrap_or_default();
            let (peer, who) = (values.next().flatten(), values.next().flatten());
            let address = peer.as_deref().and_then(parse_address);
            let ledger = &context.ledgers.addresses;
            let owner = address.zip(row.first).map(|(a, time)| ledger.owner_at(&cluster, a, time));
            let is_shared = matches!(owner, Some(Owner::Shared(_) | Owner::Balancer(_)));
            let is = owner.map(|owner| owner.to_string());
            let lines = by_peer.of_row(peer.as_deref(), who.as_deref());
            let count = i64::try_from(row.count).unwrap_or(i64::MAX);
            told.push(Told { peer, who, is, is_shared, count, span: (row.first, row.last), lines });
        }
        told
    }

    /// The first user agent of an event.
    fn agent(&self, line: usize) -> Option<&str> {
        let number = self.agent.first.get(line).copied().filter(|number| *number != 0)?;
        Some(self.agent.text(number))
    }
}

/// Lays the rows of one kind of refusal out, those of shared addresses apart.
fn laid_out(
    title: &str,
    refusals: &Refusals,
    told: &[Told],
    let_in: &mut impl Iterator<Item = Option<String>>,
    shared: &mut Section,
) -> Section {
    let mut section = table::section(title, COLUMNS);
    for (one, then) in told.iter().zip(let_in) {
        let mut agents: Vec<String> = Vec::new();
        for line in &one.lines {
            let agent = refusals.agent(*line);
            if let Some(agent) = agent.filter(|agent| !agents.iter().any(|known| known == agent)) {
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
            one.lines.iter().filter_map(|line| Some(refusals.hits.get(*line)?.id)).collect(),
        );
    }
    section
}

/// One row before it is known who was let in.
struct Told {
    peer: Option<String>,
    who: Option<String>,
    is: Option<String>,
    is_shared: bool,
    count: i64,
    span: (Option<Timestamp>, Option<Timestamp>),
    /// Its first events.
    lines: Vec<usize>,
}

/// The first events of every address and name, as questions compare addresses and names.
struct ByPeer {
    lines: HashMap<(u32, u32), Vec<usize>>,
    peers: HashMap<String, u32>,
    names: HashMap<String, u32>,
}

/// In place of a peer or a name: any.
const ANY: u32 = 0;

impl ByPeer {
    fn of(refusals: &Refusals) -> ByPeer {
        let mut own =
            ByPeer { lines: HashMap::new(), peers: HashMap::new(), names: HashMap::new() };
        let of_peer: Vec<u32> =
            refusals.peer.texts().map(|text| numbered(&mut own.peers, as_compared(text))).collect();
        let of_name: Vec<u32> =
            refusals.name.texts().map(|text| numbered(&mut own.names, fold(text))).collect();
        let number = |of: &[u32], number: u32| of.get(number as usize - 1).copied();
        // Who names no address stands where the empty one does.
        let nowhere = numbered(&mut own.peers, String::new());
        for line in 0..refusals.hits.len() {
            let peer = refusals.peer.of(line).next().and_then(|peer| number(&of_peer, peer));
            let peer = peer.unwrap_or(nowhere);
            own.add((ANY, ANY), line);
            own.add((peer, ANY), line);
            for name in refusals.name.of(line).filter_map(|name| number(&of_name, name)) {
                own.add((ANY, name), line);
                own.add((peer, name), line);
            }
        }
        own
    }

    fn add(&mut self, key: (u32, u32), line: usize) {
        let lines = self.lines.entry(key).or_default();
        if lines.len() < SHOWN && lines.last() != Some(&line) {
            lines.push(line);
        }
    }

    /// The first events of a row; where it names no address or nobody, that is no condition.
    fn of_row(&self, peer: Option<&str>, who: Option<&str>) -> Vec<usize> {
        let peer = peer.map_or(Some(ANY), |peer| self.peers.get(&as_compared(peer)).copied());
        let who = who.map_or(Some(ANY), |who| self.names.get(&fold(who)).copied());
        let lines = peer.zip(who).and_then(|key| self.lines.get(&key));
        lines.cloned().unwrap_or_default()
    }
}

/// The number of a text, from 1.
fn numbered(numbers: &mut HashMap<String, u32>, text: String) -> u32 {
    let next = numbers.len() as u32 + 1;
    *numbers.entry(text).or_insert(next)
}

/// As whom each address was let in within half an hour after its last refusal.
fn then_let_in<'t>(
    context: &PivotContext<'_>,
    told: impl Iterator<Item = &'t Told>,
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
