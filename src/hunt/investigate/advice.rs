//! What must be looked at and replaced next, and what the evidence cannot tell.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::field::Field;
use crate::event::words::fold;
use crate::hunt::investigate::ask::all;
use crate::hunt::investigate::ask::is;
use crate::hunt::investigate::ask::object;
use crate::hunt::investigate::ask::peer;
use crate::hunt::investigate::ask::phrase;
use crate::hunt::investigate::classify::is_read;
use crate::hunt::investigate::consequence::Made;
use crate::hunt::investigate::consequence::made;
use crate::hunt::investigate::story::Step;
use crate::hunt::investigate::story::Story;
use crate::hunt::investigate::story::Task;
use crate::hunt::investigate::trail::Role;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::investigate::trail::say;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::usage::node_of_user;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;
use crate::search::error::SearchError;

/// Fills what is to be done and what is not known into the story.
///
/// # Errors
/// When the evidence cannot be read.
pub fn advise(trail: &mut Trail<'_>, story: &mut Story) -> Result<(), SearchError> {
    credentials(trail, story);
    secrets(story);
    let made = made(trail);
    objects(trail, story, &made)?;
    nodes(trail, story, &made)?;
    entered(trail, story);
    places(trail, story);
    apart(trail, story);
    unknown(trail, story);
    Ok(())
}

fn task(what: String, why: &str, question: Option<&QueryAst>) -> Task {
    Task {
        what,
        why: why.to_owned(),
        question: question.map(ToString::to_string).unwrap_or_default(),
    }
}

fn add(list: &mut Vec<Task>, task: Task) {
    if !list.iter().any(|known| known.what == task.what) {
        list.push(task);
    }
}

fn credentials(trail: &Trail<'_>, story: &mut Story) {
    for suspect in &trail.suspects {
        let bound = suspect.pod.as_ref().map_or_else(
            || {
                "it is bound to nothing: it stays valid until it expires or its owner is removed"
                    .to_owned()
            },
            |pod| format!("it is bound to pod {pod}: deleting that pod makes it invalid"),
        );
        add(
            &mut story.rotate,
            task(
                format!("credential {} of {}", suspect.label, suspect.user),
                &bound,
                Some(&suspect.question),
            ),
        );
    }
    for found in trail.found.values().filter(|found| found.role == Role::Binding) {
        let event = &found.event;
        let question = object(&event.resource, &event.namespace, &event.name);
        add(
            &mut story.check_next,
            task(
                format!(
                    "whether {} {} is to exist, and who asked for it",
                    event.resource,
                    event.object()
                ),
                "it allowed the requests of the story",
                Some(&question),
            ),
        );
    }
}

/// Credentials that something accuses and that this trail did not meet.
fn apart(trail: &Trail<'_>, story: &mut Story) {
    let others = trail.credentials().filter(|credential| {
        let label = credential.key.to_string();
        credential.accused().next().is_some()
            && !trail.suspects.iter().any(|suspect| suspect.label == label)
    });
    for credential in others.take(5) {
        add(
            &mut story.check_next,
            task(
                format!("credential {} of {}", credential.key, credential.user),
                "it was used away from its owner too; nothing connects it to this story",
                Some(&credential.question()),
            ),
        );
    }
}

fn secrets(story: &mut Story) {
    let mut tasks = Vec::new();
    for step in &story.steps {
        for event in
            step.events.iter().filter(|e| e.resource == "secrets" && is_read(e) && !e.failed())
        {
            let what = match (event.namespace.as_str(), event.name.as_str()) {
                ("", "") => "every secret of the cluster".to_owned(),
                (namespace, "") => format!("every secret of namespace {namespace}"),
                _ => format!("secret {}", event.object()),
            };
            tasks.push(Task {
                what,
                why: "it was read with the stolen credential; what it held was never logged"
                    .to_owned(),
                question: step.question.clone(),
            });
        }
    }
    for one in tasks {
        add(&mut story.rotate, one);
    }
}

fn objects(trail: &Trail<'_>, story: &mut Story, made: &[Made]) -> Result<(), SearchError> {
    for one in made.iter().filter(|one| !one.resource.ends_with("reviews")) {
        let inside = if one.resource == "namespaces" { "" } else { one.namespace.as_str() };
        let question = object(&one.resource, inside, &one.name);
        let deleted = trail.ask.newest(all(vec![
            question.clone(),
            is("verb", "delete"),
            crate::hunt::investigate::ask::succeeded(),
        ]))?;
        let slash = if inside.is_empty() { "" } else { "/" };
        let label = format!("{} {inside}{slash}{}", one.resource, one.name);
        let (what, why) = match deleted {
            Some(event) => (
                format!("what {label} did until it was deleted"),
                format!(
                    "deleted by {} at {}",
                    event.user,
                    event.time.map(|t| t.to_rfc3339()).unwrap_or_default()
                ),
            ),
            None => (
                format!("{label}: it is still there at the end of the evidence"),
                "made with the stolen credential".to_owned(),
            ),
        };
        add(&mut story.check_next, task(what, &why, Some(&question)));
    }
    Ok(())
}

/// Nodes on which the story's pods ran, from whoever wrote their status.
fn nodes(trail: &mut Trail<'_>, story: &mut Story, made: &[Made]) -> Result<(), SearchError> {
    let dangerous: Vec<(String, String)> = story
        .steps
        .iter()
        .filter(|step| step.technique == "T1611")
        .flat_map(|step| &step.events)
        .map(|event| (event.namespace.clone(), event.name.clone()))
        .collect();
    for one in made.iter().filter(|one| one.resource == "pods") {
        let question = all(vec![
            object("pods", &one.namespace, &one.name),
            is("objectRef.subresource", "status"),
        ]);
        let users = trail.ask.values(question.clone(), Field::path("user.username"))?;
        let nodes: BTreeSet<&str> =
            users.iter().filter_map(|(user, _)| node_of_user(user)).collect();
        let escape = dangerous.contains(&(one.namespace.clone(), one.name.clone()));
        for node in &nodes {
            if escape {
                add(
                    &mut story.rotate,
                    task(
                        format!(
                            "node {node}: its kubelet certificate and the tokens and secrets of every pod on it"
                        ),
                        "a pod with settings that lead out of the container ran there",
                        Some(&question),
                    ),
                );
                add(
                    &mut story.check_next,
                    task(
                        format!("node {node}: static pods, processes, and what its credential did"),
                        "what happened on the host is not in the audit log",
                        Some(&is("user.username", &format!("system:node:{node}"))),
                    ),
                );
            }
        }
        if nodes.is_empty() {
            trail.undecided(
                "pod-to-node",
                format!(
                    "no kubelet wrote a status of pod {}/{}: where it ran is not known",
                    one.namespace, one.name
                ),
                &question,
            );
        }
    }
    Ok(())
}

/// Pods that were entered: whatever they hold was readable.
fn entered(trail: &Trail<'_>, story: &mut Story) {
    let mut tasks = Vec::new();
    for found in trail.found.values().filter(|found| found.role == Role::Use) {
        let event = &found.event;
        if matches!(event.subresource.as_str(), "exec" | "attach") && !event.failed() {
            tasks.push(task(
                format!("the token and the mounted secrets of pod {}", event.object()),
                "the pod was entered",
                Some(&found.question),
            ));
        }
    }
    for one in tasks {
        add(&mut story.rotate, one);
    }
    for pod in &trail.pods {
        let (namespace, name) = pod.split_once('/').unwrap_or(("", pod));
        add(
            &mut story.check_next,
            task(
                format!("pod {pod}: image, vulnerabilities, logs, network connections"),
                "the story goes through it; how it was entered is not in the audit log",
                Some(&object("pods", namespace, name)),
            ),
        );
    }
}

fn places(trail: &Trail<'_>, story: &mut Story) {
    for (address, agent) in trail.veiled.iter().filter(|(address, _)| !address.is_empty()) {
        add(
            &mut story.check_next,
            task(
                format!("who was behind {address} with {agent}: proxy, VPN and workstation logs"),
                "the audit log names no machine behind this address",
                Some(&all(vec![peer(address), is("userAgent", agent)])),
            ),
        );
    }
}

fn unknown(trail: &mut Trail<'_>, story: &mut Story) {
    let mut notes = std::mem::take(&mut trail.unknown);
    let used = |test: &dyn Fn(&TimelineEvent) -> bool| {
        trail.found.values().any(|found| found.role == Role::Use && test(&found.event))
    };
    if !trail.suspects.is_empty() {
        say(&mut notes, "how the credential was taken: reading a token inside a container or on a node is no request to the API".to_owned());
    }
    if used(&|e| matches!(e.subresource.as_str(), "exec" | "attach")) {
        say(
            &mut notes,
            "what was typed in the session: only its opening and its end are logged".to_owned(),
        );
    }
    if used(&|e| e.resource == "secrets" && is_read(e)) {
        say(&mut notes, "what the secrets held and which of them were looked at: bodies of secrets are logged in no profile".to_owned());
    }
    let bare: Vec<&Step> = story
        .steps
        .iter()
        .filter(|step| step.details.iter().any(|detail| detail.contains("no body was logged")))
        .collect();
    if !bare.is_empty() {
        say(
            &mut notes,
            format!(
                "{} steps have no body at their level (Metadata): image, command, settings or subjects are not decidable from them",
                bare.len()
            ),
        );
    }
    for step in bare {
        for event in &step.events {
            trail.undecidable.push(crate::hunt::investigate::story::Undecidable {
                step: "payload",
                why: format!(
                    "{} {} {}: no body was logged at level {}",
                    event.verb,
                    event.what(),
                    event.object(),
                    event.level
                ),
                question: step.question.clone(),
            });
        }
    }
    for forgery in &trail.ledgers.addresses.forgeries {
        if forgery.cluster == trail.cluster {
            say(
                &mut notes,
                format!(
                    "{} wrote the status of pod {} at {}: its addresses are not believed",
                    forgery.user, forgery.pod, forgery.time
                ),
            );
        }
    }
    say(&mut notes, "API discovery, what happens inside containers, and anything before the first event of the evidence".to_owned());
    story.unknown = notes;
}

/// Joins what other servers logged under the same auditIDs, and finds ids that clients chose.
///
/// # Errors
/// When the evidence cannot be read.
pub fn join_by_audit_id(trail: &mut Trail<'_>) -> Result<(), SearchError> {
    let ids: BTreeSet<String> = trail
        .found
        .values()
        .map(|found| found.event.audit_id.clone())
        .filter(|id| !id.is_empty())
        .collect();
    if ids.is_empty() || ids.len() > 500 {
        return Ok(());
    }
    // Hundreds of conditions, each looked up on its own, as one list.
    let mut texts: Vec<String> = ids.iter().map(|id| fold(id)).collect();
    texts.sort_unstable();
    texts.dedup();
    let set = ValueSet { texts, ..ValueSet::default() };
    let test = Test::OneOf(Arc::new(set));
    let question = QueryAst::Field { field: Field::path("auditID"), test };
    let mut foreign = BTreeSet::new();
    for event in trail.ask.events(question, 5000)? {
        if trail.found.contains_key(&event.id) {
            continue;
        }
        let twin = trail.found.values().find(|found| {
            found.event.audit_id == event.audit_id
                && found.event.request_uri == event.request_uri
                && found.event.verb == event.verb
                && near(&found.event, &event)
        });
        match twin.cloned() {
            Some(twin) => {
                let why = if twin.event.log == event.log {
                    twin.why.clone()
                } else {
                    format!("the same request as {} logged it; {}", event.log, twin.why)
                };
                trail.take(event, twin.role, twin.confidence, &why, &twin.question);
            }
            None => {
                foreign.insert(event.audit_id.clone());
            }
        }
    }
    for id in foreign {
        say(
            &mut trail.notes,
            format!(
                "auditID {id} stands on other requests too, which are not part of the story: a client may choose it"
            ),
        );
    }
    let mut requests: BTreeMap<&str, BTreeSet<Request<'_>>> = BTreeMap::new();
    for found in trail.found.values() {
        let event = &found.event;
        if event.log.is_empty() || !crate::ledger::usage::is_aggregated(Some(&event.log)) {
            let time = event.time.map(|time| time.0);
            requests.entry(&event.audit_id).or_default().insert((
                &event.verb,
                &event.request_uri,
                time,
            ));
        }
    }
    let chosen: Vec<String> = requests
        .into_iter()
        .filter(|(id, requests)| !id.is_empty() && requests.len() > 1)
        .map(|(id, requests)| format!(
            "auditID {id} stands on {} different requests of the story: the client set it (Audit-ID header), so it identifies no request",
            requests.len()
        ))
        .collect();
    for note in chosen {
        say(&mut trail.notes, note);
    }
    Ok(())
}

/// Verb, URI and time: what tells two requests apart where the auditID does not.
type Request<'r> = (&'r str, &'r str, Option<i64>);

fn near(a: &TimelineEvent, b: &TimelineEvent) -> bool {
    match (a.time, b.time) {
        (Some(a), Some(b)) => (a.0 - b.0).abs() <= 2_000_000,
        _ => false,
    }
}

/// Unused words of a clue, for the hint of an empty answer.
pub fn words_question(text: &str) -> QueryAst {
    phrase(text)
}
