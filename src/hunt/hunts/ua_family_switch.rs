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
use crate::query::platform::PLATFORM_NAMESPACES;
use crate::sigma::rule::Level;

/// See the module's text.
#[derive(Debug)]
pub struct UaFamilySwitch;

const INTRO: Intro = Intro {
    rule: "ua-family-switch",
    id: "4f4b0f1e-64f0-4f9d-8f8e-2a6d5c9a7b03",
    title: "Credential changed its kind of client",
    level: Level::High,
    tags: &["attack.credential-access", "attack.t1528"],
    description: "The credential of a workload was used with curl or a scripting language and with \
        a command line for people (kubectl, oc, helm). A program keeps its client library; a thief \
        uses what is at hand. Agents are what clients claim: this supports other findings and \
        proves nothing alone.",
    falsepositives: &["Debug pods and build images that hold both."],
};

/// Agents of scripts, by the part before the version.
const SCRIPTS: [&str; 16] = [
    "curl",
    "wget",
    "python",
    "python-requests",
    "python-urllib",
    "openapi-generator",
    "aiohttp",
    "go-http-client",
    "perl",
    "libwww-perl",
    "ruby",
    "java",
    "node-fetch",
    "axios",
    "php",
    "powershell",
];

/// Agents of command lines for people.
const COMMAND_LINES: [&str; 6] = ["kubectl", "oc", "helm", "k9s", "kubens", "mozilla"];

impl Hunt for UaFamilySwitch {
    fn card(&self) -> Card {
        INTRO.card()
    }

    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError> {
        let ledgers = context.ledgers()?;
        let mut answer = HuntAnswer::default();
        for credential in ledgers.credentials.used.values() {
            if !is_workload(credential) || !credential.key.is_strong() {
                continue;
            }
            let families = families(credential);
            let has = |list: &[&str]| families.iter().any(|f| list.contains(&f.as_str()));
            // Several agents of one image are ordinary; a script beside a person's tool is not.
            if !has(&SCRIPTS) || !has(&COMMAND_LINES) {
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

/// Says whether a credential belongs to a pod, or to a service account that is none of the
/// platform's.
fn is_workload(credential: &Credential) -> bool {
    let bound = credential.pod.is_some() || credential.pod_uid.is_some();
    let account = credential.user.strip_prefix("system:serviceaccount:");
    let namespace = account.and_then(|account| account.split(':').next());
    bound || namespace.is_some_and(|namespace| !PLATFORM_NAMESPACES.contains(&namespace))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::time::TimeRange;
    use crate::search::scan::MemoryEvidence;

    /// Uses of credentials: name, user, agent.
    fn found(uses: &[(&str, &str, &str)]) -> Vec<usize> {
        let lines: Vec<String> = uses
            .iter()
            .enumerate()
            .map(|(at, (id, user, agent))| {
                format!(
                    r#"{{"auditID":"{at}","stage":"ResponseComplete","verb":"get","user":{{"username":"{user}","extra":{{"authentication.kubernetes.io/credential-id":["JTI={id}"]}}}},"sourceIPs":["198.51.100.7"],"userAgent":"{agent}","responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-03-02T09:00:{at:02}.000000Z"}}"#
                )
            })
            .collect();
        let evidence = MemoryEvidence::from_lines("t", &lines.join("\n"));
        let context = HuntContext::new(&evidence, TimeRange::ALL);
        let answer = UaFamilySwitch.run(&context).unwrap();
        answer.groups.iter().map(|(_, hits)| hits.len()).collect()
    }

    #[test]
    fn a_script_beside_a_command_line_is_odd_and_anything_else_is_not() {
        let web = "system:serviceaccount:shop:web";
        let kubectl = "kubectl/v1.31.2 (linux/amd64) kubernetes/a1b2c3d";
        assert_eq!(found(&[("a", web, "curl/8.5.0"), ("a", web, kubectl)]), [2]);
        // Two credentials, two command lines, a program and its helper, a platform's account.
        assert!(found(&[("a", web, "curl/8.5.0"), ("b", web, kubectl)]).is_empty());
        assert!(found(&[("a", web, "oc/4.20.0"), ("a", web, kubectl)]).is_empty());
        assert!(found(&[("a", web, "web/v1.2"), ("a", web, kubectl)]).is_empty());
        let platform = "system:serviceaccount:kube-system:x";
        assert!(found(&[("a", platform, "curl/8.5.0"), ("a", platform, kubectl)]).is_empty());
    }
}
