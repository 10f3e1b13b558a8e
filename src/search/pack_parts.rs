//! Texts of one part of events, without putting the events together.

use crate::index::pack::section::SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::search::pack_eval::PackScope;
use crate::search::pack_eval::judge;
use crate::search::structure::structure_of;

/// The part that holds exactly what stands under a chain of keys, where there is one and no event
/// of the pack has that elsewhere.
fn part_of(pack: &Pack, keys: &[&str]) -> Result<Option<SectionId>, Damage> {
    if keys.iter().any(|key| key.contains('.')) {
        return Ok(None);
    }
    let path = keys.join(".");
    let at = SECTIONS.iter().position(|row| row.parent.is_some() && row.path == Some(&path));
    let Some(part) = at.map(|at| SectionId(at as u8)) else { return Ok(None) };
    Ok(if pack.cuts_out(part)? { Some(part) } else { None })
}

/// Returns that text for some events (ascending) of a pack.
///
/// # Errors
/// On damage.
pub fn structures(
    scope: PackScope<'_>,
    events: &[u32],
    keys: &[&str],
) -> Result<Vec<Option<Vec<u8>>>, Damage> {
    let pack = scope.pack;
    let whole = pack.whole()?;
    let is_whole = |event: u32| whole.binary_search_by_key(&event, |(number, _)| *number).is_ok();
    let part = part_of(pack, keys)?;
    let mut reader = pack.reader()?;
    let mut parts = part.map(|part| pack.reader_of(part)).transpose()?;
    events
        .iter()
        .map(|event| {
            let number = *event as usize;
            if let (Some(part), Some(parts), false) = (part, &mut parts, is_whole(*event)) {
                if !pack.has_section(part) {
                    return Ok(None);
                }
                return parts.read_part(part, number);
            }
            let texts = reader.read(number)?;
            judge(scope, number, &texts, |event| structure_of(event.event, keys))
        })
        .collect()
}
