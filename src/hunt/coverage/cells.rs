//! Cells and tables as the parts of coverage make them.

use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::search::evidence::FacetRow;

/// Makes a table without events behind its rows.
pub fn table(title: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> Section {
    Section {
        title: title.into(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.into_iter().map(|cells| AnswerRow { cells, events: Vec::new() }).collect(),
        notes: Vec::new(),
    }
}

/// Makes a cell of a count.
pub fn number(value: u64) -> Cell {
    Cell::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Returns one value of a counted combination.
pub fn value(row: &FacetRow, at: usize) -> Option<String> {
    row.values.get(at).cloned().flatten()
}
