//! Tokens minted by somebody who is no kubelet, and what was done with them (KEP-4193).

use crate::event::field::Field;
use crate::event::field::ISSUED_CREDENTIAL_ID;
use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::hunts::Hunt;
use crate::hunt::hunts::HuntAnswer;
use crate::hunt::hunts::HuntContext;
use crate::hunt::hunts::Intro;
use crate::hunt::hunts::token_away_from_pod::group;
use crate::hunt::hunts::uses;
use crate::ledger::credential::Mint;
use crate::query::ast::QueryAst;
use crate::search::evidence::SearchOptions;
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct TokenLineage;

const INTRO: Intro = Intro {
    rule: "token-lineage",
    id: "a1b0d8f4-7f5b-4f5c-9a0e-6b1d2c3e4f04",
    title: "Minted token used by somebody else",
    level: Level::Medium,
    tags: &["attack.credential-access", "attack.t1528", "attack.persistence", "attack.t1098"],
    description: "A person or workload asked for the token of a service account, and the token \
        was used afterwards. Kubelets and controllers ask for tokens all the time and are left \
        out.",
    falsepositives: &[
        "oc create token and kubectl create token in scripts.",
        "Vault and CI agents.",
    ],
};

impl Hunt for TokenLineage {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let ledgers = context.ledgers()?;
        let mut answer = HuntAnswer::default();
        let options = SearchOptions { range: context.range, ..SearchOptions::default() };
        for credential in ledgers.credentials.used.values() {
            let Some(mint) = credential.mint.as_ref().filter(|mint| !by_platform(mint)) else {
                continue;
            };
            let minted = QueryAst::equals(Field::path(ISSUED_CREDENTIAL_ID), &mint.id);
            let mut hits = context.evidence.search(&minted, &options)?.hits;
            hits.extend(uses(context, credential)?);
            hits.sort_by_key(|hit| (hit.time, hit.place));
            hits.dedup_by_key(|hit| hit.id);
            if !hits.is_empty() {
                let why = vec![format!("minted by {} for {}", mint.by, mint.account)];
                answer.groups.push((group(credential, &why), hits));
            }
        }
        Ok(answer)
    }
}

/// Who mints tokens for a living: kubelets, the controller manager, operators of OpenShift.
fn by_platform(mint: &Mint) -> bool {
    mint.by.starts_with("system:node:")
        || mint.by == "system:kube-controller-manager"
        || mint.by.starts_with("system:serviceaccount:kube-system:")
        || mint.by.starts_with("system:serviceaccount:openshift-")
}
