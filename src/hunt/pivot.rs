//! What a pivot is: from one thing in the evidence to everything around it.

use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::ledger::Ledgers;
use crate::query::ast::QueryAst;
use crate::search::evidence::Evidence;

/// Where a pivot looks and how.
#[derive(Clone, Copy)]
pub struct PivotContext<'e> {
    /// The evidence.
    pub evidence: &'e dyn Evidence,
    /// What was derived from all of it.
    pub ledgers: &'e Ledgers,
    /// Only events of this time are listed; the ledgers always know all times.
    pub range: TimeRange,
    /// A further condition, ANDed to the pivot's own question.
    pub filter: Option<&'e QueryAst>,
    /// Everything else that can be set.
    pub options: PivotOptions,
}

impl std::fmt::Debug for PivotContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PivotContext")
            .field("range", &self.range)
            .field("filter", &self.filter)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What can be set for every pivot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PivotOptions {
    /// At most so many rows in a table of requests; 0 for all.
    pub limit: usize,
    /// Leave out the platform's own identities, and say how many events that hid.
    pub no_platform: bool,
    /// How far `around` looks to either side, in microseconds.
    pub window: i64,
    /// The moment `network` and `node` ask about.
    pub at: Option<Timestamp>,
}

impl Default for PivotOptions {
    fn default() -> PivotOptions {
        PivotOptions { limit: 1_000, no_platform: false, window: 5_000_000, at: None }
    }
}

/// A way to go from one thing to everything around it; one file and one row of
/// [`crate::hunt::pivot_registry::PIVOTS`] each.
pub trait Pivot: Sync {
    /// The word typed for it.
    fn name(&self) -> &'static str;

    /// What it shows, one sentence.
    fn about(&self) -> &'static str;

    /// Its arguments, as in `ADDRESS` or `[USER]`; empty for none.
    fn arguments(&self) -> &'static str;

    /// Answers.
    ///
    /// # Errors
    /// Arguments that do not fit, and evidence that cannot be read.
    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError>;
}
