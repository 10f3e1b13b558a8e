//! Which words and paths a pack can hold: asked before anything of the pack is read.
//!
//! A binary fuse filter (Graf and Lemire, "Binary Fuse Filters") over 64-bit hashes: no false
//! "no", one false "perhaps" in 256.  Words that are everywhere (short numbers, parts of times and
//! of UUIDs) are left out on both sides: they would only make it larger.

use xorf::BinaryFuse8;
use xorf::BinaryFuse8Ref;
use xorf::DmaSerializable;
use xorf::Filter;
use xorf::FilterRef;
use xxhash_rust::xxh3::xxh3_64;
use xxhash_rust::xxh3::xxh3_64_with_seed;

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
    fn words_of_times_are_not_kept() {
        for word in ["2025", "09t12", "837027z", "12", "4cac"] {
            assert_eq!(word_key(word), None, "{word}");
        }
        assert!(word_key("nsenter").is_some());
        assert!(word_key("a2b87c24").is_some());
    }
}
