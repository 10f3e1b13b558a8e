//! What people call a kind, and the resource names the log may use for it.

/// Short names and odd plurals of built-in and OpenShift kinds (kubectl api-resources).
const NAMES: &[(&str, &str)] = &[
    ("po", "pods"),
    ("deploy", "deployments"),
    ("rs", "replicasets"),
    ("rc", "replicationcontrollers"),
    ("ds", "daemonsets"),
    ("sts", "statefulsets"),
    ("cj", "cronjobs"),
    ("ns", "namespaces"),
    ("project", "namespaces"),
    ("no", "nodes"),
    ("sa", "serviceaccounts"),
    ("svc", "services"),
    ("ep", "endpoints"),
    ("endpoint", "endpoints"),
    ("cm", "configmaps"),
    ("ing", "ingresses"),
    ("netpol", "networkpolicies"),
    ("pdb", "poddisruptionbudgets"),
    ("hpa", "horizontalpodautoscalers"),
    ("pv", "persistentvolumes"),
    ("pvc", "persistentvolumeclaims"),
    ("sc", "storageclasses"),
    ("csr", "certificatesigningrequests"),
    ("crd", "customresourcedefinitions"),
    ("quota", "resourcequotas"),
    ("limits", "limitranges"),
    ("scc", "securitycontextconstraints"),
    ("dc", "deploymentconfigs"),
    ("is", "imagestreams"),
    ("co", "clusteroperators"),
    ("mc", "machineconfigs"),
    ("vm", "virtualmachines"),
    ("vmi", "virtualmachineinstances"),
    ("crb", "clusterrolebindings"),
    ("rb", "rolebindings"),
];

/// Groups that the API server itself serves; everything else is a custom resource, which knows
/// no strategic merge patch.
const BUILT_IN_GROUPS: &[&str] = &[
    "",
    "apps",
    "batch",
    "autoscaling",
    "policy",
    "extensions",
    "rbac.authorization.k8s.io",
    "networking.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "node.k8s.io",
    "scheduling.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "apiregistration.k8s.io",
];

/// Says whether objects of an API group take strategic merge patches.
pub fn is_built_in(group: &str) -> bool {
    BUILT_IN_GROUPS.contains(&group)
        || (group.ends_with(".openshift.io") && !group.contains("operator"))
}

/// Returns the resource names (`objectRef.resource`, lower case) a typed kind may stand for, and
/// the API group where one was typed behind a dot (`deployments.apps`).
pub fn resources(typed: &str) -> (Vec<String>, Option<String>) {
    let typed = typed.to_lowercase();
    let (kind, group) = match typed.split_once('.') {
        Some((kind, group)) => (kind.to_owned(), Some(group.to_owned())),
        None => (typed, None),
    };
    if let Some((_, plural)) = NAMES.iter().find(|(name, _)| *name == kind) {
        return (vec![(*plural).to_owned()], group);
    }
    let mut names = vec![kind.clone(), format!("{kind}s"), format!("{kind}es")];
    if let Some(stem) = kind.strip_suffix('y') {
        names.push(format!("{stem}ies"));
    }
    (names, group)
}

/// Returns the resource of a kind as an owner reference names it (`ReplicaSet`).
pub fn resource_of_kind(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if kind.ends_with('s') || kind.ends_with('x') => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_under_their_many_names() {
        for typed in ["pod", "Pods", "po"] {
            assert!(resources(typed).0.contains(&"pods".to_owned()), "{typed}");
        }
        assert!(resources("NetworkPolicy").0.contains(&"networkpolicies".to_owned()));
        assert_eq!(resources("deployments.apps").1.as_deref(), Some("apps"));
        assert_eq!(resource_of_kind("NetworkPolicy"), "networkpolicies");
        assert_eq!(resource_of_kind("ReplicaSet"), "replicasets");
        assert_eq!(resource_of_kind("Ingress"), "ingresses");
    }
}
