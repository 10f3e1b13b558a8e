//! Numbers one behind the other, in as few bytes each as the largest of them needs.

/// A sequence of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// So many times 0.
    Zeros(usize),
    /// 0, 1, 2 and so on, so many.
    Rising(usize),
    /// Below 256.
    Bytes(Vec<u8>),
    /// Below 65,536.
    Shorts(Vec<u16>),
    /// Any.
    Words(Vec<u32>),
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers::Zeros(0)
    }
}

impl Numbers {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        match self {
            Numbers::Zeros(n) | Numbers::Rising(n) => *n,
            Numbers::Bytes(all) => all.len(),
            Numbers::Shorts(all) => all.len(),
            Numbers::Words(all) => all.len(),
        }
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes they take in memory, about.
    pub fn memory(&self) -> usize {
        match self {
            Numbers::Zeros(_) | Numbers::Rising(_) => 0,
            Numbers::Bytes(all) => all.len(),
            Numbers::Shorts(all) => all.len() * 2,
            Numbers::Words(all) => all.len() * 4,
        }
    }

    /// Returns the number at a place.
    pub fn get(&self, at: usize) -> Option<u32> {
        match self {
            Numbers::Zeros(n) => (at < *n).then_some(0),
            Numbers::Rising(n) => (at < *n).then_some(at as u32),
            Numbers::Bytes(all) => all.get(at).copied().map(u32::from),
            Numbers::Shorts(all) => all.get(at).copied().map(u32::from),
            Numbers::Words(all) => all.get(at).copied(),
        }
    }

    /// Calls `each` with every place and number.
    pub fn each(&self, mut each: impl FnMut(usize, u32)) {
        match self {
            Numbers::Zeros(n) => (0..*n).for_each(|at| each(at, 0)),
            Numbers::Rising(n) => (0..*n).for_each(|at| each(at, at as u32)),
            Numbers::Bytes(all) => {
                all.iter().enumerate().for_each(|(at, number)| each(at, u32::from(*number)));
            }
            Numbers::Shorts(all) => {
                all.iter().enumerate().for_each(|(at, number)| each(at, u32::from(*number)));
            }
            Numbers::Words(all) => {
                all.iter().enumerate().for_each(|(at, number)| each(at, *number));
            }
        }
    }

    /// The numbers from one place to another, as far as there are any.
    pub fn iter_in(&self, range: std::ops::Range<usize>) -> Iter<'_> {
        let range = range.start.min(self.len())..range.end.min(self.len());
        match self {
            Numbers::Zeros(_) => Iter::Zeros(range),
            Numbers::Rising(_) => Iter::Rising(range),
            Numbers::Bytes(all) => Iter::Bytes(all.get(range).unwrap_or_default().iter()),
            Numbers::Shorts(all) => Iter::Shorts(all.get(range).unwrap_or_default().iter()),
            Numbers::Words(all) => Iter::Words(all.get(range).unwrap_or_default().iter()),
        }
    }

    /// Returns how often each number stands from one place to another, each number once.
    pub fn tally(&self, range: std::ops::Range<usize>) -> Vec<(u32, u32)> {
        /// So many different bytes are looked for one after the other.
        const BYTES: u8 = 16;
        let mut tally: Vec<(u32, u32)> = Vec::new();
        if let Numbers::Bytes(all) = self {
            let bytes = all.get(range.start..range.end.min(all.len())).unwrap_or_default();
            let mut left = bytes.len();
            for byte in 0..BYTES {
                let n = if left == 0 { 0 } else { memchr::memchr_iter(byte, bytes).count() };
                left -= n;
                if n > 0 {
                    tally.push((u32::from(byte), n as u32));
                }
            }
            if left == 0 {
                return tally;
            }
            tally.clear();
        }
        let mut counts: Vec<u32> = Vec::new();
        for number in self.iter_in(range) {
            let at = number as usize;
            if at >= counts.len() {
                counts.resize(at + 1, 0);
            }
            if let Some(count) = counts.get_mut(at) {
                *count += 1;
            }
        }
        tally.extend((0..).zip(counts).filter(|(_, count)| *count > 0));
        tally
    }

    /// Returns where one of a few numbers (ascending) stands, ascending; `None` where that is at
    /// more than `most` places.
    pub fn places_of(&self, few: &[u32], most: usize) -> Option<Vec<u32>> {
        match self {
            Numbers::Zeros(n) => match few.first() {
                Some(0) => (*n <= most).then(|| (0..*n as u32).collect()),
                _ => Some(Vec::new()),
            },
            Numbers::Rising(n) => {
                let own = few.iter().copied().filter(|number| (*number as usize) < *n);
                Some(own.collect()).filter(|own: &Vec<u32>| own.len() <= most)
            }
            Numbers::Bytes(all) => places(all, few, most),
            Numbers::Shorts(all) => places(all, few, most),
            Numbers::Words(all) => places(all, few, most),
        }
    }

    /// All numbers.
    pub fn iter(&self) -> Iter<'_> {
        self.iter_in(0..self.len())
    }
}

fn places<T>(all: &[T], few: &[u32], most: usize) -> Option<Vec<u32>>
where
    T: Copy + Eq + TryFrom<u32>,
{
    /// So many are compared at once before anybody looks which it is.
    const RUN: usize = 64;
    let few: Vec<T> = few.iter().filter_map(|number| T::try_from(*number).ok()).collect();
    let mut found = Vec::new();
    for (run, start) in all.chunks(RUN).zip((0_u32..).step_by(RUN)) {
        let any = |number: &T| run.iter().fold(false, |any, own| any | (own == number));
        if few.iter().any(any) {
            let own = (start..).zip(run).filter(|(_, own)| few.contains(own));
            found.extend(own.map(|(place, _)| place));
            if found.len() > most {
                return None;
            }
        }
    }
    Some(found)
}

/// Numbers one after the other.
#[derive(Clone, Debug)]
pub enum Iter<'n> {
    /// Of [`Numbers::Zeros`].
    Zeros(std::ops::Range<usize>),
    /// Of [`Numbers::Rising`].
    Rising(std::ops::Range<usize>),
    /// Of [`Numbers::Bytes`].
    Bytes(std::slice::Iter<'n, u8>),
    /// Of [`Numbers::Shorts`].
    Shorts(std::slice::Iter<'n, u16>),
    /// Of [`Numbers::Words`].
    Words(std::slice::Iter<'n, u32>),
}

impl Iterator for Iter<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        match self {
            Iter::Zeros(range) => range.next().map(|_| 0),
            Iter::Rising(range) => range.next().map(|at| at as u32),
            Iter::Bytes(all) => all.next().copied().map(u32::from),
            Iter::Shorts(all) => all.next().copied().map(u32::from),
            Iter::Words(all) => all.next().copied(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Iter::Zeros(range) | Iter::Rising(range) => range.size_hint(),
            Iter::Bytes(all) => all.size_hint(),
            Iter::Shorts(all) => all.size_hint(),
            Iter::Words(all) => all.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Puts numbers into as few bytes each as one that is at most `most` needs.
pub fn packed(numbers: impl ExactSizeIterator<Item = u32>, most: u32) -> Numbers {
    if most <= u32::from(u8::MAX) {
        Numbers::Bytes(numbers.map(|number| number as u8).collect())
    } else if most <= u32::from(u16::MAX) {
        Numbers::Shorts(numbers.map(|number| number as u16).collect())
    } else {
        Numbers::Words(numbers.collect())
    }
}

/// Reads `n` numbers of at most `most` that stand as bytes, or as two or four planes of bytes, the
/// lowest first; `None` where there are more or fewer bytes, or a number is larger.
pub fn from_planes(bytes: &[u8], n: usize, most: u32) -> Option<Numbers> {
    let (numbers, largest) = if bytes.len() == n {
        let largest = bytes.iter().copied().max().map_or(0, u32::from);
        (Numbers::Bytes(bytes.to_vec()), largest)
    } else if bytes.len() == n * 2 {
        let (low, high) = bytes.split_at(n);
        let both = low.iter().zip(high).map(|(low, high)| u16::from_le_bytes([*low, *high]));
        let all: Vec<u16> = both.collect();
        let largest = all.iter().copied().max().map_or(0, u32::from);
        (Numbers::Shorts(all), largest)
    } else if bytes.len() == n * 4 {
        let plane = |k: usize, at: usize| bytes.get(k * n + at).copied().unwrap_or_default();
        let all: Vec<u32> =
            (0..n).map(|at| u32::from_le_bytes([0, 1, 2, 3].map(|k| plane(k, at)))).collect();
        let largest = all.iter().copied().max().unwrap_or_default();
        (Numbers::Words(all), largest)
    } else {
        return None;
    };
    (largest <= most).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_put_together() {
        assert_eq!(from_planes(&[7, 9], 2, 9), Some(Numbers::Bytes(vec![7, 9])));
        assert_eq!(from_planes(&[7, 9, 1, 0], 2, 263), Some(Numbers::Shorts(vec![263, 9])));
        let words = from_planes(&[7, 9, 0, 0, 1, 0, 0, 0], 2, 70_000);
        assert_eq!(words, Some(Numbers::Words(vec![65_543, 9])));
        assert_eq!(from_planes(&[7, 9], 2, 8), None, "too large");
        assert_eq!(from_planes(&[7, 9, 1], 2, 900), None, "a byte too many");
        assert_eq!(from_planes(&[], 0, 3), Some(Numbers::Bytes(vec![])));
    }

    #[test]
    fn few_numbers_are_found() {
        for large in [200_u32, 300, 70_000] {
            let all = packed((0..1_000_u32).map(|at| at * 7 % (large + 1)), large);
            for few in [vec![], vec![7], vec![0, 14, large], vec![large + 1]] {
                let is_there = |(_, number): &(u32, u32)| few.contains(number);
                let expected: Vec<u32> =
                    (0..).zip(all.iter()).filter(is_there).map(|(place, _)| place).collect();
                assert_eq!(all.places_of(&few, 1_000), Some(expected.clone()), "{large}");
                let fewer = expected.len().checked_sub(1);
                assert_eq!(fewer.and_then(|most| all.places_of(&few, most)), None);
            }
        }
        assert_eq!(Numbers::Zeros(3).places_of(&[0, 2], 3), Some(vec![0, 1, 2]));
        assert_eq!(Numbers::Zeros(3).places_of(&[1], 3), Some(vec![]));
        assert_eq!(Numbers::Rising(3).places_of(&[1, 3], 3), Some(vec![1]));
    }

    #[test]
    fn numbers_are_tallied() {
        for large in [3_u32, 15, 16, 255, 300, 70_000] {
            let all = packed([0, 3, large, 3, 0, 3].into_iter(), large);
            let mut expected = vec![(0, 1), (3, 2), (large, 1)];
            if large == 3 {
                expected = vec![(0, 1), (3, 3)];
            }
            assert_eq!(all.tally(1..5), expected, "{large}");
            assert_eq!(all.tally(3..3), [], "{large}");
        }
        assert_eq!(Numbers::Zeros(4).tally(1..9), [(0, 3)]);
    }

    #[test]
    fn every_width_says_the_same() {
        for most in [0_u32, 1, 255, 256, 65_535, 65_536, u32::MAX] {
            let all = [0, most, most / 2, most];
            let numbers = packed(all.iter().copied(), most);
            assert_eq!(numbers.iter().collect::<Vec<_>>(), all);
            assert_eq!(numbers.iter_in(1..3).collect::<Vec<_>>(), all[1..3]);
            assert_eq!(numbers.iter_in(3..9).len(), 1);
            assert_eq!((numbers.get(1), numbers.get(4)), (Some(most), None));
            let mut seen = Vec::new();
            numbers.each(|at, number| seen.push((at, number)));
            assert_eq!(seen, all.into_iter().enumerate().collect::<Vec<_>>());
        }
        let rising = Numbers::Rising(3);
        assert_eq!(rising.iter_in(1..5).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((rising.get(2), rising.get(3), rising.memory()), (Some(2), None, 0));
        assert_eq!(Numbers::Zeros(2).iter().collect::<Vec<_>>(), [0, 0]);
        assert!(Numbers::default().is_empty());
    }
}
