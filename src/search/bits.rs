//! Which events of a pack: one bit each.

use crate::index::pack::numbers::Numbers;

/// A set of event numbers below a fixed length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// No event of `len`.
    pub fn none(len: usize) -> Bits {
        Bits { words: vec![0; len.div_ceil(64)], len }
    }

    /// All events of `len`.
    pub fn all(len: usize) -> Bits {
        let mut bits = Bits { words: vec![u64::MAX; len.div_ceil(64)], len };
        bits.trim();
        bits
    }

    fn trim(&mut self) {
        let over = self.words.len() * 64 - self.len;
        if over > 0 {
            if let Some(last) = self.words.last_mut() {
                *last &= u64::MAX >> over;
            }
        }
    }

    /// Puts an event in.
    pub fn set(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// Takes an event out.
    pub fn unset(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    /// Puts events in whose numbers lie behind `at` times 64, one for each bit.
    pub fn set_word(&mut self, at: usize, bits: u64) {
        if let Some(word) = self.words.get_mut(at) {
            *word |= bits;
        }
    }

    /// Puts in every event of whose number (they stand in the order of the events) `wanted` says so.
    pub fn set_where(&mut self, numbers: &Numbers, wanted: impl Fn(u32) -> bool) {
        match numbers {
            Numbers::Bytes(all) => self.set_among(all, wanted),
            Numbers::Shorts(all) => self.set_among(all, wanted),
            Numbers::Words(all) => self.set_among(all, wanted),
            all => all.each(|at, number| {
                if wanted(number) {
                    self.set(at);
                }
            }),
        }
    }

    fn set_among<T: Copy + Into<u32>>(&mut self, all: &[T], wanted: impl Fn(u32) -> bool) {
        for (word, all) in self.words.iter_mut().zip(all.chunks(64)) {
            let mut own = 0;
            for (bit, number) in all.iter().enumerate() {
                own |= u64::from(wanted((*number).into())) << bit;
            }
            *word |= own;
        }
    }

    /// Says whether an event is in.
    pub fn has(&self, at: usize) -> bool {
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Says whether no event is in.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Returns how many events are in.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Keeps what is in both.
    pub fn and(&mut self, other: &Bits) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Keeps what is in either.
    pub fn or(&mut self, other: &Bits) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Keeps what is not in `other`.
    pub fn and_not(&mut self, other: &Bits) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Iterates over the events in, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_do_what_sets_do() {
        let mut a = Bits::none(130);
        for at in [0, 63, 64, 129] {
            a.set(at);
        }
        assert_eq!(a.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        let mut rest = Bits::all(130);
        assert_eq!(rest.count(), 130);
        rest.and_not(&a);
        assert_eq!(rest.count(), 126);
        rest.or(&a);
        assert_eq!(rest, Bits::all(130));
        rest.and(&a);
        assert_eq!(rest, a);
        let shorts = Numbers::Shorts((0..130).map(|n| n % 7).collect());
        for numbers in [shorts, Numbers::Bytes(vec![3; 130]), Numbers::Rising(130)] {
            let mut bits = Bits::none(130);
            bits.set(1);
            bits.set_where(&numbers, |number| number % 3 == 0);
            let own = numbers.iter().enumerate().filter(|(at, n)| *at == 1 || n % 3 == 0);
            assert_eq!(bits.iter().collect::<Vec<_>>(), own.map(|(at, _)| at).collect::<Vec<_>>());
        }
        a.unset(63);
        assert!(!a.has(63) && a.has(64) && !a.is_empty());
    }
}
