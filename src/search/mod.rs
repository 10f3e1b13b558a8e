//! The wings meet: a `QueryAst` over an index, or over plain evidence without one, becomes hits.

pub mod bits;
pub mod clock;
pub mod codes;
pub mod compare;
pub mod conflict;
pub mod error;
pub mod evidence;
pub mod facet;
pub mod first_by_peer;
pub mod first_hits;
pub mod indexed;
pub mod pack_combinations;
pub mod pack_counts;
pub mod pack_eval;
pub mod pack_evidence;
pub mod pack_field;
pub mod pack_numbers;
pub mod pack_parts;
pub mod pack_top;
pub mod pack_values;
pub mod pack_words;
pub mod pattern_sets;
pub mod question;
pub mod scan;
pub mod scan_paths;
mod scan_question;
mod scan_record;

pub mod structure;
