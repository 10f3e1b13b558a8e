//! What a pivot, a hunt or an investigation has to say, free of any layout.

use crate::event::time::Timestamp;
use crate::search::evidence::EventId;

/// A whole answer: tables with notes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Which pivot or command speaks.
    pub name: String,
    /// The question it ran, in the query language, so that it can be refined.
    pub query: String,
    /// One sentence on what was found, if there is one to say.
    pub summary: String,
    /// What this evidence cannot tell, and other remarks; one sentence each.
    pub notes: Vec<String>,
    /// The tables.
    pub sections: Vec<Section>,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// What it shows.
    pub title: String,
    /// Column names in snake_case; they are the keys in JSON.
    pub columns: Vec<String>,
    /// Rows with one cell per column.
    pub rows: Vec<AnswerRow>,
    /// Remarks on this table.
    pub notes: Vec<String>,
}

/// One row and the events that prove it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerRow {
    /// One cell per column.
    pub cells: Vec<Cell>,
    /// The events behind it.
    pub events: Vec<EventId>,
}

/// A value with its kind; renderers escape and lay out.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    /// Nothing known.
    #[default]
    Empty,
    /// Text from the evidence or from us; always treated as hostile.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A moment.
    Time(Timestamp),
    /// A yes or no.
    Bool(bool),
    /// Several texts.
    List(Vec<String>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<Vec<String>> for Cell {
    fn from(texts: Vec<String>) -> Cell {
        Cell::List(texts)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Cell {
        Cell::Number(number)
    }
}

impl From<Timestamp> for Cell {
    fn from(time: Timestamp) -> Cell {
        Cell::Time(time)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Empty, Into::into)
    }
}
