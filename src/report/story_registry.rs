//! The table of forms a story (an investigation, a timeline) can be written down in.

use std::io::Write;

use crate::hunt::investigate::story::Story;
use crate::report::error::ReportError;
use crate::report::renderers::investigation_html::InvestigationHtml;
use crate::report::renderers::mermaid_markdown::MermaidMarkdown;
use crate::report::renderers::story_json::StoryJson;
use crate::report::renderers::story_text::StoryText;
use crate::report::renderers::timesketch::Timesketch;

/// One form of a story.
pub trait StoryRenderer: Sync {
    /// The word behind `--format`.
    fn name(&self) -> &'static str;

    /// What it is good for, one clause.
    fn about(&self) -> &'static str;

    /// Writes the story down.
    ///
    /// # Errors
    /// When writing fails.
    fn render(&self, story: &Story, out: &mut dyn Write) -> Result<(), ReportError>;
}

/// Every form; the first is the default.
pub const STORY_RENDERERS: &[&dyn StoryRenderer] =
    &[&StoryText, &StoryJson, &MermaidMarkdown, &Timesketch, &InvestigationHtml];

/// Returns the form called `name`.
pub fn story_renderer(name: &str) -> Option<&'static dyn StoryRenderer> {
    STORY_RENDERERS.iter().copied().find(|renderer| renderer.name() == name)
}
