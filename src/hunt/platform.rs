//! The identities of the platform itself, by exact name and namespace, for `--no-platform`.

use std::sync::Arc;

use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::either;
use crate::ledger::question::is;
use crate::ledger::question::starts;
use crate::ledger::table::field;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;

/// Users that are control plane components.
pub const USERS: &[&str] = &[
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

/// Beginnings of per-node identities, each with the group only that component has.
const NODE_USERS: &[(&str, &str)] = &[
    ("system:node:", "system:nodes"),
    ("system:multus:", "system:multus"),
    ("system:ovn-node:", "system:ovn-nodes"),
];

/// Namespaces whose service accounts belong to Kubernetes or OpenShift.
///
/// An exact list: an attacker who may name a namespace `openshift-x` does not disappear by it.
pub const NAMESPACES: &[&str] = &[
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

/// The question that holds for events of the platform's own identities; the complement is what
/// `--no-platform` keeps.
pub fn platform() -> QueryAst {
    let mut parts = vec![
        one_of("user.username", "platform users", USERS.iter().map(|user| (*user).to_owned())),
        // The group names the namespace exactly; the user name may hold more.
        all([
            starts("user.username", "system:serviceaccount:"),
            one_of(
                "user.groups",
                "platform namespaces",
                NAMESPACES.iter().map(|namespace| format!("system:serviceaccounts:{namespace}")),
            ),
        ]),
        all([is("user.username", "system:anonymous"), either([
            any("requestURI", DISCOVERY),
            starts("requestURI", "/healthz/"),
            starts("requestURI", "/livez/"),
            starts("requestURI", "/readyz/"),
        ])]),
    ];
    for (prefix, group) in NODE_USERS {
        parts.push(all([starts("user.username", prefix), is("user.groups", group)]));
    }
    QueryAst::any_of(parts)
}

fn one_of(name: &str, file: &str, values: impl Iterator<Item = String>) -> QueryAst {
    let mut texts: Vec<String> = values.map(|value| crate::event::words::fold(&value)).collect();
    texts.sort_unstable();
    texts.dedup();
    let set = ValueSet { file: file.to_owned(), texts, networks: Vec::new() };
    QueryAst::Field { field: field(name), test: Test::OneOf(Arc::new(set)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_exact_and_sorted_out() {
        for list in [USERS, NAMESPACES] {
            let mut seen = list.to_vec();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), list.len());
            assert!(list.iter().all(|name| !name.contains('*')));
        }
    }
}
