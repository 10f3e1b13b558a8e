//! `anonymous [CIDR...]`: denied requests without an identity from inside the cluster: a probe.

use crate::event::field::DECISION;
use crate::event::field::Field;
use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivot_tally::tally_owners;
use crate::ledger::network::Network;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::either;
use crate::ledger::question::is;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;

/// See the file's text.
#[derive(Debug)]
pub struct Anonymous;

impl Pivot for Anonymous {
    fn name(&self) -> &'static str {
        "anonymous"
    }

    fn about(&self) -> &'static str {
        "denied anonymous requests from the pod network and the nodes"
    }

    fn arguments(&self) -> &'static str {
        "[CIDR...]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let mut networks: Vec<Network> = Vec::new();
        for text in arguments {
            let single = crate::ledger::network::parse_address(text).map(whole);
            let network = Network::parse(text).or(single);
            networks
                .push(network.ok_or_else(|| HuntError::Usage(format!("{text:?} is no network")))?);
        }
        let given = !networks.is_empty();
        if !given {
            networks = inside(context);
        }
        let mut parts = vec![
            either([is("user", "system:anonymous"), is("group", "system:unauthenticated")]),
            either([any("code", &["401", "403"]), is(DECISION, "forbid")]),
        ];
        if !networks.is_empty() {
            parts.push(QueryAst::any_of(networks.iter().map(from).collect()));
        }
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        let requests = context.requests(&mut answer, &question, &[])?;
        answer.summary = format!("{} denied without an identity", table::counted(&requests));
        answer.notes.push(match (given, networks.is_empty()) {
            (true, _) => "only the networks given".to_owned(),
            (false, true) => "no pod network and no node address is known from this evidence: \
                              requests from everywhere are listed"
                .to_owned(),
            (false, false) => format!(
                "inside the cluster means, from the evidence: {}",
                networks.iter().map(Network::to_string).collect::<Vec<_>>().join(", ")
            ),
        });
        answer.sections.push(tally_owners(
            context,
            &requests,
            ("by address", "address"),
            ("peer", "peer"),
            |owner, _| owner,
        ));
        let columns = [
            table::TIME,
            table::VERB,
            table::URI,
            table::CODE,
            table::PEER,
            table::OWNER,
            table::CLAIMED,
            table::AGENT,
        ];
        answer.sections.push(context.table("requests", &requests, &columns));
        let let_in = all([
            either([is("user", "system:anonymous"), is("group", "system:unauthenticated")]),
            is(DECISION, "allow"),
            any("resource", &["secrets", "configmaps", "pods", "nodes", "namespaces"]),
        ]);
        let allowed = context.requests(&mut answer, &context.refined(let_in), &[])?;
        if !allowed.is_empty() {
            answer.sections.push(context.table("let in without an identity", &allowed, &columns));
        }
        Ok(answer)
    }
}

fn whole(address: std::net::IpAddr) -> Network {
    Network::around(address, if address.is_ipv4() { 32 } else { 128 })
}

fn from(network: &Network) -> QueryAst {
    QueryAst::Field {
        field: Field::Peer,
        test: Test::Network { address: network.address, prefix: network.prefix },
    }
}

/// Pod networks plus node addresses: where a pod's requests can come from (attribution.md, rule 1).
fn inside(context: &PivotContext<'_>) -> Vec<Network> {
    let ledger = &context.ledgers.addresses;
    let mut networks: Vec<Network> = ledger.networks.values().flatten().copied().collect();
    let outside = |networks: &[Network], address| !networks.iter().any(|n| n.contains(address));
    for facts in ledger.nodes.values() {
        for subnet in &facts.subnets {
            if outside(&networks, subnet.address) {
                networks.push(*subnet);
            }
        }
    }
    for facts in ledger.nodes.values() {
        for address in facts.addresses.iter().chain(&facts.inferred) {
            if outside(&networks, *address) {
                networks.push(whole(*address));
            }
        }
    }
    for (_, address) in ledger.intervals.keys() {
        if outside(&networks, *address) {
            networks.push(whole(*address));
        }
    }
    networks
}
