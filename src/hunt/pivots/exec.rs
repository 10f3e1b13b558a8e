//! `exec [POD]`: sessions into pods and nodes: exec, attach, portforward, proxy, with what was run.

use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests::optional_argument;
use crate::hunt::pivot_requests::push;
use crate::hunt::pivot_requests::seconds;
use crate::hunt::pivot_requests::section;
use crate::ledger::question::any;
use crate::ledger::question::is;
use crate::ledger::request::Outcome;
use crate::ledger::request::Request;
use crate::ledger::uri::argv;
use crate::ledger::uri::join_argv;
use crate::ledger::uri::query_values;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Exec;

impl Pivot for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn about(&self) -> &'static str {
        "sessions into pods and nodes (exec, attach, portforward, proxy): argv, length, failures"
    }

    fn arguments(&self) -> &'static str {
        "[POD or NAMESPACE/POD]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let mut parts = vec![any("sub", &["exec", "attach", "portforward", "proxy"])];
        match optional_argument(self, arguments)?.map(|pod| pod.split_once('/').ok_or(pod)) {
            Some(Ok((namespace, pod))) => {
                parts.push(is("objectRef.namespace", namespace));
                parts.push(is("objectRef.name", pod));
            }
            Some(Err(pod)) => parts.push(is("objectRef.name", pod)),
            None => {}
        }
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        let requests = context.requests_shown(&mut answer, &question, &[], &OF_SESSIONS)?;
        let sessions = sessions(&requests);
        let failed = sessions.iter().filter(|session| session.failed()).count();
        answer.summary = format!(
            "{} sessions in {} requests ({} events), {failed} of them refused or failed",
            sessions.len(),
            requests.len(),
            requests.iter().map(|request| request.events.len()).sum::<usize>()
        );
        answer.sections.push(session_section(context, "sessions", &sessions));
        answer.notes.push(
            "only the command a session starts with is logged; what was typed inside never is"
                .to_owned(),
        );
        Ok(answer)
    }
}

/// What is told of sessions.
pub const OF_SESSIONS: [&str; 14] = [
    "requestReceivedTimestamp",
    "stageTimestamp",
    "verb",
    "requestURI",
    "user",
    "as",
    "peer",
    "ua",
    "resource",
    "sub",
    "objectRef.namespace",
    "objectRef.name",
    "name",
    "credential",
];

/// One session: the request that carried it, and the attempts before it.
#[derive(Debug)]
pub struct Session<'r> {
    /// Its requests in order of time.
    pub requests: Vec<&'r Request>,
}

impl Session<'_> {
    /// The request that lasted: the one a person worked in.
    pub fn main(&self) -> Option<&Request> {
        let succeeded = |r: &&&Request| !matches!(r.outcome, Outcome::Failed(_));
        let longest = |r: &&&Request| r.length().unwrap_or(-1);
        self.requests
            .iter()
            .filter(succeeded)
            .max_by_key(longest)
            .or_else(|| self.requests.last())
            .copied()
    }

    /// Says whether nothing came of it.
    pub fn failed(&self) -> bool {
        self.requests
            .iter()
            .all(|request| matches!(request.outcome, Outcome::Failed(_) | Outcome::Panicked))
    }
}

/// How long after a WebSocket attempt a client comes back with SPDY.
const RETRY: i64 = 10_000_000;

/// Joins the GET (WebSocket) and the POST (SPDY) of one session: a client that cannot use the
/// first comes back with the second at once (formats.md 2.3).
pub fn sessions(requests: &[Request]) -> Vec<Session<'_>> {
    let mut sessions: Vec<Session<'_>> = Vec::new();
    for request in requests {
        let open = sessions.iter_mut().rev().find(|session| {
            session.requests.len() == 1
                && session.requests.first().is_some_and(|first| is_retry(first, request))
        });
        match open {
            Some(session) => session.requests.push(request),
            None => sessions.push(Session { requests: vec![request] }),
        }
    }
    sessions
}

fn is_retry(first: &Request, second: &Request) -> bool {
    let same = |column: &str| first.get(column) == second.get(column);
    let query = |request: &Request| {
        let uri = request.get("requestURI").unwrap_or_default();
        uri.split_once('?').map(|(_, query)| query.to_owned())
    };
    first.get("verb") == Some("get")
        && second.get("verb") == Some("create")
        && ["user", "as", "credential", "ua", "objectRef.namespace", "name", "sub", "cluster"]
            .iter()
            .all(|column| same(column))
        && query(first) == query(second)
        && match (first.time, second.time) {
            (Some(a), Some(b)) => (0..RETRY).contains(&(b.0 - a.0)),
            _ => false,
        }
        // A session that went on is no failed attempt.
        && first.end().zip(second.time).is_none_or(|(end, second)| end <= second)
}

/// What was asked of the other side: the argv, or ports, or the path behind a proxy.
pub fn asked(request: &Request) -> Option<String> {
    let uri = request.get("requestURI").unwrap_or_default();
    match request.get("sub") {
        Some("exec") => Some(join_argv(&argv(uri))),
        Some("portforward") => {
            let ports = query_values(uri, "ports");
            (!ports.is_empty()).then(|| format!("ports {}", ports.join(",")))
        }
        Some("proxy") => uri.split_once("/proxy").map(|(_, path)| path.to_owned()),
        _ => None,
    }
}

/// The collector's own way of reading node logs (attribution.md, rule 17).
pub fn is_collection(request: &Request) -> bool {
    request.get("resource") == Some("nodes")
        && request.get("sub") == Some("proxy")
        && asked(request).is_some_and(|path| path.starts_with("/logs"))
}

/// Lays sessions out.
pub fn session_section(
    context: &PivotContext<'_>,
    title: &str,
    sessions: &[Session<'_>],
) -> Section {
    let mut table = section(
        title,
        &[
            "time",
            "user",
            "as",
            "kind",
            "namespace",
            "name",
            "container",
            "command",
            "tty",
            "seconds",
            "outcome",
            "code",
            "requests",
            "methods",
            "peer",
            "peer_is",
            "agent",
            "credential",
            "label",
        ],
    );
    for session in sessions {
        let (Some(main), Some(first)) = (session.main(), session.requests.first()) else {
            continue;
        };
        let uri = main.get("requestURI").unwrap_or_default();
        let methods: Vec<String> = session
            .requests
            .iter()
            .map(|request| match request.get("verb") {
                Some("get") => "GET (WebSocket)".to_owned(),
                Some("create") => "POST (SPDY)".to_owned(),
                other => other.unwrap_or_default().to_owned(),
            })
            .collect();
        let is_proxy = main.get("sub") == Some("proxy");
        push(
            &mut table,
            vec![
                first.time.into(),
                main.get("user").into(),
                main.get("as").into(),
                main.resource().into(),
                main.get("objectRef.namespace").into(),
                main.get("objectRef.name").into(),
                query_values(uri, "container").into_iter().next().into(),
                asked(main).into(),
                if is_proxy {
                    Cell::Empty
                } else {
                    Cell::Bool(query_values(uri, "tty").iter().any(|tty| tty == "true"))
                },
                main.length().map(seconds).into(),
                main.outcome.name().into(),
                main.code().into(),
                i64::try_from(session.requests.len()).unwrap_or(i64::MAX).into(),
                if is_proxy { main.get("verb").into() } else { methods.into() },
                main.get("peer").into(),
                context.owner(main).into(),
                main.get("ua").into(),
                main.get("credential").into(),
                is_collection(main).then_some("collection of evidence").into(),
            ],
            session.requests.iter().flat_map(|request| request.events.iter().copied()).collect(),
        );
    }
    table
}
