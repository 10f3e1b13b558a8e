//! `around ID --window 5s`: everything near an event, whoever did it.
//!
//! Nobody is named by this: where an address and an agent are shared, both readings (one person
//! with two identities, or two people behind one address) stand side by side (attribution.md,
//! rule 9).

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::ledger::question::is;
use crate::ledger::request::Request;
use crate::query::ast::Bound;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;

/// See the file's text.
#[derive(Debug)]
pub struct Around;

impl Pivot for Around {
    fn name(&self) -> &'static str {
        "around"
    }

    fn about(&self) -> &'static str {
        "everything near an event in time, whoever did it, and what it shares with it"
    }

    fn arguments(&self) -> &'static str {
        "ID (an auditID)"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let id = table::one_argument(self, arguments)?;
        let mut answer = Answer { name: self.name().to_owned(), ..Answer::default() };
        let everywhere = PivotContext { range: TimeRange::ALL, ..*context };
        let found = everywhere.requests(&mut answer, &is("id", id), &[])?;
        let Some((centre, time)) = found.iter().find_map(|r| Some((r, r.time?))) else {
            answer.query = table::question_text(&is("id", id));
            answer.summary = format!("no event {id} with a time in this evidence");
            return Ok(answer);
        };
        let since = Timestamp(time.0.saturating_sub(context.options.window));
        let until = Timestamp(time.0.saturating_add(context.options.window).saturating_add(1));
        let near = QueryAst::Field {
            field: Field::Time,
            test: Test::Range {
                low: Bound::Included(since.to_rfc3339()),
                high: Bound::Excluded(until.to_rfc3339()),
            },
        };
        let question = context.refined(near);
        answer.query = table::question_text(&question);
        let range = TimeRange { since: Some(since), until: Some(until) };
        let here = PivotContext { range, ..*context };
        let requests = here.requests_shown(&mut answer, &question, &COLUMNS, &["credential"])?;
        let mut section = table::section(
            "near it",
            &[
                "seconds",
                "time",
                "user",
                "as",
                "verb",
                "resource",
                "namespace",
                "name",
                "code",
                "outcome",
                "peer",
                "peer_is",
                "agent",
                "shares",
            ],
        );
        let mut strangers = 0;
        for request in requests.iter().filter(|r| r.cluster() == centre.cluster()) {
            let shares = shares(context, centre, request);
            let other_user = request.get("user") != centre.get("user");
            if other_user && is_telling(&shares) {
                strangers += 1;
            }
            let cells = COLUMNS.iter().map(|(.., cell)| cell(context, request));
            let offset = request.time.map(|t| signed_seconds(t.0 - time.0));
            let mut row: Vec<Cell> = vec![offset.into()];
            row.extend(cells);
            row.push(crate::hunt::spec_paths::list_cell(shares));
            table::push(&mut section, row, request.events.clone());
        }
        answer.summary = format!(
            "{} within {} s of {} {} by {}",
            table::counted(&requests),
            table::seconds(context.options.window),
            centre.get("verb").unwrap_or("?"),
            centre.resource().unwrap_or_else(|| "a path".to_owned()),
            centre.get("user").unwrap_or("nobody")
        );
        if strangers > 0 {
            answer.notes.push(format!(
                "{strangers} requests of other users share address and agent with it, or with \
                 another use of its credential: one person with two identities, or several behind \
                 one address with the same tool; an agent can be forged, and neither address nor \
                 agent names a person"
            ));
        }
        // The same again, only what tells something, first.
        let at = section.columns.len().saturating_sub(1);
        let mut telling = crate::hunt::answer::Section {
            title: "near it with its credential, or from where that was used".to_owned(),
            columns: section.columns.clone(),
            ..Default::default()
        };
        for row in &section.rows {
            let Some(Cell::List(shares)) = row.cells.get(at) else { continue };
            if is_telling(shares) {
                telling.rows.push(row.clone());
            }
        }
        answer.sections.push(telling);
        answer.sections.push(section);
        Ok(answer)
    }
}

/// What is shown of the requests near it.
const COLUMNS: [table::Column; 12] = [
    table::TIME,
    table::USER,
    table::AS,
    table::VERB,
    table::RESOURCE,
    table::NAMESPACE,
    table::NAME,
    table::CODE,
    table::OUTCOME,
    table::PEER,
    table::OWNER,
    table::AGENT,
];

/// One thing in common is chance: everybody behind a VIP shares its address.
fn is_telling(shares: &[String]) -> bool {
    let has = |name: &str| shares.iter().any(|known| known == name);
    has("credential") || has(ELSEWHERE) || (has("address") && has("agent"))
}

fn signed_seconds(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "+" };
    format!("{sign}{}", table::seconds(micros))
}

/// What a request has in common with the one in the middle; its credential was perhaps used from
/// elsewhere too, and whoever works from there is near as well.
fn shares(context: &PivotContext<'_>, centre: &Request, request: &Request) -> Vec<String> {
    let both = [
        ("peer", "address"),
        ("ua", "agent"),
        ("credential", "credential"),
        ("user", "user"),
        ("objectRef.namespace", "namespace"),
    ];
    let mut found: Vec<String> = both
        .iter()
        .filter(|(column, _)| {
            let value = centre.get(column);
            value.is_some() && value == request.get(column)
        })
        .map(|(_, name)| (*name).to_owned())
        .collect();
    let id = centre.get("credential").unwrap_or_default();
    let elsewhere = context.ledgers.credentials.by_id(id).any(|credential| {
        credential.cluster == centre.cluster()
            && credential.origins.iter().any(|origin| {
                origin.peer.as_deref() == request.get("peer")
                    && origin.agent.as_deref() == request.get("ua")
                    && (origin.peer.as_deref(), origin.agent.as_deref())
                        != (centre.get("peer"), centre.get("ua"))
            })
    });
    if elsewhere {
        found.push(ELSEWHERE.to_owned());
    }
    found
}

/// Said of requests from where the credential in the middle was used at another time.
const ELSEWHERE: &str = "address and agent of another use of its credential";
