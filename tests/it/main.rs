//! The one integration test binary; each file below holds one tier of tests.

#[path = "../../benches/corpus/mod.rs"]
mod corpus;
mod fixtures;
