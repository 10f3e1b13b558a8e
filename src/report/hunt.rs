//! The formats of a hunt's report; one file and one row each.

use std::io::Write;

use crate::hunt::finding::HuntReport;
use crate::report::error::ReportError;
use crate::report::renderer::View;

pub mod csv;
pub mod html;
pub mod json;
pub mod markdown;
pub mod navigator;
pub mod sarif;
pub mod table;
pub mod timesketch;

/// A way to write a hunt's report down.
pub trait HuntRenderer: Sync {
    /// The word behind `--format`.
    fn name(&self) -> &'static str;

    /// What it is good for, one clause.
    fn about(&self) -> &'static str;

    /// Writes.
    ///
    /// # Errors
    /// When writing fails.
    fn render(
        &self,
        report: &HuntReport,
        view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError>;
}

/// Every format; the first is the default.
pub const HUNT_RENDERERS: &[&dyn HuntRenderer] = &[
    &table::Table,
    &json::Json,
    &json::JsonLines,
    &csv::Csv,
    &markdown::Markdown,
    &sarif::Sarif,
    &html::Html,
    &timesketch::Timesketch,
    &navigator::Navigator,
];

/// Returns the format called `name`; `text` and `table` are the same one.
pub fn hunt_renderer(name: &str) -> Option<&'static dyn HuntRenderer> {
    let name = if name == "text" { "table" } else { name };
    HUNT_RENDERERS.iter().copied().find(|renderer| renderer.name() == name)
}

/// Writes a JSON value; strings are escaped by it.
fn write_json(value: &serde_json::Value, out: &mut dyn Write) -> Result<(), ReportError> {
    serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}

#[cfg(test)]
mod tests;
