//! What the end of a pack says about the rest of it.
//!
//! A pack is frames one behind the other, then the footer (a frame too), then a trailer of fixed
//! length that finds the footer.  All numbers of frames are indices into the footer's table.

use crate::index::pack::column::ColumnMeta;
use crate::index::pack::section::N_SECTIONS;
use crate::index::pack::shape::ValueKind;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::FrameRef;
use crate::index::pack::wire::Short;
use crate::index::pack::wire::put;
use crate::index::pack::wire::put_bytes;
use crate::index::pack::wire::put_signed;

/// Last bytes of every pack.
pub const MAGIC: &[u8; 8] = b"AHPACK02";
/// Length of the trailer in bytes: offset, stored, plain, sum, magic.
pub const TRAILER_LEN: usize = 8 + 4 + 4 + 8 + 8;

/// Stands for "there is no such frame".
pub const NO_FRAME: u32 = u32::MAX;

/// Frames of one section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionFrames {
    /// How many templates the section has; 0 where no event has the part.
    pub n_templates: u32,
    /// The skeletons.
    pub skeletons: u32,
    /// The template of each event.
    pub templates: u32,
    /// The columns.
    pub directory: u32,
    /// Which template holds which columns, plus one; 0 where the skeletons must be asked.
    pub links: u32,
}

/// No frames: the section is in no event.
pub const NO_SECTION: SectionFrames =
    SectionFrames { n_templates: 0, skeletons: 0, templates: 0, directory: 0, links: 0 };

/// The footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Events in the pack.
    pub n_events: u32,
    /// Bytes of event text.
    pub event_bytes: u64,
    /// Frames of each section.
    pub sections: [SectionFrames; N_SECTIONS],
    /// Node, cluster, log, flags, prefix, suffix of each event.
    pub meta: u32,
    /// Source, offset, line, item of each event.
    pub places: u32,
    /// Where each event's enclosing text is, [`NO_FRAME`] where all are the event's own.
    pub raw_of: u32,
    /// Enclosing texts.
    pub raws: u32,
    /// Events whose time is not requestReceivedTimestamp.
    pub odd_times: u32,
    /// Events kept whole.
    pub whole: u32,
    /// What each event is, for finding duplicates.
    pub identities: u32,
    /// Runs of bytes the events stand in, where frames are left out; else [`NO_FRAME`].
    pub pieces: u32,
    /// Where the filter stands.
    pub filter_offset: u64,
    /// Length of its descriptor.
    pub filter_descriptor: u32,
    /// Length of its fingerprints.
    pub filter_fingerprints: u32,
    /// Checksum of both.
    pub filter_sum: u64,
    /// All frames.
    pub frames: Vec<FrameRef>,
    /// What was derived from the pack; packs of before have none.
    pub derived: u32,
    /// In which column a word can stand; packs of before have none.
    pub spots: u32,
}

impl Footer {
    /// Appends the footer.
    pub fn put(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.n_events));
        put(out, self.event_bytes);
        for section in &self.sections {
            put(out, u64::from(section.n_templates));
            if section.n_templates > 0 {
                put(out, u64::from(section.skeletons));
                put(out, u64::from(section.templates));
                put(out, u64::from(section.directory));
                put(out, u64::from(section.links));
            }
        }
        for frame in [
            self.meta,
            self.places,
            self.raw_of,
            self.raws,
            self.odd_times,
            self.whole,
            self.identities,
        ] {
            put(out, u64::from(frame.wrapping_add(1)));
        }
        put(out, self.filter_offset);
        put(out, u64::from(self.filter_descriptor));
        put(out, u64::from(self.filter_fingerprints));
        out.extend_from_slice(&self.filter_sum.to_le_bytes());
        put(out, self.frames.len() as u64);
        for frame in &self.frames {
            frame.put(out);
        }
        put(out, u64::from(self.derived.wrapping_add(1)));
        if self.pieces != NO_FRAME || self.spots != NO_FRAME {
            put(out, u64::from(self.pieces));
            put(out, u64::from(self.spots.wrapping_add(1)));
        }
    }

    /// Reads the footer.
    ///
    /// # Errors
    /// When the bytes end too soon or do not decode.
    pub fn get(bytes: &[u8]) -> Result<Footer, Short> {
        let mut cursor = Cursor::new(bytes);
        let n_events = number(&mut cursor)?;
        let event_bytes = cursor.get()?;
        let mut sections = [NO_SECTION; N_SECTIONS];
        for section in &mut sections {
            section.n_templates = number(&mut cursor)?;
            if section.n_templates > 0 {
                section.skeletons = number(&mut cursor)?;
                section.templates = number(&mut cursor)?;
                section.directory = number(&mut cursor)?;
                section.links = number(&mut cursor)?;
            }
        }
        let mut frame = || Ok::<u32, Short>(number(&mut cursor)?.wrapping_sub(1));
        let (meta, places, raw_of, raws) = (frame()?, frame()?, frame()?, frame()?);
        let (odd_times, whole, identities) = (frame()?, frame()?, frame()?);
        let filter_offset = cursor.get()?;
        let filter_descriptor = number(&mut cursor)?;
        let filter_fingerprints = number(&mut cursor)?;
        let sum = cursor.take(8)?.try_into().map_err(|_| Short)?;
        let n_frames = cursor.get_len(bytes.len())?;
        let frames =
            (0..n_frames).map(|_| FrameRef::get(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
        // The footer of a pack from before anything was derived ends here.
        let derived =
            if cursor.is_done() { NO_FRAME } else { number(&mut cursor)?.wrapping_sub(1) };
        let pieces = if cursor.is_done() { NO_FRAME } else { number(&mut cursor)? };
        let spots = if cursor.is_done() { NO_FRAME } else { number(&mut cursor)?.wrapping_sub(1) };
        Ok(Footer {
            n_events,
            event_bytes,
            sections,
            meta,
            places,
            raw_of,
            raws,
            odd_times,
            whole,
            identities,
            pieces,
            filter_offset,
            filter_descriptor,
            filter_fingerprints,
            filter_sum: u64::from_le_bytes(sum),
            frames,
            derived,
            spots,
        })
    }
}

/// Reads a number of 32 bits.
///
/// # Errors
/// At the end of the bytes, or for a larger number.
pub fn number(cursor: &mut Cursor<'_>) -> Result<u32, Short> {
    u32::try_from(cursor.get()?).map_err(|_| Short)
}

/// One column in a section's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRow {
    /// Joined path, whole.
    pub path: String,
    /// String or number.
    pub kind: ValueKind,
    /// Sizes.
    pub meta: ColumnMeta,
    /// Frame and offset of the dictionary.
    pub dict: (u32, u32),
    /// Frame and offset of the numbers.
    pub ids: (u32, u32),
}

impl ColumnRow {
    /// Appends the row; `base` is the path of the section.
    pub fn put(&self, base: usize, out: &mut Vec<u8>) {
        put_bytes(out, self.path.as_bytes().get(base..).unwrap_or_default());
        out.push(self.kind as u8);
        self.meta.put(out);
        for (frame, offset) in [self.dict, self.ids] {
            put(out, u64::from(frame));
            put(out, u64::from(offset));
        }
    }

    /// Returns the dictionary in its frame.
    ///
    /// # Errors
    /// Where the frame is shorter than the directory says.
    pub fn dict_bytes<'f>(&self, frame: &'f [u8]) -> Result<&'f [u8], Short> {
        let start = self.dict.1 as usize;
        frame.get(start..start.saturating_add(self.meta.dict_len as usize)).ok_or(Short)
    }

    /// Reads a row.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn get(base: &str, cursor: &mut Cursor<'_>) -> Result<ColumnRow, Short> {
        let rest = std::str::from_utf8(cursor.get_bytes()?).map_err(|_| Short)?;
        let path = format!("{base}{rest}");
        let kind = match cursor.take(1)? {
            [0] => ValueKind::String,
            [1] => ValueKind::Number,
            _ => return Err(Short),
        };
        let meta = ColumnMeta::get(cursor)?;
        let dict = (number(cursor)?, number(cursor)?);
        let ids = (number(cursor)?, number(cursor)?);
        Ok(ColumnRow { path, kind, meta, dict, ids })
    }
}

/// The places of a pack's events.
pub mod places {
    use super::Cursor;
    use super::Short;
    use super::put;
    use super::put_signed;
    use crate::event::place::Place;
    use crate::event::place::SourceId;

    /// Appends the places: differences to the one before, column by column.
    pub fn write(places: &[Place], out: &mut Vec<u8>) {
        let before = Place { source: SourceId(0), offset: 0, line: 0, item: 0 };
        let columns: [fn(&Place) -> u64; 4] =
            [|p| u64::from(p.source.0), |p| p.offset, |p| p.line, |p| u64::from(p.item)];
        for column in columns {
            let mut last = column(&before);
            for place in places {
                let value = column(place);
                put_signed(out, value.wrapping_sub(last) as i64);
                last = value;
            }
        }
        put(out, places.len() as u64);
    }

    /// Reads the places of some of `n` events (ascending) back.
    ///
    /// # Errors
    /// When the bytes are not what [`write`] wrote, or an event is not there.
    pub fn read_some(bytes: &[u8], n: usize, events: &[u32]) -> Result<Vec<Place>, Short> {
        let mut cursor = Cursor::new(bytes);
        let before = Place { source: SourceId(0), offset: 0, line: 0, item: 0 };
        let mut places = vec![before; events.len()];
        for column in 0..4 {
            let (mut last, mut at) = (0_u64, 0_usize);
            for (event, place) in events.iter().zip(&mut places) {
                let next = *event as usize + 1;
                // The same event may be asked for twice.
                last = last.wrapping_add(cursor.sum_signed(next.saturating_sub(at))? as u64);
                at = at.max(next);
                set(place, column, last)?;
            }
            if at > n {
                return Err(Short);
            }
            cursor.sum(n - at)?;
        }
        if cursor.get()? == n as u64 { Ok(places) } else { Err(Short) }
    }

    fn set(place: &mut Place, column: usize, value: u64) -> Result<(), Short> {
        let narrow = |value: u64| u32::try_from(value).map_err(|_| Short);
        match column {
            0 => place.source = SourceId(narrow(value)?),
            1 => place.offset = value,
            2 => place.line = value,
            _ => place.item = narrow(value)?,
        }
        Ok(())
    }

    /// Reads `n` places back: sources, offsets, lines, items.
    ///
    /// # Errors
    /// When the bytes are not what [`write`] wrote.
    pub fn read_columns(bytes: &[u8], n: usize) -> Result<[Vec<u64>; 4], Short> {
        let mut cursor = Cursor::new(bytes);
        let mut columns: [Vec<u64>; 4] = Default::default();
        for (number, column) in columns.iter_mut().enumerate() {
            let mut last = 0_u64;
            column.reserve_exact(n.min(bytes.len()));
            for _ in 0..n {
                last = last.wrapping_add(cursor.get_signed()? as u64);
                if matches!(number, 0 | 3) {
                    u32::try_from(last).map_err(|_| Short)?;
                }
                column.push(last);
            }
        }
        if cursor.get()? == n as u64 { Ok(columns) } else { Err(Short) }
    }
}
