//! A client certificate asked for and approved by people or workloads.

use std::collections::BTreeMap;

use crate::event::field::Field;
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
pub struct CsrLineage;

const INTRO: Intro = Intro {
    rule: "csr-lineage",
    id: "a7c5e3d1-4b2a-4c6d-8f9e-3b4c5d6e7f09",
    title: "Certificate requested and approved by hand",
    level: Level::High,
    tags: &["attack.persistence", "attack.t1098", "attack.credential-access", "attack.t1552"],
    description: "A certificate was asked for and approved, neither by kubelets nor by \
        controllers. Client certificates cannot be revoked; look for requests with credential \
        ids that begin with X509SHA256.",
    falsepositives: &["Onboarding of people with certificates."],
};

impl Hunt for CsrLineage {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let mut answer = HuntAnswer::default();
        let options = SearchOptions { range: context.range, ..SearchOptions::default() };
        let csr = QueryAst::path_equals("objectRef.resource", "certificatesigningrequests");
        let by_hand = QueryAst::all_of(vec![
            starts("user.username", "system:node:").negated(),
            starts("user.username", "system:bootstrap:").negated(),
            crate::query::platform::platform_identities().negated(),
        ]);
        let ok = any_equals("responseStatus.code", &["200", "201"]);
        let created = QueryAst::all_of(vec![
            csr.clone(),
            QueryAst::path_equals("verb", "create"),
            by_hand.clone(),
            ok.clone(),
        ]);
        let approved = QueryAst::all_of(vec![
            csr,
            any_equals("verb", &["update", "patch"]),
            QueryAst::path_equals("objectRef.subresource", "approval"),
            by_hand,
            ok,
        ]);
        let mut by_name: BTreeMap<String, (Vec<Hit>, Vec<Hit>)> = BTreeMap::new();
        for (question, is_approval) in [(created, false), (approved, true)] {
            let hits = context.evidence.search(&question, &options)?.hits;
            let ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
            let rows = context.evidence.rows(&ids, &[Field::Name])?;
            for (hit, row) in hits.into_iter().zip(rows) {
                let Some(name) = row.into_iter().flatten().next() else { continue };
                let entry = by_name.entry(name).or_default();
                if is_approval { entry.1.push(hit) } else { entry.0.push(hit) }
            }
        }
        for (name, (mut created, approved)) in by_name {
            let in_order =
                created.first().zip(approved.last()).is_some_and(|(a, b)| a.time <= b.time);
            if !in_order {
                continue;
            }
            created.extend(approved);
            let group = Group {
                key: vec![("name".to_owned(), name)],
                first: created.first().and_then(|hit| hit.time),
                last: created.last().and_then(|hit| hit.time),
                ..Group::default()
            };
            answer.groups.push((group, created));
        }
        Ok(answer)
    }
}
