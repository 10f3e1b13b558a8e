//! The one table of pivots: the command line, the documentation and the tests read it.

use crate::hunt::pivot::Pivot;
use crate::hunt::pivots;

/// Every pivot, by name.
pub static PIVOTS: &[&dyn Pivot] = &[
    &pivots::anonymous::Anonymous,
    &pivots::around::Around,
    &pivots::blast::Blast,
    &pivots::bruteforce::Bruteforce,
    &pivots::credential::CredentialPivot,
    &pivots::exec::Exec,
    &pivots::foreign::Foreign,
    &pivots::impersonation::Impersonation,
    &pivots::ip::Ip,
    &pivots::kubevirt::Kubevirt,
    &pivots::login::LoginPivot,
    &pivots::mounts::Mounts,
    &pivots::network::NetworkPivot,
    &pivots::node::Node,
    &pivots::node_debug::NodeDebug,
    &pivots::object::Object,
    &pivots::payload::Payload,
    &pivots::peers::Peers,
    &pivots::persistence::Persistence,
    &pivots::pod::PodPivot,
    &pivots::port_forward::PortForward,
    &pivots::privileged::Privileged,
    &pivots::rare::Rare,
    &pivots::rbac::Rbac,
    &pivots::scc::Scc,
    &pivots::secrets::Secrets,
    &pivots::tampering::Tampering,
    &pivots::user::User,
];

/// The pivot of this name.
pub fn find(name: &str) -> Option<&'static dyn Pivot> {
    PIVOTS.iter().copied().find(|pivot| pivot.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_described() {
        let names: Vec<&str> = PIVOTS.iter().map(|pivot| pivot.name()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        for pivot in PIVOTS {
            assert!(!pivot.about().is_empty() && pivot.about().len() < 90, "{}", pivot.name());
        }
    }
}
