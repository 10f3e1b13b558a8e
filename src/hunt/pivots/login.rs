//! `login NAME`: an OAuth login as one session: decision, token, requests with it.

use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::bruteforce::OAUTH_DECISION;
use crate::hunt::pivots::bruteforce::OAUTH_USER;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::either;
use crate::ledger::question::is;
use crate::ledger::request::Outcome;
use crate::ledger::request::Request;

/// See the file's text.
#[derive(Debug)]
pub struct LoginPivot;

impl Pivot for LoginPivot {
    fn name(&self) -> &'static str {
        "login"
    }

    fn about(&self) -> &'static str {
        "OAuth logins of a person: decision, token, and the requests of each session"
    }

    fn arguments(&self) -> &'static str {
        "NAME"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let name = table::one_argument(self, arguments)?;
        let decisions = is(OAUTH_USER, name);
        let tokens = all([
            any(
                "resource",
                &["oauthaccesstokens", "oauthauthorizetokens", "useroauthaccesstokens"],
            ),
            any("verb", &["create", "delete"]),
            either([
                is("requestObject.userName", name),
                is("responseObject.userName", name),
                is("user", name),
            ]),
        ]);
        let question = context.refined(either([decisions, tokens, is("who", name)]));
        let mut answer = context.answer(self, &question);
        let requests = context.requests(&mut answer, &question, EXTRA)?;
        let is_token = |request: &&Request| {
            request.get("resource").is_some_and(|resource| resource.contains("tokens"))
                && matches!(request.get("verb"), Some("create" | "delete"))
        };
        let is_decision = |request: &&Request| request.get(OAUTH_DECISION).is_some();
        let (decisions, others): (Vec<&Request>, Vec<&Request>) =
            requests.iter().partition(is_decision);
        let (tokens, work): (Vec<&Request>, Vec<&Request>) = others.into_iter().partition(is_token);
        let logins = logins(&decisions, &tokens);
        answer.summary = format!(
            "{name}: {} decisions of the oauth-server, {} tokens made or revoked, {} logins, {} \
             requests",
            decisions.len(),
            tokens.len(),
            logins.len(),
            work.len()
        );
        let columns: [table::Column; 7] = [
            table::TIME,
            ("decision", &[], |_, request| request.get(OAUTH_DECISION).into()),
            table::URI,
            table::CODE,
            table::PEER,
            table::CLAIMED,
            table::AGENT,
        ];
        answer.sections.push(context.table("decisions", decisions, &columns));
        let columns: [table::Column; 8] = [
            table::TIME,
            table::VERB,
            table::RESOURCE,
            table::NAME,
            ("client", &[], |_, request| {
                request.first_of(&["responseObject.clientName", "requestObject.clientName"]).into()
            }),
            ("expires_in", &[], |_, request| {
                request
                    .first_of(&["responseObject.expiresIn", "requestObject.expiresIn"])
                    .and_then(|text| text.parse::<i64>().ok())
                    .into()
            }),
            table::USER,
            table::OUTCOME,
        ];
        answer.sections.push(context.table("tokens", tokens, &columns));
        answer.sections.push(sessions(&logins, &work));
        answer.notes.push(
            "OAuth tokens carry no credential id: a request belongs to the login before it only \
             by its time, so a session is weak evidence, and two logins may overlap"
                .to_owned(),
        );
        Ok(answer)
    }
}

const EXTRA: &[&str] = &[
    OAUTH_DECISION,
    OAUTH_USER,
    "requestObject.clientName",
    "responseObject.clientName",
    "requestObject.expiresIn",
    "responseObject.expiresIn",
    "requestObject.userName",
    "responseObject.userName",
];

/// How far a token may lie behind its decision.
const TOGETHER: i64 = 10_000_000;

struct Login {
    time: Timestamp,
    expires: Option<Timestamp>,
    token: Option<String>,
    client: Option<String>,
    events: Vec<crate::search::evidence::EventId>,
}

/// One login is an allowed decision and the tokens that follow it at once; a token without a
/// decision (the oauth-server's log is missing) is a login as well.
fn logins(decisions: &[&Request], tokens: &[&Request]) -> Vec<Login> {
    let mut logins: Vec<Login> = Vec::new();
    for request in decisions {
        if let (Some("allow"), Some(time)) = (request.get(OAUTH_DECISION), request.time) {
            let events = request.events.clone();
            logins.push(Login { time, expires: None, token: None, client: None, events });
        }
    }
    for request in tokens {
        let made = request.get("verb") == Some("create")
            && request.get("resource") == Some("oauthaccesstokens")
            && !matches!(request.outcome, Outcome::Failed(_));
        let (true, Some(time)) = (made, request.time) else { continue };
        let expires = request
            .first_of(&["responseObject.expiresIn", "requestObject.expiresIn"])
            .and_then(|text| text.parse::<i64>().ok())
            .map(|seconds| Timestamp(time.0.saturating_add(seconds.saturating_mul(1_000_000))));
        let client = request.first_of(&["responseObject.clientName", "requestObject.clientName"]);
        let open = logins
            .iter_mut()
            .find(|login| login.token.is_none() && (time.0 - login.time.0).abs() < TOGETHER);
        let login = match open {
            Some(login) => login,
            None => {
                let events = Vec::new();
                logins.push(Login { time, expires: None, token: None, client: None, events });
                let Some(login) = logins.last_mut() else { continue };
                login
            }
        };
        login.token = request.get("name").map(str::to_owned);
        login.client = client.map(str::to_owned);
        login.expires = expires;
        login.events.extend(&request.events);
    }
    logins.sort_by_key(|login| login.time);
    logins
}

fn sessions(logins: &[Login], work: &[&Request]) -> Section {
    let mut section = table::section(
        "sessions",
        &[
            "login",
            "token",
            "client",
            "until",
            "requests",
            "denied",
            "first",
            "last",
            "addresses",
            "agents",
        ],
    );
    let mut begin: Vec<Option<&Login>> = Vec::new();
    if logins.first().is_none_or(|first| {
        work.iter().any(|request| request.time.is_some_and(|time| time < first.time))
    }) {
        // Work before the first login known: its login is older than the evidence.
        begin.push(None);
    }
    begin.extend(logins.iter().map(Some));
    for (at, login) in begin.iter().enumerate() {
        let since = login.map(|login| login.time);
        let next = begin.get(at + 1).and_then(|next| next.map(|next| next.time));
        let expires = login.and_then(|login| login.expires);
        let until = match (next, expires) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let inside: Vec<&&Request> = work
            .iter()
            .filter(|request| {
                request.time.is_some_and(|time| {
                    since.is_none_or(|since| time >= since)
                        && until.is_none_or(|until| time < until)
                })
            })
            .collect();
        if inside.is_empty() && login.is_none() {
            continue;
        }
        let each = |column: &str| {
            let mut values: Vec<String> = Vec::new();
            for value in inside.iter().filter_map(|request| request.get(column)) {
                if !values.iter().any(|known| known == value) {
                    values.push(value.to_owned());
                }
            }
            crate::hunt::spec_paths::list_cell(values)
        };
        let denied = inside
            .iter()
            .filter(|request| matches!(request.outcome, Outcome::Failed(401 | 403)))
            .count();
        let mut events = login.map(|login| login.events.clone()).unwrap_or_default();
        events.extend(inside.iter().flat_map(|request| request.events.iter().copied()));
        table::push(
            &mut section,
            vec![
                since.into(),
                login.and_then(|login| login.token.clone()).into(),
                login.and_then(|login| login.client.clone()).into(),
                until.into(),
                i64::try_from(inside.len()).unwrap_or(i64::MAX).into(),
                i64::try_from(denied).unwrap_or(i64::MAX).into(),
                inside.first().and_then(|request| request.time).into(),
                inside.last().and_then(|request| request.time).into(),
                each("peer"),
                each("ua"),
            ],
            events,
        );
    }
    if logins.is_empty() && !section.rows.is_empty() {
        section.notes.push(
            "no login is in this evidence: it is older, or the oauth-server's log is missing"
                .to_owned(),
        );
    }
    section
}
