//! A dangerous pod that runs an image never seen before the range asked about.

use std::collections::BTreeSet;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::finding::Group;
use crate::hunt::hunts::Hunt;
use crate::hunt::hunts::HuntAnswer;
use crate::hunt::hunts::HuntContext;
use crate::hunt::hunts::Intro;
use crate::hunt::hunts::any_equals;
use crate::query::ast::QueryAst;
use crate::search::evidence::SearchOptions;
use crate::sigma::fields::in_containers;
use crate::sigma::fields::in_pod_specs;
use crate::sigma::rule::Level;
use crate::sigma::rule::NeededLevel;

/// See the module's text.
#[derive(Debug)]
pub struct NewImagePrivileged;

const INTRO: Intro = Intro {
    rule: "new-image-privileged",
    id: "c9e1a3b5-2d4f-4a6b-8c0d-7e9f1a2b3c0c",
    title: "Never seen image in a dangerous pod",
    level: Level::High,
    tags: &["attack.execution", "attack.t1610", "attack.privilege-escalation", "attack.t1611"],
    description: "A privileged pod, or one that mounts the node, runs an image that nothing \
        older than --since ran.",
    falsepositives: &["New agents for storage, network or monitoring."],
};

impl Hunt for NewImagePrivileged {
    fn card(&self) -> Card {
        Card { needs: NeededLevel::Request, ..INTRO.card() }
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let mut answer = HuntAnswer::default();
        let Some(since) = context.range.since else {
            answer.undecidable =
                Some("needs a baseline: with --since it learns from what is older".to_owned());
            return Ok(answer);
        };
        let images = in_containers("image");
        let is_true = |fields: Vec<Field>| {
            fields.into_iter().map(|field| QueryAst::equals(field, "true")).collect::<Vec<_>>()
        };
        let mut dangers = is_true(in_containers("securityContext.privileged"));
        dangers.extend(is_true(in_pod_specs("hostPID")));
        dangers.extend(in_pod_specs("volumes.hostPath").into_iter().map(QueryAst::present));
        let question = QueryAst::all_of(vec![
            any_equals("verb", &["create", "update", "patch"]),
            QueryAst::any_of(dangers),
            crate::query::platform::platform_identities().negated(),
        ]);
        let options = SearchOptions { range: context.range, ..SearchOptions::default() };
        let hits = context.evidence.search(&question, &options)?.hits;
        if hits.is_empty() {
            return Ok(answer);
        }
        let before = TimeRange { since: None, until: Some(since) };
        let mut known: BTreeSet<String> = BTreeSet::new();
        for image in &images {
            let rows = context.evidence.top(
                &QueryAst::present(image.clone()),
                before,
                std::slice::from_ref(image),
                None,
                0,
            )?;
            known.extend(rows.into_iter().filter_map(|row| row.values.into_iter().next()?));
        }
        let ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
        let rows = context.evidence.rows(&ids, &images)?;
        for (hit, row) in hits.into_iter().zip(rows) {
            let mut new: Vec<String> =
                row.into_iter().flatten().filter(|image| !known.contains(image)).collect();
            new.sort_unstable();
            new.dedup();
            if new.is_empty() {
                continue;
            }
            let group = Group {
                key: vec![("image".to_owned(), new.join(", "))],
                first: hit.time,
                last: hit.time,
                ..Group::default()
            };
            answer.groups.push((group, vec![hit]));
        }
        Ok(answer)
    }
}
