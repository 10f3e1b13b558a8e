//! Rules that only follow another in a correlation: asked when it runs, and only about those whom
//! the others name.
//!
//! "Denied, then allowed" needs the allowed requests of those who were denied, not all there are.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::field::Field;
use crate::event::words::fold;
use crate::hunt::batch::Asked;
use crate::hunt::batch::Run;
use crate::hunt::batch::ask;
use crate::hunt::batch::selection::Chosen;
use crate::hunt::batch::selection::Selection;
use crate::hunt::requests::Call;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::sigma::rule::Correlation;

/// Says whether a rule is one: nobody asks for its matches themselves, and every correlation that
/// does needs another rule as well, which it names first.
pub(super) fn follows(chosen: &Chosen<'_>, selection: &Selection<'_>) -> bool {
    let places: Vec<(usize, bool)> = selection
        .correlations
        .iter()
        .map(|other| other.correlation)
        .filter_map(|other| {
            let place = other.rules.iter().position(|r| chosen.rule.meta.is_called(r))?;
            Some((place, other.needs_all() && !other.group_by.is_empty()))
        })
        .collect();
    !chosen.reported && !places.is_empty() && places.iter().all(|(at, whole)| *at > 0 && *whole)
}

/// The fields of each group-by as a reference names them.
fn keys_of<'c>(correlation: &'c Correlation, reference: &str) -> Vec<&'c [Field]> {
    let own = |fields: &'c BTreeMap<String, Vec<Field>>| {
        fields.get(reference).or_else(|| fields.get("*")).map(Vec::as_slice).unwrap_or_default()
    };
    correlation.group_by.iter().map(|group_by| own(&group_by.fields)).collect()
}

/// Asks a follower about those whom the requests of another reference name.
pub(super) fn asked(
    run: &mut Run<'_>,
    selection: &Selection<'_>,
    correlation: &Correlation,
    follower: (&Chosen<'_>, &str),
    leader: (&[Call], &str),
) -> Result<Asked, SearchError> {
    let (chosen, reference) = follower;
    let keys = keys_of(correlation, leader.1);
    let slots: Vec<Vec<usize>> = keys
        .iter()
        .map(|fields| fields.iter().map(|field| run.facts.slot(field)).collect())
        .collect();
    let ids: Vec<EventId> = leader.0.iter().map(|call| call.event).collect();
    run.facts.load_some(run.evidence, &ids, &slots.concat())?;
    let named = slots.iter().zip(keys_of(correlation, reference)).map(|(slots, fields)| {
        let numbers: BTreeSet<u32> = ids
            .iter()
            .flat_map(|id| slots.iter().flat_map(|slot| run.facts.numbers(*id, *slot)))
            .collect();
        let texts = run.facts.texts();
        let texts: BTreeSet<String> = numbers.into_iter().map(|n| fold(texts.text(n))).collect();
        (texts, fields)
    });
    let named: Vec<(BTreeSet<String>, &[Field])> = named.collect();
    if named.first().is_none_or(|(texts, _)| texts.is_empty()) {
        return Ok(Asked::default());
    }
    let among = |(texts, fields): (BTreeSet<String>, &[Field])| {
        let set = Arc::new(ValueSet { texts: texts.into_iter().collect(), ..ValueSet::default() });
        let one = |field: &Field| QueryAst::Field {
            field: field.clone(),
            test: Test::OneOf(Arc::clone(&set)),
        };
        QueryAst::any_of(fields.iter().map(one).collect())
    };
    // Where nobody has a value of a further field there is no group, which is said then.
    let named = named.into_iter().filter(|(texts, _)| !texts.is_empty()).map(among);
    let named = QueryAst::all_of(named.collect());
    let whole = &chosen.rule.question;
    let answer = one(run, selection, QueryAst::all_of(vec![whole.clone(), named]))?;
    if answer.calls.iter().any(|call| run.pages.contains(&call.event)) {
        // Whether it continues a list, only the lists of others may tell.
        return one(run, selection, whole.clone());
    }
    Ok(answer)
}

fn one(
    run: &mut Run<'_>,
    selection: &Selection<'_>,
    question: QueryAst,
) -> Result<Asked, SearchError> {
    let mut answers = [None];
    ask(run, selection, vec![(0, question)], false, &mut answers)?;
    let [answer] = answers;
    Ok(answer.map(std::rc::Rc::unwrap_or_clone).unwrap_or_default())
}
