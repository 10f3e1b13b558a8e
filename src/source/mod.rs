//! A path becomes pieces of bytes, each with its place.  Knows no JSON.
//!
//! Files are read with `read(2)` into buffers that are used again, not mapped.
//! A map would cost a page fault for each run of pages where a read costs one copy of memory that
//! is then hot for hashing and parsing; resident memory would be bounded only by asking the kernel
//! to let go; and a file that shrinks while it is mapped kills the process with SIGBUS at the next
//! touch, whatever was checked before.  A read of a file that shrank is a short read, and said so.

mod before;
mod brackets;
mod containers;
mod cut;
mod error;
mod layout;
mod piece;
mod reader;
mod sniff;
mod stream;
mod unpack;
mod walk;

pub use before::Before;
pub use before::History;
pub use before::PlainBefore;
pub use before::hash_file;
pub use brackets::ElementEnd;
pub use brackets::Layout;
pub use brackets::Span;
pub use brackets::element_end;
pub use brackets::element_indent;
pub use brackets::value_end;
pub use error::SourceError;
pub use layout::origin_of_name;
pub use piece::Mode;
pub use piece::Piece;
pub use piece::PieceBytes;
pub use piece::SourceInfo;
pub use reader::FileEnd;
pub use reader::ReadItem;
pub use reader::ReadOptions;
pub use reader::Reader;
pub use reader::SourceEnd;
pub use sniff::Container;
pub use sniff::sniff;
