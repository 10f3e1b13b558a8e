//! Columns of the events that requests are made of: values as numbers, and what they mean.

use std::sync::OnceLock;

use hashbrown::HashMap;

use crate::event::field::Field;
use crate::ledger::table::field;
use crate::search::codes::Classes;
use crate::search::codes::Codes;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;

/// Values of events, the texts apart: of thousands of requests few are looked at.
#[derive(Debug, Default)]
pub(super) struct Columns {
    at: HashMap<&'static str, usize>,
    pub(super) codes: Vec<Codes>,
    classes: Vec<OnceLock<Classes>>,
    ids: Vec<EventId>,
    /// What the stage of each number means, and the code.
    pub(super) stages: Vec<Stage>,
    pub(super) status: Vec<Option<u32>>,
}

/// What matters of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// None is named.
    #[default]
    Unknown,
    /// RequestReceived, ResponseStarted, or whatever else.
    Early,
    /// ResponseComplete.
    Last,
    /// Panic.
    Panic,
}

impl Stage {
    pub(super) fn of(text: &str) -> Stage {
        match text {
            "" => Stage::Unknown,
            "ResponseComplete" => Stage::Last,
            "Panic" => Stage::Panic,
            _ => Stage::Early,
        }
    }
}

impl Columns {
    pub(super) fn ask(
        evidence: &dyn Evidence,
        ids: Vec<EventId>,
        names: &[&'static str],
    ) -> Result<Columns, SearchError> {
        let fields: Vec<Field> = names.iter().map(|name| field(name)).collect();
        let codes = evidence.codes(&ids, &fields)?;
        let at = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
        let classes = codes.iter().map(|_| OnceLock::new()).collect();
        let texts = |name: &str| {
            let at = names.iter().position(|known| *known == name);
            at.and_then(|at| codes.get(at)).into_iter().flat_map(Codes::texts)
        };
        let stages = texts("stage").map(Stage::of).collect();
        let status = texts("code").map(|code| code.parse().ok()).collect();
        Ok(Columns { at, codes, classes, ids, stages, status })
    }

    /// First value of an event.
    pub(super) fn first(&self, column: usize, line: u32) -> Option<&str> {
        let codes = self.codes.get(column)?;
        match codes.first.get(line as usize) {
            None | Some(0) => None,
            Some(number) => Some(codes.text(*number)),
        }
    }

    pub(super) fn column(&self, name: &str) -> Option<usize> {
        let at = self.at.get(name).copied();
        debug_assert!(at.is_some(), "{name} was not asked for");
        at
    }

    /// The classes of the values of a column.
    pub(super) fn classes(&self, column: usize) -> Option<&Classes> {
        let codes = self.codes.get(column)?;
        Some(self.classes.get(column)?.get_or_init(|| codes.classes()))
    }

    pub(super) fn id(&self, line: u32) -> EventId {
        self.ids.get(line as usize).copied().unwrap_or(EventId(0))
    }
}
