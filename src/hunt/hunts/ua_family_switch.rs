//! A workload's credential in the hands of another kind of client.

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
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct UaFamilySwitch;

const INTRO: Intro = Intro {
    rule: "ua-family-switch",
    id: "4f4b0f1e-64f0-4f9d-8f8e-2a6d5c9a7b03",
    title: "Credential changed its kind of client",
    level: Level::Medium,
    tags: &["attack.credential-access", "attack.t1528"],
    description: "One credential of a workload was used with several kinds of clients, one of \
        them a tool for people or scripts (kubectl, oc, curl, python). Agents are what clients \
        claim: this supports other findings and proves nothing alone.",
    falsepositives: &["Images that run kubectl or curl beside their own client."],
};

/// Agents that people and scripts use, by the part before the slash.
const TOOLS: [&str; 12] = [
    "kubectl",
    "oc",
    "curl",
    "wget",
    "python-requests",
    "python-urllib",
    "openapi-generator",
    "go-http-client",
    "helm",
    "k9s",
    "libwww-perl",
    "mozilla",
];

impl Hunt for UaFamilySwitch {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let ledgers = context.ledgers()?;
        let mut answer = HuntAnswer::default();
        for credential in ledgers.credentials.used.values() {
            let workload = credential.pod.is_some() || credential.pod_uid.is_some();
            let families = families(credential);
            let tools = families.iter().filter(|f| TOOLS.contains(&f.as_str())).count();
            // Two agents of one image are ordinary, two tools of people are not.
            let odd = tools >= 2 || (tools == 1 && families.len() >= 3);
            if !workload || !credential.key.is_strong() || !odd {
                continue;
            }
            let hits = uses(context, credential)?;
            if !hits.is_empty() {
                let list: Vec<String> = families.into_iter().collect();
                let why = vec![format!("used with {}", list.join(", "))];
                answer.groups.push((group(credential, &why), hits));
            }
        }
        Ok(answer)
    }
}

/// The part of every agent before its version.
fn families(credential: &Credential) -> BTreeSet<String> {
    credential
        .origins
        .iter()
        .filter_map(|origin| origin.agent.as_deref())
        .map(|agent| agent.split(['/', ' ']).next().unwrap_or_default().to_ascii_lowercase())
        .filter(|family| !family.is_empty())
        .collect()
}
