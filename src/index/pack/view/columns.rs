//! Values of a column of a pack, and the events that have them.

use std::sync::Arc;

use crate::index::pack::column::Dict;
use crate::index::pack::column::DictKind;
use crate::index::pack::column::read_dict;
use crate::index::pack::ids::read_ids;
use crate::index::pack::numbers::Numbers;
use crate::index::pack::section::SectionId;
use crate::index::pack::view::Pack;
use crate::index::pack::view::Result;
use crate::index::pack::wire::Frame;
use crate::index::pack::wire::Short;

/// Of fewer events than one in so many identifiers are read where they stand.
const FEW_IN_PLACE: usize = 8;

/// Where the values of an event stand in a column is noted for one event in so many.
const MARK_EVERY: usize = 16;

impl Pack {
    /// Says whether so few events are asked about that no column of identifiers is decoded for
    /// them where it stands uncompressed in the pack and little is to be held.
    ///
    /// # Errors
    /// On damage.
    pub fn reads_in_place(&self, section: SectionId, column: u32, n_events: usize) -> Result<bool> {
        if !self.sparing || n_events.saturating_mul(FEW_IN_PLACE) > self.len() {
            return Ok(false);
        }
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let frame = self.footer.frames.get(row.dict.0 as usize).ok_or(Short)?;
        Ok(row.meta.kind == DictKind::Uuid && frame.stored == frame.plain)
    }

    /// Returns the different values of a column.
    ///
    /// # Errors
    /// On damage.
    pub fn dict(&self, section: SectionId, column: u32) -> Result<Arc<Dict>> {
        self.cached(
            |cache| cache.dicts.get(&(section.0, column)).cloned(),
            || {
                let directory = self.directory(section)?;
                let row = directory.rows.get(column as usize).ok_or(Short)?;
                let frame = self.shared_frame(row.dict.0)?;
                let dict = read_dict(&row.meta, row.dict_bytes(&frame)?)?;
                let size = dict.memory();
                Ok((dict, size))
            },
            |cache, made| {
                cache.dicts.insert((section.0, column), made);
            },
        )
    }

    /// The same for who keeps what it says in another form: it is not kept.
    ///
    /// # Errors
    /// On damage.
    pub fn dict_unkept(&self, section: SectionId, column: u32) -> Result<Arc<Dict>> {
        if let Some(kept) = self.lock().dicts.get(&(section.0, column)).cloned() {
            return Ok(kept);
        }
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let frame = self.shared_frame(row.dict.0)?;
        Ok(Arc::new(read_dict(&row.meta, row.dict_bytes(&frame)?)?))
    }

    /// Returns a frame of dictionaries; kept where more questions are expected.
    ///
    /// # Errors
    /// On damage.
    pub fn dict_frame(&self, number: u32) -> Result<Arc<Frame>> {
        if !self.once {
            return self.shared_frame(number);
        }
        let kept = self.lock().frames.get(&number).cloned();
        kept.map_or_else(|| self.frame(number).map(Arc::new), Ok)
    }

    /// Returns the different values of a column, whose dictionary stands in `frame`.
    ///
    /// # Errors
    /// On damage.
    pub fn dict_in(&self, section: SectionId, column: u32, frame: &[u8]) -> Result<Arc<Dict>> {
        let row = self.directory(section)?.rows.get(column as usize).map(|row| row.meta);
        if let Some(meta) = row.filter(|meta| meta.kind != DictKind::Text) {
            // Numbers and times are large, soon read again, and hardly ever asked for by a word.
            let kept = self.lock().dicts.get(&(section.0, column)).cloned();
            if let Some(kept) = kept {
                return Ok(kept);
            }
            let directory = self.directory(section)?;
            let row = directory.rows.get(column as usize).ok_or(Short)?;
            return Ok(Arc::new(read_dict(&meta, row.dict_bytes(frame)?)?));
        }
        self.cached(
            |cache| cache.dicts.get(&(section.0, column)).cloned(),
            || {
                let directory = self.directory(section)?;
                let row = directory.rows.get(column as usize).ok_or(Short)?;
                let dict = read_dict(&row.meta, row.dict_bytes(frame)?)?;
                let size = dict.memory();
                Ok((dict, size))
            },
            |cache, made| {
                cache.dicts.insert((section.0, column), made);
            },
        )
    }

    /// Returns the numbers of a column.
    ///
    /// # Errors
    /// On damage.
    pub fn ids(&self, section: SectionId, column: u32) -> Result<Arc<Numbers>> {
        self.cached(
            |cache| cache.ids.get(&(section.0, column)).cloned(),
            || {
                let ids = self.decoded_ids(section, column)?;
                let size = ids.memory();
                Ok((ids, size))
            },
            |cache, made| {
                cache.ids.insert((section.0, column), made);
            },
        )
    }

    pub(super) fn decoded_ids(&self, section: SectionId, column: u32) -> Result<Numbers> {
        let directory = self.directory(section)?;
        let row = directory.rows.get(column as usize).ok_or(Short)?;
        let bytes: Arc<Frame> =
            if row.meta.ids_len == 0 { Arc::default() } else { self.shared_frame(row.ids.0)? };
        let start = if row.meta.ids_len == 0 { 0 } else { row.ids.1 as usize };
        let bytes = bytes.get(start..start + row.meta.ids_len as usize).ok_or(Short)?;
        Ok(read_ids(&row.meta, bytes)?)
    }

    /// Calls `each` with every occurrence of a column: the event and the number of the value.
    ///
    /// # Errors
    /// On damage.
    pub fn occurrences(
        &self,
        section: SectionId,
        column: u32,
        each: impl FnMut(usize, u32),
    ) -> Result<()> {
        let ids = self.ids(section, column)?;
        self.occurrences_of(section, column, &ids, each)
    }

    pub(super) fn occurrences_of(
        &self,
        section: SectionId,
        column: u32,
        ids: &Numbers,
        mut each: impl FnMut(usize, u32),
    ) -> Result<()> {
        if self.one_each(section, column)? && ids.len() == self.len() {
            ids.each(each);
            return Ok(());
        }
        let templates = self.templates(section)?;
        let links = self.links(section)?;
        let counts = links.counts(column)?;
        // Nearly all are of these widths; a loop for each spares asking at every event.
        let each = &mut each;
        match (&*templates, ids) {
            (Numbers::Bytes(templates), Numbers::Bytes(ids)) => {
                walk(wide(templates), &counts, wide(ids), each)
            }
            (Numbers::Bytes(templates), Numbers::Shorts(ids)) => {
                walk(wide(templates), &counts, wide(ids), each)
            }
            (Numbers::Shorts(templates), Numbers::Bytes(ids)) => {
                walk(wide(templates), &counts, wide(ids), each)
            }
            (templates, ids) => walk(templates.iter(), &counts, ids.iter(), each),
        }
    }

    /// Returns the events that have one of a few values (by number, ascending) in a column,
    /// ascending; `None` where so many have that they are better gone through one by one.
    ///
    /// # Errors
    /// On damage.
    pub fn events_of_few(
        &self,
        section: SectionId,
        column: u32,
        few: &[u32],
    ) -> Result<Option<Vec<usize>>> {
        let ids = self.ids(section, column)?;
        let Some(positions) = ids.places_of(few, ids.len() / MARK_EVERY) else { return Ok(None) };
        if self.one_each(section, column)? && ids.len() == self.len() {
            return Ok(Some(positions.into_iter().map(|position| position as usize).collect()));
        }
        let marks = self.marks(section, column)?;
        let templates = self.templates(section)?;
        let counts = self.links(section)?.counts(column)?;
        let mut events: Vec<usize> = Vec::with_capacity(positions.len());
        for position in positions {
            // The last mark before which no more values stand than before the position.
            let mark = marks.partition_point(|values| *values <= position).saturating_sub(1);
            let mut end = marks.get(mark).copied().ok_or(Short)?;
            let mut event = mark * MARK_EVERY;
            loop {
                let template = templates.get(event).ok_or(Short)?;
                end += counts.get(template as usize).copied().unwrap_or_default();
                if position < end {
                    break;
                }
                event += 1;
            }
            if events.last() != Some(&event) {
                events.push(event);
            }
        }
        Ok(Some(events))
    }

    /// Tells `put` which events have an accepted value of a column, 64 of them at a time: the
    /// number of the first divided by 64, and a bit for each.
    ///
    /// # Errors
    /// On damage.
    pub fn accepted_words(
        &self,
        section: SectionId,
        column: u32,
        accepted: &[bool],
        mut put: impl FnMut(usize, u64),
    ) -> Result<()> {
        let ids = self.ids(section, column)?;
        if self.one_each(section, column)? && ids.len() == self.len() {
            match &*ids {
                Numbers::Bytes(ids) => words_where(ids, accepted, put),
                Numbers::Shorts(ids) => words_where(ids, accepted, put),
                Numbers::Words(ids) => words_where(ids, accepted, put),
                ids => ids.each(|event, id| {
                    if accepted.get(id as usize) == Some(&true) {
                        put(event / 64, 1 << (event % 64));
                    }
                }),
            }
            return Ok(());
        }
        let links = self.links(section)?;
        // Nearly all values stand in an event once at most.
        if links.holders(column).iter().all(|(_, count)| *count == 1) {
            let templates = self.templates(section)?;
            let counts: Vec<u8> = links.counts(column)?.into_iter().map(|n| n as u8).collect();
            let (counts, put) = (&counts, &mut put);
            match (&*templates, &*ids) {
                (Numbers::Bytes(templates), Numbers::Bytes(ids)) => {
                    return walk_words(templates, counts, ids, accepted, put);
                }
                (Numbers::Bytes(templates), Numbers::Shorts(ids)) => {
                    return walk_words(templates, counts, ids, accepted, put);
                }
                (Numbers::Shorts(templates), Numbers::Bytes(ids)) => {
                    return walk_words(templates, counts, ids, accepted, put);
                }
                (Numbers::Shorts(templates), Numbers::Shorts(ids)) => {
                    return walk_words(templates, counts, ids, accepted, put);
                }
                _ => {}
            }
        }
        self.occurrences_of(section, column, &ids, |event, id| {
            if accepted.get(id as usize) == Some(&true) {
                put(event / 64, 1 << (event % 64));
            }
        })
    }

    /// Calls `each` with the occurrences of a column in some events (ascending): the place of the
    /// event among `events` and the number of the value.
    ///
    /// # Errors
    /// On damage.
    pub fn occurrences_in(
        &self,
        section: SectionId,
        column: u32,
        events: &[usize],
        mut each: impl FnMut(usize, u32),
    ) -> Result<()> {
        let ids = self.ids(section, column)?;
        if self.one_each(section, column)? && ids.len() == self.len() {
            for (place, event) in events.iter().enumerate() {
                each(place, ids.get(*event).ok_or(Short)?);
            }
            return Ok(());
        }
        let marks = self.marks(section, column)?;
        let templates = self.templates(section)?;
        let links = self.links(section)?;
        let counts = links.counts(column)?;
        let count = |event: usize| {
            let template = templates.get(event).unwrap_or_default();
            counts.get(template as usize).copied().unwrap_or_default() as usize
        };
        let (mut here, mut value) = (0, 0);
        for (place, event) in events.iter().enumerate() {
            let mark = event / MARK_EVERY;
            if mark * MARK_EVERY > here {
                here = mark * MARK_EVERY;
                value = *marks.get(mark).ok_or(Short)? as usize;
            }
            value += (here..*event).map(count).sum::<usize>();
            here = *event;
            let own = ids.iter_in(value..value + count(here));
            if own.len() != count(here) {
                return Err(Short.into());
            }
            own.for_each(|id| each(place, id));
        }
        Ok(())
    }

    /// How many values of a column stand before every [`MARK_EVERY`]th event.
    fn marks(&self, section: SectionId, column: u32) -> Result<Arc<Vec<u32>>> {
        self.cached(
            |cache| cache.marks.get(&(section.0, column)).cloned(),
            || {
                let templates = self.templates(section)?;
                let links = self.links(section)?;
                let counts = links.counts(column)?;
                let mut marks = Vec::with_capacity(templates.len() / MARK_EVERY + 1);
                let mut values = 0_u32;
                templates.each(|event, template| {
                    if event % MARK_EVERY == 0 {
                        marks.push(values);
                    }
                    values += counts.get(template as usize).copied().unwrap_or_default();
                });
                if values as usize != self.ids(section, column)?.len() {
                    return Err(Short.into());
                }
                let size = marks.len() * 4;
                Ok((marks, size))
            },
            |cache, made| {
                cache.marks.insert((section.0, column), made);
            },
        )
    }
}

fn wide<T: Copy + Into<u32>>(numbers: &[T]) -> impl Iterator<Item = u32> + '_ {
    numbers.iter().map(|number| (*number).into())
}

/// Tells `put` at which places an accepted number stands, 64 places at a time.
fn words_where<T: Copy + Into<u32>>(ids: &[T], accepted: &[bool], mut put: impl FnMut(usize, u64)) {
    for (at, ids) in ids.chunks(64).enumerate() {
        let mut word = 0;
        for (bit, id) in ids.iter().enumerate() {
            let id: u32 = (*id).into();
            let yes = accepted.get(id as usize).copied().unwrap_or_default();
            word |= u64::from(yes) << bit;
        }
        if word != 0 {
            put(at, word);
        }
    }
}

/// The same for a column of which an event has a value or none, as its template says.
fn walk_words<T: Copy + Into<u32>, I: Copy + Into<u32>>(
    templates: &[T],
    counts: &[u8],
    ids: &[I],
    accepted: &[bool],
    put: &mut impl FnMut(usize, u64),
) -> Result<()> {
    let mut position = 0;
    for (at, templates) in templates.chunks(64).enumerate() {
        let mut word = 0;
        for (bit, template) in templates.iter().enumerate() {
            let template: u32 = (*template).into();
            let has = counts.get(template as usize).copied().unwrap_or_default();
            let id = ids.get(position).map_or(u32::MAX, |id| (*id).into());
            let yes = accepted.get(id as usize).copied().unwrap_or_default();
            word |= u64::from(has & u8::from(yes)) << bit;
            position += usize::from(has);
        }
        if word != 0 {
            put(at, word);
        }
    }
    if position == ids.len() { Ok(()) } else { Err(Short.into()) }
}

/// Tells `each` the values of a column, of which an event has as many as its template says.
fn walk(
    templates: impl Iterator<Item = u32>,
    counts: &[u32],
    mut ids: impl Iterator<Item = u32>,
    each: &mut impl FnMut(usize, u32),
) -> Result<()> {
    for (event, template) in templates.enumerate() {
        for _ in 0..counts.get(template as usize).copied().unwrap_or_default() {
            each(event, ids.next().ok_or(Short)?);
        }
    }
    if ids.next().is_some() { Err(Short.into()) } else { Ok(()) }
}
