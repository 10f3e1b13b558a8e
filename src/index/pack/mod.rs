//! A pack: some ten thousand events, complete in themselves.
//!
//! In come events, out comes one run of bytes that answers questions about them and gives every
//! one back byte for byte.  An event is cut into parts ([`section`]); each part is a skeleton with
//! its values taken out ([`shape`]); the values of one path in all events of the pack are a column
//! ([`column`], [`ids`]).  Filters ([`filter`]) say which words a pack can hold and in which
//! columns.  Nothing here knows of other packs, of files, or of the whole question.

pub mod build;
pub mod column;
pub mod derived;
pub mod few;
pub mod few_events;
pub mod filter;
mod filter_keys;
pub mod finish;
mod frames;
mod ids;
pub mod layout;
pub mod left_out;
pub mod links;
mod made;
pub mod numbers;
pub mod place_list;
pub mod section;
pub mod shape;
mod stored_column;
pub mod stored_event;
pub mod texts;
pub mod view;
pub mod wire;
