//! What was observed of pods, nodes and balancers, and whose word counts.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::ledger::network::Network;
use crate::ledger::table::Line;
use crate::ledger::usage::node_of_user;
use crate::ledger::usage::service_account;
use crate::search::evidence::EventId;

/// How many events about a node are kept as proof of what it is.
pub(super) const NODE_PROOFS: usize = 4;

/// Where an observation was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Annotations written by a network plugin through pods/status.
    Annotation,
    /// The kubelet's status.
    Status,
    /// An `AddedInterface` Event object.
    Interface,
    /// The object in an answer (a deletion, an update).
    Object,
    /// Who used the address, where no body tells (attribution.md, rule 2).
    Use,
}

impl Source {
    /// Words for a reader.
    pub fn name(self) -> &'static str {
        match self {
            Source::Annotation => "network annotation",
            Source::Status => "kubelet status",
            Source::Interface => "AddedInterface event",
            Source::Object => "object in an answer",
            Source::Use => "use at Metadata level",
        }
    }
}

/// What kind of step in a pod's life an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Created.
    Create,
    /// Bound to a node.
    Bind,
    /// Written in some other way.
    Write,
    /// Asked to go.
    Delete,
    /// Gone: removed by its kubelet.
    Removed,
}

/// One event about one pod.
#[derive(Clone, Debug)]
pub struct PodEvent {
    /// Cluster.
    pub cluster: String,
    /// Namespace and name.
    pub namespace: String,
    /// See `namespace`.
    pub name: String,
    /// Unique id.
    pub uid: Option<String>,
    /// When.
    pub time: Timestamp,
    /// The event.
    pub event: EventId,
    /// What it did.
    pub step: Step,
    /// Who did it.
    pub user: String,
    /// Whether its writer may say what a pod's addresses are.
    pub trusted: bool,
    /// Whether this is a write of pods/status.
    pub status_write: bool,
    /// Service account of the pod.
    pub service_account: Option<String>,
    /// Node of the pod.
    pub node: Option<String>,
    /// Whether it lives in its node's network.
    pub host_network: bool,
    /// Addresses claimed, with masks.
    pub addresses: Vec<(IpAddr, Option<u8>, Source)>,
    /// Addresses of the node claimed.
    pub host_addresses: Vec<IpAddr>,
    /// Destinations of routes.
    pub routes: Vec<Network>,
    /// Whether the pod has completed.
    pub completed: bool,
    /// When an accepted deletion takes effect.
    pub gone_at: Option<Timestamp>,
}

/// What was said about one node.
#[derive(Clone, Debug)]
pub struct NodeEvent {
    /// Cluster.
    pub cluster: String,
    /// Name.
    pub node: String,
    /// Its own addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Networks of its pods.
    pub subnets: BTreeSet<Network>,
    /// When.
    pub time: Option<Timestamp>,
    /// The event.
    pub event: EventId,
}

/// A load balancer's address.
#[derive(Clone, Debug)]
pub struct BalancerEvent {
    /// Cluster.
    pub cluster: String,
    /// Namespace/name of the service.
    pub service: String,
    /// Its address.
    pub address: IpAddr,
    /// When it was given.
    pub time: Option<Timestamp>,
    /// The event.
    pub event: EventId,
}

/// Everything gathered.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// About pods, in order of time.
    pub pods: Vec<PodEvent>,
    /// About nodes.
    pub nodes: Vec<NodeEvent>,
    /// About load balancers.
    pub balancers: Vec<BalancerEvent>,
}

/// Service accounts of network plugins and controllers that may write pods/status.
const WRITERS: &[(&str, &str)] = &[
    ("openshift-ovn-kubernetes", "ovn-kubernetes-node"),
    ("openshift-ovn-kubernetes", "ovn-kubernetes-controller"),
    ("openshift-ovn-kubernetes", "ovn-kubernetes-control-plane"),
    ("openshift-multus", "multus"),
    ("openshift-multus", "multus-ancillary-tools"),
    ("openshift-sdn", "sdn"),
    ("openshift-sdn", "sdn-controller"),
    ("kube-system", "multus"),
    ("kube-system", "calico-node"),
    ("kube-system", "calico-cni-plugin"),
    ("kube-system", "canal"),
    ("calico-system", "calico-node"),
    ("calico-system", "calico-cni-plugin"),
    ("kube-system", "cilium"),
    ("kube-system", "cilium-operator"),
    ("cilium", "cilium"),
    ("kube-system", "aws-node"),
    ("kube-system", "flannel"),
    ("kube-flannel", "flannel"),
    ("kube-system", "kindnet"),
    ("kube-system", "kube-router"),
    ("kube-system", "weave-net"),
    ("kube-system", "antrea-agent"),
    ("kube-system", "antrea-controller"),
    ("kube-system", "azure-cns"),
    ("kube-system", "node-controller"),
    ("kube-system", "pod-garbage-collector"),
    ("kube-system", "persistent-volume-binder"),
    ("kube-system", "job-controller"),
    ("kube-system", "daemon-set-controller"),
    ("kube-system", "disruption-controller"),
    ("kube-system", "taint-eviction-controller"),
];

/// Says whether `user` is a kubelet, a network plugin or a controller: whoever else writes a
/// pod's status is not believed (attribution.md, rule 2).
pub fn may_write_status(user: &str) -> bool {
    node_of_user(user).is_some()
        || matches!(
            user,
            "system:kube-scheduler" | "system:kube-controller-manager" | "system:apiserver"
        )
        || service_account(user).is_some_and(|account| WRITERS.contains(&account))
}

pub(super) fn failed(line: &Line<'_>) -> bool {
    line.get("code").and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code >= 400)
}
