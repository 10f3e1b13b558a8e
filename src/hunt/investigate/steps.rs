//! Events of a trail become steps: what was done, exactly how, and what it is in ATT&CK.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::hunt::confidence::Confidence;
use crate::hunt::investigate::ask::Ask;
use crate::hunt::investigate::classify;
use crate::hunt::investigate::classify::Class;
use crate::hunt::investigate::classify::argv;
use crate::hunt::investigate::classify::is_workload;
use crate::hunt::investigate::classify::is_write;
use crate::hunt::investigate::story::Step;
use crate::hunt::investigate::trail::Found;
use crate::hunt::investigate::trail::Role;
use crate::hunt::state::signature::dangers;
use crate::hunt::state::signature::payloads;
use crate::hunt::state::signature::subject_text;
use crate::hunt::state::value::at;
use crate::hunt::state::value::items_at;
use crate::hunt::state::value::text_at;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::uri::join_argv;
use crate::search::error::SearchError;

/// PodSecurity's verdict, logged at every level (pod-security.kubernetes.io, audit annotations).
const VIOLATIONS: &str = "pod-security.kubernetes.io/audit-violations";
/// The security context constraint that admitted a pod.
const SCC: &str = "securitycontextconstraints.admission.openshift.io/chosen";

/// What an event did exactly.
struct Facts {
    class: Class,
    details: Vec<String>,
}

/// Groups the events of a trail into steps, in the order of time.
///
/// # Errors
/// When a body cannot be read.
pub fn steps_of<'f>(
    ask: &Ask<'_>,
    found: impl Iterator<Item = &'f Found>,
) -> Result<Vec<Step>, SearchError> {
    let mut all: Vec<&Found> = found.collect();
    all.sort_by(|a, b| {
        let key = |f: &Found| (f.event.time, f.event.source.clone(), f.event.offset, f.event.item);
        key(a).cmp(&key(b))
    });
    let mut steps: Vec<(String, Step)> = Vec::new();
    for one in all {
        let facts = facts(ask, one)?;
        let key = group_key(one, &facts.class);
        match steps.last_mut() {
            Some((last, step)) if *last == key => {
                step.events.push(one.event.clone());
                step.confidence = step.confidence.min(one.confidence);
                for detail in facts.details {
                    crate::hunt::investigate::trail::say(&mut step.details, detail);
                }
            }
            _ => steps.push((
                key,
                Step {
                    title: String::new(),
                    tactic: facts.class.tactic,
                    technique: facts.class.technique,
                    technique_name: facts.class.technique_name,
                    confidence: one.confidence,
                    question: question_of(one),
                    why: one.why.clone(),
                    details: facts.details,
                    events: vec![one.event.clone()],
                },
            )),
        }
    }
    Ok(steps
        .into_iter()
        .map(|(key, mut step)| {
            step.title = title(key.split('\u{1f}').next().unwrap_or_default(), &step);
            session(&mut step);
            step
        })
        .collect())
}

/// The question of the trail, narrowed to what this step did.
fn question_of(found: &Found) -> String {
    use crate::hunt::investigate::ask::is;
    let mut parts = vec![found.question.clone()];
    let event = &found.event;
    let narrow = matches!(found.role, Role::Use | Role::Clue);
    if narrow && !event.resource.is_empty() {
        parts.push(is("objectRef.resource", &event.resource));
        if event.subresource.is_empty() {
            // A step of reads holds all kinds of them.
            parts.push(if classify::is_read(event) {
                crate::hunt::investigate::ask::one_of("verb", &["get", "list", "watch"])
            } else {
                is("verb", &event.verb)
            });
        } else {
            parts.push(is("objectRef.subresource", &event.subresource));
        }
    }
    crate::query::ast::QueryAst::all_of(parts).to_string()
}

fn group_key(found: &Found, class: &Class) -> String {
    let event = &found.event;
    let object = event.object();
    let about = match class.key {
        "denied" => event.peer(),
        "secrets" | "review" => "",
        "exec" | "tunnel" | "look" => &object,
        _ => event.audit_id.as_str(),
    };
    let about = if found.role == Role::Address { object.as_str() } else { about };
    let resource = if class.key == "look" { event.resource.as_str() } else { "" };
    let confidence = found.confidence.name();
    let user = if found.role == Role::Address { "" } else { event.user.as_str() };
    [class.key, user, about, resource, confidence].join("\u{1f}")
}

fn facts(ask: &Ask<'_>, found: &Found) -> Result<Facts, SearchError> {
    let event = &found.event;
    let mut details = Vec::new();
    let class = match found.role {
        Role::Mint => classify::MINT,
        Role::Address => classify::ADDRESS,
        Role::Binding => {
            let body = ask.body(event)?;
            grant_details(&body, event, &mut details);
            classify::BINDING
        }
        _ => {
            let reads_body = is_write(event) && !event.failed();
            let body = if reads_body { ask.body(event)? } else { Value::Null };
            let dangerous = write_details(event, &body, &mut details);
            classify::classify(event, dangerous)
        }
    };
    if matches!(found.role, Role::Use | Role::Clue) {
        details.push(format!("from {} with {}", event.peer(), event.user_agent));
        if event.source_ips.len() > 1 {
            let claimed = event.source_ips.split_last().map(|(_, rest)| rest.join(", "));
            details.push(format!(
                "claims to come from {}; only {} is vouched for",
                claimed.unwrap_or_default(),
                event.peer()
            ));
        }
    }
    let argv = argv(event);
    if !argv.is_empty() {
        details.push(format!("command: {}", join_argv(&argv)));
    }
    Ok(Facts { class, details })
}

/// Says what a write did, and whether it makes something dangerous.
fn write_details(event: &TimelineEvent, body: &Value, details: &mut Vec<String>) -> bool {
    if body.is_null() {
        return false;
    }
    let answer = at(body, &["responseObject"]);
    let asked = at(body, &["requestObject"]);
    let object =
        if answer.is_object() && text_at(answer, &["kind"]) != "Status" { answer } else { asked };
    let mut dangerous = false;
    match event.resource.as_str() {
        "selfsubjectaccessreviews" => review_details(asked, answer, details),
        "clusterrolebindings" | "rolebindings" | "clusterroles" | "roles" => {
            grant_details(body, event, details);
        }
        resource if is_workload(resource) && event.subresource.is_empty() => {
            dangerous = workload_details(event, body, object, details);
        }
        _ => {}
    }
    dangerous
}

fn workload_details(
    event: &TimelineEvent,
    body: &Value,
    object: &Value,
    details: &mut Vec<String>,
) -> bool {
    let mut dangerous = false;
    if event.verb.starts_with("delete") {
        return false;
    }
    if object.is_object() {
        for (image, command) in payloads(object) {
            let command = if command.is_empty() { "the image's own".to_owned() } else { command };
            details.push(format!("image {image}, command: {command}"));
        }
        let settings = dangers(object);
        dangerous = !settings.is_empty();
        if dangerous {
            details.push(format!("dangerous settings: {}", settings.join("; ")));
        }
        let account = text_at(object, &["spec", "serviceAccountName"]);
        if !account.is_empty() {
            details.push(format!("service account {account}"));
        }
    } else {
        details.push(
            "image, command and settings are not known: no body was logged at this level"
                .to_owned(),
        );
    }
    let annotations = at(body, &["annotations"]);
    let violations = text_at(annotations, &[VIOLATIONS]);
    if !violations.is_empty() {
        dangerous |= ["privileged", "host", "capabilit"].iter().any(|w| violations.contains(w));
        details.push(format!("PodSecurity: {violations}"));
    }
    let scc = text_at(annotations, &[SCC]);
    if !scc.is_empty() {
        details.push(format!("admitted by security context constraint {scc}"));
    }
    dangerous
}

fn review_details(asked: &Value, answer: &Value, details: &mut Vec<String>) {
    let attributes = at(asked, &["spec", "resourceAttributes"]);
    let verb = text_at(attributes, &["verb"]);
    if verb.is_empty() {
        return;
    }
    let allowed = match at(answer, &["status", "allowed"]).as_bool() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "the answer was not logged",
    };
    let reason = text_at(answer, &["status", "reason"]);
    let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
    details.push(format!(
        "asked whether it may {verb} {}: {allowed}{reason}",
        text_at(attributes, &["resource"])
    ));
}

fn grant_details(body: &Value, event: &TimelineEvent, details: &mut Vec<String>) {
    let answer = at(body, &["responseObject"]);
    let object = if at(answer, &["roleRef"]).is_null() && at(answer, &["rules"]).is_null() {
        at(body, &["requestObject"])
    } else {
        answer
    };
    let role = at(object, &["roleRef"]);
    if !role.is_null() {
        let subjects: Vec<String> =
            items_at(object, &["subjects"]).iter().map(subject_text).collect();
        details.push(format!(
            "binds {} {} to {}",
            text_at(role, &["kind"]),
            text_at(role, &["name"]),
            subjects.join(", ")
        ));
    } else if !at(object, &["rules"]).is_null() {
        details.push(format!("rules: {}", at(object, &["rules"])));
    } else {
        details
            .push("role and subjects are not known: no body was logged at this level".to_owned());
    }
    details.push(format!("by {} from {} with {}", event.user, event.peer(), event.user_agent));
}

/// Distinct requests of a step: stages of one request are one.
pub fn requests(events: &[TimelineEvent]) -> Vec<&TimelineEvent> {
    let mut seen = BTreeSet::new();
    events
        .iter()
        .filter(|event| seen.insert((&event.audit_id, event.time, &event.user, &event.request_uri)))
        .collect()
}

/// `n thing` or `n things`.
fn counted(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

fn title(class: &str, step: &Step) -> String {
    let requests = requests(&step.events);
    let Some(first) = requests.first() else { return String::new() };
    let one = singular(&first.what());
    let object = first.object();
    let who = &first.user;
    let mut things: Vec<String> =
        requests.iter().map(|r| format!("{} {}", r.verb, r.what())).collect();
    things.dedup();
    match class {
        "denied" => format!(
            "{} by {who} from {}: {}",
            counted(requests.len(), "refused request"),
            first.peer(),
            things.join(", ")
        ),
        "review" => format!("{who} asks what it may do"),
        "secrets" => secrets_title(who, &requests),
        "mint" | "token" => {
            format!("{who} has a token issued for service account {object}")
        }
        "address" => format!("the address is given to pod {object}"),
        "binding" => format!(
            "{who} {}s {one} {object}: the right that made the rest possible",
            verb_stem(&first.verb)
        ),
        "exec" => format!("{who} opens {} in {object}", exec_what(first)),
        "escape" => format!(
            "{who} {}s {one} {object} with settings that lead out of the container",
            verb_stem(&first.verb)
        ),
        "look" => format!("{who} looks at {object} ({})", things.join(", ")),
        _ if first.object().is_empty() => format!("{who}: {}", things.join(", ")),
        _ => format!("{who} {}s {one} {object}", verb_stem(&first.verb)),
    }
}

/// One of a resource: `networkpolicies` becomes `networkpolicy`, `pods/exec` stays.
fn singular(what: &str) -> String {
    if what.contains('/') {
        return what.to_owned();
    }
    match what.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None if what.ends_with("sses") => what.trim_end_matches("es").to_owned(),
        None => what.strip_suffix('s').unwrap_or(what).to_owned(),
    }
}

/// `patch` becomes `patche`, so that an `s` can follow.
fn verb_stem(verb: &str) -> String {
    if verb.ends_with("ch") { format!("{verb}e") } else { verb.to_owned() }
}

fn exec_what(event: &TimelineEvent) -> &'static str {
    match event.subresource.as_str() {
        "attach" => "an attachment",
        "portforward" => "a tunnel",
        "proxy" => "a proxy connection",
        _ => "a shell or command",
    }
}

fn secrets_title(who: &str, requests: &[&TimelineEvent]) -> String {
    let lists = requests.iter().filter(|r| r.verb == "list" && r.name.is_empty());
    let (pages, first_pages) = lists.fold((0, 0), |(pages, firsts), r| {
        (pages + 1, firsts + usize::from(!classify::is_next_page(r)))
    });
    let namespaces: BTreeSet<&str> = requests.iter().map(|r| r.namespace.as_str()).collect();
    let scope =
        if namespaces.contains("") { "of the whole cluster" } else { "of single namespaces" };
    if pages > 0 {
        format!(
            "{who} lists the secrets {scope}: {} in {}",
            counted(first_pages, "dump"),
            counted(pages, "request")
        )
    } else {
        format!("{who} reads {}", counted(requests.len(), "secret"))
    }
}

/// Joins the requests of one session and says how long the longest lasted.
fn session(step: &mut Step) {
    let is_session = step
        .events
        .iter()
        .any(|e| matches!(e.subresource.as_str(), "exec" | "attach" | "portforward"));
    if !is_session {
        return;
    }
    let mut lengths: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut open: BTreeSet<(String, String)> = BTreeSet::new();
    for event in &step.events {
        let key = (event.audit_id.clone(), event.verb.clone());
        let took = match (event.time, event.stage_time) {
            (Some(start), Some(end)) if event.stage == "ResponseComplete" => end.0 - start.0,
            _ => {
                open.insert(key);
                continue;
            }
        };
        let length = lengths.entry(key).or_default();
        *length = (*length).max(took);
    }
    let unfinished = open.iter().filter(|key| !lengths.contains_key(*key)).count();
    let real = lengths.values().filter(|took| **took >= 100_000).count();
    if let Some(longest) = lengths.values().max() {
        let (seconds, tenths) = (longest / 1_000_000, longest % 1_000_000 / 100_000);
        step.details.push(format!(
            "{} in {}; the longest lasted {seconds}.{tenths} s",
            counted(real, "session"),
            counted(lengths.len(), "request"),
        ));
    }
    if unfinished > 0 {
        step.details
            .push(format!("{} without an end in the evidence", counted(unfinished, "request")));
    }
}

/// Said of a session in a pod that the story itself made dangerous.
const LEADS_OUT: &str = "the pod was made with settings that lead out of the container";

/// Marks sessions in pods that an earlier step made with dangerous settings.
pub fn mark_takeovers(steps: &mut [Step]) {
    let object = |event: &TimelineEvent| (event.namespace.clone(), event.name.clone());
    let dangerous: BTreeSet<(String, String)> = steps
        .iter()
        .filter(|step| step.technique == classify::ESCAPE.technique)
        .flat_map(|step| step.events.iter().map(object))
        .collect();
    for step in steps.iter_mut().filter(|s| s.technique == classify::EXEC.technique) {
        if step.events.iter().any(|event| dangerous.contains(&object(event))) {
            step.details.push(LEADS_OUT.to_owned());
        }
    }
}

fn refused_conclusion(steps: &[&Step], weak: bool) -> String {
    let pod = steps.iter().find_map(|step| step.why.split_once("belonged to pod "));
    let who = pod.map_or_else(String::new, |(_, pod)| format!("{pod}: "));
    let weak = if weak { " (weak evidence)" } else { "" };
    format!("{who}compromised, but contained by RBAC: every request was refused{weak}")
}

/// What is to be concluded from steps of one tactic.
pub fn conclude(steps: &[&Step]) -> String {
    let has = |technique: &str| steps.iter().any(|step| step.technique == technique);
    let refused = steps.iter().flat_map(|s| &s.events).all(|e| matches!(e.code, Some(401 | 403)));
    let weak = steps.iter().all(|step| step.confidence == Confidence::Low);
    let conclusion = if refused {
        return refused_conclusion(steps, weak);
    } else if steps.iter().any(|s| s.details.iter().any(|d| d == LEADS_OUT)) {
        "node takeover possible: a shell in a container that can be left"
    } else if has("T1611") {
        "container escape possible: the node must be treated as compromised"
    } else if has("T1552.007") {
        "credential harvesting: every secret read must be taken as known"
    } else if has("T1609") {
        "interactive access: what was done inside is not in the log"
    } else if steps.iter().any(|s| s.title.contains("the right that made")) {
        "misconfiguration or preparation: this right made the rest possible"
    } else if has("T1098.006") {
        "rights were granted that outlive the session"
    } else if has("T1190") {
        "where the trail enters the cluster; how the pod was entered is not in the log"
    } else if has("T1528") {
        "the credential that is used away from its owner later"
    } else if has("T1069") {
        "reconnaissance with a stolen credential"
    } else if has("T1610") {
        "foothold: the attacker's own objects run in the cluster"
    } else if has("T1070") {
        "traces were removed: what was deleted is missing here"
    } else if has("T1485") {
        "objects were destroyed"
    } else if steps.iter().any(|step| step.tactic == "Discovery") {
        "reconnaissance"
    } else {
        "see the steps"
    };
    if weak { format!("{conclusion} (weak evidence)") } else { conclusion.to_owned() }
}
