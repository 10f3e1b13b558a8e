//! Rules whose matches matter only where some values were never seen together before
//! (`x-audithound.first_seen`); what is older than the range asked about is what they learn from.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::hunt::batch::Asked;
use crate::hunt::batch::Run;
use crate::hunt::batch::selection::Chosen;
use crate::hunt::batch::selection::Selection;
use crate::hunt::finding::HuntReport;
use crate::hunt::finding::Silent;
use crate::hunt::requests::collapse;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Hit;
use crate::search::evidence::Hits;

/// Fields whose values must be new together; empty for ordinary rules.
fn fields_of(chosen: &Chosen<'_>) -> Vec<Field> {
    let names = chosen.rule.meta.own("first_seen").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter_map(crate::sigma::fields::resolve)
        .filter_map(|resolved| resolved.fields.into_iter().next())
        .collect()
}

/// Says whether a rule goes on with the events that match it.
pub(super) fn wanted(chosen: &Chosen<'_>) -> bool {
    chosen.reported && !fields_of(chosen).is_empty()
}

/// Leaves only new things in the answers of such rules; without a baseline they are undecidable.
pub fn run(
    run: &mut Run<'_>,
    selection: &mut Selection<'_>,
    asked: &mut [Rc<Asked>],
    report: &mut HuntReport,
) -> Result<(), SearchError> {
    for (chosen, answer) in selection.rules.iter_mut().zip(asked) {
        let fields = fields_of(chosen);
        if fields.is_empty() || !chosen.reported {
            continue;
        }
        let Some(since) = run.options.range.since else {
            chosen.reported = false;
            if answer.hits.total > 0 {
                let why = "needs a baseline: with --since it learns from what is older".to_owned();
                let candidates = answer.hits.total;
                report.undecidable.push(Silent { card: chosen.card.clone(), why, candidates });
            } else {
                report.n_nothing += 1;
            }
            continue;
        };
        let before = TimeRange { since: None, until: Some(since) };
        let known: BTreeSet<Vec<Option<String>>> = run
            .evidence
            .top(&chosen.rule.question, before, &fields, None, 0)?
            .into_iter()
            .map(|row| row.values)
            .collect();
        let ids: Vec<EventId> = answer.hits.hits.iter().map(|hit| hit.id).collect();
        let rows = run.evidence.rows(&ids, &fields)?;
        let hits: Vec<Hit> = answer
            .hits
            .hits
            .iter()
            .zip(rows)
            .filter(|(_, row)| {
                let one = |values: &Vec<String>| values.iter().cloned().map(Some).collect();
                let values: Vec<Vec<Option<String>>> = row.iter().map(one).collect();
                !known.iter().any(|key| {
                    key.iter().zip(&values).all(|(known, here)| match known {
                        Some(_) => here.contains(known),
                        None => here.is_empty(),
                    })
                })
            })
            .map(|(hit, _)| *hit)
            .collect();
        let calls = collapse(run.evidence, &mut run.facts, vec![hits.clone()], &run.pages)?;
        let calls = calls.into_iter().next().unwrap_or_default();
        let hits = Hits { total: hits.len() as u64, hits, notes: answer.hits.notes.clone() };
        *answer = Rc::new(Asked { hits, calls, n_open: answer.n_open });
    }
    Ok(())
}
