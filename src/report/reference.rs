//! What leads a reader from a row back to its events: auditID, stage, time and place.

use crate::event::field::Field;
use crate::event::time::Timestamp;
use crate::report::renderer::View;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;

/// Names one event outside of its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReference {
    /// Its auditID, which a client may have set.
    pub audit_id: Option<String>,
    /// Its stage.
    pub stage: Option<String>,
    /// Its time.
    pub time: Option<Timestamp>,
    /// Name of the source it stands in.
    pub source: String,
    /// Offset of its record there.
    pub offset: u64,
    /// Line of its record there.
    pub line: u64,
}

/// Returns the references of `ids`, at most as many as the view wants; none without evidence.
///
/// # Errors
/// When an event cannot be read.
pub fn event_references(
    ids: &[EventId],
    view: &View<'_>,
) -> Result<Vec<EventReference>, SearchError> {
    let Some(evidence) = view.evidence else { return Ok(Vec::new()) };
    let ids = ids.get(..ids.len().min(view.events_max)).unwrap_or(ids);
    let rows = evidence.rows(ids, &[Field::path("auditID"), Field::path("stage")])?;
    let mut references = Vec::with_capacity(ids.len());
    for (event, row) in evidence.fetch_many(ids)?.iter().zip(&rows) {
        let first = |at: usize| row.get(at).and_then(|values| values.first()).cloned();
        references.push(EventReference {
            audit_id: first(0),
            stage: first(1),
            time: event.time,
            source: evidence.source_name(event.place.source),
            offset: event.place.offset,
            line: event.place.line,
        });
    }
    Ok(references)
}
