//! Which format a record is in: one table, asked record by record.

use super::format::Format;
use super::format::FormatRow;
use super::formats::aks::Aks;
use super::formats::auditd::Auditd;
use super::formats::bare::Bare;
use super::formats::cloudwatch::CloudWatch;
use super::formats::csv_export::CsvExport;
use super::formats::elastic::Elastic;
use super::formats::event_list::EventList;
use super::formats::gke::Gke;
use super::formats::graylog::Graylog;
use super::formats::json_string::JsonString;
use super::formats::legacy::Legacy;
use super::formats::loki::Loki;
use super::formats::node_prefix::NodePrefix;
use super::formats::otlp::Otlp;
use super::formats::ovn::Ovn;
use super::formats::splunk::Splunk;
use super::formats::syslog::Syslog;
use super::formats::timestamp_prefix::TimestampPrefix;
use super::formats::truncated::Truncated;
use super::formats::viaq::Viaq;

/// Every format, in the order they are asked and shown.
///
/// The order is fixed: what a record is must not depend on its neighbours, or the same bytes would
/// be read differently when they are cut into other pieces.
pub(crate) static FORMATS: &[&dyn Format] = &[
    &Bare,
    &EventList,
    &Viaq,
    &Otlp,
    &Loki,
    &Elastic,
    &Splunk,
    &CloudWatch,
    &Gke,
    &Aks,
    &Graylog,
    &JsonString,
    &NodePrefix,
    &TimestampPrefix,
    &Syslog,
    &Legacy,
    &Ovn,
    &Auditd,
    &Truncated,
    &CsvExport,
];

/// Returns what people read about every format.
pub fn formats_table() -> Vec<FormatRow> {
    FORMATS.iter().map(|format| format.row()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole_and_names_are_unique() {
        let rows = formats_table();
        let mut names: Vec<_> = rows.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len());
        for row in rows {
            assert!(row.about.ends_with('.'), "{}", row.name);
            assert!(!row.from.is_empty() && !row.example.is_empty(), "{}", row.name);
        }
    }
}
