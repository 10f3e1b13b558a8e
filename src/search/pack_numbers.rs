//! One number per event and field of a pack: what combinations are counted by.

use crate::event::field::Field;
use crate::event::field::Reading;
use crate::index::pack::build::META_CLUSTER;
use crate::index::pack::build::META_LOG;
use crate::index::pack::build::META_NODE;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::search::pack_eval::sections_of;
use crate::search::pack_values::value_text;

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
    match field {
        Field::Node => return meta_numbers(pack, META_NODE).map(Some),
        Field::Cluster => return meta_numbers(pack, META_CLUSTER).map(Some),
        Field::Log => return meta_numbers(pack, META_LOG).map(Some),
        Field::Peer if pack.has_plain_addresses()? => {
            return path_numbers(pack, &["sourceIPs".to_owned()], Of::Last);
        }
        _ => {}
    }
    match field.reading() {
        Reading::AnyOf(paths) if paths.len() == 1 => path_numbers(pack, &paths, Of::One),
        Reading::FirstOf(paths) => path_numbers(pack, &paths, Of::One),
        _ => Ok(None),
    }
}

fn meta_numbers(pack: &Pack, at: usize) -> Result<Numbers, Damage> {
    let meta = pack.meta()?;
    let Some(column) = meta.get(at) else { return Ok(Numbers::default()) };
    let texts: Vec<String> =
        column.values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    let number = |event: usize| {
        let id = column.id(event);
        if texts.get(id as usize).is_none_or(String::is_empty) { 0 } else { id + 1 }
    };
    let ids = (0..pack.len()).map(number).collect();
    Ok(Numbers { texts, ids })
}

/// Which value of an event counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The only one.
    One,
    /// The last one.
    Last,
}

/// The first of `paths` that an event has a value at gives its number.
fn path_numbers(pack: &Pack, paths: &[String], of: Of) -> Result<Option<Numbers>, Damage> {
    let mut all = Numbers { texts: Vec::new(), ids: vec![0; pack.len()] };
    for path in paths {
        let mut own: Option<Vec<u32>> = None;
        for section in sections_of(path) {
            if !pack.has_section(section) {
                continue;
            }
            if pack.links(section)?.literal_paths.contains(path) {
                return Ok(None);
            }
            for column in pack.directory(section)?.at(path) {
                if own.is_some() {
                    return Ok(None);
                }
                let dict = pack.dict(section, *column)?;
                let first = all.texts.len() as u32 + 1;
                all.texts.extend((0..dict.len() as u32).map(|id| value_text(&dict, id)));
                let mut ids: Vec<u32> = vec![0; pack.len()];
                let mut several = false;
                pack.occurrences(section, *column, |event, id| {
                    if let Some(slot) = ids.get_mut(event) {
                        several |= *slot != 0;
                        *slot = first + id;
                    }
                })?;
                if several && of == Of::One {
                    return Ok(None);
                }
                own = Some(ids);
            }
        }
        for (id, own) in all.ids.iter_mut().zip(own.unwrap_or_default()) {
            if *id == 0 {
                *id = own;
            }
        }
    }
    Ok(Some(all))
}
