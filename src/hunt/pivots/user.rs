//! `user NAME`: everything one identity did, in order, and where it did it from.

use std::collections::BTreeMap;

use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests::AGENT;
use crate::hunt::pivot_requests::ALLOWED_BY;
use crate::hunt::pivot_requests::AS;
use crate::hunt::pivot_requests::CODE;
use crate::hunt::pivot_requests::CREDENTIAL;
use crate::hunt::pivot_requests::NAME;
use crate::hunt::pivot_requests::NAMESPACE;
use crate::hunt::pivot_requests::OUTCOME;
use crate::hunt::pivot_requests::OWNER;
use crate::hunt::pivot_requests::PEER;
use crate::hunt::pivot_requests::RESOURCE;
use crate::hunt::pivot_requests::TIME;
use crate::hunt::pivot_requests::USER;
use crate::hunt::pivot_requests::VERB;
use crate::hunt::pivot_requests::counted;
use crate::hunt::pivot_requests::one_argument;
use crate::hunt::pivot_requests::push;
use crate::hunt::pivot_requests::section;
use crate::ledger::question::is;
use crate::ledger::request::Outcome;
use crate::ledger::request::Request;
use crate::ledger::usage::POD_NAME;
use crate::search::evidence::EventId;

/// See the file's text.
#[derive(Debug)]
pub struct User;

/// The user name of what was typed: `namespace/name` is a service account.
pub fn user_name(typed: &str) -> String {
    match typed.split_once('/') {
        Some((namespace, name)) if !typed.contains(':') => {
            format!("system:serviceaccount:{namespace}:{name}")
        }
        _ => typed.to_owned(),
    }
}

impl Pivot for User {
    fn name(&self) -> &'static str {
        "user"
    }

    fn about(&self) -> &'static str {
        "everything an identity did, in order, with addresses, agents, namespaces, credentials"
    }

    fn arguments(&self) -> &'static str {
        "NAME (or NAMESPACE/NAME of a service account)"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let name = user_name(one_argument(self, arguments)?);
        let question = context.refined(is("who", &name));
        let mut answer = context.answer(self, &question);
        let requests = context.requests_to_sum(&mut answer, &question, &SUMMED)?;
        answer.summary = summary(&name, &requests);
        answer.sections.push(tally(&requests, "addresses", "address", |request| {
            let owner = context.owner(request).unwrap_or_default();
            vec![(request.get("peer").unwrap_or_default().to_owned(), owner)]
        }));
        answer.sections.push(tally(&requests, "agents", "agent", |request| {
            vec![(request.get("ua").unwrap_or_default().to_owned(), String::new())]
        }));
        answer.sections.push(tally(&requests, "namespaces", "namespace", |request| {
            let namespace = request.get("objectRef.namespace").unwrap_or("(cluster)");
            vec![(namespace.to_owned(), String::new())]
        }));
        answer.sections.push(tally(&requests, "credentials", "credential", |request| {
            let id = request.get("credential").unwrap_or_default();
            let credential = context.ledgers.credentials.by_id(id).next();
            let about = credential.map(crate::hunt::pivots::credential::verdict_text);
            vec![(id.to_owned(), about.unwrap_or_default())]
        }));
        let mut grants = tally(&requests, "allowed by", "grant", |request| {
            let (_, cell) = ALLOWED_BY;
            match cell(context, request) {
                Cell::Text(text) => vec![(text, String::new())],
                _ => Vec::new(),
            }
        });
        grants.notes.push(
            "the authorizer names one binding that allowed a request; there may be others"
                .to_owned(),
        );
        answer.sections.push(grants);
        let columns = [
            TIME, USER, AS, VERB, RESOURCE, NAMESPACE, NAME, CODE, OUTCOME, PEER, OWNER, AGENT,
            CREDENTIAL, BOUND_POD,
        ];
        let all: Vec<&Request> = requests.iter().collect();
        let listed = context.listed(&mut answer, &all, &[POD_NAME])?;
        answer.sections.push(context.table("requests", &listed, &columns));
        if requests.iter().any(|request| request.get("as").is_some()) {
            answer.notes.push(
                "impersonated requests carry two identities; both are listed, whichever is \
                 asked for"
                    .to_owned(),
            );
        }
        Ok(answer)
    }
}

/// What is summed up.
const SUMMED: [&str; 5] = ["ua", "objectRef.namespace", "credential", "reason", "as"];

const BOUND_POD: crate::hunt::pivot_requests::Column =
    ("bound_pod", |_, request| request.get(POD_NAME).into());

fn summary(name: &str, requests: &[Request]) -> String {
    let first = requests.iter().find_map(|request| request.time);
    let last = requests.iter().filter_map(|request| request.time).max();
    match (first, last) {
        (Some(first), Some(last)) => {
            let count =
                |test: fn(&Outcome) -> bool| requests.iter().filter(|r| test(&r.outcome)).count();
            let denied = count(|outcome| matches!(outcome, Outcome::Failed(401 | 403)));
            let unfinished = count(|outcome| *outcome == Outcome::Unfinished);
            format!(
                "{name}: {} from {first} to {last}, {denied} denied, {unfinished} unfinished",
                counted(requests)
            )
        }
        _ => format!("{name}: nothing in this evidence"),
    }
}

struct Count {
    requests: i64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    about: Vec<String>,
    events: Vec<EventId>,
}

/// Counts requests by a value, with first and last time.
pub fn tally<'r>(
    requests: impl IntoIterator<Item = &'r Request>,
    title: &str,
    column: &str,
    values: impl Fn(&Request) -> Vec<(String, String)>,
) -> Section {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for request in requests {
        for (value, about) in values(request) {
            let count = counts.entry(value).or_insert(Count {
                requests: 0,
                first: request.time,
                last: request.time,
                about: Vec::new(),
                events: Vec::new(),
            });
            count.requests += 1;
            count.first = count.first.min(request.time);
            count.last = count.last.max(request.time);
            if !about.is_empty() && !count.about.contains(&about) {
                count.about.push(about);
            }
            count.events.extend(&request.events);
        }
    }
    let mut rows: Vec<(String, Count)> = counts.into_iter().collect();
    rows.sort_by(|(va, a), (vb, b)| b.requests.cmp(&a.requests).then_with(|| va.cmp(vb)));
    let mut table = section(title, &[column, "about", "requests", "first", "last"]);
    for (value, count) in rows {
        push(
            &mut table,
            vec![
                if value.is_empty() { Cell::Empty } else { value.into() },
                if count.about.is_empty() { Cell::Empty } else { count.about.join("; ").into() },
                count.requests.into(),
                count.first.into(),
                count.last.into(),
            ],
            count.events,
        );
    }
    table
}
