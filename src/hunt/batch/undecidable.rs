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

/// Lists the rules whose conditions on bodies could not be judged for some event.
pub fn run(
    run: &Run<'_>,
    selection: &Selection<'_>,
    asked: &[Rc<Asked>],
    report: &mut HuntReport,
) -> Result<(), SearchError> {
    let chosen: Vec<(&Chosen<'_>, &Rc<Asked>)> = selection
        .rules
        .iter()
        .zip(asked)
        // A rule that says it needs Metadata asks bodies for more than it needs.
        .filter(|(chosen, _)| {
            chosen.reported
                && chosen.card.needs > NeededLevel::Metadata
                && asks_bodies(&chosen.rule.question)
        })
        .collect();
    if chosen.is_empty() {
        return Ok(());
    }
    let one = |body: &str| QueryAst::present(Field::path(body));
    let has_body = QueryAst::any_of(BODIES.map(one).to_vec());
    let count = SearchOptions { limit: 1, count_all: true, ..run.search_options() };
    let bodies = run.evidence.search(&has_body, &SearchOptions { count_all: false, ..count })?;
    let no_bodies = bodies.hits.is_empty();
    // Judged for every event that would match if its body said what the rule wants.
    let questions: Vec<QueryAst> = chosen
        .iter()
        .map(|(chosen, _)| {
            QueryAst::all_of(vec![relaxed(&chosen.rule.question), has_body.clone().negated()])
        })
        .collect();
    let answers = run.evidence.search_all(&questions, &count)?;
    for ((chosen, answer), hits) in chosen.iter().zip(answers) {
        let found = answer.hits.total;
        if hits.total <= found && !(no_bodies && found == 0) {
            continue;
        }
        if !no_bodies && hits.total == 0 {
            continue;
        }
        let card = chosen.card.clone();
        let open = hits.total.saturating_sub(found.min(hits.total));
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
