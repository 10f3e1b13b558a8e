//! `impersonation [USER]`: requests with two identities, and refusals to impersonate.

use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::user::user_name;
use crate::ledger::question::all;
use crate::ledger::question::contains;
use crate::ledger::question::either;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Impersonation;

impl Pivot for Impersonation {
    fn name(&self) -> &'static str {
        "impersonation"
    }

    fn about(&self) -> &'static str {
        "who acted as somebody else, and who was refused to"
    }

    fn arguments(&self) -> &'static str {
        "[USER]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let user = table::optional_argument(self, arguments)?.map(user_name);
        let mut parts = vec![either([
            has("impersonatedUser"),
            // A refusal comes before the event learns whom: only the message tells.
            all([is("code", "403"), contains("responseStatus.message", "impersonate")]),
        ])];
        parts.extend(user.map(|user| is("who", &user)));
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        let extra = ["impersonatedUser.groups", "responseStatus.message", "impersonatedUser.uid"];
        let columns: [table::Column; 13] = [
            table::TIME,
            table::USER,
            table::AS,
            ("as_groups", &[], |_, request| {
                let groups = request.all("impersonatedUser.groups");
                crate::hunt::spec_paths::list_cell(groups.into_iter().map(str::to_owned).collect())
            }),
            table::VERB,
            table::URI,
            table::CODE,
            table::OUTCOME,
            ("message", &[], |_, request| {
                request.get("responseStatus.message").filter(|_| request.code() == Some(403)).into()
            }),
            table::PEER,
            table::OWNER,
            table::AGENT,
            table::CREDENTIAL,
        ];
        let requests = context.requests_shown(&mut answer, &question, &columns, &extra)?;
        let denied =
            requests.iter().filter(|request| request.code().is_some_and(|code| code >= 400));
        answer.summary = format!(
            "{} with two identities, {} of them refused or failed",
            table::counted(&requests),
            denied.count()
        );
        answer.sections.push(context.table("requests", &requests, &columns));
        Ok(answer)
    }
}
