//! A small seeded random source, the same on every machine and in every release.

/// SplitMix64 (Steele, Lea, Flood 2014): one word of state, equal quality for this purpose.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Returns the source that a seed stands for.
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    /// Returns the next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n.max(1))) >> 64) as u64
    }

    /// Returns a number of `low..high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// Says yes in `n` of `of` cases.
    pub fn chance(&mut self, n: u64, of: u64) -> bool {
        self.below(of) < n
    }

    /// Returns one of `all`, each as likely as the others.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }

    /// Returns an index below `n`, small ones much more often than large ones.
    pub fn skewed(&mut self, n: usize) -> usize {
        let (a, b) = (self.below(n as u64), self.below(n as u64));
        (a * b / n.max(1) as u64) as usize
    }

    /// Returns a random (version 4) UUID.
    pub fn uuid(&mut self) -> String {
        let mut out = Vec::with_capacity(36);
        self.put_uuid(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// Appends a random (version 4) UUID.
    pub fn put_uuid(&mut self, out: &mut Vec<u8>) {
        let high = (self.next() & !0xF000) | 0x4000;
        let low = (self.next() & !(0xC << 60)) | (0x8 << 60);
        let mut text = [b'-'; 36];
        let mut at = 0;
        for nibble in 0..32 {
            if matches!(nibble, 8 | 12 | 16 | 20) {
                at += 1;
            }
            let word = if nibble < 16 { high } else { low };
            let value = (word >> (60 - 4 * (nibble % 16))) & 15;
            text[at] = b"0123456789abcdef"[value as usize];
            at += 1;
        }
        out.extend_from_slice(&text);
    }

    /// Returns `n` hexadecimal digits.
    pub fn hex(&mut self, n: usize) -> String {
        let mut out = String::with_capacity(n + 16);
        while out.len() < n {
            out.push_str(&format!("{:016x}", self.next()));
        }
        out.truncate(n);
        out
    }

    /// Returns `n` letters and digits of the alphabet Kubernetes takes for generated names
    /// (k8s.io/apimachinery util/rand: no vowels, none that are easily confused).
    pub fn suffix(&mut self, n: usize) -> String {
        let letters = b"bcdfghjklmnpqrstvwxz2456789";
        (0..n).map(|_| char::from(*self.pick(letters))).collect()
    }
}
