//! What only the use of addresses tells: addresses that identify nobody, and, where no body says
//! more, addresses of nodes and pods (attribution.md, rules 2 and 3).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::ledger::address::AddressLedger;
use crate::ledger::address::Ending;
use crate::ledger::address::Interval;
use crate::ledger::address::Pod;
use crate::ledger::network::Network;
use crate::ledger::observe::Source;
use crate::ledger::usage::Use;

impl AddressLedger {
    /// Learns from the use of addresses what no body tells: addresses that identify nobody
    /// (attribution.md, rule 3), node addresses and pod addresses (rule 2).
    pub fn learn_from_use(&mut self, uses: &[Use]) {
        let mut by_address: BTreeMap<(String, IpAddr), Vec<&Use>> = BTreeMap::new();
        for one in
            uses.iter().filter(|one| !crate::ledger::usage::is_aggregated(one.log.as_deref()))
        {
            if let Some(address) = one.address().filter(|address| !address.is_loopback()) {
                by_address.entry((one.cluster.clone(), address)).or_default().push(one);
            }
        }
        let mut single: Vec<((String, IpAddr), &Use)> = Vec::new();
        for (key, uses) in by_address {
            if self.node_of_address.contains_key(&key) || self.intervals.contains_key(&key) {
                continue;
            }
            if self.in_pod_network(&key.0, key.1) {
                single.extend(self.only_pod(&key, &uses).map(|one| (key.clone(), one)));
                continue;
            }
            match meaning(&uses, |one| self.own_node(one)) {
                Meaning::Shared(why) => {
                    self.shared.entry(key).or_insert(why);
                }
                Meaning::Node(node) => {
                    self.nodes
                        .entry((key.0.clone(), node.clone()))
                        .or_default()
                        .inferred
                        .insert(key.1);
                    self.node_of_address.insert(key, node);
                }
                Meaning::Pods(pods) => {
                    single.extend(pods.into_iter().map(|one| (key.clone(), one)));
                }
                Meaning::Nothing => {}
            }
        }
        self.learn_pods(&single);
    }

    /// The use by the one pod that used an address of the pod network, unless a body gives that
    /// pod another address, or the address lies in the network of another node.
    fn only_pod<'u>(&self, key: &(String, IpAddr), uses: &[&'u Use]) -> Option<&'u Use> {
        let mut bound = uses.iter().copied().filter(|one| one.pod.is_some());
        let first = bound.next()?;
        if bound.any(|one| one.identity() != first.identity()) {
            return None;
        }
        let node = self.own_node(first);
        let elsewhere =
            self.subnet_node(&key.0, key.1).is_some_and(|owner| node.as_deref() != Some(owner));
        let (namespace, name) = first.bound_pod()?;
        let other_address = self
            .pods_named(&key.0, namespace, name)
            .any(|(at, pod)| pod.host_network || self.has_other_address(at, key.1));
        (!elsewhere && !other_address).then_some(first)
    }

    /// Says whether a body gives the pod an address of the same family that is not this one.
    pub fn has_other_address(&self, pod: usize, address: IpAddr) -> bool {
        self.addresses_by_pod.get(&pod).is_some_and(|known| {
            let same_family = |one: &&IpAddr| one.is_ipv4() == address.is_ipv4();
            !known.contains(&address) && known.iter().any(|one| same_family(&one))
        })
    }

    /// Pod addresses by their use: believed where the neighbourhood does not speak against it.
    fn learn_pods(&mut self, single: &[((String, IpAddr), &Use)]) {
        for ((cluster, address), one) in single {
            if self.in_pod_network(cluster, *address) {
                continue;
            }
            let (Some(node), Some(pod)) = (self.own_node(one), one.pod.clone()) else { continue };
            let block = Network::around(*address, neighbourhood(*address));
            self.blocks
                .entry((cluster.clone(), block))
                .or_default()
                .entry(node)
                .or_default()
                .insert(pod);
        }
        // A pod has one address per family: where its token was used from two, which of them was
        // the pod's own is not known.
        let mut candidates: HashMap<(&str, String, bool), BTreeSet<IpAddr>> = HashMap::new();
        for ((cluster, address), one) in single {
            let key = (cluster.as_str(), one.identity(), address.is_ipv4());
            candidates.entry(key).or_default().insert(*address);
        }
        for ((cluster, address), one) in single {
            let key = (cluster.as_str(), one.identity(), address.is_ipv4());
            if candidates.get(&key).is_some_and(|known| known.len() > 1)
                || (self.knows_pod_network(cluster, *address)
                    && !self.in_pod_network(cluster, *address))
            {
                continue;
            }
            let (Some((namespace, name)), Some(first), Some(last)) =
                (one.bound_pod(), one.first, one.last)
            else {
                continue;
            };
            let Some(node) = self.own_node(one) else { continue };
            if self.neighbours_of_other_node(cluster, *address, &node).is_some() {
                continue;
            }
            let known = self.pods_named(cluster, namespace, name).next_back().map(|(at, _)| at);
            if known.is_some_and(|at| self.has_other_address(at, *address)) {
                continue;
            }
            let pod = known.unwrap_or_else(|| {
                self.add_pod(Pod {
                    cluster: cluster.clone(),
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    uid: one.pod_uid.clone(),
                    service_account: one
                        .user
                        .rsplit_once(':')
                        .map(|(_, account)| account.to_owned()),
                    node: Some(node),
                    first: Some(first),
                    ..Pod::default()
                })
            });
            if known.is_none() || !self.addresses_by_pod.entry(pod).or_default().contains(address) {
                self.addresses_by_pod.entry(pod).or_default().push(*address);
            }
            let intervals = self.intervals.entry((cluster.clone(), *address)).or_default();
            let until = Some((Timestamp(last.0 + 1), Ending::Reused));
            match intervals.iter_mut().find(|interval| interval.pod == pod) {
                Some(interval) => {
                    interval.since = interval.since.min(first);
                    interval.until = interval.until.max_by_time(until);
                }
                None => intervals.push(Interval {
                    pod,
                    since: first,
                    until,
                    sources: BTreeSet::from([Source::Use]),
                    proof: Vec::new(),
                }),
            }
            intervals.sort_by_key(|interval| (interval.since, interval.pod));
        }
    }

    /// The node an identity belongs to: what its token says, else where its pod was bound.
    pub fn own_node(&self, one: &Use) -> Option<String> {
        if let Some(node) = one.own_node() {
            return Some(node.to_owned());
        }
        let (namespace, name) = one.bound_pod()?;
        let (_, pod) = self.pods_named(&one.cluster, namespace, name).rev().find(|(_, pod)| {
            one.pod_uid.is_none() || pod.uid.is_none() || pod.uid == one.pod_uid
        })?;
        pod.node.clone()
    }

    /// The one node, not `own`, whose pods fill the neighbourhood of `address` while `own`'s pods
    /// live elsewhere; only where no network is known from bodies.
    pub fn neighbours_of_other_node(
        &self,
        cluster: &str,
        address: IpAddr,
        own: &str,
    ) -> Option<&str> {
        if self.networks.get(cluster).is_some_and(|networks| !networks.is_empty()) {
            return None;
        }
        let block = Network::around(address, neighbourhood(address));
        let here = self.blocks.get(&(cluster.to_owned(), block))?;
        if here.get(own).map_or(0, BTreeSet::len) > 1 {
            return None;
        }
        let own_lives_elsewhere = self.blocks.iter().any(|((of, other), nodes)| {
            of == cluster && *other != block && nodes.get(own).is_some_and(|pods| pods.len() > 1)
        });
        let mut others = here.iter().filter(|(node, _)| *node != own);
        match (others.next(), others.next()) {
            (Some((node, pods)), None) if pods.len() > 1 && own_lives_elsewhere => Some(node),
            _ => None,
        }
    }
}

trait LaterEnd {
    fn max_by_time(self, other: Self) -> Self;
}

impl LaterEnd for Option<(Timestamp, Ending)> {
    fn max_by_time(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(if b.0 > a.0 { b } else { a }),
            // No end is the latest end.
            _ => None,
        }
    }
}

/// Length of the prefix of a neighbourhood of pods, where no mask is known.
fn neighbourhood(address: IpAddr) -> u8 {
    if address.is_ipv4() { 24 } else { 64 }
}

enum Meaning<'u> {
    Shared(String),
    Node(String),
    Pods(Vec<&'u Use>),
    Nothing,
}

/// What it means that these identities used one address.
fn meaning<'u>(uses: &[&'u Use], own_node: impl Fn(&Use) -> Option<String>) -> Meaning<'u> {
    let mut identities: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut kubelets: BTreeSet<&str> = BTreeSet::new();
    for one in uses {
        if let Some(node) = own_node(one) {
            identities.entry(node).or_default().insert(one.identity());
        }
        kubelets.extend(one.user.strip_prefix("system:node:"));
    }
    if kubelets.len() > 1 {
        return Meaning::Shared(format!("used by the kubelets of {} nodes", kubelets.len()));
    }
    let mut counts: Vec<(usize, String)> =
        identities.iter().map(|(node, who)| (who.len(), node.clone())).collect();
    counts.sort_by(|a, b| b.cmp(a));
    match (counts.first(), counts.get(1)) {
        (None, _) => Meaning::Nothing,
        // One stranger among many of one node: the address is that node's, the stranger is not.
        (Some((most, node)), Some(_))
            if *most >= 3 && counts.iter().skip(1).map(|(n, _)| n).sum::<usize>() == 1 =>
        {
            Meaning::Node(node.clone())
        }
        (Some(_), Some(_)) => {
            Meaning::Shared(format!("used by identities of {} nodes", counts.len()))
        }
        (Some((_, node)), None) => {
            let kubelet = kubelets.contains(node.as_str());
            if kubelet || pods_at_once(uses) {
                Meaning::Node(node.clone())
            } else {
                Meaning::Pods(uses.iter().copied().filter(|one| one.pod.is_some()).collect())
            }
        }
    }
}

/// Says whether two pods used the address at overlapping times, which no pod address allows.
fn pods_at_once(uses: &[&Use]) -> bool {
    let mut spans: BTreeMap<String, (Timestamp, Timestamp)> = BTreeMap::new();
    for one in uses.iter().filter(|one| one.pod.is_some()) {
        if let (Some(first), Some(last)) = (one.first, one.last) {
            let span = spans.entry(one.identity()).or_insert((first, last));
            *span = (span.0.min(first), span.1.max(last));
        }
    }
    let mut spans: Vec<(Timestamp, Timestamp)> = spans.into_values().collect();
    spans.sort_unstable();
    spans.windows(2).any(|pair| match pair {
        [(_, end), (start, _)] => start <= end,
        _ => false,
    })
}
