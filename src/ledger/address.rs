//! The address ledger: which address belonged to which pod, node or load balancer, and when.
//!
//! An interval ends at deletion and when the pod completes, because a completed pod's address is
//! given to the next one (openshift/ovn-kubernetes#1152).  No interval at a moment, no owner.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::ledger::network::Network;
use crate::ledger::observe::NodeEvent;
use crate::ledger::observe::Observed;
use crate::ledger::observe::PodEvent;
use crate::ledger::observe::Source;
use crate::ledger::observe::Step;
use crate::ledger::observed::NODE_PROOFS;
use crate::search::evidence::EventId;

/// A pod the evidence speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Cluster.
    pub cluster: String,
    /// Namespace and name.
    pub namespace: String,
    /// See `namespace`.
    pub name: String,
    /// Unique id.
    pub uid: Option<String>,
    /// Service account it runs as.
    pub service_account: Option<String>,
    /// Node it runs on.
    pub node: Option<String>,
    /// Whether it lives in its node's network: its address is the node's.
    pub host_network: bool,
    /// First time anything was said about it.
    pub first: Option<Timestamp>,
    /// When it ended, and how; `None` where the evidence does not show it.
    pub ended: Option<(Timestamp, Ending)>,
    /// The events that created it, bound it, and ended it.
    pub events: Vec<EventId>,
}

impl Pod {
    /// `namespace/name`.
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// How a pod, or its hold on an address, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was deleted.
    Deleted,
    /// It succeeded or failed, which frees the address.
    Completed,
    /// Another pod was given the address.
    Reused,
}

/// A span of time in which an address belonged to a pod; `until` is the first moment it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Index of the pod in [`AddressLedger::pods`].
    pub pod: usize,
    /// First moment for which there is evidence.
    pub since: Timestamp,
    /// End, `None` where the evidence shows none.
    pub until: Option<(Timestamp, Ending)>,
    /// Where it was read.
    pub sources: BTreeSet<Source>,
    /// The first event of each source that says so.
    pub proof: Vec<(Source, EventId)>,
}

impl Interval {
    /// The events that prove it: an object in an answer only where nobody wrote it down.
    pub fn events(&self) -> Vec<EventId> {
        let written = self.proof.iter().any(|(source, _)| *source != Source::Object);
        let counts = |source: Source| !written || source != Source::Object;
        self.proof.iter().filter(|(source, _)| counts(*source)).map(|(_, event)| *event).collect()
    }

    /// Says whether the address belonged to the pod at `time`.
    pub fn holds_at(&self, time: Timestamp) -> bool {
        self.since <= time && self.until.is_none_or(|(until, _)| time < until)
    }
}

/// What is known about a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its own addresses, from kubelets and node objects.
    pub addresses: BTreeSet<IpAddr>,
    /// Its own addresses as far as only their use tells.
    pub inferred: BTreeSet<IpAddr>,
    /// Networks its pods get their addresses from.
    pub subnets: BTreeSet<Network>,
    /// Events that say so, a few.
    pub proof: Vec<EventId>,
}

/// A write of pods/status by somebody who is no kubelet, network plugin or controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgery {
    /// Cluster.
    pub cluster: String,
    /// Who wrote it.
    pub user: String,
    /// Which pod, `namespace/name`.
    pub pod: String,
    /// Addresses claimed; none at Metadata level.
    pub claims: Vec<IpAddr>,
    /// When.
    pub time: Timestamp,
    /// The event.
    pub event: EventId,
}

/// Whom an address stands for at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner<'l> {
    /// This pod.
    Pod(&'l Pod, &'l Interval),
    /// A node: the pod behind it is not identifiable.
    Node(&'l str),
    /// It identifies nobody: a NAT, a VIP, a proxy.
    Shared(&'l str),
    /// A load balancer of this service; it identifies nobody either.
    Balancer(&'l str),
    /// Inside the pod network, but nobody is known to have had it at that moment.
    PodNetwork {
        /// The node whose pods get addresses from there.
        node: Option<&'l str>,
    },
    /// The API server's own host.
    Loopback,
    /// Nothing is known about it.
    Unknown,
}

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressLedger {
    /// All pods, in order of their first appearance.
    pub pods: Vec<Pod>,
    /// All forged statuses.
    pub forgeries: Vec<Forgery>,
    /// By cluster and address, in order of time.
    pub intervals: BTreeMap<(String, IpAddr), Vec<Interval>>,
    /// By cluster and node.
    pub nodes: BTreeMap<(String, String), NodeFacts>,
    /// Addresses that identify nobody, and why.
    pub shared: BTreeMap<(String, IpAddr), String>,
    /// Addresses of load balancers.
    pub balancers: BTreeMap<(String, IpAddr), String>,
    /// By cluster: networks that all pods live in.
    pub networks: BTreeMap<String, BTreeSet<Network>>,
    pub(super) node_of_address: HashMap<(String, IpAddr), String>,
    pub(super) node_of_subnet: BTreeMap<String, Vec<(Network, String)>>,
    pub(super) blocks: BTreeMap<(String, Network), BTreeMap<String, BTreeSet<String>>>,
    pub(super) pods_by_name: HashMap<PodKey, Vec<usize>>,
    pub(super) addresses_by_pod: HashMap<usize, Vec<IpAddr>>,
}

pub(super) type PodKey = (String, String, String);

/// The fold over pods' events in order of time.
#[derive(Default)]
struct Fold {
    alive: HashMap<PodKey, usize>,
    poisoned: HashSet<(PodKey, IpAddr)>,
    deleting: HashMap<usize, Timestamp>,
}

impl AddressLedger {
    /// Folds what was observed.
    pub fn fold(observed: &Observed) -> AddressLedger {
        let mut ledger = AddressLedger::default();
        let mut fold = Fold::default();
        for event in &observed.pods {
            ledger.pod_event(&mut fold, event);
        }
        for (pod, time) in fold.deleting {
            if let Some(pod) = ledger.pods.get_mut(pod) {
                pod.ended.get_or_insert((time, Ending::Deleted));
            }
        }
        for node in &observed.nodes {
            ledger.node_event(node);
        }
        for balancer in &observed.balancers {
            let key = (balancer.cluster.clone(), balancer.address);
            ledger.balancers.insert(key, balancer.service.clone());
        }
        ledger.close();
        ledger.index_addresses();
        ledger
    }

    fn pod_event(&mut self, fold: &mut Fold, event: &PodEvent) {
        let key = (event.cluster.clone(), event.namespace.clone(), event.name.clone());
        if event.status_write && !event.trusted {
            fold.poisoned.extend(event.addresses.iter().map(|(a, ..)| (key.clone(), *a)));
            self.forgeries.push(Forgery {
                cluster: event.cluster.clone(),
                user: event.user.clone(),
                pod: format!("{}/{}", event.namespace, event.name),
                claims: event.addresses.iter().map(|(address, ..)| *address).collect(),
                time: event.time,
                event: event.event,
            });
            return;
        }
        let at = self.pod_of(fold, &key, event);
        let Some(pod) = self.pods.get_mut(at) else { return };
        pod.uid = pod.uid.take().or_else(|| event.uid.clone());
        pod.service_account = event.service_account.clone().or_else(|| pod.service_account.take());
        pod.node = event.node.clone().or_else(|| pod.node.take());
        pod.host_network |= event.host_network;
        if event.step != Step::Write {
            pod.events.push(event.event);
        }
        let node = pod.node.clone();
        let ended = pod.ended.map(|(time, _)| time);
        let mut host_network = pod.host_network;
        host_network |= event.addresses.iter().any(|(a, ..)| event.host_addresses.contains(a));
        pod.host_network = host_network;
        if let Some(node) = &node {
            self.node_tells(node, event, host_network);
        }
        // Anybody may write annotations into the pods they make; only an answer shows what is.
        let claims = event.addresses.iter().any(|(_, _, source)| *source != Source::Object);
        for (address, _, source) in &event.addresses {
            let believed = event.trusted
                || (!claims
                    && event.step != Step::Create
                    && !fold.poisoned.contains(&(key.clone(), *address)));
            if believed && !host_network && ended.is_none_or(|ended| event.time < ended) {
                self.observe(at, &event.cluster, *address, *source, event);
            }
        }
        self.end_of(fold, at, event);
    }

    /// The pod an event speaks of: the living one of that name, unless the uid says otherwise.
    fn pod_of(&mut self, fold: &mut Fold, key: &PodKey, event: &PodEvent) -> usize {
        if let Some(&at) = fold.alive.get(key) {
            if let Some(pod) = self.pods.get(at) {
                let same_uid = match (&pod.uid, &event.uid) {
                    (Some(a), Some(b)) => a == b,
                    _ => !(event.step == Step::Create && pod.ended.is_some()),
                };
                if same_uid {
                    return at;
                }
            }
        }
        let at = self.add_pod(Pod {
            cluster: event.cluster.clone(),
            namespace: event.namespace.clone(),
            name: event.name.clone(),
            first: Some(event.time),
            ..Pod::default()
        });
        fold.alive.insert(key.clone(), at);
        at
    }

    pub(super) fn add_pod(&mut self, pod: Pod) -> usize {
        let at = self.pods.len();
        let key = (pod.cluster.clone(), pod.namespace.clone(), pod.name.clone());
        self.pods_by_name.entry(key).or_default().push(at);
        self.pods.push(pod);
        at
    }

    /// Pods of this name, in order of their first appearance.
    pub fn pods_named(
        &self,
        cluster: &str,
        namespace: &str,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = (usize, &Pod)> {
        let key = (cluster.to_owned(), namespace.to_owned(), name.to_owned());
        let found = self.pods_by_name.get(&key).map_or(&[][..], Vec::as_slice);
        found.iter().filter_map(|at| Some((*at, self.pods.get(*at)?)))
    }

    fn end_of(&mut self, fold: &mut Fold, at: usize, event: &PodEvent) {
        let Some(pod) = self.pods.get_mut(at) else { return };
        match event.step {
            _ if event.completed && event.trusted => {
                pod.ended.get_or_insert((event.time, Ending::Completed));
            }
            Step::Removed => {
                pod.ended.get_or_insert((event.time, Ending::Deleted));
            }
            Step::Delete => {
                // The pod goes on for its grace period; its kubelet removes it at the end.
                let gone = event.gone_at.filter(|gone| *gone > event.time).unwrap_or(event.time);
                let known = fold.deleting.entry(at).or_insert(gone);
                *known = (*known).max(gone);
            }
            _ => {}
        }
    }

    fn node_tells(&mut self, node: &str, event: &PodEvent, host_network: bool) {
        let facts = self.nodes.entry((event.cluster.clone(), node.to_owned())).or_default();
        let before = (facts.addresses.len(), facts.subnets.len());
        if event.trusted {
            facts.addresses.extend(event.host_addresses.iter().copied());
        }
        for (address, prefix, _) in event.addresses.iter().filter(|_| event.trusted) {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let mask = prefix.filter(|p| *p < whole && *p > 0);
            if let (Some(mask), false) = (mask, host_network) {
                facts.subnets.insert(Network::around(*address, mask));
            }
        }
        if before != (facts.addresses.len(), facts.subnets.len()) {
            facts.proof.push(event.event);
        }
        let networks = self.networks.entry(event.cluster.clone()).or_default();
        // Other routes lead to services or join networks, not to pods.
        networks.extend(event.routes.iter().filter(|route| {
            event.trusted
                && route.prefix > 0
                && event.addresses.iter().any(|(a, ..)| route.contains(*a))
        }));
    }

    fn node_event(&mut self, event: &NodeEvent) {
        let key = (event.cluster.clone(), event.node.clone());
        let facts = self.nodes.entry(key).or_default();
        facts.addresses.extend(event.addresses.iter().copied());
        facts.subnets.extend(event.subnets.iter().copied());
        if facts.proof.len() < NODE_PROOFS {
            facts.proof.push(event.event);
        }
    }

    fn observe(
        &mut self,
        pod: usize,
        cluster: &str,
        address: IpAddr,
        source: Source,
        event: &PodEvent,
    ) {
        let intervals = self.intervals.entry((cluster.to_owned(), address)).or_default();
        match intervals.iter_mut().find(|interval| interval.pod == pod) {
            Some(interval) => {
                if interval.sources.insert(source) {
                    interval.proof.push((source, event.event));
                }
            }
            None => intervals.push(Interval {
                pod,
                since: event.time,
                until: None,
                sources: BTreeSet::from([source]),
                proof: vec![(source, event.event)],
            }),
        }
    }

    fn index_addresses(&mut self) {
        for ((_, address), intervals) in &self.intervals {
            for interval in intervals {
                let known = self.addresses_by_pod.entry(interval.pod).or_default();
                if !known.contains(address) {
                    known.push(*address);
                }
            }
        }
    }

    /// Ends the intervals, and draws from the facts what is true of whole networks.
    fn close(&mut self) {
        for intervals in self.intervals.values_mut() {
            intervals.sort_by_key(|interval| (interval.since, interval.pod));
            let starts: Vec<Timestamp> = intervals.iter().map(|i| i.since).collect();
            for (at, interval) in intervals.iter_mut().enumerate() {
                interval.until = self.pods.get(interval.pod).and_then(|pod| pod.ended);
                if let Some(next) = starts.get(at + 1) {
                    if interval.until.is_none_or(|(until, _)| until > *next) {
                        interval.until = Some((*next, Ending::Reused));
                    }
                }
            }
        }
        let mut owners: BTreeMap<(String, Network), BTreeSet<String>> = BTreeMap::new();
        let mut hosts: BTreeMap<(String, IpAddr), BTreeSet<String>> = BTreeMap::new();
        for ((cluster, node), facts) in &self.nodes {
            for subnet in &facts.subnets {
                owners.entry((cluster.clone(), *subnet)).or_default().insert(node.clone());
            }
            for address in facts.addresses.iter().filter(|address| !address.is_loopback()) {
                hosts.entry((cluster.clone(), *address)).or_default().insert(node.clone());
            }
        }
        for ((cluster, subnet), nodes) in owners {
            // A mask that several nodes' pods carry is that of the whole network.
            let networks = self.networks.entry(cluster.clone()).or_default();
            match (nodes.len(), nodes.into_iter().next()) {
                (1, Some(node)) => {
                    self.node_of_subnet.entry(cluster).or_default().push((subnet, node));
                }
                _ => {
                    networks.insert(subnet);
                }
            }
        }
        for ((cluster, address), nodes) in hosts {
            match (nodes.len(), nodes.into_iter().next()) {
                (1, Some(node)) => {
                    self.node_of_address.insert((cluster, address), node);
                }
                (n, _) => {
                    let why = format!("{n} nodes name it as their own");
                    self.shared.insert((cluster, address), why);
                }
            }
        }
    }

    /// Says whether an address lies in a network that the evidence names as one of pods.
    pub fn in_pod_network(&self, cluster: &str, address: IpAddr) -> bool {
        self.networks.get(cluster).is_some_and(|all| all.iter().any(|n| n.contains(address)))
            || self.subnet_node(cluster, address).is_some()
    }

    /// Says whether the whole pod network of the address's family is known.
    pub fn knows_pod_network(&self, cluster: &str, address: IpAddr) -> bool {
        self.networks.get(cluster).is_some_and(|all| {
            all.iter().any(|network| network.address.is_ipv4() == address.is_ipv4())
        })
    }

    /// The node whose pods get their addresses from the network around `address`.
    pub fn subnet_node(&self, cluster: &str, address: IpAddr) -> Option<&str> {
        self.node_of_subnet
            .get(cluster)?
            .iter()
            .filter(|(subnet, _)| subnet.contains(address))
            .max_by_key(|(subnet, _)| subnet.prefix)
            .map(|(_, node)| node.as_str())
    }

    /// The node whose own address this is.
    pub fn node_address(&self, cluster: &str, address: IpAddr) -> Option<&str> {
        self.node_of_address.get(&(cluster.to_owned(), address)).map(String::as_str)
    }

    /// All intervals of an address, in order of time.
    pub fn intervals_of(&self, cluster: &str, address: IpAddr) -> &[Interval] {
        self.intervals.get(&(cluster.to_owned(), address)).map_or(&[], Vec::as_slice)
    }
}
