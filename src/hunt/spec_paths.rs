//! Where pod specs stand in the bodies of pods and of every workload template.

use crate::hunt::answer::Cell;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::request::Request;
use crate::query::ast::QueryAst;

/// The six places of one suffix: both bodies, of a pod, a workload, a cron job.
macro_rules! places {
    ($suffix:literal) => {
        [
            concat!("requestObject.spec.", $suffix),
            concat!("requestObject.spec.template.spec.", $suffix),
            concat!("requestObject.spec.jobTemplate.spec.template.spec.", $suffix),
            concat!("responseObject.spec.", $suffix),
            concat!("responseObject.spec.template.spec.", $suffix),
            concat!("responseObject.spec.jobTemplate.spec.template.spec.", $suffix),
        ]
    };
}

/// hostPID.
pub const HOST_PID: [&str; 6] = places!("hostPID");
/// hostIPC.
pub const HOST_IPC: [&str; 6] = places!("hostIPC");
/// hostNetwork.
pub const HOST_NETWORK: [&str; 6] = places!("hostNetwork");
/// Paths of hostPath volumes.
pub const HOST_PATH: [&str; 6] = places!("volumes.hostPath.path");
/// privileged, in each kind of container.
pub const PRIVILEGED: [[&str; 6]; 3] = [
    places!("containers.securityContext.privileged"),
    places!("initContainers.securityContext.privileged"),
    places!("ephemeralContainers.securityContext.privileged"),
];
/// Added capabilities, in each kind of container.
pub const CAPABILITIES: [[&str; 6]; 3] = [
    places!("containers.securityContext.capabilities.add"),
    places!("initContainers.securityContext.capabilities.add"),
    places!("ephemeralContainers.securityContext.capabilities.add"),
];
/// Images, in each kind of container.
pub const IMAGES: [[&str; 6]; 3] = [
    places!("containers.image"),
    places!("initContainers.image"),
    places!("ephemeralContainers.image"),
];
/// nodeName.
pub const NODE_NAME: [&str; 6] = places!("nodeName");

/// Resources that hold a pod spec.
pub const WORKLOADS: [&str; 11] = [
    "pods",
    "podtemplates",
    "deployments",
    "daemonsets",
    "statefulsets",
    "replicasets",
    "replicationcontrollers",
    "jobs",
    "cronjobs",
    "deploymentconfigs",
    "virtualmachines",
];

/// The question whether a body asks for something that reaches out of the pod.
pub fn reaches_out() -> QueryAst {
    let mut parts: Vec<QueryAst> = Vec::new();
    for path in HOST_PID.iter().chain(&HOST_IPC).chain(&HOST_NETWORK) {
        parts.push(is(path, "true"));
    }
    parts.extend(PRIVILEGED.iter().flatten().map(|path| is(path, "true")));
    parts.extend(CAPABILITIES.iter().flatten().map(|path| has(path)));
    parts.extend(HOST_PATH.iter().map(|path| has(path)));
    QueryAst::any_of(parts)
}

/// Columns that [`dangers`] reads.
pub fn danger_columns() -> Vec<&'static str> {
    let flags = HOST_PID.iter().chain(&HOST_IPC).chain(&HOST_NETWORK).chain(&HOST_PATH);
    flags.chain(PRIVILEGED.iter().flatten()).chain(CAPABILITIES.iter().flatten()).copied().collect()
}

/// Everything in a request's bodies that reaches out of the pod, one phrase each.
pub fn dangers(request: &Request) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let set = |paths: &[&str]| paths.iter().any(|path| request.all(path).contains(&"true"));
    for (name, paths) in
        [("hostPID", &HOST_PID), ("hostIPC", &HOST_IPC), ("hostNetwork", &HOST_NETWORK)]
    {
        if set(paths) {
            found.push(name.to_owned());
        }
    }
    for (name, paths) in
        ["privileged", "privileged init", "privileged ephemeral"].iter().zip(&PRIVILEGED)
    {
        if set(paths) {
            found.push((*name).to_owned());
        }
    }
    let capabilities = values(request, CAPABILITIES.as_flattened());
    found.extend(capabilities.into_iter().map(|name| format!("+{name}")));
    found.extend(host_paths(request).into_iter().map(|path| format!("hostPath {path}")));
    found
}

/// Paths of hostPath volumes in a request's bodies.
pub fn host_paths(request: &Request) -> Vec<String> {
    values(request, &HOST_PATH)
}

/// Images in a request's bodies.
pub fn images(request: &Request) -> Vec<String> {
    values(request, IMAGES.as_flattened())
}

/// All values of several columns, each once.
pub fn values(request: &Request, columns: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for value in columns.iter().flat_map(|column| request.all(column)) {
        if !found.iter().any(|known| known == value) {
            found.push(value.to_owned());
        }
    }
    found
}

/// A list as a cell, empty where it is.
pub fn list_cell(values: Vec<String>) -> Cell {
    if values.is_empty() { Cell::Empty } else { Cell::List(values) }
}
