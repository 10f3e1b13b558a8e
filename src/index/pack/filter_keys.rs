//! What the filters of a pack hold: every word, where it stands, every fact about a path.

use std::collections::HashSet;

use crate::event::json::decode;
use crate::event::words::fold;
use crate::event::words::words;
use crate::index::pack::build::PackBuilder;
use crate::index::pack::column::DictKind;
use crate::index::pack::column::uuid_prefix;
use crate::index::pack::filter::PathFact;
use crate::index::pack::filter::Spot;
use crate::index::pack::filter::path_key;
use crate::index::pack::filter::word_key;
use crate::index::pack::layout::ColumnRow;
use crate::index::pack::section::N_SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::ValueKind;
use crate::query::value::decoded_query_part;

/// What goes into the filters of a pack, hashed.
pub(super) struct FilterKeys {
    /// Every word and every fact about a path.
    pub(super) keys: Vec<u64>,
    /// Every word and where it stands.
    pub(super) spot_keys: Vec<u64>,
    /// Of each section how many columns it has and which of them hold UUIDs.
    pub(super) sections: Vec<(u32, Vec<u32>)>,
}

impl PackBuilder {
    /// Collects what goes into the filters.
    pub(super) fn filter_keys(&self, rows: &[ColumnRow]) -> FilterKeys {
        let mut met = WordsMet::new();
        let mut sections = vec![(0_u32, Vec::new()); N_SECTIONS];
        for (column, row) in self.columns.iter().zip(rows) {
            let Some((place, uuids)) = sections.get_mut(column.section.0 as usize) else {
                continue;
            };
            let uri = column.path == "requestURI" && column.kind == ValueKind::String;
            let values = column.entries.iter().map(|entry| self.value(*entry));
            let spot = Spot::column(column.section, *place);
            if let Some(prefix) = prefix_of_uuids(row.meta.kind, values.clone().next()) {
                uuids.push(*place);
                met.add(spot, prefix, false);
                values.for_each(|value| met.add_anywhere(value));
            } else {
                values.for_each(|value| met.add(spot, value, uri));
            }
            *place += 1;
        }
        let mut seen: HashSet<(SectionId, &str)> = HashSet::new();
        for template in &self.templates {
            let shape = &template.shape;
            let spot = Spot::keys(template.section);
            for key in shape.keys.iter().filter(|key| !seen.contains(&(template.section, *key))) {
                met.add_text(spot, key);
            }
            seen.extend(shape.keys.iter().map(|key| (template.section, key.as_str())));
            for (path, known) in &shape.nodes {
                let fact = match known {
                    Known::Null => continue,
                    Known::True => PathFact::True,
                    Known::False => PathFact::False,
                    Known::Value => PathFact::Value,
                    Known::Structure => PathFact::Present,
                };
                met.keys.push(path_key(path, fact));
                met.keys.push(path_key(path, PathFact::Present));
                match known {
                    Known::True => met.add_text(spot, "true"),
                    Known::False => met.add_text(spot, "false"),
                    _ => {}
                }
            }
        }
        FilterKeys { keys: met.keys, spot_keys: met.spot_keys, sections }
    }
}

/// Returns the common prefix of the values of a column of UUIDs, where the UUIDs stand apart from
/// it as words.
fn prefix_of_uuids(kind: DictKind, first: Option<&[u8]>) -> Option<&[u8]> {
    let first = first.filter(|_| kind == DictKind::Uuid)?;
    let prefix = first.get(..uuid_prefix(first)?)?;
    let apart = prefix.is_ascii()
        && !prefix.contains(&b'\\')
        && prefix.last().is_none_or(|last| !last.is_ascii_alphanumeric());
    apart.then_some(prefix)
}

/// So many hashes met last are remembered, so that words that come again and again are added once.
const RECENT: usize = 1 << 12;

/// The words of a pack, hashed, as they are met.
struct WordsMet {
    keys: Vec<u64>,
    spot_keys: Vec<u64>,
    recent: Vec<u64>,
    folded: Vec<u8>,
}

impl WordsMet {
    fn new() -> WordsMet {
        WordsMet {
            keys: Vec::new(),
            spot_keys: Vec::new(),
            recent: vec![0; RECENT],
            folded: Vec::new(),
        }
    }

    fn push(&mut self, spot: Option<Spot>, word: Option<u64>) {
        let Some(word) = word else { return };
        let Some(spot) = spot else {
            self.keys.push(word);
            return;
        };
        let [first, second] = spot.keys_of(word);
        if let Some(recent) = self.recent.get_mut(first as usize % RECENT) {
            if *recent == first {
                return;
            }
            *recent = first;
        }
        self.keys.push(word);
        self.spot_keys.extend([first, second]);
    }

    /// Adds the words of a value as it stands in an event.
    fn add(&mut self, spot: Spot, value: &[u8], uri: bool) {
        if value.is_ascii() && memchr::memchr(b'\\', value).is_none() {
            self.add_ascii(Some(spot), value);
        } else {
            self.add_text(spot, &decode(value, true));
        }
        if uri {
            let text = decode(value, true);
            if let Some(decoded) = decoded_query_part(&text) {
                self.add_text(spot, &decoded);
            }
        }
    }

    /// Adds the words of a plain value without saying where they stand.
    fn add_anywhere(&mut self, value: &[u8]) {
        self.add_ascii(None, value);
    }

    fn add_text(&mut self, spot: Spot, text: &str) {
        for word in words(text) {
            self.push(Some(spot), word_key(&fold(word)));
        }
    }

    fn add_ascii(&mut self, spot: Option<Spot>, text: &[u8]) {
        let mut folded = std::mem::take(&mut self.folded);
        for word in text.split(|c| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 4) {
            folded.clear();
            folded.extend(word.iter().map(u8::to_ascii_lowercase));
            if let Ok(word) = std::str::from_utf8(&folded) {
                self.push(spot, word_key(word));
            }
        }
        self.folded = folded;
    }
}
