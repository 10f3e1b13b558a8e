//! The one integration binary: whole commands, agreement, accounting, disasters.

mod cli;
#[path = "../../benches/corpus/mod.rs"]
mod corpus;
mod fixtures;
