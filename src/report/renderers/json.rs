//! `--format json`: one object on one line, for programs.

use std::io::Write;

use serde_json::Map;
use serde_json::Value;

use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::report::error::ReportError;
use crate::report::reference::EventReference;
use crate::report::reference::event_references;
use crate::report::renderer::Renderer;
use crate::report::renderer::View;
use crate::report::sanitize;

/// One JSON object: the answer itself, or `answers` where a command gives several.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Renderer for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn about(&self) -> &'static str {
        "one object on one line"
    }

    fn render(
        &self,
        answers: &[Answer],
        view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let mut values: Vec<Value> = Vec::with_capacity(answers.len());
        for answer in answers {
            values.push(answer_value(answer, view)?);
        }
        let value = match values.len() {
            1 => values.remove(0),
            _ => serde_json::json!({ "answers": values }),
        };
        write_value(&value, view, out)?;
        Ok(())
    }
}

/// Writes a value on one line; on a terminal without anything that acts on it.
///
/// # Errors
/// When writing fails.
pub fn write_value(value: &Value, view: &View<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let text = value.to_string();
    if view.terminal {
        writeln!(out, "{}", sanitize::json(&text))?;
    } else {
        writeln!(out, "{text}")?;
    }
    Ok(())
}

fn answer_value(answer: &Answer, view: &View<'_>) -> Result<Value, ReportError> {
    let mut sections: Vec<Value> = Vec::with_capacity(answer.sections.len());
    for section in &answer.sections {
        let mut rows: Vec<Value> = Vec::with_capacity(section.rows.len());
        for row in &section.rows {
            rows.push(Value::Object(row_object(section, row, view)?));
        }
        sections.push(serde_json::json!({
            "title": section.title,
            "columns": section.columns,
            "rows": rows,
            "notes": section.notes,
        }));
    }
    Ok(serde_json::json!({
        "name": answer.name,
        "query": answer.query,
        "summary": answer.summary,
        "notes": answer.notes,
        "sections": sections,
    }))
}

/// Returns a row as an object: its columns, and `events` where events stand behind it.
///
/// # Errors
/// When an event cannot be read.
pub fn row_object(
    section: &Section,
    row: &AnswerRow,
    view: &View<'_>,
) -> Result<Map<String, Value>, ReportError> {
    let mut object = Map::new();
    for (column, cell) in section.columns.iter().zip(&row.cells) {
        object.insert(column.clone(), cell_value(cell));
    }
    if !row.events.is_empty() {
        let references = event_references(&row.events, view)?;
        object.insert("events".into(), references.iter().map(reference_value).collect());
        if row.events.len() > view.events_max {
            object.insert("events_total".into(), row.events.len().into());
        }
    }
    Ok(object)
}

/// Returns what names an event as an object.
pub fn reference_value(reference: &EventReference) -> Value {
    serde_json::json!({
        "auditID": reference.audit_id,
        "stage": reference.stage,
        "time": reference.time.map(Timestamp::to_rfc3339),
        "source": reference.source,
        "offset": reference.offset,
        "line": reference.line,
    })
}

/// Returns a cell as a JSON value; text stays what it was, JSON's own escapes hold it.
pub fn cell_value(cell: &Cell) -> Value {
    match cell {
        Cell::Empty => Value::Null,
        Cell::Text(text) => Value::String(text.clone()),
        Cell::Number(number) => Value::from(*number),
        Cell::Time(time) => Value::String(time.to_rfc3339()),
        Cell::Bool(yes) => Value::Bool(*yes),
        Cell::List(texts) => Value::from(texts.clone()),
    }
}
