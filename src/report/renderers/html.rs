//! `--format html`: one page that loads nothing from anywhere and prints well.

use std::io::Write;

use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::report::error::ReportError;
use crate::report::reference::event_references;
use crate::report::renderer::Renderer;
use crate::report::renderer::View;
use crate::report::sanitize;

/// The head of every page: its policy forbids whatever an escape that was forgotten might load.
pub const PAGE_HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<style>\n\
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em; color: #1b1f24; }\n\
table { border-collapse: collapse; margin: .6em 0 1.2em; }\n\
th, td { border: 1px solid #ccd2d9; padding: .25em .6em; text-align: left; vertical-align: top;\n\
  overflow-wrap: anywhere; }\n\
th { background: #eef1f4; }\n\
code { background: #eef1f4; padding: 0 .25em; }\n\
.note { color: #57606a; }\n\
summary { color: #57606a; cursor: pointer; }\n\
@media print { body { margin: 0; } tr { break-inside: avoid; } }\n\
</style>\n";

/// One page with every answer.
#[derive(Clone, Copy, Debug)]
pub struct Html;

impl Renderer for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn about(&self) -> &'static str {
        "one page without scripts or links"
    }

    fn render(
        &self,
        answers: &[Answer],
        view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let title = answers.first().map_or("audithound", |answer| answer.name.as_str());
        write!(out, "{PAGE_HEAD}<title>{}</title>\n</head>\n<body>\n", sanitize::html(title))?;
        for answer in answers {
            writeln!(out, "<h1>{}</h1>", sanitize::html(&answer.name))?;
            if !answer.summary.is_empty() {
                writeln!(out, "<p>{}</p>", sanitize::html(&answer.summary))?;
            }
            for section in &answer.sections {
                write_section(section, view, out)?;
            }
            write_notes(&answer.notes, out)?;
            if !answer.query.is_empty() {
                writeln!(out, "<p>Query: <code>{}</code></p>", sanitize::html(&answer.query))?;
            }
        }
        writeln!(out, "</body>\n</html>")?;
        Ok(())
    }
}

fn write_section(
    section: &Section,
    view: &View<'_>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    if !section.title.is_empty() {
        writeln!(out, "<h2>{}</h2>", sanitize::html(&section.title))?;
    }
    if section.rows.is_empty() {
        writeln!(out, "<p>Nothing found.</p>")?;
    } else {
        let proven =
            view.evidence.is_some() && section.rows.iter().any(|row| !row.events.is_empty());
        write!(out, "<table>\n<tr>")?;
        for column in &section.columns {
            write!(out, "<th>{}</th>", sanitize::html(column))?;
        }
        writeln!(out, "{}</tr>", if proven { "<th>events</th>" } else { "" })?;
        for row in &section.rows {
            write!(out, "<tr>")?;
            for cell in &row.cells {
                write!(out, "<td>{}</td>", cell_text(cell))?;
            }
            if proven {
                write!(out, "<td><details><summary>{}</summary>", row.events.len())?;
                for event in event_references(&row.events, view)? {
                    write!(
                        out,
                        "{} {} {}:{}<br>",
                        sanitize::html(&event.time.map(Timestamp::to_rfc3339).unwrap_or_default()),
                        sanitize::html(event.audit_id.as_deref().unwrap_or("-")),
                        sanitize::html(&event.source),
                        event.line,
                    )?;
                }
                write!(out, "</details></td>")?;
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</table>")?;
    }
    write_notes(&section.notes, out)?;
    Ok(())
}

fn write_notes(notes: &[String], out: &mut dyn Write) -> std::io::Result<()> {
    for note in notes {
        writeln!(out, "<p class=\"note\">{}</p>", sanitize::html(note))?;
    }
    Ok(())
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => sanitize::html(text).into_owned(),
        Cell::Number(number) => number.to_string(),
        Cell::Time(time) => time.to_rfc3339(),
        Cell::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Cell::List(texts) => {
            texts.iter().map(|text| sanitize::html(text)).collect::<Vec<_>>().join("<br>")
        }
    }
}
