//! Which format a record is in: one table, asked record by record.

use super::format::Format;
use super::format::FormatRow;
use super::formats::bare::Bare;
use super::formats::event_list::EventList;
use super::formats::node_prefix::NodePrefix;

/// Every format, in the order they are asked and shown.
pub(crate) static FORMATS: &[&dyn Format] = &[&Bare, &EventList, &NodePrefix];

/// Returns what people read about every format.
pub fn formats_table() -> Vec<FormatRow> {
    FORMATS.iter().map(|format| format.row()).collect()
}
