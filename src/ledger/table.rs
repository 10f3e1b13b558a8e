//! A question put to evidence, answered as named columns.

use std::collections::HashMap;

use crate::event::field::ALIASES;
use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;
use crate::search::evidence::Row;
use crate::search::evidence::SearchOptions;

/// The field a name of the query language stands for; names here are ours, never an attacker's.
pub fn field(name: &str) -> Field {
    match name {
        "who" => Field::Who,
        "ns" => Field::Namespace,
        "name" => Field::Name,
        "peer" => Field::Peer,
        "time" => Field::Time,
        "took" => Field::Took,
        "source" => Field::Source,
        "node" => Field::Node,
        "cluster" => Field::Cluster,
        "log" => Field::Log,
        "flag" => Field::Flag,
        "level" => Field::Level,
        _ => {
            let alias = ALIASES.iter().find(|alias| alias.name == name);
            Field::path(alias.map_or(name, |alias| alias.stands_for))
        }
    }
}

/// Hits with the values of some columns.
#[derive(Debug, Default)]
pub struct Table {
    /// How many events match, also where fewer were read.
    pub total: u64,
    /// What the evidence cannot answer about the question.
    pub notes: Vec<String>,
    hits: Vec<Hit>,
    rows: Vec<Row>,
    columns: HashMap<&'static str, usize>,
}

/// One line of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub struct Line<'t> {
    /// The event.
    pub hit: &'t Hit,
    row: &'t Row,
    columns: &'t HashMap<&'static str, usize>,
}

impl Table {
    /// Asks `question` and reads `columns` of every hit.
    ///
    /// # Errors
    /// As [`Evidence::search`].
    pub fn ask(
        evidence: &dyn Evidence,
        question: &QueryAst,
        options: &SearchOptions,
        columns: &[&'static str],
    ) -> Result<Table, SearchError> {
        let hits = evidence.search(question, options)?;
        let ids: Vec<EventId> = hits.hits.iter().map(|hit| hit.id).collect();
        let fields: Vec<Field> = columns.iter().map(|name| field(name)).collect();
        let rows = evidence.rows(&ids, &fields)?;
        Ok(Table {
            total: hits.total,
            notes: hits.notes,
            hits: hits.hits,
            rows,
            columns: columns.iter().enumerate().map(|(at, name)| (*name, at)).collect(),
        })
    }

    /// As [`Self::ask`], for all hits of all times in order.
    ///
    /// # Errors
    /// As [`Evidence::search`].
    pub fn all(
        evidence: &dyn Evidence,
        question: &QueryAst,
        columns: &[&'static str],
    ) -> Result<Table, SearchError> {
        let options = SearchOptions { range: TimeRange::ALL, ..SearchOptions::default() };
        Table::ask(evidence, question, &options, columns)
    }

    /// How many lines were read.
    pub fn len(&self) -> usize {
        self.hits.len()
    }

    /// Says whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }

    /// The lines in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.hits.iter().zip(&self.rows).map(|(hit, row)| Line { hit, row, columns: &self.columns })
    }
}

impl<'t> Line<'t> {
    /// First value of a column.
    pub fn get(&self, column: &str) -> Option<&'t str> {
        self.all(column).first().map(String::as_str)
    }

    /// All values of a column.
    pub fn all(&self, column: &str) -> &'t [String] {
        self.columns.get(column).and_then(|at| self.row.get(*at)).map_or(&[], Vec::as_slice)
    }

    /// First value of the first column that has one.
    pub fn first_of(&self, columns: &[&str]) -> Option<&'t str> {
        columns.iter().find_map(|column| self.get(column))
    }

    /// The cluster; every derived fact is kept per cluster.
    pub fn cluster(&self) -> String {
        self.get("cluster").unwrap_or_default().to_owned()
    }

    /// Time of the event.
    pub fn time(&self) -> Option<Timestamp> {
        self.hit.time
    }

    /// The event itself.
    pub fn id(&self) -> EventId {
        self.hit.id
    }

    /// All values of the line, in the order the columns were asked for.
    pub fn values(&self) -> &'t Row {
        self.row
    }
}
