//! `bruteforce [MINIMUM]`: refused credentials (401), denied requests (403) and failed OAuth logins,
//! counted by address and name.

use crate::event::field::Field;
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
use crate::query::ast::QueryAst;

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

/// Counts requests, not stages, by address and name.
fn counted(
    context: &PivotContext<'_>,
    title: &str,
    question: &QueryAst,
    name: &str,
    minimum: u64,
    shared: &mut Section,
) -> Result<Section, HuntError> {
    let mut section = table::section(title, COLUMNS);
    let fields = [Field::Cluster, Field::Peer, Field::path(name)];
    let audit_id = Field::path("auditID");
    let rows = context.evidence.top(question, context.range, &fields, Some(&audit_id), minimum)?;
    for row in rows.into_iter().take(context.options.limit.max(1)) {
        let mut values = row.values.into_iter();
        let cluster = values.next().flatten().unwrap_or_default();
        let (peer, who) = (values.next().flatten(), values.next().flatten());
        let address = peer.as_deref().and_then(parse_address);
        let ledger = &context.ledgers.addresses;
        let owner = address.zip(row.first).map(|(a, time)| ledger.owner_at(&cluster, a, time));
        let is_shared = matches!(owner, Some(Owner::Shared(_) | Owner::Balancer(_)));
        let mut parts = vec![question.clone()];
        parts.extend(peer.as_deref().map(|peer| is("peer", peer)));
        parts.extend(who.as_deref().map(|who| is(name, who)));
        let options = crate::search::evidence::SearchOptions {
            range: context.range,
            limit: 100,
            ..Default::default()
        };
        let events = crate::ledger::table::Table::ask(
            context.evidence,
            &QueryAst::all_of(parts),
            &options,
            &["ua"],
        )?;
        let mut agents: Vec<String> = Vec::new();
        for line in events.lines() {
            if let Some(agent) = line.get("ua").filter(|a| !agents.iter().any(|k| k == a)) {
                agents.push(agent.to_owned());
            }
        }
        let then = then_let_in(context, peer.as_deref(), is_shared, row.last)?;
        table::push(
            if is_shared { &mut *shared } else { &mut section },
            vec![
                peer.clone().into(),
                address
                    .zip(row.first)
                    .map(|(address, time)| context.owner_at(&cluster, address, time))
                    .into(),
                who.into(),
                i64::try_from(row.count).unwrap_or(i64::MAX).into(),
                row.first.into(),
                row.last.into(),
                then.into(),
                agents.into(),
            ],
            events.lines().map(|line| line.id()).collect(),
        );
    }
    Ok(section)
}

/// As whom the address was let in within half an hour after the last refusal.
fn then_let_in(
    context: &PivotContext<'_>,
    peer: Option<&str>,
    is_shared: bool,
    last: Option<crate::event::time::Timestamp>,
) -> Result<Option<String>, HuntError> {
    let (Some(peer), Some(last), false) = (peer, last, is_shared) else { return Ok(None) };
    let range = crate::event::time::TimeRange {
        since: Some(last),
        until: Some(crate::event::time::Timestamp(last.0 + 1_800_000_000)),
    };
    let question = QueryAst::all_of(vec![
        is("peer", peer),
        is("decision", "allow"),
        is("user", "system:anonymous").negated(),
    ]);
    let options = crate::search::evidence::SearchOptions { range, limit: 1, ..Default::default() };
    let table = crate::ledger::table::Table::ask(context.evidence, &question, &options, &["user"])?;
    let first = table.lines().next();
    Ok(first.and_then(|line| {
        let time = line.time()?;
        Some(format!("{} at {time}", line.get("user")?))
    }))
}
