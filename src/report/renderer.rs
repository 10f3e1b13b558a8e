//! What every output format is: a name and a way to write answers down.

use std::io::Write;

use crate::hunt::answer::Answer;
use crate::report::error::ReportError;
use crate::search::evidence::Evidence;

/// Circumstances of the output.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Where the events behind a row are looked up; without it rows name no events.
    pub evidence: Option<&'a dyn Evidence>,
    /// Columns of the terminal; `None` where nothing may be shortened.
    pub width: Option<usize>,
    /// Whether a terminal shows the output; even JSON is then free of what acts on one.
    pub terminal: bool,
    /// Whether escape sequences of our own may be written.
    pub colour: bool,
    /// At most so many events are named per row.
    pub events_max: usize,
}

impl Default for View<'_> {
    fn default() -> Self {
        View { evidence: None, width: None, terminal: false, colour: false, events_max: 1000 }
    }
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("width", &self.width).field("colour", &self.colour).finish()
    }
}

/// One output format.
pub trait Renderer: Sync {
    /// The word behind `--format`.
    fn name(&self) -> &'static str;

    /// What it is good for, one clause.
    fn about(&self) -> &'static str;

    /// Writes the answers of one command down.
    ///
    /// # Errors
    /// When writing fails or an event cannot be read.
    fn render(
        &self,
        answers: &[Answer],
        view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError>;
}
