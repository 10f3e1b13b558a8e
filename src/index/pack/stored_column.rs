//! Some values of a column, read from its bytes as they are stored.

use std::borrow::Cow;

use crate::index::pack::column::ColumnMeta;
use crate::index::pack::column::DictKind;
use crate::index::pack::column::format_time;
use crate::index::pack::column::write_uuid;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Short;

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
            let (mut value, mut here) = (0_i64, 0);
            for id in ids.iter().map(|id| *id as usize) {
                let further = (id + 1).saturating_sub(here);
                value = value.wrapping_add(cursor.sum_signed(further)?);
                here = id + 1;
                let text = match meta.kind {
                    DictKind::Int => value.to_string(),
                    _ => format_time(value),
                };
                values.push(Cow::Owned(text.into_bytes()));
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::pack::column::write_dict;

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
}
