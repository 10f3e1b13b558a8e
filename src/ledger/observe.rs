//! Gathers what events say about pods, nodes and their addresses, from all five sources.
//!
//! multus and OVN write the pod's annotations through pods/status, the kubelet its status, multus
//! an `AddedInterface` Event object, the scheduler a binding (formats.md 2.4).

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::ledger::network::Network;
use crate::ledger::network::parse_address;
use crate::ledger::observe_others;
use crate::ledger::pod_networks::Told;
use crate::ledger::pod_networks::network_status;
use crate::ledger::pod_networks::pod_networks;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::ledger::table::Line;
use crate::ledger::table::Table;
use crate::ledger::usage::node_of_user;
use crate::ledger::usage::service_account;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;

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

const STREAMS: [&str; 5] = ["exec", "attach", "portforward", "proxy", "log"];

const POD_COLUMNS: &[&str] = &[
    "cluster",
    "verb",
    "sub",
    "user",
    "objectRef.namespace",
    "objectRef.name",
    "objectRef.uid",
    "code",
    "requestObject.metadata.name",
    "requestObject.metadata.namespace",
    "requestObject.metadata.uid",
    "responseObject.metadata.name",
    "responseObject.metadata.uid",
    "responseObject.metadata.deletionTimestamp",
    "requestObject.spec.serviceAccountName",
    "responseObject.spec.serviceAccountName",
    "requestObject.spec.nodeName",
    "responseObject.spec.nodeName",
    "requestObject.target.name",
    "requestObject.spec.hostNetwork",
    "responseObject.spec.hostNetwork",
    "requestObject.status.podIP",
    "requestObject.status.podIPs.ip",
    "requestObject.status.hostIP",
    "requestObject.status.hostIPs.ip",
    "requestObject.status.phase",
    "responseObject.status.podIP",
    "responseObject.status.podIPs.ip",
    "responseObject.status.hostIP",
    "responseObject.status.hostIPs.ip",
    "responseObject.status.phase",
    REQUEST_OVN,
    RESPONSE_OVN,
    REQUEST_MULTUS,
    RESPONSE_MULTUS,
];
const REQUEST_OVN: &str = "requestObject.metadata.annotations.k8s.ovn.org/pod-networks";
const RESPONSE_OVN: &str = "responseObject.metadata.annotations.k8s.ovn.org/pod-networks";
const REQUEST_MULTUS: &str = "requestObject.metadata.annotations.k8s.v1.cni.cncf.io/network-status";
const RESPONSE_MULTUS: &str =
    "responseObject.metadata.annotations.k8s.v1.cni.cncf.io/network-status";

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

/// Gathers all of it.
///
/// # Errors
/// When the evidence cannot be read.
pub fn gather(evidence: &dyn Evidence) -> Result<Observed, SearchError> {
    let mut observed = Observed::default();
    let writes = all([
        is("resource", "pods"),
        any("verb", &["create", "update", "patch", "delete"]),
        not(any("sub", &STREAMS)),
    ]);
    let table = Table::all(evidence, &writes, POD_COLUMNS)?;
    observed.pods.extend(table.lines().filter_map(|line| pod_event(&line)));
    swept(evidence, &mut observed)?;
    observe_others::interfaces(evidence, &mut observed)?;
    observe_others::nodes(evidence, &mut observed)?;
    observe_others::balancers(evidence, &mut observed)?;
    observed.pods.sort_by_key(|pod| (pod.time, pod.event));
    Ok(observed)
}

pub(super) fn failed(line: &Line<'_>) -> bool {
    line.get("code").and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code >= 400)
}

fn pod_event(line: &Line<'_>) -> Option<PodEvent> {
    if failed(line) {
        return None;
    }
    let name = line.first_of(&[
        "objectRef.name",
        "responseObject.metadata.name",
        "requestObject.metadata.name",
    ])?;
    let user = line.get("user").unwrap_or_default();
    let time = line.time()?;
    let sub = line.get("sub");
    let told = told_by(line);
    let completed = line
        .all("requestObject.status.phase")
        .iter()
        .chain(line.all("responseObject.status.phase"))
        .any(|phase| matches!(phase.as_str(), "Succeeded" | "Failed"));
    let by_kubelet = user.starts_with("system:node:");
    let step = match (line.get("verb"), sub) {
        (Some("create"), None) => Step::Create,
        (Some("create"), Some("binding")) => Step::Bind,
        (Some("create"), Some("eviction")) => Step::Delete,
        (Some("delete"), _) if by_kubelet => Step::Removed,
        (Some("delete"), _) => Step::Delete,
        _ => Step::Write,
    };
    let node = line
        .first_of(&["requestObject.spec.nodeName", "responseObject.spec.nodeName"])
        .or_else(|| line.get("requestObject.target.name").filter(|_| step == Step::Bind))
        .or_else(|| node_of_user(user).filter(|_| sub == Some("status")));
    Some(PodEvent {
        cluster: line.cluster(),
        namespace: line
            .first_of(&["objectRef.namespace", "requestObject.metadata.namespace"])
            .unwrap_or_default()
            .to_owned(),
        name: name.to_owned(),
        uid: line
            .first_of(&[
                "responseObject.metadata.uid",
                "requestObject.metadata.uid",
                "objectRef.uid",
            ])
            // A binding has no uid of its own, and its answer is a Status.
            .filter(|_| step != Step::Bind)
            .map(str::to_owned),
        time,
        event: line.id(),
        step,
        user: user.to_owned(),
        trusted: may_write_status(user),
        status_write: sub == Some("status"),
        service_account: line
            .first_of(&[
                "responseObject.spec.serviceAccountName",
                "requestObject.spec.serviceAccountName",
            ])
            .map(str::to_owned),
        node: node.map(str::to_owned),
        host_network: ["requestObject.spec.hostNetwork", "responseObject.spec.hostNetwork"]
            .iter()
            .any(|column| line.get(column) == Some("true")),
        addresses: told.addresses,
        host_addresses: told.hosts,
        routes: told.routes,
        completed,
        gone_at: line
            .get("responseObject.metadata.deletionTimestamp")
            .filter(|_| step == Step::Delete)
            .and_then(Timestamp::parse),
    })
}

#[derive(Default)]
struct TellsOf {
    addresses: Vec<(IpAddr, Option<u8>, Source)>,
    hosts: Vec<IpAddr>,
    routes: Vec<Network>,
}

fn told_by(line: &Line<'_>) -> TellsOf {
    let mut tells = TellsOf::default();
    // What an answer holds was written by somebody before.
    for (column, source) in [(REQUEST_OVN, Source::Annotation), (RESPONSE_OVN, Source::Object)] {
        for text in line.all(column) {
            tells.add(pod_networks(text), source);
        }
    }
    for (column, source) in
        [(REQUEST_MULTUS, Source::Annotation), (RESPONSE_MULTUS, Source::Object)]
    {
        for text in line.all(column) {
            tells.add(network_status(text), source);
        }
    }
    for (columns, source) in [
        (["requestObject.status.podIP", "requestObject.status.podIPs.ip"], Source::Status),
        (["responseObject.status.podIP", "responseObject.status.podIPs.ip"], Source::Object),
    ] {
        for text in columns.iter().flat_map(|column| line.all(column)) {
            let addresses = parse_address(text).map(|address| (address, None)).into_iter();
            tells.add(Told { addresses: addresses.collect(), routes: Vec::new() }, source);
        }
    }
    for column in [
        "requestObject.status.hostIP",
        "requestObject.status.hostIPs.ip",
        "responseObject.status.hostIP",
        "responseObject.status.hostIPs.ip",
    ] {
        tells.hosts.extend(line.all(column).iter().filter_map(|text| parse_address(text)));
    }
    tells
}

impl TellsOf {
    fn add(&mut self, told: Told, source: Source) {
        for (address, prefix) in told.addresses {
            let same = |(known, _, from): &&mut (IpAddr, Option<u8>, Source)| {
                *known == address && *from == source
            };
            match self.addresses.iter_mut().find(same) {
                Some((_, mask, _)) => *mask = mask.or(prefix),
                None => self.addresses.push((address, prefix, source)),
            }
        }
        self.routes.extend(told.routes);
    }
}

/// Pods that a deletecollection swept away, as far as its answer names them.
fn swept(evidence: &dyn Evidence, observed: &mut Observed) -> Result<(), SearchError> {
    let question = all([is("resource", "pods"), is("verb", "deletecollection")]);
    let columns =
        ["cluster", "user", "code", "objectRef.namespace", "responseObject.items.metadata.name"];
    let table = Table::all(evidence, &question, &columns)?;
    for line in table.lines().filter(|line| !failed(line)) {
        let Some(time) = line.time() else { continue };
        for name in line.all("responseObject.items.metadata.name") {
            let mut event = PodEvent::bare(&line, time, name);
            event.step = Step::Delete;
            observed.pods.push(event);
        }
    }
    Ok(())
}

impl PodEvent {
    pub(super) fn bare(line: &Line<'_>, time: Timestamp, name: &str) -> PodEvent {
        PodEvent {
            cluster: line.cluster(),
            namespace: line.get("objectRef.namespace").unwrap_or_default().to_owned(),
            name: name.to_owned(),
            uid: None,
            time,
            event: line.id(),
            step: Step::Write,
            user: line.get("user").unwrap_or_default().to_owned(),
            trusted: true,
            status_write: false,
            service_account: None,
            node: None,
            host_network: false,
            addresses: Vec::new(),
            host_addresses: Vec::new(),
            routes: Vec::new(),
            completed: false,
            gone_at: None,
        }
    }
}
