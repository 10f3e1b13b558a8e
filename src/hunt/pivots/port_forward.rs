//! `port-forward [POD]`: tunnels into pods and services, and how long they stood.

use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::exec::session_section;
use crate::hunt::pivots::exec::sessions;
use crate::ledger::question::any;
use crate::ledger::question::is;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct PortForward;

impl Pivot for PortForward {
    fn name(&self) -> &'static str {
        "port-forward"
    }

    fn about(&self) -> &'static str {
        "tunnels into pods and services, with their length"
    }

    fn arguments(&self) -> &'static str {
        "[POD or NAMESPACE/POD]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let mut parts = vec![any("sub", &["portforward"])];
        match table::optional_argument(self, arguments)?.map(|pod| pod.split_once('/').ok_or(pod)) {
            Some(Ok((namespace, pod))) => {
                parts.extend([is("objectRef.namespace", namespace), is("objectRef.name", pod)]);
            }
            Some(Err(pod)) => parts.push(is("objectRef.name", pod)),
            None => {}
        }
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        let requests = context.requests(&mut answer, &question, &[])?;
        let sessions = sessions(&requests);
        answer.summary = format!("{} tunnels in {}", sessions.len(), table::counted(&requests));
        answer.sections.push(session_section(context, "tunnels", &sessions));
        answer.notes.push(
            "which ports a tunnel carried is inside its stream and never logged, unless an old \
             client named them in the URI"
                .to_owned(),
        );
        Ok(answer)
    }
}
