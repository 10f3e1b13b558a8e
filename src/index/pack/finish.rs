//! A full [`PackBuilder`] becomes the bytes of a pack.

use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::event::time::Timestamp;
use crate::index::pack::build::PackBuilder;
use crate::index::pack::column::ColumnMeta;
use crate::index::pack::column::DictKind;
use crate::index::pack::column::write_dict;
use crate::index::pack::filter::write_filter;
use crate::index::pack::filter::write_spots;
use crate::index::pack::filter_keys::FilterKeys;
use crate::index::pack::frames::Frames;
use crate::index::pack::frames::Writing;
use crate::index::pack::frames::seal;
use crate::index::pack::ids::write_ids;
use crate::index::pack::layout::ColumnRow;
use crate::index::pack::layout::Footer;
use crate::index::pack::layout::NO_FRAME;
use crate::index::pack::layout::NO_SECTION;
use crate::index::pack::layout::SectionFrames;
use crate::index::pack::layout::places;
use crate::index::pack::left_out::MadeFrames;
use crate::index::pack::left_out::PieceRow;
use crate::index::pack::left_out::write_pieces;
use crate::index::pack::section::ENVELOPE;
use crate::index::pack::section::N_SECTIONS;
use crate::index::pack::section::SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::wire::Content;
use crate::index::pack::wire::FrameWriter;
use crate::index::pack::wire::put;
use crate::index::pack::wire::put_bytes;
use crate::index::pack::wire::put_signed;

/// A frame of small columns that are often asked for is closed at this size, so that reading one
/// of them decompresses little else.
const HOT_FRAME: usize = 4 << 10;
/// A column of so many bytes that is often asked for has a frame of its own.
const LARGE_COLUMN: usize = 1 << 10;
/// A frame of columns of bodies.
const COLD_DICT_FRAME: usize = 128 << 10;
/// See [`COLD_DICT_FRAME`].
const COLD_IDS_FRAME: usize = 64 << 10;

/// A finished pack.
#[derive(Debug)]
pub struct PackBytes {
    /// What is appended to a pack file.
    pub bytes: Vec<u8>,
    /// What is left out of it.
    pub left_out: MadeFrames,
    /// Events in it.
    pub n_events: u32,
    /// Bytes of their texts.
    pub event_bytes: u64,
    /// Time of the earliest and latest event that has one.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Whether some event has no time.
    pub some_without_time: bool,
}

/// A frame that several columns share until it is full.
#[derive(Default)]
struct Shared {
    bytes: Vec<u8>,
    rows: Vec<usize>,
    cold: bool,
    /// Whether it is stored as it is: times are what nearly every question reads first, and half
    /// their bytes stay when they are compressed.
    plain: bool,
}

/// Which frame of a column is meant.
#[derive(Clone, Copy)]
enum Slot {
    Dict,
    Ids,
}

impl Slot {
    fn of(self, row: &mut ColumnRow) -> &mut (u32, u32) {
        match self {
            Slot::Dict => &mut row.dict,
            Slot::Ids => &mut row.ids,
        }
    }
}

impl Shared {
    /// Appends what a column has for a slot.
    fn put(&mut self, own: &[u8], at: usize, rows: &mut [Option<ColumnRow>], slot: Slot) {
        if let Some(Some(row)) = rows.get_mut(at) {
            slot.of(row).1 = self.bytes.len() as u32;
        }
        self.bytes.extend_from_slice(own);
        self.rows.push(at);
    }
}

impl PackBuilder {
    /// Writes the pack.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn finish(&self, writer: &mut FrameWriter) -> std::io::Result<PackBytes> {
        self.write(Frames::new(Writing::Stored(writer)), None)
    }

    /// Writes the pack without what can be made again from the lines, which stand in `pieces`.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn finish_referring(
        &self,
        pieces: &[PieceRow],
        writer: &mut FrameWriter,
    ) -> std::io::Result<PackBytes> {
        self.write(Frames::new(Writing::Referring(writer, MadeFrames::new())), Some(pieces))
    }

    /// Makes the frames that [`Self::finish_referring`] leaves out.
    ///
    /// # Errors
    /// None in practice; those of writing frames.
    pub fn left_out(&self) -> std::io::Result<MadeFrames> {
        let mut frames = Frames::new(Writing::Again(MadeFrames::new()));
        self.write_frames(&mut frames)?;
        Ok(match frames.writing {
            Writing::Again(made) => made,
            _ => MadeFrames::new(),
        })
    }

    /// Writes all frames that are made of events; what comes behind them is not set yet.
    fn write_frames(&self, frames: &mut Frames<'_>) -> std::io::Result<(Footer, Vec<ColumnRow>)> {
        let rows = self.write_columns(frames)?;
        let sections = self.write_sections(&rows, frames)?;
        let mut plain = Vec::new();
        self.write_meta(&mut plain);
        let meta = frames.add(&plain)?;
        plain.clear();
        places::write(&self.places, &mut plain);
        let places = frames.add(&plain)?;
        plain.clear();
        self.raw_of.iter().for_each(|mode| put(&mut plain, u64::from(*mode)));
        let raw_of = frames.add_some(&plain, self.raw_of.iter().any(|mode| *mode != 0))?;
        plain.clear();
        put(&mut plain, self.raws.len() as u64);
        self.raws.iter().for_each(|raw| put_bytes(&mut plain, raw));
        let raws = frames.add_some_cold(&plain, !self.raws.is_empty())?;
        plain.clear();
        self.write_odd_times(&mut plain);
        let odd_times = frames.add_some(&plain, !self.odd_times.is_empty())?;
        plain.clear();
        self.write_whole(&mut plain);
        // Every question is put to these, so they are not left out.
        let whole = frames.add_some(&plain, !self.whole.is_empty())?;
        plain.clear();
        write_identities(&self.identities, &mut plain);
        let identities = frames.add(&plain)?;
        let footer = Footer {
            n_events: self.len() as u32,
            event_bytes: self.event_bytes,
            sections,
            meta,
            places,
            raw_of,
            raws,
            odd_times,
            whole,
            identities,
            pieces: NO_FRAME,
            derived: NO_FRAME,
            spots: NO_FRAME,
            filter_offset: 0,
            filter_descriptor: 0,
            filter_fingerprints: 0,
            filter_sum: 0,
            frames: Vec::new(),
        };
        Ok((footer, rows))
    }

    fn write_whole(&self, plain: &mut Vec<u8>) {
        put(plain, self.whole.len() as u64);
        for (event, text, envelope) in &self.whole {
            put(plain, u64::from(*event));
            put_bytes(plain, text);
            put(plain, u64::from(envelope.is_some()));
            put_bytes(plain, envelope.as_deref().unwrap_or_default());
        }
    }

    fn write(
        &self,
        mut frames: Frames<'_>,
        pieces: Option<&[PieceRow]>,
    ) -> std::io::Result<PackBytes> {
        let (mut footer, rows) = self.write_frames(&mut frames)?;
        if let Some(pieces) = pieces {
            let mut plain = Vec::new();
            write_pieces(pieces, &mut plain);
            footer.pieces = frames.add(&plain)?;
        }
        let FilterKeys { mut keys, mut spot_keys, sections } = self.filter_keys(&rows);
        let mut spots = Vec::new();
        write_spots(&sections, &mut spot_keys, &mut spots);
        footer.spots = frames.add_plain(&spots)?;
        footer.filter_offset = frames.out.len() as u64;
        let (descriptor, fingerprints) = write_filter(&mut keys, &mut frames.out);
        let filter = frames.out.get(footer.filter_offset as usize..).unwrap_or_default();
        footer.filter_sum = xxhash_rust::xxh3::xxh3_64(filter);
        (footer.filter_descriptor, footer.filter_fingerprints) = (descriptor, fingerprints);
        footer.frames = std::mem::take(&mut frames.table);
        let mut bytes = frames.out;
        seal(&footer, &mut bytes)?;
        let left_out = match frames.writing {
            Writing::Stored(_) => MadeFrames::new(),
            Writing::Referring(_, made) | Writing::Again(made) => made,
        };
        let known = || self.times.iter().flatten();
        Ok(PackBytes {
            bytes,
            left_out,
            n_events: self.len() as u32,
            event_bytes: self.event_bytes,
            span: known().min().copied().zip(known().max().copied()),
            some_without_time: self.times.iter().any(Option::is_none),
        })
    }

    /// Writes dictionaries and numbers, columns of like names of both bodies side by side.
    fn write_columns(&self, frames: &mut Frames<'_>) -> std::io::Result<Vec<ColumnRow>> {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        let key = |at: &usize| {
            self.columns.get(*at).map(|column| {
                let cold = is_cold(column.section);
                let path = column.path.as_str();
                let leaf =
                    if cold { path.split_once('.').map_or(path, |(_, rest)| rest) } else { path };
                (cold, if cold { SectionId(0) } else { column.section }, leaf, path, column.kind)
            })
        };
        order.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut rows: Vec<Option<ColumnRow>> = vec![None; self.columns.len()];
        let (mut dicts, mut ids) = (Shared::default(), Shared::default());
        let (mut dict, mut numbers) = (Vec::new(), Vec::new());
        for at in order {
            let Some(column) = self.columns.get(at) else { continue };
            let cold = is_cold(column.section);
            if cold && !dicts.cold {
                // Frames that can be left out hold nothing else.
                close(&mut dicts, frames, &mut rows, Slot::Dict)?;
                close(&mut ids, frames, &mut rows, Slot::Ids)?;
                (dicts.cold, ids.cold) = (true, true);
            }
            dict.clear();
            let values: Vec<&[u8]> =
                column.entries.iter().map(|entry| self.value(*entry)).collect();
            let kind = write_dict(values.iter().copied(), &mut dict);
            numbers.clear();
            write_ids(&column.ids, column.entries.len(), &mut numbers);
            let meta = ColumnMeta {
                kind,
                n_entries: column.entries.len() as u32,
                n_values: column.ids.len() as u32,
                dict_len: dict.len() as u32,
                ids_len: numbers.len() as u32,
            };
            let path = column.path.clone();
            let row = ColumnRow { path, kind: column.kind, meta, dict: (0, 0), ids: (0, 0) };
            if let Some(slot) = rows.get_mut(at) {
                *slot = Some(row);
            }
            for (shared, own, slot, full) in [
                (&mut dicts, &dict, Slot::Dict, COLD_DICT_FRAME),
                (&mut ids, &numbers, Slot::Ids, COLD_IDS_FRAME),
            ] {
                if !cold && own.len() >= LARGE_COLUMN {
                    let plain = matches!((slot, kind), (Slot::Dict, DictKind::Time));
                    let mut alone = Shared { plain, ..Shared::default() };
                    alone.put(own, at, &mut rows, slot);
                    close(&mut alone, frames, &mut rows, slot)?;
                    continue;
                }
                shared.put(own, at, &mut rows, slot);
                if shared.bytes.len() >= if cold { full } else { HOT_FRAME } {
                    close(shared, frames, &mut rows, slot)?;
                }
            }
        }
        close(&mut dicts, frames, &mut rows, Slot::Dict)?;
        close(&mut ids, frames, &mut rows, Slot::Ids)?;
        Ok(rows.into_iter().flatten().collect())
    }

    fn write_sections(
        &self,
        rows: &[ColumnRow],
        frames: &mut Frames<'_>,
    ) -> std::io::Result<[SectionFrames; N_SECTIONS]> {
        let mut sections = [NO_SECTION; N_SECTIONS];
        let mut plain = Vec::new();
        for (number, section) in sections.iter_mut().enumerate() {
            let n_templates = self.n_templates.get(number).copied().unwrap_or_default();
            if n_templates == 0 {
                continue;
            }
            section.n_templates = n_templates;
            let own = || self.templates.iter().filter(|t| t.section.0 as usize == number);
            plain.clear();
            own().for_each(|t| put(&mut plain, t.skeleton.len() as u64));
            own().for_each(|t| plain.extend_from_slice(&t.skeleton));
            let cold = is_cold(SectionId(number as u8));
            let add = |frames: &mut Frames<'_>, plain: &[u8], content| {
                if cold { frames.add_cold(plain, content) } else { frames.add_of(plain, content) }
            };
            section.skeletons = add(frames, &plain, Content::Texts)?;
            plain.clear();
            if let Some(ids) = self.template_of.get(number) {
                write_template_ids(ids, n_templates, &mut plain);
            }
            section.templates = add(frames, &plain, Content::Numbers)?;
            plain.clear();
            let base = SECTIONS.get(number).and_then(|s| s.path).unwrap_or_default().len();
            let own: Vec<&ColumnRow> = self
                .columns
                .iter()
                .zip(rows)
                .filter(|(c, _)| c.section.0 as usize == number)
                .map(|(_, row)| row)
                .collect();
            put(&mut plain, own.len() as u64);
            own.iter().for_each(|row| row.put(base, &mut plain));
            section.directory = add(frames, &plain, Content::Texts)?;
            if !cold {
                plain.clear();
                self.write_links(number, &mut plain);
                section.links = frames.add(&plain)? + 1;
            }
        }
        Ok(sections)
    }

    /// Writes which columns each template of a section holds, in the order of its gaps, and at
    /// which paths any has `true` or `false`: all that most questions need of the skeletons.
    fn write_links(&self, number: usize, out: &mut Vec<u8>) {
        let own = || self.templates.iter().filter(|t| t.section.0 as usize == number);
        let mut places: HashMap<u32, u64> = HashMap::new();
        let columns = self.columns.iter().enumerate();
        for (place, (column, _)) in
            columns.filter(|(_, c)| c.section.0 as usize == number).enumerate()
        {
            places.insert(column as u32, place as u64);
        }
        let mut literals: BTreeSet<&str> = BTreeSet::new();
        for template in own() {
            put(out, template.columns.len() as u64);
            for column in &template.columns {
                put(out, places.get(column).copied().unwrap_or_default());
            }
            literals.extend(template.shape.literal_paths());
        }
        put(out, literals.len() as u64);
        literals.iter().for_each(|path| put_bytes(out, path.as_bytes()));
    }

    fn write_meta(&self, out: &mut Vec<u8>) {
        for meta in &self.meta {
            put(out, meta.values.len() as u64);
            meta.values.iter().for_each(|value| put_bytes(out, value));
            if meta.values.len() > 1 {
                meta.ids.iter().for_each(|id| put(out, u64::from(*id)));
            }
        }
    }

    fn write_odd_times(&self, out: &mut Vec<u8>) {
        put(out, self.odd_times.len() as u64);
        for (event, time) in &self.odd_times {
            put(out, u64::from(*event));
            put(out, u64::from(time.is_some()));
            put_signed(out, time.map_or(0, |time| time.0));
        }
    }
}

fn close(
    shared: &mut Shared,
    frames: &mut Frames<'_>,
    rows: &mut [Option<ColumnRow>],
    slot: Slot,
) -> std::io::Result<()> {
    if shared.rows.is_empty() {
        return Ok(());
    }
    let content = match slot {
        Slot::Dict => Content::Texts,
        Slot::Ids => Content::Numbers,
    };
    let frame = if shared.plain {
        frames.add_plain(&shared.bytes)?
    } else if shared.cold {
        frames.add_cold(&shared.bytes, content)?
    } else {
        frames.add_of(&shared.bytes, content)?
    };
    for at in shared.rows.drain(..) {
        if let Some(Some(row)) = rows.get_mut(at) {
            slot.of(row).0 = frame;
        }
    }
    shared.bytes.clear();
    Ok(())
}

/// Bodies and envelopes: many columns, each seldom asked for.
fn is_cold(section: SectionId) -> bool {
    section == ENVELOPE || section.0 >= 8
}

/// Appends the template of each event: number plus one, 0 for absent, as bytes or byte planes.
fn write_template_ids(ids: &[u32], n_templates: u32, out: &mut Vec<u8>) {
    let width = template_width(n_templates);
    for plane in 0..width {
        out.extend(ids.iter().map(|id| (id >> (8 * plane)) as u8));
    }
}

/// Bytes per event of a section's template numbers.
pub fn template_width(n_templates: u32) -> usize {
    if n_templates < 0xff {
        1
    } else if n_templates < 0xffff {
        2
    } else {
        4
    }
}

/// Appends what each event is, to 40 bits, sorted, as differences.
fn write_identities(identities: &[u64], out: &mut Vec<u8>) {
    let mut short: Vec<u64> = identities.iter().map(|id| id >> 24).collect();
    short.sort_unstable();
    let mut before = 0;
    for id in short {
        put(out, id - before);
        before = id;
    }
}
