//! `persistence [USER]`: what was made to stay: workloads, hooks into the API, accounts, credentials.

use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::user::user_name;
use crate::hunt::spec_paths as spec;
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
pub struct Persistence;

impl Pivot for Persistence {
    fn name(&self) -> &'static str {
        "persistence"
    }

    fn about(&self) -> &'static str {
        "workloads, webhooks, accounts and tokens made to stay"
    }

    fn arguments(&self) -> &'static str {
        "[USER]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let user = table::optional_argument(self, arguments)?.map(user_name);
        let workloads = all([
            any("resource", &spec::WORKLOADS),
            not(has("sub")),
            any("verb", &["create"]),
            // What a controller makes from a template is a consequence of the template.
            not(has("responseObject.metadata.ownerReferences")),
            not(any("user", &CONTROLLERS)),
            not(starts("user", "system:node:")),
        ]);
        let hooks = all([any("resource", &HOOKS), any("verb", &["create", "update", "patch"])]);
        let accounts = either([
            all([is("resource", "serviceaccounts"), not(has("sub")), is("verb", "create")]),
            all([
                is("resource", "serviceaccounts"),
                is("sub", "token"),
                is("verb", "create"),
                not(starts("user", "system:node:")),
            ]),
            all([any("resource", &CREDENTIALS), any("verb", &["create", "update", "patch"])]),
        ]);
        let mut parts = vec![either([workloads, hooks, accounts])];
        parts.extend(user.map(|user| is("who", &user)));
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        let columns: [table::Column; 13] = [
            table::TIME,
            table::USER,
            table::AS,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            ("images", &[], |_, request| spec::list_cell(spec::images(request))),
            table::CODE,
            table::OUTCOME,
            table::PEER,
            table::AGENT,
            table::CREDENTIAL,
        ];
        let requests = context.requests_shown(
            &mut answer,
            &question,
            &columns,
            spec::IMAGES.as_flattened(),
        )?;
        let in_list = |list: &[&str], request: &Request| {
            request.get("resource").is_some_and(|resource| list.contains(&resource))
        };
        let (workloads, others): (Vec<&Request>, Vec<&Request>) =
            requests.iter().partition(|request| in_list(&spec::WORKLOADS, request));
        let (hooks, accounts): (Vec<&Request>, Vec<&Request>) =
            others.into_iter().partition(|request| in_list(&HOOKS, request));
        answer.summary = format!(
            "{} workloads, {} hooks into the API, {} accounts and credentials",
            workloads.len(),
            hooks.len(),
            accounts.len()
        );
        answer.sections.push(context.table("workloads", workloads, &columns));
        answer.sections.push(context.table("hooks into the API", hooks, &columns));
        answer.sections.push(context.table("accounts and credentials", accounts, &columns));
        Ok(answer)
    }
}

/// Controllers of kube-controller-manager and OpenShift that make objects from templates.
pub const CONTROLLERS: [&str; 9] = [
    "system:serviceaccount:kube-system:deployment-controller",
    "system:serviceaccount:kube-system:replicaset-controller",
    "system:serviceaccount:kube-system:replication-controller",
    "system:serviceaccount:kube-system:daemon-set-controller",
    "system:serviceaccount:kube-system:statefulset-controller",
    "system:serviceaccount:kube-system:job-controller",
    "system:serviceaccount:kube-system:cronjob-controller",
    "system:serviceaccount:openshift-infra:deploymentconfig-controller",
    "system:serviceaccount:openshift-infra:deployer-controller",
];

const HOOKS: [&str; 12] = [
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "apiservices",
    "customresourcedefinitions",
    "machineconfigs",
    "subscriptions",
    "catalogsources",
    "clusterextensions",
];

const CREDENTIALS: [&str; 9] = [
    "certificatesigningrequests",
    "oauthclients",
    "oauths",
    "users",
    "groups",
    "identities",
    "useridentitymappings",
    "oauthaccesstokens",
    "oauthauthorizetokens",
];
