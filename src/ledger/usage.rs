//! Who used which address: every identity with every address and agent, counted.

use std::net::IpAddr;

use crate::event::field::CREDENTIAL_ID;
use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::ledger::network::parse_address;
use crate::ledger::table::field;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::evidence::FacetRow;

/// Path of the pod a token is bound to.
pub const POD_NAME: &str = "user.extra.authentication.kubernetes.io/pod-name";
/// Path of the uid of that pod.
pub const POD_UID: &str = "user.extra.authentication.kubernetes.io/pod-uid";
/// Path of the node of that pod.
pub const NODE_NAME: &str = "user.extra.authentication.kubernetes.io/node-name";

/// One identity with one address and one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Cluster.
    pub cluster: String,
    /// Credential id, where the server names one.
    pub credential: Option<String>,
    /// User.
    pub user: String,
    /// Unique id of the user.
    pub uid: Option<String>,
    /// Pod the token is bound to.
    pub pod: Option<String>,
    /// Its unique id.
    pub pod_uid: Option<String>,
    /// Node the token is bound to.
    pub node: Option<String>,
    /// The last source address as written.
    pub peer: Option<String>,
    /// User agent.
    pub agent: Option<String>,
    /// Which server's log.
    pub log: Option<String>,
    /// Events.
    pub events: u64,
    /// First and last time.
    pub first: Option<Timestamp>,
    /// See `first`.
    pub last: Option<Timestamp>,
}

const COLUMNS: [&str; 10] = [
    "cluster",
    CREDENTIAL_ID,
    "user.username",
    "user.uid",
    POD_NAME,
    POD_UID,
    NODE_NAME,
    "peer",
    "userAgent",
    "log",
];

/// Counts all uses in the evidence.
///
/// # Errors
/// When the evidence cannot be read.
pub fn gather(evidence: &dyn Evidence) -> Result<Vec<Use>, SearchError> {
    let rows = evidence.top(&QueryAst::All, TimeRange::ALL, &fields(), None, 0)?;
    Ok(rows.into_iter().map(from_row).collect())
}

/// What uses are told apart by.
pub(super) fn fields() -> Vec<Field> {
    COLUMNS.iter().map(|name| field(name)).collect()
}

pub(super) fn from_row(row: FacetRow) -> Use {
    let mut values = row.values.into_iter();
    let mut next = || values.next().flatten().filter(|value| !value.is_empty());
    Use {
        cluster: next().unwrap_or_default(),
        credential: next(),
        user: next().unwrap_or_default(),
        uid: next(),
        pod: next(),
        pod_uid: next(),
        node: next(),
        peer: next(),
        agent: next(),
        log: next(),
        events: row.count,
        first: row.first,
        last: row.last,
    }
}

/// Namespace and name of a service account's user name.
pub fn service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// The node that a per-node identity stands for.
pub fn node_of_user(user: &str) -> Option<&str> {
    ["system:node:", "system:multus:", "system:ovn-node:"]
        .iter()
        .find_map(|prefix| user.strip_prefix(prefix))
        .filter(|node| !node.is_empty())
}

/// Whether a log is that of an aggregated API server, which sees the front proxy as the peer
/// (kubernetes/community#625).
pub fn is_aggregated(log: Option<&str>) -> bool {
    matches!(log, Some("openshift-apiserver" | "oauth-apiserver"))
}

impl Use {
    /// The peer as an address.
    pub fn address(&self) -> Option<IpAddr> {
        self.peer.as_deref().and_then(parse_address)
    }

    /// The node this identity belongs to.
    pub fn own_node(&self) -> Option<&str> {
        self.node.as_deref().or_else(|| node_of_user(&self.user))
    }

    /// What tells this identity from others: the credential, else what is bound, else the name.
    pub fn identity(&self) -> String {
        match (&self.pod_uid, &self.pod) {
            (Some(pod), _) | (None, Some(pod)) => format!("{} {pod}", self.user),
            _ => self.user.clone(),
        }
    }

    /// Namespace and name of the pod the token is bound to.
    pub fn bound_pod(&self) -> Option<(&str, &str)> {
        let (namespace, _) = service_account(&self.user)?;
        Some((namespace, self.pod.as_deref()?))
    }
}
