//! Which identities belong to the platform itself: an exact list, never the word "system".
//!
//! An attacker holds a service account, and every service account begins with `system:`; so only
//! named identities and the accounts of named namespaces are the platform's
//! (attribution.md, rule 16: 161 of the 11,258 events of the reference evidence remain).

use std::sync::Arc;

use crate::event::field::Field;
use crate::event::words::fold;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;

/// Users of the control plane and of managed services, by whole name.
pub const PLATFORM_USERS: &[&str] = &[
    "system:apiserver",
    "system:kube-apiserver",
    "system:aggregator",
    "system:kube-aggregator",
    "system:openshift-aggregator",
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:kube-proxy",
    "system:cloud-controller-manager",
    "system:volume-scheduler",
    "system:openshift-master",
    "eks:addon-manager",
    "eks:node-manager",
    "eks:certificate-controller",
    "eks:cluster-bootstrap",
    "eks:k8s-metrics",
    "aksService",
    "system:gke-controller-manager",
    "system:gcp-controller-manager",
    "system:clustermetrics",
    "system:addon-manager",
];

/// Beginnings of per-node identities, each with the group that only this component has.
pub const PLATFORM_NODE_USERS: &[(&str, &str)] = &[
    ("system:node:", "system:nodes"),
    ("system:multus:", "system:multus"),
    ("system:ovn-node:", "system:ovn-nodes"),
];

/// Namespaces whose service accounts belong to Kubernetes or OpenShift, by whole name: whoever
/// manages to create a namespace `openshift-x` does not disappear by it.
pub const PLATFORM_NAMESPACES: &[&str] = &[
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "openshift",
    "openshift-apiserver",
    "openshift-apiserver-operator",
    "openshift-authentication",
    "openshift-authentication-operator",
    "openshift-catalogd",
    "openshift-cloud-controller-manager",
    "openshift-cloud-controller-manager-operator",
    "openshift-cloud-credential-operator",
    "openshift-cloud-network-config-controller",
    "openshift-cluster-api",
    "openshift-cluster-csi-drivers",
    "openshift-cluster-machine-approver",
    "openshift-cluster-node-tuning-operator",
    "openshift-cluster-olm-operator",
    "openshift-cluster-samples-operator",
    "openshift-cluster-storage-operator",
    "openshift-cluster-version",
    "openshift-compliance",
    "openshift-config",
    "openshift-config-managed",
    "openshift-config-operator",
    "openshift-console",
    "openshift-console-operator",
    "openshift-console-user-settings",
    "openshift-controller-manager",
    "openshift-controller-manager-operator",
    "openshift-dns",
    "openshift-dns-operator",
    "openshift-etcd",
    "openshift-etcd-operator",
    "openshift-frr-k8s",
    "openshift-host-network",
    "openshift-image-registry",
    "openshift-infra",
    "openshift-ingress",
    "openshift-ingress-canary",
    "openshift-ingress-operator",
    "openshift-insights",
    "openshift-kni-infra",
    "openshift-kube-apiserver",
    "openshift-kube-apiserver-operator",
    "openshift-kube-controller-manager",
    "openshift-kube-controller-manager-operator",
    "openshift-kube-scheduler",
    "openshift-kube-scheduler-operator",
    "openshift-kube-storage-version-migrator",
    "openshift-kube-storage-version-migrator-operator",
    "openshift-logging",
    "openshift-machine-api",
    "openshift-machine-config-operator",
    "openshift-marketplace",
    "openshift-monitoring",
    "openshift-multus",
    "openshift-network-console",
    "openshift-network-diagnostics",
    "openshift-network-node-identity",
    "openshift-network-operator",
    "openshift-nfs-provisioner",
    "openshift-node",
    "openshift-nutanix-infra",
    "openshift-oauth-apiserver",
    "openshift-openstack-infra",
    "openshift-operator-controller",
    "openshift-operator-lifecycle-manager",
    "openshift-operators",
    "openshift-operators-redhat",
    "openshift-ovirt-infra",
    "openshift-ovn-kubernetes",
    "openshift-pipelines",
    "openshift-route-controller-manager",
    "openshift-sdn",
    "openshift-service-ca",
    "openshift-service-ca-operator",
    "openshift-user-workload-monitoring",
    "openshift-vsphere-infra",
];

/// Paths that every client reads before it has an identity.
const DISCOVERY: &[&str] = &[
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/openid/v1/jwks",
    "/healthz",
    "/livez",
    "/readyz",
    "/version",
];

/// Returns the question whether an event was caused by a platform identity that acted for itself:
/// somebody who impersonates one, or whom one impersonates, is not hidden.
pub fn platform_identities() -> QueryAst {
    let mut parts = vec![
        one_of("user.username", "platform users", PLATFORM_USERS.iter().map(|user| fold(user))),
        // The group names the account's namespace as a whole.
        QueryAst::all_of(vec![
            starts("user.username", "system:serviceaccount:"),
            one_of(
                "user.groups",
                "platform namespaces",
                PLATFORM_NAMESPACES.iter().map(|ns| format!("system:serviceaccounts:{ns}")),
            ),
        ]),
        QueryAst::all_of(vec![
            QueryAst::path_equals("user.username", "system:anonymous"),
            one_of("requestURI", "discovery paths", DISCOVERY.iter().map(|path| fold(path))),
        ]),
    ];
    for (prefix, group) in PLATFORM_NODE_USERS {
        let starts = starts("user.username", prefix);
        parts.push(QueryAst::all_of(vec![starts, QueryAst::path_equals("user.groups", group)]));
    }
    let nobody_else = QueryAst::present(Field::path("impersonatedUser")).negated();
    QueryAst::all_of(vec![QueryAst::any_of(parts), nobody_else])
}

fn starts(path: &str, text: &str) -> QueryAst {
    let glob = Glob(vec![GlobPart::Text(text.to_owned()), GlobPart::AnyRun]);
    QueryAst::Field { field: Field::path(path), test: Test::Like { glob, cased: true } }
}

fn one_of(path: &str, list: &str, values: impl Iterator<Item = String>) -> QueryAst {
    let mut texts: Vec<String> = values.collect();
    texts.sort_unstable();
    texts.dedup();
    let set = ValueSet { file: list.to_owned(), texts, networks: Vec::new() };
    QueryAst::Field { field: Field::path(path), test: Test::OneOf(Arc::new(set)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_application_is_on_the_list() {
        for name in PLATFORM_USERS {
            assert!(!name.contains("serviceaccount") && !name.contains('*'), "{name}");
        }
        for (list, n) in [
            (PLATFORM_USERS, PLATFORM_USERS.len()),
            (PLATFORM_NAMESPACES, PLATFORM_NAMESPACES.len()),
        ] {
            let mut names = list.to_vec();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), n);
        }
        assert!(!PLATFORM_NAMESPACES.contains(&"payments"));
    }
}
