//! The one integration binary: whole commands, agreement, accounting, disasters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stderr)]

mod agree;
mod attribution;
mod cli;
#[path = "../../benches/corpus/mod.rs"]
mod corpus;
mod coverage;
mod disaster;
mod fixtures;
mod fuzz;
mod fuzz_targets;
mod hunt;
mod increments;
mod investigate;
mod ledgers;
mod merge;
mod pack;
mod pivots;
mod questions;
mod realdata;
mod reference;
mod sigma;
mod state;
