//! Events of a question in the order of their time, with what a timeline says about each.

use serde_json::Value;
use serde_json::json;

use crate::event::field::CREDENTIAL_ID;
use crate::event::field::Field;
use crate::event::field::REASON;
use crate::event::time::Timestamp;
use crate::hunt::confidence::Confidence;
use crate::hunt::investigate::classify::classify;
use crate::hunt::investigate::story::Step;
use crate::hunt::investigate::story::Story;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;
use crate::search::evidence::SearchOptions;

/// What a timeline says about one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEvent {
    /// Which event.
    pub id: EventId,
    /// `auditID`; a client may have set it.
    pub audit_id: String,
    /// `stage`.
    pub stage: String,
    /// `level`.
    pub level: String,
    /// When the request was received.
    pub time: Option<Timestamp>,
    /// When this stage was reached.
    pub stage_time: Option<Timestamp>,
    /// `user.username`.
    pub user: String,
    /// `impersonatedUser.username`, empty where nobody was impersonated.
    pub acting_as: String,
    /// `verb`.
    pub verb: String,
    /// `requestURI`.
    pub request_uri: String,
    /// `sourceIPs`; only the last is vouched for by the server.
    pub source_ips: Vec<String>,
    /// `userAgent`.
    pub user_agent: String,
    /// `objectRef.resource`.
    pub resource: String,
    /// `objectRef.subresource`.
    pub subresource: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object, from the bodies where the reference lacks it.
    pub name: String,
    /// `responseStatus.code`.
    pub code: Option<i64>,
    /// The authorizer's reason.
    pub reason: String,
    /// `user.extra` credential id; empty where the server names none.
    pub credential: String,
    /// Which server's log.
    pub log: String,
    /// Name of the source.
    pub source: String,
    /// Byte offset of the record in its source.
    pub offset: u64,
    /// Line the record starts on.
    pub line: u64,
    /// Which event of the record.
    pub item: u32,
}

const PATHS: [&str; 12] = [
    "auditID",
    "stage",
    "stageTimestamp",
    "user.username",
    "impersonatedUser.username",
    "verb",
    "requestURI",
    "sourceIPs",
    "userAgent",
    "objectRef.resource",
    "objectRef.subresource",
    "responseStatus.code",
];

/// Reads the columns of a timeline for `hits`, in the same order.
///
/// # Errors
/// As [`Evidence::rows`].
pub fn describe(evidence: &dyn Evidence, hits: &[Hit]) -> Result<Vec<TimelineEvent>, SearchError> {
    let mut fields: Vec<Field> = PATHS.iter().map(|path| Field::path(path)).collect();
    fields.extend([Field::Namespace, Field::Name, Field::Level, Field::path(REASON)]);
    fields.extend([Field::path(CREDENTIAL_ID), Field::Log]);
    let ids: Vec<EventId> = hits.iter().map(|hit| hit.id).collect();
    let rows = evidence.rows(&ids, &fields)?;
    Ok(hits.iter().zip(rows).map(|(hit, row)| of_row(evidence, hit, row)).collect())
}

fn of_row(evidence: &dyn Evidence, hit: &Hit, row: Vec<Vec<String>>) -> TimelineEvent {
    let mut columns = row.into_iter();
    let mut all = || columns.next().unwrap_or_default();
    let first = |values: Vec<String>| values.into_iter().next().unwrap_or_default();
    TimelineEvent {
        id: hit.id,
        audit_id: first(all()),
        stage: first(all()),
        stage_time: Timestamp::parse(&first(all())),
        user: first(all()),
        acting_as: first(all()),
        verb: first(all()),
        request_uri: first(all()),
        source_ips: all(),
        user_agent: first(all()),
        resource: first(all()),
        subresource: first(all()),
        code: first(all()).parse().ok(),
        namespace: first(all()),
        name: first(all()),
        level: first(all()),
        reason: first(all()),
        credential: first(all()),
        log: first(all()),
        time: hit.time,
        source: evidence.source_name(hit.place.source),
        offset: hit.place.offset,
        line: hit.place.line,
        item: hit.place.item,
    }
}

/// Returns the timeline of a question: its events, each with what it does in the words of ATT&CK.
///
/// Events next to each other in time that do the same thing are one step; nothing is concluded
/// from them.
///
/// # Errors
/// As [`Evidence::search`].
pub fn timeline(
    evidence: &dyn Evidence,
    question: &QueryAst,
    options: &SearchOptions,
) -> Result<Story, SearchError> {
    let hits = evidence.search(question, options)?;
    let mut story = Story {
        command: "timeline",
        start: question.to_string(),
        start_kind: "query".to_owned(),
        total: Some(hits.total),
        notes: hits.notes,
        ..Story::default()
    };
    for event in describe(evidence, &hits.hits)? {
        let class = classify(&event, false);
        let same = |step: &Step| {
            step.technique == class.technique
                && step.tactic == class.tactic
                && step.events.first().is_some_and(|first| first.user == event.user)
        };
        match story.steps.last_mut() {
            Some(step) if same(step) => step.events.push(event),
            _ => story.steps.push(Step {
                title: event.message(),
                tactic: class.tactic,
                technique: class.technique,
                technique_name: class.technique_name,
                confidence: Confidence::High,
                question: story.start.clone(),
                why: "matches the question".to_owned(),
                details: Vec::new(),
                events: vec![event],
            }),
        }
    }
    let shown: usize = story.steps.iter().map(|step| step.events.len()).sum();
    story.summary = format!("{shown} of {} events", hits.total);
    story.group(|_| String::new());
    Ok(story)
}

impl TimelineEvent {
    /// The only source address the server vouches for.
    pub fn peer(&self) -> &str {
        self.source_ips.last().map_or("", String::as_str)
    }

    /// Whether the request was refused or failed.
    pub fn failed(&self) -> bool {
        self.code.is_some_and(|code| code >= 400)
    }

    /// Whether the authenticator or the authorizer refused it.
    pub fn refused(&self) -> bool {
        matches!(self.code, Some(401 | 403))
    }

    /// `resource/subresource`, or the path of a request that names no resource.
    pub fn what(&self) -> String {
        if self.resource.is_empty() {
            return self.request_uri.split('?').next().unwrap_or_default().to_owned();
        }
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// `namespace/name`, whichever of the two is there.
    pub fn object(&self) -> String {
        match (self.namespace.as_str(), self.name.as_str()) {
            ("", name) => name.to_owned(),
            (namespace, "") => format!("{namespace}/"),
            (namespace, name) if self.resource == "namespaces" && namespace == name => {
                name.to_owned()
            }
            (namespace, name) => format!("{namespace}/{name}"),
        }
    }

    /// One sentence: who did what to what, and how it ended.
    pub fn message(&self) -> String {
        let who = if self.acting_as.is_empty() {
            self.user.clone()
        } else {
            format!("{} as {}", self.user, self.acting_as)
        };
        let object = self.object();
        let blank = if object.is_empty() { "" } else { " " };
        let code = self.code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
        format!("{who} {} {}{blank}{object} from {} ({code})", self.verb, self.what(), self.peer())
    }

    /// The keys every JSON form shows for an event.
    pub fn to_json(&self) -> Value {
        json!({
            "auditID": self.audit_id,
            "stage": self.stage,
            "time": self.time.map(Timestamp::to_rfc3339),
            "user": self.user,
            "impersonatedUser": (!self.acting_as.is_empty()).then_some(&self.acting_as),
            "verb": self.verb,
            "resource": self.what(),
            "namespace": (!self.namespace.is_empty()).then_some(&self.namespace),
            "name": (!self.name.is_empty()).then_some(&self.name),
            "requestURI": self.request_uri,
            "sourceIPs": self.source_ips,
            "userAgent": self.user_agent,
            "credential": (!self.credential.is_empty()).then_some(&self.credential),
            "code": self.code,
            "level": self.level,
            "source": self.source,
            "offset": self.offset,
            "line": self.line,
        })
    }
}
