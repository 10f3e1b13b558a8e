//! How deeply requests were recorded, hence the audit profile, hence what cannot be shown.
//!
//! The profiles are those of OpenShift (openshift/library-go
//! pkg/operator/apiserver/audit/manifests): all keep the same resources at Metadata.

use std::collections::BTreeMap;

use crate::event::field::Field;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::coverage::cells::number;
use crate::hunt::coverage::cells::table;
use crate::hunt::coverage::cells::value;
use crate::search::evidence::FacetRow;

/// The fields by which depth is counted, in the order [`depths`] reads them.
pub const FIELDS: [fn() -> Field; 6] = [
    || Field::Cluster,
    || Field::Level,
    || Field::path("verb"),
    || Field::path("objectRef.apiGroup"),
    || Field::path("objectRef.resource"),
    || Field::path("objectRef.subresource"),
];

/// Bodies that no profile records, and why.
const NEVER: [(&str, &str); 8] = [
    ("bodies of Secrets", "every profile keeps secrets at Metadata: who, when, which, never what"),
    ("bodies of Routes", "every profile keeps routes at Metadata: they can hold private keys"),
    ("bodies of OAuthClients", "every profile keeps oauthclients at Metadata"),
    (
        "minted tokens and token reviews",
        "serviceaccounts/token, tokenreviews and tokenrequests stay at Metadata",
    ),
    (
        "bodies of MachineConfigs",
        "every profile keeps all of machineconfiguration.openshift.io at Metadata",
    ),
    (
        "API discovery and probing",
        "/api*, /apis*, /version, /healthz, /readyz and /livez are never recorded",
    ),
    (
        "what happens inside a container",
        "a session's start and command are a request; what is typed in it is none",
    ),
    ("what a kubelet or a node is asked directly", "only requests to the API servers are recorded"),
];

/// Events of one kind and how deeply they were recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Which cluster.
    pub cluster: Option<String>,
    /// `Metadata`, `Request`, ...; `unknown` where the event does not say.
    pub level: String,
    /// The verb.
    pub verb: String,
    /// API group, empty for core.
    pub group: String,
    /// Resource, where the request named one.
    pub resource: Option<String>,
    /// Subresource.
    pub sub: Option<String>,
    /// How many.
    pub events: u64,
}

impl Depth {
    fn has_body(&self) -> bool {
        matches!(self.level.as_str(), "Request" | "RequestResponse")
    }

    fn class(&self) -> &'static str {
        match self.verb.as_str() {
            "get" | "list" | "watch" => "read",
            "create" | "update" | "patch" | "delete" | "deletecollection" => "write",
            _ => "other",
        }
    }

    /// Whether every profile keeps it at Metadata.
    fn is_withheld(&self) -> bool {
        let resource = self.resource.as_deref().unwrap_or_default();
        match self.group.as_str() {
            "" if resource == "serviceaccounts" => self.sub.as_deref() == Some("token"),
            "" => resource == "secrets",
            "route.openshift.io" => resource == "routes",
            "authentication.k8s.io" => matches!(resource, "tokenreviews" | "tokenrequests"),
            "oauth.openshift.io" => matches!(resource, "oauthclients" | "tokenreviews"),
            "machineconfiguration.openshift.io" => true,
            _ => false,
        }
    }

    /// Whether even the profile Default records its bodies.
    fn is_always_deep(&self) -> bool {
        let resource = self.resource.as_deref().unwrap_or_default();
        match self.group.as_str() {
            "user.openshift.io" => resource == "identities",
            "oauth.openshift.io" => {
                matches!(resource, "oauthaccesstokens" | "oauthauthorizetokens")
            }
            _ => false,
        }
    }
}

/// Reads the counts of [`FIELDS`].
pub fn depths(rows: &[FacetRow]) -> Vec<Depth> {
    rows.iter()
        .map(|row| Depth {
            cluster: value(row, 0),
            level: value(row, 1).unwrap_or_else(|| "unknown".into()),
            verb: value(row, 2).unwrap_or_default(),
            group: value(row, 3).unwrap_or_default(),
            resource: value(row, 4),
            sub: value(row, 5),
            events: row.count,
        })
        .collect()
}

/// Levels per resource group and verb class.
pub fn depth_table(depths: &[Depth]) -> Section {
    let mut rows: BTreeMap<(Option<&str>, String, &str), [u64; 4]> = BTreeMap::new();
    for depth in depths {
        let group = match (&depth.resource, depth.group.as_str()) {
            (None, _) => "(no resource)",
            (Some(_), "") => "core",
            (Some(_), group) => group,
        };
        let key = (depth.cluster.as_deref(), group.to_owned(), depth.class());
        let counts = rows.entry(key).or_default();
        let at = match depth.level.as_str() {
            "Metadata" => 0,
            "Request" => 1,
            "RequestResponse" => 2,
            _ => 3,
        };
        if let Some(count) = counts.get_mut(at) {
            *count += depth.events;
        }
    }
    let columns = [
        "cluster",
        "resource_group",
        "verb_class",
        "metadata",
        "request",
        "request_response",
        "unknown",
    ];
    let rows = rows
        .into_iter()
        .map(|((cluster, group, class), counts)| {
            let mut cells = vec![Cell::from(cluster), Cell::from(group), Cell::from(class)];
            cells.extend(counts.map(number));
            cells
        })
        .collect();
    table("depth", &columns, rows)
}

/// The profile of each cluster, as far as the events show it.
pub fn profile_table(depths: &[Depth]) -> Section {
    let mut clusters: BTreeMap<Option<&str>, Vec<&Depth>> = BTreeMap::new();
    for depth in depths {
        clusters.entry(depth.cluster.as_deref()).or_default().push(depth);
    }
    let rows = clusters
        .into_iter()
        .map(|(cluster, own)| {
            let (profile, why) = profile_of(&own);
            vec![Cell::from(cluster), Cell::from(profile), Cell::from(why)]
        })
        .collect();
    table("audit profile", &["cluster", "profile", "why"], rows)
}

/// Returns the name of the profile that the levels fit, and in which way.
fn profile_of(depths: &[&Depth]) -> (&'static str, String) {
    let count = |class: &str, body: bool| -> u64 {
        depths
            .iter()
            .filter(|d| d.resource.is_some() && d.level != "unknown")
            .filter(|d| !d.is_withheld() && !d.is_always_deep())
            .filter(|d| d.class() == class && d.has_body() == body)
            .map(|d| d.events)
            .sum()
    };
    let (deep_reads, flat_reads) = (count("read", true), count("read", false));
    let (deep_writes, flat_writes) = (count("write", true), count("write", false));
    let withheld: u64 =
        depths.iter().filter(|d| d.is_withheld() && d.has_body()).map(|d| d.events).sum();
    let why = format!(
        "{deep_writes} of {} writes and {deep_reads} of {} reads have a body level",
        deep_writes + flat_writes,
        deep_reads + flat_reads,
    );
    if deep_reads + flat_reads + deep_writes + flat_writes + withheld == 0 {
        return ("unknown", "no event about a resource says its level".to_owned());
    }
    if withheld > 0 {
        let what = "of secrets, tokens, routes or others that OpenShift's profiles withhold";
        return ("custom", format!("{why}; {withheld} bodies {what} are recorded"));
    }
    match (deep_reads, flat_reads, deep_writes, flat_writes) {
        (0, _, 0, _) => ("Default", why),
        (0, _, _, 0) => ("WriteRequestBodies", why),
        (_, 0, _, 0) => ("AllRequestBodies", why),
        _ => ("custom", format!("{why}: levels differ by user group or rule")),
    }
}

/// What no question can be answered about, whether or not such an event was seen.
pub fn cannot_show_table(depths: &[Depth]) -> Section {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let body = |class: &str| {
        depths.iter().any(|d| d.class() == class && d.has_body() && !d.is_always_deep())
    };
    if !body("write") {
        rows.push(vec![
            Cell::from("what was written"),
            Cell::from("no body of a write is recorded (level Metadata): pod specs, role rules and patches are unknown; annotations of admission still tell of some"),
        ]);
    }
    if !body("read") {
        rows.push(vec![
            Cell::from("what a read returned"),
            Cell::from("no body of a read is recorded: only AllRequestBodies has them"),
        ]);
    }
    let withheld = depths.iter().any(|d| d.is_withheld() && d.has_body());
    for (what, why) in NEVER {
        let is_body = why.contains("Metadata");
        if !(withheld && is_body) {
            rows.push(vec![Cell::from(what), Cell::from(why)]);
        }
    }
    table("cannot show", &["what", "why"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(level: &str, verb: &str, group: &str, resource: &str) -> Depth {
        Depth {
            level: level.into(),
            verb: verb.into(),
            group: group.into(),
            resource: Some(resource.into()),
            events: 1,
            ..Depth::default()
        }
    }

    fn profile(depths: &[Depth]) -> &'static str {
        profile_of(&depths.iter().collect::<Vec<_>>()).0
    }

    #[test]
    fn the_profile_is_what_the_levels_fit() {
        let read = depth("Metadata", "get", "", "pods");
        let secret = depth("Metadata", "create", "", "secrets");
        let login = depth("RequestResponse", "create", "oauth.openshift.io", "oauthaccesstokens");
        let write = depth("RequestResponse", "create", "", "pods");
        let deep_read = depth("RequestResponse", "get", "", "pods");
        let flat_write = depth("Metadata", "create", "", "pods");
        assert_eq!(profile(&[read.clone(), secret.clone(), login.clone()]), "Default");
        let writes = [read.clone(), secret.clone(), login, write.clone()];
        assert_eq!(profile(&writes), "WriteRequestBodies");
        assert_eq!(profile(&[deep_read, secret, write.clone()]), "AllRequestBodies");
        assert_eq!(profile(&[read.clone(), write.clone(), flat_write]), "custom");
        let stolen = depth("RequestResponse", "get", "", "secrets");
        assert_eq!(profile(&[read, write, stolen]), "custom");
        assert_eq!(profile(&[]), "unknown");
    }
}
