//! Reads the authorizer's reason: which binding of which role let a request through.

/// A grant that RBAC names (k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac/rbac.go).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// `ClusterRoleBinding` or `RoleBinding`.
    pub binding_kind: String,
    /// Its name; `name/namespace` for a RoleBinding.
    pub binding: String,
    /// `ClusterRole` or `Role`.
    pub role_kind: String,
    /// Its name.
    pub role: String,
    /// `User`, `Group` or `ServiceAccount`.
    pub subject_kind: String,
    /// Its name; `name/namespace` for a ServiceAccount.
    pub subject: String,
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} of {} {} to {} {}",
            self.binding_kind,
            self.binding,
            self.role_kind,
            self.role,
            self.subject_kind,
            self.subject
        )
    }
}

/// Reads `RBAC: allowed by ClusterRoleBinding "B" of ClusterRole "R" to ServiceAccount "n/ns"`.
///
/// The empty reason of system:masters and of denials is no grant.
pub fn grant(reason: &str) -> Option<Grant> {
    let rest = reason.strip_prefix("RBAC: allowed by ")?;
    let (binding_kind, rest) = rest.split_once(' ')?;
    let (binding, rest) = quoted(rest)?;
    let (role_kind, rest) = rest.strip_prefix(" of ")?.split_once(' ')?;
    let (role, rest) = quoted(rest)?;
    let (subject_kind, rest) = rest.strip_prefix(" to ")?.split_once(' ')?;
    let (subject, _) = quoted(rest)?;
    Some(Grant {
        binding_kind: binding_kind.to_owned(),
        binding,
        role_kind: role_kind.to_owned(),
        role,
        subject_kind: subject_kind.to_owned(),
        subject,
    })
}

/// Reads a text in quotes as Go's `%q` writes it, and returns what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut out = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, inside.get(at + 1..)?)),
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_binding_and_role() {
        let found = grant(
            r#"RBAC: allowed by ClusterRoleBinding "visa-processor" of ClusterRole "cluster-admin" to ServiceAccount "visa-processor/payments""#,
        )
        .unwrap();
        assert_eq!(
            found.to_string(),
            "ClusterRoleBinding visa-processor of ClusterRole cluster-admin to ServiceAccount visa-processor/payments"
        );
        let odd = grant(r#"RBAC: allowed by RoleBinding "a \"b\"/ns" of Role "r" to User "u""#);
        assert_eq!(odd.unwrap().binding, "a \"b\"/ns");
        for text in ["", "RBAC: allowed by x", "no", r#"RBAC: allowed by RoleBinding "a"#] {
            assert_eq!(grant(text), None, "{text}");
        }
    }
}
