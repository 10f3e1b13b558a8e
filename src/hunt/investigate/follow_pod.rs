//! How a user, a pod and a binding are followed.

use std::net::IpAddr;

use crate::event::time::Timestamp;
use crate::hunt::confidence::Confidence;
use crate::hunt::investigate::ask::all;
use crate::hunt::investigate::ask::object;
use crate::hunt::investigate::ask::one_of;
use crate::hunt::investigate::ask::peer;
use crate::hunt::investigate::ask::refused;
use crate::hunt::investigate::ask::succeeded;
use crate::hunt::investigate::binding::Allowed;
use crate::hunt::investigate::follow_address::is_away_from;
use crate::hunt::investigate::trail::Lead;
use crate::hunt::investigate::trail::Role;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::investigate::trail::say;
use crate::hunt::state::value::at;
use crate::hunt::state::value::text_at;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::address::Interval;
use crate::ledger::credential::CredentialKey;
use crate::ledger::network::parse_address;
use crate::ledger::question;
use crate::search::error::SearchError;

/// Who sends no credential.
const ANONYMOUS: &str = "system:anonymous";

impl Trail<'_> {
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
