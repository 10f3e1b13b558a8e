//! Gathers what events say about pods, nodes and their addresses, from all five sources.
//!
//! multus and OVN write the pod's annotations through pods/status, the kubelet its status, multus
//! an `AddedInterface` Event object, the scheduler a binding (formats.md 2.4).

use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::ledger::network::Network;
use crate::ledger::network::parse_address;
use crate::ledger::observe_others;
pub use crate::ledger::observed::BalancerEvent;
pub use crate::ledger::observed::NodeEvent;
pub use crate::ledger::observed::Observed;
pub use crate::ledger::observed::PodEvent;
pub use crate::ledger::observed::Source;
pub use crate::ledger::observed::Step;
use crate::ledger::observed::failed;
pub use crate::ledger::observed::may_write_status;
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
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;

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
    Ok(observed)
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
