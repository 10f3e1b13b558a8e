//! What the evidence cannot answer: rules that ask about bodies where only metadata was kept.

use std::rc::Rc;

use crate::event::field::Field;
use crate::hunt::batch::Asked;
use crate::hunt::batch::Run;
use crate::hunt::batch::selection::Chosen;
use crate::hunt::batch::selection::Selection;
use crate::hunt::finding::HuntReport;
use crate::hunt::finding::Silent;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::SearchOptions;
use crate::sigma::rule::NeededLevel;

const BODIES: [&str; 2] = ["requestObject", "responseObject"];

/// Asks which events would match a rule if their bodies said what it wants; `None` for rules that
/// can be decided without.
pub fn question(chosen: &Chosen<'_>) -> Option<QueryAst> {
    // A rule that says it needs Metadata asks bodies for more than it needs.
    let undecided = chosen.reported
        && chosen.card.needs > NeededLevel::Metadata
        && asks_bodies(&chosen.rule.question);
    undecided.then(|| relaxed(&chosen.rule.question))
}

/// Asks which events have a body: of these it is known.
pub fn has_body() -> QueryAst {
    let one = |body: &str| QueryAst::present(Field::path(body));
    QueryAst::any_of(BODIES.map(one).to_vec())
}

/// Lists the rules whose conditions on bodies could not be judged for some event.
pub fn run(
    run: &Run<'_>,
    selection: &Selection<'_>,
    asked: &[Rc<Asked>],
    report: &mut HuntReport,
) -> Result<(), SearchError> {
    let all = selection.rules.iter().zip(asked);
    let chosen: Vec<(&Chosen<'_>, &Rc<Asked>)> =
        all.filter(|(chosen, _)| question(chosen).is_some()).collect();
    if chosen.is_empty() {
        return Ok(());
    }
    let one = SearchOptions { limit: 1, count_all: false, ..run.search_options() };
    let no_bodies = run.evidence.search(&has_body(), &one)?.hits.is_empty();
    for (chosen, answer) in chosen {
        let total = answer.n_open;
        let found = answer.hits.total;
        if total <= found && !(no_bodies && found == 0) {
            continue;
        }
        if !no_bodies && total == 0 {
            continue;
        }
        let card = chosen.card.clone();
        let open = total.saturating_sub(found.min(total));
        let what = if no_bodies {
            format!("needs level {}, and the evidence holds no bodies", card.needs.name())
        } else {
            format!("needs level {}, which {open} events in question lack", card.needs.name())
        };
        let why = match (&card.fallback, found) {
            (Some(fallback), 0) => format!("{what}; instead: {fallback}"),
            (Some(fallback), n) => format!("{what}; {n} events were found by: {fallback}"),
            (None, 0) => what,
            (None, n) => format!("{what}; {n} events were found all the same"),
        };
        report.undecidable.push(Silent { card, why, candidates: open });
    }
    Ok(())
}

/// Says whether any condition reads a body by path.
pub fn asks_bodies(question: &QueryAst) -> bool {
    match question {
        QueryAst::And(parts) | QueryAst::Or(parts) => parts.iter().any(asks_bodies),
        QueryAst::Not(inner) => asks_bodies(inner),
        QueryAst::Field { field, .. } => is_body(&field.name()),
        QueryAst::Within { path, .. } => is_body(path),
        QueryAst::All | QueryAst::Words(_) => false,
    }
}

fn is_body(path: &str) -> bool {
    BODIES.iter().any(|body| {
        path.strip_prefix(body).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The question with every condition on bodies taken as it would suit the rule.
fn relaxed(question: &QueryAst) -> QueryAst {
    match question {
        QueryAst::And(parts) => QueryAst::all_of(parts.iter().map(relaxed).collect()),
        QueryAst::Or(parts) => {
            let parts: Vec<QueryAst> = parts.iter().map(relaxed).collect();
            if parts.contains(&QueryAst::All) { QueryAst::All } else { QueryAst::any_of(parts) }
        }
        // A negated condition on a body suits the rule where the body is missing, so it holds.
        other if asks_bodies(other) => QueryAst::All,
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_on_bodies_are_taken_as_they_suit() {
        let verb = QueryAst::path_equals("verb", "create");
        let body = QueryAst::path_equals("requestObject.spec.hostPID", "true");
        let note = QueryAst::path_equals("annotations.x", "privileged");
        let rule = QueryAst::And(vec![verb.clone(), QueryAst::Or(vec![body.clone(), note])]);
        assert!(asks_bodies(&rule));
        assert_eq!(relaxed(&rule), verb);
        let not = QueryAst::And(vec![verb.clone(), body.negated()]);
        assert_eq!(relaxed(&not), verb);
        assert!(!asks_bodies(&verb));
    }
}
