//! How an address is followed: refusals and strange identities, by the owner of that moment.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::hunt::confidence::Confidence;
use crate::hunt::investigate::ask::all;
use crate::hunt::investigate::ask::any_ip;
use crate::hunt::investigate::ask::object;
use crate::hunt::investigate::ask::one_of;
use crate::hunt::investigate::ask::peer;
use crate::hunt::investigate::ask::refused;
use crate::hunt::investigate::ask::succeeded;
use crate::hunt::investigate::trail::Lead;
use crate::hunt::investigate::trail::Role;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::investigate::trail::say;
use crate::hunt::state::value::at;
use crate::hunt::state::value::text_at;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::address::Interval;
use crate::ledger::address::Owner;
use crate::ledger::address::Pod;
use crate::ledger::credential::Credential;
use crate::ledger::judge::Judgement;
use crate::ledger::network::parse_address;
use crate::ledger::observe::Source;
use crate::ledger::question;
use crate::search::error::SearchError;

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
}

/// Whether an origin is this address, and away from where the credential belongs.
pub(super) fn is_away_from(judgement: &Judgement, peer: &Option<String>, address: &str) -> bool {
    let same = peer.as_deref().and_then(parse_address) == parse_address(address);
    matches!(judgement, Judgement::Away(..)) && same
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
