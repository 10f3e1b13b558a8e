//! CSV exports: told by their header, so a source is one and a record alone never.

use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Layer;
use crate::intake::format::Peeled;

/// A table with a column of log text (`_raw`, `@message`, `message`, `Line`) or Azure's columns
/// (`log_s`, `AuditId`); rows are taken apart before any format is asked.
#[derive(Debug)]
pub(crate) struct CsvExport;

impl Format for CsvExport {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "csv",
            about: "CSV with a header that names a column of log text; the other columns become the envelope.",
            from: "Splunk, Log Analytics, CloudWatch Insights, Grafana",
            example: r#"_time,host,_raw"#,
        }
    }

    fn peel<'c>(&self, _: &Layer<'c>) -> Peeled<'c> {
        Peeled::NotMine
    }
}
