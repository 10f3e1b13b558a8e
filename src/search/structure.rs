//! Objects and lists inside events, as text.

use crate::event::json::Json;
use crate::event::json::Kind;

/// Returns the text of the object or list that stands under a chain of keys.
pub fn structure_of(event: Json<'_>, keys: &[&str]) -> Option<Vec<u8>> {
    let found = event.at_path(keys)?;
    matches!(found.kind(), Kind::Object | Kind::Array).then(|| found.raw().to_vec())
}
