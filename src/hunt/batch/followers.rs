//! Rules that only follow another in a correlation: asked last, and only about what the others
//! leave possible.
//!
//! "Denied, then allowed" needs the allowed requests of those who were denied, not all of them.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::event::field::CREDENTIAL_ID;
use crate::event::field::Field;
use crate::event::words::fold;
use crate::hunt::batch::Asked;
use crate::hunt::batch::Run;
use crate::hunt::batch::correlations::needs_all;
use crate::hunt::batch::selection::Chosen;
use crate::hunt::batch::selection::Selection;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::sigma::rule::Correlation;

/// Says of each rule of a selection whether it is one.
pub(super) fn followers(selection: &Selection<'_>) -> Vec<bool> {
    selection.rules.iter().map(|chosen| !chosen.reported && follows(chosen, selection)).collect()
}

fn is_of(chosen: &Chosen<'_>, correlation: &Correlation) -> bool {
    correlation.rules.iter().any(|reference| chosen.rule.meta.is_called(reference))
}

/// Every correlation of the rule needs it and others, and another is reported or small enough to be
/// asked first.
fn follows(chosen: &Chosen<'_>, selection: &Selection<'_>) -> bool {
    let mut own = selection.correlations.iter().map(|c| c.correlation);
    let mut any = false;
    own.all(|correlation| {
        if !is_of(chosen, correlation) {
            return true;
        }
        any = true;
        needs_all(correlation)
            && leader(correlation, selection).is_some()
            && key_of(chosen, correlation).is_some()
    }) && any
}

/// The fields of the first group-by of a rule, where all pages of a list agree in them: what tells
/// pages from lists must not be left out.
fn key_of<'c>(chosen: &Chosen<'_>, correlation: &'c Correlation) -> Option<&'c [Field]> {
    let shared = ["user.username", CREDENTIAL_ID, "userAgent", "objectRef.resource"];
    let reference = correlation.rules.iter().find(|r| chosen.rule.meta.is_called(r))?;
    correlation.group_by.iter().find_map(|group_by| {
        let fields = group_by.fields.get(reference).or_else(|| group_by.fields.get("*"))?;
        let fits =
            |field: &Field| matches!(field, Field::Path(path) if shared.contains(&path.as_str()));
        (fields.iter().all(fits) && !fields.is_empty()).then_some(fields.as_slice())
    })
}

/// The rule of a correlation that is asked first: one that is reported for itself, or that another
/// kind of correlation needs whole.
fn leader(correlation: &Correlation, selection: &Selection<'_>) -> Option<usize> {
    let whole = |chosen: &Chosen<'_>| {
        chosen.reported
            || selection
                .correlations
                .iter()
                .any(|other| !needs_all(other.correlation) && is_of(chosen, other.correlation))
    };
    selection.rules.iter().position(|chosen| {
        is_of(chosen, correlation) && whole(chosen) && key_of(chosen, correlation).is_some()
    })
}

/// Returns the question of a follower about those alone that the leaders name; `None` where there
/// is nobody.
pub(super) fn restricted(
    run: &mut Run<'_>,
    selection: &Selection<'_>,
    chosen: &Chosen<'_>,
    asked: &[Option<Rc<Asked>>],
) -> Result<Option<QueryAst>, SearchError> {
    let mut any = Vec::new();
    for correlation in selection.correlations.iter().map(|c| c.correlation) {
        if !is_of(chosen, correlation) {
            continue;
        }
        let Some(leader) = leader(correlation, selection) else { continue };
        let Some((first, Some(answer))) = selection.rules.get(leader).zip(asked.get(leader)) else {
            return Ok(Some(chosen.rule.question.clone()));
        };
        let fields = (key_of(first, correlation), key_of(chosen, correlation));
        let (Some(from), Some(to)) = fields else { continue };
        let slots: Vec<usize> = from.iter().map(|field| run.facts.slot(field)).collect();
        let ids: Vec<EventId> = answer.calls.iter().map(|call| call.event).collect();
        run.facts.load_some(run.evidence, &ids, &slots)?;
        let numbers: BTreeSet<u32> = ids
            .iter()
            .flat_map(|id| slots.iter().flat_map(|slot| run.facts.numbers(*id, *slot)))
            .collect();
        let texts = run.facts.texts();
        let texts: BTreeSet<String> = numbers.into_iter().map(|n| fold(texts.text(n))).collect();
        if !texts.is_empty() {
            let set = ValueSet { texts: texts.into_iter().collect(), ..ValueSet::default() };
            let test = Test::OneOf(Arc::new(set));
            any.extend(to.iter().map(|f| QueryAst::Field { field: f.clone(), test: test.clone() }));
        }
    }
    if any.is_empty() {
        return Ok(None);
    }
    Ok(Some(QueryAst::all_of(vec![chosen.rule.question.clone(), QueryAst::any_of(any)])))
}
