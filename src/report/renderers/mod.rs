//! One file per output format.

pub mod csv;
pub mod html;
pub mod json;
pub mod jsonl;
pub mod markdown;
pub mod object_state;
pub mod text;
pub mod yaml;
