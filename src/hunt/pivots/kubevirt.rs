//! `kubevirt`: virtual machines made and changed, and sessions into their consoles.

use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::either;
use crate::ledger::request::Request;

/// See the file's text.
#[derive(Debug)]
pub struct Kubevirt;

impl Pivot for Kubevirt {
    fn name(&self) -> &'static str {
        "kubevirt"
    }

    fn about(&self) -> &'static str {
        "virtual machines made, started, and their consoles opened"
    }

    fn arguments(&self) -> &'static str {
        ""
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        if !arguments.is_empty() {
            return Err(table::usage(self));
        }
        let machines = [
            "virtualmachines",
            "virtualmachineinstances",
            "virtualmachineinstancereplicasets",
            "virtualmachinepools",
            "virtualmachineinstancemigrations",
            "virtualmachineexports",
            "virtualmachinesnapshots",
            "datavolumes",
        ];
        let question = context.refined(all([
            any("resource", &machines),
            either([
                any("sub", &SESSIONS),
                any("verb", &["create", "update", "patch", "delete", "deletecollection"]),
            ]),
        ]));
        let mut answer = context.answer(self, &question);
        let requests = context.requests(&mut answer, &question, &[])?;
        let (opened, changed): (Vec<&Request>, Vec<&Request>) = requests
            .iter()
            .partition(|request| request.get("sub").is_some_and(|sub| SESSIONS.contains(&sub)));
        answer.summary = format!(
            "{} sessions into virtual machines, {} changes of them",
            opened.len(),
            changed.len()
        );
        let columns = [
            table::TIME,
            table::USER,
            table::AS,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            table::CODE,
            table::OUTCOME,
            table::LENGTH,
            table::PEER,
            table::AGENT,
        ];
        answer.sections.push(context.table("sessions", opened, &columns));
        answer.sections.push(context.table("changes", changed, &columns));
        Ok(answer)
    }
}

/// Subresources of subresources.kubevirt.io that open a stream into the machine.
const SESSIONS: [&str; 6] = ["console", "vnc", "ssh", "portforward", "usbredir", "vsock"];
