//! Node configuration was changed, and then a node ran a static pod that it never ran before.

use std::collections::BTreeSet;

use crate::event::field::Field;
use crate::event::time::Timestamp;
use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::finding::Group;
use crate::hunt::hunts::Hunt;
use crate::hunt::hunts::HuntAnswer;
use crate::hunt::hunts::HuntContext;
use crate::hunt::hunts::Intro;
use crate::hunt::hunts::any_equals;
use crate::hunt::hunts::starts;
use crate::query::ast::QueryAst;
use crate::search::evidence::Hit;
use crate::search::evidence::SearchOptions;
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct MachineconfigStaticPod;

const INTRO: Intro = Intro {
    rule: "machineconfig-static-pod",
    id: "f3b5d7a9-6c1e-4d2f-8a4b-5c6d7e8f9a0a",
    title: "Node configuration changed, then a pod nobody created",
    level: Level::High,
    tags: &["attack.persistence", "attack.t1543", "attack.privilege-escalation", "attack.t1611"],
    description: "A MachineConfig or kubelet configuration was changed by somebody who is no part \
        of the platform, and within an hour a kubelet reported a static pod whose name no earlier \
        event knows. Kubelets create nothing but mirrors of static pods.",
    falsepositives: &["Upgrades that bring new static pods."],
};

const HOUR: i64 = 3_600_000_000;

impl Hunt for MachineconfigStaticPod {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let mut answer = HuntAnswer::default();
        let options = SearchOptions { range: context.range, ..SearchOptions::default() };
        let resources =
            ["machineconfigs", "machineconfigpools", "kubeletconfigs", "containerruntimeconfigs"];
        let changes = QueryAst::all_of(vec![
            any_equals("objectRef.resource", &resources),
            any_equals("verb", &["create", "update", "patch"]),
            QueryAst::present(Field::path("objectRef.subresource")).negated(),
            crate::query::platform::platform_identities().negated(),
        ]);
        let changes = context.evidence.search(&changes, &options)?.hits;
        if changes.is_empty() {
            return Ok(answer);
        }
        let mirrors = QueryAst::all_of(vec![
            QueryAst::path_equals("verb", "create"),
            QueryAst::path_equals("objectRef.resource", "pods"),
            QueryAst::present(Field::path("objectRef.subresource")).negated(),
            starts("user.username", "system:node:"),
        ]);
        let mirrors = context.evidence.search(&mirrors, &SearchOptions::default())?.hits;
        let ids: Vec<_> = mirrors.iter().map(|hit| hit.id).collect();
        let rows = context.evidence.rows(&ids, &[Field::Namespace, Field::Name])?;
        let mut known: BTreeSet<String> = BTreeSet::new();
        for (hit, row) in mirrors.iter().zip(rows) {
            let name: Vec<String> = row.into_iter().flatten().collect();
            let name = name.join("/");
            if name.is_empty() || !known.insert(name.clone()) {
                continue;
            }
            let before = changes.iter().rev().find(|change| follows(change, hit));
            if let Some(change) = before {
                let group = Group {
                    key: vec![("pod".to_owned(), name)],
                    first: change.time,
                    last: hit.time,
                    ..Group::default()
                };
                answer.groups.push((group, vec![*change, *hit]));
            }
        }
        Ok(answer)
    }
}

fn follows(change: &Hit, hit: &Hit) -> bool {
    change.time.zip(hit.time).is_some_and(|(Timestamp(a), Timestamp(b))| a <= b && b - a <= HOUR)
}
