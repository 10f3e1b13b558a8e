//! Whether a question can be true of any audit event: rules written for other verbs or with words
//! for codes are told apart from rules that found nothing.

use crate::event::field::Field;
use crate::event::field::FieldKind;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;

/// Verbs that occur in audit events: those of resources (k8s.io/apiserver pkg/endpoints/request
/// requestinfo.go), HTTP methods of other paths, and `proxy` of servers before 1.10.
const VERBS: [&str; 17] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "proxy",
    "redirect",
    "watchlist",
    "post",
    "put",
    "head",
    "options",
    "connect",
    "trace",
];

/// Says whether `question` can hold, and notes every condition in it that never does.
pub fn can_hold(question: &QueryAst, notes: &mut Vec<String>) -> bool {
    match question {
        // Every part is looked at, for its notes.
        QueryAst::And(parts) => parts.iter().filter(|part| !can_hold(part, notes)).count() == 0,
        QueryAst::Or(parts) => parts.iter().filter(|part| can_hold(part, notes)).count() != 0,
        QueryAst::Not(inner) => {
            let mut ignored = Vec::new();
            can_hold(inner, &mut ignored);
            notes.extend(ignored);
            **inner != QueryAst::All
        }
        QueryAst::Field { field, test } => match never(field, test) {
            Some(note) => {
                if !notes.contains(&note) {
                    notes.push(note);
                }
                false
            }
            None => true,
        },
        QueryAst::Within { .. } | QueryAst::All | QueryAst::Words(_) => true,
    }
}

/// Why no value of `field` passes `test`.
fn never(field: &Field, test: &Test) -> Option<String> {
    let name = field.name();
    if name == "verb" {
        return match test {
            Test::Equals { text, .. } => {
                let known = VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(text));
                (!known).then(|| format!("verb {text} never occurs in audit events"))
            }
            _ => None,
        };
    }
    if field.kind() != FieldKind::Number {
        return None;
    }
    let word = |text: &str| text.parse::<f64>().is_err();
    match test {
        Test::Equals { text, .. } if word(text) => {
            Some(format!("{name} is a number and never {text}"))
        }
        Test::Like { glob, .. } => {
            let letters = glob.0.iter().any(|part| match part {
                GlobPart::Text(text) => text.chars().any(|c| !c.is_ascii_digit()),
                GlobPart::AnyRun | GlobPart::AnyOne => false,
            });
            letters.then(|| format!("{name} is a number and never holds letters"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(question: &QueryAst) -> (bool, usize) {
        let mut notes = Vec::new();
        let can = can_hold(question, &mut notes);
        (can, notes.len())
    }

    #[test]
    fn what_never_happens() {
        let verb = |v: &str| QueryAst::path_equals("verb", v);
        let code = QueryAst::path_equals("responseStatus.code", "ALLOW");
        assert_eq!(check(&verb("replace")), (false, 1));
        assert_eq!(check(&QueryAst::any_of(vec![verb("replace"), verb("patch")])), (true, 1));
        assert_eq!(check(&QueryAst::all_of(vec![verb("get"), code.clone()])), (false, 1));
        assert_eq!(check(&code.negated()), (true, 1));
        assert_eq!(check(&QueryAst::path_equals("responseStatus.code", "403")), (true, 0));
    }
}
