//! The one table of pivots: the command line, the documentation and the tests read it.

use crate::hunt::pivot::Pivot;

/// Every pivot, by name.
pub static PIVOTS: &[&dyn Pivot] = &[];

/// The pivot of this name.
pub fn find(name: &str) -> Option<&'static dyn Pivot> {
    PIVOTS.iter().copied().find(|pivot| pivot.name() == name)
}
