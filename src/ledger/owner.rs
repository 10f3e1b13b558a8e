//! Asks the address ledger: whom an address stood for, who was on a node, what a pod had.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::ledger::address::AddressLedger;
use crate::ledger::address::Interval;
use crate::ledger::address::Owner;
use crate::ledger::address::Pod;

impl AddressLedger {
    /// Whom the address stood for at `time`.
    pub fn owner_at(&self, cluster: &str, address: IpAddr, time: Timestamp) -> Owner<'_> {
        if address.is_loopback() {
            return Owner::Loopback;
        }
        let key = (cluster.to_owned(), address);
        let mut held = self.intervals.get(&key).into_iter().flatten().rev();
        // The latest start wins where two intervals overlap.
        if let Some(interval) = held.find(|interval| interval.holds_at(time)) {
            if let Some(pod) = self.pods.get(interval.pod) {
                return Owner::Pod(pod, interval);
            }
        }
        if let Some(why) = self.shared.get(&key) {
            return Owner::Shared(why);
        }
        if let Some(node) = self.node_of_address.get(&key) {
            return Owner::Node(node);
        }
        if let Some(service) = self.balancers.get(&key) {
            return Owner::Balancer(service);
        }
        if self.in_pod_network(cluster, address) || self.intervals.contains_key(&key) {
            return Owner::PodNetwork { node: self.subnet_node(cluster, address) };
        }
        Owner::Unknown
    }

    /// Pods that were on `node` at `time` as far as the evidence shows: the candidates behind a
    /// node's address.
    pub fn pods_on(&self, cluster: &str, node: &str, time: Timestamp) -> Vec<&Pod> {
        self.pods
            .iter()
            .filter(|pod| pod.cluster == cluster && pod.node.as_deref() == Some(node))
            .filter(|pod| pod.first.is_none_or(|first| first <= time))
            .filter(|pod| pod.ended.is_none_or(|(ended, _)| time < ended))
            .collect()
    }

    /// All addresses a pod had.
    pub fn addresses_of(&self, pod: usize) -> Vec<(IpAddr, &Interval)> {
        let Some(cluster) = self.pods.get(pod).map(|pod| pod.cluster.as_str()) else {
            return Vec::new();
        };
        self.addresses_by_pod
            .get(&pod)
            .into_iter()
            .flatten()
            .flat_map(|address| {
                self.intervals_of(cluster, *address).iter().map(|one| (*address, one))
            })
            .filter(|(_, interval)| interval.pod == pod)
            .collect()
    }

    /// All clusters that anything is known about.
    pub fn clusters(&self) -> BTreeSet<&str> {
        let nodes = self.nodes.keys().map(|(cluster, _)| cluster.as_str());
        let pods = self.pods.iter().map(|pod| pod.cluster.as_str());
        nodes.chain(pods).chain(self.networks.keys().map(String::as_str)).collect()
    }

    /// One phrase on whom the address stood for at `time`, with what may not be concluded.
    pub fn describe(&self, cluster: &str, address: IpAddr, time: Timestamp) -> String {
        match self.owner_at(cluster, address, time) {
            Owner::Pod(pod, _) => format!("pod {}", pod.title()),
            Owner::Node(node) => format!("node {node}, pod not identifiable"),
            Owner::Shared(why) => format!("shared, identifies nobody ({why})"),
            Owner::Balancer(service) => format!("load balancer of {service}, identifies nobody"),
            Owner::PodNetwork { node: Some(node) } => {
                format!("pod network of node {node}, owner not known at that moment")
            }
            Owner::PodNetwork { node: None } => {
                "pod network, owner not known at that moment".to_owned()
            }
            Owner::Loopback => "the API server's own host".to_owned(),
            Owner::Unknown => "not known".to_owned(),
        }
    }
}
