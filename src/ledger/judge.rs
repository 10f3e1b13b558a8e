//! Whether a credential was used where it belongs: the one place that may accuse.
//!
//! A token's own pod address and its own node's address are one origin (attribution.md, rule 6).
//! Without that rule 17 of 157 credentials of the reference evidence look stolen; one is.

use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::ledger::address::AddressLedger;
use crate::ledger::address::Owner;
use crate::ledger::address::Pod;
use crate::ledger::usage::service_account;

/// How sure a judgement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Another reading fits too: worth a look, no accusation.
    Weak,
    /// The evidence names the other owner.
    Strong,
}

/// Why a place is not where the credential belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Away {
    /// The address belonged to this pod at that moment.
    OtherPod(String),
    /// The address is in the pod network of this node.
    OtherSubnet(String),
    /// The address is that of this node.
    OtherNode(String),
    /// Neither pod network nor node nor a shared address.
    Outside,
    /// Only the neighbourhood of the address speaks for this node.
    Neighbourhood(String),
    /// The address is in the pod network, but a body gives the credential's pod another one.
    NotItsOwn,
}

impl std::fmt::Display for Away {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Away::OtherPod(pod) => write!(f, "the address belonged to pod {pod}"),
            Away::OtherSubnet(node) => {
                write!(f, "the address is in the pod network of node {node}")
            }
            Away::OtherNode(node) => write!(f, "the address is that of node {node}"),
            Away::Outside => f.write_str("neither pod network nor node nor a shared address"),
            Away::Neighbourhood(node) => {
                write!(f, "only pods of node {node} were seen near the address")
            }
            Away::NotItsOwn => f.write_str("the credential's pod had another address"),
        }
    }
}

/// What may be said about one use of one credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Its own pod, its own node, or nothing speaks against its own pod.
    Own,
    /// The address identifies nobody: neither accused nor cleared.
    Shared,
    /// The credential is bound to nothing, or too little is known.
    Undecidable(&'static str),
    /// Used away from where it belongs.
    Away(Away, Strength),
}

/// What a credential is bound to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bound<'c> {
    /// Cluster.
    pub cluster: &'c str,
    /// User.
    pub user: &'c str,
    /// Name of the pod.
    pub pod: Option<&'c str>,
    /// Unique id of the pod.
    pub pod_uid: Option<&'c str>,
    /// Node.
    pub node: Option<&'c str>,
}

impl Bound<'_> {
    /// Says whether `pod` is the one the credential is bound to.
    pub fn is_pod(&self, pod: &Pod) -> bool {
        if let (Some(own), Some(other)) = (self.pod_uid, pod.uid.as_deref()) {
            return own == other;
        }
        let namespace = service_account(self.user).map(|(namespace, _)| namespace);
        self.pod == Some(pod.name.as_str()) && namespace == Some(pod.namespace.as_str())
    }

    /// Says whether `pod` runs as this user; `None` where its account is not known.
    fn runs_as(&self, pod: &Pod) -> Option<bool> {
        let (namespace, account) = service_account(self.user)?;
        let of_pod = pod.service_account.as_deref()?;
        Some(namespace == pod.namespace && account == of_pod)
    }
}

/// Judges the use of a credential from `address` at `time`.
pub fn judge(
    ledger: &AddressLedger,
    bound: &Bound<'_>,
    address: Option<IpAddr>,
    time: Timestamp,
) -> Judgement {
    let Some(address) = address else {
        return Judgement::Undecidable("the event names no source address");
    };
    let owner = ledger.owner_at(bound.cluster, address, time);
    match owner {
        Owner::Loopback => return Judgement::Own,
        Owner::Shared(_) | Owner::Balancer(_) => return Judgement::Shared,
        _ => {}
    }
    if bound.node.is_none() && bound.pod.is_none() {
        return unbound(bound, &owner);
    }
    match owner {
        Owner::Pod(pod, _) if bound.is_pod(pod) => Judgement::Own,
        Owner::Pod(pod, interval) => {
            let told = interval.sources.iter().any(|source| *source != super::observe::Source::Use);
            let strength = if told { Strength::Strong } else { Strength::Weak };
            Judgement::Away(Away::OtherPod(pod.title()), strength)
        }
        Owner::Node(node) => match bound.node {
            Some(own) if own == node => Judgement::Own,
            Some(_) => {
                let facts = ledger.nodes.get(&(bound.cluster.to_owned(), node.to_owned()));
                let told = facts.is_some_and(|facts| facts.addresses.contains(&address));
                let strength = if told { Strength::Strong } else { Strength::Weak };
                Judgement::Away(Away::OtherNode(node.to_owned()), strength)
            }
            None => Judgement::Undecidable("the node of the credential is not known"),
        },
        Owner::PodNetwork { .. } if has_other_address(ledger, bound, address) => match owner {
            Owner::PodNetwork { node: Some(node) } if bound.node.is_some_and(|n| n != node) => {
                Judgement::Away(Away::OtherSubnet(node.to_owned()), Strength::Strong)
            }
            _ => Judgement::Away(Away::NotItsOwn, Strength::Weak),
        },
        Owner::PodNetwork { node: Some(node) } => match bound.node {
            Some(own) if own == node => Judgement::Own,
            Some(_) => Judgement::Away(Away::OtherSubnet(node.to_owned()), Strength::Strong),
            None => Judgement::Undecidable("the node of the credential is not known"),
        },
        // A pod of its own node's network may well be its own pod.
        Owner::PodNetwork { node: None } => match own_subnet(ledger, bound, address) {
            Some(false) => {
                Judgement::Away(Away::Neighbourhood("another node".to_owned()), Strength::Weak)
            }
            _ => Judgement::Own,
        },
        Owner::Unknown => unknown(ledger, bound, address),
        Owner::Loopback => Judgement::Own,
        Owner::Shared(_) | Owner::Balancer(_) => Judgement::Shared,
    }
}

/// Whether a body gives the credential's pod another address.
fn has_other_address(ledger: &AddressLedger, bound: &Bound<'_>, address: IpAddr) -> bool {
    let (Some((namespace, _)), Some(name)) = (service_account(bound.user), bound.pod) else {
        return false;
    };
    ledger
        .pods_named(bound.cluster, namespace, name)
        .any(|(at, pod)| bound.is_pod(pod) && ledger.has_other_address(at, address))
}

/// Whether the address lies in the pod network of the credential's own node, where that is known.
fn own_subnet(ledger: &AddressLedger, bound: &Bound<'_>, address: IpAddr) -> Option<bool> {
    let facts = ledger.nodes.get(&(bound.cluster.to_owned(), bound.node?.to_owned()))?;
    let mut known =
        facts.subnets.iter().filter(|subnet| subnet.address.is_ipv4() == address.is_ipv4());
    let first = known.next()?;
    // A network as wide as the cluster's is no per-node network.
    let networks = ledger.networks.get(bound.cluster)?;
    if networks.contains(first) {
        return None;
    }
    Some(first.contains(address) || known.any(|subnet| subnet.contains(address)))
}

fn unbound(bound: &Bound<'_>, owner: &Owner<'_>) -> Judgement {
    if let Owner::Pod(pod, _) = owner {
        match bound.runs_as(pod) {
            Some(true) => return Judgement::Own,
            Some(false) => {
                return Judgement::Away(Away::OtherPod(pod.title()), Strength::Weak);
            }
            None => {}
        }
    }
    Judgement::Undecidable("the credential is bound to no pod and no node")
}

fn unknown(ledger: &AddressLedger, bound: &Bound<'_>, address: IpAddr) -> Judgement {
    let Some(own) = bound.node else {
        return Judgement::Undecidable("the node of the credential is not known");
    };
    if let Some(node) = ledger.neighbours_of_other_node(bound.cluster, address, own) {
        return Judgement::Away(Away::Neighbourhood(node.to_owned()), Strength::Weak);
    }
    let facts = ledger.nodes.get(&(bound.cluster.to_owned(), own.to_owned()));
    let family = |known: &IpAddr| known.is_ipv4() == address.is_ipv4();
    let told = facts.is_some_and(|facts| facts.addresses.iter().any(family));
    let inferred = facts.is_some_and(|facts| facts.inferred.iter().any(family));
    if !ledger.knows_pod_network(bound.cluster, address) {
        return Judgement::Undecidable("the pod network is not known from this evidence");
    }
    match (told, inferred) {
        (true, _) => Judgement::Away(Away::Outside, Strength::Strong),
        (false, true) => Judgement::Away(Away::Outside, Strength::Weak),
        (false, false) => {
            Judgement::Undecidable("the addresses of the credential's node are not known")
        }
    }
}
