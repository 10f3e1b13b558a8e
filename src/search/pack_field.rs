//! Where the numbers of a field come from in a pack, and which texts they stand for.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::event::field::Field;
use crate::event::field::Reading;
use crate::index::pack::build::META_CLUSTER;
use crate::index::pack::build::META_LOG;
use crate::index::pack::build::META_NODE;
use crate::index::pack::column::Dict;
use crate::index::pack::section::SectionId;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::search::codes::value_text;
use crate::search::pack_eval::sections_of;

type Result<T> = std::result::Result<T, Damage>;

/// Where the numbers of a field come from.
#[derive(Debug)]
pub enum Origin {
    /// A fact kept beside the events.
    Meta(usize),
    /// Columns, the first that an event has a value in; whether the last of several counts.
    Columns(Vec<(SectionId, u32)>, bool),
}

/// Finds where a field's numbers come from; `None` where columns alone do not tell.
///
/// # Errors
/// On damage.
pub fn origin(pack: &Pack, field: &Field) -> Result<Option<Origin>> {
    let (paths, last) = match field {
        Field::Node => return Ok(Some(Origin::Meta(META_NODE))),
        Field::Cluster => return Ok(Some(Origin::Meta(META_CLUSTER))),
        Field::Log => return Ok(Some(Origin::Meta(META_LOG))),
        Field::Peer if pack.has_plain_addresses()? => (vec!["sourceIPs".to_owned()], true),
        other => match other.reading() {
            Reading::AnyOf(paths) if paths.len() == 1 => (paths, false),
            Reading::FirstOf(paths) => (paths, false),
            _ => return Ok(None),
        },
    };
    let mut columns = Vec::new();
    for path in &paths {
        let before = columns.len();
        for section in sections_of(path).filter(|section| pack.has_section(*section)) {
            if pack.links(section)?.literal_paths.contains(path) {
                return Ok(None);
            }
            columns.extend(pack.directory(section)?.at(path).iter().map(|at| (section, *at)));
        }
        if columns.len() > before + 1 {
            return Ok(None);
        }
    }
    Ok(Some(Origin::Columns(columns, last)))
}

impl Origin {
    /// For each event 0 where it has no value, else one more than the number of its text; `None`
    /// where an event has several.
    ///
    /// # Errors
    /// On damage.
    pub fn ids(&self, pack: &Pack) -> Result<Option<Vec<u32>>> {
        let mut all = vec![0_u32; pack.len()];
        match self {
            Origin::Meta(at) => {
                let meta = pack.meta()?;
                let Some(column) = meta.get(*at) else { return Ok(Some(all)) };
                for (event, slot) in all.iter_mut().enumerate() {
                    let id = column.id(event);
                    let empty = column.values.get(id as usize).is_none_or(Vec::is_empty);
                    *slot = if empty { 0 } else { id + 1 };
                }
            }
            Origin::Columns(columns, last) => {
                let mut first = 1;
                for (section, column) in columns {
                    let mut several = false;
                    // What an earlier column told is below `first`.
                    pack.occurrences(*section, *column, |event, id| {
                        if let Some(slot) = all.get_mut(event) {
                            several |= *slot >= first;
                            if *slot == 0 || *slot >= first {
                                *slot = first + id;
                            }
                        }
                    })?;
                    if several && !last {
                        return Ok(None);
                    }
                    first += pack.dict(*section, *column)?.len() as u32;
                }
            }
        }
        Ok(Some(all))
    }

    /// The same for some events (ascending) only.
    ///
    /// # Errors
    /// On damage.
    pub fn ids_in(&self, pack: &Pack, events: &[usize]) -> Result<Option<Vec<u32>>> {
        if events.len() * 4 > pack.len() {
            let Some(all) = self.ids(pack)? else { return Ok(None) };
            let own = events.iter().map(|event| all.get(*event).copied().unwrap_or_default());
            return Ok(Some(own.collect()));
        }
        let mut own = vec![0_u32; events.len()];
        match self {
            Origin::Meta(at) => {
                let meta = pack.meta()?;
                let Some(column) = meta.get(*at) else { return Ok(Some(own)) };
                for (slot, event) in own.iter_mut().zip(events) {
                    let empty = column.value(*event).is_empty();
                    *slot = if empty { 0 } else { column.id(*event) + 1 };
                }
            }
            Origin::Columns(columns, last) => {
                let mut first = 1;
                for (section, column) in columns {
                    let mut several = false;
                    pack.occurrences_in(*section, *column, events, |at, id| {
                        if let Some(slot) = own.get_mut(at) {
                            several |= *slot >= first;
                            if *slot == 0 || *slot >= first {
                                *slot = first + id;
                            }
                        }
                    })?;
                    if several && !last {
                        return Ok(None);
                    }
                    first += pack.dict(*section, *column)?.len() as u32;
                }
            }
        }
        Ok(Some(own))
    }

    /// The texts of all numbers.
    ///
    /// # Errors
    /// On damage.
    pub fn texts(&self, pack: &Pack) -> Result<Texts> {
        Ok(match self {
            Origin::Meta(at) => {
                let meta = pack.meta()?;
                let values = meta.get(*at).map(|column| column.values.as_slice());
                let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
                Texts::Meta(values.unwrap_or_default().iter().map(text).collect())
            }
            Origin::Columns(columns, _) => Texts::Dicts(
                columns
                    .iter()
                    .map(|(section, column)| pack.dict(*section, *column))
                    .collect::<Result<_>>()?,
            ),
        })
    }
}

/// The texts that numbers stand for.
#[derive(Debug)]
pub enum Texts {
    /// Of a fact beside the events.
    Meta(Vec<String>),
    /// Of columns, one behind the other.
    Dicts(Vec<Arc<Dict>>),
}

impl Texts {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Texts::Meta(texts) => texts.len(),
            Texts::Dicts(dicts) => dicts.iter().map(|dict| dict.len()).sum(),
        }
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of a number; 0 is none.
    pub fn text(&self, number: u32) -> Option<String> {
        let mut at = number.checked_sub(1)?;
        match self {
            Texts::Meta(texts) => texts.get(at as usize).cloned(),
            Texts::Dicts(dicts) => {
                for dict in dicts {
                    if (at as usize) < dict.len() {
                        return Some(value_text(dict, at));
                    }
                    at -= dict.len() as u32;
                }
                None
            }
        }
    }

    /// Says something about the text of a number, which is not copied where it stands as it is; 0
    /// and what is not there is the empty text.
    pub fn with<T>(&self, number: u32, say: impl FnOnce(&str) -> T) -> T {
        let Some(mut at) = number.checked_sub(1) else { return say("") };
        match self {
            Texts::Meta(texts) => say(texts.get(at as usize).map_or("", String::as_str)),
            Texts::Dicts(dicts) => {
                for dict in dicts {
                    if (at as usize) < dict.len() {
                        let value = dict.get(at);
                        return match std::str::from_utf8(&value) {
                            Ok(text) if memchr::memchr(b'\\', &value).is_none() => say(text),
                            _ => say(&value_text(dict, at)),
                        };
                    }
                    at -= dict.len() as u32;
                }
                say("")
            }
        }
    }

    /// A hash of every text, by its number.
    pub fn hashes(&self, seed: u64) -> Vec<u128> {
        let mut hashes = vec![u128::from(seed)];
        let hash = |text: &[u8]| xxh3_128_with_seed(text, seed);
        match self {
            Texts::Meta(texts) => hashes.extend(texts.iter().map(|text| hash(text.as_bytes()))),
            Texts::Dicts(dicts) => {
                for dict in dicts {
                    hashes.extend((0..dict.len() as u32).map(|id| {
                        let value = dict.get(id);
                        let plain = memchr::memchr(b'\\', &value).is_none()
                            && std::str::from_utf8(&value).is_ok();
                        if plain { hash(&value) } else { hash(value_text(dict, id).as_bytes()) }
                    }));
                }
            }
        }
        hashes
    }
}
