//! `user NAME`: everything one identity did, in order, and where it did it from.

use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests::AGENT;
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
use crate::hunt::pivot_requests::allowed_by;
use crate::hunt::pivot_requests::counted;
use crate::hunt::pivot_requests::one_argument;
use crate::hunt::pivot_tally::tally;
use crate::hunt::pivot_tally::tally_owners;
use crate::ledger::question::is;
use crate::ledger::request::Outcome;
use crate::ledger::request::Request;
use crate::ledger::usage::POD_NAME;

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
        answer.sections.push(tally_owners(
            context,
            &requests,
            ("addresses", "address"),
            ("peer", "peer"),
            |owner, _| owner,
        ));
        let plain = |value: &str| Some((value.to_owned(), String::new()));
        answer.sections.push(tally(&requests, "agents", "agent", ["ua"], |[agent]| {
            plain(agent.unwrap_or_default())
        }));
        let by = ["objectRef.namespace"];
        answer.sections.push(tally(&requests, "namespaces", "namespace", by, |[namespace]| {
            plain(namespace.unwrap_or("(cluster)"))
        }));
        let by = ["credential"];
        answer.sections.push(tally(&requests, "credentials", "credential", by, |[id]| {
            let id = id.unwrap_or_default();
            let credential = context.ledgers.credentials.by_id(id).next();
            let about = credential.map(crate::hunt::pivots::credential::verdict_text);
            Some((id.to_owned(), about.unwrap_or_default()))
        }));
        let mut grants = tally(&requests, "allowed by", "grant", ["reason"], |[reason]| {
            Some((allowed_by(reason)?, String::new()))
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
        let listed = context.listed(&mut answer, &all, &columns)?;
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
const SUMMED: [&str; 6] = ["peer", "ua", "objectRef.namespace", "credential", "reason", "as"];

const BOUND_POD: crate::hunt::pivot_requests::Column =
    ("bound_pod", &[POD_NAME], |_, request| request.get(POD_NAME).into());

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
