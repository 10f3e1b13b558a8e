//! A node's own credential in the hands of a tool for people, after somebody got onto the node.

use std::collections::BTreeMap;

use crate::event::field::Field;
use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::finding::Group;
use crate::hunt::hunts::Hunt;
use crate::hunt::hunts::HuntAnswer;
use crate::hunt::hunts::HuntContext;
use crate::hunt::hunts::Intro;
use crate::hunt::hunts::starts;
use crate::query::ast::QueryAst;
use crate::search::evidence::Hit;
use crate::search::evidence::SearchOptions;
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct NodeCompromiseChain;

const INTRO: Intro = Intro {
    rule: "node-compromise-chain",
    id: "b8d0f2a4-1c3e-4f5a-9b7c-6d8e0f1a2b0b",
    title: "Node credential used with a tool",
    level: Level::Critical,
    tags: &[
        "attack.privilege-escalation",
        "attack.t1611",
        "attack.credential-access",
        "attack.t1552.007",
    ],
    description: "The credential of a kubelet was used with kubectl, oc, curl or a script: \
        somebody left a container and took what lies on the node. Pods that ran there must be \
        rotated (audithound pivot node NAME).",
    falsepositives: &["Administrators who debug with the kubelet's kubeconfig."],
};

/// Agents that no kubelet has.
const TOOLS: [&str; 8] =
    ["kubectl", "oc/", "curl/", "wget/", "python-", "go-http-client/", "helm/", "kubeletctl"];

impl Hunt for NodeCompromiseChain {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let mut answer = HuntAnswer::default();
        let options = SearchOptions { range: context.range, ..SearchOptions::default() };
        let question = QueryAst::all_of(vec![
            starts("user.username", "system:node:"),
            QueryAst::any_of(TOOLS.iter().map(|tool| starts("userAgent", tool)).collect()),
        ]);
        let hits = context.evidence.search(&question, &options)?.hits;
        let ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
        let rows = context.evidence.rows(&ids, &[Field::path("user.username")])?;
        let mut by_node: BTreeMap<String, Vec<Hit>> = BTreeMap::new();
        for (hit, row) in hits.into_iter().zip(rows) {
            by_node
                .entry(row.into_iter().flatten().next().unwrap_or_default())
                .or_default()
                .push(hit);
        }
        for (node, hits) in by_node {
            let group = Group {
                key: vec![("user.username".to_owned(), node)],
                first: hits.first().and_then(|hit| hit.time),
                last: hits.last().and_then(|hit| hit.time),
                ..Group::default()
            };
            answer.groups.push((group, hits));
        }
        Ok(answer)
    }
}
