//! Words anywhere in the events of one pack: keys and values are looked at once each.

use regex::bytes::Regex;
use regex::bytes::RegexBuilder;

use crate::event::json::decode;
use crate::index::pack::column::Dict;
use crate::index::pack::section::ENVELOPE;
use crate::index::pack::section::N_SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Known;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::query::value::decoded_query_part;
use crate::search::bits::Bits;
use crate::search::pack_eval::add_accepted;
use crate::search::question::WordTest;

/// Returns the events of a pack (not those kept whole) in which the words stand.
///
/// # Errors
/// On damage.
pub fn events_with_words(pack: &Pack, test: &WordTest) -> Result<Bits, Damage> {
    let mut bits = Bits::none(pack.len());
    let needle = test.needle.as_deref().and_then(|needle| {
        RegexBuilder::new(&regex::escape(needle)).case_insensitive(true).unicode(false).build().ok()
    });
    for number in 0..N_SECTIONS {
        let section = SectionId(number as u8);
        if !pack.has_section(section) {
            continue;
        }
        let directory = pack.directory(section)?;
        for (column, row) in directory.rows.iter().enumerate() {
            let dict = pack.dict(section, column as u32)?;
            let uri = row.path == "requestURI" && section != ENVELOPE;
            let found = Entries { dict: &dict, test, uri }.holding(needle.as_ref());
            if !found.is_empty() {
                let mut accepted = vec![false; dict.len()];
                for id in found {
                    if let Some(slot) = accepted.get_mut(id as usize) {
                        *slot = true;
                    }
                }
                add_accepted(pack, section, column as u32, &accepted, &mut bits)?;
            }
        }
        keys_and_literals(pack, section, test, needle.as_ref(), &mut bits)?;
    }
    Ok(bits)
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
            if wanted.get(*template as usize).copied().unwrap_or_default() {
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
        let value = self.dict.get(id);
        let text = decode(&value, memchr::memchr(b'\\', &value).is_some());
        self.test.words.accepts(&text)
            || (self.uri
                && decoded_query_part(&text).is_some_and(|query| self.test.words.accepts(&query)))
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
            Dict::Int(_) if !text.bytes().all(|c| c.is_ascii_digit()) => Vec::new(),
            Dict::Time(_) if !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b't' | b'z')) => {
                Vec::new()
            }
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
            let hidden =
                text.get(at + 1) == Some(&b'u') && hex(text, at + 2, 4).is_none_or(hides_letters);
            if hidden {
                candidates.push(entry(at));
            }
        }
        if self.uri {
            for at in memchr::memchr_iter(b'%', text) {
                if hex(text, at + 1, 2).is_some_and(hides_letters) {
                    candidates.push(entry(at));
                }
            }
        }
    }
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
