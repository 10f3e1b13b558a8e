//! Question text becomes a [`ast::QueryAst`], and a `QueryAst` judges one event.
//!
//! This room knows no index and no files of evidence (only `field:@FILE` lists of indicators).
//!
//! | from | call | to |
//! |---|---|---|
//! | text of a question | [`parse::parse`] | [`ast::QueryAst`], or an [`error::QueryError`] that [`error::QueryError::render`] shows with its place |
//! | name of a field (`--fields`, `top`) | [`resolve::resolve`] | [`crate::event::field::Field`] |
//! | [`ast::QueryAst`] | `to_string()` ([`print`]) | canonical text; `parse` gives the same tree back |
//! | [`ast::QueryAst`] | [`matcher::Matcher::compile`], [`matcher::Matcher::matches`] | verdict on one event: the oracle |
//! | [`ast::Test`] | [`value::CompiledTest::compile`], [`value::CompiledTest::accepts`] | verdict on one decoded leaf text |
//! | words of a question | [`phrase::CompiledWords::compile`], [`phrase::CompiledWords::accepts`] | verdict on one key or value |
//! | event and field | [`matcher::field_values`] | the texts that rows and top lists show |
//! | unknown path and the known ones | [`resolve::nearest_path`] | the hint |

pub mod address;
pub mod ast;
pub mod error;
pub mod glob;
mod lex;
pub mod matcher;
pub mod parse;
mod parse_value;
pub mod phrase;
pub mod platform;
pub mod print;
pub mod range;
pub mod resolve;
pub mod value;
pub mod value_list;

#[cfg(test)]
mod tests;
