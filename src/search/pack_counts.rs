//! Counts of one pack in few bytes: combinations by the numbers of the pack's own dictionaries,
//! which only that pack can read, and which are merged over packs without a text being copied.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::RandomState;

use hashbrown::HashTable;
use xxhash_rust::xxh3::Xxh3;

use crate::event::field::Field;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::Short;
use crate::index::pack::wire::put;
use crate::index::pack::wire::put_signed;
use crate::search::evidence::FacetRow;
use crate::search::pack_field::Texts;
use crate::search::pack_field::origin;
use crate::search::pack_top::TopRow;

type Result<T> = std::result::Result<T, Damage>;

/// One combination while it is counted.
struct Counting {
    events: u64,
    first: Option<u32>,
    last: Option<u32>,
}

/// Counts all events of a pack by combinations of fields; `None` where columns do not tell.
///
/// # Errors
/// On damage.
pub fn pack_counts(pack: &Pack, fields: &[Field]) -> Result<Option<Vec<u8>>> {
    if !pack.whole()?.is_empty() || fields.is_empty() {
        return Ok(None);
    }
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let Some(ids) = origin(pack, field)?.map(|origin| origin.ids(pack)).transpose()?.flatten()
        else {
            return Ok(None);
        };
        columns.push(ids);
    }
    let times = pack.times()?;
    let time = |event: u32| times.get(event as usize).copied().unwrap_or(NO_TIME);
    let n = fields.len();
    let mut keys: Vec<u32> = Vec::new();
    let mut rows: Vec<Counting> = Vec::new();
    let mut known: HashTable<u32> = HashTable::new();
    let mut key: Vec<u32> = Vec::with_capacity(n);
    let hash_of = |key: &[u32]| {
        key.iter().fold(0_u64, |hash, id| {
            (hash.rotate_left(23) ^ u64::from(*id)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        })
    };
    let at_row = |keys: &[u32], row: u32| -> Vec<u32> {
        keys.get(row as usize * n..(row as usize + 1) * n).unwrap_or_default().to_vec()
    };
    for event in 0..pack.len() as u32 {
        key.clear();
        key.extend(columns.iter().map(|ids| ids.get(event as usize).copied().unwrap_or_default()));
        let hash = hash_of(&key);
        let same = |row: &u32| {
            let start = *row as usize * n;
            keys.get(start..start + n) == Some(key.as_slice())
        };
        let row = match known.find(hash, same) {
            Some(row) => *row,
            None => {
                let row = rows.len() as u32;
                keys.extend_from_slice(&key);
                rows.push(Counting { events: 0, first: None, last: None });
                known.insert_unique(hash, row, |row| hash_of(&at_row(&keys, *row)));
                row
            }
        };
        let Some(row) = rows.get_mut(row as usize) else { continue };
        row.events += 1;
        if time(event) != NO_TIME {
            if row.first.is_none_or(|first| time(event) < time(first)) {
                row.first = Some(event);
            }
            if row.last.is_none_or(|last| time(event) >= time(last)) {
                row.last = Some(event);
            }
        }
    }
    Ok(Some(write(n, &keys, &rows, pack.len() as u64)))
}

/// Column by column: what follows the pattern of the column is a zero.
fn write(n: usize, keys: &[u32], rows: &[Counting], n_events: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * 8);
    put(&mut out, n as u64);
    put(&mut out, rows.len() as u64);
    let mut before = 0_i64;
    for row in rows {
        let first = row.first.map_or(0, |first| i64::from(first) + 1);
        put_signed(&mut out, first - before);
        before = first;
    }
    // Whoever acts all day acted a moment ago.
    for row in rows {
        put(&mut out, row.last.map_or(n_events, |last| n_events - 1 - u64::from(last)));
    }
    rows.iter().for_each(|row| put(&mut out, row.events));
    for column in 0..n {
        let mut next = 1_u32;
        for key in keys.chunks_exact(n) {
            let id = key.get(column).copied().unwrap_or_default();
            // Dictionaries are in the order of first appearance, and so are the rows.
            put(&mut out, u64::from(next.saturating_sub(id)));
            put_over(&mut out, next, id);
            next = next.max(id.saturating_add(1));
        }
    }
    out
}

/// A number ahead of the next new one follows a zero-distance mark; see [`read`].
fn put_over(out: &mut Vec<u8>, next: u32, id: u32) {
    if id >= next {
        put(out, u64::from(id - next));
    }
}

/// The counts of one pack, read back.
#[derive(Debug)]
pub struct PackCounts {
    texts: Vec<Texts>,
    rows: Vec<PackRow>,
}

#[derive(Debug)]
struct PackRow {
    hash: u128,
    key: Vec<u32>,
    events: u64,
    first: Option<i64>,
    last: Option<i64>,
}

/// Hashes whose collisions nobody can plan.
#[derive(Clone, Copy, Debug)]
pub struct Seed(u64);

impl Default for Seed {
    fn default() -> Seed {
        Seed(RandomState::new().hash_one(0_u8))
    }
}

/// Reads what [`pack_counts`] wrote for the same fields of the same pack; `None` for anything else.
///
/// # Errors
/// On damage.
pub fn read_counts(
    pack: &Pack,
    fields: &[Field],
    bytes: &[u8],
    seed: Seed,
) -> Result<Option<PackCounts>> {
    let mut texts = Vec::with_capacity(fields.len());
    for field in fields {
        let Some(origin) = origin(pack, field)? else { return Ok(None) };
        texts.push(origin.texts(pack)?);
    }
    let times = pack.times()?;
    let mut cursor = Cursor::new(bytes);
    if cursor.get()? != fields.len() as u64 {
        return Ok(None);
    }
    let n_rows = cursor.get_len(pack.len())?;
    let mut rows: Vec<PackRow> = Vec::with_capacity(n_rows);
    let mut before = 0_i64;
    let time = |event: i64| {
        let event = usize::try_from(event).ok()?;
        times.get(event).copied().filter(|time| *time != NO_TIME)
    };
    for _ in 0..n_rows {
        before = before.wrapping_add(cursor.get_signed()?);
        let key = Vec::with_capacity(fields.len());
        rows.push(PackRow { hash: 0, key, events: 0, first: time(before - 1), last: None });
    }
    for row in &mut rows {
        row.last = time(pack.len() as i64 - 1 - cursor.get()? as i64);
    }
    for row in &mut rows {
        row.events = cursor.get()?;
    }
    let mut hashers: Vec<Xxh3> = rows.iter().map(|_| Xxh3::with_seed(seed.0)).collect();
    for texts in &texts {
        let hashes = texts.hashes(seed.0);
        let mut next = 1_u64;
        for (row, hasher) in rows.iter_mut().zip(&mut hashers) {
            let back = cursor.get()?;
            let id = match back {
                0 => next.checked_add(cursor.get()?),
                back => next.checked_sub(back),
            };
            let id = id.and_then(|id| u32::try_from(id).ok());
            let id = id.ok_or(Short)?;
            next = next.max(u64::from(id) + 1);
            let hash = hashes.get(id as usize).ok_or(Short)?;
            hasher.update(&hash.to_le_bytes());
            row.key.push(id);
        }
    }
    for (row, hasher) in rows.iter_mut().zip(&hashers) {
        row.hash = hasher.digest128();
    }
    Ok(Some(PackCounts { texts, rows }))
}

/// Adds up the counts of packs, most frequent first.
pub fn merge_counts(packs: &[PackCounts]) -> Vec<FacetRow> {
    let mut sums: HashMap<u128, (TopRow, &PackCounts, &PackRow)> = HashMap::new();
    for pack in packs {
        for row in &pack.rows {
            let count = TopRow::of(row.events, row.first, row.last);
            match sums.get_mut(&row.hash) {
                Some((sum, ..)) => sum.add(count),
                None => {
                    sums.insert(row.hash, (count, pack, row));
                }
            }
        }
    }
    let mut rows: Vec<FacetRow> = sums
        .into_values()
        .map(|(sum, pack, row)| {
            let values = pack.texts.iter().zip(&row.key).map(|(texts, id)| texts.text(*id));
            sum.into_facet(values.collect(), false)
        })
        .collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
    rows
}
