//! What the layout of a must-gather or of a node's /var/log says about a source.

use crate::event::place::Origin;

/// The servers whose folders hold audit logs (openshift/must-gather gather_audit_logs, and
/// /var/log of a control-plane node).
const SERVERS: [&str; 4] =
    ["kube-apiserver", "openshift-apiserver", "oauth-apiserver", "oauth-server"];

/// Reads node and log out of the name of a source.
///
/// A must-gather holds `audit_logs/<server>/<node>-<file>`; node names have dots and dashes
/// themselves, so the file part starts at the last `-audit`.
/// On a node the file is `/var/log/<server>/audit.log`, the ACL log is
/// `/var/log/ovn/acl-audit-log.log`, auditd's is `/var/log/audit/audit.log`.
pub fn origin_of_name(name: &str) -> Origin {
    let mut parts = name.rsplit(['/', '!', '\\']);
    let file = parts.next().unwrap_or_default();
    let folder = parts.next().unwrap_or_default();
    let above = parts.next().unwrap_or_default();
    let mut origin = Origin::default();
    if SERVERS.contains(&folder) {
        origin.log = Some(folder.to_owned());
        if above == "audit_logs" {
            origin.node = node_of_file(file);
        }
    } else if file.starts_with("acl-audit-log") && folder == "ovn" {
        origin.log = Some("ovn".to_owned());
    } else if file.starts_with("audit.log") && folder == "audit" && above == "log" {
        origin.log = Some("auditd".to_owned());
    }
    origin
}

fn node_of_file(file: &str) -> Option<String> {
    let at = file.rfind("-audit").or_else(|| file.rfind("-termination.log"))?;
    file.get(..at).filter(|node| !node.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> (Option<String>, Option<String>) {
        let origin = origin_of_name(name);
        (origin.node, origin.log)
    }

    #[test]
    fn must_gather_names_are_split_at_the_last_audit() {
        let base = "mg/quay-io-x-sha256-ab/audit_logs/kube-apiserver";
        let both = |node: &str, log: &str| (Some(node.to_owned()), Some(log.to_owned()));
        assert_eq!(
            told(&format!("{base}/master-0-audit-2025-07-02T10-15-00.000.log.gz")),
            both("master-0", "kube-apiserver")
        );
        assert_eq!(
            told(&format!("{base}/ip-10-0-1-2.ec2-audit-x.internal-audit.log.gz")),
            both("ip-10-0-1-2.ec2-audit-x.internal", "kube-apiserver")
        );
        assert_eq!(
            told("mg.tar.gz!mg/audit_logs/oauth-server/m.example.com-audit.log"),
            both("m.example.com", "oauth-server")
        );
    }

    #[test]
    fn node_paths_name_the_log_only() {
        let log = |log: &str| (None, Some(log.to_owned()));
        assert_eq!(told("/var/log/openshift-apiserver/audit.log"), log("openshift-apiserver"));
        assert_eq!(told("/var/log/ovn/acl-audit-log.log"), log("ovn"));
        assert_eq!(told("/var/log/audit/audit.log.1"), log("auditd"));
        assert_eq!(told("logs/audit.log"), (None, None));
    }
}
