//! Counts of combinations of fields in one pack, by the numbers of its own columns, and how they
//! are added up over packs: a text is looked at once per pack, and made once in all.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use hashbrown::HashTable;
use rayon::iter::IntoParallelRefMutIterator;
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use crate::event::field::Field;
use crate::event::field::FieldKind;
use crate::event::field::Reading;
use crate::event::words::fold;
use crate::index::pack::links::known_at;
use crate::index::pack::shape::Known;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::search::bits::Bits;
use crate::search::evidence::FacetRow;
use crate::search::pack_eval::PackScope;
use crate::search::pack_eval::sections_of;
use crate::search::pack_field::Texts;
use crate::search::pack_field::origin;
use crate::search::pack_top::Count;

type Result<T> = std::result::Result<T, Damage>;

/// Combinations have a place each in a list where there can be so few, else in a table.
const DENSE: u64 = 1 << 18;

/// What was counted: for each row one number per field, 0 for no value, and its count.
#[derive(Debug)]
pub struct Combinations {
    texts: Vec<Texts>,
    keys: Vec<u32>,
    counts: Vec<Count>,
}

/// Counts the matching events of a pack by what they have in `fields`; `None` where columns do not
/// tell, or an event has several values.
///
/// # Errors
/// On damage.
pub fn combinations(
    scope: PackScope<'_>,
    bits: &Bits,
    fields: &[Field],
) -> Result<Option<Combinations>> {
    if bits.is_empty() {
        let texts = fields.iter().map(|_| Texts::Meta(Vec::new())).collect();
        return Ok(Some(Combinations { texts, keys: Vec::new(), counts: Vec::new() }));
    }
    let Some(columns) = columns(scope.pack, bits, fields)? else { return Ok(None) };
    let sizes: Vec<u64> = columns.texts.iter().map(|texts| texts.len() as u64 + 1).collect();
    let Some(all) = sizes.iter().try_fold(1_u64, |all, size| all.checked_mul(*size)) else {
        return Ok(None);
    };
    let mut numbers: Vec<u64> = vec![0; columns.len];
    for (ids, size) in columns.ids.iter().zip(&sizes) {
        for (number, id) in numbers.iter_mut().zip(ids) {
            *number = *number * size + u64::from(*id).min(size - 1);
        }
    }
    let counted = count(scope.pack, bits, columns.of_all, &numbers, all, |_| true)?;
    let mut keys = Vec::with_capacity(counted.len() * fields.len());
    let mut counts = Vec::with_capacity(counted.len());
    for (key, count) in counted {
        let at = keys.len();
        keys.resize(at + sizes.len(), 0);
        let mut left = key;
        for (slot, size) in keys.iter_mut().skip(at).zip(&sizes).rev() {
            *slot = (left % size) as u32;
            left /= size;
        }
        counts.push(count);
    }
    Ok(Some(Combinations { texts: columns.texts, keys, counts }))
}

/// Some fields of events.
struct Columns {
    /// For each field and event the number of its value.
    ids: Vec<Vec<u32>>,
    texts: Vec<Texts>,
    /// Whether `ids` are of all events of the pack, or of the matching ones alone.
    of_all: bool,
    /// Of how many events.
    len: usize,
}

fn columns(pack: &Pack, bits: &Bits, fields: &[Field]) -> Result<Option<Columns>> {
    if !pack.whole()?.is_empty() {
        return Ok(None);
    }
    let of_all = bits.count() * 4 > pack.len() as u64;
    let events: Vec<usize> = if of_all { Vec::new() } else { bits.iter().collect() };
    let len = if of_all { pack.len() } else { events.len() };
    let mut columns = Columns { ids: Vec::new(), texts: Vec::new(), of_all, len };
    for field in fields {
        let Some(origin) = origin(pack, field)? else { return Ok(None) };
        let ids = if of_all { origin.ids(pack)? } else { origin.ids_in(pack, &events)? };
        let Some(ids) = ids else { return Ok(None) };
        columns.ids.push(ids);
        columns.texts.push(origin.texts(pack)?);
    }
    Ok(Some(columns))
}

/// Counts the matching events by the numbers of their combinations, which are below `all`; those
/// that are not `wanted` are left out.
fn count(
    pack: &Pack,
    bits: &Bits,
    of_all: bool,
    numbers: &[u64],
    all: u64,
    wanted: impl Fn(u64) -> bool,
) -> Result<Vec<(u64, Count)>> {
    let times = pack.times()?;
    let number_of = |at: usize, event: usize| {
        numbers.get(if of_all { event } else { at }).copied().unwrap_or_default()
    };
    let time_of = |event: usize| times.get(event).copied().unwrap_or(NO_TIME);
    let mut counted: Vec<(u64, Count)> = Vec::new();
    if all <= DENSE {
        PLACES.with_borrow_mut(|places| {
            places.resize(places.len().max(all as usize), 0);
            for (at, event) in bits.iter().enumerate() {
                let number = number_of(at, event);
                let Some(place) = places.get_mut(number as usize) else { continue };
                if *place == 0 && wanted(number) {
                    counted.push((number, Count::NONE));
                    *place = counted.len() as u32;
                }
                let counted = (*place as usize).checked_sub(1).and_then(|at| counted.get_mut(at));
                if let Some((_, count)) = counted {
                    count.add(time_of(event));
                }
            }
            for (number, _) in &counted {
                if let Some(place) = places.get_mut(*number as usize) {
                    *place = 0;
                }
            }
        });
        return Ok(counted);
    }
    let mut places: hashbrown::HashMap<u64, u32> = hashbrown::HashMap::new();
    for (at, event) in bits.iter().enumerate() {
        let number = number_of(at, event);
        if !wanted(number) {
            continue;
        }
        let place = *places.entry(number).or_insert(counted.len() as u32);
        if place as usize == counted.len() {
            counted.push((number, Count::NONE));
        }
        if let Some((_, count)) = counted.get_mut(place as usize) {
            count.add(time_of(event));
        }
    }
    Ok(counted)
}

thread_local! {
    /// One more than the place of each combination among those counted; 0 between two packs.
    static PLACES: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// Combinations of some fields that are asked about, as questions compare values.
#[derive(Debug)]
pub struct Wanted {
    fields: Vec<Field>,
    /// For each field its different values, folded, and which of them means no such field.
    values: Vec<Vec<Option<String>>>,
    /// Different combinations, each as places in `values`.
    keys: Vec<Vec<u32>>,
    /// Which of them each combination asked about is.
    places: Vec<usize>,
}

impl Wanted {
    /// Makes combinations ready; `None` where the fields compare otherwise than by their texts.
    pub fn new(fields: &[Field], wanted: &[Vec<Option<String>>]) -> Option<Wanted> {
        let plain = |field: &Field| {
            matches!(field.kind(), FieldKind::Text | FieldKind::Open)
                && matches!(field.reading(), Reading::AnyOf(paths) if paths.len() == 1)
        };
        if !fields.iter().all(plain) || wanted.iter().any(|one| one.len() != fields.len()) {
            return None;
        }
        let mut own = Wanted {
            fields: fields.to_vec(),
            values: vec![Vec::new(); fields.len()],
            keys: Vec::new(),
            places: Vec::new(),
        };
        for one in wanted {
            let places = one.iter().zip(&mut own.values).map(|(value, known)| {
                let value = value.as_deref().map(fold);
                place_in(known, value)
            });
            let key: Vec<u32> = places.map(|place| place as u32).collect();
            own.places.push(place_in(&mut own.keys, key));
        }
        Some(own)
    }

    /// Counts the matching events of a pack by combination asked about and value of `field`, as
    /// [`combinations`] does; the first of the two fields is the place of the combination.
    ///
    /// # Errors
    /// On damage.
    pub fn count(
        &self,
        scope: PackScope<'_>,
        bits: &Bits,
        field: &Field,
    ) -> Result<Option<Combinations>> {
        let pack = scope.pack;
        let names = || Texts::Meta((0..self.keys.len()).map(|at| at.to_string()).collect());
        if bits.is_empty() {
            let texts = vec![names(), Texts::Meta(Vec::new())];
            return Ok(Some(Combinations { texts, keys: Vec::new(), counts: Vec::new() }));
        }
        for (field, values) in self.fields.iter().zip(&self.values) {
            if values.contains(&None) && !absent_or_text(pack, field)? {
                return Ok(None);
            }
        }
        let Some(columns) = columns(pack, bits, &self.fields)? else { return Ok(None) };
        let Some(mut numbers) = self.places_of(&columns) else { return Ok(None) };
        let Some(mut own) = self::columns(pack, bits, std::slice::from_ref(field))? else {
            return Ok(None);
        };
        let (Some(ids), Some(texts)) = (own.ids.pop(), own.texts.pop()) else { return Ok(None) };
        let n_values = texts.len() as u64 + 1;
        for (number, id) in numbers.iter_mut().zip(&ids) {
            *number = *number * n_values + u64::from(*id).min(n_values - 1);
        }
        let all = (self.keys.len() as u64 + 1).saturating_mul(n_values);
        // What is in none of them is not counted.
        let wanted = |number: u64| number >= n_values;
        let counted = count(pack, bits, own.of_all, &numbers, all, wanted)?;
        let mut keys = Vec::with_capacity(counted.len() * 2);
        let mut counts = Vec::with_capacity(counted.len());
        for (number, count) in counted {
            keys.extend([(number / n_values) as u32, (number % n_values) as u32]);
            counts.push(count);
        }
        Ok(Some(Combinations { texts: vec![names(), texts], keys, counts }))
    }

    /// For each matching event one more than the place of its combination, 0 where that was not
    /// asked about.
    fn places_of(&self, columns: &Columns) -> Option<Vec<u64>> {
        let sizes: Vec<u64> = self.values.iter().map(|all| all.len() as u64 + 1).collect();
        let all = sizes.iter().try_fold(1_u64, |all, size| all.checked_mul(*size))?;
        let all = usize::try_from(all).ok().filter(|all| *all <= 1 << 22)?;
        let mut place_of = vec![0_u64; all];
        for (key, place) in self.keys.iter().zip(1..) {
            let number = key.iter().zip(&sizes).fold(0, |n, (at, size)| n * size + u64::from(*at));
            *place_of.get_mut(number as usize)? = place;
        }
        let mut numbers: Vec<u64> = vec![0; columns.len];
        let fields = columns.ids.iter().zip(&columns.texts);
        for (((ids, texts), values), size) in fields.zip(&self.values).zip(&sizes) {
            // Each value becomes its place among those asked about, the last being none of them.
            let place = |number: u32| {
                let value = texts.text(number).map(|text| fold(&text));
                values.iter().position(|known| *known == value).unwrap_or(values.len()) as u64
            };
            let places: Vec<u64> = (0..=texts.len() as u32).map(place).collect();
            for (number, id) in numbers.iter_mut().zip(ids) {
                *number = *number * size + places.get(*id as usize).copied().unwrap_or_default();
            }
        }
        for number in &mut numbers {
            *number = place_of.get(*number as usize).copied().unwrap_or_default();
        }
        Some(numbers)
    }

    /// Takes merged counts apart again: for each combination asked about its own rows.
    pub fn apart(&self, merged: &Combinations) -> Vec<Vec<FacetRow>> {
        let mut rows: Vec<Vec<FacetRow>> = vec![Vec::new(); self.keys.len()];
        for (key, count) in merged.keys.chunks_exact(2).zip(&merged.counts) {
            let [place, value] = key else { continue };
            let name = merged.texts.first().and_then(|texts| texts.text(*place));
            let place = name.and_then(|name| name.parse::<usize>().ok());
            if let Some(rows) = place.and_then(|place| rows.get_mut(place)) {
                let value = merged.texts.get(1).and_then(|texts| texts.text(*value));
                rows.push(count.into_facet(vec![value]));
            }
        }
        rows.par_iter_mut().for_each(|rows| sort(rows));
        let last: HashMap<usize, usize> =
            self.places.iter().enumerate().map(|(at, place)| (*place, at)).collect();
        let own = |(at, place): (usize, &usize)| match rows.get_mut(*place) {
            Some(rows) if last.get(place) == Some(&at) => std::mem::take(rows),
            Some(rows) => rows.clone(),
            None => Vec::new(),
        };
        self.places.iter().enumerate().map(own).collect()
    }
}

/// Says whether an event without a value has nothing at all at the path of a field.
fn absent_or_text(pack: &Pack, field: &Field) -> Result<bool> {
    let Reading::AnyOf(paths) = field.reading() else { return Ok(false) };
    for path in &paths {
        for section in sections_of(path).filter(|section| pack.has_section(*section)) {
            let shapes = pack.shapes(section)?;
            let plain = |known| matches!(known, Known::Value | Known::Null);
            if !known_at(&shapes, path).into_iter().all(|(_, known)| plain(known)) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn place_in<T: PartialEq>(all: &mut Vec<T>, one: T) -> usize {
    match all.iter().position(|known| *known == one) {
        Some(at) => at,
        None => {
            all.push(one);
            all.len() - 1
        }
    }
}

/// Most frequent first, equal counts by value.
fn sort(rows: &mut [FacetRow]) {
    rows.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
}

/// Adds up the counts of packs, every core some of them.
pub fn merge(packs: &[Combinations], n_fields: usize) -> Combinations {
    let share = packs.len().div_ceil(rayon::current_num_threads().max(1)).max(1);
    if packs.len() <= 8 || share >= packs.len() {
        return merge_some(packs, n_fields);
    }
    let parts: Vec<Combinations> =
        packs.par_chunks(share).map(|some| merge_some(some, n_fields)).collect();
    merge_some(&parts, n_fields)
}

/// The different texts of one field over packs.
#[derive(Default)]
struct Named {
    texts: Vec<String>,
    table: HashTable<(u64, u32)>,
    /// Whoever writes events must not be able to choose what falls together.
    seeded: DefaultHashBuilder,
}

impl Named {
    /// The number of a text, from 1.
    fn number(&mut self, text: &str) -> u32 {
        let hash = self.seeded.hash_one(text);
        let is = |known: &(u64, u32)| {
            known.0 == hash && self.texts.get(known.1 as usize - 1).is_some_and(|t| t == text)
        };
        if let Some((_, number)) = self.table.find(hash, is) {
            return *number;
        }
        self.texts.push(text.to_owned());
        let number = self.texts.len() as u32;
        self.table.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        number
    }
}

fn merge_some(packs: &[Combinations], n_fields: usize) -> Combinations {
    let mut named: Vec<Named> = (0..n_fields).map(|_| Named::default()).collect();
    let mut merged = Combinations { texts: Vec::new(), keys: Vec::new(), counts: Vec::new() };
    let mut rows: HashTable<(u64, u32)> = HashTable::new();
    let mut key: Vec<u32> = Vec::with_capacity(n_fields);
    for pack in packs {
        // What each number of the pack is in all; 0 where that was not asked yet.
        let mut numbers: Vec<Vec<u32>> =
            pack.texts.iter().map(|texts| vec![0; texts.len() + 1]).collect();
        for (own, count) in pack.keys.chunks_exact(n_fields.max(1)).zip(&pack.counts) {
            key.clear();
            for (at, id) in own.iter().enumerate() {
                let slot = numbers.get_mut(at).and_then(|numbers| numbers.get_mut(*id as usize));
                let (Some(slot), Some(named)) = (slot, named.get_mut(at)) else { continue };
                if *slot == 0 && *id != 0 {
                    let texts = pack.texts.get(at);
                    *slot = texts.map_or(0, |texts| texts.with(*id, |text| named.number(text)));
                }
                key.push(*slot);
            }
            let hash = key.iter().fold(0_u64, |hash, id| {
                (hash.rotate_left(23) ^ u64::from(*id)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            });
            let is = |(known, row): &(u64, u32)| {
                let start = *row as usize * n_fields;
                *known == hash && merged.keys.get(start..start + n_fields) == Some(key.as_slice())
            };
            let row = match rows.find(hash, is) {
                Some((_, row)) => *row,
                None => {
                    let row = merged.counts.len() as u32;
                    merged.keys.extend_from_slice(&key);
                    merged.counts.push(Count::NONE);
                    rows.insert_unique(hash, (hash, row), |(hash, _)| *hash);
                    row
                }
            };
            if let Some(sum) = merged.counts.get_mut(row as usize) {
                sum.merge(count);
            }
        }
    }
    merged.texts = named.into_iter().map(|named| Texts::Meta(named.texts)).collect();
    merged
}

impl Combinations {
    /// The rows of a top list, as [`crate::search::evidence::Evidence::top`] orders them.
    pub fn facets(&self, min: u64) -> Vec<FacetRow> {
        let n = self.texts.len().max(1);
        let rows = self.keys.chunks_exact(n).zip(&self.counts);
        let mut rows: Vec<FacetRow> = rows
            .filter(|(_, count)| count.events() >= min)
            .map(|(key, count)| {
                let values = self.texts.iter().zip(key).map(|(texts, id)| texts.text(*id));
                count.into_facet(values.collect())
            })
            .collect();
        sort(&mut rows);
        rows
    }
}
