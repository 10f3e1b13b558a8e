//! One credential at two origins, where a token's own pod and its own node are one origin and
//! shared addresses are none (attribution.md, rules 3 and 6).

use std::collections::BTreeSet;

use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::hunts::Hunt;
use crate::hunt::hunts::HuntAnswer;
use crate::hunt::hunts::HuntContext;
use crate::hunt::hunts::Intro;
use crate::hunt::hunts::token_away_from_pod::group;
use crate::hunt::hunts::uses;
use crate::ledger::credential::Credential;
use crate::ledger::judge::Judgement;
use crate::ledger::judge::Strength;
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct CredentialTwoAddresses;

const INTRO: Intro = Intro {
    rule: "credential-two-addresses",
    id: "0c27a6f7-3a55-4d6f-8d09-5d2a1e7c4b02",
    title: "Credential used from a second origin",
    level: Level::High,
    tags: &[
        "attack.credential-access",
        "attack.t1528",
        "attack.lateral-movement",
        "attack.t1550.001",
    ],
    description: "One credential was used where it belongs and elsewhere as well. Its own pod and \
        its own node count as one origin, addresses of many identities count as none; what \
        remains is a copy of the credential.",
    falsepositives: &["A pod that was moved while its address ledger has a gap."],
};

impl Hunt for CredentialTwoAddresses {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let ledgers = context.ledgers()?;
        let mut answer = HuntAnswer::default();
        let mut without_id = 0_usize;
        for credential in ledgers.credentials.used.values() {
            without_id += usize::from(!credential.key.is_strong());
            let origins = origins(credential);
            if origins.len() < 2 {
                continue;
            }
            let hits = uses(context, credential)?;
            if !hits.is_empty() {
                let reasons: Vec<String> =
                    origins.iter().map(|origin| format!("used at {origin}")).collect();
                answer.groups.push((group(credential, &reasons), hits));
            }
        }
        if without_id == ledgers.credentials.used.len() {
            answer.notes.push(
                "no event carries a credential id (Kubernetes before 1.30): credentials are told \
                 apart by pod or agent, which is weak"
                    .to_owned(),
            );
        }
        Ok(answer)
    }
}

/// The different origins that count.
fn origins(credential: &Credential) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut away = false;
    for origin in &credential.origins {
        match &origin.judgement {
            Judgement::Own => {
                found.insert("its own pod or node".to_owned());
            }
            Judgement::Away(why, Strength::Strong) => {
                away = true;
                let peer = origin.peer.as_deref().unwrap_or("an unknown address");
                found.insert(format!("{peer} ({why})"));
            }
            Judgement::Away(..) | Judgement::Shared | Judgement::Undecidable(_) => {}
        }
    }
    if away { found } else { BTreeSet::new() }
}
