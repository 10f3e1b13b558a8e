//! Hits become lines: a table, JSON lines, CSV, or the original bytes.

use std::io::Write;

use serde_json::Value;

use crate::event::field::Field;
use crate::event::json::Tape;
use crate::event::time::Timestamp;
use crate::report::embed::embed;
use crate::report::error::ReportError;
use crate::report::renderer::View;
use crate::report::renderers::csv::write_error;
use crate::report::renderers::csv::writer;
use crate::report::sanitize;
use crate::report::table::TableWriter;
use crate::search::evidence::Dated;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Row;
use crate::search::evidence::StoredEvent;

/// So many hits are held in memory at once.
const PIECE: usize = 1024;

/// How hits are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HitFormat {
    /// Aligned columns.
    Table,
    /// One object per hit.
    Jsonl,
    /// RFC 4180.
    Csv,
    /// The original bytes.
    Raw,
}

/// A column that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its head, as typed.
    pub name: String,
    /// What it shows.
    pub field: Field,
}

/// Writes `hits` in their order; `columns` are the ones asked for, if any were.
///
/// # Errors
/// When writing fails or an event cannot be read.
pub fn write_hits(
    evidence: &dyn Evidence,
    hits: &[Dated],
    format: HitFormat,
    columns: Option<&[Column]>,
    view: &View<'_>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    match format {
        HitFormat::Table => write_table(evidence, hits, columns, view, out),
        HitFormat::Jsonl => write_jsonl(evidence, hits, columns, view, out),
        HitFormat::Csv => write_csv(evidence, hits, columns, out),
        HitFormat::Raw => write_raw(evidence, hits, view, out),
    }
}

fn write_raw(
    evidence: &dyn Evidence,
    hits: &[Dated],
    view: &View<'_>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    for piece in hits.chunks(PIECE) {
        let ids: Vec<EventId> = piece.iter().map(|hit| hit.id).collect();
        for event in evidence.fetch_many(&ids)? {
            if view.terminal {
                // Bytes that act on a terminal are for files and pipes only.
                let text = String::from_utf8_lossy(&event.raw);
                writeln!(out, "{}", sanitize::lines(&text))?;
            } else {
                out.write_all(&event.raw)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}

fn write_jsonl(
    evidence: &dyn Evidence,
    hits: &[Dated],
    columns: Option<&[Column]>,
    view: &View<'_>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let mut tape = Tape::default();
    let fields: Vec<Field> = columns.unwrap_or_default().iter().map(|c| c.field.clone()).collect();
    for piece in hits.chunks(PIECE) {
        let ids: Vec<EventId> = piece.iter().map(|hit| hit.id).collect();
        let rows = if fields.is_empty() { Vec::new() } else { evidence.rows(&ids, &fields)? };
        let flags = evidence.rows(&ids, &[Field::Flag])?;
        for (at, (hit, stored)) in piece.iter().zip(evidence.fetch_many(&ids)?).enumerate() {
            let mut line: Vec<u8> = b"{\"event\":".to_vec();
            line.extend_from_slice(&embed(&stored.event, &mut tape));
            push_place(&mut line, evidence, hit, &stored);
            let flags = flags.get(at).and_then(|row| row.first()).filter(|flags| !flags.is_empty());
            if let Some(flags) = flags {
                push_entry(&mut line, "flags", &Value::from(flags.clone()));
            }
            if let (Some(columns), Some(row)) = (columns, rows.get(at)) {
                let asked: serde_json::Map<String, Value> = columns
                    .iter()
                    .zip(row)
                    .map(|(column, values)| (column.name.clone(), values_value(values)))
                    .collect();
                push_entry(&mut line, "fields", &Value::Object(asked));
            }
            line.push(b'}');
            if view.terminal {
                let text = String::from_utf8_lossy(&line);
                writeln!(out, "{}", sanitize::json(&text))?;
            } else {
                line.push(b'\n');
                out.write_all(&line)?;
            }
        }
    }
    Ok(())
}

fn push_place(line: &mut Vec<u8>, evidence: &dyn Evidence, hit: &Dated, stored: &StoredEvent) {
    let place = &stored.place;
    push_entry(line, "source", &evidence.source_name(place.source).into());
    push_entry(line, "offset", &place.offset.into());
    push_entry(line, "line", &place.line.into());
    if place.item > 0 {
        push_entry(line, "item", &place.item.into());
    }
    if let Some(time) = hit.time {
        push_entry(line, "time", &time.to_rfc3339().into());
    }
    let origin = &stored.origin;
    let known = [("node", &origin.node), ("cluster", &origin.cluster), ("log", &origin.log)];
    for (key, value) in known {
        if let Some(value) = value {
            push_entry(line, key, &value.as_str().into());
        }
    }
}

fn push_entry(line: &mut Vec<u8>, key: &str, value: &Value) {
    line.extend_from_slice(format!(",\"{key}\":{value}").as_bytes());
}

fn values_value(values: &[String]) -> Value {
    match values {
        [] => Value::Null,
        [one] => Value::from(one.as_str()),
        many => Value::from(many.to_vec()),
    }
}

/// The columns of the table where none were asked for; `resource` also shows the subresource, or
/// the path of a request that is for no resource, and `user` whom somebody acted as.
const TABLE_HEAD: [&str; 8] =
    ["time", "user", "verb", "resource", "namespace", "name", "code", "peer"];

fn write_table(
    evidence: &dyn Evidence,
    hits: &[Dated],
    columns: Option<&[Column]>,
    view: &View<'_>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    if hits.is_empty() {
        return Ok(());
    }
    let head: Vec<String> = match columns {
        Some(columns) => columns.iter().map(|c| sanitize::terminal(&c.name).into_owned()).collect(),
        None => TABLE_HEAD.map(String::from).to_vec(),
    };
    let fields: Vec<Field> = match columns {
        Some(columns) => columns.iter().map(|column| column.field.clone()).collect(),
        None => default_fields(),
    };
    let mut table = TableWriter::new(head, view.width, view.colour);
    for piece in hits.chunks(PIECE) {
        let ids: Vec<EventId> = piece.iter().map(|hit| hit.id).collect();
        let rows = match columns {
            Some(_) => evidence.rows(&ids, &fields)?,
            None => default_rows(evidence, &ids)?,
        };
        let lines: Vec<Vec<String>> = piece
            .iter()
            .zip(&rows)
            .map(|(hit, row)| {
                let cells = match columns {
                    Some(_) => row.iter().map(|values| values.join(", ")).collect(),
                    None => default_cells(hit, row),
                };
                cells.iter().map(|cell: &String| sanitize::terminal(cell).into_owned()).collect()
            })
            .collect();
        table.write_rows(&lines, out)?;
    }
    Ok(())
}

/// Reads what [`default_cells`] shows; paths, of which there are many different ones, only of
/// requests for no resource.
fn default_rows(evidence: &dyn Evidence, ids: &[EventId]) -> Result<Vec<Row>, ReportError> {
    let fields = default_fields();
    let shown = fields.get(..SHOWN).unwrap_or(&fields);
    let mut rows = evidence.rows(ids, shown)?;
    let without = |row: &Row| row.get(RESOURCE).is_none_or(|values| values.concat().is_empty());
    let pathed: Vec<(usize, EventId)> = (0..)
        .zip(ids)
        .zip(&rows)
        .filter(|(_, row)| without(row))
        .map(|((at, id), _)| (at, *id))
        .collect();
    let some: Vec<EventId> = pathed.iter().map(|(_, id)| *id).collect();
    let paths = evidence.rows(&some, &[Field::path("requestURI")])?;
    for ((at, _), path) in pathed.into_iter().zip(paths) {
        if let Some(row) = rows.get_mut(at) {
            row.extend(path);
        }
    }
    Ok(rows)
}

/// So many of [`default_fields`] are shown of every event.
const SHOWN: usize = 9;
/// The place of the resource among them.
const RESOURCE: usize = 3;

/// What both default layouts are made of.
fn default_fields() -> Vec<Field> {
    vec![
        Field::path("user.username"),
        Field::path("impersonatedUser.username"),
        Field::path("verb"),
        Field::path("objectRef.resource"),
        Field::path("objectRef.subresource"),
        Field::Namespace,
        Field::Name,
        Field::path("responseStatus.code"),
        Field::Peer,
        Field::path("requestURI"),
        Field::path("auditID"),
    ]
}

fn default_cells(hit: &Dated, row: &Row) -> Vec<String> {
    let cell = |at: usize| row.get(at).map(|values| values.join(", ")).unwrap_or_default();
    let mut user = cell(0);
    if !cell(1).is_empty() {
        user = format!("{user} as {}", cell(1));
    }
    let mut resource = cell(RESOURCE);
    if !cell(4).is_empty() {
        resource = format!("{resource}/{}", cell(4));
    }
    if resource.is_empty() {
        resource = cell(SHOWN);
    }
    let time = hit.time.map(Timestamp::to_rfc3339).unwrap_or_default();
    vec![time, user, cell(2), resource, cell(5), cell(6), cell(7), cell(8)]
}

/// The columns of the CSV where none were asked for: the table's, and what leads back.
const CSV_HEAD: [&str; 16] = [
    "time",
    "user",
    "as",
    "verb",
    "resource",
    "subresource",
    "uri",
    "namespace",
    "name",
    "code",
    "peer",
    "auditID",
    "source",
    "offset",
    "line",
    "item",
];

/// Where the path of a request stands in a CSV, before the time is put in front.
const CSV_PATH: usize = 5;

fn write_csv(
    evidence: &dyn Evidence,
    hits: &[Dated],
    columns: Option<&[Column]>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let mut csv = writer(out);
    let head: Vec<String> = match columns {
        Some(columns) => columns.iter().map(|c| sanitize::csv_cell(&c.name).into_owned()).collect(),
        None => CSV_HEAD.map(String::from).to_vec(),
    };
    csv.write_record(&head).map_err(write_error)?;
    let fields: Vec<Field> = match columns {
        Some(columns) => columns.iter().map(|column| column.field.clone()).collect(),
        None => default_fields(),
    };
    for piece in hits.chunks(PIECE) {
        let ids: Vec<EventId> = piece.iter().map(|hit| hit.id).collect();
        let rows = evidence.rows(&ids, &fields)?;
        let places = if columns.is_none() { evidence.places(&ids)? } else { Vec::new() };
        for (at, (hit, row)) in piece.iter().zip(rows).enumerate() {
            let mut record: Vec<String> = row
                .iter()
                .map(|values| sanitize::csv_cell(&values.join(", ")).into_owned())
                .collect();
            if let Some(place) = places.get(at) {
                let path = record.remove(SHOWN);
                record.insert(CSV_PATH, path);
                record.insert(0, hit.time.map(Timestamp::to_rfc3339).unwrap_or_default());
                let source = evidence.source_name(place.source);
                record.push(sanitize::csv_cell(&source).into_owned());
                record.push(place.offset.to_string());
                record.push(place.line.to_string());
                record.push(place.item.to_string());
            }
            csv.write_record(&record).map_err(write_error)?;
        }
    }
    csv.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::ast::QueryAst;
    use crate::search::evidence::SearchOptions;
    use crate::search::scan::MemoryEvidence;

    const LOG: &str = concat!(
        r#"{"auditID":"1","verb":"get","user":{"username":"=cmd|' /C calc'!A0"},"userAgent":"\u001b]0;x\u0007","objectRef":{"resource":"pods","subresource":"exec","namespace":"a","name":"b"},"sourceIPs":["1.2.3.4","10.0.0.9"],"responseStatus":{"code":201},"requestReceivedTimestamp":"2025-07-02T10:15:00.000001Z"}"#,
        "\n",
        r#"{"auditID":"2","verb":"get","user":{"username":"ü"},"impersonatedUser":{"username":"admin"},"requestURI":"/version?x=1","requestReceivedTimestamp":"2025-07-02T10:15:01Z"} "#,
        "\r\n",
    );

    fn written(format: HitFormat, fields: &[&str], view: &View<'_>) -> String {
        let evidence = MemoryEvidence::from_lines("audit.log", LOG);
        let hits = evidence.find(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
        let columns: Vec<Column> = fields
            .iter()
            .map(|name| Column { name: (*name).to_owned(), field: Field::path(name) })
            .collect();
        let columns = (!columns.is_empty()).then_some(columns.as_slice());
        let mut out = Vec::new();
        write_hits(&evidence, &hits, format, columns, view, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn raw_is_what_stood_there() {
        let plain = LOG.replace('\r', "");
        assert_eq!(written(HitFormat::Raw, &[], &View::default()), plain);
    }

    #[test]
    fn a_table_shows_who_did_what_where() {
        let text = written(HitFormat::Table, &[], &View::default());
        expect_test::expect![[r"
            time                         user                verb  resource      namespace  name  code  peer
            2025-07-02T10:15:00.000001Z  =cmd|' /C calc'!A0  get   pods/exec     a          b     201   10.0.0.9
            2025-07-02T10:15:01.000000Z  ü as admin          get   /version?x=1
        "]]
        .assert_eq(&text);
        let text = written(HitFormat::Table, &["userAgent", "verb"], &View::default());
        expect_test::expect![[r#"
            userAgent        verb
            \u{1b}]0;x\u{7}  get
                             get
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn a_spreadsheet_gets_cells_that_do_not_compute() {
        let text =
            written(HitFormat::Csv, &["user.username", "userAgent", "sourceIPs"], &View::default());
        expect_test::expect![[r#"
            user.username,userAgent,sourceIPs
            '=cmd|' /C calc'!A0,\u{1b}]0;x\u{7},"1.2.3.4, 10.0.0.9"
            ü,,
        "#]]
        .assert_eq(&text);
        let text = written(HitFormat::Csv, &[], &View::default());
        assert!(text.lines().nth(1).unwrap().ends_with(",1,audit.log,0,1,0"), "{text}");
    }

    #[test]
    fn the_event_in_a_json_line_is_unaltered() {
        let text = written(HitFormat::Jsonl, &["sourceIPs"], &View::default());
        let lines: Vec<&str> = text.lines().collect();
        let event = LOG.lines().next().unwrap();
        assert!(lines[0].starts_with(&format!("{{\"event\":{event},\"source\":\"audit.log\",")));
        let value: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
        assert_eq!(value["offset"], event.len() + 1);
        assert_eq!(value["line"], 2);
        assert_eq!(value["fields"]["sourceIPs"], Value::Null);
    }

    #[test]
    fn nothing_acts_on_a_terminal() {
        let view = View { terminal: true, width: Some(60), ..View::default() };
        for format in [HitFormat::Table, HitFormat::Jsonl, HitFormat::Raw] {
            let text = written(format, &[], &view);
            assert!(!text.chars().any(|c| sanitize::is_unseen(c) && c != '\n'), "{text}");
        }
    }
}
