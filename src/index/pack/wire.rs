//! How numbers and frames of a pack stand in bytes.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// Bytes that do not decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Offset in the pack.
    pub offset: u64,
    /// What does not fit.
    pub what: &'static str,
}

/// Appends an unsigned LEB128 number.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number, small magnitudes in few bytes.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a length and bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what `put*` wrote; every read past the end says so instead of panicking.
#[derive(Clone, Debug)]
pub struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// The bytes ended too soon or do not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short;

impl From<Short> for Damage {
    fn from(_: Short) -> Damage {
        Damage { offset: 0, what: "a frame does not decode" }
    }
}

impl<'b> Cursor<'b> {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: &'b [u8]) -> Cursor<'b> {
        Cursor { bytes, at: 0 }
    }

    /// Reads an unsigned number.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn get(&mut self) -> Result<u64, Short> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if let Some(word) = rest.first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            // The first byte whose highest bit is not set is the last of the number.
            let ends = !word & 0x8080_8080_8080_8080;
            if ends != 0 {
                let len = ends.trailing_zeros() / 8 + 1;
                self.at += len as usize;
                let own = word & (u64::MAX >> (64 - 8 * len)) & 0x7f7f_7f7f_7f7f_7f7f;
                // Seven bits of each byte, then of each pair, then of each half, side by side.
                let pairs = (own & 0x007f_007f_007f_007f) | ((own & 0x7f00_7f00_7f00_7f00) >> 1);
                let halves =
                    (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
                return Ok((halves & 0x0fff_ffff) | ((halves & 0x0fff_ffff_0000_0000) >> 4));
            }
        }
        self.get_slowly()
    }

    /// The same byte by byte: near the end, and for numbers of more than eight bytes.
    fn get_slowly(&mut self) -> Result<u64, Short> {
        let mut value = 0_u64;
        let mut shift = 0;
        loop {
            let byte = *self.bytes.get(self.at).ok_or(Short)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).ok_or(Short)?;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// Reads an unsigned number that fits a `usize` below `limit`.
    ///
    /// # Errors
    /// At the end of the bytes, or past the limit.
    pub fn get_len(&mut self, limit: usize) -> Result<usize, Short> {
        let value = usize::try_from(self.get()?).map_err(|_| Short)?;
        if value > limit { Err(Short) } else { Ok(value) }
    }

    /// Reads a signed number.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn get_signed(&mut self) -> Result<i64, Short> {
        let value = self.get()?;
        Ok(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// Reads `n` unsigned numbers and returns their sum, wrapped.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn sum(&mut self, n: usize) -> Result<u64, Short> {
        self.sum_of(n, |value| value)
    }

    /// Reads `n` signed numbers and returns their sum, wrapped.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn sum_signed(&mut self, n: usize) -> Result<i64, Short> {
        let signed = |value: u64| (value >> 1) ^ (value & 1).wrapping_neg();
        self.sum_of(n, signed).map(|sum| sum as i64)
    }

    /// Sums numbers up, each as `read` takes it: many in a row that take one byte each, or two,
    /// at once.
    fn sum_of(&mut self, n: usize, read: impl Fn(u64) -> u64) -> Result<u64, Short> {
        const RUN: usize = 32;
        let (mut left, mut sum) = (n, 0_u64);
        while left > 0 {
            let run = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<RUN>());
            if let Some(run) = run.filter(|_| left >= RUN) {
                let (pairs, _) = run.as_chunks::<2>();
                if run.iter().all(|byte| *byte < 0x80) {
                    let values = run.iter().map(|byte| read(u64::from(*byte)));
                    sum = values.fold(sum, u64::wrapping_add);
                    self.at += RUN;
                    left -= RUN;
                    continue;
                }
                if pairs.iter().all(|[low, high]| *low >= 0x80 && *high < 0x80) {
                    let value =
                        |[low, high]: &[u8; 2]| u64::from(low & 0x7f) | u64::from(*high) << 7;
                    let values = pairs.iter().map(|pair| read(value(pair)));
                    sum = values.fold(sum, u64::wrapping_add);
                    self.at += RUN;
                    left -= pairs.len();
                    continue;
                }
            }
            let some = left.min(RUN / 4);
            for _ in 0..some {
                sum = sum.wrapping_add(read(self.get()?));
            }
            left -= some;
        }
        Ok(sum)
    }

    /// Reads `len` bytes.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn take(&mut self, len: usize) -> Result<&'b [u8], Short> {
        let end = self.at.checked_add(len).ok_or(Short)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Short)?;
        self.at = end;
        Ok(bytes)
    }

    /// Reads a length and bytes.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn get_bytes(&mut self) -> Result<&'b [u8], Short> {
        let len = self.get_len(usize::MAX)?;
        self.take(len)
    }

    /// Returns how many bytes were read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Says whether everything was read.
    pub fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }
}

/// Where a frame stands in a pack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameRef {
    /// First byte, from the start of the pack.
    pub offset: u64,
    /// Bytes as stored.
    pub stored: u32,
    /// Bytes when decompressed.
    pub plain: u32,
    /// Checksum (XXH3-64) of the stored bytes.
    pub sum: u64,
}

impl FrameRef {
    /// Stands for a frame that is not stored: it is made again from the lines of the pack.
    ///
    /// # Errors
    /// When the frame is 4 GiB or more.
    pub fn left_out(offset: usize, plain: &[u8]) -> std::io::Result<FrameRef> {
        let too_long = |_| std::io::Error::other("a frame of 4 GiB or more");
        let len = u32::try_from(plain.len()).map_err(too_long)?;
        Ok(FrameRef { offset: offset as u64, stored: 0, plain: len, sum: xxh3_64(plain) })
    }

    /// Appends a frame that is not compressed.
    ///
    /// # Errors
    /// When the frame is 4 GiB or more.
    pub fn plain(out: &mut Vec<u8>, plain: &[u8]) -> std::io::Result<FrameRef> {
        let too_long = |_| std::io::Error::other("a frame of 4 GiB or more");
        let len = u32::try_from(plain.len()).map_err(too_long)?;
        let offset = out.len() as u64;
        out.extend_from_slice(plain);
        Ok(FrameRef { offset, stored: len, plain: len, sum: xxh3_64(plain) })
    }

    /// Says whether the frame is not stored.
    pub fn is_left_out(&self) -> bool {
        self.stored == 0 && self.plain > 0
    }

    /// Says whether these are the bytes that were left out.
    pub fn fits(&self, plain: &[u8]) -> bool {
        plain.len() == self.plain as usize && xxh3_64(plain) == self.sum
    }

    /// Appends the reference.
    pub fn put(&self, out: &mut Vec<u8>) {
        put(out, self.offset);
        put(out, u64::from(self.stored));
        put(out, u64::from(self.plain));
        out.extend_from_slice(&self.sum.to_le_bytes());
    }

    /// Reads a reference.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn get(cursor: &mut Cursor<'_>) -> Result<FrameRef, Short> {
        let offset = cursor.get()?;
        let stored = u32::try_from(cursor.get()?).map_err(|_| Short)?;
        let plain = u32::try_from(cursor.get()?).map_err(|_| Short)?;
        let sum = u64::from_le_bytes(cursor.take(8)?.try_into().map_err(|_| Short)?);
        Ok(FrameRef { offset, stored, plain, sum })
    }
}

/// The bytes of a frame, where they stand or decompressed.
#[derive(Debug)]
pub enum FrameBytes<'p> {
    /// In the mapped pack.
    Stored(&'p [u8]),
    /// In memory.
    Decoded(Arc<Frame>),
}

impl Deref for FrameBytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            FrameBytes::Stored(bytes) => bytes,
            FrameBytes::Decoded(bytes) => bytes,
        }
    }
}

/// A frame is compressed where that saves more than one byte in so many: less is not worth the
/// time of whoever reads it.
const WORTH: usize = 8;

/// Compresses frames one behind the other; keeps the compressor's memory between packs.
pub struct FrameWriter {
    texts: zstd::bulk::Compressor<'static>,
    numbers: zstd::bulk::Compressor<'static>,
}

/// What a frame is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Texts, or a bit of everything.
    Texts,
    /// Numbers of values or templates as planes of bytes.
    Numbers,
}

impl std::fmt::Debug for FrameWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrameWriter")
    }
}

impl FrameWriter {
    /// Prepares a compressor at a zstd level.
    ///
    /// # Errors
    /// When zstd cannot allocate.
    pub fn new(level: i32) -> std::io::Result<FrameWriter> {
        let compressor = || {
            let mut compressor = zstd::bulk::Compressor::new(level)?;
            compressor.include_checksum(false)?;
            compressor.include_contentsize(false)?;
            std::io::Result::Ok(compressor)
        };
        let mut numbers = compressor()?;
        // Short repeats among numbers are chance: noting them takes more than it saves, and makes
        // reading slow.
        numbers.set_parameter(zstd::zstd_safe::CParameter::MinMatch(7))?;
        Ok(FrameWriter { texts: compressor()?, numbers })
    }

    /// Appends `plain` to `out`, compressed where that helps.
    ///
    /// # Errors
    /// When zstd fails, or the frame is 4 GiB or more.
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        plain: &[u8],
        content: Content,
    ) -> std::io::Result<FrameRef> {
        let offset = out.len();
        let too_long = || std::io::Error::other("a frame of 4 GiB or more");
        let plain_len = u32::try_from(plain.len()).map_err(|_| too_long())?;
        if plain.len() > 24 {
            let compressor = match content {
                Content::Texts => &mut self.texts,
                Content::Numbers => &mut self.numbers,
            };
            let packed = compressor.compress(plain)?;
            if packed.len() + plain.len() / WORTH < plain.len() {
                out.extend_from_slice(&packed);
            } else {
                out.extend_from_slice(plain);
            }
        } else {
            out.extend_from_slice(plain);
        }
        let written = out.get(offset..).unwrap_or_default();
        Ok(FrameRef {
            offset: offset as u64,
            stored: written.len() as u32,
            plain: plain_len,
            sum: xxh3_64(written),
        })
    }
}

/// Returns the decompressed bytes of a frame, after checking its sum.
///
/// # Errors
/// Where the bytes are not what was written.
pub fn read_frame(pack: &[u8], frame: &FrameRef) -> Result<Frame, Damage> {
    let damage = |what| Damage { offset: frame.offset, what };
    let start = usize::try_from(frame.offset).map_err(|_| damage("offset past the end"))?;
    let stored = pack
        .get(start..start.saturating_add(frame.stored as usize))
        .ok_or_else(|| damage("the file ends inside a frame"))?;
    unpack(stored, frame)
}

/// Decompresses a frame, after checking its sum.
///
/// # Errors
/// Where the bytes are not what was written.
pub fn unpack(stored: &[u8], frame: &FrameRef) -> Result<Frame, Damage> {
    let damage = |what| Damage { offset: frame.offset, what };
    if xxh3_64(stored) != frame.sum {
        return Err(damage("checksum mismatch"));
    }
    let mut plain = Frame::with_capacity(frame.plain as usize);
    if frame.stored == frame.plain {
        plain.0.extend_from_slice(stored);
        return Ok(plain);
    }
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
            const { RefCell::new(None) };
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        let decompressor = slot.as_mut().ok_or_else(|| damage("no memory for zstd"))?;
        decompressor
            .decompress_to_buffer(stored, &mut plain.0)
            .map_err(|_| damage("frame does not decompress"))?;
        if plain.len() == frame.plain as usize { Ok(plain) } else { Err(damage("frame length")) }
    })
}

/// The plain bytes of a frame; their memory serves the next frame of this thread.
///
/// Frames are large, short-lived and come by the thousand among small things that stay: given back
/// to the allocator each time they leave holes that nothing else fits into.
#[derive(Debug, Default)]
pub struct Frame(Vec<u8>);

/// So many bytes are kept for the next frames of a thread.
const SPARE_BYTES: usize = 2 << 20;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Frame {
    /// The smallest spare piece of memory that holds so much, or a new one; none that is far too
    /// large, since frames may be kept.
    fn with_capacity(bytes: usize) -> Frame {
        let most = bytes.next_multiple_of(4096).saturating_mul(2);
        let spare = SPARE.with_borrow_mut(|spare| {
            let fits = spare.iter().enumerate();
            let fits = fits.filter(|(_, some)| (bytes..=most).contains(&some.capacity()));
            let (at, _) = fits.min_by_key(|(_, some)| some.capacity())?;
            Some(spare.swap_remove(at))
        });
        Frame(spare.unwrap_or_else(|| Vec::with_capacity(bytes.next_multiple_of(4096))))
    }

    /// So many bytes that `fill` writes.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn filled(
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> std::io::Result<()>,
    ) -> std::io::Result<Frame> {
        let mut frame = Frame::with_capacity(bytes);
        frame.0.resize(bytes, 0);
        fill(&mut frame.0)?;
        Ok(frame)
    }

    /// Takes the bytes out.
    pub fn into_vec(mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.shrink_to_fit();
        bytes
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Frame {
        Frame(bytes)
    }
}

impl std::ops::Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        if bytes.capacity() == 0 {
            return;
        }
        bytes.clear();
        // A thread that ends has nowhere to keep them.
        let _ = SPARE.try_with(|spare| {
            let Ok(mut spare) = spare.try_borrow_mut() else { return };
            let kept: usize = spare.iter().map(Vec::capacity).sum();
            if kept + bytes.capacity() <= SPARE_BYTES {
                spare.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_frames_come_back() {
        let mut out = Vec::new();
        for value in [0, 1, 127, 128, 300, u64::MAX] {
            put(&mut out, value);
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            put_signed(&mut out, value);
        }
        put_bytes(&mut out, b"abc");
        let mut cursor = Cursor::new(&out);
        for value in [0, 1, 127, 128, 300, u64::MAX] {
            assert_eq!(cursor.get(), Ok(value));
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(cursor.get_signed(), Ok(value));
        }
        assert_eq!(cursor.get_bytes(), Ok(&b"abc"[..]));
        assert!(cursor.is_done());
        assert_eq!(cursor.get(), Err(Short));
    }

    #[test]
    fn numbers_of_every_length_come_back_wherever_they_stand() {
        for bits in 0..64_u32 {
            for value in
                [1_u64 << bits, (1 << bits) - 1, u64::MAX >> bits, 0x5a5a_5a5a_5a5a_5a5a >> bits]
            {
                let mut out = Vec::new();
                put(&mut out, value);
                let len = out.len();
                for behind in 0..9 {
                    out.truncate(len);
                    out.resize(len + behind, 0xff);
                    let mut cursor = Cursor::new(&out);
                    assert_eq!((cursor.get(), cursor.at()), (Ok(value), len), "{value:x} {behind}");
                }
            }
        }
        assert_eq!(Cursor::new(&[0xff; 7]).get(), Err(Short));
        assert_eq!(Cursor::new(&[0xff; 30]).get(), Err(Short), "more than 64 bits");
    }

    #[test]
    fn sums_are_those_of_the_numbers_read_one_by_one() {
        let mut rng = 1_u64;
        for kind in 0..5 {
            let mut out = Vec::new();
            let mut numbers: Vec<u64> = Vec::new();
            for at in 0..300_u64 {
                rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(at);
                let number = match kind {
                    0 => rng >> 57,
                    1 => 128 + (rng >> 52),
                    2 => rng >> (20 + rng % 44),
                    3 => rng,
                    _ => {
                        if at % 50 == 0 {
                            rng >> 30
                        } else {
                            rng >> 60
                        }
                    }
                };
                put(&mut out, number);
                numbers.push(number);
            }
            for n in [0, 1, 31, 32, 33, 100, 300] {
                let (mut whole, mut signed) = (Cursor::new(&out), Cursor::new(&out));
                let mut each = Cursor::new(&out);
                let sum = numbers[..n].iter().fold(0, |a: u64, b| a.wrapping_add(*b));
                assert_eq!(whole.sum(n), Ok(sum), "{kind} {n}");
                let sum = (0..n).fold(0_i64, |a, _| a.wrapping_add(each.get_signed().unwrap()));
                assert_eq!(signed.sum_signed(n), Ok(sum), "{kind} {n}");
                assert_eq!((whole.at(), signed.at()), (each.at(), each.at()));
            }
            assert_eq!(Cursor::new(&out).sum(301), Err(Short));
        }
    }

    #[test]
    fn numbers_compressed_as_such_come_back() {
        let plain: Vec<u8> = (0..5_000_u32).map(|at| ((at * at) >> 7) as u8 & 7).collect();
        let mut pack = Vec::new();
        let mut writer = FrameWriter::new(3).unwrap();
        let frame = writer.write(&mut pack, &plain, Content::Numbers).unwrap();
        assert_eq!(*read_frame(&pack, &frame).unwrap(), plain);
        assert!(pack.len() < plain.len());
    }

    #[test]
    fn a_flipped_byte_is_noticed() {
        let mut writer = FrameWriter::new(3).unwrap();
        let mut pack = vec![1, 2, 3];
        let plain = b"the same text the same text the same text".repeat(20);
        let frame = writer.write(&mut pack, &plain, Content::Texts).unwrap();
        assert_eq!(*read_frame(&pack, &frame).unwrap(), plain);
        pack[5] ^= 1;
        assert_eq!(read_frame(&pack, &frame).unwrap_err().what, "checksum mismatch");
        assert!(read_frame(&pack[..5], &frame).is_err());
    }
}
