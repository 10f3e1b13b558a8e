//! A mutating webhook was set up or changed, and objects came out of it changed.

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::words::fold;
use crate::event::words::words;
use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::finding::Group;
use crate::hunt::hunts::Hunt;
use crate::hunt::hunts::HuntAnswer;
use crate::hunt::hunts::HuntContext;
use crate::hunt::hunts::Intro;
use crate::hunt::hunts::any_equals;
use crate::query::ast::QueryAst;
use crate::query::ast::WordPattern;
use crate::search::evidence::SearchOptions;
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct WebhookMutation;

const INTRO: Intro = Intro {
    rule: "webhook-mutation",
    id: "d9f1c3b5-2e4a-4b6c-9d8e-1f2a3b4c5d08",
    title: "New webhook changed objects",
    level: Level::High,
    tags: &["attack.persistence", "attack.t1546"],
    description: "A mutating webhook was set up or changed by somebody who is no part of the \
        platform, and within a day the API server noted that it changed objects.",
    falsepositives: &["Service meshes and policy engines being installed."],
};

const DAY: i64 = 86_400_000_000;
/// Changed objects shown.
const SHOWN: usize = 50;

impl Hunt for WebhookMutation {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let mut answer = HuntAnswer::default();
        let options = SearchOptions { range: context.range, ..SearchOptions::default() };
        let question = QueryAst::all_of(vec![
            QueryAst::path_equals("objectRef.resource", "mutatingwebhookconfigurations"),
            any_equals("verb", &["create", "update", "patch"]),
            any_equals("responseStatus.code", &["200", "201"]),
            crate::query::platform::platform_identities().negated(),
        ]);
        let changes = context.evidence.search(&question, &options)?.hits;
        let ids: Vec<_> = changes.iter().map(|hit| hit.id).collect();
        let names = context.evidence.rows(&ids, &[Field::Name])?;
        for (change, row) in changes.into_iter().zip(names) {
            let (Some(Timestamp(at)), Some(name)) = (change.time, row.into_iter().flatten().next())
            else {
                continue;
            };
            let range = TimeRange {
                since: Some(Timestamp(at)),
                until: Some(Timestamp(at.saturating_add(DAY))),
            };
            let options = SearchOptions { range, limit: SHOWN, ..SearchOptions::default() };
            let mutated = context.evidence.search(&mutated_by(&name), &options)?;
            if mutated.hits.is_empty() {
                continue;
            }
            let mut hits = vec![change];
            hits.extend(mutated.hits);
            let group = Group {
                key: vec![("webhook configuration".to_owned(), name)],
                first: hits.first().and_then(|hit| hit.time),
                last: hits.last().and_then(|hit| hit.time),
                measured: format!("{} objects changed", mutated.total),
                ..Group::default()
            };
            answer.groups.push((group, hits));
        }
        Ok(answer)
    }
}

/// The annotation `mutation.webhook.admission.k8s.io/round_N_index_M` holds
/// `{"configuration":"NAME","webhook":"...","mutated":true}` (k8s.io/apiserver
/// pkg/admission/plugin/webhook/mutating/dispatcher.go).
fn mutated_by(name: &str) -> QueryAst {
    let is = |word: &str| WordPattern::Is(fold(word));
    let mut phrase = vec![is("configuration")];
    phrase.extend(words(name).map(is));
    phrase.push(is("webhook"));
    QueryAst::all_of(vec![
        QueryAst::Words(phrase),
        QueryAst::Words(vec![is("mutated"), is("true")]),
    ])
}
