//! `mounts`: which paths of the host pods reach, and which of them hand over the node.

use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::spec_paths as spec;
use crate::ledger::question::all;
use crate::ledger::question::any;
use crate::ledger::question::either;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::request::Request;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Mounts;

impl Pivot for Mounts {
    fn name(&self) -> &'static str {
        "mounts"
    }

    fn about(&self) -> &'static str {
        "hostPath volumes of pods, workload templates and persistent volumes, judged"
    }

    fn arguments(&self) -> &'static str {
        ""
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        if !arguments.is_empty() {
            return Err(table::usage(self));
        }
        let in_specs = QueryAst::any_of(spec::HOST_PATH.iter().map(|path| has(path)).collect());
        let question = context.refined(all([
            any("verb", &["create", "update", "patch"]),
            either([
                all([any("resource", &spec::WORKLOADS), in_specs]),
                all([
                    is("resource", "persistentvolumes"),
                    QueryAst::any_of(VOLUMES.iter().map(|path| has(path)).collect()),
                ]),
            ]),
        ]));
        let mut answer = context.answer(self, &question);
        let mut extra: Vec<&'static str> = spec::HOST_PATH.to_vec();
        extra.extend(VOLUMES);
        let columns: [table::Column; 11] = [
            table::TIME,
            table::USER,
            table::AS,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::NAME,
            ("host_paths", &[], |_, request| spec::list_cell(paths(request))),
            ("sensitive", &[], |_, request| match sensitive_paths(request) {
                found if found.is_empty() => Cell::Empty,
                found => Cell::List(found),
            }),
            table::OUTCOME,
            table::PEER,
        ];
        let requests = context.requests_shown(&mut answer, &question, &columns, &extra)?;
        let dangerous = requests.iter().filter(|request| !sensitive_paths(request).is_empty());
        answer.summary = format!(
            "{}, {} of them with a path that hands over the node or its secrets",
            table::counted(&requests),
            dangerous.count()
        );
        answer.sections.push(context.table("requests", &requests, &columns));
        Ok(answer)
    }
}

const VOLUMES: [&str; 4] = [
    "requestObject.spec.hostPath.path",
    "responseObject.spec.hostPath.path",
    "requestObject.spec.local.path",
    "responseObject.spec.local.path",
];

/// Beginnings of paths that hand over the node, its credentials or the whole cluster.
const SENSITIVE: [&str; 14] = [
    "/proc",
    "/sys",
    "/etc",
    "/root",
    "/run",
    "/var/run",
    "/var/log",
    "/var/lib/kubelet",
    "/var/lib/etcd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/home",
    "/dev",
    "/boot",
];

fn paths(request: &Request) -> Vec<String> {
    let mut found = spec::host_paths(request);
    found.extend(spec::values(request, &VOLUMES));
    found
}

fn sensitive_paths(request: &Request) -> Vec<String> {
    paths(request).into_iter().filter(|path| is_sensitive(path)).collect()
}

/// Compares whole path parts after `//`, `.` and `..` are resolved.
fn is_sensitive(path: &str) -> bool {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let clean = format!("/{}", parts.join("/"));
    clean == "/"
        || SENSITIVE.iter().any(|known| {
            clean.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        || ["docker.sock", "crio.sock", "containerd.sock"].iter().any(|end| clean.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_and_sockets_are_sensitive_whatever_the_spelling() {
        for path in ["/", "//", "/etc/kubernetes", "/var//run/crio/crio.sock", "/srv/../etc", ""] {
            assert!(is_sensitive(path), "{path}");
        }
        for path in ["/etcd-data", "/data/etc", "/runner"] {
            assert!(!is_sensitive(path), "{path}");
        }
    }
}
