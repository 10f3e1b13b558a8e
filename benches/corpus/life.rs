//! What others write about a pod from its creation to its end (formats.md 2.4).

use super::Output;
use super::bodies::Grown;
use super::bodies::Happening;
use super::bodies::Pod;
use super::line::Line;
use super::line::Put;
use super::line::Target;
use super::line::allowed;
use super::line::put;
use super::ordinary::KUBELET;
use super::ordinary::NOTHING;
use super::ordinary::by;
use super::rng::Rng;
use super::world::World;
use super::world::path;

/// Writes one step: 0 binding, 1 Scheduled, 2 token, 3 multus, 4 AddedInterface, 5 kubelet's
/// status, 6 Started, 7 deletion asked, 8 deletion carried out.
pub fn write_step(
    out: &mut Output<'_>,
    rng: &mut Rng,
    world: &World,
    pod: &Pod,
    node: usize,
    step: u8,
    now: i64,
    rv: &mut u64,
) {
    let server = rng.below(3) as usize;
    *rv += rng.between(1, 6);
    let place = &world.nodes[node];
    let kubelet = format!("system:node:{}", place.name);
    let multus = format!("system:multus:{}", place.name);
    let ips = format!("\"{}\"", place.ip);
    let node_allowed = allowed("");
    let multus_allowed = allowed(
        "RBAC: allowed by ClusterRoleBinding \"multus-group\" of ClusterRole \"multus\" to Group \"system:multus\"",
    );
    let audit_id = pod.ids.get(usize::from(step)).map_or("", String::as_str);
    out.done.truth.iter_mut().for_each(|truth| truth.happened(audit_id, now));
    let base = Line {
        audit_id,
        received: now,
        took: rng.between(1_500, 19_000) as i64,
        with_bodies: true,
        ..NOTHING
    };
    let by_kubelet = Line {
        user: &place.kubelet,
        ips: &ips,
        agent: KUBELET,
        annotations: &node_allowed,
        ..base
    };
    let by_multus = Line {
        user: &place.multus,
        agent: "multus-daemon/v0.0.0 (linux/amd64) kubernetes/$Format",
        annotations: &multus_allowed,
        ..by_kubelet
    };
    let this = Target {
        resource: "pods",
        namespace: &pod.namespace,
        name: &pod.name,
        version: "v1",
        ..Target::default()
    };
    let uri = path("", &pod.namespace, "pods", &pod.name);
    match step {
        0 => {
            let uri = format!("{uri}/binding");
            put!(
                &mut out.request,
                "{\"kind\":\"Binding\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"",
                &pod.name
            );
            put!(
                &mut out.request,
                "\",\"namespace\":\"",
                &pod.namespace,
                "\",\"uid\":\"",
                &pod.uid
            );
            put!(
                &mut out.request,
                "\",\"creationTimestamp\":null},\"target\":{\"kind\":\"Node\",\"name\":\"",
                &place.name,
                "\"}}"
            );
            put!(
                &mut out.response,
                "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",\"code\":201}"
            );
            let line = Line {
                uri: &uri,
                verb: "create",
                code: 201,
                status: "\"status\":\"Success\",",
                target: Target { uid: &pod.uid, sub: "binding", ..this },
                ..from(by(&world.scheduler, server), base)
            };
            out.emit(rng, server, &world.scheduler.username, line);
        }
        1 => {
            let message =
                format!("Successfully assigned {}/{} to {}", pod.namespace, pod.name, place.name);
            let line = from(by(&world.scheduler, server), base);
            happening(
                out,
                rng,
                pod,
                server,
                &world.scheduler.username,
                line,
                ("Scheduled", &message, "default-scheduler", ""),
                *rv,
            );
        }
        2 => {
            let uri =
                format!("{}/token", path("", &pod.namespace, "serviceaccounts", &pod.account));
            let credential = match pod.credential.as_str() {
                "" => format!("JTI={}", rng.uuid()),
                known => known.to_string(),
            };
            Output::remember(&mut out.done.vocabulary.credentials, &credential);
            let annotations = format!(
                "\"authentication.kubernetes.io/issued-credential-id\":\"{credential}\",{node_allowed}"
            );
            let target =
                Target { resource: "serviceaccounts", name: &pod.account, sub: "token", ..this };
            let line = Line {
                uri: &uri,
                verb: "create",
                code: 201,
                with_bodies: false,
                annotations: &annotations,
                target,
                ..by_kubelet
            };
            out.emit(rng, server, &kubelet, line);
        }
        3 => {
            let uri = format!("{uri}/status?timeout=1m0s");
            pod.put(&mut out.request, Grown::Networked, *rv - 1);
            pod.put(&mut out.response, Grown::Networked, *rv);
            out.host_pid = pod.host_pid;
            let target = Target { uid: &pod.uid, rv: *rv - 1, sub: "status", ..this };
            out.emit(rng, server, &multus, Line { uri: &uri, verb: "update", target, ..by_multus });
        }
        4 => {
            let message = format!("Add eth0 [{}/23] from ovn-kubernetes", pod.ip);
            happening(
                out,
                rng,
                pod,
                server,
                &multus,
                by_multus,
                ("AddedInterface", &message, "multus", ""),
                *rv,
            );
        }
        5 => {
            let uri = format!("{uri}/status");
            pod.put_status_patch(&mut out.request);
            pod.put(&mut out.response, Grown::Running, *rv);
            let line = Line {
                uri: &uri,
                verb: "patch",
                target: Target { sub: "status", ..this },
                ..by_kubelet
            };
            out.emit(rng, server, &kubelet, line);
        }
        6 => {
            let message = format!("Started container {}", pod.app);
            happening(
                out,
                rng,
                pod,
                server,
                &kubelet,
                by_kubelet,
                ("Started", &message, "kubelet", &place.name),
                *rv,
            );
        }
        _ => deleted(out, rng, world, pod, step == 8, (server, *rv), by_kubelet, &kubelet, &uri),
    }
}

/// A line of one identity with the times of another.
fn from<'a>(who: Line<'a>, when: Line<'a>) -> Line<'a> {
    Line {
        received: when.received,
        took: when.took,
        with_bodies: when.with_bodies,
        audit_id: when.audit_id,
        ..who
    }
}

fn happening(
    out: &mut Output<'_>,
    rng: &mut Rng,
    pod: &Pod,
    server: usize,
    who: &str,
    line: Line<'_>,
    (reason, message, component, host): (&str, &str, &str, &str),
    rv: u64,
) {
    let event = format!("{}.{}", pod.name, rng.hex(16));
    let event_uid = rng.uuid();
    let mut happening = Happening {
        kind: "Pod",
        namespace: &pod.namespace,
        name: &pod.name,
        uid: &pod.uid,
        event: &event,
        event_uid: "",
        rv: 0,
        reason,
        message,
        component,
        host,
        at: line.received,
    };
    happening.put(&mut out.request);
    (happening.event_uid, happening.rv) = (&event_uid, rv);
    happening.put(&mut out.response);
    let uri = path("", &pod.namespace, "events", "");
    let target = Target {
        resource: "events",
        namespace: &pod.namespace,
        name: &event,
        version: "v1",
        ..Target::default()
    };
    out.emit(rng, server, who, Line { uri: &uri, verb: "create", code: 201, target, ..line });
}

fn deleted(
    out: &mut Output<'_>,
    rng: &mut Rng,
    world: &World,
    pod: &Pod,
    carried_out: bool,
    (server, rv): (usize, u64),
    by_kubelet: Line<'_>,
    kubelet: &str,
    uri: &str,
) {
    let grace = if carried_out { "0" } else { "30" };
    put!(
        &mut out.request,
        "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":",
        grace
    );
    put!(&mut out.request, ",\"preconditions\":{\"uid\":\"", &pod.uid, "\"}}");
    pod.put(&mut out.response, Grown::Running, rv);
    let target = Target {
        resource: "pods",
        namespace: &pod.namespace,
        name: &pod.name,
        version: "v1",
        ..Target::default()
    };
    let (who, line) = if carried_out {
        (kubelet, by_kubelet)
    } else {
        let actor = &world.controllers[1];
        (actor.username.as_str(), from(by(actor, server), by_kubelet))
    };
    out.emit(rng, server, who, Line { uri, verb: "delete", target, ..line });
}
