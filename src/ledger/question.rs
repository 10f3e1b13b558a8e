//! Short words for building questions in code; values are always literal.

use crate::ledger::table::field;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;

/// The field equals `value`.
pub fn is(name: &str, value: &str) -> QueryAst {
    QueryAst::equals(field(name), value)
}

/// The field equals one of `values`.
pub fn any(name: &str, values: &[&str]) -> QueryAst {
    QueryAst::any_of(values.iter().map(|value| is(name, value)).collect())
}

/// The field has a value.
pub fn has(name: &str) -> QueryAst {
    QueryAst::present(field(name))
}

/// One of the fields equals `value`.
pub fn any_field(names: &[&str], value: &str) -> QueryAst {
    QueryAst::any_of(names.iter().map(|name| is(name, value)).collect())
}

/// The field starts with `text`.
pub fn starts(name: &str, text: &str) -> QueryAst {
    like(name, vec![GlobPart::Text(text.to_owned()), GlobPart::AnyRun])
}

/// The field ends with `text`.
pub fn ends(name: &str, text: &str) -> QueryAst {
    like(name, vec![GlobPart::AnyRun, GlobPart::Text(text.to_owned())])
}

/// The field contains `text`.
pub fn contains(name: &str, text: &str) -> QueryAst {
    like(name, vec![GlobPart::AnyRun, GlobPart::Text(text.to_owned()), GlobPart::AnyRun])
}

fn like(name: &str, parts: Vec<GlobPart>) -> QueryAst {
    QueryAst::Field { field: field(name), test: Test::Like { glob: Glob(parts), cased: false } }
}

/// All of `parts`.
pub fn all<const N: usize>(parts: [QueryAst; N]) -> QueryAst {
    QueryAst::all_of(parts.into())
}

/// Any of `parts`.
pub fn either<const N: usize>(parts: [QueryAst; N]) -> QueryAst {
    QueryAst::any_of(parts.into())
}

/// The complement.
pub fn not(question: QueryAst) -> QueryAst {
    question.negated()
}
