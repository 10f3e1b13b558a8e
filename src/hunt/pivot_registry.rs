//! The one table of pivots: the command line, the documentation and the tests read it.

use crate::hunt::pivot::Pivot;
use crate::hunt::pivots;

/// Every pivot, by name.
pub static PIVOTS: &[&dyn Pivot] = &[
    &pivots::credential::CredentialPivot,
    &pivots::exec::Exec,
    &pivots::ip::Ip,
    &pivots::pod::PodPivot,
    &pivots::secrets::Secrets,
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
