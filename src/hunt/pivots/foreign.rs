//! `foreign [USER]`: allowed reads of Secrets and ConfigMaps outside the identity's own namespace.

use crate::event::field::Field;
use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivot_tally::tally;
use crate::hunt::pivots::user::user_name;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::ledger::question::starts;
use crate::ledger::request::Outcome;
use crate::ledger::request::Request;
use crate::ledger::usage::service_account;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Foreign;

impl Pivot for Foreign {
    fn name(&self) -> &'static str {
        "foreign"
    }

    fn about(&self) -> &'static str {
        "allowed reads of Secrets and ConfigMaps outside the own namespace of an identity"
    }

    fn arguments(&self) -> &'static str {
        "[USER]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let user = table::optional_argument(self, arguments)?.map(user_name);
        let mut parts = vec![
            any("resource", &["secrets", "configmaps"]),
            any("verb", &["get", "list", "watch"]),
            starts("user", "system:serviceaccount:"),
        ];
        parts.extend(user.as_ref().map(|user| is("user", user)));
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        let others = match user {
            Some(_) => question.clone(),
            None => all([question.clone(), not(context.platform())]),
        };
        let columns = [
            table::TIME,
            table::USER,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            table::CODE,
            table::OUTCOME,
            table::PEER,
            table::OWNER,
            table::AGENT,
            table::ALLOWED_BY,
        ];
        let requests = context.requests_shown(&mut answer, &others, &columns, &[])?;
        let foreign: Vec<&Request> = requests
            .iter()
            .filter(|request| !matches!(request.outcome, Outcome::Failed(_)))
            .filter(|request| is_foreign(request.get("user"), request.get("objectRef.namespace")))
            .collect();
        answer.summary = format!("{} reads outside the own namespace", foreign.len());
        answer.sections.push(tally(
            foreign.iter().copied(),
            "by identity and namespace",
            "read",
            ["user", "resource", "objectRef.namespace"],
            |[user, resource, namespace]| {
                let what = format!(
                    "{} reads {} of {}",
                    user.unwrap_or_default(),
                    resource.unwrap_or_default(),
                    namespace.unwrap_or("the whole cluster")
                );
                Some((what, String::new()))
            },
        ));
        answer.sections.push(context.table("requests", foreign, &columns));
        let fields = [
            ("user", Field::path("user.username")),
            ("resource", Field::path("objectRef.resource")),
            ("namespace", Field::path("objectRef.namespace")),
        ];
        context.count_platform(&mut answer, &question, &fields, |values| {
            let value = |at: usize| values.get(at).and_then(Option::as_deref);
            is_foreign(value(0), value(2))
        })?;
        Ok(answer)
    }
}

/// The namespace of a service account is its own; a read of all namespaces is foreign.
fn is_foreign(user: Option<&str>, namespace: Option<&str>) -> bool {
    match user.and_then(service_account) {
        Some((own, _)) => namespace != Some(own),
        None => false,
    }
}
