//! Which value each occurrence of a column has: numbers of the dictionary, as they are stored.
//!
//! Each is a code: 0 for "a value not seen before, the next of the dictionary", else the number of
//! the value plus one.  Nothing is stored where there is only one value, or where every occurrence
//! is a new one.  Codes that come in few runs are stored as runs (code and length, [`put`]), others
//! as bytes, or as two or four planes of bytes; the two never have the same length.

use crate::index::pack::column::ColumnMeta;
use crate::index::pack::numbers::Numbers;
use crate::index::pack::numbers::packed;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Short;
use crate::index::pack::wire::put;

/// Runs are stored where they take less than one byte in so many.
const RUNS_SAVE: usize = 8;
/// So few numbers are looked for one by one.
const FEW_IDS: usize = 4;
/// Not for more occurrences than this: few bytes must not ask for any amount of memory.
const RUNS_MAX: usize = 1 << 24;

/// Appends the numbers of the occurrences.
pub fn write_ids(ids: &[u32], n_entries: usize, out: &mut Vec<u8>) {
    if n_entries <= 1 || n_entries == ids.len() {
        return;
    }
    let mut fresh = 0_u32;
    let code = |id: &u32| {
        if *id == fresh {
            fresh += 1;
            0
        } else {
            *id + 1
        }
    };
    let codes: Vec<u32> = ids.iter().map(code).collect();
    let width = width_of(n_entries);
    if put_runs(&codes, codes.len() * width / RUNS_SAVE, out) {
        return;
    }
    for plane in 0..width {
        out.extend(codes.iter().map(|code| (code >> (8 * plane)) as u8));
    }
}

/// Appends codes as runs if that takes less than `most` bytes.
fn put_runs(codes: &[u32], most: usize, out: &mut Vec<u8>) -> bool {
    if codes.len() > RUNS_MAX {
        return false;
    }
    let start = out.len();
    for run in codes.chunk_by(|a, b| a == b) {
        put(out, u64::from(run.first().copied().unwrap_or_default()));
        put(out, run.len() as u64);
        if out.len() - start >= most {
            out.truncate(start);
            return false;
        }
    }
    true
}

fn width_of(n_entries: usize) -> usize {
    if n_entries < 0x100 {
        1
    } else if n_entries < 0x1_0000 {
        2
    } else {
        4
    }
}

/// The numbers of a column as they stand.
enum Stored<'b> {
    /// All are the only value.
    Zeros,
    /// Each is a value of its own.
    Rising,
    /// Codes and how often each stands one behind the other.
    Runs(Vec<(u32, usize)>),
    /// Codes as planes of bytes, the lowest first.
    Planes(&'b [u8], usize),
}

impl<'b> Stored<'b> {
    fn of(meta: &ColumnMeta, bytes: &'b [u8]) -> Result<Stored<'b>, Short> {
        let (n, n_entries) = (meta.n_values as usize, meta.n_entries as usize);
        if n_entries <= 1 {
            return Ok(Stored::Zeros);
        }
        if n_entries == n {
            return Ok(Stored::Rising);
        }
        let width = width_of(n_entries);
        if bytes.len() == n * width {
            return Ok(Stored::Planes(bytes, width));
        }
        if n > RUNS_MAX {
            return Err(Short);
        }
        let (mut cursor, mut left) = (Cursor::new(bytes), n);
        let mut runs = Vec::new();
        while !cursor.is_done() {
            let code = u32::try_from(cursor.get()?).map_err(|_| Short)?;
            let length = cursor.get_len(left)?;
            left -= length;
            runs.push((code, length));
        }
        if left == 0 { Ok(Stored::Runs(runs)) } else { Err(Short) }
    }
}

/// Reads the numbers of the occurrences back.
///
/// # Errors
/// When the bytes are not what [`write_ids`] wrote.
pub fn read_ids(meta: &ColumnMeta, bytes: &[u8]) -> Result<Numbers, Short> {
    let n = meta.n_values as usize;
    let (mut fresh, mut largest) = (0_u32, 0_u32);
    let mut checked = |code: u32| {
        let id = match code.checked_sub(1) {
            Some(id) => id,
            None => {
                fresh += 1;
                fresh - 1
            }
        };
        largest = largest.max(id);
        id
    };
    let most = meta.n_entries.saturating_sub(1);
    let ids = match Stored::of(meta, bytes)? {
        Stored::Zeros => return Ok(Numbers::Zeros(n)),
        Stored::Rising => return Ok(Numbers::Rising(n)),
        Stored::Runs(runs) => {
            let mut codes: Vec<u32> = Vec::with_capacity(n);
            runs.iter().for_each(|(code, n)| codes.extend(std::iter::repeat_n(*code, *n)));
            packed(codes.into_iter().map(checked), most)
        }
        Stored::Planes(bytes, 1) => {
            packed(bytes.iter().map(|byte| checked(u32::from(*byte))), most)
        }
        Stored::Planes(bytes, 2) => {
            let (low, high) = bytes.split_at(n);
            let codes = low.iter().zip(high).map(|(low, high)| u16::from_le_bytes([*low, *high]));
            packed(codes.map(|code| checked(u32::from(code))), most)
        }
        Stored::Planes(bytes, _) => packed((0..n).map(|at| checked(code_at(bytes, n, at))), most),
    };
    if largest <= most { Ok(ids) } else { Err(Short) }
}

/// The code at a position of some planes of `n` bytes.
fn code_at(bytes: &[u8], n: usize, at: usize) -> u32 {
    let plane = |k: usize| bytes.get(k * n + at).copied().unwrap_or_default();
    u32::from_le_bytes([0, 1, 2, 3].map(plane))
}

/// Returns the numbers at some positions (ascending) without decoding the others.
///
/// # Errors
/// When the bytes are not what [`write_ids`] wrote, or a position is past the end.
pub(super) fn few_ids(
    meta: &ColumnMeta,
    bytes: &[u8],
    positions: &[u32],
) -> Result<Vec<u32>, Short> {
    if positions.last().is_some_and(|last| *last >= meta.n_values) {
        return Err(Short);
    }
    let ids = match Stored::of(meta, bytes)? {
        Stored::Zeros => return Ok(vec![0; positions.len()]),
        Stored::Rising => return Ok(positions.to_vec()),
        Stored::Runs(runs) => few_of_runs(&runs, positions),
        Stored::Planes(bytes, width) => {
            few_of_planes(bytes, meta.n_values as usize, width, positions)?
        }
    };
    if ids.iter().all(|id| *id < meta.n_entries) { Ok(ids) } else { Err(Short) }
}

fn few_of_runs(runs: &[(u32, usize)], positions: &[u32]) -> Vec<u32> {
    let mut ids = Vec::with_capacity(positions.len());
    let mut left = positions.iter().map(|position| *position as usize).peekable();
    let (mut start, mut fresh) = (0, 0);
    for (code, length) in runs {
        while let Some(position) = left.next_if(|position| *position < start + length) {
            let unseen = fresh + position.saturating_sub(start);
            ids.push(code.checked_sub(1).unwrap_or(unseen as u32));
        }
        fresh += if *code == 0 { *length } else { 0 };
        start += length;
    }
    ids
}

fn few_of_planes(
    bytes: &[u8],
    n: usize,
    width: usize,
    positions: &[u32],
) -> Result<Vec<u32>, Short> {
    let (low, high) = bytes.split_at(n);
    // How many values not seen before stand between two positions.
    let fresh = |from: usize, to: usize| -> Result<usize, Short> {
        let low = low.get(from..to).ok_or(Short)?;
        if width == 1 {
            return Ok(memchr::memchr_iter(0, low).count());
        }
        let high = |plane: usize| high.get(plane * n + from..plane * n + to).ok_or(Short);
        let second = high(0)?;
        if width == 2 {
            return Ok(low.iter().zip(second).filter(|(a, b)| **a | **b == 0).count());
        }
        let others = second.iter().zip(high(1)?).zip(high(2)?);
        Ok(low.iter().zip(others).filter(|(a, ((b, c), d))| **a | **b | **c | **d == 0).count())
    };
    let (mut here, mut before) = (0, 0);
    let mut ids = Vec::with_capacity(positions.len());
    for position in positions.iter().map(|position| *position as usize) {
        before += fresh(here, position)?;
        here = position;
        ids.push(code_at(bytes, n, position).checked_sub(1).unwrap_or(before as u32));
    }
    Ok(ids)
}

/// Returns the positions (ascending) at which one of some numbers (ascending) stands.
///
/// # Errors
/// When the bytes are not what [`write_ids`] wrote.
pub(super) fn positions_of(
    meta: &ColumnMeta,
    bytes: &[u8],
    ids: &[u32],
) -> Result<Vec<u32>, Short> {
    if ids.last().is_some_and(|last| *last >= meta.n_entries) {
        return Err(Short);
    }
    let n = meta.n_values as usize;
    match Stored::of(meta, bytes)? {
        Stored::Zeros if ids.is_empty() => Ok(Vec::new()),
        Stored::Zeros => Ok((0..meta.n_values).collect()),
        Stored::Rising => Ok(ids.to_vec()),
        Stored::Runs(runs) => Ok(positions_in_runs(&runs, ids)),
        Stored::Planes(bytes, width @ (1 | 2)) if ids.len() <= FEW_IDS => {
            let (low, high) = bytes.split_at(n);
            Ok(positions_of_each(low, (width == 2).then_some(high), ids))
        }
        Stored::Planes(bytes, width) => {
            let mut wanted = vec![false; meta.n_entries as usize];
            for id in ids {
                *wanted.get_mut(*id as usize).ok_or(Short)? = true;
            }
            let mut fresh = 0_usize;
            let mut found = Vec::new();
            let mut look = |position: usize, code: usize| {
                let id = if code == 0 { fresh } else { code - 1 };
                fresh += usize::from(code == 0);
                if wanted.get(id).copied().unwrap_or_default() {
                    found.push(position as u32);
                }
            };
            let (low, high) = bytes.split_at(n);
            // Nearly all are of these widths.
            match width {
                1 => low.iter().enumerate().for_each(|(at, low)| look(at, usize::from(*low))),
                2 => low.iter().zip(high).enumerate().for_each(|(at, (low, high))| {
                    look(at, usize::from(u16::from_le_bytes([*low, *high])));
                }),
                _ => (0..n).for_each(|at| look(at, code_at(bytes, n, at) as usize)),
            }
            Ok(found)
        }
    }
}

/// The same for so few numbers that each is looked for alone: a byte is found faster than codes are
/// put together.
fn positions_of_each(low: &[u8], high: Option<&[u8]>, ids: &[u32]) -> Vec<u32> {
    let places_of = |code: u32| {
        let upper = (code >> 8) as u8;
        let is_own = move |at: &usize| high.is_none_or(|high| high.get(*at) == Some(&upper));
        memchr::memchr_iter(code as u8, low).filter(is_own).map(|at| at as u32)
    };
    let mut found = Vec::new();
    for id in ids {
        found.extend(places_of(0).nth(*id as usize));
        found.extend(places_of(id + 1));
    }
    found.sort_unstable();
    found
}

fn positions_in_runs(runs: &[(u32, usize)], ids: &[u32]) -> Vec<u32> {
    let mut found = Vec::new();
    let (mut start, mut fresh) = (0_u32, 0_u32);
    for (code, length) in runs {
        let length = *length as u32;
        match code.checked_sub(1) {
            Some(id) if ids.binary_search(&id).is_ok() => found.extend(start..start + length),
            Some(_) => {}
            None => {
                let first = ids.partition_point(|id| *id < fresh);
                let own = ids.iter().skip(first).take_while(|id| **id < fresh + length);
                found.extend(own.map(|id| start + (id - fresh)));
                fresh += length;
            }
        }
        start += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::pack::column::DictKind;

    /// Numbers of every width, in runs and not.
    fn columns() -> impl Iterator<Item = Vec<u32>> {
        [1_u32, 2, 254, 255, 256, 300, 65_534, 65_536, 70_000].into_iter().flat_map(|n_entries| {
            let all = || 0..n_entries;
            [
                all().chain(all().rev().step_by(3)).collect(),
                all().chain((0..40_000).map(|_| n_entries / 2)).chain(all().take(1)).collect(),
                (0..9_000).map(|_| 0).chain(all().skip(1)).collect(),
                all().collect(),
            ]
        })
    }

    #[test]
    fn runs_are_stored_where_they_are_few() {
        let stored = |ids: &[u32], n_entries| {
            let mut out = Vec::new();
            write_ids(ids, n_entries, &mut out);
            out
        };
        let ids: Vec<u32> = (0..50).chain((0..50).map(|_| 7)).collect();
        assert_eq!(stored(&ids, 50), [0, 50, 8, 50]);
        assert_eq!(stored(&[0, 1, 0, 2, 0], 3), [0, 0, 1, 0, 1]);
        let meta = |n_values| ColumnMeta {
            kind: DictKind::Text,
            n_entries: 50,
            n_values,
            dict_len: 0,
            ids_len: 4,
        };
        let read = |n_values, bytes: &[u8]| read_ids(&meta(n_values), bytes).map(|ids| ids.len());
        assert_eq!(read(100, &[0, 50, 8, 50]), Ok(100));
        assert_eq!(read(101, &[0, 50, 8, 50]), Err(Short), "one too few");
        assert_eq!(read(99, &[0, 50, 8, 50]), Err(Short), "one too many");
        assert_eq!(read(100, &[0, 51, 8, 49]), Err(Short), "more values than there are");
        assert_eq!(read(100, &[0, 50, 52, 50]), Err(Short), "a value that is not there");
        assert_eq!(read(u32::MAX, &[0, 255, 255, 255, 255, 15]), Err(Short), "too many");
    }

    #[test]
    fn numbers_come_back() {
        for ids in columns() {
            let n_entries = ids.iter().max().map_or(0, |most| most + 1);
            let mut out = Vec::new();
            write_ids(&ids, n_entries as usize, &mut out);
            let meta = ColumnMeta {
                kind: DictKind::Text,
                n_entries,
                n_values: ids.len() as u32,
                dict_len: 0,
                ids_len: out.len() as u32,
            };
            assert_eq!(
                read_ids(&meta, &out).unwrap().iter().collect::<Vec<_>>(),
                ids,
                "{n_entries}"
            );
        }
    }

    #[test]
    fn some_numbers_are_read_as_all_are_and_found_again() {
        for ids in columns() {
            let n_entries = ids.iter().max().map_or(0, |most| most + 1);
            let mut out = Vec::new();
            write_ids(&ids, n_entries as usize, &mut out);
            let (n_values, ids_len) = (ids.len() as u32, out.len() as u32);
            let kind = DictKind::Text;
            let meta = ColumnMeta { kind, n_entries, n_values, dict_len: 0, ids_len };
            let some: Vec<u32> = (0..n_values).step_by(7).collect();
            let few: Vec<u32> = some.iter().map(|at| ids[*at as usize]).collect();
            assert_eq!(few_ids(&meta, &out, &some).unwrap(), few, "{n_entries}, few");
            assert_eq!(few_ids(&meta, &out, &[n_values]), Err(Short));
            for mut asked in [
                vec![],
                vec![0, n_entries / 2, n_entries - 1],
                (0..20).map(|at| at * (n_entries - 1) / 19).collect(),
            ] {
                let all = (0..).zip(&ids).filter(|(_, id)| asked.contains(id));
                let all: Vec<u32> = all.map(|(position, _)| position).collect();
                asked.dedup();
                assert_eq!(positions_of(&meta, &out, &asked).unwrap(), all, "{n_entries}, where");
            }
        }
    }
}
