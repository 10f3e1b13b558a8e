//! A credential used away from the pod or node it is bound to: the accusation of theft.
//!
//! Only the ledger accuses ([`crate::ledger::judge`]): a token's own pod address and its own
//! node's address are one origin, shared addresses prove nothing (attribution.md, rules 3 and 6).

use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::finding::Group;
use crate::hunt::hunts::Hunt;
use crate::hunt::hunts::HuntAnswer;
use crate::hunt::hunts::HuntContext;
use crate::hunt::hunts::Intro;
use crate::hunt::hunts::uses;
use crate::ledger::credential::Credential;
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct TokenAwayFromPod;

const INTRO: Intro = Intro {
    rule: "token-away-from-pod",
    id: "6f0c8f3f-6f0a-4f5b-9a55-0b7a52a3c101",
    title: "Token used away from its pod",
    level: Level::Critical,
    tags: &[
        "attack.credential-access",
        "attack.t1528",
        "attack.lateral-movement",
        "attack.t1550.001",
    ],
    description: "A token was used from the address of another pod, of another node, or from \
        outside, while it is bound to a pod elsewhere: it was stolen or handed on. All uses of \
        the credential are listed, because what came from a shared address may be the thief too.",
    falsepositives: &["A pod that was moved while its address ledger has a gap."],
};

impl Hunt for TokenAwayFromPod {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let ledgers = context.ledgers()?;
        let mut answer = HuntAnswer::default();
        if ledgers.credentials.used.is_empty() {
            answer.undecidable = Some("no event names a credential, a pod or an agent".to_owned());
            return Ok(answer);
        }
        for credential in ledgers.credentials.used.values() {
            let reasons = reasons(credential);
            if reasons.is_empty() {
                continue;
            }
            let hits = uses(context, credential)?;
            if hits.is_empty() {
                continue;
            }
            answer.groups.push((group(credential, &reasons), hits));
        }
        Ok(answer)
    }
}

/// One sentence for each place that accuses.
fn reasons(credential: &Credential) -> Vec<String> {
    let mut reasons = Vec::new();
    for (origin, away) in credential.accused() {
        let text = format!(
            "used from {} with {}: {away}",
            origin.peer.as_deref().unwrap_or("an unknown address"),
            origin.agent.as_deref().unwrap_or("no agent"),
        );
        if !reasons.contains(&text) {
            reasons.push(text);
        }
    }
    reasons
}

pub(super) fn group(credential: &Credential, reasons: &[String]) -> Group {
    let mut key = vec![
        ("credential".to_owned(), credential.key.to_string()),
        ("user.username".to_owned(), credential.user.clone()),
    ];
    for (name, value) in [("pod", &credential.pod), ("node", &credential.node)] {
        if let Some(value) = value {
            key.push((name.to_owned(), value.clone()));
        }
    }
    let mut addresses: Vec<&str> =
        credential.origins.iter().filter_map(|origin| origin.peer.as_deref()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let mut agents: Vec<&str> =
        credential.origins.iter().filter_map(|origin| origin.agent.as_deref()).collect();
    agents.sort_unstable();
    agents.dedup();
    let mut why = reasons.join("; ");
    if let Some(mint) = &credential.mint {
        why.push_str(&format!("; minted for {}", mint.account));
    }
    Group {
        key,
        first: credential.first,
        last: credential.last,
        measured: format!("{} addresses, {} agents", addresses.len(), agents.len()),
        why,
        ..Group::default()
    }
}
