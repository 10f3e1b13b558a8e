//! `payload [NAME]`: what pods and workloads run: image, command and args of every container.

use std::collections::HashSet;

use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::pod::specs_of;
use crate::hunt::spec_paths as spec;
use crate::ledger::question::any;
use crate::ledger::question::either;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::ledger::uri::join_argv;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Payload;

impl Pivot for Payload {
    fn name(&self) -> &'static str {
        "payload"
    }

    fn about(&self) -> &'static str {
        "image, command and args of pods and workload templates"
    }

    fn arguments(&self) -> &'static str {
        "[NAME or NAMESPACE/NAME]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let mut parts = vec![
            any("resource", &spec::WORKLOADS),
            any("verb", &["create", "update", "patch"]),
            either([not(has("sub")), is("sub", "ephemeralcontainers")]),
        ];
        match table::optional_argument(self, arguments)?
            .map(|name| name.split_once('/').ok_or(name))
        {
            Some(Ok((namespace, name))) => {
                parts.extend([is("objectRef.namespace", namespace), is("name", name)]);
            }
            Some(Err(name)) => parts.push(is("name", name)),
            None => {}
        }
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        let shown = [table::NAMESPACE, table::RESOURCE, table::NAME, table::USER];
        let requests = context.requests_shown(&mut answer, &question, &shown, &[])?;
        let mut payloads = table::section(
            "payloads",
            &[
                "time",
                "namespace",
                "resource",
                "name",
                "kind",
                "container",
                "image",
                "command",
                "args",
                "user",
                "outcome",
            ],
        );
        let mut told: HashSet<(String, String, String, String)> = HashSet::new();
        let mut without_body = 0_usize;
        for (request, found) in requests.iter().zip(specs_of(context, &requests)?) {
            let Some(found) = found else {
                without_body += 1;
                continue;
            };
            for container in found.containers {
                let key = (
                    request.get("objectRef.namespace").unwrap_or_default().to_owned(),
                    container.image.clone(),
                    join_argv(&container.command),
                    join_argv(&container.args),
                );
                if told.contains(&key) {
                    continue;
                }
                table::push(
                    &mut payloads,
                    vec![
                        request.time.into(),
                        request.get("objectRef.namespace").into(),
                        request.resource().into(),
                        request.get("name").into(),
                        container.kind.into(),
                        container.name.into(),
                        key.1.clone().into(),
                        key.2.clone().into(),
                        key.3.clone().into(),
                        request.get("user").into(),
                        request.outcome.name().into(),
                    ],
                    request.events.clone(),
                );
                told.insert(key);
            }
        }
        answer.summary =
            format!("{} different payloads in {}", payloads.rows.len(), table::counted(&requests));
        if without_body > 0 {
            answer.notes.push(format!(
                "{without_body} requests have no body with containers in the evidence"
            ));
        }
        answer.sections.push(payloads);
        Ok(answer)
    }
}
