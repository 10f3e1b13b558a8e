//! Every rule of attribution that the ledgers hold, on small clusters.

use std::net::IpAddr;

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::event::time::Timestamp;
use crate::ledger::address::Ending;
use crate::ledger::address::Owner;
use crate::ledger::credential::Credential;
use crate::ledger::credential::CredentialKey;
use crate::ledger::judge::Away;
use crate::ledger::judge::Judgement;
use crate::ledger::request::Outcome;
use crate::ledger::testing::at;
use crate::ledger::testing::delete;
use crate::ledger::testing::evidence;
use crate::ledger::testing::ledgers;
use crate::ledger::testing::ovn;
use crate::ledger::testing::request;
use crate::ledger::testing::status;
use crate::ledger::testing::with_token;
use crate::query::ast::QueryAst;
use crate::search::evidence::SearchOptions;

const WEB: &str = "system:serviceaccount:shop:web";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn time(minute: u32, second: u32) -> Timestamp {
    Timestamp::parse(&at(minute, second)).unwrap()
}

/// Two nodes with two pods each, all told by bodies.
fn cluster() -> Vec<Value> {
    vec![
        ovn(&at(0, 1), "web", "n1", "10.128.0.5", 23),
        status(&at(0, 2), "web", "n1", "10.128.0.5", "192.168.1.1"),
        ovn(&at(0, 1), "db", "n1", "10.128.0.6", 23),
        ovn(&at(0, 1), "cache", "n2", "10.128.2.7", 23),
        status(&at(0, 2), "cache", "n2", "10.128.2.7", "192.168.1.2"),
    ]
}

fn used(id: &str, minute: u32, user: &str, peer: &str) -> Value {
    let event = request(id, &at(minute, 0), user, peer, "list", "/api/v1/secrets");
    with_token(event, "JTI=1", "web", "n1")
}

fn only(ledgers: &Ledgers, id: &str) -> Credential {
    ledgers.credentials.by_id(id).next().unwrap().clone()
}

fn judged(peer: &str) -> Judgement {
    let mut events = cluster();
    events.push(used("a", 5, WEB, peer));
    only(&ledgers(&events), "JTI=1").origins[0].judgement.clone()
}

#[test]
fn rule_1_a_node_address_names_the_node_and_no_pod() {
    let ledgers = ledgers(&cluster());
    let owner = ledgers.addresses.owner_at("", ip("192.168.1.1"), time(5, 0));
    assert_eq!(owner, Owner::Node("n1"));
    let candidates: Vec<String> =
        ledgers.addresses.pods_on("", "n1", time(5, 0)).iter().map(|pod| pod.title()).collect();
    assert_eq!(candidates, ["shop/web", "shop/db"]);
    let said = ledgers.addresses.describe("", ip("192.168.1.1"), time(5, 0));
    assert_eq!(said, "node n1, pod not identifiable");
}

#[test]
fn rule_2_an_address_is_free_after_deletion_and_may_be_reused() {
    let mut events = cluster();
    events.push(delete(&at(10, 0), "web", "system:node:n1"));
    events.push(ovn(&at(20, 0), "late", "n1", "10.128.0.5", 23));
    let ledgers = ledgers(&events);
    let owner = |minute| match ledgers.addresses.owner_at("", ip("10.128.0.5"), time(minute, 0)) {
        Owner::Pod(pod, _) => pod.name.clone(),
        Owner::PodNetwork { node } => format!("network of {}", node.unwrap_or("?")),
        other => panic!("{other:?}"),
    };
    assert_eq!(owner(5), "web");
    assert_eq!(owner(15), "network of n1");
    assert_eq!(owner(25), "late");
    // Before anything was said about it, nobody owned it.
    assert!(matches!(
        ledgers.addresses.owner_at("", ip("10.128.0.5"), time(0, 0)),
        Owner::PodNetwork { .. }
    ));
}

#[test]
fn rule_2_a_completed_pod_owns_nothing() {
    let mut events = cluster();
    let mut done = status(&at(10, 0), "web", "n1", "10.128.0.5", "192.168.1.1");
    done["requestObject"]["status"]["phase"] = json!("Succeeded");
    events.push(done);
    let ledgers = ledgers(&events);
    let intervals = ledgers.addresses.intervals_of("", ip("10.128.0.5"));
    assert_eq!(intervals.len(), 1);
    assert_eq!(intervals[0].until, Some((time(10, 0), Ending::Completed)));
}

#[test]
fn rule_2_reuse_without_a_deletion_in_the_evidence_ends_the_interval() {
    let mut events = cluster();
    events.push(ovn(&at(20, 0), "late", "n1", "10.128.0.5", 23));
    let ledgers = ledgers(&events);
    let intervals = ledgers.addresses.intervals_of("", ip("10.128.0.5"));
    assert_eq!(intervals[0].until, Some((time(20, 0), Ending::Reused)));
}

#[test]
fn rule_2_a_forged_status_is_not_believed_and_is_a_finding() {
    let mut events = cluster();
    let mut forged = status(&at(3, 0), "db", "n1", "10.128.0.99", "192.168.1.66");
    forged["user"]["username"] = json!("system:serviceaccount:shop:evil");
    events.push(forged);
    // Nor may the maker of a pod write its annotations beforehand.
    let mut made = ovn(&at(4, 0), "fake", "n1", "10.128.0.98", 23);
    made["user"]["username"] = json!("mallory");
    made["verb"] = json!("create");
    made["objectRef"].as_object_mut().unwrap().remove("subresource");
    events.push(made);
    let ledgers = ledgers(&events);
    for address in ["10.128.0.99", "10.128.0.98"] {
        assert!(ledgers.addresses.intervals_of("", ip(address)).is_empty(), "{address}");
    }
    assert_eq!(ledgers.addresses.node_address("", ip("192.168.1.66")), None);
    let forgeries = &ledgers.addresses.forgeries;
    assert_eq!(forgeries.len(), 1);
    assert_eq!(forgeries[0].pod, "shop/db");
    assert_eq!(forgeries[0].claims, [ip("10.128.0.99")]);
}

#[test]
fn rule_2_without_bodies_the_use_of_a_bound_token_tells_the_address() {
    let events = [
        with_token(request("a", &at(1, 0), WEB, "10.9.0.5", "get", "/x"), "JTI=1", "web", "n1"),
        with_token(request("b", &at(2, 0), WEB, "10.9.0.5", "get", "/x"), "JTI=1", "web", "n1"),
    ];
    let ledgers = ledgers(&events);
    let Owner::Pod(pod, interval) = ledgers.addresses.owner_at("", ip("10.9.0.5"), time(1, 30))
    else {
        panic!("no owner")
    };
    assert_eq!(pod.name, "web");
    assert!(interval.proof.is_empty() && interval.sources.len() == 1);
    // Outside the time of its use nothing is known.
    let later = ledgers.addresses.owner_at("", ip("10.9.0.5"), time(9, 0));
    assert!(!matches!(later, Owner::Pod(..)), "{later:?}");
    // And nobody is accused on such evidence.
    assert_eq!(ledgers.credentials.accused().count(), 0);
}

#[test]
fn host_network_pods_and_both_families() {
    let mut both = status(&at(0, 3), "db", "n1", "10.128.0.6", "192.168.1.1");
    both["requestObject"]["status"]["podIPs"] = json!([{"ip": "10.128.0.6"}, {"ip": "fd01::6"}]);
    let events = [both, status(&at(0, 4), "proxy", "n1", "192.168.1.1", "192.168.1.1")];
    let ledgers = ledgers(&events);
    let owner = |address| ledgers.addresses.owner_at("", ip(address), time(1, 0));
    assert!(matches!(owner("fd01::6"), Owner::Pod(pod, _) if pod.name == "db"));
    assert_eq!(owner("192.168.1.1"), Owner::Node("n1"));
    assert!(ledgers.addresses.pods.iter().any(|pod| pod.name == "proxy" && pod.host_network));
}

#[test]
fn rule_3_an_address_of_two_nodes_identifies_nobody() {
    let mut events = cluster();
    events.push(used("a", 5, WEB, "192.0.2.77"));
    let other = request("b", &at(6, 0), "system:node:n2", "192.0.2.77", "get", "/x");
    events.push(other);
    let ledgers = ledgers(&events);
    let owner = ledgers.addresses.owner_at("", ip("192.0.2.77"), time(5, 0));
    assert!(matches!(owner, Owner::Shared(_)), "{owner:?}");
    let credential = only(&ledgers, "JTI=1");
    assert_eq!(credential.origins[0].judgement, Judgement::Shared);
}

#[test]
fn rule_3_a_thief_does_not_make_a_pod_address_shared() {
    let mut events = cluster();
    events.push(used("a", 5, WEB, "10.128.2.7"));
    let own =
        request("b", &at(6, 0), "system:serviceaccount:shop:cache", "10.128.2.7", "get", "/x");
    events.push(with_token(own, "JTI=2", "cache", "n2"));
    let ledgers = ledgers(&events);
    let accused: Vec<String> = ledgers.credentials.accused().map(|c| c.key.to_string()).collect();
    assert_eq!(accused, ["JTI=1"]);
}

#[test]
fn rule_4_only_the_last_address_is_judged() {
    let mut events = cluster();
    let mut event = used("a", 5, WEB, "10.128.0.5");
    event["sourceIPs"] = json!(["203.0.113.66", "10.128.0.5"]);
    events.push(event);
    let credential = only(&ledgers(&events), "JTI=1");
    assert_eq!(credential.origins.len(), 1);
    assert_eq!(credential.origins[0].judgement, Judgement::Own);
    assert_eq!(credential.origins[0].peer.as_deref(), Some("10.128.0.5"));
}

#[test]
fn rule_6_own_pod_and_own_node_are_one_origin() {
    assert_eq!(judged("10.128.0.5"), Judgement::Own);
    assert_eq!(judged("192.168.1.1"), Judgement::Own);
    assert_eq!(judged("::1"), Judgement::Own);
}

#[test]
fn rule_6_another_pod_another_node_and_outside_accuse() {
    let why = |peer: &str| match judged(peer) {
        Judgement::Away(why, strength) => {
            assert_eq!(strength, crate::ledger::judge::Strength::Strong, "{peer}");
            why
        }
        other => panic!("{peer}: {other:?}"),
    };
    assert_eq!(why("10.128.2.7"), Away::OtherPod("shop/cache".to_owned()));
    assert_eq!(why("10.128.0.6"), Away::OtherPod("shop/db".to_owned()));
    assert_eq!(why("10.128.2.99"), Away::OtherSubnet("n2".to_owned()));
    assert_eq!(why("192.168.1.2"), Away::OtherNode("n2".to_owned()));
    assert_eq!(why("203.0.113.5"), Away::Outside);
}

#[test]
fn rule_6_too_little_evidence_accuses_nobody() {
    // No pod network is known: any address may be one of its node's.
    let events = [
        status(&at(0, 2), "web", "n1", "10.128.0.5", "192.168.1.1"),
        used("a", 5, WEB, "203.0.113.5"),
    ];
    let credential = only(&ledgers(&events), "JTI=1");
    assert!(matches!(credential.origins[0].judgement, Judgement::Undecidable(_)));
}

#[test]
fn rule_6_an_address_that_changes_hands_is_judged_at_each_use() {
    let mut events = cluster();
    events.push(used("a", 5, WEB, "10.128.0.5"));
    events.push(delete(&at(10, 0), "web", "system:node:n1"));
    events.push(ovn(&at(20, 0), "late", "n1", "10.128.0.5", 23));
    events.push(used("b", 25, WEB, "10.128.0.5"));
    let credential = only(&ledgers(&events), "JTI=1");
    let accused: Vec<String> = credential.accused().map(|(_, why)| why.to_string()).collect();
    assert_eq!(accused, ["the address belonged to pod shop/late"]);
}

#[test]
fn rule_5_every_cluster_has_its_own_owners() {
    use crate::event::place::Origin;
    use crate::search::scan::MemoryEvidence;
    use crate::search::scan::ScanRecord;
    let record = |cluster: &str, event: Value, line: u64| ScanRecord {
        event: event.to_string().into_bytes(),
        origin: Origin { cluster: Some(cluster.to_owned()), ..Origin::default() },
        source: format!("{cluster}.log"),
        line,
        offset: line,
        ..ScanRecord::default()
    };
    let records = [
        record("east", ovn(&at(0, 1), "web", "n1", "10.128.0.5", 23), 1),
        record("west", ovn(&at(0, 1), "db", "n9", "10.128.0.5", 23), 1),
        record("east", used("a", 5, WEB, "10.128.0.5"), 2),
    ];
    let ledgers = Ledgers::build(&MemoryEvidence::new(records)).unwrap();
    let owner = |cluster| match ledgers.addresses.owner_at(cluster, ip("10.128.0.5"), time(5, 0)) {
        Owner::Pod(pod, _) => pod.name.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((owner("east"), owner("west")), ("web".to_owned(), "db".to_owned()));
    assert_eq!(ledgers.credentials.accused().count(), 0);
}

#[test]
fn rule_7_without_a_credential_id_the_name_is_weak_but_the_pod_still_tells() {
    let mut events = cluster();
    let mut stolen = used("a", 5, WEB, "10.128.2.7");
    stolen["user"]["uid"] = json!("user-uid");
    let extra = stolen["user"]["extra"].as_object_mut().unwrap();
    extra.remove("authentication.kubernetes.io/credential-id");
    events.push(stolen);
    events.push(request("b", &at(6, 0), "alice", "192.0.2.8", "get", "/x"));
    let ledgers = ledgers(&events);
    let keys: Vec<&CredentialKey> = ledgers.credentials.used.values().map(|c| &c.key).collect();
    let pod = CredentialKey::Pod { user: "user-uid".to_owned(), pod: "uid-web".to_owned() };
    let agent = CredentialKey::Agent { user: "alice".to_owned(), agent: "test/1".to_owned() };
    assert!(keys.contains(&&pod) && keys.contains(&&agent), "{keys:?}");
    assert!(keys.iter().all(|key| !key.is_strong()));
    let accused: Vec<&CredentialKey> =
        ledgers.credentials.accused().map(|credential| &credential.key).collect();
    assert_eq!(accused, [&pod]);
}

#[test]
fn rule_7_renewed_tokens_of_a_pod_are_one_chain() {
    let mut events = cluster();
    events.push(used("a", 5, WEB, "10.128.0.5"));
    let next = request("b", &at(55, 0), WEB, "10.128.0.5", "get", "/x");
    events.push(with_token(next, "JTI=0", "web", "n1"));
    let ledgers = ledgers(&events);
    let chain: Vec<String> = ledgers
        .credentials
        .chain_of(&only(&ledgers, "JTI=0"))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(chain, ["JTI=1", "JTI=0"]);
}

fn requests(events: &[Value]) -> Vec<request::Request> {
    let evidence = evidence(events);
    request::ask(&evidence, &QueryAst::All, &SearchOptions::default(), &[]).unwrap().list
}

#[test]
fn rule_11_an_aggregated_server_writes_the_same_request_again() {
    let uri = "/apis/route.openshift.io/v1/routes";
    let front = request("a", &at(5, 0), WEB, "10.128.0.5", "list", uri);
    let mut copy = request("a", "2025-07-02T10:05:00.003000Z", WEB, "192.168.1.1", "list", uri);
    copy["sourceIPs"] = json!(["10.128.0.5", "192.168.1.1"]);
    let joined = requests(&[copy.clone(), front]);
    assert_eq!(joined.len(), 1);
    assert_eq!((joined[0].get("peer"), joined[0].servers), (Some("10.128.0.5"), 2));
    assert_eq!(joined[0].events.len(), 2);
    // A client may choose the id: another request under it stays another request.
    let chosen = request("a", &at(5, 0), "mallory", "10.128.2.7", "get", "/api/v1/secrets");
    assert_eq!(requests(&[copy, chosen]).len(), 2);
}

#[test]
fn rule_11_a_copy_on_another_node_accuses_nobody() {
    let mut events = cluster();
    let uri = "/apis/route.openshift.io/v1/routes";
    let token = |event| with_token(event, "JTI=1", "web", "n1");
    events.push(token(request("a", &at(5, 0), WEB, "10.128.0.5", "list", uri)));
    let mut copy = request("a", "2025-07-02T10:05:00.003000Z", WEB, "192.168.1.2", "list", uri);
    copy["sourceIPs"] = json!(["10.128.0.5", "192.168.1.2"]);
    events.push(token(copy));
    assert_eq!(ledgers(&events).credentials.accused().count(), 0);
}

#[test]
fn rule_12_unfinished_is_not_failed_and_stages_are_one_request() {
    let mut started = request("a", &at(5, 0), WEB, "10.128.0.5", "watch", "/x");
    started["stage"] = json!("ResponseStarted");
    let mut ended = started.clone();
    ended["stage"] = json!("ResponseComplete");
    ended["stageTimestamp"] = json!("2025-07-02T10:05:02.800000Z");
    let open = requests(std::slice::from_ref(&started));
    assert_eq!((open.len(), open[0].outcome), (1, Outcome::Unfinished));
    let both = requests(&[started, ended]);
    assert_eq!((both.len(), both[0].outcome), (1, Outcome::Succeeded));
    assert_eq!(both[0].length(), Some(2_800_000));
    let mut refused = request("b", &at(5, 0), WEB, "10.128.0.5", "get", "/x");
    refused["responseStatus"]["code"] = json!(403);
    assert_eq!(requests(&[refused])[0].outcome, Outcome::Failed(403));
}
