//! How a credential is followed: its uses weighed one by one, its mint, what allowed them.

use std::collections::BTreeSet;

use crate::event::time::Timestamp;
use crate::hunt::confidence::Confidence;
use crate::hunt::investigate::binding::Allowed;
use crate::hunt::investigate::trail::Lead;
use crate::hunt::investigate::trail::Role;
use crate::hunt::investigate::trail::Suspect;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::investigate::trail::say;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::address::Owner;
use crate::ledger::credential::Credential;
use crate::ledger::credential::CredentialKey;
use crate::ledger::judge::Bound;
use crate::ledger::judge::Judgement;
use crate::ledger::judge::Strength;
use crate::ledger::judge::judge;
use crate::ledger::network::parse_address;
use crate::ledger::observe::Source;
use crate::ledger::question;
use crate::ledger::usage::is_aggregated;
use crate::search::error::SearchError;

/// More uses of one credential than this are read no further; the answer says so.
const MAX_USES: usize = 5000;

impl Trail<'_> {
    /// Follows a credential that something accuses, or that belongs to the story anyway.
    pub(super) fn follow_credential(
        &mut self,
        key: &CredentialKey,
        sure: bool,
    ) -> Result<(), SearchError> {
        let Some(credential) = self.credential(key) else {
            if let CredentialKey::Id(id) = key {
                self.take_mint(id)?;
                if sure {
                    say(
                        &mut self.ends,
                        format!("credential {id}: minted, and no use of it is in the evidence"),
                    );
                }
            }
            return Ok(());
        };
        let strong = credential.accused().next().is_some();
        let suspected = Self::is_astray(credential);
        if !(sure || suspected) {
            say(
                &mut self.ends,
                format!(
                    "credential {key} of {}: nothing says that it was used by anybody but its owner",
                    credential.user
                ),
            );
            return Ok(());
        }
        let events = self.ask.events(credential.question(), MAX_USES)?;
        if events.len() == MAX_USES {
            say(&mut self.notes, format!("only the first {MAX_USES} uses of {key} were read"));
        }
        self.take_uses(credential, events, sure, strong)
    }

    /// Takes in the uses of a credential since a moment, whatever its origins say.
    pub(super) fn follow_uses_since(
        &mut self,
        key: &CredentialKey,
        since: Timestamp,
        confidence: Confidence,
    ) -> Result<(), SearchError> {
        let Some(credential) = self.credential(key) else { return Ok(()) };
        let events = self.ask.events(credential.question(), MAX_USES)?;
        let before = |event: &&TimelineEvent| event.time.is_some_and(|time| time < since);
        let usual: BTreeSet<String> =
            events.iter().filter(before).map(|event| event.user_agent.clone()).collect();
        let question = credential.question();
        for event in events {
            if event.time.is_some_and(|time| time >= since) && !usual.contains(&event.user_agent) {
                let why = "the credential that turned up after the refusals, with an agent it was not used with before";
                self.open_from_use(&event);
                self.veil(&event);
                self.take(event, Role::Use, confidence, why, &question);
            }
        }
        self.suspect(credential, Some(since));
        self.mint_of(credential)
    }

    fn take_uses(
        &mut self,
        credential: &Credential,
        events: Vec<TimelineEvent>,
        sure: bool,
        strong: bool,
    ) -> Result<(), SearchError> {
        let bound = credential.bound();
        let judged: Vec<(TimelineEvent, Judgement)> = events
            .into_iter()
            .map(|event| {
                let judgement = self.judge_event(&bound, &event);
                (event, judgement)
            })
            .collect();
        let away = |judgement: &Judgement| matches!(judgement, Judgement::Away(..));
        let onset = judged.iter().filter(|(_, j)| away(j)).filter_map(|(e, _)| e.time).min();
        let strange: BTreeSet<&str> =
            judged.iter().filter(|(_, j)| away(j)).map(|(e, _)| e.user_agent.as_str()).collect();
        let mut usual: BTreeSet<String> = judged
            .iter()
            .filter(|(event, j)| !away(j) && onset.is_none_or(|onset| event.time < Some(onset)))
            .map(|(event, _)| event.user_agent.clone())
            .filter(|agent| !strange.contains(agent.as_str()))
            .collect();
        self.usual_agents_of_user(credential, onset, &mut usual);
        if sure {
            usual.clear();
        }
        let question = credential.question();
        let mut left_out = 0_usize;
        let mut picked = Vec::new();
        for (event, judgement) in judged {
            if !away(&judgement) && usual.contains(&event.user_agent) {
                left_out += 1;
                continue;
            }
            let unplaced = judgement == Judgement::Own && self.is_placed_by_use_alone(&event);
            let (confidence, why) = if unplaced && !sure {
                weigh(&Judgement::Shared, credential, sure, strong)
            } else {
                weigh(&judgement, credential, sure, strong)
            };
            picked.push((event, judgement, confidence, why));
        }
        for (event, judgement, confidence, why) in picked {
            self.open_from_use(&event);
            if matches!(judgement, Judgement::Away(..)) {
                self.open(Lead::Address(event.peer().to_owned()));
            }
            self.veil(&event);
            let role = if event.failed() && matches!(event.code, Some(401 | 403)) {
                Role::Denied
            } else {
                Role::Use
            };
            self.take(event, role, confidence, &why, &question);
        }
        if left_out > 0 {
            say(
                &mut self.unknown,
                format!(
                    "{left_out} requests with {} by agents that its owner used before look like the owner going on; a thief with the same agent in the same place could not be told apart",
                    credential.key
                ),
            );
        }
        if let Some(pod) = &credential.pod {
            let namespace = crate::ledger::usage::service_account(&credential.user)
                .map_or("", |(namespace, _)| namespace);
            self.pods.insert(format!("{namespace}/{pod}"));
        }
        self.suspect(credential, onset);
        self.mint_of(credential)
    }

    /// Whether only the use itself connects the address with the pod: that proves nothing about a
    /// credential that went astray.
    fn is_placed_by_use_alone(&self, event: &TimelineEvent) -> bool {
        let (Some(address), Some(time)) = (parse_address(event.peer()), event.time) else {
            return false;
        };
        match self.ledgers.addresses.owner_at(&self.cluster, address, time) {
            Owner::Pod(_, interval) => interval.sources.iter().all(|s| *s == Source::Use),
            _ => false,
        }
    }

    /// Remembers an address that is neither a pod's nor a node's, with its agent: what is behind
    /// it the audit log does not tell.
    fn veil(&mut self, event: &TimelineEvent) {
        let (Some(address), Some(time)) = (parse_address(event.peer()), event.time) else { return };
        let owner = self.ledgers.addresses.owner_at(&self.cluster, address, time);
        let known =
            matches!(
                owner,
                Owner::Pod(_, interval) if interval.sources.iter().any(|s| *s != Source::Use)
            ) || matches!(owner, Owner::Node(_) | Owner::PodNetwork { .. } | Owner::Loopback);
        if !known && !is_aggregated(Some(event.log.as_str())) {
            self.veiled.insert((event.peer().to_owned(), event.user_agent.clone()));
        }
    }

    /// What an event of the story leads to: the binding that allowed it.
    fn open_from_use(&mut self, event: &TimelineEvent) {
        if let Some(allowed) = Allowed::parse(&event.reason) {
            if !allowed.is_everybodys() {
                self.open(Lead::Binding(allowed));
            }
        }
    }

    pub(super) fn judge_event(&self, bound: &Bound<'_>, event: &TimelineEvent) -> Judgement {
        if is_aggregated(Some(event.log.as_str())) {
            // It sees the front proxy; the front server's record of the request decides.
            return Judgement::Own;
        }
        let time = event.time.unwrap_or(Timestamp(0));
        judge(&self.ledgers.addresses, bound, parse_address(event.peer()), time)
    }

    /// Agents the same user is known to use with other credentials nothing is said against.
    fn usual_agents_of_user(
        &self,
        credential: &Credential,
        onset: Option<Timestamp>,
        usual: &mut BTreeSet<String>,
    ) {
        let strange: BTreeSet<&Option<String>> = credential
            .origins
            .iter()
            .filter(|origin| matches!(origin.judgement, Judgement::Away(..)))
            .map(|origin| &origin.agent)
            .collect();
        for other in self.credentials() {
            if other.user != credential.user
                || other.key == credential.key
                || Self::is_astray(other)
            {
                continue;
            }
            for origin in &other.origins {
                let before = onset.is_none_or(|onset| origin.first < Some(onset));
                if before && !strange.contains(&origin.agent) {
                    usual.extend(origin.agent.clone());
                }
            }
        }
    }

    fn suspect(&mut self, credential: &Credential, onset: Option<Timestamp>) {
        let label = credential.key.to_string();
        if self.suspects.iter().any(|known| known.label == label) {
            return;
        }
        if !credential.key.is_strong() {
            say(
                &mut self.unknown,
                format!(
                    "this evidence names no credential id for {}: its uses are told apart by user, pod and agent only, which is weak",
                    credential.user
                ),
            );
        }
        self.suspects.push(Suspect {
            label,
            user: credential.user.clone(),
            pod: credential.pod.clone(),
            node: credential.node.clone(),
            onset,
            strong: credential.key.is_strong(),
            question: credential.question(),
        });
    }

    fn mint_of(&mut self, credential: &Credential) -> Result<(), SearchError> {
        if let CredentialKey::Id(id) = &credential.key {
            if self.take_mint(id)? {
                return Ok(());
            }
        }
        let question =
            question::is(crate::event::field::ISSUED_CREDENTIAL_ID, &credential.key.to_string());
        let why = if credential.key.is_strong() {
            format!("no event that mints {} is in the evidence", credential.key)
        } else {
            "without credential ids a token cannot be joined to the request that minted it"
                .to_owned()
        };
        self.undecided("token-mint", why, &question);
        Ok(())
    }

    fn take_mint(&mut self, id: &str) -> Result<bool, SearchError> {
        let question = question::is(crate::event::field::ISSUED_CREDENTIAL_ID, id);
        let mints = self.ask.events(question.clone(), 4)?;
        let any = !mints.is_empty();
        for event in mints {
            let why = "issued the credential that the story is about (issued-credential-id equals credential-id)";
            self.take(event, Role::Mint, Confidence::High, why, &question);
        }
        Ok(any)
    }
}

/// How sure a use is, and why.
fn weigh(
    judgement: &Judgement,
    credential: &Credential,
    sure: bool,
    strong: bool,
) -> (Confidence, String) {
    let home = match (&credential.pod, &credential.node) {
        (Some(pod), Some(node)) => format!("bound to pod {pod} on node {node}"),
        (Some(pod), None) => format!("bound to pod {pod}"),
        _ => "bound to nothing".to_owned(),
    };
    let capped = |confidence: Confidence| {
        if credential.key.is_strong() { confidence } else { confidence.min(Confidence::Medium) }
    };
    if sure {
        return (
            capped(Confidence::High),
            "a credential that the story itself brought into being".into(),
        );
    }
    match judgement {
        Judgement::Away(away, strength) => {
            let confidence =
                if *strength == Strength::Strong { Confidence::High } else { Confidence::Medium };
            (capped(confidence), format!("the credential is {home}, and {away}"))
        }
        Judgement::Shared => (
            capped(if strong { Confidence::High } else { Confidence::Medium }),
            format!(
                "the stolen credential ({home}), with an agent its owner never used, from an address that identifies nobody"
            ),
        ),
        Judgement::Own => (
            Confidence::Medium,
            format!(
                "the stolen credential ({home}), from where it belongs, but with an agent its owner never used"
            ),
        ),
        Judgement::Undecidable(why) => {
            (Confidence::Medium, format!("the stolen credential ({home}); {why}"))
        }
    }
}
