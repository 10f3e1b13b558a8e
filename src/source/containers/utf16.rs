//! UTF-16 text, as the redirection of a Windows shell writes it, becomes UTF-8 without loss.
//!
//! Half a surrogate pair is no character, but evidence must lead back to its bytes: it becomes the
//! three bytes that UTF-8 would give its number ("generalised UTF-8"), which the parser of lines
//! then meets as wrong bytes.

use std::io;
use std::io::BufRead;
use std::io::Read;

/// Units decoded at a time.
const CHUNK: usize = 4096;

/// Reads UTF-16 and gives UTF-8.
pub(crate) struct Utf16<R> {
    inner: R,
    big_endian: bool,
    /// Whether the byte order mark was passed over.
    begun: bool,
    /// The first half of a pair whose second half was not read yet.
    high: Option<u16>,
    ready: Vec<u8>,
    given: usize,
    /// The stream ended inside a unit; said once all before it was given out.
    broken: bool,
    ended: bool,
}

impl<R: BufRead> Utf16<R> {
    pub(crate) fn new(inner: R, big_endian: bool) -> Utf16<R> {
        Utf16 {
            inner,
            big_endian,
            begun: false,
            high: None,
            ready: Vec::new(),
            given: 0,
            broken: false,
            ended: false,
        }
    }

    /// Decodes the next units.
    fn refill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        let mut bytes = Vec::with_capacity(CHUNK * 2);
        let read = (&mut self.inner).take(CHUNK as u64 * 2).read_to_end(&mut bytes)?;
        self.ended = read < CHUNK * 2;
        let (units, rest) = bytes.as_chunks::<2>();
        for unit in units {
            let unit =
                if self.big_endian { u16::from_be_bytes(*unit) } else { u16::from_le_bytes(*unit) };
            self.unit(unit);
        }
        if self.ended {
            self.broken = !rest.is_empty();
            if let Some(high) = self.high.take() {
                self.push(u32::from(high));
            }
        }
        Ok(())
    }

    fn unit(&mut self, unit: u16) {
        let mark = !std::mem::replace(&mut self.begun, true) && unit == 0xFEFF;
        let high = self.high.take();
        match (high, unit) {
            _ if mark => {}
            (Some(high), 0xDC00..=0xDFFF) => {
                let (high, low) = (u32::from(high) - 0xD800, u32::from(unit) - 0xDC00);
                self.push(0x1_0000 + (high << 10 | low));
            }
            (high, _) => {
                if let Some(high) = high {
                    self.push(u32::from(high));
                }
                match unit {
                    0xD800..=0xDBFF => self.high = Some(unit),
                    other => self.push(u32::from(other)),
                }
            }
        }
    }

    fn push(&mut self, code: u32) {
        if let Some(c) = char::from_u32(code) {
            let mut room = [0; 4];
            self.ready.extend_from_slice(c.encode_utf8(&mut room).as_bytes());
        } else {
            let bits = |shift: u32, mask: u32, mark: u32| (code >> shift & mask | mark) as u8;
            self.ready.extend([bits(12, 0x0F, 0xE0), bits(6, 0x3F, 0x80), bits(0, 0x3F, 0x80)]);
        }
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.ready.len() && !self.ended {
            self.refill()?;
        }
        let left = self.ready.get(self.given..).unwrap_or_default();
        if left.is_empty() && std::mem::take(&mut self.broken) {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the UTF-16 text ends with half a unit",
            ));
        }
        let given = left.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..given), left.get(..given)) {
            to.copy_from_slice(from);
        }
        self.given += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(units: &[u16], big_endian: bool, tail: &[u8]) -> (Vec<u8>, Option<String>) {
        let bytes = |unit: &u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
        let mut text: Vec<u8> = units.iter().flat_map(bytes).collect();
        text.extend_from_slice(tail);
        let mut out = Vec::new();
        let error = Utf16::new(&text[..], big_endian).read_to_end(&mut out).err();
        (out, error.map(|error| error.to_string()))
    }

    #[test]
    fn every_text_comes_through() {
        // Long enough that pairs lie across the places where reading stops.
        let text = format!("a{}z", "\u{1F98A}é\r\n".repeat(3000));
        for big_endian in [false, true] {
            let units: Vec<u16> = std::iter::once(0xFEFF).chain(text.encode_utf16()).collect();
            assert_eq!(decoded(&units, big_endian, b""), (text.clone().into_bytes(), None));
        }
    }

    #[test]
    fn what_is_no_character_is_kept() {
        let (out, error) = decoded(&[0xFEFF, 0xD83E, 0x0061, 0xDD8A, 0xFEFF, 0xD800], false, b"");
        assert_eq!(out, b"\xED\xA0\xBEa\xED\xB6\x8A\xEF\xBB\xBF\xED\xA0\x80");
        assert_eq!(error, None);
        let (out, error) = decoded(&[0xFEFF, 0x0061], true, b"b");
        assert_eq!(out, b"a");
        assert!(error.is_some_and(|error| error.contains("half a unit")));
    }
}
