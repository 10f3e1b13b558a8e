//! Which of the events that a hunt met were made by identities of the platform.

use std::collections::HashSet;
use std::sync::Arc;

use crate::event::field::Field;
use crate::event::words::fold;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;
use crate::query::platform::platform_identities;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;
use crate::search::evidence::SearchOptions;

/// Takes events of platform identities (by the exact list of `--no-platform`) out of hits, and
/// remembers which.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    wanted: bool,
    events: HashSet<EventId>,
}

impl Hidden {
    /// Hides nothing unless it is wanted.
    pub(super) fn new(wanted: bool) -> Hidden {
        Hidden { wanted, events: HashSet::new() }
    }

    /// Takes the platform's events out of each list.
    pub(super) fn hide<'h>(
        &mut self,
        evidence: &dyn Evidence,
        lists: impl Iterator<Item = &'h mut Vec<Hit>>,
    ) -> Result<(), SearchError> {
        if !self.wanted {
            return Ok(());
        }
        let lists: Vec<&mut Vec<Hit>> = lists.collect();
        let mut ids: Vec<EventId> = lists.iter().flat_map(|l| l.iter().map(|hit| hit.id)).collect();
        ids.sort_unstable();
        ids.dedup();
        let audit_ids = evidence.rows(&ids, &[Field::path("auditID")])?;
        let mut texts: Vec<String> =
            audit_ids.iter().flatten().flatten().map(|id| fold(id)).collect();
        texts.sort_unstable();
        texts.dedup();
        let set = ValueSet { texts, ..ValueSet::default() };
        let among =
            QueryAst::Field { field: Field::path("auditID"), test: Test::OneOf(Arc::new(set)) };
        let question = QueryAst::all_of(vec![platform_identities(), among]);
        let platform: HashSet<EventId> = evidence
            .search(&question, &SearchOptions::default())?
            .hits
            .iter()
            .map(|hit| hit.id)
            .collect();
        for list in lists {
            list.retain(|hit| {
                let shown = !platform.contains(&hit.id);
                if !shown {
                    self.events.insert(hit.id);
                }
                shown
            });
        }
        Ok(())
    }

    /// Says how many events were hidden, where that was wanted.
    pub(super) fn note(&self) -> Option<String> {
        let n = self.events.len();
        self.wanted.then(|| format!("--no-platform hides {n} events of platform identities"))
    }
}
