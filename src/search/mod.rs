//! The wings meet: a `QueryAst` over an index, or over plain evidence without one, becomes hits.

pub mod error;
pub mod evidence;
pub mod facet;
pub mod scan;
