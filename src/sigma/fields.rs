//! What the field names of Sigma rules mean in a raw audit event.
//!
//! Names resolve as in a query; on top of that the short names of public Kubernetes rules are
//! mapped (pySigma `ecs_kubernetes` and Leonidas' pipeline are the only published mappings), and
//! pod specs are found wherever a workload keeps them.

use crate::event::field::Field;
use crate::sigma::rule::NeededLevel;

/// The fields that one name of a rule stands for; a condition holds if it holds for any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Never empty.
    pub fields: Vec<Field>,
    /// Whether the empty text also means "not there" (Go's `omitempty`).
    pub empty_is_absent: bool,
}

/// Short names of public rules.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("apiGroup", "objectRef.apiGroup"),
    ("apigroup", "objectRef.apiGroup"),
    ("subresource", "objectRef.subresource"),
    ("namespace", "objectRef.namespace"),
    ("username", "user.username"),
    ("user_name", "user.username"),
    ("groups", "user.groups"),
    ("user_agent", "userAgent"),
    ("useragent", "userAgent"),
    ("request_uri", "requestURI"),
    ("source_ip", "sourceIPs"),
    ("src_ip", "sourceIPs"),
    ("sourceIP", "sourceIPs"),
    ("sourceIp", "sourceIPs"),
    ("status_code", "responseStatus.code"),
    ("response_code", "responseStatus.code"),
    ("audit_id", "auditID"),
];

/// Short names of what stands in a pod spec.
const POD_SPEC_NAMES: &[(&str, &str)] = &[
    ("hostPath", "volumes.hostPath.path"),
    ("hostPID", "hostPID"),
    ("hostIPC", "hostIPC"),
    ("hostNetwork", "hostNetwork"),
    ("serviceAccountName", "serviceAccountName"),
];

/// Short names of what stands in a container of a pod spec.
const CONTAINER_NAMES: &[(&str, &str)] = &[
    ("capabilities", "securityContext.capabilities.add"),
    ("privileged", "securityContext.privileged"),
    ("allowPrivilegeEscalation", "securityContext.allowPrivilegeEscalation"),
    ("image", "image"),
];

/// Where workloads keep a pod spec: pods, everything with a template, cron jobs (hunts.md 3).
const POD_SPECS: [&str; 3] = ["spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec"];
/// The three kinds of containers.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
/// Bodies a pod spec is looked for in; a patch's request body may hold only a part of it.
const BODIES: [&str; 2] = ["requestObject", "responseObject"];

/// The places of `below` in every pod spec of an event.
pub fn in_pod_specs(below: &str) -> Vec<Field> {
    BODIES
        .iter()
        .flat_map(|body| POD_SPECS.iter().map(move |spec| format!("{body}.{spec}.{below}")))
        .map(Field::Path)
        .collect()
}

/// The places of `below` in every container of every pod spec of an event.
pub fn in_containers(below: &str) -> Vec<Field> {
    CONTAINERS.iter().flat_map(|kind| in_pod_specs(&format!("{kind}.{below}"))).collect()
}

/// Resolves a field name of a rule; `None` if an audit event has no such field.
pub fn resolve(name: &str) -> Option<Resolved> {
    let name = name.strip_prefix("kubernetes.audit.").unwrap_or(name);
    let one = |field: Field| {
        let empty_is_absent = matches!(&field, Field::Path(p) if p.starts_with("objectRef."));
        Some(Resolved { fields: vec![field], empty_is_absent })
    };
    let many = |fields: Vec<Field>| Some(Resolved { fields, empty_is_absent: false });
    let find = |table: &[(&'static str, &'static str)]| {
        table.iter().find(|(short, _)| *short == name).map(|(_, path)| *path)
    };
    if let Some(path) = find(SHORT_NAMES) {
        return one(Field::path(path));
    }
    if let Some(path) = find(POD_SPEC_NAMES) {
        return many(in_pod_specs(path));
    }
    if let Some(path) = find(CONTAINER_NAMES) {
        return many(in_containers(path));
    }
    if let Some(below) = name.strip_prefix("podSpec.") {
        return many(in_pod_specs(below));
    }
    if let Some(below) = name.strip_prefix("container.") {
        return many(in_containers(below));
    }
    crate::query::resolve::resolve(name).ok().and_then(one)
}

/// The audit level at which some of `fields` can be there.
pub fn needed_level(fields: &[Field]) -> NeededLevel {
    fields
        .iter()
        .map(|field| match field {
            Field::Path(path) if is_below(path, "requestObject") => NeededLevel::Request,
            Field::Path(path) if is_below(path, "responseObject") => NeededLevel::RequestResponse,
            _ => NeededLevel::Metadata,
        })
        .min()
        .unwrap_or_default()
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_of_public_rules_are_mapped() {
        let one = |name: &str| resolve(name).unwrap().fields.remove(0).name();
        assert_eq!(one("apiGroup"), "objectRef.apiGroup");
        assert_eq!(one("resource"), "objectRef.resource");
        assert_eq!(one("kubernetes.audit.verb"), "verb");
        assert_eq!(resolve("capabilities").unwrap().fields.len(), 18);
        assert_eq!(resolve("hostPath").unwrap().fields.len(), 6);
        assert!(resolve("subresource").unwrap().empty_is_absent);
    }

    #[test]
    fn names_resolve_as_in_queries() {
        let path = "annotations.authorization.k8s.io/decision";
        assert_eq!(resolve(path).unwrap().fields, [Field::path(path)]);
        assert_eq!(resolve("decision").unwrap().fields, [Field::path(path)]);
        assert_eq!(resolve("name").unwrap().fields, [Field::Name]);
        assert_eq!(resolve("CommandLine"), None);
        assert_eq!(resolve("requestObjects.spec"), None);
    }

    #[test]
    fn bodies_need_a_level() {
        let level = |name: &str| needed_level(&resolve(name).unwrap().fields);
        assert_eq!(level("verb"), NeededLevel::Metadata);
        assert_eq!(level("hostPID"), NeededLevel::Request);
        assert_eq!(level("responseObject.status.token"), NeededLevel::RequestResponse);
    }
}
