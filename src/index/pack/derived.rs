//! What others derive from a pack while it is made, kept in it as bytes nobody here reads.
//!
//! The rooms above know what is worth deriving; this one knows when a pack is at hand with its
//! columns warm.  What is derived is one more frame: summed, verified and dropped with its pack.

use std::collections::HashMap;
use std::sync::Arc;

use crate::index::pack::build::PackBuilder;
use crate::index::pack::finish::PackBytes;
use crate::index::pack::frames::seal;
use crate::index::pack::left_out::About;
use crate::index::pack::left_out::LeftOut;
use crate::index::pack::left_out::MadeFrames;
use crate::index::pack::left_out::PieceRow;
use crate::index::pack::made::Made;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Content;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::FrameWriter;

/// Derives bytes from a pack.
pub trait Derive: Sync + std::fmt::Debug {
    /// Returns what is to be kept in the pack; it must follow from the pack alone.
    ///
    /// # Errors
    /// Whatever keeps it from reading the pack, which is then written without.
    fn derive(&self, pack: &Pack) -> Result<Vec<u8>, Damage>;
}

/// Frames that are left out of a pack that is just being made.
#[derive(Debug)]
struct AtHand(Arc<MadeFrames>);

impl LeftOut for AtHand {
    fn frames(
        &self,
        _sum: u64,
        _about: &dyn Fn() -> Result<About, Damage>,
    ) -> Result<Arc<MadeFrames>, String> {
        Ok(Arc::clone(&self.0))
    }
}

impl PackBuilder {
    /// Writes the pack with what `derive` makes of it, as [`Self::finish_referring`] does where
    /// there are `pieces`.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn finish_with(
        &mut self,
        derive: &dyn Derive,
        pieces: Option<&[PieceRow]>,
        writer: &mut FrameWriter,
    ) -> std::io::Result<PackBytes> {
        let mut pack = match pieces {
            Some(pieces) => self.finish_referring(pieces, writer)?,
            None => self.finish(writer)?,
        };
        let mut next: HashMap<u8, u32> = HashMap::new();
        let places = self.columns.iter().map(|column| {
            let next = next.entry(column.section.0).or_default();
            *next += 1;
            *next - 1
        });
        let places = places.collect();
        let made = Made { templates: std::mem::take(&mut self.templates), places };
        let wrong = |damage: Damage| std::io::Error::other(damage.what);
        let view = Pack::of_made(std::mem::take(&mut pack.bytes), made).map_err(wrong)?;
        let view =
            view.with_left_out(Arc::new(AtHand(Arc::new(std::mem::take(&mut pack.left_out)))));
        let derived = derive.derive(&view);
        let mut footer = view.footer.clone();
        let gone = || std::io::Error::other("a pack that was just made is gone");
        let (mut bytes, made) = view.into_made().ok_or_else(gone)?;
        if let Ok(derived) = derived {
            footer.derived = footer.frames.len() as u32;
            footer.frames.push(writer.write(&mut bytes, &derived, Content::Texts)?);
        }
        seal(&footer, &mut bytes)?;
        self.templates = made.templates;
        pack.bytes = bytes;
        Ok(pack)
    }
}
