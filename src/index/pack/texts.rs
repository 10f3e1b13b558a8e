//! Events of a pack are put together again, byte for byte.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::index::pack::column::Dict;
use crate::index::pack::links::Shapes;
use crate::index::pack::numbers::Numbers;
use crate::index::pack::section::ENVELOPE;
use crate::index::pack::section::N_SECTIONS;
use crate::index::pack::section::ROOT;
use crate::index::pack::section::SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Gap;
use crate::index::pack::stored_event::Texts;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::Short;

type Result<T> = std::result::Result<T, Damage>;

impl Pack {
    /// Starts reading events in ascending order.
    ///
    /// # Errors
    /// On damage.
    pub fn reader(&self) -> Result<EventReader<'_>> {
        let wanted = std::array::from_fn(|at| self.has_section(SectionId(at as u8)));
        let whole = self.whole()?;
        Ok(EventReader { pack: self, at: 0, sections: Default::default(), wanted, whole })
    }

    /// The same for [`EventReader::read_part`] of one part alone.
    ///
    /// # Errors
    /// On damage.
    pub fn reader_of(&self, part: SectionId) -> Result<EventReader<'_>> {
        let mut reader = self.reader()?;
        for (at, wanted) in reader.wanted.iter_mut().enumerate() {
            let mut here = Some(SectionId(at as u8));
            while here.is_some_and(|section| section != part) {
                here = here.and_then(|section| SECTIONS.get(section.0 as usize)?.parent);
            }
            *wanted &= here.is_some();
        }
        Ok(reader)
    }

    /// Says whether what stands under its key first in each event is stored apart as this part; where
    /// keys are written with escapes, or twice, that may stand in its parent's skeleton.
    ///
    /// # Errors
    /// On damage.
    pub fn cuts_out(&self, part: SectionId) -> Result<bool> {
        let mut here = SECTIONS.get(part.0 as usize).and_then(|row| row.parent);
        while let Some(section) = here {
            if self.has_section(section) {
                let shapes = self.shapes(section)?;
                let mut shapes_of = shapes.templates.iter().map(|(_, shape)| shape);
                if memchr::memchr(b'\\', &shapes.text).is_some()
                    || shapes_of.any(|shape| shape.duplicate_key)
                {
                    return Ok(false);
                }
            }
            here = SECTIONS.get(section.0 as usize).and_then(|row| row.parent);
        }
        Ok(true)
    }
}

/// What of one section an [`EventReader`] holds.
struct Reading {
    templates: Arc<Numbers>,
    shapes: Arc<Shapes>,
    /// Occurrences before the reader's place, per column.
    before: Vec<u32>,
    columns: HashMap<u32, (Arc<Dict>, Arc<Numbers>)>,
}

/// Puts events of a pack together again, in ascending order of their numbers.
pub struct EventReader<'p> {
    pack: &'p Pack,
    at: usize,
    sections: [Option<Reading>; N_SECTIONS],
    /// Sections that are read.
    wanted: [bool; N_SECTIONS],
    whole: Arc<Vec<(u32, Texts)>>,
}

impl std::fmt::Debug for EventReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventReader at {}", self.at)
    }
}

impl EventReader<'_> {
    /// Returns the texts of event `number`, which must not lie before the last one asked for.
    ///
    /// # Errors
    /// On damage.
    pub fn read(&mut self, number: usize) -> Result<Texts> {
        debug_assert!(number >= self.at, "events are read in ascending order");
        if let Ok(at) = self.whole.binary_search_by_key(&(number as u32), |(event, _)| *event) {
            return self.whole.get(at).map(|(_, texts)| texts.clone()).ok_or_else(|| Short.into());
        }
        self.advance(number)?;
        let mut event = Vec::with_capacity(2048);
        self.write_part(ROOT, number, &mut event)?;
        let mut envelope = Vec::new();
        self.write_part(ENVELOPE, number, &mut envelope)?;
        Ok(Texts { event, envelope: (!envelope.is_empty()).then_some(envelope) })
    }

    /// Returns the text of a part of event `number`, which is not kept whole and does not lie before
    /// the last one asked for; `None` where the event has no such part.
    ///
    /// # Errors
    /// On damage.
    pub fn read_part(&mut self, part: SectionId, number: usize) -> Result<Option<Vec<u8>>> {
        self.advance(number)?;
        let mut text = Vec::with_capacity(1024);
        self.write_part(part, number, &mut text)?;
        Ok((!text.is_empty()).then_some(text))
    }

    /// Counts the occurrences between the last event read and `number`.
    fn advance(&mut self, number: usize) -> Result<()> {
        for at in 0..N_SECTIONS {
            let section = SectionId(at as u8);
            if !self.wanted.get(at).copied().unwrap_or_default() {
                continue;
            }
            let slot = self.sections.get_mut(at).ok_or(Short)?;
            if slot.is_none() {
                let shapes = self.pack.shapes(section)?;
                *slot = Some(Reading {
                    templates: self.pack.templates(section)?,
                    before: vec![0; shapes.links.n_columns()],
                    shapes,
                    columns: HashMap::new(),
                });
            }
            let Some(reading) = slot else { continue };
            let passed = reading.templates.iter_in(self.at..number);
            let mut often: HashMap<u32, u32> = HashMap::new();
            if passed.len() <= 8 {
                passed.for_each(|t| *often.entry(t).or_default() += 1);
            } else {
                let mut counts = vec![0_u32; reading.shapes.templates.len() + 1];
                for template in passed {
                    if let Some(count) = counts.get_mut(template as usize) {
                        *count += 1;
                    }
                }
                often.extend(
                    counts
                        .into_iter()
                        .enumerate()
                        .filter(|(_, c)| *c > 0)
                        .map(|(t, c)| (t as u32, c)),
                );
            }
            for (template, times) in often {
                let Some(index) = (template as usize).checked_sub(1) else { continue };
                for column in reading.shapes.links.gap_columns.get(index).into_iter().flatten() {
                    if let Some(before) = reading.before.get_mut(*column as usize) {
                        *before += times;
                    }
                }
            }
        }
        self.at = number;
        Ok(())
    }

    /// Appends the text of one part of an event, and of the parts cut out of it.
    ///
    /// Recursion is bounded by the depth of [`SECTIONS`], not by the input.
    fn write_part(&mut self, section: SectionId, number: usize, out: &mut Vec<u8>) -> Result<()> {
        let Some(Some(reading)) = self.sections.get(section.0 as usize) else { return Ok(()) };
        let template = reading.templates.get(number).unwrap_or_default();
        let Some(index) = (template as usize).checked_sub(1) else { return Ok(()) };
        let shapes = Arc::clone(&reading.shapes);
        let (range, shape) = shapes.templates.get(index).ok_or(Short)?;
        let skeleton = shapes.text.get(range.clone()).ok_or(Short)?;
        let mut columns = shapes.links.gap_columns.get(index).into_iter().flatten();
        let mut used: HashMap<u32, u32> = HashMap::new();
        let mut cursor = 0;
        for (gap, what) in &shape.gaps {
            out.extend_from_slice(skeleton.get(cursor..gap.start).ok_or(Short)?);
            cursor = gap.end;
            match what {
                Gap::Part(part) => self.write_part(*part, number, out)?,
                Gap::Value { .. } => {
                    let column = *columns.next().ok_or(Short)?;
                    let nth = used.entry(column).or_default();
                    self.write_value(section, column, *nth, out)?;
                    *nth += 1;
                }
            }
        }
        out.extend_from_slice(skeleton.get(cursor..).ok_or(Short)?);
        Ok(())
    }

    fn write_value(
        &mut self,
        section: SectionId,
        column: u32,
        nth: u32,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(Some(reading)) = self.sections.get_mut(section.0 as usize) else {
            return Err(Short.into());
        };
        let before = reading.before.get(column as usize).copied().ok_or(Short)?;
        let (dict, ids) = match reading.columns.entry(column) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(slot) => {
                slot.insert((self.pack.dict(section, column)?, self.pack.ids(section, column)?))
            }
        };
        let id = ids.get((before + nth) as usize).ok_or(Short)?;
        match dict.get(id) {
            Cow::Borrowed(value) => out.extend_from_slice(value),
            Cow::Owned(value) => out.extend_from_slice(&value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    use crate::event::place::Place;

    use crate::event::audit_event::event_time;
    use crate::event::json::Tape;
    use crate::event::place::Origin;
    use crate::event::place::SourceId;
    use crate::index::pack::build::PackBuilder;
    use crate::index::pack::wire::FrameWriter;
    use crate::intake::parse::Scratch;
    use crate::intake::parse::parse_json;
    use crate::intake::record::Record;

    fn pack_of(lines: &[&[u8]]) -> Pack {
        let mut builder = PackBuilder::default();
        let (mut scratch, mut tape) = (Scratch::default(), Tape::default());
        let mut offset = 0;
        for (number, line) in lines.iter().enumerate() {
            parse_json(line, &mut scratch, &mut tape).unwrap();
            let time = tape.root(line).and_then(event_time);
            let place = Place { source: SourceId(0), offset, line: number as u64 + 1, item: 0 };
            offset += line.len() as u64 + 1;
            let record = Record {
                place,
                raw: line,
                event: Cow::Borrowed(line),
                envelope: None,
                origin: Origin::default(),
                flags: Vec::new(),
                envelope_time: None,
                format: "test",
            };
            builder.push(&record, &tape, None, time);
        }
        let pack = builder.finish(&mut FrameWriter::new(3).unwrap()).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&pack.bytes).unwrap();
        let map = crate::index::mmap::MappedFile::new(file).unwrap();
        Pack::open(Arc::new(map), 0..pack.bytes.len()).unwrap()
    }

    #[test]
    fn some_events_have_the_values_that_all_have() {
        let lines: Vec<String> = (0..300)
            .map(|n| match n % 3 {
                0 => format!(r#"{{"a":"{n}","user":{{"groups":["x{n}","y"]}}}}"#),
                1 => format!(r#"{{"b":{n}}}"#),
                _ => format!(r#"{{"a":"{n}","sourceIPs":["10.0.0.{}"]}}"#, n % 7),
            })
            .collect();
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        let pack = pack_of(&lines);
        for section in (0..N_SECTIONS as u8).map(SectionId).filter(|s| pack.has_section(*s)) {
            for column in 0..pack.directory(section).unwrap().rows.len() as u32 {
                let mut all: Vec<(usize, u32)> = Vec::new();
                pack.occurrences(section, column, |event, id| all.push((event, id))).unwrap();
                for step in [1, 2, 7, 64, 131] {
                    let events: Vec<usize> = (step / 2..300).step_by(step).collect();
                    let mut some = Vec::new();
                    pack.occurrences_in(section, column, &events, |at, id| {
                        some.push((events[at], id));
                    })
                    .unwrap();
                    let expected: Vec<(usize, u32)> =
                        all.iter().filter(|(event, _)| events.contains(event)).copied().collect();
                    assert_eq!(some, expected, "{section:?} {column} every {step}");
                }
            }
        }
    }

    #[test]
    fn odd_events_come_back_byte_for_byte() {
        let lines: Vec<&[u8]> = vec![
            br#"{"kind":"Event","user":{"username":"a"},"verb":"get"}"#,
            br#" {"kind":"Event" , "user":{"username":"b","groups":["x","y"]},"verb":"list"} "#,
            br#"{"user":{"username":"a"},"user":{"username":"twice"}}"#,
            br#"{"requestObject":{"metadata":{"annotations":{"a.b/c":"1"}},"spec":[1,2.50,{"x":null}]},"requestReceivedTimestamp":"2025-12-09T12:57:08.837027Z"}"#,
            br#"{"requestObject":{"spec":{"hostPID":true}},"a":"\ud800","n":123456789012345678901234567890}"#,
            b"{\"a\":\"\x01\x03\xff\",\"b\":\"0\",\"\x01\":2}",
            br#"{"":{"":{"":[[],{},[[]]]}},"annotations":[],"sourceIPs":["10.0.0.1","10.0.0.2"]}"#,
            br#"{"requestObject":"skipped-too-big-size-object","responseObject":[{"op":"add"}]}"#,
        ];
        let pack = pack_of(&lines);
        let mut reader = pack.reader().unwrap();
        for (number, line) in lines.iter().enumerate() {
            let texts = reader.read(number).unwrap();
            assert_eq!(
                String::from_utf8_lossy(&texts.event),
                String::from_utf8_lossy(line),
                "event {number}"
            );
        }
        let part = |part: SectionId, number: usize| {
            assert!(pack.cuts_out(part).unwrap());
            pack.reader_of(part).unwrap().read_part(part, number).unwrap()
        };
        assert_eq!(part(SectionId(11), 4), Some(br#"{"hostPID":true}"#.to_vec()));
        assert_eq!(part(SectionId(10), 3), Some(br#"{"annotations":{"a.b/c":"1"}}"#.to_vec()));
        assert_eq!((part(SectionId(11), 0), part(SectionId(8), 7)), (None, None));
        let mut reader = pack.reader().unwrap();
        assert_eq!(reader.read(6).unwrap().event, lines[6]);
        let time = crate::event::time::Timestamp(pack.times().unwrap()[3]);
        assert_eq!(time.to_rfc3339(), "2025-12-09T12:57:08.837027Z");
    }

    #[test]
    fn the_reference_log_comes_back_byte_for_byte() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/realdata/ralvares-security-demos/audit.tar.gz"
        );
        let Ok(file) = std::fs::File::open(path) else {
            eprintln!("skipped: {path} is not there");
            return;
        };
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let mut text = Vec::new();
        for entry in archive.entries().unwrap() {
            std::io::copy(&mut entry.unwrap(), &mut text).unwrap();
        }
        let lines: Vec<&[u8]> = text
            .split(|c| *c == b'\n')
            .filter(|line| line.len() > 2 && line.starts_with(b"{"))
            .collect();
        assert_eq!(lines.len(), 11_258);
        let pack = pack_of(&lines);
        eprintln!("{} bytes of {}", pack.footer.n_events, text.len());
        let mut reader = pack.reader().unwrap();
        for (number, line) in lines.iter().enumerate() {
            assert!(reader.read(number).unwrap().event == *line, "event {number}");
        }
    }
}
