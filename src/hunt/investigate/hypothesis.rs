//! Questions the evidence leaves open: readings side by side, and nobody named as a person.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::event::field::Field;
use crate::event::time::Timestamp;
use crate::hunt::investigate::ask::all;
use crate::hunt::investigate::ask::is;
use crate::hunt::investigate::ask::peer;
use crate::hunt::investigate::story::Hypothesis;
use crate::hunt::investigate::story::Reading;
use crate::hunt::investigate::trail::Role;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::address::Owner;
use crate::ledger::network::parse_address;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;

/// How long before a step something counts as near it.
const NEAR: i64 = 5_000_000;

/// More events than this near the steps prove nothing.
const MAX_NEAR: usize = 200;

/// Draws up the hypotheses of a trail.
///
/// # Errors
/// When the evidence cannot be read.
pub fn hypotheses(trail: &Trail<'_>) -> Result<Vec<Hypothesis>, SearchError> {
    let mut all = shared_workplace(trail)?;
    all.extend(own_node(trail));
    Ok(all)
}

/// Times of what the attacker did.
fn deeds(trail: &Trail<'_>) -> Vec<Timestamp> {
    let mut times: Vec<Timestamp> = trail
        .found
        .values()
        .filter(|found| matches!(found.role, Role::Use | Role::Denied))
        .filter_map(|found| found.event.time)
        .collect();
    times.sort_unstable();
    times
}

/// Other identities with the address and the agent of the stolen credential, right before steps.
fn shared_workplace(trail: &Trail<'_>) -> Result<Vec<Hypothesis>, SearchError> {
    let times = deeds(trail);
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (address, agent) in &trail.veiled {
        if address.is_empty() || agent.is_empty() {
            continue;
        }
        let mut parts = vec![peer(address), is("userAgent", agent)];
        parts.extend(trail.suspects.iter().map(|suspect| suspect.question.clone().negated()));
        let question = all(parts);
        let near = trail.ask.between(
            question.clone(),
            Timestamp(first.0.saturating_sub(NEAR)),
            Timestamp(last.0.saturating_add(1)),
            MAX_NEAR * 10,
        )?;
        let mut by_user: BTreeMap<String, Vec<(TimelineEvent, i64)>> = BTreeMap::new();
        for event in near {
            if trail.found.contains_key(&event.id) {
                continue;
            }
            let Some(time) = event.time else { continue };
            let next = times.iter().find(|deed| **deed >= time);
            if let Some(gap) = next.map(|deed| deed.0 - time.0).filter(|gap| *gap <= NEAR) {
                by_user.entry(event.user.clone()).or_default().push((event, gap));
            }
        }
        for (user, mut events) in by_user {
            events.truncate(MAX_NEAR);
            let question = all(vec![question.clone(), is("user.username", &user)]);
            found.push(workplace(trail, &user, (address, agent), events, &question)?);
        }
    }
    Ok(found)
}

fn workplace(
    trail: &Trail<'_>,
    user: &str,
    (address, agent): (&str, &str),
    events: Vec<(TimelineEvent, i64)>,
    question: &QueryAst,
) -> Result<Hypothesis, SearchError> {
    let shortest = events.iter().map(|(_, gap)| *gap).min().unwrap_or_default();
    let longest = events.iter().map(|(_, gap)| *gap).max().unwrap_or_default();
    let things: BTreeSet<String> = events
        .iter()
        .map(|(event, _)| format!("{} {} {}", event.verb, event.what(), event.object()))
        .collect();
    let things: Vec<String> = things.into_iter().take(4).collect();
    let seconds =
        |micros: i64| format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000);
    let near = format!(
        "{} requests of the account {user} ({}) lie {} to {} before steps of the story",
        events.len(),
        things.join("; "),
        seconds(shortest),
        seconds(longest)
    );
    let touched: Vec<&String> = trail
        .pods
        .iter()
        .filter(|pod| {
            let namespace = pod.split('/').next().unwrap_or_default();
            events.iter().any(|(event, _)| event.namespace == namespace)
        })
        .collect();
    let mut insider = vec![
        format!(
            "the stolen credential was used from {address} with {agent}, and so was this account"
        ),
        near,
    ];
    if !touched.is_empty() {
        insider.push(format!(
            "they concern the namespace of {}, a pod of the story",
            touched.iter().map(|pod| pod.as_str()).collect::<Vec<_>>().join(", ")
        ));
    }
    let shared = match parse_address(address)
        .map(|a| trail.ledgers.addresses.owner_at(&trail.cluster, a, Timestamp(0)))
    {
        Some(Owner::Shared(why)) => format!("the address identifies nobody: {why}"),
        _ => {
            let users = trail.ask.values(peer(address), Field::path("user.username"))?;
            format!("{} identities used this address", users.len())
        }
    };
    Ok(Hypothesis {
        title: format!(
            "the account {user} was used from the address and with the agent of the stolen credential, right before steps"
        ),
        readings: vec![
            Reading {
                reading: format!("one machine used both: whoever held the stolen credential also had a session of the account {user}"),
                speaks_for: insider,
                speaks_against: vec![shared.clone()],
            },
            Reading {
                reading: "two parties behind one address (NAT, VIP, proxy, jump host) with the same client".to_owned(),
                speaks_for: vec![shared, format!("{agent} is a common client")],
                speaks_against: vec!["the requests keep close to the steps in time".to_owned()],
            },
            Reading {
                reading: "the agent was imitated: it is whatever the client says".to_owned(),
                speaks_for: vec!["a user agent is not verified by the server".to_owned()],
                speaks_against: Vec::new(),
            },
        ],
        question: question.to_string(),
        events: events.into_iter().map(|(event, _)| event).collect(),
    })
}

/// Uses of a stolen credential from where it belongs: its own pod, or something else there.
fn own_node(trail: &Trail<'_>) -> Vec<Hypothesis> {
    let mut found = Vec::new();
    for suspect in &trail.suspects {
        let (Some(pod), Some(node)) = (&suspect.pod, &suspect.node) else { continue };
        let mut addresses = BTreeSet::new();
        let mut agents = BTreeSet::new();
        for one in trail.found.values() {
            let event = &one.event;
            if one.role != Role::Use || event.user != suspect.user {
                continue;
            }
            let (Some(address), Some(time)) = (parse_address(event.peer()), event.time) else {
                continue;
            };
            let owner = trail.ledgers.addresses.owner_at(&trail.cluster, address, time);
            if owner == Owner::Node(node) {
                addresses.insert(event.peer().to_owned());
                agents.insert(event.user_agent.clone());
            }
        }
        if addresses.is_empty() {
            continue;
        }
        let addresses: Vec<String> = addresses.into_iter().collect();
        let agents: Vec<String> = agents.into_iter().collect();
        let question = all(vec![
            suspect.question.clone(),
            QueryAst::any_of(addresses.iter().map(|address| peer(address)).collect()),
        ]);
        found.push(Hypothesis {
            title: format!(
                "the stolen credential was also used from {}, the address of its own node {node}",
                addresses.join(", ")
            ),
            readings: vec![
                Reading {
                    reading: format!("the attacker was inside pod {pod}: its traffic leaves with the address of its node"),
                    speaks_for: vec![
                        "pods on another node than the API server appear with their node's address".to_owned(),
                        format!("{} was not seen with this identity before", agents.join(", ")),
                    ],
                    speaks_against: Vec::new(),
                },
                Reading {
                    reading: format!("the attacker was on node {node} or in another pod of it"),
                    speaks_for: vec!["whoever is on the node can read the token of every pod there".to_owned()],
                    speaks_against: Vec::new(),
                },
                Reading {
                    reading: "the workload itself made these requests".to_owned(),
                    speaks_for: vec!["the place is where the credential belongs".to_owned()],
                    speaks_against: vec![format!("{} was not seen with this identity before", agents.join(", "))],
                },
            ],
            question: question.to_string(),
            events: Vec::new(),
        });
    }
    found
}
