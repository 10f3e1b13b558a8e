//! How each lead is followed: an address, a credential, a user, a pod, a binding.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::hunt::investigate::ask::all;
use crate::hunt::investigate::ask::any_ip;
use crate::hunt::investigate::ask::object;
use crate::hunt::investigate::ask::one_of;
use crate::hunt::investigate::ask::peer;
use crate::hunt::investigate::ask::refused;
use crate::hunt::investigate::ask::succeeded;
use crate::hunt::investigate::binding::Allowed;
use crate::hunt::investigate::story::Confidence;
use crate::hunt::investigate::trail::Lead;
use crate::hunt::investigate::trail::Role;
use crate::hunt::investigate::trail::Suspect;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::investigate::trail::say;
use crate::hunt::state::value::at;
use crate::hunt::state::value::text_at;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::address::Interval;
use crate::ledger::address::Owner;
use crate::ledger::address::Pod;
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
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;

/// More uses of one credential than this are read no further; the answer says so.
const MAX_USES: usize = 5000;
/// More refusals from one address than this are read no further.
const MAX_REFUSALS: usize = 500;
/// More events that say whose an address was than this are not looked at.
const MAX_PROOF: usize = 24;
/// How soon after a refusal another identity counts as a switch, in microseconds.
const SOON: i64 = 3_600_000_000;
/// Who sends no credential.
const ANONYMOUS: &str = "system:anonymous";

impl Trail<'_> {
    /// Follows an address: refusals and strange identities, by the owner of that moment.
    pub(super) fn follow_address(&mut self, text: &str) -> Result<(), SearchError> {
        let Some(address) = parse_address(text) else { return Ok(()) };
        let denials = all(vec![peer(text), refused()]);
        let denied = self.ask.events(denials.clone(), MAX_REFUSALS)?;
        let astray: Vec<&Credential> = self
            .credentials()
            .filter(|c| c.origins.iter().any(|o| is_away_from(&o.judgement, &o.peer, text)))
            .collect();
        let ledger = &self.ledgers.addresses;
        let mut owners: BTreeSet<usize> = BTreeSet::new();
        let mut others = 0_usize;
        let mut own = Vec::new();
        for event in denied {
            let Some(time) = event.time else { continue };
            let owner = ledger.owner_at(&self.cluster, address, time);
            let nobodys = matches!(owner, Owner::Shared(_) | Owner::Balancer(_) | Owner::Loopback);
            if nobodys && self.clue_address.as_deref() != Some(text) {
                others += 1;
                continue;
            }
            if !self.is_strange_here(&event, &owner)? {
                own.push(event);
                continue;
            }
            let (confidence, why) = match owner {
                Owner::Pod(pod, interval) => {
                    owners.insert(interval.pod);
                    let why =
                        format!("refused while the address {text} belonged to pod {}", pod.title());
                    (Confidence::High, why)
                }
                Owner::Node(node) => (
                    Confidence::Medium,
                    format!(
                        "refused from {text}, the address of node {node}: which pod it was cannot be told"
                    ),
                ),
                Owner::Shared(why) | Owner::Balancer(why) => (
                    Confidence::Low,
                    format!("refused from {text}, which identifies nobody ({why})"),
                ),
                _ => (
                    Confidence::Medium,
                    format!("refused from {text}, whose owner at that moment is not known"),
                ),
            };
            self.take(event, Role::Denied, confidence, &why, &denials);
        }
        let mut times: Vec<Timestamp> = self
            .found
            .values()
            .filter(|found| found.event.peer() == text)
            .filter_map(|found| found.event.time)
            .collect();
        for credential in astray {
            for origin in &credential.origins {
                if is_away_from(&origin.judgement, &origin.peer, text) {
                    times.extend(origin.first);
                }
            }
            self.open(Lead::Credential { key: credential.key.clone(), sure: false });
        }
        for time in &times {
            if let Owner::Pod(_, interval) = ledger.owner_at(&self.cluster, address, *time) {
                owners.insert(interval.pod);
            }
        }
        for event in own {
            let time = event.time.unwrap_or(Timestamp(0));
            let Owner::Pod(pod, interval) = ledger.owner_at(&self.cluster, address, time) else {
                others += 1;
                continue;
            };
            // A pod that lacks a right is no attacker; one that was taken over says more by it.
            if owners.contains(&interval.pod) {
                let why = format!("the account of pod {} itself is refused there too", pod.title());
                self.take(event, Role::Denied, Confidence::Medium, &why, &denials);
            } else if times.is_empty() {
                let why = format!(
                    "the account of pod {} is refused from its own address: it may only lack a right",
                    pod.title()
                );
                owners.insert(interval.pod);
                self.take(event, Role::Denied, Confidence::Low, &why, &denials);
            } else {
                others += 1;
            }
        }
        if others > 0 {
            self.bystander(
                format!("other identities at {text}"),
                format!("{others} refusals of identities that belong there, or of nobody who can be named, are not followed"),
            );
        }
        self.own_identity_after_refusals(text)?;
        self.switch_behind_nobody(text, address)?;
        self.judge_owners(text, address, &owners, &times)?;
        if times.is_empty() && self.claims(text)? == 0 {
            let what = if others == 0 {
                "was refused nothing, and no identity was used from it that belongs elsewhere"
            } else {
                "identifies nobody, so its refusals are not followed"
            };
            say(&mut self.ends, format!("address {text}: {what}"));
        }
        Ok(())
    }

    /// Whether an identity does not belong where it was refused: it is nobody, its credential is
    /// used astray, or the pod of the address runs as somebody else.
    fn is_strange_here(
        &self,
        event: &TimelineEvent,
        owner: &Owner<'_>,
    ) -> Result<bool, SearchError> {
        if event.user.is_empty() || event.user == ANONYMOUS {
            return Ok(true);
        }
        let Some(key) = self.key_of(event)? else { return Ok(false) };
        let Some(credential) = self.credential(&key) else { return Ok(false) };
        let bound = credential.bound();
        if let Owner::Pod(pod, _) = owner {
            let account = crate::ledger::usage::service_account(&event.user);
            let named = credential.pod.is_some() || credential.pod_uid.is_some();
            return Ok(if named {
                !bound.is_pod(pod)
            } else {
                pod.service_account
                    .as_deref()
                    .is_some_and(|own| account != Some((pod.namespace.as_str(), own)))
            });
        }
        let judgement = self.judge_event(&bound, event);
        Ok(matches!(judgement, Judgement::Away(..)))
    }

    /// An identity that was refused from an address of the story and then got on.
    fn own_identity_after_refusals(&mut self, text: &str) -> Result<(), SearchError> {
        let refused: Vec<TimelineEvent> = self
            .found
            .values()
            .filter(|found| found.role == Role::Denied && found.event.peer() == text)
            .filter(|found| found.confidence > Confidence::Low)
            .map(|found| found.event.clone())
            .collect();
        let mut done: BTreeSet<(String, String)> = BTreeSet::new();
        for event in refused {
            let identity = (event.user.clone(), event.user_agent.clone());
            if event.user == ANONYMOUS || event.user.is_empty() || !done.insert(identity) {
                continue;
            }
            let question = all(vec![
                peer(text),
                question::is("user.username", &event.user),
                question::is("userAgent", &event.user_agent),
            ]);
            let Some(since) = event.time else { continue };
            let until = Timestamp(since.0.saturating_add(SOON));
            let why = format!(
                "the same identity with the same agent as in the refusals from {text}, within an hour"
            );
            for next in self.ask.between(question.clone(), since, until, MAX_REFUSALS)? {
                let role = if next.failed() { Role::Denied } else { Role::Use };
                self.take(next, role, Confidence::Medium, &why, &question);
            }
        }
        Ok(())
    }

    /// The identity switch at an address whose owner nobody can name: a credential that turned up
    /// there soon after the refusals, and that is used from elsewhere as well.
    fn switch_behind_nobody(&mut self, text: &str, address: IpAddr) -> Result<(), SearchError> {
        let refused = self.found.values().filter(|found| {
            found.role == Role::Denied
                && found.event.peer() == text
                && found.event.user == ANONYMOUS
        });
        let Some(first) = refused.filter_map(|found| found.event.time).min() else { return Ok(()) };
        let owner = self.ledgers.addresses.owner_at(&self.cluster, address, first);
        if matches!(owner, Owner::Pod(..) | Owner::Node(_) | Owner::Loopback) {
            return Ok(());
        }
        let soon = Timestamp(first.0.saturating_add(SOON));
        let mut switched = Vec::new();
        for credential in self.credentials() {
            let here =
                |peer: &Option<String>| peer.as_deref().and_then(parse_address) == Some(address);
            let first_here =
                credential.origins.iter().filter(|o| here(&o.peer)).filter_map(|o| o.first).min();
            let elsewhere = credential.origins.iter().any(|o| o.peer.is_some() && !here(&o.peer));
            if let Some(onset) = first_here.filter(|time| *time >= first && *time < soon) {
                if elsewhere && credential.user != ANONYMOUS && !Self::is_astray(credential) {
                    switched.push((credential.key.clone(), onset));
                }
            }
        }
        for (key, onset) in switched {
            self.follow_uses_since(&key, onset, Confidence::Low)?;
        }
        Ok(())
    }

    /// Takes in what proves the owners that the story touches, and names the others.
    fn judge_owners(
        &mut self,
        text: &str,
        address: IpAddr,
        owners: &BTreeSet<usize>,
        times: &[Timestamp],
    ) -> Result<(), SearchError> {
        let ledgers = self.ledgers;
        let ledger = &ledgers.addresses;
        for interval in ledger.intervals_of(&self.cluster, address) {
            let Some(pod) = ledger.pods.get(interval.pod) else { continue };
            if owners.contains(&interval.pod) {
                self.pods.insert(pod.title());
                self.prove(text, pod, interval)?;
                let (namespace, name) = (pod.namespace.clone(), pod.name.clone());
                self.open(Lead::Pod { namespace, name });
            } else if !self.pods.contains(&pod.title()) {
                let until = interval.until.map_or_else(
                    || "the end of the evidence".to_owned(),
                    |(until, _)| until.to_rfc3339(),
                );
                self.bystander(
                    format!("pod {}", pod.title()),
                    format!(
                        "had the address {text} from {} to {until}; nothing of the story happened then, so its events are not listed",
                        interval.since.to_rfc3339()
                    ),
                );
            }
        }
        if times.is_empty() {
            return Ok(());
        }
        let first = times.iter().min().copied().unwrap_or(Timestamp(0));
        let naming = all(vec![
            question::any("objectRef.resource", &["pods"]),
            question::is("objectRef.subresource", "status"),
            crate::hunt::investigate::ask::phrase(text),
        ]);
        match ledger.owner_at(&self.cluster, address, first) {
            Owner::Pod(..) | Owner::Loopback => {}
            Owner::Node(node) => {
                let pods = ledger.pods_on(&self.cluster, node, first);
                let names: Vec<String> = pods.iter().take(12).map(|pod| pod.title()).collect();
                let candidates = if names.is_empty() {
                    String::new()
                } else {
                    format!("; {} candidates, among them {}", pods.len(), names.join(", "))
                };
                let why = format!(
                    "{text} is the address of node {node}: the pod behind it is not identifiable{candidates}"
                );
                self.undecided("address-to-pod", why, &naming);
            }
            Owner::Shared(why) | Owner::Balancer(why) => {
                let why = format!("{text} identifies nobody: {why}");
                self.undecided("address-to-pod", why, &naming);
            }
            Owner::PodNetwork { node } => {
                let node = node.map(|node| format!(" of node {node}")).unwrap_or_default();
                let why = format!(
                    "{text} lies in the pod network{node}, and no event says whose it was at that moment (bodies of pods/status are needed)"
                );
                self.undecided("address-to-pod", why, &naming);
            }
            Owner::Unknown => {
                let why = format!(
                    "no event says whose address {text} was at that moment (bodies of pods/status are needed)"
                );
                self.undecided("address-to-pod", why, &naming);
            }
        }
        Ok(())
    }

    /// Takes in the writes whose own body gives the address to the pod.
    fn prove(&mut self, text: &str, pod: &Pod, interval: &Interval) -> Result<(), SearchError> {
        let question = all(vec![
            object("pods", &pod.namespace, &pod.name),
            question::is("objectRef.subresource", "status"),
            one_of("verb", &["update", "patch"]),
            succeeded(),
            crate::hunt::investigate::ask::phrase(text),
        ]);
        let mut proven = false;
        let until = interval.until.map_or(Timestamp(i64::MAX), |(until, _)| until);
        for event in self.ask.events(question.clone(), MAX_PROOF)? {
            if event.time.is_some_and(|time| time >= until) {
                break;
            }
            let believed = crate::ledger::observe::may_write_status(&event.user);
            let body = self.ask.body(&event)?;
            if believed && gives_address(at(&body, &["requestObject"]), text) {
                let why = format!("gives the address {text} to pod {}", pod.title());
                self.take(event, Role::Address, Confidence::High, &why, &question);
                proven = true;
            }
        }
        if !proven {
            let why = if interval.sources.iter().all(|source| *source == Source::Use) {
                format!(
                    "that {text} was pod {} is known only from the tokens used there, not from a body of pods/status",
                    pod.title()
                )
            } else {
                format!(
                    "no body of pods/status that gives {text} to pod {} is in the evidence",
                    pod.title()
                )
            };
            self.undecided("address-to-pod", why, &question);
        }
        Ok(())
    }

    /// Requests that only claim to come from an address: all but the last source can be made up.
    fn claims(&mut self, text: &str) -> Result<usize, SearchError> {
        let question = all(vec![any_ip(text), peer(text).negated()]);
        let claimed = self.ask.events(question.clone(), MAX_REFUSALS)?;
        if claimed.is_empty() {
            return Ok(0);
        }
        let proxies: BTreeSet<String> =
            claimed.iter().map(|event| event.peer().to_owned()).collect();
        let proxies: Vec<String> = proxies.into_iter().collect();
        let why = format!(
            "{text} is only claimed in {} events: the server vouches for {} alone, a proxy or whoever wrote the header",
            claimed.len(),
            proxies.join(", ")
        );
        self.undecided("address-to-pod", why.clone(), &question);
        say(&mut self.unknown, why);
        let mut taken = 0;
        let own = self.owner_title(text, claimed.first().and_then(|event| event.time));
        for event in claimed {
            let reason = format!("claims the address {text}, which its proxy does not vouch for");
            let refused = matches!(event.code, Some(401 | 403));
            let bound = self.key_of(&event)?.and_then(|key| self.credential(&key));
            let elsewhere = bound.is_some_and(|credential| {
                let pod = credential.pod.as_deref();
                own.as_ref()
                    .is_none_or(|own| pod.is_some_and(|pod| !own.ends_with(&format!("/{pod}"))))
            });
            if refused {
                self.take(event, Role::Denied, Confidence::Low, &reason, &question);
                taken += 1;
            } else if elsewhere {
                let key = bound.map(|credential| credential.key.clone());
                let onset = event.time;
                self.take(event, Role::Use, Confidence::Low, &reason, &question);
                taken += 1;
                if let (Some(key), Some(onset)) = (key, onset) {
                    self.follow_uses_since(&key, onset, Confidence::Low)?;
                }
            }
        }
        if let Some(own) = own.filter(|_| taken > 0) {
            self.bystander(
                format!("pod {own}"),
                format!("had the address {text}, which the events only claim"),
            );
        }
        Ok(taken)
    }

    fn owner_title(&self, text: &str, time: Option<Timestamp>) -> Option<String> {
        let address = parse_address(text)?;
        match self.ledgers.addresses.owner_at(&self.cluster, address, time?) {
            Owner::Pod(pod, _) => Some(pod.title()),
            _ => None,
        }
    }

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
    fn follow_uses_since(
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
        let bound = credential.bound();
        for event in events {
            if event.time.is_some_and(|time| time >= since) && !usual.contains(&event.user_agent) {
                let why = "the credential that turned up after the refusals, with an agent it was not used with before";
                self.open_from_use(&event);
                self.veil(&bound, &event);
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
            let (confidence, why) = weigh(&judgement, credential, sure, strong);
            picked.push((event, judgement, confidence, why));
        }
        for (event, judgement, confidence, why) in picked {
            self.open_from_use(&event);
            match judgement {
                Judgement::Away(..) => self.open(Lead::Address(event.peer().to_owned())),
                Judgement::Shared | Judgement::Undecidable(_) => {
                    self.veiled.insert((event.peer().to_owned(), event.user_agent.clone()));
                }
                Judgement::Own => {}
            }
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

    /// Remembers an address and agent that identify nobody.
    fn veil(&mut self, bound: &Bound<'_>, event: &TimelineEvent) {
        let judgement = self.judge_event(bound, event);
        if matches!(judgement, Judgement::Shared | Judgement::Undecidable(_)) {
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

    fn judge_event(&self, bound: &Bound<'_>, event: &TimelineEvent) -> Judgement {
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

    /// Follows a user by its name where nothing better names it.
    pub(super) fn follow_user(&mut self, name: &str, sure: bool) -> Result<(), SearchError> {
        if name == ANONYMOUS {
            let question = all(vec![Self::user_question(name), refused()]);
            let peers = self.ask.values(question, crate::event::field::Field::Peer)?;
            for (address, _) in peers.into_iter().take(20) {
                let inside = parse_address(&address).is_some_and(|a| {
                    self.ledgers.addresses.in_pod_network(&self.cluster, a)
                        || !self.ledgers.addresses.intervals_of(&self.cluster, a).is_empty()
                });
                if inside {
                    self.open(Lead::Address(address));
                }
            }
            return Ok(());
        }
        let own: Vec<CredentialKey> = self
            .credentials()
            .filter(|credential| credential.user == name)
            .filter(|credential| sure || Self::is_astray(credential))
            .map(|credential| credential.key.clone())
            .collect();
        for key in own {
            self.open(Lead::Credential { key, sure });
        }
        Ok(())
    }

    /// Follows a pod: its addresses, its credentials, and who made it.
    pub(super) fn follow_pod(&mut self, namespace: &str, name: &str) -> Result<(), SearchError> {
        let ledgers = self.ledgers;
        let pods: Vec<usize> = ledgers
            .addresses
            .pods
            .iter()
            .enumerate()
            .filter(|(_, pod)| pod.cluster == self.cluster && pod.name == name)
            .filter(|(_, pod)| namespace.is_empty() || pod.namespace == namespace)
            .map(|(place, _)| place)
            .collect();
        for place in pods {
            for (address, interval) in ledgers.addresses.addresses_of(place) {
                if self.is_touched(address, interval)? {
                    self.open(Lead::Address(address.to_string()));
                }
            }
        }
        let own: Vec<CredentialKey> = self
            .credentials()
            .filter(|c| c.pod.as_deref() == Some(name) && Self::is_astray(c))
            .map(|c| c.key.clone())
            .collect();
        for key in own {
            self.open(Lead::Credential { key, sure: false });
        }
        let question = all(vec![
            object("pods", namespace, name),
            question::is("verb", "create"),
            question::has("objectRef.subresource").negated(),
        ]);
        for event in self.ask.events(question, 8)? {
            self.open_maker(&event)?;
        }
        Ok(())
    }

    /// Whether something of a story happened while the address was the pod's.
    fn is_touched(&self, address: IpAddr, interval: &Interval) -> Result<bool, SearchError> {
        let text = address.to_string();
        let during = |time: Option<Timestamp>| time.is_some_and(|time| interval.holds_at(time));
        let used = self.credentials().any(|credential| {
            credential
                .origins
                .iter()
                .any(|o| is_away_from(&o.judgement, &o.peer, &text) && during(o.first))
        });
        if used {
            return Ok(true);
        }
        let until = interval.until.map_or(Timestamp(i64::MAX), |(until, _)| until);
        let question = all(vec![peer(&text), refused()]);
        Ok(!self.ask.between(question, interval.since, until, 1)?.is_empty())
    }

    /// Who made an object: the credential of its creation, up the chain of owners.
    fn open_maker(&mut self, event: &TimelineEvent) -> Result<(), SearchError> {
        let mut made = event.clone();
        for _ in 0..4 {
            let key = self.key_of(&made)?;
            if let Some(credential) = key.and_then(|key| self.credential(&key)) {
                if Self::is_astray(credential) {
                    self.open(Lead::Credential { key: credential.key.clone(), sure: false });
                    return Ok(());
                }
            }
            let body = self.ask.body(&made)?;
            let owners = ["requestObject", "responseObject"]
                .iter()
                .find_map(|b| at(&body, &[b, "metadata", "ownerReferences"]).get(0).cloned());
            let Some(owner) = owners else { return Ok(()) };
            let resource = crate::hunt::state::kind::resource_of_kind(&text_at(&owner, &["kind"]));
            let question = all(vec![
                object(&resource, &made.namespace, &text_at(&owner, &["name"])),
                question::is("verb", "create"),
            ]);
            match self.ask.events(question, 1)?.into_iter().next() {
                Some(next) => made = next,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Follows a binding that allowed a request of the story to whoever made or changed it.
    pub(super) fn follow_binding(&mut self, allowed: &Allowed) -> Result<(), SearchError> {
        let question = all(vec![
            object(allowed.resource(), &allowed.namespace, &allowed.name),
            one_of("verb", &["create", "update", "patch"]),
            succeeded(),
        ]);
        let why = format!(
            "made or changed {} {:?} of {}, by which the requests of the story were allowed to {}",
            allowed.kind, allowed.name, allowed.role, allowed.subject
        );
        let mut any = false;
        for event in self.ask.events(question.clone(), 50)? {
            // The server reconciles its own default bindings at every start.
            if event.user == "system:apiserver" {
                continue;
            }
            any = true;
            self.take(event, Role::Binding, Confidence::High, &why, &question);
        }
        if !any {
            say(
                &mut self.ends,
                format!(
                    "{} {} ({} to {}): it was made before this evidence begins, or in a part of it that is missing",
                    allowed.kind, allowed.name, allowed.role, allowed.subject
                ),
            );
        }
        Ok(())
    }
}

fn is_away_from(judgement: &Judgement, peer: &Option<String>, address: &str) -> bool {
    let same = peer.as_deref().and_then(parse_address) == parse_address(address);
    matches!(judgement, Judgement::Away(..)) && same
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

/// Whether a body of pods/status gives this address to its pod.
fn gives_address(body: &serde_json::Value, address: &str) -> bool {
    let wanted = parse_address(address);
    let same = |text: &str| {
        let bare = text.split('/').next().unwrap_or_default();
        wanted.is_some() && parse_address(bare) == wanted
    };
    let status = at(body, &["status"]);
    if same(&text_at(status, &["podIP"])) {
        return true;
    }
    let listed = crate::hunt::state::value::items_at(status, &["podIPs"]);
    if listed.iter().any(|entry| same(&text_at(entry, &["ip"]))) {
        return true;
    }
    // Both annotations are JSON in a string (formats.md 2.4); an address stands in quotes there.
    let annotations = at(body, &["metadata", "annotations"]);
    ["k8s.ovn.org/pod-networks", "k8s.v1.cni.cncf.io/network-status"]
        .iter()
        .any(|key| text_at(annotations, &[key]).split('"').any(same))
}

/// The question that finds every event of the story's credentials.
pub fn suspects_question(trail: &Trail<'_>) -> QueryAst {
    QueryAst::any_of(trail.suspects.iter().map(|suspect| suspect.question.clone()).collect())
}
