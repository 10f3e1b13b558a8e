//! What a pack holds of one event beside its columns.

use std::sync::Arc;

/// An event's own text and its envelope's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// The event's JSON.
    pub event: Vec<u8>,
    /// The envelope's, where there is one beside the event.
    pub envelope: Option<Vec<u8>>,
}

/// One small fact per event.
#[derive(Debug, Default)]
pub struct MetaColumn {
    /// The different values.
    pub values: Vec<Vec<u8>>,
    /// Value of each event; empty where all have the first.
    pub(super) ids: Vec<u32>,
}

impl MetaColumn {
    /// Returns the number of the value of an event.
    pub fn id(&self, event: usize) -> u32 {
        self.ids.get(event).copied().unwrap_or_default()
    }

    /// Returns the value of an event.
    pub fn value(&self, event: usize) -> &[u8] {
        self.values.get(self.id(event) as usize).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What stands around an event in its record.
#[derive(Debug)]
pub enum Around {
    /// The event is the record.
    Nothing,
    /// This before it and that behind it.
    Little(Vec<u8>, Vec<u8>),
    /// The record is one of these texts.
    Text(Arc<Vec<Vec<u8>>>, usize),
}
