//! Rows of a CSV export: one column holds the event, or the columns together are it.

use std::borrow::Cow;

use super::format::Inner;
use super::format::ObjectText;
use super::when::loose_time;

/// Columns whose text is the record as it was logged (Splunk, CloudWatch Insights, Grafana).
const TEXT_COLUMNS: [&str; 4] = ["_raw", "@message", "message", "Line"];

/// Columns that tell the time of a row.
const TIME_COLUMNS: [&str; 5] = ["_time", "@timestamp", "timestamp", "tsNs", "Date"];

/// Reads the fields of one row.
pub(crate) fn fields(row: &[u8]) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(row);
    let mut record = csv::ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => {
            record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns a row as something to peel.
pub(crate) fn row(names: &[String], values: &[String]) -> Inner<'static> {
    let name = |at: usize| match names.get(at) {
        Some(name) if !name.is_empty() => Cow::Borrowed(name.trim_start_matches('\u{feff}')),
        _ => Cow::Owned(format!("column_{}", at + 1)),
    };
    let text_column =
        TEXT_COLUMNS.iter().find_map(|column| (0..values.len()).find(|at| name(*at) == *column));
    let mut object = ObjectText::new();
    let mut time = None;
    for (at, value) in values.iter().enumerate() {
        if Some(at) != text_column {
            object.text(&name(at), value);
        }
        if TIME_COLUMNS.contains(&name(at).as_ref()) {
            time = time.or_else(|| loose_time(value));
        }
    }
    match text_column.and_then(|at| values.get(at)) {
        Some(text) => Inner {
            text: Cow::Owned(text.clone().into_bytes()),
            envelope: object.finish_some(),
            time,
            ..Inner::default()
        },
        None => Inner { text: Cow::Owned(object.finish()), ..Inner::default() },
    }
}
