//! `privileged [USER]`: pods and workload templates that reach out of the pod, from bodies or, at
//! Metadata level, from what PodSecurity and the SCC admission noted.

use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::pod::PSA;
use crate::hunt::pivots::pod::SCC_CHOSEN;
use crate::hunt::pivots::scc::ordinary;
use crate::hunt::pivots::user::user_name;
use crate::hunt::spec_paths as spec;
use crate::ledger::question::any;
use crate::ledger::question::contains;
use crate::ledger::question::either;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Privileged;

impl Pivot for Privileged {
    fn name(&self) -> &'static str {
        "privileged"
    }

    fn about(&self) -> &'static str {
        "pods and workload templates that reach out of the pod, from bodies or admission"
    }

    fn arguments(&self) -> &'static str {
        "[USER]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let user = table::optional_argument(self, arguments)?.map(user_name);
        let mut parts = vec![
            any("resource", &spec::WORKLOADS),
            any("verb", &["create", "update", "patch"]),
            either([not(has("sub")), is("sub", "ephemeralcontainers")]),
            // Phrases of k8s.io/pod-security-admission policy/check_*.go, baseline level.
            QueryAst::any_of(
                std::iter::once(spec::reaches_out())
                    .chain(BASELINE.iter().map(|phrase| contains(PSA, phrase)))
                    .chain(std::iter::once(QueryAst::all_of(vec![
                        has(SCC_CHOSEN),
                        not(ordinary(SCC_CHOSEN)),
                    ])))
                    .collect(),
            ),
        ];
        parts.extend(user.map(|user| is("who", &user)));
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        let mut extra = spec::danger_columns();
        extra.extend([PSA, SCC_CHOSEN]);
        let columns: [table::Column; 15] = [
            table::TIME,
            table::USER,
            table::AS,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            ("reaches_out", &[], |_, request| spec::list_cell(spec::dangers(request))),
            ("pod_security", &[], |_, request| request.get(PSA).into()),
            ("scc", &[], |_, request| request.get(SCC_CHOSEN).into()),
            table::CODE,
            table::OUTCOME,
            table::PEER,
            table::AGENT,
            table::CREDENTIAL,
        ];
        let requests = context.requests_shown(&mut answer, &question, &columns, &extra)?;
        let shown = requests.iter().filter(|request| request.code().is_none_or(|code| code < 400));
        answer.summary =
            format!("{}, {} of them accepted", table::counted(&requests), shown.count());
        answer.sections.push(context.table("requests", &requests, &columns));
        if requests.iter().any(|request| spec::dangers(request).is_empty()) {
            answer.notes.push(
                "rows without reaches_out are known from what admission noted alone: the body is \
                 not in the evidence, or the danger is the SCC itself"
                    .to_owned(),
            );
        }
        Ok(answer)
    }
}

const BASELINE: [&str; 5] =
    ["host namespaces", "privileged (", "hostPath", "non-default capabilities", "hostProcess"];
