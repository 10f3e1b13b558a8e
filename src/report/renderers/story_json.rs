//! `--format json` of a story: one object on one line.

use std::io::Write;

use crate::hunt::investigate::story::Story;
use crate::report::error::ReportError;
use crate::report::story_registry::StoryRenderer;

/// One JSON object.
#[derive(Clone, Copy, Debug)]
pub struct StoryJson;

impl StoryRenderer for StoryJson {
    fn name(&self) -> &'static str {
        "json"
    }

    fn about(&self) -> &'static str {
        "one object on one line"
    }

    fn render(&self, story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
        writeln!(out, "{}", story.to_json())?;
        Ok(())
    }
}
