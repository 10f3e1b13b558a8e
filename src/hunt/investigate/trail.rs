//! The trail: what was found so far, which leads are open, and where it ended.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use crate::event::field::CREDENTIAL_ID;
use crate::hunt::confidence::Confidence;
use crate::hunt::investigate::ask::Ask;
use crate::hunt::investigate::ask::POD_NAME;
use crate::hunt::investigate::ask::POD_UID;
use crate::hunt::investigate::ask::is;
use crate::hunt::investigate::binding::Allowed;
use crate::hunt::investigate::story::Bystander;
use crate::hunt::investigate::story::Undecidable;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::Ledgers;
use crate::ledger::credential::Credential;
use crate::ledger::credential::CredentialKey;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;

/// A trail that opens more leads than this is following the platform, not an attacker.
const MAX_LEADS: usize = 200;

/// What an event is in the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The clue itself.
    Clue,
    /// A refused request.
    Denied,
    /// A use of a credential that belongs to the story.
    Use,
    /// The credential being made.
    Mint,
    /// Says whose an address was.
    Address,
    /// Made or changed the binding that allowed the rest.
    Binding,
}

/// An event of the story.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The event.
    pub event: TimelineEvent,
    /// What it is in the story.
    pub role: Role,
    /// How sure.
    pub confidence: Confidence,
    /// Why it belongs to the story.
    pub why: String,
    /// The question that finds it.
    pub question: QueryAst,
}

/// Something to follow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lead {
    /// An address.
    Address(String),
    /// A credential; `sure` where it belongs to the story whatever its origins say.
    Credential {
        /// Which.
        key: CredentialKey,
        /// Whether it is followed without a sign of theft.
        sure: bool,
    },
    /// A user without credential ids, by its name; `sure` as above.
    User {
        /// Which.
        name: String,
        /// Whether it is followed without a sign of theft.
        sure: bool,
    },
    /// A pod.
    Pod {
        /// Namespace, may be empty.
        namespace: String,
        /// Name.
        name: String,
    },
    /// A binding that allowed a request of the story.
    Binding(Allowed),
}

/// A credential of the story.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// The credential, or the user name where there is none.
    pub label: String,
    /// User.
    pub user: String,
    /// Pod it is bound to.
    pub pod: Option<String>,
    /// Node it is bound to.
    pub node: Option<String>,
    /// When it first went astray.
    pub onset: Option<crate::event::time::Timestamp>,
    /// Whether the server names it.
    pub strong: bool,
    /// The question that finds its uses.
    pub question: QueryAst,
}

/// See the module's text.
#[derive(Debug)]
pub struct Trail<'e> {
    /// The evidence.
    pub ask: Ask<'e>,
    /// What was derived from it.
    pub ledgers: &'e Ledgers,
    /// The cluster, empty where the evidence names none.
    pub cluster: String,
    /// Events of the story.
    pub found: BTreeMap<EventId, Found>,
    leads: VecDeque<Lead>,
    seen: BTreeSet<Lead>,
    /// Credentials of the story.
    pub suspects: Vec<Suspect>,
    /// Pods the story went through, `namespace/name`.
    pub pods: BTreeSet<String>,
    /// The address that is the clue itself.
    pub clue_address: Option<String>,
    /// Addresses and agents that identify nobody, where a credential of the story was used.
    pub veiled: BTreeSet<(String, String)>,
    /// Where the trail ends.
    pub ends: Vec<String>,
    /// Who is named without being accused.
    pub bystanders: Vec<Bystander>,
    /// Steps that cannot be decided.
    pub undecidable: Vec<Undecidable>,
    /// What the evidence cannot tell.
    pub unknown: Vec<String>,
    /// Remarks.
    pub notes: Vec<String>,
}

impl<'e> Trail<'e> {
    /// A trail on which nothing was found yet.
    pub fn new(ask: Ask<'e>, ledgers: &'e Ledgers) -> Trail<'e> {
        Trail {
            cluster: ask.cluster.unwrap_or_default().to_owned(),
            ask,
            ledgers,
            found: BTreeMap::new(),
            leads: VecDeque::new(),
            seen: BTreeSet::new(),
            suspects: Vec::new(),
            pods: BTreeSet::new(),
            clue_address: None,
            veiled: BTreeSet::new(),
            ends: Vec::new(),
            bystanders: Vec::new(),
            undecidable: Vec::new(),
            unknown: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Opens a lead that was not followed yet.
    pub fn open(&mut self, lead: Lead) {
        if self.seen.len() >= MAX_LEADS {
            say(&mut self.notes, format!("more than {MAX_LEADS} leads: the rest is not followed"));
            return;
        }
        if self.seen.insert(lead.clone()) {
            self.leads.push_back(lead);
        }
    }

    /// Follows all leads to their ends.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn follow_all(&mut self) -> Result<(), SearchError> {
        while let Some(lead) = self.leads.pop_front() {
            match lead {
                Lead::Address(address) => self.follow_address(&address)?,
                Lead::Credential { key, sure } => self.follow_credential(&key, sure)?,
                Lead::User { name, sure } => self.follow_user(&name, sure)?,
                Lead::Pod { namespace, name } => self.follow_pod(&namespace, &name)?,
                Lead::Binding(allowed) => self.follow_binding(&allowed)?,
            }
        }
        Ok(())
    }

    /// Takes an event into the story; a surer reason replaces a weaker one.
    pub fn take(
        &mut self,
        event: TimelineEvent,
        role: Role,
        confidence: Confidence,
        why: &str,
        question: &QueryAst,
    ) {
        let better = self.found.get(&event.id).is_none_or(|known| {
            known.role == Role::Clue && role != Role::Clue || known.confidence < confidence
        });
        if better {
            let found =
                Found { role, confidence, why: why.to_owned(), question: question.clone(), event };
            self.found.insert(found.event.id, found);
        }
    }

    /// Notes that a step cannot be decided.
    pub fn undecided(&mut self, step: &'static str, why: String, question: &QueryAst) {
        let question = question.to_string();
        if !self.undecidable.iter().any(|known| known.step == step && known.why == why) {
            self.undecidable.push(Undecidable { step, why, question });
        }
    }

    /// Names somebody without accusing them.
    pub fn bystander(&mut self, who: String, why: String) {
        if !self.bystanders.iter().any(|known| known.who == who) {
            self.bystanders.push(Bystander { who, why });
        }
    }

    /// The ledger's name for the credential of an event.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn key_of(&self, event: &TimelineEvent) -> Result<Option<CredentialKey>, SearchError> {
        if event.user.is_empty() || event.user == "system:anonymous" {
            return Ok(None);
        }
        if !event.credential.is_empty() {
            return Ok(Some(CredentialKey::Id(event.credential.clone())));
        }
        let values = self.ask.values_of(event, &[POD_UID, POD_NAME, CREDENTIAL_ID])?;
        let pod = values.iter().take(2).flatten().next();
        let same = |credential: &&Credential| {
            credential.cluster == self.cluster
                && credential.user == event.user
                && match (&credential.key, pod) {
                    (CredentialKey::Pod { pod, .. }, Some(own)) => pod == own,
                    (CredentialKey::Agent { agent, .. }, None) => *agent == event.user_agent,
                    _ => false,
                }
        };
        Ok(self.ledgers.credentials.used.values().find(same).map(|found| found.key.clone()))
    }

    /// The credential of a name.
    pub fn credential(&self, key: &CredentialKey) -> Option<&'e Credential> {
        self.ledgers.credentials.used.get(&(self.cluster.clone(), key.clone()))
    }

    /// All credentials of this cluster.
    pub fn credentials(&self) -> impl Iterator<Item = &'e Credential> + use<'e, '_> {
        let ledgers: &'e Ledgers = self.ledgers;
        ledgers.credentials.used.values().filter(|credential| credential.cluster == self.cluster)
    }

    /// Whether something accuses a credential, strongly or weakly.
    pub fn is_astray(credential: &Credential) -> bool {
        credential.accused().next().is_some() || credential.suspected().next().is_some()
    }

    /// Opens what the event itself leads to.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn open_from_event(&mut self, event: &TimelineEvent) -> Result<(), SearchError> {
        if let Some(key) = self.key_of(event)? {
            self.open(Lead::Credential { key, sure: false });
        }
        let issued = self.ask.values_of(event, &[crate::event::field::ISSUED_CREDENTIAL_ID])?;
        for id in issued.into_iter().flatten() {
            self.open(Lead::Credential { key: CredentialKey::Id(id), sure: false });
        }
        let refused = matches!(event.code, Some(401 | 403));
        if refused && !event.peer().is_empty() {
            self.open(Lead::Address(event.peer().to_owned()));
        }
        if matches!(event.resource.as_str(), "clusterrolebindings" | "rolebindings") {
            self.open_users_of_binding(event)?;
        }
        if event.resource == "pods" && !event.name.is_empty() {
            let (namespace, name) = (event.namespace.clone(), event.name.clone());
            self.open(Lead::Pod { namespace, name });
        }
        Ok(())
    }

    /// Whoever a binding allowed something, as far as something accuses them.
    fn open_users_of_binding(&mut self, event: &TimelineEvent) -> Result<(), SearchError> {
        let inside = |namespace: &str| {
            if namespace.is_empty() {
                event.name.clone()
            } else {
                format!("{}/{namespace}", event.name)
            }
        };
        let kind =
            if event.resource == "rolebindings" { "RoleBinding" } else { "ClusterRoleBinding" };
        let text = format!(" {kind} \"{}\" of ", inside(&event.namespace));
        let question = crate::ledger::question::contains("reason", &text);
        for (id, _) in self.ask.values(question, crate::event::field::Field::path(CREDENTIAL_ID))? {
            self.open(Lead::Credential { key: CredentialKey::Id(id), sure: false });
        }
        let question = crate::ledger::question::contains("reason", &text);
        for (user, _) in
            self.ask.values(question, crate::event::field::Field::path("user.username"))?
        {
            self.open(Lead::User { name: user, sure: false });
        }
        Ok(())
    }

    /// The question for a user by name.
    pub fn user_question(name: &str) -> QueryAst {
        is("user.username", name)
    }
}

/// Adds a sentence that was not said yet.
pub fn say(list: &mut Vec<String>, sentence: String) {
    if !list.contains(&sentence) {
        list.push(sentence);
    }
}
