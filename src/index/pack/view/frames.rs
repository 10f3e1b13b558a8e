//! Frames and filters of a pack, read and checked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::index::pack::filter::WordFilter;
use crate::index::pack::filter::WordSpots;
use crate::index::pack::layout::NO_FRAME;
use crate::index::pack::left_out::About;
use crate::index::pack::left_out::PieceRow;
use crate::index::pack::left_out::UNREADABLE;
use crate::index::pack::left_out::read_pieces;
use crate::index::pack::view::Bytes;
use crate::index::pack::view::Pack;
use crate::index::pack::view::Result;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::Frame;
use crate::index::pack::wire::FrameBytes;
use crate::index::pack::wire::FrameRef;
use crate::index::pack::wire::Short;
use crate::index::pack::wire::read_frame;
use crate::index::pack::wire::unpack;

/// Frames of so many bytes that stand uncompressed are not copied.
const LARGE_FRAME: u32 = 64 << 10;

impl Pack {
    /// Says whether the pack leaves lines in their sources.
    pub fn refers(&self) -> bool {
        self.footer.pieces != NO_FRAME
    }

    /// Returns the runs of bytes the events stand in; none where nothing is left out.
    ///
    /// # Errors
    /// On damage.
    pub fn pieces(&self) -> Result<Vec<PieceRow>> {
        if self.refers() { Ok(read_pieces(&self.frame(self.footer.pieces)?)?) } else { Ok(vec![]) }
    }

    /// Says why lines that were left in their source could not be read, the last time.
    pub fn why_left_out(&self) -> String {
        let why = self.why.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        why.clone().unwrap_or_else(|| UNREADABLE.to_owned())
    }

    /// Says what the frames that are left out are made of.
    fn about(&self) -> Result<About> {
        let frames = (0_u32..).zip(&self.footer.frames);
        let left_out = frames.filter(|(_, f)| f.is_left_out()).map(|(number, f)| (number, *f));
        let frames = left_out.collect();
        Ok(About { pieces: self.pieces()?, places: self.places()?, times: self.times()?, frames })
    }

    /// Returns a frame that is made again from the lines of the pack.
    fn left_out_frame(&self, number: u32, frame: &FrameRef) -> Result<Vec<u8>> {
        let made = match &self.left_out {
            Some(left_out) => left_out.frames(self.sum, &|| self.about()),
            None => Err(UNREADABLE.to_owned()),
        };
        match made {
            Ok(made) => match made.get(&number).filter(|plain| frame.fits(plain)) {
                Some(plain) => Ok(plain.clone()),
                None => Err(Damage {
                    offset: 0,
                    what: "a frame that was left out comes out differently",
                }),
            },
            Err(why) => {
                *self.why.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
                Err(Damage { offset: 0, what: UNREADABLE })
            }
        }
    }

    /// Decompresses frame `number`.
    ///
    /// # Errors
    /// When the stored bytes are not what was written.
    pub fn frame(&self, number: u32) -> Result<Frame> {
        let frame = self
            .footer
            .frames
            .get(number as usize)
            .ok_or(Damage { offset: 0, what: "a frame that is not there" })?;
        if frame.is_left_out() {
            return self.left_out_frame(number, frame).map(Frame::from);
        }
        if let (true, Bytes::Mapped(file, range)) = (self.once, &self.bytes) {
            let len = frame.stored as usize;
            let start = usize::try_from(frame.offset).unwrap_or(usize::MAX);
            if start.saturating_add(len) > range.len() {
                return Err(Damage { offset: frame.offset, what: "the file ends inside a frame" });
            }
            let start = range.start + start;
            let stored = Frame::filled(len, |out| file.read(start..start + len, out));
            let unread = |_| Damage { offset: frame.offset, what: "the file cannot be read" };
            return unpack(&stored.map_err(unread)?, frame);
        }
        self.read.store(true, Ordering::Relaxed);
        read_frame(self.bytes(), frame)
    }

    /// Returns a frame that several columns share, keeping it while they are decoded.
    pub(super) fn shared_frame(&self, number: u32) -> Result<Arc<Frame>> {
        self.cached(
            |cache| cache.frames.get(&number).cloned(),
            || {
                self.frame(number).map(|frame| {
                    let len = frame.len();
                    (frame, len)
                })
            },
            |cache, frame| {
                cache.frames.insert(number, frame);
            },
        )
    }

    /// Returns a frame where it stands if it is not compressed, and not so small that reading it is
    /// less than mapping it, else as [`Self::shared_frame`].
    pub(in crate::index::pack) fn frame_bytes(&self, number: u32) -> Result<FrameBytes<'_>> {
        let frame = self.footer.frames.get(number as usize).ok_or(Short)?;
        if frame.stored != frame.plain || (self.once && frame.stored < LARGE_FRAME) {
            return self.shared_frame(number).map(FrameBytes::Decoded);
        }
        self.frame_in_place(number, frame).map(FrameBytes::Stored)
    }

    /// Returns a frame that is not compressed where it stands, after checking its sum once.
    fn frame_in_place(&self, number: u32, frame: &FrameRef) -> Result<&[u8]> {
        let damage = |what| Damage { offset: frame.offset, what };
        if frame.stored != frame.plain {
            return Err(damage("a frame is compressed that is read where it stands"));
        }
        let start = usize::try_from(frame.offset).unwrap_or(usize::MAX);
        let bytes = self.bytes().get(start..start.saturating_add(frame.stored as usize));
        let bytes = bytes.ok_or_else(|| damage("the file ends inside a frame"))?;
        if !self.lock().sums_checked.contains(&number) {
            if xxhash_rust::xxh3::xxh3_64(bytes) != frame.sum {
                return Err(damage("checksum mismatch"));
            }
            self.lock().sums_checked.insert(number);
        }
        Ok(bytes)
    }

    /// Returns the filter, after checking its sum once.
    ///
    /// # Errors
    /// When its bytes are not what was written.
    pub fn filter(&self) -> Result<WordFilter<'_>> {
        let (filter, whole) = self.filter_bytes()?;
        if !self.lock().filter_checked {
            if xxhash_rust::xxh3::xxh3_64(whole) != self.footer.filter_sum {
                return Err(Damage {
                    offset: self.footer.filter_offset,
                    what: "the filter is damaged",
                });
            }
            self.lock().filter_checked = true;
        }
        Ok(filter)
    }

    /// Says whether the pack may hold what is looked for; a yes of a damaged filter costs time
    /// only, a no is relied upon, so that the sum is checked before one is given.
    ///
    /// # Errors
    /// When the bytes of the filter are not what was written.
    pub fn may_hold(&self, looked_for: impl Fn(&WordFilter<'_>) -> bool) -> Result<bool> {
        Ok(looked_for(&self.filter_bytes()?.0) || looked_for(&self.filter()?))
    }

    fn filter_bytes(&self) -> Result<(WordFilter<'_>, &[u8])> {
        let start = self.footer.filter_offset as usize;
        let middle = start.saturating_add(self.footer.filter_descriptor as usize);
        let end = middle.saturating_add(self.footer.filter_fingerprints as usize);
        let damage = || Damage { offset: self.footer.filter_offset, what: "the filter is damaged" };
        let bytes = self.bytes();
        let descriptor = bytes.get(start..middle).ok_or_else(damage)?;
        let fingerprints = bytes.get(middle..end).ok_or_else(damage)?;
        let whole = bytes.get(start..end).ok_or_else(damage)?;
        Ok((WordFilter::new(descriptor, fingerprints), whole))
    }

    /// Returns in which column a word can stand; `None` for packs from before that was noted.
    ///
    /// # Errors
    /// On damage.
    pub fn word_spots(&self) -> Result<Option<WordSpots<'_>>> {
        if self.footer.spots == NO_FRAME {
            return Ok(None);
        }
        let number = self.footer.spots;
        let frame = self.footer.frames.get(number as usize).ok_or(Short)?;
        Ok(Some(WordSpots::new(self.frame_in_place(number, frame)?)?))
    }
}
