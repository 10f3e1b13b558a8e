//! `node NAME [--at TIME]`: what ran there, what its own credential did, what must be rotated.

use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivot_tally::Tally;
use crate::hunt::pivot_tally::tally_owners;
use crate::hunt::pivots::credential::verdict_text;
use crate::hunt::pivots::ip::ending;
use crate::ledger::grouping::Once;
use crate::ledger::question::either;
use crate::ledger::question::is;
use crate::ledger::request::Request;
use crate::ledger::usage::NODE_NAME;
use std::collections::BTreeSet;

/// See the file's text.
#[derive(Debug)]
pub struct Node;

impl Pivot for Node {
    fn name(&self) -> &'static str {
        "node"
    }

    fn about(&self) -> &'static str {
        "what ran on a node, what its credential did, and what must be rotated"
    }

    fn arguments(&self) -> &'static str {
        "NAME"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let node = table::one_argument(self, arguments)?;
        let user = format!("system:node:{node}");
        let question = context.refined(either([is("user", &user), is(NODE_NAME, node)]));
        let mut answer = context.answer(self, &question);
        let own = context.refined(is("user", &user));
        let columns = [
            table::TIME,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            table::OUTCOME,
            table::PEER,
            table::AGENT,
        ];
        let requests = context.requests_shown(&mut answer, &own, &columns, &[])?;
        answer.sections.push(facts(context, node));
        let pods = pods(context, node);
        let rotate = rotate(context, node, &requests);
        answer.summary = format!(
            "node {node}: {} pods known, {} by its kubelet, {} things to rotate if it is lost",
            pods.rows.len(),
            table::counted(&requests),
            rotate.rows.len()
        );
        answer.sections.push(pods);
        answer.sections.push(actions(&requests));
        answer.sections.push(tally_owners(
            context,
            &requests,
            ("from where", "address"),
            ("peer", "ua"),
            |owner, agent| format!("{owner}; {agent}"),
        ));
        let odd: Vec<&Request> = requests
            .iter()
            .filter(|r| r.get("ua").is_none_or(|agent| !agent.starts_with("kubelet/")))
            .collect();
        answer.sections.push(context.table("with its credential, but no kubelet", odd, &columns));
        answer.sections.push(rotate);
        answer.notes.push(
            "whoever owns a node owns every token and Secret that its pods hold, and what its \
             kubelet may read; pods that left no event in this evidence are not listed"
                .to_owned(),
        );
        Ok(answer)
    }
}

/// What it did, and how that ended.
fn actions(requests: &[Request]) -> Section {
    let mut tally = Tally::default();
    let mut rows = Once::by(["verb", "resource", "sub"]);
    for request in requests {
        let row = rows.of(request, |[verb, ..]| {
            let what = request.resource().unwrap_or_else(|| "(path)".to_owned());
            tally.row(&format!("{} {what}", verb.unwrap_or("?")))
        });
        if let Some(row) = row {
            tally.count(*row, request);
            tally.about(*row, request.outcome.name());
        }
    }
    tally.section("what its credential did", "action")
}

fn facts(context: &PivotContext<'_>, node: &str) -> Section {
    let mut section = table::section(
        "node",
        &["cluster", "node", "addresses", "addresses_by_use", "pod_networks"],
    );
    for ((cluster, name), facts) in &context.ledgers.addresses.nodes {
        if name == node {
            let texts = |all: &BTreeSet<std::net::IpAddr>| {
                all.iter().map(std::net::IpAddr::to_string).collect::<Vec<_>>()
            };
            table::push(
                &mut section,
                vec![
                    cluster.clone().into(),
                    name.clone().into(),
                    crate::hunt::spec_paths::list_cell(texts(&facts.addresses)),
                    crate::hunt::spec_paths::list_cell(texts(&facts.inferred)),
                    crate::hunt::spec_paths::list_cell(
                        facts.subnets.iter().map(ToString::to_string).collect(),
                    ),
                ],
                facts.proof.clone(),
            );
        }
    }
    section
}

/// Pods that ran there: at the moment asked about, else at any.
fn pods(context: &PivotContext<'_>, node: &str) -> Section {
    let mut section = table::section(
        "pods",
        &["pod", "service_account", "addresses", "first", "ended", "how", "host_network"],
    );
    for (at, pod) in context.ledgers.addresses.pods.iter().enumerate() {
        let there = |moment: Timestamp| {
            pod.first.is_none_or(|first| first <= moment)
                && pod.ended.is_none_or(|(ended, _)| moment < ended)
        };
        if pod.node.as_deref() != Some(node) || !context.options.at.is_none_or(there) {
            continue;
        }
        let addresses = context.ledgers.addresses.addresses_of(at);
        table::push(
            &mut section,
            vec![
                pod.title().into(),
                pod.service_account.clone().into(),
                crate::hunt::spec_paths::list_cell(
                    addresses.iter().map(|(address, _)| address.to_string()).collect(),
                ),
                pod.first.into(),
                pod.ended.map(|(time, _)| time).into(),
                pod.ended.map(|(_, how)| ending(how)).into(),
                crate::hunt::answer::Cell::Bool(pod.host_network),
            ],
            pod.events.clone(),
        );
    }
    section
}

/// Everything that whoever took the node holds.
fn rotate(context: &PivotContext<'_>, node: &str, requests: &[Request]) -> Section {
    let mut section = table::section("to rotate", &["what", "name", "why", "verdict"]);
    for credential in context.ledgers.credentials.used.values() {
        if credential.node.as_deref() != Some(node) || !credential.key.is_strong() {
            continue;
        }
        let kubelet = credential.user.starts_with("system:node:");
        let what = if kubelet { "certificate of the kubelet" } else { "token" };
        table::push(
            &mut section,
            vec![
                what.into(),
                credential.key.to_string().into(),
                format!("{} {}", credential.user, credential.pod.as_deref().unwrap_or_default())
                    .trim()
                    .into(),
                verdict_text(credential).into(),
            ],
            Vec::new(),
        );
    }
    let mut read: Vec<(String, Vec<crate::search::evidence::EventId>)> = Vec::new();
    for request in requests {
        let is_read = matches!(request.get("verb"), Some("get" | "list" | "watch"));
        if !is_read || request.get("resource") != Some("secrets") {
            continue;
        }
        let name = format!(
            "{}/{}",
            request.get("objectRef.namespace").unwrap_or_default(),
            request.get("name").unwrap_or("*")
        );
        match read.iter_mut().find(|(known, _)| *known == name) {
            Some((_, events)) => events.extend(&request.events),
            None => read.push((name, request.events.clone())),
        }
    }
    for (name, events) in read {
        table::push(
            &mut section,
            vec!["Secret".into(), name.into(), "read by the kubelet".into(), Default::default()],
            events,
        );
    }
    section
}
