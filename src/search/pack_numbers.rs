//! One number per event and field of a pack: what combinations are counted by.

use crate::event::field::Field;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::search::pack_field::origin;

/// The values of one field in all events of a pack.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Texts; several may be equal.
    pub texts: Vec<String>,
    /// For each event 0 where it has no value, else one more than the place in `texts`.
    pub ids: Vec<u32>,
}

/// Returns the numbers of a field, or `None` where they cannot be told from columns alone: an event
/// with several values, one that is kept whole, a field that is computed.
///
/// # Errors
/// On damage.
pub fn numbers(pack: &Pack, field: &Field) -> Result<Option<Numbers>, Damage> {
    if !pack.whole()?.is_empty() {
        return Ok(None);
    }
    let Some(origin) = origin(pack, field)? else { return Ok(None) };
    let Some(ids) = origin.ids(pack)? else { return Ok(None) };
    let texts = origin.texts(pack)?;
    let texts = (1..=texts.len() as u32).map(|number| texts.text(number).unwrap_or_default());
    Ok(Some(Numbers { texts: texts.collect(), ids }))
}
