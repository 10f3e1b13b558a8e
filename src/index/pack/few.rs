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
use crate::index::pack::few_events::FewEvents;
use crate::index::pack::ids::few_ids;
use crate::index::pack::ids::positions_of;
use crate::index::pack::layout::ColumnRow;
use crate::index::pack::links::NO_JSON;
use crate::index::pack::links::known_at;
use crate::index::pack::links::skeletons_in;
use crate::index::pack::section::ROOT;
use crate::index::pack::section::SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::Shape;
use crate::index::pack::shape::ValueKind;
use crate::index::pack::stored_column::few_values;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::view::TIME_PATH;
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
        if positions.is_empty() {
            return Ok(FewValues::default());
        }
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

    /// Says whether all values of a column are UUIDs.
    ///
    /// # Errors
    /// On damage.
    pub fn are_uuids(&self, section: SectionId, column: u32) -> Result<bool, Damage> {
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        if row.meta.kind != DictKind::Uuid {
            return Ok(false);
        }
        // What stands before each of them.
        let frame = self.frame_bytes(row.dict.0)?;
        Ok(Cursor::new(row.dict_bytes(&frame)?).get_bytes()?.is_empty())
    }

    /// Returns the events that have one of these UUIDs as a value of a column of UUIDs, ascending.
    ///
    /// # Errors
    /// On damage.
    pub fn events_of_uuids(
        &self,
        section: SectionId,
        column: u32,
        wanted: &HashSet<[u8; 16]>,
    ) -> Result<Vec<usize>, Damage> {
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let frame = self.frame_bytes(row.dict.0)?;
        let mut cursor = Cursor::new(row.dict_bytes(&frame)?);
        cursor.get_bytes()?;
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
        self.events_of(section, column, &ids)
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
