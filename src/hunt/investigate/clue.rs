//! What the one clue is taken for: an address, a credential, an auditID, a pod, a user, a query.

use crate::event::field::CREDENTIAL_ID;
use crate::event::field::Field;
use crate::event::field::ISSUED_CREDENTIAL_ID;
use crate::hunt::investigate::ask::POD_NAME;
use crate::hunt::investigate::ask::POD_UID;
use crate::hunt::investigate::ask::is;
use crate::hunt::investigate::ask::phrase;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::network::parse_address;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::search::error::SearchError;

/// A clue, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Clue {
    /// An address.
    Address(String),
    /// A credential id as the server writes it.
    Credential(String),
    /// An auditID.
    AuditId(String),
    /// A pod: namespace (may be empty) and name.
    Pod(String, String),
    /// A user.
    User(String),
    /// Whatever a question finds.
    Query(QueryAst),
}

impl Clue {
    /// The word for it in every output.
    pub fn kind(&self) -> &'static str {
        match self {
            Clue::Address(_) => "address",
            Clue::Credential(_) => "credential",
            Clue::AuditId(_) => "auditID",
            Clue::Pod(..) => "pod",
            Clue::User(_) => "user",
            Clue::Query(_) => "query",
        }
    }

    /// Takes `start` for whatever the evidence knows it as; `parse` reads it as a question.
    ///
    /// # Errors
    /// When the evidence cannot be read, or nothing knows it and it is no question either.
    pub fn of(
        trail: &Trail<'_>,
        start: &str,
        parsed: Result<QueryAst, String>,
    ) -> Result<Clue, SearchError> {
        let start = start.trim();
        if parse_address(start).is_some() {
            return Ok(Clue::Address(start.to_owned()));
        }
        if let Ok(question) = &parsed {
            if let Some(clue) = of_field(question) {
                return Ok(clue);
            }
        }
        for id in [start.to_owned(), format!("JTI={start}"), format!("X509SHA256={start}")] {
            if trail.knows(is(CREDENTIAL_ID, &id))? || trail.knows(is(ISSUED_CREDENTIAL_ID, &id))? {
                return Ok(Clue::Credential(id));
            }
        }
        if trail.knows(is("auditID", start))? {
            return Ok(Clue::AuditId(start.to_owned()));
        }
        if trail.knows(is("user.username", start))? {
            return Ok(Clue::User(start.to_owned()));
        }
        if let Some(clue) = trail.pod_named(start)? {
            return Ok(clue);
        }
        match parsed {
            Ok(question) => Ok(Clue::Query(question)),
            // `system:anonymous` and the like are no questions, but words of the evidence.
            Err(why) => {
                if phrase(start) == QueryAst::Words(Vec::new()) {
                    return Err(SearchError::Question(why));
                }
                Ok(Clue::Query(phrase(start)))
            }
        }
    }
}

/// `ip:`, `user:`, `credential:`, `id:` with a plain value name their clue themselves.
fn of_field(question: &QueryAst) -> Option<Clue> {
    let QueryAst::Field { field, test } = question else { return None };
    let text = match test {
        Test::Equals { text, .. } => text.clone(),
        Test::Network { address, prefix }
            if *prefix == if address.is_ipv4() { 32 } else { 128 } =>
        {
            address.to_string()
        }
        _ => return None,
    };
    match field {
        Field::Peer => Some(Clue::Address(text)),
        Field::Path(path) => match path.as_str() {
            "sourceIPs" => Some(Clue::Address(text)),
            "user.username" => Some(Clue::User(text)),
            "auditID" => Some(Clue::AuditId(text)),
            CREDENTIAL_ID | ISSUED_CREDENTIAL_ID => Some(Clue::Credential(text)),
            POD_NAME => Some(Clue::Pod(String::new(), text)),
            _ => None,
        },
        _ => None,
    }
}

impl Trail<'_> {
    fn knows(&self, question: QueryAst) -> Result<bool, SearchError> {
        Ok(!self.ask.events(question, 1)?.is_empty())
    }

    /// A pod of this name, `namespace/name` or uid.
    fn pod_named(&self, start: &str) -> Result<Option<Clue>, SearchError> {
        let (namespace, name) = start.split_once('/').unwrap_or(("", start));
        let fits = |namespace_of: &str, name_of: &str, uid: Option<&str>| {
            uid == Some(start)
                || (name_of == name && (namespace.is_empty() || namespace == namespace_of))
        };
        let known = self.ledgers.addresses.pods.iter().find(|pod| {
            pod.cluster == self.cluster && fits(&pod.namespace, &pod.name, pod.uid.as_deref())
        });
        if let Some(pod) = known {
            let namespace = if namespace.is_empty() && pod.uid.as_deref() != Some(start) {
                String::new()
            } else {
                pod.namespace.clone()
            };
            return Ok(Some(Clue::Pod(namespace, pod.name.clone())));
        }
        if self.knows(is(POD_NAME, name))? {
            return Ok(Some(Clue::Pod(namespace.to_owned(), name.to_owned())));
        }
        if let Some(event) = self.ask.events(is(POD_UID, start), 1)?.into_iter().next() {
            let values = self.ask.values_of(&event, &[POD_NAME])?;
            if let Some(name) = values.into_iter().flatten().next() {
                return Ok(Some(Clue::Pod(String::new(), name)));
            }
        }
        let question = QueryAst::all_of(vec![
            is("objectRef.resource", "pods"),
            QueryAst::equals(Field::Name, name),
        ]);
        if self.knows(question)? {
            return Ok(Some(Clue::Pod(namespace.to_owned(), name.to_owned())));
        }
        Ok(None)
    }

    /// Takes the clue's own events and opens the leads it gives; returns the events of a clue
    /// that names events.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn begin(&mut self, clue: &Clue) -> Result<Vec<TimelineEvent>, SearchError> {
        use crate::hunt::investigate::trail::Lead;
        use crate::ledger::credential::CredentialKey;
        match clue {
            Clue::Address(address) => {
                self.clue_address = Some(address.clone());
                self.open(Lead::Address(address.clone()));
            }
            Clue::Credential(id) => {
                self.open(Lead::Credential { key: CredentialKey::Id(id.clone()), sure: false });
                return self.ask.events(is(CREDENTIAL_ID, id), MAX_SEEDS);
            }
            Clue::Pod(namespace, name) => {
                self.open(Lead::Pod { namespace: namespace.clone(), name: name.clone() });
            }
            Clue::User(name) => {
                self.open(Lead::User { name: name.clone(), sure: false });
                return self.ask.events(is("user.username", name), MAX_SEEDS);
            }
            Clue::AuditId(id) => return self.seeds(is("auditID", id)),
            Clue::Query(question) => return self.seeds(question.clone()),
        }
        Ok(Vec::new())
    }

    fn seeds(&mut self, question: QueryAst) -> Result<Vec<TimelineEvent>, SearchError> {
        let seeds = self.ask.events(question, MAX_SEEDS)?;
        if seeds.len() == MAX_SEEDS {
            crate::hunt::investigate::trail::say(
                &mut self.notes,
                format!("only the first {MAX_SEEDS} events of the clue were followed"),
            );
        }
        for event in &seeds {
            self.open_from_event(event)?;
        }
        Ok(seeds)
    }
}

/// More events than this are no clue.
const MAX_SEEDS: usize = 1000;
