//! Small clusters for tests: events by the dozen, held in memory.

use serde_json::Value;
use serde_json::json;

use crate::ledger::Ledgers;
use crate::search::scan::MemoryEvidence;

/// Minute and second of a fixed day as a time.
pub(crate) fn at(minute: u32, second: u32) -> String {
    format!("2025-07-02T10:{minute:02}:{second:02}.000000Z")
}

/// A finished request.
pub(crate) fn request(
    id: &str,
    time: &str,
    user: &str,
    peer: &str,
    verb: &str,
    uri: &str,
) -> Value {
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse",
        "auditID": id, "stage": "ResponseComplete", "requestURI": uri, "verb": verb,
        "user": {"username": user, "groups": []}, "sourceIPs": [peer], "userAgent": "test/1",
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": time, "stageTimestamp": time,
        "annotations": {"authorization.k8s.io/decision": "allow"},
    })
}

/// A request with a token bound to a pod on a node.
pub(crate) fn with_token(mut event: Value, credential: &str, pod: &str, node: &str) -> Value {
    event["user"]["extra"] = json!({
        "authentication.kubernetes.io/credential-id": [credential],
        "authentication.kubernetes.io/pod-name": [pod],
        "authentication.kubernetes.io/pod-uid": [format!("uid-{pod}")],
        "authentication.kubernetes.io/node-name": [node],
    });
    event
}

/// The kubelet's patch of a pod's status.
pub(crate) fn status(time: &str, pod: &str, node: &str, address: &str, host: &str) -> Value {
    let mut event = request(
        &format!("status-{pod}-{time}"),
        time,
        &format!("system:node:{node}"),
        "192.0.2.1",
        "patch",
        "/api/v1/namespaces/shop/pods/x/status",
    );
    event["objectRef"] = json!({"resource": "pods", "namespace": "shop", "name": pod,
        "subresource": "status"});
    event["requestObject"] = json!({"metadata": {"uid": format!("uid-{pod}")},
        "status": {"podIP": address, "podIPs": [{"ip": address}], "hostIP": host}});
    event
}

/// What multus writes for OVN: the address with its mask and the routes.
pub(crate) fn ovn(time: &str, pod: &str, node: &str, address: &str, mask: u8) -> Value {
    let mut event = request(
        &format!("ovn-{pod}-{time}"),
        time,
        &format!("system:multus:{node}"),
        "192.0.2.1",
        "update",
        "/api/v1/namespaces/shop/pods/x/status",
    );
    event["objectRef"] = json!({"resource": "pods", "namespace": "shop", "name": pod,
        "subresource": "status"});
    let networks = json!({"default": {"ip_addresses": [format!("{address}/{mask}")],
        "routes": [{"dest": "10.128.0.0/14", "nextHop": "10.128.0.1"},
            {"dest": "172.30.0.0/16", "nextHop": "10.128.0.1"}]}});
    event["requestObject"] = json!({
        "metadata": {"uid": format!("uid-{pod}"),
            "annotations": {"k8s.ovn.org/pod-networks": networks.to_string()}},
        "spec": {"nodeName": node, "serviceAccountName": pod}});
    event
}

/// Deletion of a pod.
pub(crate) fn delete(time: &str, pod: &str, user: &str) -> Value {
    let mut event =
        request(&format!("delete-{pod}-{time}"), time, user, "192.0.2.9", "delete", "/x");
    event["objectRef"] = json!({"resource": "pods", "namespace": "shop", "name": pod});
    event
}

/// Evidence of these events.
pub(crate) fn evidence(events: &[Value]) -> MemoryEvidence {
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    let evidence = MemoryEvidence::from_lines("test.log", &text);
    assert_eq!(evidence.len(), events.len());
    evidence
}

/// Their ledgers.
pub(crate) fn ledgers(events: &[Value]) -> Ledgers {
    Ledgers::build(&evidence(events)).unwrap()
}
