//! `blast ID`: what the identity's own objects went on to do: followers in namespaces it made,
//! workloads started from its templates, and what their credentials did.

use crate::event::field::CREDENTIAL_ID;
use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::credential::known_id;
use crate::hunt::pivots::credential::verdict_text;
use crate::hunt::pivots::user::user_name;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::ledger::request::Outcome;
use crate::ledger::request::Request;
use crate::query::ast::QueryAst;
use std::collections::BTreeSet;

/// See the file's text.
#[derive(Debug)]
pub struct Blast;

impl Pivot for Blast {
    fn name(&self) -> &'static str {
        "blast"
    }

    fn about(&self) -> &'static str {
        "what the objects an identity made went on to do: followers, pods, their credentials"
    }

    fn arguments(&self) -> &'static str {
        "ID (a credential, a user, or an auditID)"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let typed = table::one_argument(self, arguments)?;
        let mut answer = Answer { name: self.name().to_owned(), ..Answer::default() };
        let identity = identity(context, &mut answer, typed)?;
        let question =
            context.refined(all([identity.clone(), any("verb", &["create", "update", "patch"])]));
        answer.query = table::question_text(&question);
        let writes = context.requests_shown(&mut answer, &question, &MADE, &[UID])?;
        let made: Vec<&Request> = writes
            .iter()
            .filter(|request| matches!(request.outcome, Outcome::Succeeded))
            .filter(|request| !REVIEWS.contains(&request.get("resource").unwrap_or_default()))
            .collect();
        answer.sections.push(context.table("made or changed", made.iter().copied(), &MADE));
        let descendants = descendants(context, &mut answer, &made)?;
        answer.sections.push(context.table("made from its templates", &descendants, &MADE));
        let followers = followers(context, &mut answer, &identity, &made)?;
        answer.sections.push(context.table("others in namespaces it made", &followers, &FOLLOWED));
        let credentials = credentials(context, &made, &descendants);
        answer.summary = format!(
            "{} writes, {} objects made from them by controllers, {} requests of others in \
             namespaces it made, {} credentials of its pods in use",
            made.len(),
            descendants.len(),
            followers.len(),
            credentials.rows.len()
        );
        answer.sections.push(credentials);
        answer.notes.push(
            "who follows is not accused: controllers and kubelets react to every object, whoever \
             made it"
                .to_owned(),
        );
        Ok(answer)
    }
}

const UID: &str = "responseObject.metadata.uid";
const OWNER_UID: &str = "responseObject.metadata.ownerReferences.uid";

/// What is shown of what was made.
const MADE: [table::Column; 7] = [
    table::TIME,
    table::USER,
    table::VERB,
    table::RESOURCE,
    table::NAMESPACE,
    table::NAME,
    table::OUTCOME,
];

/// What is shown of those who followed.
const FOLLOWED: [table::Column; 8] = [
    table::TIME,
    table::USER,
    table::VERB,
    table::RESOURCE,
    table::NAMESPACE,
    table::NAME,
    table::OUTCOME,
    table::PEER,
];

/// Reviews make nothing.
const REVIEWS: [&str; 5] = [
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
    "selfsubjectreviews",
    "subjectaccessreviews",
    "tokenreviews",
];

/// A template's children, their children, and so on; deeper chains do not occur.
const DEPTH: usize = 6;

/// The question for the identity behind what was typed.
fn identity(
    context: &PivotContext<'_>,
    answer: &mut Answer,
    typed: &str,
) -> Result<QueryAst, HuntError> {
    let id = known_id(context, typed);
    if context.ledgers.credentials.by_id(&id).next().is_some() {
        return Ok(is(CREDENTIAL_ID, &id));
    }
    let everywhere =
        PivotContext { range: crate::event::time::TimeRange::ALL, filter: None, ..*context };
    let event = everywhere.requests(answer, &is("id", typed), &[])?;
    Ok(match event.first() {
        Some(request) => match (request.get("credential"), request.get("user")) {
            (Some(credential), _) => is(CREDENTIAL_ID, credential),
            (None, Some(user)) => is("user", user),
            (None, None) => is("id", typed),
        },
        None => is("user", &user_name(typed)),
    })
}

/// What controllers made from its objects, by ownerReferences.
fn descendants(
    context: &PivotContext<'_>,
    answer: &mut Answer,
    made: &[&Request],
) -> Result<Vec<Request>, HuntError> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut next: Vec<String> = made
        .iter()
        .filter(|request| request.get("sub").is_none())
        .filter_map(|request| request.get(UID).map(str::to_owned))
        .collect();
    let mut found: Vec<Request> = Vec::new();
    for _ in 0..DEPTH {
        next.retain(|uid| known.insert(uid.clone()));
        if next.is_empty() {
            break;
        }
        let children = all([
            is("verb", "create"),
            not(has("sub")),
            QueryAst::any_of(next.iter().map(|uid| is(OWNER_UID, uid)).collect()),
        ]);
        let requests = context.requests_shown(answer, &context.refined(children), &MADE, &[UID])?;
        next = requests.iter().filter_map(|request| request.get(UID).map(str::to_owned)).collect();
        found.extend(requests);
    }
    Ok(found)
}

/// Writes of others in namespaces that it made, from then on.
fn followers(
    context: &PivotContext<'_>,
    answer: &mut Answer,
    identity: &QueryAst,
    made: &[&Request],
) -> Result<Vec<Request>, HuntError> {
    let mut found = Vec::new();
    for request in made {
        let made_namespace =
            matches!(request.get("resource"), Some("namespaces" | "projectrequests"))
                && request.get("verb") == Some("create");
        let (true, Some(name)) = (made_namespace, request.get("name")) else { continue };
        let question = context.refined(all([
            is("objectRef.namespace", name),
            any("verb", &["create", "update", "patch", "delete", "deletecollection"]),
            not(identity.clone()),
        ]));
        let since: Option<Timestamp> = request.time;
        let later = PivotContext {
            range: crate::event::time::TimeRange {
                since: since.max(context.range.since),
                until: context.range.until,
            },
            ..*context
        };
        found.extend(later.requests_shown(answer, &question, &FOLLOWED, &[])?);
    }
    Ok(found)
}

/// Credentials bound to pods that it made, itself or by a template.
fn credentials(context: &PivotContext<'_>, made: &[&Request], descendants: &[Request]) -> Section {
    let mut section = table::section(
        "credentials of its pods",
        &["credential", "user", "pod", "events", "first", "last", "verdict"],
    );
    let pods: Vec<&Request> = made
        .iter()
        .copied()
        .chain(descendants)
        .filter(|request| request.get("resource") == Some("pods") && request.get("sub").is_none())
        .collect();
    for credential in context.ledgers.credentials.used.values() {
        let of_its_pod = pods.iter().any(|pod| {
            let by_uid = pod.get(UID).is_some() && pod.get(UID) == credential.pod_uid.as_deref();
            let namespace =
                crate::ledger::usage::service_account(&credential.user).map(|(ns, _)| ns);
            let by_name = credential.pod.is_some()
                && pod.get("name") == credential.pod.as_deref()
                && pod.get("objectRef.namespace") == namespace;
            by_uid || by_name
        });
        if of_its_pod {
            table::push(
                &mut section,
                vec![
                    credential.key.to_string().into(),
                    credential.user.clone().into(),
                    credential.pod.clone().into(),
                    i64::try_from(credential.events).unwrap_or(i64::MAX).into(),
                    credential.first.into(),
                    credential.last.into(),
                    verdict_text(credential).into(),
                ],
                Vec::new(),
            );
        }
    }
    section
}
