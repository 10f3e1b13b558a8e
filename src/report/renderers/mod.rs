//! One file per output format.

pub mod json;
pub mod object_state;
pub mod text;
pub mod yaml;
