//! `--format markdown`: for a ticket or a report, with every link and image from evidence dead.

use std::io::Write;

use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::report::error::ReportError;
use crate::report::renderer::Renderer;
use crate::report::renderer::View;
use crate::report::sanitize;

/// Headings and pipe tables (GFM).
#[derive(Clone, Copy, Debug)]
pub struct Markdown;

impl Renderer for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn about(&self) -> &'static str {
        "headings and tables for a ticket"
    }

    fn render(
        &self,
        answers: &[Answer],
        _view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        for (at, answer) in answers.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            writeln!(out, "## {}", sanitize::markdown(&answer.name))?;
            if !answer.summary.is_empty() {
                writeln!(out, "\n{}", sanitize::markdown(&answer.summary))?;
            }
            for section in &answer.sections {
                if !section.title.is_empty() {
                    writeln!(out, "\n### {}", sanitize::markdown(&section.title))?;
                }
                writeln!(out)?;
                if section.rows.is_empty() {
                    writeln!(out, "Nothing found.")?;
                } else {
                    write_row(out, section.columns.iter().map(|c| sanitize::markdown(c).into()))?;
                    write_row(out, section.columns.iter().map(|_| "---".to_owned()))?;
                    for row in &section.rows {
                        write_row(out, row.cells.iter().map(cell_text))?;
                    }
                }
                write_notes(out, &section.notes)?;
            }
            write_notes(out, &answer.notes)?;
            if !answer.query.is_empty() {
                writeln!(out, "\nQuery: {}", sanitize::markdown_code(&answer.query))?;
            }
        }
        Ok(())
    }
}

fn write_row(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> std::io::Result<()> {
    write!(out, "|")?;
    for cell in cells {
        write!(out, " {cell} |")?;
    }
    writeln!(out)
}

fn write_notes(out: &mut dyn Write, notes: &[String]) -> std::io::Result<()> {
    if !notes.is_empty() {
        writeln!(out)?;
    }
    for note in notes {
        writeln!(out, "- {}", sanitize::markdown(note))?;
    }
    Ok(())
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => sanitize::markdown(text).into_owned(),
        Cell::Number(number) => number.to_string(),
        Cell::Time(time) => time.to_rfc3339(),
        Cell::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Cell::List(texts) => {
            texts.iter().map(|text| sanitize::markdown(text)).collect::<Vec<_>>().join(", ")
        }
    }
}
