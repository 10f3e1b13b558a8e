//! What a single event does, in the words of ATT&CK.

use crate::hunt::timeline::TimelineEvent;
use crate::ledger::uri::query_pairs;

/// A kind of action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Short name; events of one class next to each other are one step.
    pub key: &'static str,
    /// ATT&CK tactic (v19).
    pub tactic: &'static str,
    /// ATT&CK technique id.
    pub technique: &'static str,
    /// Its name.
    pub technique_name: &'static str,
    /// Whether an analyst wants to see it even without further context.
    pub notable: bool,
}

const fn class(
    key: &'static str,
    tactic: &'static str,
    technique: &'static str,
    technique_name: &'static str,
    notable: bool,
) -> Class {
    Class { key, tactic, technique, technique_name, notable }
}

/// A request the authorizer or the authenticator refused.
pub const DENIED: Class =
    class("denied", "Discovery", "T1613", "Container and Resource Discovery", true);
/// Asking for one's own permissions.
pub const REVIEW: Class =
    class("review", "Discovery", "T1069", "Permission Groups Discovery", true);
/// Reading secrets.
pub const SECRETS: Class = class(
    "secrets",
    "Credential Access",
    "T1552.007",
    "Unsecured Credentials: Container API",
    true,
);
/// Having a token made.
pub const TOKEN: Class =
    class("token", "Credential Access", "T1528", "Steal Application Access Token", true);
/// Asking for a client certificate, or approving one.
pub const CERTIFICATE: Class = class(
    "certificate",
    "Credential Access",
    "T1649",
    "Steal or Forge Authentication Certificates",
    true,
);
/// Making a namespace.
pub const NAMESPACE: Class = class("namespace", "Execution", "T1610", "Deploy Container", true);
/// Making a pod or workload without dangerous settings.
pub const DEPLOY: Class = class("deploy", "Execution", "T1610", "Deploy Container", true);
/// Making a pod or workload that can leave its confinement.
pub const ESCAPE: Class = class("escape", "Privilege Escalation", "T1611", "Escape to Host", true);
/// Entering a container.
pub const EXEC: Class =
    class("exec", "Execution", "T1609", "Container Administration Command", true);
/// Opening a tunnel into the cluster.
pub const TUNNEL: Class =
    class("tunnel", "Command and Control", "T1572", "Protocol Tunneling", true);
/// Granting rights.
pub const GRANT: Class = class(
    "grant",
    "Privilege Escalation",
    "T1098.006",
    "Account Manipulation: Additional Container Cluster Roles",
    true,
);
/// Making an account.
pub const ACCOUNT: Class = class("account", "Persistence", "T1136", "Create Account", true);
/// Making something that runs by the clock.
pub const SCHEDULE: Class = class(
    "schedule",
    "Persistence",
    "T1053.007",
    "Scheduled Task/Job: Container Orchestration Job",
    true,
);
/// Putting itself between the API and its users.
pub const HOOK: Class = class("hook", "Persistence", "T1546", "Event Triggered Execution", true);
/// Removing traces.
pub const TRACES: Class = class("traces", "Stealth", "T1070", "Indicator Removal", true);
/// Weakening what watches or protects.
pub const IMPAIR: Class =
    class("impair", "Defense Impairment", "T1685", "Disable or Modify Tools", true);
/// Deleting.
pub const DESTROY: Class = class("destroy", "Impact", "T1485", "Data Destruction", true);
/// Changing data.
pub const MANIPULATE: Class = class("manipulate", "Impact", "T1565", "Data Manipulation", true);
/// Acting as somebody else.
pub const IMPERSONATE: Class =
    class("impersonate", "Privilege Escalation", "T1134", "Access Token Manipulation", true);
/// Looking around.
pub const LOOK: Class =
    class("look", "Discovery", "T1613", "Container and Resource Discovery", false);
/// The token of the story being made for its rightful owner.
pub const MINT: Class =
    class("mint", "Credential Access", "T1528", "Steal Application Access Token", false);
/// The pod of the story getting its address; how it was entered is not in the log.
pub const ADDRESS: Class =
    class("address", "Initial Access", "T1190", "Exploit Public-Facing Application", false);
/// The binding that made the rest possible.
pub const BINDING: Class = class(
    "binding",
    "Privilege Escalation",
    "T1098.006",
    "Account Manipulation: Additional Container Cluster Roles",
    true,
);

const WORKLOADS: &[&str] = &[
    "pods",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "replicationcontrollers",
    "deploymentconfigs",
    "jobs",
    "cronjobs",
];

/// Says whether a resource carries a pod template or is a pod.
pub fn is_workload(resource: &str) -> bool {
    WORKLOADS.contains(&resource)
}

/// Returns what an event does; `dangerous` says whether it makes a pod or workload with dangerous
/// settings.
pub fn classify(event: &TimelineEvent, dangerous: bool) -> Class {
    let sub = event.subresource.as_str();
    let refused = matches!(event.code, Some(401 | 403));
    if refused {
        return DENIED;
    }
    if !event.acting_as.is_empty() {
        return IMPERSONATE;
    }
    match (event.resource.as_str(), sub) {
        (_, "exec" | "attach") => return EXEC,
        (_, "portforward") => return TUNNEL,
        ("pods" | "services" | "nodes", "proxy") => return EXEC,
        ("virtualmachineinstances", "console" | "vnc" | "ssh") => return EXEC,
        ("serviceaccounts", "token") => return TOKEN,
        ("pods", "ephemeralcontainers") => return EXEC,
        ("certificatesigningrequests", _) if is_write(event) => return CERTIFICATE,
        ("secrets", _) if is_read(event) => return SECRETS,
        (
            "selfsubjectaccessreviews"
            | "selfsubjectrulesreviews"
            | "localsubjectaccessreviews"
            | "subjectaccessreviews",
            _,
        ) => return REVIEW,
        _ => {}
    }
    if is_write(event) { write_class(event, dangerous) } else { LOOK }
}

fn write_class(event: &TimelineEvent, dangerous: bool) -> Class {
    let deletes = event.verb.starts_with("delete");
    match event.resource.as_str() {
        "events" if deletes => TRACES,
        resource if is_workload(resource) && !deletes => match resource {
            _ if dangerous => ESCAPE,
            "cronjobs" => SCHEDULE,
            _ => DEPLOY,
        },
        "namespaces" | "projectrequests" | "projects" if !deletes => NAMESPACE,
        "rolebindings"
        | "clusterrolebindings"
        | "roles"
        | "clusterroles"
        | "securitycontextconstraints"
            if !deletes =>
        {
            GRANT
        }
        "serviceaccounts" | "users" | "groups" | "identities" | "useridentitymappings"
            if !deletes =>
        {
            ACCOUNT
        }
        "mutatingwebhookconfigurations"
        | "validatingwebhookconfigurations"
        | "mutatingadmissionpolicies"
        | "apiservices"
            if !deletes =>
        {
            HOOK
        }
        "networkpolicies"
        | "adminnetworkpolicies"
        | "egressfirewalls"
        | "clusterlogforwarders"
        | "apiservers"
        | "validatingadmissionpolicies"
        | "validatingwebhookconfigurations" => IMPAIR,
        _ if deletes => DESTROY,
        "secrets" | "configmaps" => MANIPULATE,
        _ => MANIPULATE,
    }
}

/// Whether the request changes something.
pub fn is_write(event: &TimelineEvent) -> bool {
    matches!(event.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
}

/// Whether the request reads.
pub fn is_read(event: &TimelineEvent) -> bool {
    matches!(event.verb.as_str(), "get" | "list" | "watch")
}

/// The command of an exec request, decoded.
pub fn argv(event: &TimelineEvent) -> Vec<String> {
    query_pairs(&event.request_uri)
        .into_iter()
        .filter(|(key, _)| key == "command")
        .map(|(_, value)| value)
        .collect()
}

/// Whether a list is a further page of one that began before.
pub fn is_next_page(event: &TimelineEvent) -> bool {
    query_pairs(&event.request_uri)
        .iter()
        .any(|(key, value)| key == "continue" && !value.is_empty())
}
