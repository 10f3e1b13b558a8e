//! What an audit event is: its text, its fields, its time, and where it stands.
//!
//! In comes one JSON text, out go views of it.  This room knows no files, no index and no
//! questions; everybody else knows this room.

pub mod audit_event;
pub mod field;
pub mod json;
pub mod place;
pub mod time;
pub mod words;
pub mod zone;
