//! A pack that was just made: what its builder knows of the skeletons need not be read again.

use crate::index::pack::build::Template;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Shape;

/// The skeletons of a pack that was just made, so that nobody need take them apart again.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) templates: Vec<Template>,
    /// Place of each column in its section.
    pub(super) places: Vec<u32>,
}

impl Made {
    fn own(&self, section: SectionId) -> impl Iterator<Item = &Template> {
        self.templates.iter().filter(move |template| template.section == section)
    }

    /// The shapes of a section, by the number of their template.
    pub(super) fn shapes(&self, section: SectionId) -> impl Iterator<Item = &Shape> {
        self.own(section).map(|template| &template.shape)
    }

    /// The columns of each template of a section.
    pub(super) fn columns(&self, section: SectionId) -> impl Iterator<Item = Vec<u32>> {
        let place = |column: &u32| self.places.get(*column as usize).copied().unwrap_or_default();
        self.own(section).map(move |template| template.columns.iter().map(place).collect())
    }
}
