//! Which words and paths a pack can hold, and where: asked before anything of the pack is read.
//!
//! Two filters: one says which words and which facts about paths a pack can hold, the other in
//! which column (or among the keys of which section) a word can stand, so that few columns of a
//! pack are decompressed for a word.  A binary fuse filter (Graf and Lemire, "Binary Fuse Filters") over 64-bit hashes: no false
//! "no", one false "perhaps" in 256.  Words that are everywhere (short numbers, parts of times and
//! of UUIDs) are left out on both sides: they would only make it larger.

use xorf::BinaryFuse8;
use xorf::BinaryFuse8Ref;
use xorf::DmaSerializable;
use xorf::Filter;
use xorf::FilterRef;
use xxhash_rust::xxh3::xxh3_64;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::index::pack::layout::number;
use crate::index::pack::section::SectionId;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Short;
use crate::index::pack::wire::put;
use crate::index::pack::wire::put_bytes;

/// Hash of a folded word, or `None` for one that tells packs apart too badly to be kept.
pub fn word_key(folded: &str) -> Option<u64> {
    let bytes = folded.as_bytes();
    if bytes.len() <= 4 {
        return None;
    }
    let (last, front) = bytes.split_last()?;
    let number = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    if *last == b'z' && front.len() <= 9 && number(front) {
        return None;
    }
    if bytes.len() == 5 && bytes.get(2) == Some(&b't') {
        return None;
    }
    if bytes.len() <= 6 && number(bytes) {
        return None;
    }
    Some(xxh3_64(bytes))
}

/// What a pack can hold at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum PathFact {
    /// Anything that is not null.
    Present = 0x50,
    /// `true`.
    True = 0x51,
    /// `false`.
    False = 0x52,
    /// A string or number.
    Value = 0x53,
}

/// Hash of a fact about a path.
pub fn path_key(path: &str, fact: PathFact) -> u64 {
    xxh3_64_with_seed(path.as_bytes(), fact as u64)
}

/// A word that a text must hold, as the filters know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordKey {
    /// See [`word_key`].
    pub key: u64,
    /// Whether it may be a part of a UUID: columns of those are not in [`WordSpots`].
    of_uuid: bool,
}

impl WordKey {
    /// Returns the key of a folded word, or `None` as [`word_key`].
    pub fn of(folded: &str) -> Option<WordKey> {
        let hex = folded.bytes().all(|c| c.is_ascii_hexdigit());
        let of_uuid = hex && matches!(folded.len(), 8 | 12);
        word_key(folded).map(|key| WordKey { key, of_uuid })
    }
}

/// A place of a pack where words stand: a column of a section, or the keys of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot(u64);

impl Spot {
    /// A column, by its place in the directory of its section.
    pub fn column(section: SectionId, column: u32) -> Spot {
        Spot((u64::from(section.0) << 33) | u64::from(column))
    }

    /// The keys, `true` and `false` of a section.
    pub fn keys(section: SectionId) -> Spot {
        Spot((u64::from(section.0) << 33) | (1 << 32))
    }

    /// Two hashes for one word here: many places are asked about each word, so that one chance in
    /// 256 to be wrong would be too many.
    pub fn keys_of(self, word: u64) -> [u64; 2] {
        let mixed = word ^ self.0.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [mixed, mixed.rotate_left(32).wrapping_mul(0xd6e8_feb8_6659_fd93)]
    }
}

/// In which column a word can stand, as it lies in the mapped pack.
#[derive(Clone, Copy, Debug)]
pub struct WordSpots<'p> {
    filter: WordFilter<'p>,
    /// Of each section: how many columns it has, and which of them hold UUIDs.
    sections: &'p [u8],
}

impl<'p> WordSpots<'p> {
    /// Looks at what [`write_spots`] wrote.
    ///
    /// # Errors
    /// When the bytes end too soon.
    pub fn new(bytes: &'p [u8]) -> Result<WordSpots<'p>, Short> {
        let mut cursor = Cursor::new(bytes);
        let descriptor = cursor.get_bytes()?;
        let fingerprints = cursor.get_bytes()?;
        let sections = bytes.get(cursor.at()..).ok_or(Short)?;
        Ok(WordSpots { filter: WordFilter::new(descriptor, fingerprints), sections })
    }

    /// Returns how many columns a section has and which of them hold UUIDs.
    fn section(&self, section: SectionId) -> Result<(u32, Vec<u32>), Short> {
        let mut cursor = Cursor::new(self.sections);
        for _ in 0..section.0 {
            number(&mut cursor)?;
            for _ in 0..number(&mut cursor)? {
                number(&mut cursor)?;
            }
        }
        let n_columns = number(&mut cursor)?;
        let n_uuids = number(&mut cursor)?;
        Ok((n_columns, (0..n_uuids).map(|_| number(&mut cursor)).collect::<Result<_, _>>()?))
    }

    /// Says whether a word can stand at a place; `of_uuids` where UUIDs do.
    fn holds(&self, spot: Spot, word: WordKey, of_uuids: bool) -> bool {
        spot.keys_of(word.key).iter().all(|key| self.filter.may_hold(*key))
            || (word.of_uuid && of_uuids)
    }

    /// Says whether a text that holds all these words can stand in a column of a section.
    ///
    /// # Errors
    /// When the bytes end too soon.
    pub fn in_column(
        &self,
        section: SectionId,
        column: u32,
        words: &[WordKey],
    ) -> Result<bool, Short> {
        let asks_uuids = words.iter().any(|word| word.of_uuid);
        let of_uuids = asks_uuids && self.section(section)?.1.contains(&column);
        let spot = Spot::column(section, column);
        Ok(words.iter().all(|word| self.holds(spot, *word, of_uuids)))
    }

    /// Says whether a key of a section can hold all these words.
    pub fn in_keys(&self, section: SectionId, words: &[WordKey]) -> bool {
        words.iter().all(|word| self.holds(Spot::keys(section), *word, false))
    }

    /// Returns the columns of a section, ascending, in which a text that holds all these words can
    /// stand.
    ///
    /// # Errors
    /// When the bytes end too soon.
    pub fn columns(&self, section: SectionId, words: &[WordKey]) -> Result<Vec<u32>, Short> {
        let (n_columns, uuids) = self.section(section)?;
        let holds = |column: &u32| {
            let of_uuids = uuids.binary_search(column).is_ok();
            words.iter().all(|word| self.holds(Spot::column(section, *column), *word, of_uuids))
        };
        Ok((0..n_columns).filter(holds).collect())
    }
}

/// Appends where words can stand: `keys` as [`Spot::keys_of`] says, and of each section how many
/// columns it has and which of them (ascending) hold UUIDs whose parts are not among `keys`.
pub fn write_spots(sections: &[(u32, Vec<u32>)], keys: &mut Vec<u64>, out: &mut Vec<u8>) {
    let mut filter = Vec::new();
    let (descriptor, _) = write_filter(keys, &mut filter);
    let (descriptor, fingerprints) = filter.split_at(descriptor as usize);
    put_bytes(out, descriptor);
    put_bytes(out, fingerprints);
    for (n_columns, uuids) in sections {
        put(out, u64::from(*n_columns));
        put(out, uuids.len() as u64);
        uuids.iter().for_each(|at| put(out, u64::from(*at)));
    }
}

/// Builds the filter over `keys` (sorted and unique afterwards) and appends it to `out`; returns
/// the lengths of the descriptor and of the fingerprints.  Too few keys give no filter: (0, 0).
pub fn write_filter(keys: &mut Vec<u64>, out: &mut Vec<u8>) -> (u32, u32) {
    keys.sort_unstable();
    keys.dedup();
    if keys.len() < 16 {
        return (0, 0);
    }
    let Ok(filter) = BinaryFuse8::try_from(keys.as_slice()) else { return (0, 0) };
    let mut descriptor = [0_u8; BinaryFuse8::DESCRIPTOR_LEN];
    filter.dma_copy_descriptor_to(&mut descriptor);
    out.extend_from_slice(&descriptor);
    let fingerprints = filter.dma_fingerprints();
    out.extend_from_slice(fingerprints);
    (descriptor.len() as u32, fingerprints.len() as u32)
}

/// A filter where it stands in the mapped pack.
#[derive(Clone, Copy, Debug)]
pub struct WordFilter<'p> {
    descriptor: &'p [u8],
    fingerprints: &'p [u8],
}

impl<'p> WordFilter<'p> {
    /// Looks at a filter; empty parts, or parts that do not fit each other (the checksum tells
    /// damage elsewhere), stand for "may hold anything".
    pub fn new(descriptor: &'p [u8], fingerprints: &'p [u8]) -> WordFilter<'p> {
        let number = |at: usize| {
            let bytes = descriptor.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
            bytes.map_or(u64::MAX, |b| u64::from(u32::from_le_bytes(b)))
        };
        let (length, mask, count) = (number(8), number(12), number(16));
        let fits = descriptor.len() == BinaryFuse8::DESCRIPTOR_LEN
            && mask < length
            && count.saturating_add(length.saturating_mul(2)) <= fingerprints.len() as u64;
        if fits {
            WordFilter { descriptor, fingerprints }
        } else {
            WordFilter { descriptor: &[], fingerprints: &[] }
        }
    }

    /// Says whether the pack can hold a key.
    pub fn may_hold(&self, key: u64) -> bool {
        if self.descriptor.len() != BinaryFuse8::DESCRIPTOR_LEN || self.fingerprints.is_empty() {
            return true;
        }
        BinaryFuse8Ref::from_dma(self.descriptor, self.fingerprints).contains(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found() {
        let mut keys: Vec<u64> = (0..5_000).map(|n: u64| xxh3_64(&n.to_le_bytes())).collect();
        let mut out = Vec::new();
        let (descriptor, _) = write_filter(&mut keys, &mut out);
        let (descriptor, fingerprints) = out.split_at(descriptor as usize);
        let filter = WordFilter::new(descriptor, fingerprints);
        assert!(keys.iter().all(|key| filter.may_hold(*key)));
        let wrong =
            (5_000..15_000).filter(|n: &u64| filter.may_hold(xxh3_64(&n.to_le_bytes()))).count();
        assert!(wrong < 100, "{wrong} false positives of 10,000");
    }

    #[test]
    fn a_word_is_found_where_it_stands_and_hardly_anywhere_else() {
        let section = SectionId(3);
        let word = |n: u32| WordKey::of(&format!("word{n}")).unwrap();
        let mut keys: Vec<u64> = (0..2_000)
            .flat_map(|n| Spot::column(section, n % 40).keys_of(word(n).key))
            .chain(Spot::keys(section).keys_of(word(7).key))
            .collect();
        let mut out = Vec::new();
        let sections = vec![(9, vec![1, 8]), (0, vec![]), (0, vec![]), (40, vec![12])];
        write_spots(&sections, &mut keys, &mut out);
        let spots = WordSpots::new(&out).unwrap();
        let wrong: usize = (0..2_000)
            .map(|n| {
                let columns = spots.columns(section, &[word(n)]).unwrap();
                assert!(columns.contains(&(n % 40)), "word{n}");
                columns.len() - 1
            })
            .sum();
        assert!(wrong < 20, "{wrong} false positives of 78,000");
        assert!(spots.in_keys(section, &[word(7)]) && !spots.in_keys(section, &[word(8)]));
        let part = WordKey::of("0a1b2c3d").unwrap();
        assert_eq!(spots.columns(section, &[part]), Ok(vec![12]), "parts of UUIDs are not kept");
        assert_eq!(spots.in_column(section, 12, &[part]), Ok(true));
        assert_eq!(spots.in_column(section, 13, &[part]), Ok(false));
        assert_eq!(spots.in_column(SectionId(0), 8, &[part]), Ok(true));
    }

    #[test]
    fn words_of_times_are_not_kept() {
        for word in ["2025", "09t12", "837027z", "12", "4cac"] {
            assert_eq!(word_key(word), None, "{word}");
        }
        assert!(word_key("nsenter").is_some());
        assert!(word_key("a2b87c24").is_some());
    }
}
