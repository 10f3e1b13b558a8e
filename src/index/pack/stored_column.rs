//! Some numbers and values of a column, read from its bytes as they are stored.

use std::borrow::Cow;

use crate::index::pack::column::ColumnMeta;
use crate::index::pack::column::DictKind;
use crate::index::pack::column::format_time;
use crate::index::pack::column::width_of;
use crate::index::pack::column::write_uuid;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Short;

/// Returns the numbers at some positions (ascending) without decoding the others.
///
/// # Errors
/// When the bytes are not what [`write_ids`] wrote, or a position is past the end.
pub(super) fn few_ids(
    meta: &ColumnMeta,
    bytes: &[u8],
    positions: &[u32],
) -> Result<Vec<u32>, Short> {
    let (n, n_entries) = (meta.n_values as usize, meta.n_entries as usize);
    if positions.last().is_some_and(|last| *last >= meta.n_values) {
        return Err(Short);
    }
    if n_entries <= 1 {
        return Ok(vec![0; positions.len()]);
    }
    if n_entries == n {
        return Ok(positions.to_vec());
    }
    let width = width_of(n_entries);
    if bytes.len() != n * width {
        return Err(Short);
    }
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
        let plane = |k: usize| bytes.get(k * n + position).copied().filter(|_| k < width);
        let code = u32::from_le_bytes([0, 1, 2, 3].map(|k| plane(k).unwrap_or_default()));
        let id = if code == 0 { before as u32 } else { code - 1 };
        if id as usize >= n_entries {
            return Err(Short);
        }
        ids.push(id);
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
    let (n, n_entries) = (meta.n_values as usize, meta.n_entries as usize);
    if n_entries <= 1 {
        return Ok(if ids.is_empty() { Vec::new() } else { (0..meta.n_values).collect() });
    }
    if n_entries == n {
        return Ok(ids.to_vec());
    }
    let width = width_of(n_entries);
    if bytes.len() != n * width {
        return Err(Short);
    }
    let mut is_wanted = vec![false; n_entries];
    for id in ids {
        *is_wanted.get_mut(*id as usize).ok_or(Short)? = true;
    }
    let mut fresh = 0_usize;
    let mut found = Vec::new();
    let mut look = |position: usize, code: usize| {
        let id = if code == 0 { fresh } else { code - 1 };
        fresh += usize::from(code == 0);
        if is_wanted.get(id).copied().unwrap_or_default() {
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
        _ => {
            let plane = |k: usize, at: usize| bytes.get(k * n + at).copied().unwrap_or_default();
            let code = |at| u32::from_le_bytes([0, 1, 2, 3].map(|k| plane(k, at)));
            (0..n).for_each(|at| look(at, code(at) as usize));
        }
    }
    Ok(found)
}

/// Returns the values of some numbers (ascending, each once) without decoding the others.
///
/// # Errors
/// When the bytes are not what [`write_dict`] wrote, or a number is past the end.
pub(super) fn few_values<'b>(
    meta: &ColumnMeta,
    bytes: &'b [u8],
    ids: &[u32],
) -> Result<Vec<Cow<'b, [u8]>>, Short> {
    if ids.last().is_some_and(|last| *last >= meta.n_entries) {
        return Err(Short);
    }
    let n = meta.n_entries as usize;
    let mut cursor = Cursor::new(bytes);
    let mut values = Vec::with_capacity(ids.len());
    match meta.kind {
        DictKind::Text => {
            // Start and length of each wanted text, from the first text on.
            let mut ranges = Vec::with_capacity(ids.len());
            let (mut end, mut here) = (0_usize, 0);
            let mut pass = |cursor: &mut Cursor<'_>, n: usize| {
                let length = usize::try_from(cursor.sum(n)?).map_err(|_| Short)?;
                let start = end;
                end = end.checked_add(length).ok_or(Short)?;
                Ok((start, length))
            };
            for id in ids.iter().map(|id| *id as usize) {
                pass(&mut cursor, id - here)?;
                ranges.push(pass(&mut cursor, 1)?);
                here = id + 1;
            }
            pass(&mut cursor, n - here)?;
            let text = cursor.take(end)?;
            for (start, len) in ranges {
                values.push(Cow::Borrowed(text.get(start..start + len).ok_or(Short)?));
            }
        }
        DictKind::Uuid => {
            let prefix = cursor.get_bytes()?;
            let (known, rest) = cursor.take(n.checked_mul(16).ok_or(Short)?)?.as_chunks::<16>();
            debug_assert!(rest.is_empty(), "16 bytes each");
            for id in ids {
                let mut text = Vec::with_capacity(prefix.len() + 36);
                text.extend_from_slice(prefix);
                write_uuid(&mut text, known.get(*id as usize).ok_or(Short)?);
                values.push(Cow::Owned(text));
            }
        }
        DictKind::Int | DictKind::Time => {
            let mut wanted = ids.iter().peekable();
            let mut value = 0_i64;
            for id in 0..meta.n_entries {
                if wanted.peek().is_none() {
                    break;
                }
                value = value.wrapping_add(cursor.get_signed()?);
                if wanted.next_if(|wanted| **wanted == id).is_some() {
                    let text = match meta.kind {
                        DictKind::Int => value.to_string(),
                        _ => format_time(value),
                    };
                    values.push(Cow::Owned(text.into_bytes()));
                }
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::pack::column::write_dict;
    use crate::index::pack::column::write_ids;

    #[test]
    fn some_values_are_read_as_all_are() {
        let uuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        for values in [
            vec![uuid.to_owned(), uuid.replace('0', "1")],
            vec![format!("JTI={uuid}"), format!("JTI={}", uuid.replace('9', "1"))],
            ["10645150", "10645151", "-3", "0"].map(String::from).to_vec(),
            ["2025-12-09T12:57:08.837027Z", "2024-12-09T12:57:08.837027Z"].map(String::from).into(),
            ["", "a", "\u{e9}\\n"].map(String::from).to_vec(),
        ] {
            let bytes: Vec<&[u8]> = values.iter().map(|v| v.as_bytes()).collect();
            let mut out = Vec::new();
            let kind = write_dict(bytes.iter().copied(), &mut out);
            let (n_entries, dict_len) = (values.len() as u32, out.len() as u32);
            let meta = ColumnMeta { kind, n_entries, n_values: 0, dict_len, ids_len: 0 };
            for (id, value) in (0..).zip(&bytes) {
                assert_eq!(few_values(&meta, &out, &[id]).unwrap(), [*value], "{kind:?} {id}");
            }
            let all: Vec<u32> = (0..n_entries).collect();
            assert_eq!(few_values(&meta, &out, &all).unwrap(), bytes);
            assert_eq!(few_values(&meta, &out, &[n_entries]), Err(Short));
        }
    }

    #[test]
    fn some_numbers_are_read_as_all_are_and_found_again() {
        for n_entries in [1_u32, 2, 254, 255, 256, 300, 65_534, 65_536, 70_000] {
            let mut ids: Vec<u32> = (0..n_entries).collect();
            ids.extend((0..n_entries).rev().step_by(3));
            let mut out = Vec::new();
            write_ids(&ids, n_entries as usize, &mut out);
            let (n_values, ids_len) = (ids.len() as u32, out.len() as u32);
            let kind = DictKind::Text;
            let meta = ColumnMeta { kind, n_entries, n_values, dict_len: 0, ids_len };
            let some: Vec<u32> = (0..n_values).step_by(7).collect();
            let few: Vec<u32> = some.iter().map(|at| ids[*at as usize]).collect();
            assert_eq!(few_ids(&meta, &out, &some).unwrap(), few, "{n_entries}, few");
            assert_eq!(few_ids(&meta, &out, &[n_values]), Err(Short));
            let asked = [0, n_entries / 2, n_entries - 1];
            let all = (0..).zip(&ids).filter(|(_, id)| asked.contains(id));
            let all: Vec<u32> = all.map(|(position, _)| position).collect();
            let mut asked = asked.to_vec();
            asked.dedup();
            assert_eq!(positions_of(&meta, &out, &asked).unwrap(), all, "{n_entries}, where");
        }
    }
}
