//! `node-debug [NODE]`: ways onto a node: debug pods, ephemeral containers, nodes/proxy.

use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::exec::session_section;
use crate::hunt::pivots::exec::sessions;
use crate::hunt::spec_paths as spec;
use crate::ledger::question::any;
use crate::ledger::question::contains;
use crate::ledger::question::either;
use crate::ledger::question::ends;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::ledger::question::starts;
use crate::ledger::request::Request;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct NodeDebug;

impl Pivot for NodeDebug {
    fn name(&self) -> &'static str {
        "node-debug"
    }

    fn about(&self) -> &'static str {
        "debug pods on nodes, ephemeral containers, and commands through nodes/proxy"
    }

    fn arguments(&self) -> &'static str {
        "[NODE]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let node = table::optional_argument(self, arguments)?;
        // `oc debug node/N` before 4.14 names the pod N-debug, later N-debug-<5> in a namespace
        // openshift-debug-<x>, and attaches (formats.md 1.3).
        let debug_names = either([
            ends("name", "-debug"),
            contains("name", "-debug-"),
            starts("objectRef.namespace", "openshift-debug-"),
        ]);
        let mut made = vec![
            is("resource", "pods"),
            is("verb", "create"),
            not(has("sub")),
            not(starts("user", "system:node:")),
            not(has("responseObject.metadata.ownerReferences")),
            either([debug_names.clone(), has("requestObject.spec.nodeName")]),
        ];
        let mut entered =
            vec![is("resource", "pods"), any("sub", &["exec", "attach"]), debug_names];
        let mut ephemeral = vec![
            is("resource", "pods"),
            is("sub", "ephemeralcontainers"),
            any("verb", &["patch", "update"]),
        ];
        let mut proxied = vec![
            is("resource", "nodes"),
            is("sub", "proxy"),
            either([
                contains("requestURI", "/proxy/exec"),
                contains("requestURI", "/proxy/run"),
                contains("requestURI", "/proxy/attach"),
                contains("requestURI", "/proxy/cri"),
                contains("requestURI", "/proxy/portForward"),
            ]),
        ];
        if let Some(node) = node {
            made.push(either([
                is("requestObject.spec.nodeName", node),
                is("responseObject.spec.nodeName", node),
                starts("name", &format!("{node}-debug")),
                // The name of a debug pod replaces the dots of its node.
                starts("name", &format!("{}-debug", node.replace('.', "-"))),
            ]));
            entered.push(starts("name", node));
            ephemeral.push(is("responseObject.spec.nodeName", node));
            proxied.push(is("objectRef.name", node));
        }
        let question = context.refined(QueryAst::any_of(
            [made, entered, ephemeral, proxied].into_iter().map(QueryAst::all_of).collect(),
        ));
        let mut answer = context.answer(self, &question);
        let mut extra = spec::danger_columns();
        extra.extend(spec::NODE_NAME);
        extra.extend(spec::IMAGES.iter().flatten());
        let requests = context.requests(&mut answer, &question, &extra)?;
        let (streams, made): (Vec<Request>, Vec<Request>) = requests
            .into_iter()
            .partition(|r| matches!(r.get("sub"), Some("exec" | "attach" | "proxy")));
        let sessions = sessions(&streams);
        answer.summary =
            format!("{} pods or containers made for it, {} sessions", made.len(), sessions.len());
        let columns: [table::Column; 12] = [
            table::TIME,
            table::USER,
            table::AS,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            ("node", &[], |_, request| request.first_of(&spec::NODE_NAME).into()),
            ("reaches_out", &[], |_, request| spec::list_cell(spec::dangers(request))),
            ("images", &[], |_, request| spec::list_cell(spec::images(request))),
            table::OUTCOME,
            table::PEER,
        ];
        answer.sections.push(context.table("made", &made, &columns));
        answer.sections.push(session_section(context, "sessions", &sessions));
        Ok(answer)
    }
}
