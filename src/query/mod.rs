//! Question text becomes a [`ast::QueryAst`], and a `QueryAst` judges one event.
//!
//! This room knows no index and no files of evidence (only `field:@FILE` lists of indicators).

pub mod ast;
