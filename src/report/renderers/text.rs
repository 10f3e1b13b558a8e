//! `--format table`: for people, on a terminal or in a file.

use std::io::Write;

use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::report::error::ReportError;
use crate::report::renderer::Renderer;
use crate::report::renderer::View;
use crate::report::sanitize;
use crate::report::table::TableWriter;

/// Aligned columns.
#[derive(Clone, Copy, Debug)]
pub struct Text;

impl Renderer for Text {
    fn name(&self) -> &'static str {
        "table"
    }

    fn about(&self) -> &'static str {
        "aligned columns for people"
    }

    fn render(
        &self,
        answers: &[Answer],
        view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let mut between = false;
        for answer in answers {
            for text in [&answer.summary].into_iter().filter(|text| !text.is_empty()) {
                writeln!(out, "{}", sanitize::terminal(text))?;
                between = true;
            }
            // A single table needs no title: the command names it.
            let titled = answer.sections.len() > 1;
            for section in &answer.sections {
                if between {
                    writeln!(out)?;
                }
                between = true;
                if titled && !section.title.is_empty() {
                    let (on, off) = if view.colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
                    writeln!(out, "{on}# {}{off}", sanitize::terminal(&section.title))?;
                }
                if section.rows.is_empty() {
                    writeln!(out, "(none)")?;
                } else {
                    let rows: Vec<Vec<String>> = section
                        .rows
                        .iter()
                        .map(|row| row.cells.iter().map(cell_text).collect())
                        .collect();
                    TableWriter::new(section.columns.clone(), view.width, view.colour)
                        .write_rows(&rows, out)?;
                }
                for note in &section.notes {
                    writeln!(out, "note: {}", sanitize::terminal(note))?;
                }
            }
            for note in &answer.notes {
                writeln!(out, "note: {}", sanitize::terminal(note))?;
            }
            if !answer.query.is_empty() {
                writeln!(out, "query: {}", sanitize::terminal(&answer.query))?;
            }
        }
        Ok(())
    }
}

/// Returns a cell as one harmless line.
pub fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => sanitize::terminal(text).into_owned(),
        Cell::Number(number) => number.to_string(),
        Cell::Time(time) => time.to_rfc3339(),
        Cell::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Cell::List(texts) => {
            let texts: Vec<_> = texts.iter().map(|text| sanitize::terminal(text)).collect();
            texts.join(", ")
        }
    }
}
