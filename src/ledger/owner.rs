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
        self.owners_of(cluster, address).at(time)
    }

    /// Whom the address stood for at any time: for whoever asks about many moments.
    pub fn owners_of(&self, cluster: &str, address: IpAddr) -> Owners<'_> {
        if address.is_loopback() {
            return Owners { ledger: self, intervals: &[], otherwise: Owner::Loopback };
        }
        let key = (cluster.to_owned(), address);
        let intervals = self.intervals.get(&key);
        let otherwise = if let Some(why) = self.shared.get(&key) {
            Owner::Shared(why)
        } else if let Some(node) = self.node_of_address.get(&key) {
            Owner::Node(node)
        } else if let Some(service) = self.balancers.get(&key) {
            Owner::Balancer(service)
        } else if self.in_pod_network(cluster, address) || intervals.is_some() {
            Owner::PodNetwork { node: self.subnet_node(cluster, address) }
        } else {
            Owner::Unknown
        };
        Owners { ledger: self, intervals: intervals.map_or(&[], Vec::as_slice), otherwise }
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
        self.owner_at(cluster, address, time).to_string()
    }
}

/// Whom one address stood for over time.
#[derive(Clone, Debug)]
pub struct Owners<'l> {
    ledger: &'l AddressLedger,
    intervals: &'l [Interval],
    otherwise: Owner<'l>,
}

impl<'l> Owners<'l> {
    /// Whom it stood for at `time`.
    pub fn at(&self, time: Timestamp) -> Owner<'l> {
        // The latest start wins where two intervals overlap.
        if let Some(interval) = self.intervals.iter().rev().find(|one| one.holds_at(time)) {
            if let Some(pod) = self.ledger.pods.get(interval.pod) {
                return Owner::Pod(pod, interval);
            }
        }
        self.otherwise.clone()
    }
}

impl Owner<'_> {
    /// Says whether this is the same entry of the ledger; cheaper than comparing what it says.
    pub fn is(&self, other: &Owner<'_>) -> bool {
        match (self, other) {
            (Owner::Pod(a, one), Owner::Pod(b, other)) => {
                std::ptr::eq(*a, *b) && std::ptr::eq(*one, *other)
            }
            (Owner::Pod(..), _) | (_, Owner::Pod(..)) => false,
            (a, b) => a == b,
        }
    }
}

/// One phrase, with what may not be concluded.
impl std::fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Owner::Pod(pod, _) => write!(f, "pod {}", pod.title()),
            Owner::Node(node) => write!(f, "node {node}, pod not identifiable"),
            Owner::Shared(why) => write!(f, "shared, identifies nobody ({why})"),
            Owner::Balancer(service) => {
                write!(f, "load balancer of {service}, identifies nobody")
            }
            Owner::PodNetwork { node: Some(node) } => {
                write!(f, "pod network of node {node}, owner not known at that moment")
            }
            Owner::PodNetwork { node: None } => {
                f.write_str("pod network, owner not known at that moment")
            }
            Owner::Loopback => f.write_str("the API server's own host"),
            Owner::Unknown => f.write_str("not known"),
        }
    }
}
