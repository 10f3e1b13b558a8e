//! Words anywhere in the events of one pack: keys and values are looked at once each.

use std::collections::BTreeSet;

use rayon::prelude::*;
use regex::bytes::Regex;
use regex::bytes::RegexBuilder;

use crate::event::json::decode;
use crate::index::pack::column::ColumnMeta;
use crate::index::pack::column::Dict;
use crate::index::pack::column::DictKind;
use crate::index::pack::column::dict_text;
use crate::index::pack::few_events::FewEvents;
use crate::index::pack::filter::WordSpots;
use crate::index::pack::layout::ColumnRow;
use crate::index::pack::links::Shapes;
use crate::index::pack::section::ENVELOPE;
use crate::index::pack::section::N_SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Known;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Damage;
use crate::query::value::decoded_query_part;
use crate::search::bits::Bits;
use crate::search::pack_eval::add_accepted;
use crate::search::question::WordTest;

/// Returns the events of a pack (not those kept whole) in which the words stand.
///
/// The frames of the dictionaries are searched as they are, side by side; only columns that may
/// hold the words are taken apart.
///
/// # Errors
/// On damage.
pub fn events_with_words(pack: &Pack, test: &WordTest) -> Result<Bits, Damage> {
    let needle = test.needle.as_deref().and_then(|needle| {
        RegexBuilder::new(&regex::escape(needle)).case_insensitive(true).unicode(false).build().ok()
    });
    let needle = needle.as_ref();
    let spots = pack.word_spots()?;
    let (values, skeletons) = rayon::join(
        || holding_values(pack, test, needle, spots),
        || {
            let mut bits = Bits::none(pack.len());
            for section in sections(pack)
                .filter(|section| spots.is_none_or(|spots| spots.in_keys(*section, &test.keys)))
            {
                keys_and_literals(pack, section, test, needle, &mut bits)?;
            }
            Ok::<Bits, Damage>(bits)
        },
    );
    let mut bits = skeletons?;
    for (section, column, accepted) in values? {
        add_accepted(pack, section, column, &accepted, &mut bits)?;
    }
    Ok(bits)
}

/// Returns those of some events (ascending, none kept whole) in which any of the words stand.
///
/// Only the values of these events are looked at, in the columns that may hold the words.
///
/// # Errors
/// On damage.
pub fn among_with_words(
    pack: &Pack,
    tests: &[&WordTest],
    events: &[usize],
) -> Result<Bits, Damage> {
    let mut bits = Bits::none(pack.len());
    let spots = pack.word_spots()?;
    for section in sections(pack) {
        let few = pack.few_events(section, events)?;
        if few.templates.iter().all(|template| *template == 0) {
            continue;
        }
        for column in pack.columns_of(&few)? {
            let mut possible: Vec<&WordTest> = Vec::new();
            for test in tests {
                if spots.map_or(Ok(true), |spots| spots.in_column(section, column, &test.keys))? {
                    possible.push(test);
                }
            }
            column_among(pack, (section, column), possible, &few, &mut bits)?;
        }
        let in_keys = |test: &&&WordTest| spots.is_none_or(|s| s.in_keys(section, &test.keys));
        let possible: Vec<&WordTest> = tests.iter().filter(in_keys).copied().collect();
        if possible.is_empty() {
            continue;
        }
        let shapes = pack.shapes(section)?;
        for (event, template) in few.events.iter().zip(&few.templates) {
            if possible.iter().any(|test| skeleton_holds(&shapes, *template, test)) {
                bits.set(*event);
            }
        }
    }
    Ok(bits)
}

fn column_among(
    pack: &Pack,
    (section, column): (SectionId, u32),
    mut tests: Vec<&WordTest>,
    few: &FewEvents,
    bits: &mut Bits,
) -> Result<(), Damage> {
    let directory = pack.directory(section)?;
    let Some(row) = directory.rows.get(column as usize) else { return Ok(()) };
    tests.retain(|test| kind_may_hold(row.meta.kind, test));
    if tests.is_empty() {
        return Ok(());
    }
    let uri = is_uri(section, row);
    let found = pack.values_of(few, column)?;
    let holds = |value: &Vec<u8>| tests.iter().any(|test| holds(test, uri, value));
    let holding = found.values.iter().filter(|(_, value)| holds(value)).map(|(id, _)| *id);
    let holding: BTreeSet<u32> = holding.collect();
    let found = found.occurrences.iter().filter(|(_, id)| holding.contains(id));
    found.filter_map(|(place, _)| few.events.get(*place)).for_each(|event| bits.set(*event));
    Ok(())
}

/// Says whether values that are numbers or times can hold the words.
fn kind_may_hold(kind: DictKind, test: &WordTest) -> bool {
    let Some(text) = test.needle.as_deref() else { return true };
    match kind {
        DictKind::Int => is_digits(text),
        DictKind::Time => is_of_time(text),
        DictKind::Text | DictKind::Uuid => true,
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit())
}

fn is_of_time(text: &str) -> bool {
    text.bytes().all(|c| matches!(c, b'0'..=b'9' | b't' | b'z'))
}

/// Says whether the percent-decoded query part of a column's values counts as well.
fn is_uri(section: SectionId, row: &ColumnRow) -> bool {
    section != ENVELOPE && row.path == "requestURI"
}

/// Says whether the words stand in a key, `true` or `false` of a skeleton (by number plus one).
fn skeleton_holds(shapes: &Shapes, template: u32, test: &WordTest) -> bool {
    let Some(at) = (template as usize).checked_sub(1) else { return false };
    let (yes, no) = (test.words.accepts("true"), test.words.accepts("false"));
    let keys = shapes.keys_of.get(at).into_iter().flatten();
    let mut keys = keys.filter_map(|key| shapes.keys.get(*key as usize));
    keys.any(|key| test.words.accepts(key))
        || ((yes || no)
            && shapes.templates.get(at).is_some_and(|(_, shape)| {
                let mut known = shape.nodes.iter().map(|(_, known)| *known);
                known.any(|known| (yes && known == Known::True) || (no && known == Known::False))
            }))
}

/// Says whether the words stand in a value as it stands in the event.
fn holds(test: &WordTest, uri: bool, value: &[u8]) -> bool {
    let text = decode(value, memchr::memchr(b'\\', value).is_some());
    test.words.accepts(&text)
        || (uri && decoded_query_part(&text).is_some_and(|query| test.words.accepts(&query)))
}

fn sections(pack: &Pack) -> impl Iterator<Item = SectionId> + '_ {
    (0..N_SECTIONS).map(|number| SectionId(number as u8)).filter(|s| pack.has_section(*s))
}

/// A column and which of its values hold the words.
type Holding = (SectionId, u32, Vec<bool>);

/// Returns the columns that hold the words.
fn holding_values(
    pack: &Pack,
    test: &WordTest,
    needle: Option<&Regex>,
    spots: Option<WordSpots<'_>>,
) -> Result<Vec<Holding>, Damage> {
    // Columns by the frame their dictionaries stand in, so that each is decompressed once.
    let mut columns: Vec<(u32, SectionId, u32)> = Vec::new();
    for section in sections(pack) {
        let possible = spots.map(|spots| spots.columns(section, &test.keys)).transpose()?;
        if possible.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        let directory = pack.directory(section)?;
        let rows = (0_u32..).zip(&directory.rows);
        let rows = rows.filter(|(column, _)| {
            possible.as_ref().is_none_or(|possible| possible.binary_search(column).is_ok())
        });
        columns.extend(rows.map(|(column, row)| (row.dict.0, section, column)));
    }
    columns.sort_unstable();
    let found: Vec<Vec<Holding>> = columns
        .par_chunk_by(|a, b| a.0 == b.0)
        .map(|columns| {
            let Some((number, ..)) = columns.first() else { return Ok(Vec::new()) };
            let frame = pack.dict_frame(*number)?;
            let mut found = Vec::new();
            for (_, section, column) in columns {
                found.extend(holding_column(pack, *section, *column, &frame, test, needle)?);
            }
            Ok(found)
        })
        .collect::<Result<_, Damage>>()?;
    Ok(found.into_iter().flatten().collect())
}

fn holding_column(
    pack: &Pack,
    section: SectionId,
    column: u32,
    frame: &[u8],
    test: &WordTest,
    needle: Option<&Regex>,
) -> Result<Option<Holding>, Damage> {
    let directory = pack.directory(section)?;
    let Some(row) = directory.rows.get(column as usize) else { return Ok(None) };
    let uri = is_uri(section, row);
    if let (Some(needle), Some(text)) = (needle, test.needle.as_deref()) {
        let bytes = row.dict_bytes(frame)?;
        if !may_hold(&row.meta, bytes, needle, text, test.whole, uri) {
            return Ok(None);
        }
    }
    let dict = pack.dict_in(section, column, frame)?;
    let found = Entries { dict: &dict, test, uri }.holding(needle);
    if found.is_empty() {
        return Ok(None);
    }
    let mut accepted = vec![false; dict.len()];
    for id in found {
        if let Some(slot) = accepted.get_mut(id as usize) {
            *slot = true;
        }
    }
    Ok(Some((section, column, accepted)))
}

/// Says whether a dictionary can hold the needle, from its bytes: never no where some value does.
fn may_hold(
    meta: &ColumnMeta,
    bytes: &[u8],
    needle: &Regex,
    text: &str,
    whole: bool,
    uri: bool,
) -> bool {
    match meta.kind {
        DictKind::Text => needle.is_match(bytes) || is_odd(meta, bytes, uri),
        DictKind::Uuid => {
            let groups = matches!(text.len(), 4 | 8 | 12) && text.bytes().all(is_hex);
            !whole || groups || uuid_prefix_holds(bytes, needle)
        }
        DictKind::Int => is_digits(text),
        DictKind::Time => is_of_time(text),
    }
}

fn uuid_prefix_holds(bytes: &[u8], needle: &Regex) -> bool {
    Cursor::new(bytes).get_bytes().map_or(true, |prefix| needle.is_match(prefix))
}

/// Says whether letters or digits are escaped, or stand outside ASCII, in some value.
fn is_odd(meta: &ColumnMeta, bytes: &[u8], uri: bool) -> bool {
    // The lengths stand before the texts, and are no ASCII themselves where texts are long.
    let foreign = !bytes.is_ascii() && dict_text(meta, bytes).is_none_or(|text| !text.is_ascii());
    foreign
        || memchr::memchr_iter(b'\\', bytes).any(|at| hides_unicode(bytes, at))
        || (uri && memchr::memchr_iter(b'%', bytes).any(|at| hides_percent(bytes, at)))
}

/// Adds the events whose skeleton of a section holds the words in a key, `true` or `false`.
fn keys_and_literals(
    pack: &Pack,
    section: SectionId,
    test: &WordTest,
    needle: Option<&Regex>,
    bits: &mut Bits,
) -> Result<(), Damage> {
    let (yes, no) = (test.words.accepts("true"), test.words.accepts("false"));
    if let (false, false, Some(needle)) = (yes, no, needle) {
        // Taking skeletons apart costs far more than seeing that no key can hold the words.
        if let Some(text) = pack.skeleton_text(section)? {
            let plain = text.is_ascii() && memchr::memchr(b'\\', &text).is_none();
            if plain && !needle.is_match(&text) {
                return Ok(());
            }
        }
    }
    let shapes = pack.shapes(section)?;
    let keys: Vec<bool> = shapes.keys.iter().map(|key| test.words.accepts(key)).collect();
    if !yes && !no && !keys.contains(&true) {
        return Ok(());
    }
    let wanted: Vec<bool> = std::iter::once(false)
        .chain(shapes.templates.iter().zip(&shapes.keys_of).map(|((_, shape), own)| {
            own.iter().any(|key| keys.get(*key as usize).copied().unwrap_or_default())
                || ((yes || no)
                    && shape.nodes.iter().any(|(_, known)| {
                        (yes && *known == Known::True) || (no && *known == Known::False)
                    }))
        }))
        .collect();
    if wanted.contains(&true) {
        for (event, template) in pack.templates(section)?.iter().enumerate() {
            if wanted.get(template as usize).copied().unwrap_or_default() {
                bits.set(event);
            }
        }
    }
    Ok(())
}

/// The different values of one column, looked through for words.
struct Entries<'d> {
    dict: &'d Dict,
    test: &'d WordTest,
    /// Whether the percent-decoded query part counts as well.
    uri: bool,
}

impl Entries<'_> {
    fn judge(&self, id: u32) -> bool {
        holds(self.test, self.uri, &self.dict.get(id))
    }

    /// Returns the values that hold the words.
    fn holding(&self, needle: Option<&Regex>) -> Vec<u32> {
        let all = || (0..self.dict.len() as u32).filter(|id| self.judge(*id)).collect();
        let (Some(needle), Some(text)) = (needle, self.test.needle.as_deref()) else {
            return all();
        };
        match self.dict {
            Dict::Text { text, ends } => self.holding_text(text, ends, needle),
            Dict::Uuid { prefix, .. } => {
                if !self.test.whole || needle.is_match(prefix) || !text.bytes().all(is_hex) {
                    let possible = !self.test.whole || needle.is_match(prefix);
                    return if possible { all() } else { Vec::new() };
                }
                self.holding_uuid(text)
            }
            Dict::Int(_) if !is_digits(text) => Vec::new(),
            Dict::Time(_) if !is_of_time(text) => Vec::new(),
            _ => all(),
        }
    }

    fn holding_uuid(&self, needle: &str) -> Vec<u32> {
        let Dict::Uuid { ids, .. } = self.dict else { return Vec::new() };
        // First byte and end of the groups of so many digits.
        let groups: &[(usize, usize)] = match needle.len() {
            8 => &[(0, 4)],
            4 => &[(4, 6), (6, 8), (8, 10)],
            12 => &[(10, 16)],
            _ => return Vec::new(),
        };
        let bytes: Vec<u8> = (0..needle.len() / 2)
            .filter_map(|at| u8::from_str_radix(needle.get(at * 2..at * 2 + 2)?, 16).ok())
            .collect();
        (0..ids.len() as u32)
            .zip(ids)
            .filter(|(_, id)| {
                groups.iter().any(|(start, end)| id.get(*start..*end) == Some(bytes.as_slice()))
            })
            .map(|(id, _)| id)
            .filter(|id| self.judge(*id))
            .collect()
    }

    /// Searches all values at once; a value in which letters or digits are escaped, or stand
    /// outside ASCII, is judged whatever the search says.
    fn holding_text(&self, text: &[u8], ends: &[u32], needle: &Regex) -> Vec<u32> {
        let mut candidates: Vec<u32> = Vec::new();
        let mut from = 0;
        while let Some(hit) = needle.find_at(text, from) {
            let id = ends.partition_point(|end| (*end as usize) <= hit.start());
            let Some(end) = ends.get(id).map(|end| *end as usize) else { break };
            if hit.end() <= end {
                candidates.push(id as u32);
                from = end;
            } else {
                // Across the border of two values.
                from = hit.start() + 1;
            }
        }
        self.add_odd(text, ends, &mut candidates);
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|id| self.judge(*id));
        candidates
    }

    fn add_odd(&self, text: &[u8], ends: &[u32], candidates: &mut Vec<u32>) {
        let entry = |at: usize| ends.partition_point(|end| (*end as usize) <= at) as u32;
        if !text.is_ascii() {
            let mut start = 0;
            for (id, end) in ends.iter().enumerate() {
                if text.get(start..*end as usize).is_some_and(|value| !value.is_ascii()) {
                    candidates.push(id as u32);
                }
                start = *end as usize;
            }
        }
        for at in memchr::memchr_iter(b'\\', text) {
            if hides_unicode(text, at) {
                candidates.push(entry(at));
            }
        }
        if self.uri {
            for at in memchr::memchr_iter(b'%', text) {
                if hides_percent(text, at) {
                    candidates.push(entry(at));
                }
            }
        }
    }
}

/// Says whether the backslash at `at` begins an escape of what may be part of a word.
fn hides_unicode(text: &[u8], at: usize) -> bool {
    text.get(at + 1) == Some(&b'u') && hex(text, at + 2, 4).is_none_or(hides_letters)
}

/// The same for a percent sign of a URI.
fn hides_percent(text: &[u8], at: usize) -> bool {
    hex(text, at + 1, 2).is_some_and(hides_letters)
}

fn is_hex(c: u8) -> bool {
    c.is_ascii_hexdigit()
}

fn hex(text: &[u8], at: usize, len: usize) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(text.get(at..at + len)?).ok()?, 16).ok()
}

/// Says whether a decoded character may be part of a word.
fn hides_letters(point: u32) -> bool {
    point >= 0x80 || u8::try_from(point).is_ok_and(|c| c.is_ascii_alphanumeric())
}
