//! The wings meet: a `QueryAst` over an index, or over plain evidence without one, becomes hits.

pub mod bits;
pub mod error;
pub mod evidence;
pub mod facet;
pub mod question;
pub mod scan;
pub mod scan_paths;
mod scan_question;
mod scan_record;
