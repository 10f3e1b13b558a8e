//! gzip (RFC 1952): members one after the other, everything in front of damage is kept.
//!
//! flate2's own reader drops what a damaged block had already given in the same call, and takes
//! padding behind the last member for an error; evidence needs both right.

use std::io;
use std::io::BufRead;
use std::io::Read;

use flate2::Crc;
use flate2::Decompress;
use flate2::FlushDecompress;
use flate2::Status;

/// Decompresses all members of a gzip stream.
pub(crate) struct Gunzip<R> {
    inner: R,
    inflate: Decompress,
    crc: Crc,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A header is due; `true` behind the first member.
    Header(bool),
    Body,
    Trailer,
    /// The error is due that was met while there were still bytes to give.
    Broken,
    End,
}

impl<R: BufRead> Gunzip<R> {
    pub(crate) fn new(inner: R) -> Gunzip<R> {
        Gunzip {
            inner,
            inflate: Decompress::new(false),
            crc: Crc::new(),
            state: State::Header(false),
        }
    }

    /// Reads the header of a member; `false` where no member follows.
    fn header(&mut self, later: bool) -> io::Result<bool> {
        if later {
            // Tapes and block devices pad with zeros; gzip(1) ignores them too.
            loop {
                let bytes = self.inner.fill_buf()?;
                let Some(&first) = bytes.first() else { return Ok(false) };
                if first != 0 {
                    break;
                }
                let zeros = bytes.iter().take_while(|c| **c == 0).count();
                self.inner.consume(zeros);
            }
        }
        let mut fixed = [0_u8; 10];
        self.inner.read_exact(&mut fixed).map_err(|error| cut(error, "a gzip header"))?;
        let [0x1f, 0x8b, 0x08, flags, ..] = fixed else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "bytes behind a gzip member that are no gzip",
            ));
        };
        if flags & 0x04 != 0 {
            let mut length = [0_u8; 2];
            self.inner.read_exact(&mut length).map_err(|error| cut(error, "a gzip header"))?;
            let length = u64::from(u16::from_le_bytes(length));
            io::copy(&mut (&mut self.inner).take(length), &mut io::sink())?;
        }
        // File name and comment end with a zero byte.
        for flag in [0x08, 0x10] {
            if flags & flag != 0 {
                self.inner.skip_until(0)?;
            }
        }
        if flags & 0x02 != 0 {
            let mut crc = [0_u8; 2];
            self.inner.read_exact(&mut crc).map_err(|error| cut(error, "a gzip header"))?;
        }
        self.inflate.reset(false);
        self.crc.reset();
        Ok(true)
    }

    /// Inflates into `buffer`; 0 where the member's body ends.
    fn body(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let bytes = self.inner.fill_buf()?;
            let ended = bytes.is_empty();
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let result = self.inflate.decompress(bytes, buffer, FlushDecompress::None);
            let used = usize::try_from(self.inflate.total_in() - before_in).unwrap_or_default();
            let given = usize::try_from(self.inflate.total_out() - before_out).unwrap_or_default();
            self.inner.consume(used);
            self.crc.update(buffer.get(..given).unwrap_or_default());
            match result {
                Ok(Status::StreamEnd) => {
                    self.state = State::Trailer;
                    return Ok(given);
                }
                Ok(_) if given > 0 => return Ok(given),
                Ok(_) if ended => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the gzip stream is cut off",
                    ));
                }
                Ok(_) => {}
                Err(_) if given > 0 => {
                    self.state = State::Broken;
                    return Ok(given);
                }
                Err(error) => return Err(damaged(&error)),
            }
        }
    }

    fn trailer(&mut self) -> io::Result<()> {
        let mut trailer = [0_u8; 8];
        self.inner.read_exact(&mut trailer).map_err(|error| cut(error, "a gzip trailer"))?;
        let [a, b, c, d, ..] = trailer;
        if u32::from_le_bytes([a, b, c, d]) != self.crc.sum() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the gzip checksum does not fit: some byte of it is damaged",
            ));
        }
        Ok(())
    }
}

fn cut(error: io::Error, what: &str) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        io::Error::new(io::ErrorKind::UnexpectedEof, format!("{what} is cut off"))
    } else {
        error
    }
}

fn damaged(error: &flate2::DecompressError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the gzip stream is damaged: {error}"))
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Header(later) => {
                    self.state = if self.header(later)? { State::Body } else { State::End };
                }
                State::Body => {
                    let given = self.body(buffer)?;
                    if given > 0 {
                        return Ok(given);
                    }
                }
                State::Trailer => {
                    self.trailer()?;
                    self.state = State::Header(true);
                }
                State::Broken => {
                    self.state = State::End;
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the gzip stream is damaged",
                    ));
                }
                State::End => return Ok(0),
            }
        }
    }
}
