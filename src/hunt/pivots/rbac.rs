//! `rbac [NAME]`: changes of bindings and roles: what they grant, to whom, and who allowed them.

use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::spec_paths::list_cell;
use crate::hunt::spec_paths::values;
use crate::ledger::question::any;
use crate::ledger::question::is;
use crate::ledger::request::Request;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Rbac;

impl Pivot for Rbac {
    fn name(&self) -> &'static str {
        "rbac"
    }

    fn about(&self) -> &'static str {
        "changes of bindings and roles, what they grant, and who was allowed to"
    }

    fn arguments(&self) -> &'static str {
        "[NAME]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let mut parts = vec![
            any("resource", &["clusterrolebindings", "rolebindings", "clusterroles", "roles"]),
            any("verb", &["create", "update", "patch", "delete", "deletecollection"]),
        ];
        if let Some(name) = table::optional_argument(self, arguments)? {
            parts.push(is("name", name));
        }
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        let requests = context.requests(&mut answer, &question, EXTRA)?;
        let (powerful, others): (Vec<&Request>, Vec<&Request>) =
            requests.iter().partition(|request| !power(request).is_empty());
        answer.summary = format!(
            "{} of bindings and roles, {} of them grant power over the cluster or a namespace",
            table::counted(&requests),
            powerful.len()
        );
        let columns: [table::Column; 17] = [
            table::TIME,
            table::USER,
            table::AS,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            ("role", &[], |_, request| request.first_of(&ROLE_REF).into()),
            ("subjects", &[], |_, request| list_cell(subjects(request))),
            ("power", &[], |_, request| list_cell(power(request))),
            table::CODE,
            table::OUTCOME,
            table::ALLOWED_BY,
            ("message", &[], |_, request| match request.code() {
                Some(403) => request.get("responseStatus.message").into(),
                _ => Cell::Empty,
            }),
            table::PEER,
            table::AGENT,
            table::CREDENTIAL,
        ];
        answer.sections.push(context.table("powerful grants", powerful, &columns));
        answer.sections.push(context.table("other changes", others, &columns));
        if requests.iter().any(|request| {
            request.get("requestObject.kind").is_none() && request.first_of(&ROLE_REF).is_none()
        }) {
            answer.notes.push(
                "some changes have no body in the evidence: what they granted is not known"
                    .to_owned(),
            );
        }
        Ok(answer)
    }
}

/// Role named by a binding; a patch need not name it, its answer does.
const ROLE_REF: [&str; 2] = ["responseObject.roleRef.name", "requestObject.roleRef.name"];

const EXTRA: &[&str] = &[
    "requestObject.kind",
    "requestObject.roleRef.name",
    "responseObject.roleRef.name",
    "requestObject.subjects.kind",
    "requestObject.subjects.name",
    "responseObject.subjects.kind",
    "responseObject.subjects.name",
    "requestObject.rules.verbs",
    "requestObject.rules.resources",
    "responseObject.rules.verbs",
    "responseObject.rules.resources",
    "responseObject.metadata.labels.rbac.authorization.k8s.io/aggregate-to-admin",
    "responseObject.metadata.labels.rbac.authorization.k8s.io/aggregate-to-edit",
    "requestObject.value",
    "responseStatus.message",
];

/// Roles that hand over the cluster or a whole namespace.
const POWERFUL: [&str; 9] = [
    "cluster-admin",
    "admin",
    "edit",
    "sudoer",
    "system:masters",
    "cluster-status",
    "system:node",
    "storage-admin",
    "registry-admin",
];

/// `ServiceAccount visa-processor`; kinds and names stand in the same order in the body.
fn subjects(request: &Request) -> Vec<String> {
    for body in ["responseObject", "requestObject"] {
        let names = request.all(&format!("{body}.subjects.name"));
        let kinds = request.all(&format!("{body}.subjects.kind"));
        if names.is_empty() {
            continue;
        }
        let pairs = names.iter().enumerate().map(|(at, name)| match kinds.get(at) {
            Some(kind) if kinds.len() == names.len() => format!("{kind} {name}"),
            _ => (*name).to_owned(),
        });
        return pairs.collect();
    }
    Vec::new()
}

/// What a change hands out that is more than a namespace's everyday rights.
fn power(request: &Request) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(role) = request.first_of(&ROLE_REF) {
        if POWERFUL.contains(&role) || role.starts_with("system:openshift:scc:") {
            found.push(format!("role {role}"));
        }
    }
    let names = values(request, &["requestObject.subjects.name", "responseObject.subjects.name"]);
    for group in ["system:anonymous", "system:unauthenticated", "system:masters"] {
        if names.iter().any(|name| name == group) {
            found.push(format!("to {group}"));
        }
    }
    let verbs = values(request, &["requestObject.rules.verbs", "responseObject.rules.verbs"]);
    let resources =
        values(request, &["requestObject.rules.resources", "responseObject.rules.resources"]);
    for verb in ["*", "escalate", "bind", "impersonate"] {
        if verbs.iter().any(|known| known == verb) {
            found.push(format!("verb {verb}"));
        }
    }
    for resource in ["*", "secrets", "pods/exec", "nodes/proxy", "serviceaccounts/token"] {
        if resources.iter().any(|known| known == resource) {
            found.push(format!("on {resource}"));
        }
    }
    found
}
