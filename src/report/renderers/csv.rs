//! `--format csv`: one table for a spreadsheet (RFC 4180), in which nothing computes.

use std::io::Write;

use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::report::error::ReportError;
use crate::report::reference::event_references;
use crate::report::renderer::Renderer;
use crate::report::renderer::View;
use crate::report::sanitize;

/// All tables of all answers in one, their columns side by side.
#[derive(Clone, Copy, Debug)]
pub struct Csv;

impl Renderer for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "one table for a spreadsheet"
    }

    fn render(
        &self,
        answers: &[Answer],
        view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let sections: Vec<&Section> = answers.iter().flat_map(|answer| &answer.sections).collect();
        let mut columns: Vec<&str> = Vec::new();
        for column in sections.iter().flat_map(|section| &section.columns) {
            if !columns.contains(&column.as_str()) {
                columns.push(column);
            }
        }
        let titled = sections.len() > 1;
        let proven = sections.iter().any(|s| s.rows.iter().any(|row| !row.events.is_empty()));
        let mut head: Vec<&str> = Vec::new();
        head.extend(titled.then_some("section"));
        head.extend(&columns);
        head.extend(proven.then_some("audit_ids"));
        let mut csv = writer(out);
        csv.write_record(&head).map_err(write_error)?;
        for section in sections {
            for row in &section.rows {
                let mut record: Vec<String> = Vec::with_capacity(head.len());
                if titled {
                    record.push(sanitize::csv_cell(&section.title).into_owned());
                }
                for column in &columns {
                    let at = section.columns.iter().position(|own| own == column);
                    let cell = at.and_then(|at| row.cells.get(at)).unwrap_or(&Cell::Empty);
                    record.push(cell_text(cell));
                }
                if proven {
                    let mut ids: Vec<String> = event_references(&row.events, view)?
                        .into_iter()
                        .filter_map(|reference| reference.audit_id)
                        .collect();
                    ids.dedup();
                    record.push(sanitize::csv_cell(&ids.join(" ")).into_owned());
                }
                csv.write_record(&record).map_err(write_error)?;
            }
        }
        csv.flush()?;
        Ok(())
    }
}

/// Returns a writer of CSV as RFC 4180 has it, but with a bare line feed between records, which
/// every spreadsheet reads and every Unix tool expects.
pub fn writer<W: Write>(out: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().flexible(false).from_writer(out)
}

/// Returns the cause of a failed write.
pub fn write_error(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => sanitize::csv_cell(text).into_owned(),
        Cell::Number(number) => number.to_string(),
        Cell::Time(time) => time.to_rfc3339(),
        Cell::Bool(yes) => yes.to_string(),
        Cell::List(texts) => sanitize::csv_cell(&texts.join(", ")).into_owned(),
    }
}
