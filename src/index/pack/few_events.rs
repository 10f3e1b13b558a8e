//! Few events of a pack and what lies between them: where their values stand in every column.

use crate::index::pack::numbers::Numbers;
use crate::index::pack::section::SectionId;

/// Few events and what of one section lies between them: its columns are read of them one after
/// the other.
#[derive(Debug)]
pub struct FewEvents {
    pub(super) section: SectionId,
    /// The events, ascending.
    pub events: Vec<usize>,
    /// The template of each, by number plus one; 0 where it lacks the section.
    pub templates: Vec<u32>,
    /// How many events of each template stand between the one before and each, that one included.
    between: Vec<Vec<(u32, u32)>>,
}

impl FewEvents {
    pub(super) fn new(section: SectionId, events: &[usize], all: &Numbers) -> FewEvents {
        let mut here = 0;
        let between = events.iter().map(|event| {
            let between = all.tally(here..*event);
            here = *event;
            between
        });
        let between = between.collect();
        let templates = events.iter().map(|event| all.get(*event).unwrap_or_default()).collect();
        FewEvents { section, events: events.to_vec(), templates, between }
    }

    /// Returns where the values of a column stand, of which each template holds so many: the place
    /// of the event among these, and the number of the occurrence.
    pub(super) fn positions(&self, counts: &[u32]) -> Vec<(usize, u32)> {
        let count = |template: u32| counts.get(template as usize).copied().unwrap_or_default();
        let mut found = Vec::with_capacity(self.events.len());
        let mut position = 0_u32;
        for (place, (own, between)) in self.templates.iter().zip(&self.between).enumerate() {
            let passed = between.iter().map(|(template, n)| count(*template).wrapping_mul(*n));
            position = passed.fold(position, u32::wrapping_add);
            found.extend((0..count(*own)).map(|nth| (place, position.wrapping_add(nth))));
        }
        found
    }
}
