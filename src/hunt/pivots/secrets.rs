//! `secrets [USER]`: who read Secrets: whole lists with their pages joined, single reads, watches.

use crate::event::field::Field;
use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests::AGENT;
use crate::hunt::pivot_requests::ALLOWED_BY;
use crate::hunt::pivot_requests::AS;
use crate::hunt::pivot_requests::CODE;
use crate::hunt::pivot_requests::CREDENTIAL;
use crate::hunt::pivot_requests::NAME;
use crate::hunt::pivot_requests::NAMESPACE;
use crate::hunt::pivot_requests::OUTCOME;
use crate::hunt::pivot_requests::OWNER;
use crate::hunt::pivot_requests::PEER;
use crate::hunt::pivot_requests::TIME;
use crate::hunt::pivot_requests::USER;
use crate::hunt::pivot_requests::VERB;
use crate::hunt::pivot_requests::allowed_by;
use crate::hunt::pivot_requests::optional_argument;
use crate::hunt::pivot_requests::push;
use crate::hunt::pivot_requests::section;
use crate::hunt::pivots::user::user_name;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::ledger::request::Outcome;
use crate::ledger::request::Request;
use crate::ledger::uri::continue_token;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Secrets;

impl Pivot for Secrets {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn about(&self) -> &'static str {
        "who read Secrets: dumps with their pages joined, single reads, watches, refusals"
    }

    fn arguments(&self) -> &'static str {
        "[USER]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let user = optional_argument(self, arguments)?.map(user_name);
        let mut parts = vec![is("resource", "secrets"), any("verb", &["get", "list", "watch"])];
        parts.extend(user.map(|user| is("who", &user)));
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        // Kubelets and operators read Secrets all day; whose token was stolen is listed.
        let others = QueryAst::all_of(vec![question.clone(), context.platform().negated()]);
        // A list narrowed to one name is a single read: kubelets do that (hunts.md 8.3).
        let whole = all([is("verb", "list"), not(has("objectRef.name"))]);
        let lists = all([others.clone(), whole.clone()]);
        let lists = context.requests_shown(&mut answer, &lists, &[], &OF_LISTS)?;
        let lists: Vec<&Request> = lists.iter().collect();
        let columns = [
            TIME, USER, AS, VERB, NAMESPACE, NAME, CODE, OUTCOME, PEER, OWNER, AGENT, CREDENTIAL,
            ALLOWED_BY,
        ];
        let others = all([others, not(whole)]);
        let others = context.requests_shown(&mut answer, &others, &columns, &[])?;
        let dumps = dumps(&lists);
        let whole = dumps.iter().filter(|dump| is_cluster_wide(dump) && succeeded(dump)).count();
        answer.summary = format!(
            "{} lists of Secrets ({whole} of them cluster-wide and answered) in {} requests, {} \
             other reads",
            dumps.len(),
            lists.len(),
            others.len()
        );
        answer.sections.push(dump_section(context, &dumps));
        answer.sections.push(context.table("single reads and watches", &others, &columns));
        let fields = [
            ("user", Field::path("user.username")),
            ("verb", Field::path("verb")),
            ("namespace", Field::path("objectRef.namespace")),
        ];
        context.count_platform(&mut answer, &question, &fields, |_| true)?;
        answer.notes.push(
            "what the Secrets held is never logged; every Secret a dump could return counts as \
             read"
                .to_owned(),
        );
        Ok(answer)
    }
}

/// What is told of lists.
const OF_LISTS: [&str; 8] =
    ["requestURI", "user", "as", "credential", "ua", "objectRef.namespace", "peer", "reason"];

/// The pages of one list.
#[derive(Debug)]
pub struct Dump<'r> {
    /// Pages in order.
    pub pages: Vec<&'r Request>,
    /// Resource version of the state that was dumped, from the `continue` tokens.
    pub version: Option<u64>,
    /// Last name that a later page began behind.
    pub reached: Option<String>,
}

/// A paged list is one list: `continue` names the version of the dump (attribution.md, rule 13).
pub fn dumps<'r>(lists: &[&'r Request]) -> Vec<Dump<'r>> {
    let mut dumps: Vec<Dump<'r>> = Vec::new();
    for &request in lists {
        let token = continue_token(request.get("requestURI").unwrap_or_default());
        let open = token.as_ref().and_then(|(version, _)| {
            let same = |dump: &&mut Dump<'_>| {
                dump.pages.last().is_some_and(|page| same_list(page, request))
                    && dump.version.is_none_or(|known| known == *version)
            };
            dumps.iter_mut().rev().find(same)
        });
        match open {
            Some(dump) => {
                dump.pages.push(request);
                dump.version = token.as_ref().map(|(version, _)| *version);
                dump.reached = token.map(|(_, name)| name);
            }
            None => dumps.push(Dump {
                pages: vec![request],
                version: token.as_ref().map(|(version, _)| *version),
                reached: token.map(|(_, name)| name),
            }),
        }
    }
    dumps
}

fn same_list(a: &Request, b: &Request) -> bool {
    let path = |request: &Request| {
        let uri = request.get("requestURI").unwrap_or_default();
        uri.split('?').next().unwrap_or_default().to_owned()
    };
    ["user", "as", "credential", "cluster", "ua"]
        .iter()
        .all(|column| a.get(column) == b.get(column))
        && path(a) == path(b)
}

fn is_cluster_wide(dump: &Dump<'_>) -> bool {
    dump.pages.first().is_some_and(|page| page.get("objectRef.namespace").is_none())
}

fn succeeded(dump: &Dump<'_>) -> bool {
    dump.pages.iter().any(|page| page.outcome == Outcome::Succeeded)
}

fn dump_section(context: &PivotContext<'_>, dumps: &[Dump<'_>]) -> Section {
    let mut table = section(
        "lists",
        &[
            "time",
            "last_page",
            "user",
            "as",
            "scope",
            "pages",
            "outcome",
            "resource_version",
            "reached",
            "peer",
            "peer_is",
            "agent",
            "credential",
            "allowed_by",
        ],
    );
    for dump in dumps {
        let Some(first) = dump.pages.first() else { continue };
        let last: Option<Timestamp> = dump.pages.last().and_then(|page| page.time);
        push(
            &mut table,
            vec![
                first.time.into(),
                last.into(),
                first.get("user").into(),
                first.get("as").into(),
                match first.get("objectRef.namespace") {
                    Some(namespace) => format!("namespace {namespace}").into(),
                    None => "whole cluster".into(),
                },
                i64::try_from(dump.pages.len()).unwrap_or(i64::MAX).into(),
                first.outcome.name().into(),
                dump.version.and_then(|version| i64::try_from(version).ok()).into(),
                dump.reached.clone().into(),
                first.get("peer").into(),
                context.owner(first).into(),
                first.get("ua").into(),
                first.get("credential").into(),
                allowed_by(first.get("reason")).into(),
            ],
            dump.pages.iter().flat_map(|page| page.events.iter().copied()).collect(),
        );
    }
    table
}
