//! `tampering [USER]`: changed ConfigMaps and Secrets, and changes to what would have told of it.

use crate::event::field::Field;
use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::user::user_name;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::either;
use crate::ledger::question::is;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Tampering;

impl Pivot for Tampering {
    fn name(&self) -> &'static str {
        "tampering"
    }

    fn about(&self) -> &'static str {
        "changed configuration and secrets, and changes to audit, logging and defence"
    }

    fn arguments(&self) -> &'static str {
        "[USER]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let user = table::optional_argument(self, arguments)?.map(user_name);
        let configuration = all([
            any("resource", &["configmaps", "secrets"]),
            any("verb", &["update", "patch", "delete", "deletecollection"]),
        ]);
        let defence = either([
            all([
                any("resource", &DEFENCE),
                any("verb", &["create", "update", "patch", "delete", "deletecollection"]),
            ]),
            all([any("resource", &TRACES), any("verb", &["delete", "deletecollection"])]),
        ]);
        let mut parts = vec![either([configuration, defence])];
        parts.extend(user.as_ref().map(|user| is("who", user)));
        let question = context.refined(QueryAst::all_of(parts));
        let mut answer = context.answer(self, &question);
        // The platform rewrites its own configuration all day: counted, not listed.
        let others = QueryAst::all_of(vec![question.clone(), context.platform().negated()]);
        let requests = context.requests(&mut answer, &others, &[])?;
        answer.summary = format!("{} by others than the platform", table::counted(&requests));
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
            table::PEER,
            table::AGENT,
            table::CREDENTIAL,
        ];
        let (defence, configuration): (Vec<&_>, Vec<&_>) = requests.iter().partition(|request| {
            !matches!(request.get("resource"), Some("configmaps" | "secrets"))
        });
        answer.sections.push(context.table("configuration and secrets", configuration, &columns));
        answer.sections.push(context.table("audit, logging and defence", defence, &columns));
        let forged = forged(context, user.as_deref());
        if !forged.rows.is_empty() {
            answer.sections.push(forged);
        }
        let fields = [
            ("user", Field::path("user.username")),
            ("resource", Field::path("objectRef.resource")),
        ];
        context.count_platform(&mut answer, &question, &fields, |_| true)?;
        Ok(answer)
    }
}

/// Statuses of pods written by no kubelet, network plugin or controller: they would lead every
/// question for the owner of an address astray (attribution.md, rule 2).
fn forged(context: &PivotContext<'_>, user: Option<&str>) -> crate::hunt::answer::Section {
    let mut section = table::section(
        "pods/status written by somebody who may not be believed",
        &["time", "user", "pod", "claimed_addresses"],
    );
    for forgery in &context.ledgers.addresses.forgeries {
        let asked = user.is_none_or(|user| user == forgery.user);
        if asked && context.range.contains(Some(forgery.time)) {
            let claims = forgery.claims.iter().map(std::net::IpAddr::to_string).collect();
            table::push(
                &mut section,
                vec![
                    forgery.time.into(),
                    forgery.user.clone().into(),
                    forgery.pod.clone().into(),
                    crate::hunt::spec_paths::list_cell(claims),
                ],
                vec![forgery.event],
            );
        }
    }
    section
}

/// What would have told of an attack, or stopped it (hunts.md, 132 to 138).
const DEFENCE: [&str; 20] = [
    "apiservers",
    "kubeapiservers",
    "openshiftapiservers",
    "clusterlogforwarders",
    "clusterloggings",
    "lokistacks",
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "networkpolicies",
    "adminnetworkpolicies",
    "baselineadminnetworkpolicies",
    "egressfirewalls",
    "constrainttemplates",
    "clusterpolicies",
    "securedclusters",
    "centrals",
    "alertmanagerconfigs",
    "prometheusrules",
];

/// Traces whose deletion hides something.
const TRACES: [&str; 2] = ["events", "pods"];
