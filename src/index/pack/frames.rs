//! The frames of a pack while it is written: stored, left out, or made again.

use crate::index::pack::layout::Footer;
use crate::index::pack::layout::MAGIC;
use crate::index::pack::layout::NO_FRAME;
use crate::index::pack::left_out::MadeFrames;
use crate::index::pack::wire::Content;
use crate::index::pack::wire::FrameRef;
use crate::index::pack::wire::FrameWriter;

/// What becomes of the frames.
pub(super) enum Writing<'w> {
    /// All are stored.
    Stored(&'w mut FrameWriter),
    /// Those that can be made again from the lines are left out.
    Referring(&'w mut FrameWriter, MadeFrames),
    /// Only those that were left out are wanted.
    Again(MadeFrames),
}

/// Frames as they are written.
pub(super) struct Frames<'w> {
    pub(super) out: Vec<u8>,
    pub(super) table: Vec<FrameRef>,
    pub(super) writing: Writing<'w>,
}

impl<'w> Frames<'w> {
    pub(super) fn new(writing: Writing<'w>) -> Frames<'w> {
        Frames { out: Vec::new(), table: Vec::new(), writing }
    }

    pub(super) fn add(&mut self, plain: &[u8]) -> std::io::Result<u32> {
        self.add_of(plain, Content::Texts)
    }

    /// Adds a frame of texts or numbers.
    pub(super) fn add_of(&mut self, plain: &[u8], content: Content) -> std::io::Result<u32> {
        let frame = match &mut self.writing {
            Writing::Stored(writer) | Writing::Referring(writer, _) => {
                writer.write(&mut self.out, plain, content)?
            }
            Writing::Again(_) => FrameRef::default(),
        };
        self.table.push(frame);
        Ok(self.table.len() as u32 - 1)
    }

    /// Adds a frame that is stored as it is, so that it can be asked where it stands.
    pub(super) fn add_plain(&mut self, plain: &[u8]) -> std::io::Result<u32> {
        self.table.push(FrameRef::plain(&mut self.out, plain)?);
        Ok(self.table.len() as u32 - 1)
    }

    /// Adds a frame that only serves bodies, envelopes and putting lines together again.
    pub(super) fn add_cold(&mut self, plain: &[u8], content: Content) -> std::io::Result<u32> {
        // What is shorter than its row in the table is not worth leaving out.
        if plain.len() <= LEFT_OUT_MIN {
            return self.add_of(plain, content);
        }
        let frame = match &mut self.writing {
            Writing::Stored(_) => return self.add_of(plain, content),
            Writing::Referring(_, made) => {
                made.insert(self.table.len() as u32, plain.to_vec());
                FrameRef::left_out(self.out.len(), plain)?
            }
            Writing::Again(made) => {
                made.insert(self.table.len() as u32, plain.to_vec());
                FrameRef::default()
            }
        };
        self.table.push(frame);
        Ok(self.table.len() as u32 - 1)
    }

    /// Adds a frame unless there is nothing to say.
    pub(super) fn add_some(&mut self, plain: &[u8], any: bool) -> std::io::Result<u32> {
        if any { self.add(plain) } else { Ok(NO_FRAME) }
    }

    /// Adds a cold frame unless there is nothing to say.
    pub(super) fn add_some_cold(&mut self, plain: &[u8], any: bool) -> std::io::Result<u32> {
        if any { self.add_cold(plain, Content::Texts) } else { Ok(NO_FRAME) }
    }
}

/// Frames of so many bytes are stored even where lines stay in their sources.
const LEFT_OUT_MIN: usize = 48;

/// Appends the footer and what finds it.
pub(super) fn seal(footer: &Footer, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let mut text = Vec::new();
    footer.put(&mut text);
    // Whoever asks anything reads the footers of all packs: sums and offsets hardly compress.
    let end = FrameRef::plain(bytes, &text)?;
    bytes.extend_from_slice(&end.offset.to_le_bytes());
    bytes.extend_from_slice(&end.stored.to_le_bytes());
    bytes.extend_from_slice(&end.plain.to_le_bytes());
    bytes.extend_from_slice(&end.sum.to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    Ok(())
}
