//! The values of one path in one pack: each different value once, and a number per occurrence.

use std::borrow::Cow;

use chrono::DateTime;
use chrono::SecondsFormat;

use crate::event::time::parse_micros_utc;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Short;
use crate::index::pack::wire::put;
use crate::index::pack::wire::put_bytes;
use crate::index::pack::wire::put_signed;

/// The different values of a column, in the order they were first seen, without their quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dict {
    /// Any text.
    Text {
        /// All values one behind the other.
        text: Vec<u8>,
        /// End of each value in `text`.
        ends: Vec<u32>,
    },
    /// A common prefix and a lower-case UUID each: 16 bytes instead of 36.
    Uuid {
        /// What stands before every UUID, such as `JTI=`.
        prefix: Vec<u8>,
        /// The UUIDs.
        ids: Vec<[u8; 16]>,
    },
    /// Whole numbers without leading zeros.
    Int(Vec<i64>),
    /// Times as the API server writes them, `2025-12-09T12:57:08.837027Z`, in microseconds.
    Time(Vec<i64>),
}

impl Dict {
    /// Returns how many different values there are.
    pub fn len(&self) -> usize {
        match self {
            Dict::Text { ends, .. } => ends.len(),
            Dict::Uuid { ids, .. } => ids.len(),
            Dict::Int(values) | Dict::Time(values) => values.len(),
        }
    }

    /// Says whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes this dictionary takes in memory, about.
    pub fn memory(&self) -> usize {
        match self {
            Dict::Text { text, ends } => text.len() + ends.len() * 4,
            Dict::Uuid { ids, .. } => ids.len() * 16,
            Dict::Int(values) | Dict::Time(values) => values.len() * 8,
        }
    }

    /// Returns value `id` as it stood in the event (escapes not decoded); empty past the end.
    pub fn get(&self, id: u32) -> Cow<'_, [u8]> {
        let at = id as usize;
        match self {
            Dict::Text { text, ends } => {
                let start = if at == 0 { 0 } else { ends.get(at - 1).copied().unwrap_or_default() };
                let end = ends.get(at).copied().unwrap_or(start);
                Cow::Borrowed(text.get(start as usize..end as usize).unwrap_or_default())
            }
            Dict::Uuid { prefix, ids } => {
                let mut out = Vec::with_capacity(prefix.len() + 36);
                out.extend_from_slice(prefix);
                if let Some(id) = ids.get(at) {
                    write_uuid(&mut out, id);
                }
                Cow::Owned(out)
            }
            Dict::Int(values) => {
                Cow::Owned(values.get(at).map(i64::to_string).unwrap_or_default().into_bytes())
            }
            Dict::Time(values) => {
                Cow::Owned(values.get(at).map(|v| format_time(*v)).unwrap_or_default().into_bytes())
            }
        }
    }
}

/// Writes a time the way [`Dict::Time`] holds it.
pub(super) fn format_time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
        .unwrap_or_default()
}

pub(super) fn write_uuid(out: &mut Vec<u8>, id: &[u8; 16]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (at, byte) in id.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(HEX.get(usize::from(byte >> 4)).copied().unwrap_or(b'0'));
        out.push(HEX.get(usize::from(byte & 15)).copied().unwrap_or(b'0'));
    }
}

/// Reads a lower-case UUID of exactly 36 bytes.
pub fn parse_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let mut id = [0_u8; 16];
    let mut at = 0;
    for (number, slot) in id.iter_mut().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            if *text.get(at)? != b'-' {
                return None;
            }
            at += 1;
        }
        let digit = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        *slot = digit(*text.get(at)?)? << 4 | digit(*text.get(at + 1)?)?;
        at += 2;
    }
    Some(id)
}

fn parse_int(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.len() <= 18
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.first() != Some(&b'0') || text == b"0");
    if plain { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

fn parse_time(text: &[u8]) -> Option<i64> {
    // 27 bytes are six digits; years of four digits only, so that the text comes back the same.
    if text.len() != 27 {
        None
    } else {
        parse_micros_utc(text).filter(|_| text.first() != Some(&b'0'))
    }
}

/// Length of the prefix before a UUID if `first` ends in one.
pub fn uuid_prefix(first: &[u8]) -> Option<usize> {
    let at = first.len().checked_sub(36)?;
    if at > 64 {
        return None;
    }
    parse_uuid(first.get(at..)?).map(|_| at)
}

/// How a dictionary was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DictKind {
    /// See [`Dict::Text`].
    Text = 0,
    /// See [`Dict::Uuid`].
    Uuid = 1,
    /// See [`Dict::Int`].
    Int = 2,
    /// See [`Dict::Time`].
    Time = 3,
}

impl DictKind {
    fn from_byte(byte: u64) -> Result<DictKind, Short> {
        match byte {
            0 => Ok(DictKind::Text),
            1 => Ok(DictKind::Uuid),
            2 => Ok(DictKind::Int),
            3 => Ok(DictKind::Time),
            _ => Err(Short),
        }
    }
}

/// What the directory says about a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnMeta {
    /// How its dictionary is written.
    pub kind: DictKind,
    /// Different values.
    pub n_entries: u32,
    /// Occurrences.
    pub n_values: u32,
    /// Bytes of the dictionary in its frame.
    pub dict_len: u32,
    /// Bytes of the numbers in their frame.
    pub ids_len: u32,
}

impl ColumnMeta {
    /// Appends the row.
    pub fn put(&self, out: &mut Vec<u8>) {
        put(out, self.kind as u64);
        put(out, u64::from(self.n_entries));
        put(out, u64::from(self.n_values));
        put(out, u64::from(self.dict_len));
        put(out, u64::from(self.ids_len));
    }

    /// Reads a row.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn get(cursor: &mut Cursor<'_>) -> Result<ColumnMeta, Short> {
        let kind = DictKind::from_byte(cursor.get()?)?;
        let mut next = || u32::try_from(cursor.get()?).map_err(|_| Short);
        Ok(ColumnMeta {
            kind,
            n_entries: next()?,
            n_values: next()?,
            dict_len: next()?,
            ids_len: next()?,
        })
    }
}

/// Appends the dictionary of `values` (in order of first sight) and says how it was written.
pub fn write_dict<'v>(
    values: impl ExactSizeIterator<Item = &'v [u8]> + Clone,
    out: &mut Vec<u8>,
) -> DictKind {
    let start = out.len();
    let mut first = values.clone();
    let Some(first) = first.next() else { return DictKind::Text };
    if let Some(at) = uuid_prefix(first) {
        let prefix = first.get(..at).unwrap_or_default();
        put_bytes(out, prefix);
        let fits = values.clone().all(|value| {
            value.strip_prefix(prefix).and_then(parse_uuid).is_some_and(|id| {
                out.extend_from_slice(&id);
                true
            })
        });
        if fits {
            return DictKind::Uuid;
        }
        out.truncate(start);
    }
    for (kind, parse) in
        [(DictKind::Time, parse_time as fn(&[u8]) -> Option<i64>), (DictKind::Int, parse_int)]
    {
        if parse(first).is_some() {
            let mut before = 0_i64;
            let fits = values.clone().all(|value| {
                parse(value).is_some_and(|number| {
                    put_signed(out, number.wrapping_sub(before));
                    before = number;
                    true
                })
            });
            if fits {
                return kind;
            }
            out.truncate(start);
        }
    }
    for value in values.clone() {
        put(out, value.len() as u64);
    }
    for value in values {
        out.extend_from_slice(value);
    }
    DictKind::Text
}

/// Reads a dictionary back.
///
/// # Errors
/// When the bytes are not what [`write_dict`] wrote.
pub fn read_dict(meta: &ColumnMeta, bytes: &[u8]) -> Result<Dict, Short> {
    let n = meta.n_entries as usize;
    let mut cursor = Cursor::new(bytes);
    match meta.kind {
        DictKind::Text => {
            let mut ends = Vec::with_capacity(n);
            let mut end = 0_u32;
            for _ in 0..n {
                let len = u32::try_from(cursor.get()?).map_err(|_| Short)?;
                end = end.checked_add(len).ok_or(Short)?;
                ends.push(end);
            }
            Ok(Dict::Text { text: cursor.take(end as usize)?.to_vec(), ends })
        }
        DictKind::Uuid => {
            let prefix = cursor.get_bytes()?.to_vec();
            let ids = cursor.take(n.checked_mul(16).ok_or(Short)?)?;
            let ids = ids.chunks_exact(16).filter_map(|id| id.try_into().ok()).collect();
            Ok(Dict::Uuid { prefix, ids })
        }
        DictKind::Int | DictKind::Time => {
            let mut values = Vec::with_capacity(n);
            let mut before = 0_i64;
            for _ in 0..n {
                before = before.wrapping_add(cursor.get_signed()?);
                values.push(before);
            }
            Ok(if meta.kind == DictKind::Int { Dict::Int(values) } else { Dict::Time(values) })
        }
    }
}

/// Returns all texts of a dictionary of [`DictKind::Text`], one behind the other; `None` where
/// the bytes are none.
pub fn dict_text<'b>(meta: &ColumnMeta, bytes: &'b [u8]) -> Option<&'b [u8]> {
    // Each length ends in the first byte without its highest bit.
    let Some(last) = (meta.n_entries as usize).checked_sub(1) else { return Some(&[]) };
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte < 0x80);
    let (end, _) = ends.into_iter().nth(last)?;
    bytes.get(end + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(values: &[&str]) -> DictKind {
        let bytes: Vec<&[u8]> = values.iter().map(|v| v.as_bytes()).collect();
        let mut out = Vec::new();
        let kind = write_dict(bytes.iter().copied(), &mut out);
        let meta = ColumnMeta {
            kind,
            n_entries: values.len() as u32,
            n_values: 0,
            dict_len: out.len() as u32,
            ids_len: 0,
        };
        let dict = read_dict(&meta, &out).unwrap();
        for (id, value) in values.iter().enumerate() {
            assert_eq!(dict.get(id as u32), value.as_bytes(), "{value}");
        }
        kind
    }

    #[test]
    fn every_kind_of_value_comes_back_as_written() {
        let uuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        assert_eq!(round(&[uuid]), DictKind::Uuid);
        assert_eq!(round(&[&format!("JTI={uuid}"), &format!("JTI={uuid}")]), DictKind::Uuid);
        assert_eq!(round(&[uuid, &uuid.to_uppercase()]), DictKind::Text);
        assert_eq!(round(&["10645150", "10645151", "-3", "0"]), DictKind::Int);
        assert_eq!(round(&["1", "01"]), DictKind::Text);
        assert_eq!(round(&["-0"]), DictKind::Text);
        assert_eq!(round(&["1e5", "1.0"]), DictKind::Text);
        assert_eq!(round(&["2025-12-09T12:57:08.837027Z"]), DictKind::Time);
        assert_eq!(round(&["2025-12-09T12:57:08.837027Z", "2025-12-09T12:57:08Z"]), DictKind::Text);
        assert_eq!(round(&["", "a", "é\\n"]), DictKind::Text);
    }
}
