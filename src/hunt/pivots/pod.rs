//! `pod NAME|UID`: the life of a pod: who made it from what, what it may do, where it ran, what
//! was done to it, and how it ended.

use rayon::iter::IntoParallelRefIterator;
use rayon::iter::ParallelIterator;

use crate::event::json::Json;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests::AGENT;
use crate::hunt::pivot_requests::CODE;
use crate::hunt::pivot_requests::NAMESPACE;
use crate::hunt::pivot_requests::OUTCOME;
use crate::hunt::pivot_requests::PEER;
use crate::hunt::pivot_requests::RESOURCE;
use crate::hunt::pivot_requests::TIME;
use crate::hunt::pivot_requests::USER;
use crate::hunt::pivot_requests::VERB;
use crate::hunt::pivot_requests::counted;
use crate::hunt::pivot_requests::one_argument;
use crate::hunt::pivot_requests::push;
use crate::hunt::pivot_requests::section;
use crate::hunt::pivots::exec::session_section;
use crate::hunt::pivots::exec::sessions;
use crate::hunt::pivots::ip::ending;
use crate::hunt::pod_spec::PodSpec;
use crate::ledger::address::Pod;
use crate::ledger::question::all;
use crate::ledger::question::any_field;
use crate::ledger::question::is;
use crate::ledger::request::Request;
use crate::ledger::uri::join_argv;
use crate::ledger::usage::POD_NAME;
use crate::ledger::usage::POD_UID;
use crate::query::ast::QueryAst;
use crate::search::evidence::EventId;

/// See the file's text.
#[derive(Debug)]
pub struct PodPivot;

/// Annotation of the audit event: the SCC that admitted the pod.
pub const SCC_CHOSEN: &str = "annotations.securitycontextconstraints.admission.openshift.io/chosen";
/// Annotation of the object: the SCC that admitted the pod.
pub const SCC_OBJECT: &str = "responseObject.metadata.annotations.openshift.io/scc";
/// What PodSecurity would have refused.
pub const PSA: &str = "annotations.pod-security.kubernetes.io/audit-violations";

const EXTRA: &[&str] = &[
    "objectRef.name",
    "objectRef.uid",
    "responseObject.metadata.name",
    "responseObject.metadata.uid",
    "responseObject.metadata.ownerReferences.kind",
    "responseObject.metadata.ownerReferences.name",
    "requestObject.metadata.generateName",
    "requestObject.target.name",
    SCC_CHOSEN,
    SCC_OBJECT,
    PSA,
];

impl Pivot for PodPivot {
    fn name(&self) -> &'static str {
        "pod"
    }

    fn about(&self) -> &'static str {
        "the life of a pod: maker, template, SCC, node, address, images, commands, execs, end"
    }

    fn arguments(&self) -> &'static str {
        "NAME, NAMESPACE/NAME or UID"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let typed = one_argument(self, arguments)?;
        let question = context.refined(question(typed));
        let mut answer = context.answer(self, &question);
        let requests = context.requests(&mut answer, &question, EXTRA)?;
        let pods = known_pods(context, typed);
        answer.summary = match (requests.is_empty(), pods.first()) {
            (true, None) => format!("no pod {typed} in this evidence"),
            _ => format!("{} about {} pod(s) {typed}", counted(&requests), pods.len().max(1)),
        };
        answer.sections.push(facts(context, &pods, &requests)?);
        answer.sections.push(containers(context, &mut answer.notes, &requests)?);
        answer.sections.push(addresses(context, &pods));
        let (streams, steps): (Vec<Request>, Vec<Request>) =
            requests.iter().cloned().partition(is_stream);
        let changes: Vec<&Request> = steps
            .iter()
            .filter(|request| !matches!(request.get("verb"), Some("get" | "list" | "watch")))
            .collect();
        let columns = [TIME, USER, VERB, RESOURCE, NAMESPACE, CODE, OUTCOME, PEER, AGENT];
        answer.sections.push(context.table("life", changes, &columns));
        let sessions = sessions(&streams);
        if !sessions.is_empty() {
            answer.sections.push(session_section(context, "sessions into it", &sessions));
        }
        let own = own_credentials(context, &pods, typed);
        if !own.rows.is_empty() {
            answer.sections.push(own);
        }
        Ok(answer)
    }
}

fn is_stream(request: &Request) -> bool {
    matches!(request.get("sub"), Some("exec" | "attach" | "portforward" | "proxy"))
}

/// Says whether a text has the form of a uid.
pub fn is_uid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == b'-',
            _ => c.is_ascii_hexdigit(),
        })
}

/// Pods made from a template have no name in the reference; their answer names them.
fn question(typed: &str) -> QueryAst {
    if is_uid(typed) {
        let paths = ["objectRef.uid", "responseObject.metadata.uid", "requestObject.metadata.uid"];
        return all([is("resource", "pods"), any_field(&paths, typed)]);
    }
    let mut parts = vec![is("resource", "pods")];
    let name = match typed.split_once('/') {
        Some((namespace, name)) => {
            parts.push(is("objectRef.namespace", namespace));
            name
        }
        None => typed,
    };
    parts.push(is("name", name));
    QueryAst::all_of(parts)
}

fn known_pods<'l>(context: &PivotContext<'l>, typed: &str) -> Vec<(usize, &'l Pod)> {
    let (namespace, name) = match typed.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, typed),
    };
    context
        .ledgers
        .addresses
        .pods
        .iter()
        .enumerate()
        .filter(|(_, pod)| {
            if is_uid(typed) {
                return pod.uid.as_deref() == Some(typed);
            }
            pod.name == name && namespace.is_none_or(|namespace| pod.namespace == namespace)
        })
        .collect()
}

fn facts(
    context: &PivotContext<'_>,
    pods: &[(usize, &Pod)],
    requests: &[Request],
) -> Result<Section, HuntError> {
    let mut table = section(
        "pod",
        &[
            "namespace",
            "name",
            "uid",
            "created",
            "created_by",
            "made_from",
            "service_account",
            "node",
            "addresses",
            "scc",
            "pod_security",
            "reaches_out",
            "ended",
            "how",
        ],
    );
    for (at, pod) in pods {
        let of_pod = |request: &&Request| is_about(request, pod);
        let create = requests
            .iter()
            .filter(of_pod)
            .find(|r| r.get("verb") == Some("create") && r.get("sub").is_none());
        let scc = requests
            .iter()
            .filter(of_pod)
            .find_map(|r| r.first_of(&[SCC_OBJECT, SCC_CHOSEN]).map(str::to_owned));
        let spec = match create {
            Some(create) => spec_of(context, create)?,
            None => None,
        };
        let account = spec.as_ref().and_then(|spec| spec.service_account.clone());
        let dangers = spec.map(|spec| spec.dangers()).unwrap_or_default();
        let addresses = context.ledgers.addresses.addresses_of(*at);
        push(
            &mut table,
            vec![
                pod.namespace.clone().into(),
                pod.name.clone().into(),
                pod.uid.clone().into(),
                create.and_then(|create| create.time).into(),
                create.and_then(|create| create.get("user")).into(),
                create.and_then(made_from).into(),
                pod.service_account.clone().or(account).into(),
                pod.node.clone().into(),
                addresses.iter().map(|(a, _)| a.to_string()).collect::<Vec<_>>().into(),
                scc.into(),
                create.and_then(|create| create.get(PSA)).into(),
                if dangers.is_empty() { Cell::Empty } else { dangers.into() },
                pod.ended.map(|(time, _)| time).into(),
                pod.ended.map(|(_, how)| ending(how)).into(),
            ],
            create.map(|create| create.events.clone()).unwrap_or_default(),
        );
    }
    if pods.is_empty() && !requests.is_empty() {
        table.notes.push("no event of this evidence shows this pod being made or run".to_owned());
    }
    Ok(table)
}

fn is_about(request: &Request, pod: &Pod) -> bool {
    let uids = ["responseObject.metadata.uid", "objectRef.uid"];
    match (&pod.uid, request.first_of(&uids)) {
        (Some(own), Some(uid)) if request.get("sub") != Some("binding") => own == uid,
        _ => {
            request.get("name") == Some(pod.name.as_str())
                && request.get("objectRef.namespace") == Some(pod.namespace.as_str())
        }
    }
}

fn made_from(create: &Request) -> Option<String> {
    let kind = create.get("responseObject.metadata.ownerReferences.kind");
    let name = create.get("responseObject.metadata.ownerReferences.name");
    match (kind, name) {
        (Some(kind), Some(name)) => Some(format!("{kind} {name}")),
        _ => create
            .get("requestObject.metadata.generateName")
            .map(|prefix| format!("generateName {prefix}")),
    }
}

/// The pod spec of a request's body: the answer, which admission has completed, else the request.
///
/// # Errors
/// When the evidence cannot be read.
pub fn spec_of(
    context: &PivotContext<'_>,
    request: &Request,
) -> Result<Option<PodSpec>, HuntError> {
    let Some(event) = request.events.first() else { return Ok(None) };
    Ok(context.with_event(*event, spec_in)?.flatten())
}

fn spec_in(event: Json<'_>) -> Option<PodSpec> {
    ["responseObject", "requestObject"]
        .iter()
        .filter_map(|body| event.get(body))
        .find_map(PodSpec::of)
}

/// The same for many requests at once, in their order.
///
/// # Errors
/// When the evidence cannot be read.
pub fn specs_of(
    context: &PivotContext<'_>,
    requests: &[Request],
) -> Result<Vec<Option<PodSpec>>, HuntError> {
    let mut specs: Vec<Option<PodSpec>> = vec![None; requests.len()];
    for body in ["responseObject", "requestObject"] {
        let open = specs.iter().zip(requests).enumerate().filter(|(_, (spec, _))| spec.is_none());
        let open: Vec<(usize, EventId)> =
            open.filter_map(|(at, (_, request))| Some((at, *request.events.first()?))).collect();
        let ids: Vec<EventId> = open.iter().map(|(_, id)| *id).collect();
        let texts = context.evidence.structures(&ids, &[body, "spec"])?;
        let read: Vec<Option<PodSpec>> = texts
            .par_iter()
            .map(|text| {
                let text = text.as_ref()?;
                let mut tape = Tape::default();
                parse_lenient(text, &mut tape).ok()?;
                PodSpec::of_spec(tape.root(text)?)
            })
            .collect();
        for ((at, _), found) in open.into_iter().zip(read) {
            if let Some(slot) = specs.get_mut(at) {
                *slot = found;
            }
        }
    }
    Ok(specs)
}

/// Containers by what was created, and ephemeral ones added later.
fn containers(
    context: &PivotContext<'_>,
    notes: &mut Vec<String>,
    requests: &[Request],
) -> Result<Section, HuntError> {
    let mut table = section(
        "containers",
        &["namespace", "pod", "kind", "container", "image", "command", "args", "time"],
    );
    let mut told: Vec<(String, String, String)> = Vec::new();
    let mut without_body = 0;
    for request in requests {
        let relevant = matches!(
            (request.get("verb"), request.get("sub")),
            (Some("create" | "patch" | "update"), None)
                | (Some("patch" | "update"), Some("ephemeralcontainers"))
        );
        if !relevant {
            continue;
        }
        let Some(spec) = spec_of(context, request)? else {
            without_body += 1;
            continue;
        };
        let pod = request.first_of(&["responseObject.metadata.name", "name"]).unwrap_or_default();
        for container in spec.containers {
            let key = (pod.to_owned(), container.name.clone(), container.image.clone());
            if told.contains(&key) {
                continue;
            }
            told.push(key);
            push(
                &mut table,
                vec![
                    request.get("objectRef.namespace").into(),
                    pod.into(),
                    container.kind.into(),
                    container.name.into(),
                    container.image.into(),
                    join_argv(&container.command).into(),
                    join_argv(&container.args).into(),
                    request.time.into(),
                ],
                request.events.clone(),
            );
        }
    }
    if without_body > 0 && table.rows.is_empty() {
        notes.push(
            "the evidence holds no body of this pod (level Metadata), so images and commands are \
             not known"
                .to_owned(),
        );
    }
    Ok(table)
}

fn addresses(context: &PivotContext<'_>, pods: &[(usize, &Pod)]) -> Section {
    let mut table = section("addresses", &["pod", "address", "since", "until", "read_from"]);
    for (at, pod) in pods {
        for (address, interval) in context.ledgers.addresses.addresses_of(*at) {
            let sources = interval.sources.iter().map(|source| source.name().to_owned());
            push(
                &mut table,
                vec![
                    pod.title().into(),
                    address.to_string().into(),
                    interval.since.into(),
                    interval.until.map(|(until, _)| until).into(),
                    sources.collect::<Vec<_>>().into(),
                ],
                interval.events(),
            );
        }
        if pod.host_network {
            table.notes.push(format!(
                "{} lives in the network of its node: its address is the node's",
                pod.title()
            ));
        }
    }
    table
}

/// Credentials bound to the pod, and what may be said about their use.
fn own_credentials(context: &PivotContext<'_>, pods: &[(usize, &Pod)], typed: &str) -> Section {
    let mut table =
        section("its credentials", &["credential", "user", "events", "first", "last", "verdict"]);
    let name = typed.split_once('/').map_or(typed, |(_, name)| name);
    for credential in context.ledgers.credentials.used.values() {
        let by_pod = pods
            .iter()
            .any(|(_, pod)| pod.cluster == credential.cluster && credential.bound().is_pod(pod));
        let by_text =
            credential.pod.as_deref() == Some(name) || credential.pod_uid.as_deref() == Some(typed);
        if by_pod || by_text {
            push(
                &mut table,
                vec![
                    credential.key.to_string().into(),
                    credential.user.clone().into(),
                    i64::try_from(credential.events).unwrap_or(i64::MAX).into(),
                    credential.first.into(),
                    credential.last.into(),
                    crate::hunt::pivots::credential::verdict_text(credential).into(),
                ],
                Vec::new(),
            );
        }
    }
    if !table.rows.is_empty() {
        table.notes.push(format!("its own requests: {POD_NAME}:{name} or {POD_UID}:UID"));
    }
    table
}
