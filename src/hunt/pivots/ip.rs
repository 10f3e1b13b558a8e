//! `ip ADDRESS`: who owned an address when, every identity that used it, and the identity switch.

use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
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
use crate::hunt::pivot_requests::PEER;
use crate::hunt::pivot_requests::RESOURCE;
use crate::hunt::pivot_requests::TIME;
use crate::hunt::pivot_requests::USER;
use crate::hunt::pivot_requests::VERB;
use crate::hunt::pivot_requests::counted;
use crate::hunt::pivot_requests::needs;
use crate::hunt::pivot_requests::one_argument;
use crate::hunt::pivot_requests::push;
use crate::hunt::pivot_requests::section;
use crate::ledger::address::Ending;
use crate::ledger::address::Owner;
use crate::ledger::grouping::Once;
use crate::ledger::network::parse_address;
use crate::ledger::question::is;
use crate::ledger::request;
use crate::ledger::request::Outcome;
use crate::ledger::request::Request;
use crate::search::evidence::EventId;

/// See the file's text.
#[derive(Debug)]
pub struct Ip;

impl Pivot for Ip {
    fn name(&self) -> &'static str {
        "ip"
    }

    fn about(&self) -> &'static str {
        "who owned an address over time, every identity that used it, and identity switches"
    }

    fn arguments(&self) -> &'static str {
        "ADDRESS"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let typed = one_argument(self, arguments)?;
        let Some(address) = parse_address(typed) else {
            return Err(HuntError::Usage(format!("{typed:?} is no address")));
        };
        let question = context.refined(is("ip", &address.to_string()));
        let mut answer = context.answer(self, &question);
        let requests = context.requests_to_sum(&mut answer, &question, &SUMMED)?;
        let mut named = Once::by(["peer"]);
        let (vouched, claimed): (Vec<&Request>, Vec<&Request>) =
            requests.iter().partition(|request| {
                let is_it =
                    |[peer]: [Option<&str>; 1]| peer.and_then(parse_address) == Some(address);
                named.of(request, is_it).is_some_and(|is_it| *is_it)
            });
        let owners = owners(context, address, &requests);
        answer.summary = summary(context, address, &requests, &owners);
        answer.sections.push(owners);
        answer.sections.push(identities(context, address, &vouched));
        let switches = switches(context, address, &vouched);
        if !switches.rows.is_empty() {
            answer.sections.push(switches);
        }
        let columns =
            [TIME, USER, AS, VERB, RESOURCE, NAMESPACE, NAME, CODE, OUTCOME, AGENT, CREDENTIAL];
        let listed = context.listed(&mut answer, &vouched, &columns)?;
        answer.sections.push(context.table("requests", &listed, &columns));
        if !claimed.is_empty() {
            let columns = [TIME, USER, VERB, RESOURCE, CODE, OUTCOME, PEER, AGENT];
            let claimed = request::with_columns(context.evidence, claimed, &needs(&columns))?;
            let mut table = context.table("requests that only claim it", &claimed, &columns);
            table.notes.push(
                "only the last of sourceIPs is vouched for; these name the address before it"
                    .to_owned(),
            );
            answer.sections.push(table);
        }
        answer.notes.extend(limits(context, address, &requests));
        Ok(answer)
    }
}

/// What is summed up.
const SUMMED: [&str; 4] = ["peer", "user", "ua", "credential"];

fn summary(
    context: &PivotContext<'_>,
    address: IpAddr,
    requests: &[Request],
    owners: &Section,
) -> String {
    let now = requests.iter().find_map(|request| {
        let time = request.time?;
        Some(context.owner_at(request.cluster(), address, time))
    });
    match now {
        Some(owner) => format!("{address}: {owner}; {}", counted(requests)),
        None if owners.rows.is_empty() => {
            format!("{address}: no request and no owner in this evidence")
        }
        None => format!("{address}: no request, but an owner is known"),
    }
}

/// What cannot be concluded from this address.
fn limits(context: &PivotContext<'_>, address: IpAddr, requests: &[Request]) -> Vec<String> {
    let mut notes = Vec::new();
    let ledger = &context.ledgers.addresses;
    let mut owners = Once::by(["cluster"]);
    let mut told: Vec<Owner<'_>> = Vec::new();
    for request in requests {
        let of =
            |[cluster]: [Option<&str>; 1]| ledger.owners_of(cluster.unwrap_or_default(), address);
        let Some((owners, time)) = owners.of(request, of).zip(request.time) else { continue };
        let owner = owners.at(time);
        // The candidates change with time; those of the first request are named.
        if told.iter().any(|known| known.is(&owner)) {
            continue;
        }
        told.push(owner.clone());
        let note = match owner {
            Owner::Node(node) => {
                let pods = ledger.pods_on(request.cluster(), node, time);
                let names: Vec<String> = pods.iter().take(20).map(|pod| pod.title()).collect();
                format!(
                    "node {node}, pod not identifiable; candidates known from the evidence: {}",
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                )
            }
            Owner::Shared(why) => format!("shared address, identifies nobody: {why}"),
            Owner::Balancer(service) => {
                format!("load balancer of {service}, identifies nobody")
            }
            _ => continue,
        };
        if !notes.contains(&note) && notes.len() < 3 {
            notes.push(note);
        }
    }
    notes
}

/// Owners over time: pods with their intervals, nodes, what is shared.
fn owners(context: &PivotContext<'_>, address: IpAddr, requests: &[Request]) -> Section {
    let mut owners = section(
        "owners over time",
        &["since", "until", "ended_by", "owner", "node", "service_account", "read_from", "cluster"],
    );
    let ledger = &context.ledgers.addresses;
    for ((cluster, _), intervals) in
        ledger.intervals.iter().filter(|((_, known), _)| *known == address)
    {
        for interval in intervals {
            let Some(pod) = ledger.pods.get(interval.pod) else { continue };
            let sources = interval.sources.iter().map(|source| source.name().to_owned());
            push(
                &mut owners,
                vec![
                    interval.since.into(),
                    interval.until.map(|(until, _)| until).into(),
                    interval.until.map(|(_, how)| ending(how)).into(),
                    format!("pod {}", pod.title()).into(),
                    pod.node.clone().into(),
                    pod.service_account.clone().into(),
                    sources.collect::<Vec<String>>().into(),
                    text_or_empty(cluster),
                ],
                interval.events(),
            );
        }
    }
    for (cluster, node) in ledger.nodes.keys() {
        if ledger.node_address(cluster, address) == Some(node) {
            let facts = ledger.nodes.get(&(cluster.clone(), node.clone()));
            let told = facts.is_some_and(|facts| facts.addresses.contains(&address));
            let read_from = if told { "kubelet status or node object" } else { "use" };
            let proof = facts.map(|facts| facts.proof.clone()).unwrap_or_default();
            let mut cells = vec![Cell::Empty; 3];
            cells.extend([
                format!("node {node}").into(),
                node.clone().into(),
                Cell::Empty,
                read_from.into(),
                text_or_empty(cluster),
            ]);
            push(&mut owners, cells, if told { proof } else { Vec::new() });
        }
    }
    let shared = ledger.shared.iter().map(|(key, why)| (key, format!("shared ({why})")));
    let balancers =
        ledger.balancers.iter().map(|(key, service)| (key, format!("load balancer of {service}")));
    for ((cluster, known), owner) in shared.chain(balancers) {
        if *known == address {
            let mut cells = vec![Cell::Empty; 3];
            cells.extend([owner.into(), Cell::Empty, Cell::Empty, "use".into()]);
            cells.push(text_or_empty(cluster));
            push(&mut owners, cells, Vec::new());
        }
    }
    if owners.rows.is_empty() {
        owners.notes.push(unknown_owner(context, address, requests));
    }
    owners
}

fn unknown_owner(context: &PivotContext<'_>, address: IpAddr, requests: &[Request]) -> String {
    let ledger = &context.ledgers.addresses;
    let cluster = requests.first().map(Request::cluster).unwrap_or_default();
    match ledger.subnet_node(cluster, address) {
        Some(node) => {
            format!("no event names the owner; the address is in the pod network of node {node}")
        }
        None if ledger.in_pod_network(cluster, address) => {
            "no event names the owner; the address is in the pod network".to_owned()
        }
        None => "no event of this evidence names an owner (bodies of pods/status, AddedInterface \
                 events or bound tokens would)"
            .to_owned(),
    }
}

fn text_or_empty(text: &str) -> Cell {
    if text.is_empty() { Cell::Empty } else { text.into() }
}

/// Words for an ending.
pub fn ending(how: Ending) -> &'static str {
    match how {
        Ending::Deleted => "deleted",
        Ending::Completed => "completed",
        Ending::Reused => "address given to another, or last use",
    }
}

#[derive(Default)]
struct Seen {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    allowed: i64,
    denied: i64,
    other: i64,
    agents: Vec<String>,
    events: Vec<EventId>,
}

/// Every identity that used the address, denied and allowed side by side.
fn identities(context: &PivotContext<'_>, address: IpAddr, requests: &[&Request]) -> Section {
    let mut table = section(
        "identities",
        &[
            "user",
            "credential",
            "first",
            "last",
            "allowed",
            "denied",
            "other",
            "agents",
            "judgement",
        ],
    );
    type Key = (String, String, String);
    let mut seen: Vec<(Key, Seen)> = Vec::new();
    let mut known: HashMap<Key, usize> = HashMap::new();
    let mut rows = Once::by(["cluster", "user", "credential", "ua"]);
    for request in requests {
        let row = rows.of(request, |[cluster, user, credential, agent]| {
            let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
            let key = (text(cluster), text(user), text(credential));
            let row = *known.entry(key.clone()).or_insert(seen.len());
            if row == seen.len() {
                seen.push((key, Seen::default()));
            }
            let one = seen.get_mut(row).map(|(_, one)| one);
            if let Some((one, agent)) = one.zip(agent) {
                if !one.agents.iter().any(|known| known == agent) {
                    one.agents.push(agent.to_owned());
                }
            }
            row
        });
        let Some((_, one)) = row.and_then(|row| seen.get_mut(*row)) else { continue };
        one.first = one.first.or(request.time);
        one.last = one.last.max(request.time);
        match request.outcome {
            Outcome::Succeeded => one.allowed += 1,
            Outcome::Failed(401 | 403) => one.denied += 1,
            _ => one.other += 1,
        }
        one.events.extend(&request.events);
    }
    seen.sort_by(|(ka, a), (kb, b)| (a.first, ka).cmp(&(b.first, kb)));
    for ((cluster, user, credential), one) in seen {
        let judgement = judgement(context, &cluster, &credential, address);
        push(
            &mut table,
            vec![
                user.into(),
                text_or_empty(&credential),
                one.first.into(),
                one.last.into(),
                one.allowed.into(),
                one.denied.into(),
                one.other.into(),
                one.agents.into(),
                judgement.into(),
            ],
            one.events,
        );
    }
    table
}

fn judgement(
    context: &PivotContext<'_>,
    cluster: &str,
    credential: &str,
    address: IpAddr,
) -> Option<String> {
    let found = context.ledgers.credentials.by_id(credential).find(|c| c.cluster == cluster)?;
    let origin = found
        .origins
        .iter()
        .find(|origin| origin.peer.as_deref().and_then(parse_address) == Some(address))?;
    Some(crate::hunt::pivots::credential::judgement_text(&origin.judgement))
}

/// Denied as one identity, then let in as another, from the same address; said only of addresses
/// that stand for one owner (attribution.md, rule 3).
fn switches(context: &PivotContext<'_>, address: IpAddr, requests: &[&Request]) -> Section {
    let mut table = section(
        "identity switch",
        &["denied_as", "last_denied", "allowed_as", "first_allowed", "seconds_between", "owner"],
    );
    let mut denied: Option<&Request> = None;
    let mut told: HashSet<(Option<&str>, Option<&str>)> = HashSet::new();
    let ledger = &context.ledgers.addresses;
    let mut owners = Once::by(["cluster"]);
    for request in requests {
        let of =
            |[cluster]: [Option<&str>; 1]| ledger.owners_of(cluster.unwrap_or_default(), address);
        let Some((owners, time)) = owners.of(request, of).zip(request.time) else { continue };
        let owner = owners.at(time);
        if matches!(owner, Owner::Shared(_) | Owner::Balancer(_) | Owner::Loopback) {
            continue;
        }
        match (request.outcome, denied) {
            (Outcome::Failed(401 | 403), _) => denied = Some(request),
            (Outcome::Succeeded, Some(before)) if before.get("user") != request.get("user") => {
                if !told.insert((before.get("user"), request.get("user"))) {
                    continue;
                }
                let gap = before.time.map(|before| time.0 - before.0);
                let mut events = before.events.clone();
                events.extend(&request.events);
                push(
                    &mut table,
                    vec![
                        before.get("user").into(),
                        before.time.into(),
                        request.get("user").into(),
                        time.into(),
                        gap.map(crate::hunt::pivot_requests::seconds).into(),
                        context.owner_at(request.cluster(), address, time).into(),
                    ],
                    events,
                );
            }
            _ => {}
        }
    }
    if !table.rows.is_empty() {
        table.notes.push(
            "denied as one identity and let in as another from the same place: that may be an \
             attacker who found a credential, or two programs in one pod"
                .to_owned(),
        );
    }
    table
}
