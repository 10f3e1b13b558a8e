//! Which binding allowed a request, read from the authorizer's reason.

use crate::ledger::reason::grant;

/// A binding of a role to somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Allowed {
    /// `ClusterRoleBinding` or `RoleBinding`.
    pub kind: String,
    /// Name of the binding.
    pub name: String,
    /// Its namespace, empty for a `ClusterRoleBinding`.
    pub namespace: String,
    /// `ClusterRole` or `Role` and its name.
    pub role: String,
    /// `User`, `Group` or `ServiceAccount` and its name, as the reason writes it.
    pub subject: String,
}

impl Allowed {
    /// Reads an authorizer's reason; `None` where it names no binding.
    pub fn parse(reason: &str) -> Option<Allowed> {
        let grant = grant(reason)?;
        let (name, namespace) = match (grant.binding_kind.as_str(), grant.binding.split_once('/')) {
            ("RoleBinding", Some((name, namespace))) => (name, namespace),
            _ => (grant.binding.as_str(), ""),
        };
        Some(Allowed {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            role: format!("{} {}", grant.role_kind, grant.role),
            subject: format!("{} {}", grant.subject_kind, grant.subject),
            kind: grant.binding_kind,
        })
    }

    /// The resource of the binding.
    pub fn resource(&self) -> &'static str {
        if self.kind == "RoleBinding" { "rolebindings" } else { "clusterrolebindings" }
    }

    /// Whether the right is everybody's, so that the binding says nothing about this identity.
    pub fn is_everybodys(&self) -> bool {
        matches!(
            self.subject.as_str(),
            "Group system:authenticated"
                | "Group system:unauthenticated"
                | "Group system:serviceaccounts"
                | "Group system:authenticated:oauth"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_read() {
        let allowed = Allowed::parse(
            "RBAC: allowed by RoleBinding \"r/shop\" of Role \"x\" to ServiceAccount \"web/shop\"",
        )
        .unwrap();
        assert_eq!((allowed.name.as_str(), allowed.namespace.as_str()), ("r", "shop"));
        assert_eq!(allowed.role, "Role x");
        assert!(!allowed.is_everybodys());
        let all = "RBAC: allowed by ClusterRoleBinding \"system:basic-user\" of ClusterRole \"system:basic-user\" to Group \"system:authenticated\"";
        assert!(Allowed::parse(all).unwrap().is_everybodys());
        assert_eq!(Allowed::parse(""), None);
        assert_eq!(Allowed::parse("RBAC: allowed by x"), None);
    }
}
