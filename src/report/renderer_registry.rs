//! The table of output formats for answers.

use crate::report::renderer::Renderer;
use crate::report::renderers::json::Json;
use crate::report::renderers::text::Text;

/// Every format; the first is the default.
pub const RENDERERS: &[&dyn Renderer] = &[&Text, &Json];

/// Returns the format called `name`; `text` and `table` are the same one.
pub fn renderer(name: &str) -> Option<&'static dyn Renderer> {
    let name = if name == "text" { "table" } else { name };
    RENDERERS.iter().copied().find(|renderer| renderer.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_described() {
        let mut names: Vec<&str> = RENDERERS.iter().map(|renderer| renderer.name()).collect();
        assert!(RENDERERS.iter().all(|renderer| !renderer.about().is_empty()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RENDERERS.len());
        assert!(renderer("text").is_some());
        assert!(renderer("xml").is_none());
    }
}
