//! `scc`: policy drift: who was admitted outside the restricted family, and who changed that.

use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::pod::PSA;
use crate::hunt::pivots::pod::SCC_CHOSEN;
use crate::hunt::pivots::pod::SCC_OBJECT;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::either;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::ledger::question::starts;
use crate::ledger::request::Request;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Scc;

impl Pivot for Scc {
    fn name(&self) -> &'static str {
        "scc"
    }

    fn about(&self) -> &'static str {
        "policy drift: admissions outside the restricted family, SCC grants and changes"
    }

    fn arguments(&self) -> &'static str {
        ""
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        if !arguments.is_empty() {
            return Err(table::usage(self));
        }
        let admitted = all([has(SCC_CHOSEN), not(ordinary(SCC_CHOSEN)), not(has("sub"))]);
        let changed = all([
            is("resource", "securitycontextconstraints"),
            any("verb", &["create", "update", "patch", "delete", "deletecollection"]),
        ]);
        let granted = all([
            any("resource", &["clusterrolebindings", "rolebindings", "clusterroles", "roles"]),
            any("verb", &["create", "update", "patch"]),
            either([
                starts("requestObject.roleRef.name", "system:openshift:scc:"),
                starts("responseObject.roleRef.name", "system:openshift:scc:"),
                is("requestObject.rules.resources", "securitycontextconstraints"),
                is("responseObject.rules.resources", "securitycontextconstraints"),
            ]),
        ]);
        let question = context.refined(either([admitted, changed, granted]));
        let mut answer = context.answer(self, &question);
        let extra = [
            SCC_CHOSEN,
            SCC_OBJECT,
            PSA,
            "responseObject.roleRef.name",
            "requestObject.roleRef.name",
            "responseObject.subjects.name",
            "requestObject.subjects.name",
            "responseObject.rules.resourceNames",
            "responseObject.spec.serviceAccountName",
        ];
        let requests = context.requests(&mut answer, &question, &extra)?;
        let (admitted, others): (Vec<&Request>, Vec<&Request>) =
            requests.iter().partition(|request| request.get(SCC_CHOSEN).is_some());
        let (changed, granted): (Vec<&Request>, Vec<&Request>) = others
            .into_iter()
            .partition(|r| r.get("resource") == Some("securitycontextconstraints"));
        answer.summary = format!(
            "{} admissions outside the restricted family, {} changes of SCCs, {} grants of one",
            admitted.len(),
            changed.len(),
            granted.len()
        );
        let columns: [table::Column; 13] = [
            table::TIME,
            table::USER,
            table::AS,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            ("scc", &[], |_, request| request.first_of(&[SCC_CHOSEN, SCC_OBJECT]).into()),
            ("pod_security", &[], |_, request| request.get(PSA).into()),
            ("service_account", &[], |_, request| {
                request.get("responseObject.spec.serviceAccountName").into()
            }),
            table::CODE,
            table::OUTCOME,
            table::PEER,
        ];
        answer.sections.push(context.table("admissions", admitted, &columns));
        let columns: [table::Column; 12] = [
            table::TIME,
            table::USER,
            table::AS,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            ("role", &[], |_, request| {
                request
                    .first_of(&["responseObject.roleRef.name", "requestObject.roleRef.name"])
                    .into()
            }),
            ("subjects", &[], |_, request| {
                let both = ["responseObject.subjects.name", "requestObject.subjects.name"];
                crate::hunt::spec_paths::list_cell(crate::hunt::spec_paths::values(request, &both))
            }),
            table::CODE,
            table::OUTCOME,
            table::PEER,
        ];
        answer.sections.push(context.table("changes of SCCs", changed, &columns));
        answer.sections.push(context.table("grants", granted, &columns));
        Ok(answer)
    }
}

/// The SCCs that every OpenShift cluster lets ordinary pods use: the restricted family and those
/// that only let go of the user id.
const ORDINARY: [&str; 7] = [
    "restricted",
    "restricted-v2",
    "restricted-v3",
    "nonroot",
    "nonroot-v2",
    "nested-container",
    "anyuid",
];

/// The question whether an SCC is one of the ordinary ones.
pub fn ordinary(path: &str) -> QueryAst {
    any(path, &ORDINARY)
}
