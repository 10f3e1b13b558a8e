//! Which identities belong to the platform itself: an exact list, never the word "system".
//!
//! An attacker holds a service account, and every service account begins with `system:`; so only
//! named identities and the accounts of named namespaces are the platform's.

use crate::event::field::Field;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;

/// Users of the control plane and of OpenShift's own components, by whole name.
pub const PLATFORM_USERS: &[&str] = &[
    "system:apiserver",
    "system:aggregator",
    "system:kube-apiserver",
    "system:kube-controller-manager",
    "system:kube-proxy",
    "system:kube-scheduler",
    "system:openshift-controller-manager",
];

/// Namespaces whose service accounts are the platform's, by whole name.
pub const PLATFORM_NAMESPACES: &[&str] = &["kube-system", "kube-public", "kube-node-lease"];

/// What the names of the platform's users begin with, before a part of the cluster's own naming:
/// node names, and the namespaces that OpenShift reserves (`openshift-*` cannot be created by
/// users).
pub const PLATFORM_PREFIXES: &[&str] = &["system:node:", "system:serviceaccount:openshift-"];

/// Returns the question whether an event was caused by a platform identity that acted for itself:
/// somebody who impersonates one, or whom one impersonates, is not hidden.
pub fn platform_identities() -> QueryAst {
    let user = || Field::path("user.username");
    let starts_with = |prefix: String| QueryAst::Field {
        field: user(),
        test: Test::Like {
            glob: Glob(vec![GlobPart::Text(prefix), GlobPart::AnyRun]),
            cased: true,
        },
    };
    let mut parts: Vec<QueryAst> =
        PLATFORM_USERS.iter().map(|name| QueryAst::equals(user(), name)).collect();
    for namespace in PLATFORM_NAMESPACES {
        parts.push(starts_with(format!("system:serviceaccount:{namespace}:")));
    }
    parts.extend(PLATFORM_PREFIXES.iter().map(|prefix| starts_with((*prefix).to_owned())));
    let nobody_else = QueryAst::present(Field::path("impersonatedUser")).negated();
    QueryAst::all_of(vec![QueryAst::any_of(parts), nobody_else])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_application_is_on_the_list() {
        for name in PLATFORM_USERS {
            assert!(name.starts_with("system:") && !name.contains("serviceaccount"), "{name}");
        }
        for prefix in PLATFORM_PREFIXES {
            assert!(!"system:serviceaccount:payments:visa-processor".starts_with(prefix));
            assert!(!"system:anonymous".starts_with(prefix));
        }
    }
}
