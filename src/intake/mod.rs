//! A line becomes an event, and every line is accounted for.  Knows no files.

mod csv_rows;
mod detect;
mod format;
mod formats;
pub mod parse;
mod piece_reader;
pub mod record;
mod request_path;
mod shape;
mod tally;
mod unwrap;
mod when;

pub use detect::formats_table;
pub use format::FormatRow;
pub use piece_reader::PieceReader;
pub use piece_reader::Sink;
pub use tally::Tally;

#[cfg(test)]
mod containers;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod realdata;
#[cfg(test)]
mod testing;
