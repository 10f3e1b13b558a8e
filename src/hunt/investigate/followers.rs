//! What the story's own objects went on to do: tokens, accounts, pods and grants it made.

use crate::event::field::ISSUED_CREDENTIAL_ID;
use crate::hunt::confidence::Confidence;
use crate::hunt::investigate::classify::is_workload;
use crate::hunt::investigate::consequence::made;
use crate::hunt::investigate::trail::Lead;
use crate::hunt::investigate::trail::Role;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::credential::CredentialKey;
use crate::ledger::question;
use crate::ledger::usage::service_account;
use crate::search::error::SearchError;

/// More requests allowed by one grant of the story than this are read no further.
const MAX_GRANTED: usize = 500;

impl Trail<'_> {
    /// Opens a lead for everything the story brought into being.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn open_followers(&mut self) -> Result<(), SearchError> {
        for one in made(self) {
            let mut leads = Vec::new();
            for credential in self.credentials() {
                let Some((namespace, account)) = service_account(&credential.user) else {
                    continue;
                };
                let pod = credential.pod.as_deref().unwrap_or_default();
                let own = match one.resource.as_str() {
                    "namespaces" => namespace == one.name,
                    "serviceaccounts" => namespace == one.namespace && account == one.name,
                    "pods" => namespace == one.namespace && pod == one.name,
                    resource if is_workload(resource) => {
                        namespace == one.namespace
                            && pod.strip_prefix(&one.name).is_some_and(|r| r.starts_with('-'))
                    }
                    _ => false,
                };
                let later =
                    credential.first.is_none_or(|first| one.time.is_none_or(|t| first >= t));
                if own && later {
                    leads.push(Lead::Credential { key: credential.key.clone(), sure: true });
                }
            }
            for lead in leads {
                self.open(lead);
            }
        }
        let uses: Vec<TimelineEvent> = self
            .found
            .values()
            .filter(|found| found.role == Role::Use && !found.event.failed())
            .map(|found| found.event.clone())
            .collect();
        for event in uses {
            match (event.resource.as_str(), event.subresource.as_str()) {
                (_, "token") => {
                    let issued = self.ask.values_of(&event, &[ISSUED_CREDENTIAL_ID])?;
                    for id in issued.into_iter().flatten() {
                        self.open(Lead::Credential { key: CredentialKey::Id(id), sure: true });
                    }
                }
                ("pods", "exec" | "attach" | "ephemeralcontainers") => {
                    let (namespace, name) = (event.namespace.clone(), event.name.clone());
                    self.open(Lead::Pod { namespace, name });
                }
                ("clusterrolebindings" | "rolebindings", "") if event.verb != "delete" => {
                    self.take_granted(&event)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Requests that a binding made by the story allowed.
    fn take_granted(&mut self, grant: &TimelineEvent) -> Result<(), SearchError> {
        let (kind, name) = if grant.resource == "rolebindings" {
            ("RoleBinding", format!("{}/{}", grant.name, grant.namespace))
        } else {
            ("ClusterRoleBinding", grant.name.clone())
        };
        if name.is_empty() {
            return Ok(());
        }
        let question = question::contains("reason", &format!(" {kind} \"{name}\" of "));
        let Some(since) = grant.time else { return Ok(()) };
        let until = self.ask.range.until.unwrap_or(crate::event::time::Timestamp(i64::MAX));
        let why = format!("allowed by {kind} {name}, which the story made");
        for event in self.ask.between(question.clone(), since, until, MAX_GRANTED)? {
            self.take(event, Role::Use, Confidence::Medium, &why, &question);
        }
        Ok(())
    }
}
