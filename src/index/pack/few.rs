//! Values of few events of a pack, read where they stand instead of decoding whole columns.
//!
//! A process that shows a hundred hits out of fifty packs needs two or three values of each column
//! it shows: a column is decompressed, but nothing is made of the values nobody asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::Arc;

use crate::event::time::parse_micros_utc;
use crate::index::pack::column::ColumnMeta;
use crate::index::pack::column::DictKind;
use crate::index::pack::column::format_time;
use crate::index::pack::column::width_of;
use crate::index::pack::column::write_uuid;
use crate::index::pack::layout::ColumnRow;
use crate::index::pack::numbers::Numbers;
use crate::index::pack::section::ROOT;
use crate::index::pack::section::SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::Shape;
use crate::index::pack::shape::ValueKind;
use crate::index::pack::view::NO_JSON;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::view::TIME_PATH;
use crate::index::pack::view::known_at;
use crate::index::pack::view::skeletons_in;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::Short;

/// Fewer than one event in so many are few.
const FEW_OF: usize = 32;

/// Values of one column in few events.
#[derive(Debug, Default)]
pub struct FewValues {
    /// Each occurrence: the place of the event among those asked for, and the number of its value.
    pub occurrences: Vec<(usize, u32)>,
    /// The values by their numbers, as they stand in the event (escapes not decoded).
    pub values: BTreeMap<u32, Vec<u8>>,
}

/// Few events and what of one section lies between them: its columns are read of them one after
/// the other.
#[derive(Debug)]
pub struct FewEvents {
    section: SectionId,
    /// The events, ascending.
    pub events: Vec<usize>,
    /// The template of each, by number plus one; 0 where it lacks the section.
    pub templates: Vec<u32>,
    /// How many events of each template stand between the one before and each, that one included.
    between: Vec<Vec<(u32, u32)>>,
}

impl FewEvents {
    fn new(section: SectionId, events: &[usize], all: &Numbers) -> FewEvents {
        let mut here = 0;
        let between = events.iter().map(|event| {
            let between = all.tally(here..*event);
            here = *event;
            between
        });
        let between = between.collect();
        let templates = events.iter().map(|event| all.get(*event).unwrap_or_default()).collect();
        FewEvents { section, events: events.to_vec(), templates, between }
    }

    /// Returns where the values of a column stand, of which each template holds so many: the place
    /// of the event among these, and the number of the occurrence.
    fn positions(&self, counts: &[u32]) -> Vec<(usize, u32)> {
        let count = |template: u32| counts.get(template as usize).copied().unwrap_or_default();
        let mut found = Vec::with_capacity(self.events.len());
        let mut position = 0_u32;
        for (place, (own, between)) in self.templates.iter().zip(&self.between).enumerate() {
            let passed = between.iter().map(|(template, n)| count(*template).wrapping_mul(*n));
            position = passed.fold(position, u32::wrapping_add);
            found.extend((0..count(*own)).map(|nth| (place, position.wrapping_add(nth))));
        }
        found
    }
}

impl Pack {
    /// Returns what of a section lies between few events (ascending).
    ///
    /// # Errors
    /// On damage.
    pub fn few_events(&self, section: SectionId, events: &[usize]) -> Result<FewEvents, Damage> {
        Ok(FewEvents::new(section, events, &*self.templates_unkept(section)?))
    }

    /// Returns the columns in which any of few events has a value, ascending.
    ///
    /// # Errors
    /// On damage.
    pub fn columns_of(&self, few: &FewEvents) -> Result<Vec<u32>, Damage> {
        let links = self.links(few.section)?;
        let mut templates = few.templates.clone();
        templates.sort_unstable();
        templates.dedup();
        let own =
            templates.iter().filter_map(|t| links.gap_columns.get((*t as usize).checked_sub(1)?));
        let mut columns: Vec<u32> = own.flatten().copied().collect();
        columns.sort_unstable();
        columns.dedup();
        Ok(columns)
    }

    /// The same as [`Self::few_values`].
    ///
    /// # Errors
    /// On damage.
    pub fn values_of(&self, few: &FewEvents, column: u32) -> Result<FewValues, Damage> {
        let positions = few.positions(&self.links(few.section)?.counts(column)?);
        self.values_at(few.section, column, positions)
    }

    /// Says whether the values of so many events are better read by [`Self::few_values`]: where
    /// columns are decoded for one question only.
    pub fn are_few(&self, n_events: usize) -> bool {
        self.expects_one_question() && n_events.saturating_mul(FEW_OF) < self.len()
    }

    /// Returns the values of a column in some events (ascending).
    ///
    /// # Errors
    /// On damage.
    pub fn few_values(
        &self,
        section: SectionId,
        column: u32,
        events: &[usize],
    ) -> Result<FewValues, Damage> {
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let positions = self.positions(section, column, &row.meta, events)?;
        self.values_at(section, column, positions)
    }

    /// Returns the values at some positions of a column, and the places of their events.
    fn values_at(
        &self,
        section: SectionId,
        column: u32,
        positions: Vec<(usize, u32)>,
    ) -> Result<FewValues, Damage> {
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let at: Vec<u32> = positions.iter().map(|(_, position)| *position).collect();
        let ids = self.with_ids(row, |bytes| few_ids(&row.meta, bytes, &at))?;
        let mut wanted = ids.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let values = if wanted.is_empty() {
            Vec::new()
        } else {
            let frame = self.frame_bytes(row.dict.0)?;
            let values = few_values(&row.meta, row.dict_bytes(&frame)?, &wanted)?;
            values.into_iter().map(Cow::into_owned).collect()
        };
        let places = positions.iter().map(|(place, _)| *place);
        Ok(FewValues {
            occurrences: places.zip(ids).collect(),
            values: wanted.into_iter().zip(values).collect(),
        })
    }

    /// Returns the times of some events (ascending), as [`Self::times`] has them.
    ///
    /// # Errors
    /// On damage.
    pub fn few_times(&self, events: &[usize]) -> Result<Vec<i64>, Damage> {
        let mut times = vec![NO_TIME; events.len()];
        let directory = self.directory(ROOT)?;
        for column in directory.at(TIME_PATH) {
            let row = directory.rows.get(*column as usize).ok_or(Short)?;
            if row.kind != ValueKind::String {
                continue;
            }
            let few = self.few_values(ROOT, *column, events)?;
            for (place, id) in few.occurrences {
                let time = few.values.get(&id).and_then(|value| parse_micros_utc(value));
                *times.get_mut(place).ok_or(Short)? = time.unwrap_or(NO_TIME);
            }
        }
        for (event, time) in self.odd_times()? {
            if let Ok(place) = events.binary_search(&event) {
                *times.get_mut(place).ok_or(Short)? = time;
            }
        }
        Ok(times)
    }

    /// Returns the events that have one of these UUIDs as a value of a column, ascending; `None`
    /// where the column holds anything but UUIDs.
    ///
    /// # Errors
    /// On damage.
    pub fn events_of_uuids(
        &self,
        section: SectionId,
        column: u32,
        wanted: &HashSet<[u8; 16]>,
    ) -> Result<Option<Vec<usize>>, Damage> {
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        if row.meta.kind != DictKind::Uuid {
            return Ok(None);
        }
        let frame = self.frame_bytes(row.dict.0)?;
        let mut cursor = Cursor::new(row.dict_bytes(&frame)?);
        if !cursor.get_bytes()?.is_empty() {
            return Ok(None);
        }
        // Most UUIDs are seen not to be wanted by their first bytes.
        let start = |id: &[u8; 16]| {
            let start = usize::from(u16::from_le_bytes([id[0], id[1]]));
            (start / 64, 1_u64 << (start % 64))
        };
        let mut starts = [0_u64; (1 << 16) / 64];
        for id in wanted {
            let (word, bit) = start(id);
            if let Some(slot) = starts.get_mut(word) {
                *slot |= bit;
            }
        }
        let length = (row.meta.n_entries as usize).checked_mul(16).ok_or(Short)?;
        let (ids, _) = cursor.take(length)?.as_chunks::<16>();
        let is_wanted = |id: &[u8; 16]| {
            let (word, bit) = start(id);
            starts.get(word).is_some_and(|slot| slot & bit != 0) && wanted.contains(id)
        };
        let ids: Vec<u32> =
            (0..).zip(ids).filter(|(_, id)| is_wanted(id)).map(|(number, _)| number).collect();
        self.events_of(section, column, &ids).map(Some)
    }

    /// Returns the events that have one of these values (by number, ascending) in a column,
    /// ascending.
    ///
    /// # Errors
    /// On damage.
    pub fn events_of(
        &self,
        section: SectionId,
        column: u32,
        ids: &[u32],
    ) -> Result<Vec<usize>, Damage> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let positions = self.with_ids(row, |bytes| positions_of(&row.meta, bytes, ids))?;
        self.events_at(section, column, &row.meta, &positions)
    }

    /// The same; `None` where the column has so few different values that these may stand in many
    /// events, which are better gone through one by one.
    ///
    /// # Errors
    /// On damage.
    pub fn events_of_rare(
        &self,
        section: SectionId,
        column: u32,
        ids: &[u32],
    ) -> Result<Option<Vec<usize>>, Damage> {
        let directory = self.directory(section)?;
        let meta = directory.rows.get(column as usize).ok_or(Short)?.meta;
        let is_rare = ids.len().saturating_mul(FEW_OF) < meta.n_entries as usize;
        if is_rare { self.events_of(section, column, ids).map(Some) } else { Ok(None) }
    }

    /// Says whether any event may have `true`, `false`, `null` or something empty at a path:
    /// exactly where that is noted or skeletons were taken apart; where one question is all there
    /// is, they are not for that.
    ///
    /// # Errors
    /// On damage.
    pub fn may_have_literal(&self, section: SectionId, path: &str) -> Result<bool, Damage> {
        if self.expects_one_question() && self.has_unlinked(section) {
            return Ok(true);
        }
        Ok(self.links(section)?.literal_paths.contains(path))
    }

    /// Returns what the templates of a section (by number plus one) say about a path.
    ///
    /// # Errors
    /// On damage.
    pub fn known_at(&self, section: SectionId, path: &str) -> Result<Vec<(u32, Known)>, Damage> {
        if !self.expects_one_question() || !self.has_unlinked(section) {
            let shapes = self.shapes(section)?;
            return Ok(known_at(&shapes, path));
        }
        let base = SECTIONS.get(section.0 as usize).and_then(|row| row.path);
        // Whatever stands at the path has a key that ends like it.
        let end = format!("{}\"", path.rsplit('.').next().unwrap_or_default());
        let end = memchr::memmem::Finder::new(&end);
        let frame = self.skeleton_frame(section)?;
        let mut found = Vec::new();
        for (number, skeleton) in (1..).zip(skeletons_in(&frame, self.n_templates(section))?) {
            let escaped = memchr::memchr(b'\\', skeleton).is_some();
            if base != Some(path) && !escaped && end.find(skeleton).is_none() {
                continue;
            }
            let shape = Shape::of(skeleton, section, base).map_err(|_| NO_JSON)?;
            let here = shape.nodes.iter().filter(|(at, _)| **at == *path);
            found.extend(here.map(|(_, known)| (number, *known)));
        }
        Ok(found)
    }

    /// Reads the bytes of the numbers of a column; none are stored where they follow by themselves.
    fn with_ids<T>(
        &self,
        row: &ColumnRow,
        read: impl FnOnce(&[u8]) -> Result<T, Short>,
    ) -> Result<T, Damage> {
        if row.meta.ids_len == 0 {
            return Ok(read(&[])?);
        }
        let frame = self.frame_bytes(row.ids.0)?;
        let start = row.ids.1 as usize;
        let end = start.saturating_add(row.meta.ids_len as usize);
        Ok(read(frame.get(start..end).ok_or(Short)?)?)
    }

    /// Returns the events that have the occurrences at some positions (ascending) of a column.
    fn events_at(
        &self,
        section: SectionId,
        column: u32,
        meta: &ColumnMeta,
        positions: &[u32],
    ) -> Result<Vec<usize>, Damage> {
        if self.one_each(section, column)? && meta.n_values as usize == self.len() {
            return Ok(positions.iter().map(|position| *position as usize).collect());
        }
        let templates = self.templates(section)?;
        let links = self.links(section)?;
        let counts = links.counts(column)?;
        let mut events = Vec::with_capacity(positions.len());
        let mut left = positions.iter().peekable();
        let mut end = 0_u32;
        for (event, template) in templates.iter().enumerate() {
            end += counts.get(template as usize).copied().unwrap_or_default();
            let mut own = false;
            while left.next_if(|position| **position < end).is_some() {
                own = true;
            }
            if own {
                events.push(event);
            }
            if left.peek().is_none() {
                break;
            }
        }
        if left.peek().is_some() { Err(Short.into()) } else { Ok(events) }
    }

    /// Returns where the values of some events stand in a column: the place of the event among
    /// those asked for, and the number of the occurrence.
    fn positions(
        &self,
        section: SectionId,
        column: u32,
        meta: &ColumnMeta,
        events: &[usize],
    ) -> Result<Vec<(usize, u32)>, Damage> {
        if self.one_each(section, column)? && meta.n_values as usize == self.len() {
            return Ok(events.iter().enumerate().map(|(at, event)| (at, *event as u32)).collect());
        }
        Ok(self.kept_few_events(section, events)?.positions(&self.links(section)?.counts(column)?))
    }

    /// The same as [`Self::few_events`], for whoever asks for column after column.
    fn kept_few_events(
        &self,
        section: SectionId,
        events: &[usize],
    ) -> Result<Arc<FewEvents>, Damage> {
        if let Some(kept) = self.last_few_events(section).filter(|kept| kept.events == events) {
            return Ok(kept);
        }
        let few = Arc::new(FewEvents::new(section, events, &*self.templates(section)?));
        self.keep_few_events(section, Arc::clone(&few));
        Ok(few)
    }
}

/// Returns the numbers at some positions (ascending) without decoding the others.
///
/// # Errors
/// When the bytes are not what [`write_ids`] wrote, or a position is past the end.
fn few_ids(meta: &ColumnMeta, bytes: &[u8], positions: &[u32]) -> Result<Vec<u32>, Short> {
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
fn positions_of(meta: &ColumnMeta, bytes: &[u8], ids: &[u32]) -> Result<Vec<u32>, Short> {
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
fn few_values<'b>(
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
