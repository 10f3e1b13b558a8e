//! What Event objects, node objects and services tell about addresses.

use std::collections::BTreeSet;

use crate::ledger::network::Network;
use crate::ledger::network::parse_address;
use crate::ledger::network::parse_interface;
use crate::ledger::observed::BalancerEvent;
use crate::ledger::observed::NodeEvent;
use crate::ledger::observed::Observed;
use crate::ledger::observed::PodEvent;
use crate::ledger::observed::Source;
use crate::ledger::observed::failed;
use crate::ledger::observed::may_write_status;
use crate::ledger::pod_networks::added_interface;
use crate::ledger::pod_networks::networks_in_json;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::either;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::table::Table;
use crate::ledger::usage::node_of_user;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;

/// `AddedInterface`: only multus is believed, because anybody may create Event objects.
pub(super) fn interfaces(
    evidence: &dyn Evidence,
    observed: &mut Observed,
) -> Result<(), SearchError> {
    let question = all([
        is("resource", "events"),
        any("verb", &["create", "patch"]),
        is("requestObject.reason", "AddedInterface"),
    ]);
    let columns = [
        "cluster",
        "user",
        "code",
        "objectRef.namespace",
        "requestObject.message",
        "requestObject.note",
        "requestObject.involvedObject.namespace",
        "requestObject.involvedObject.name",
        "requestObject.involvedObject.uid",
        "requestObject.regarding.namespace",
        "requestObject.regarding.name",
        "requestObject.regarding.uid",
    ];
    let table = Table::all(evidence, &question, &columns)?;
    for line in table.lines().filter(|line| !failed(line)) {
        let user = line.get("user").unwrap_or_default();
        if !(user.starts_with("system:multus:") || may_write_status(user)) {
            continue;
        }
        let name =
            line.first_of(&["requestObject.involvedObject.name", "requestObject.regarding.name"]);
        let (Some(time), Some(name)) = (line.time(), name) else { continue };
        let message = line.first_of(&["requestObject.message", "requestObject.note"]);
        let mut event = PodEvent::bare(&line, time, name);
        if let Some(namespace) = line.first_of(&[
            "requestObject.involvedObject.namespace",
            "requestObject.regarding.namespace",
        ]) {
            namespace.clone_into(&mut event.namespace);
        }
        event.uid = line
            .first_of(&["requestObject.involvedObject.uid", "requestObject.regarding.uid"])
            .map(str::to_owned);
        event.node = node_of_user(user).map(str::to_owned);
        for (address, prefix) in added_interface(message.unwrap_or_default()).addresses {
            event.addresses.push((address, prefix, Source::Interface));
        }
        observed.pods.push(event);
    }
    Ok(())
}

/// Node objects and their status: own addresses, and the networks given to their pods.
pub(super) fn nodes(evidence: &dyn Evidence, observed: &mut Observed) -> Result<(), SearchError> {
    const SUBNETS: [&str; 2] = [
        "requestObject.metadata.annotations.k8s.ovn.org/node-subnets",
        "responseObject.metadata.annotations.k8s.ovn.org/node-subnets",
    ];
    const HOSTS: [&str; 2] = [
        "requestObject.metadata.annotations.k8s.ovn.org/host-cidrs",
        "responseObject.metadata.annotations.k8s.ovn.org/host-cidrs",
    ];
    let question = all([
        is("resource", "nodes"),
        any("verb", &["create", "update", "patch"]),
        // Only events with a body can tell anything.
        either([has("requestObject"), has("responseObject")]),
    ]);
    let columns = [
        "cluster",
        "user",
        "code",
        "name",
        "requestObject.status.addresses.address",
        "responseObject.status.addresses.address",
        "responseObject.spec.podCIDR",
        "responseObject.spec.podCIDRs",
        SUBNETS[0],
        SUBNETS[1],
        HOSTS[0],
        HOSTS[1],
    ];
    let table = Table::all(evidence, &question, &columns)?;
    for line in table.lines().filter(|line| !failed(line)) {
        let Some(node) = line.get("name") else { continue };
        if !line.get("user").is_some_and(may_write_status) {
            continue;
        }
        let mut event = NodeEvent {
            cluster: line.cluster(),
            node: node.to_owned(),
            addresses: BTreeSet::new(),
            subnets: BTreeSet::new(),
            time: line.time(),
            event: line.id(),
        };
        for column in
            ["requestObject.status.addresses.address", "responseObject.status.addresses.address"]
        {
            event.addresses.extend(line.all(column).iter().filter_map(|text| parse_address(text)));
        }
        for text in HOSTS.iter().flat_map(|column| line.all(column)) {
            event.addresses.extend(networks_in_json(text).into_iter().map(|(address, _)| address));
        }
        for text in ["responseObject.spec.podCIDR", "responseObject.spec.podCIDRs"]
            .iter()
            .flat_map(|column| line.all(column))
        {
            event.subnets.extend(Network::parse(text));
        }
        for text in SUBNETS.iter().flat_map(|column| line.all(column)) {
            for (address, prefix) in networks_in_json(text) {
                event.subnets.extend(prefix.map(|prefix| Network::around(address, prefix)));
            }
        }
        observed.nodes.push(event);
    }
    Ok(())
}

/// Services that were given an address from outside.
pub(super) fn balancers(
    evidence: &dyn Evidence,
    observed: &mut Observed,
) -> Result<(), SearchError> {
    const INGRESS: [&str; 2] = [
        "requestObject.status.loadBalancer.ingress.ip",
        "responseObject.status.loadBalancer.ingress.ip",
    ];
    let question = all([
        is("resource", "services"),
        any("verb", &["create", "update", "patch"]),
        either(INGRESS.map(has)),
    ]);
    let columns = ["cluster", "code", "ns", "name", INGRESS[0], INGRESS[1]];
    let table = Table::all(evidence, &question, &columns)?;
    for line in table.lines().filter(|line| !failed(line)) {
        for text in INGRESS.iter().flat_map(|column| line.all(column)) {
            let Some((address, _)) = parse_interface(text) else { continue };
            observed.balancers.push(BalancerEvent {
                cluster: line.cluster(),
                service: format!(
                    "{}/{}",
                    line.get("ns").unwrap_or_default(),
                    line.get("name").unwrap_or_default()
                ),
                address,
                time: line.time(),
                event: line.id(),
            });
        }
    }
    Ok(())
}
