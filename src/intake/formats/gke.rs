//! Google's AuditLog: mapped onto the event it was made from, the original kept.

use std::borrow::Cow;

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::place::Origin;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::format::value_text;
use crate::intake::request_path::ObjectPath;
use crate::intake::when::loose_time;

/// Cloud Logging `LogEntry` with a `protoPayload` of service `k8s.io`
/// (google.cloud.audit.AuditLog).
///
/// Groups, level and the HTTP code are not in it.
/// The code is told from the gRPC status the way google.rpc.Code maps it onto HTTP; the audit
/// annotations are the entry's labels; `auditID` is the operation's id, or the insertId.
#[derive(Debug)]
pub(crate) struct Gke;

impl Format for Gke {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "gke",
            about: "Google Cloud audit entries, mapped onto an event; the entry becomes the envelope.",
            from: "gcloud logging read --format=json, log sinks to storage or Pub/Sub",
            example: r#"{"insertId":"..","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{"serviceName":"k8s.io","methodName":"io.k8s.core.v1.pods.create"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json else { return Peeled::NotMine };
        let payload = json.get("protoPayload").or_else(|| json.get("jsonPayload"));
        let Some(payload) = payload.filter(|payload| payload.get("methodName").is_some()) else {
            return Peeled::NotMine;
        };
        let method = payload.text_at(&["methodName"]).unwrap_or_default();
        if !method.starts_with("io.k8s") && !is_kubernetes(payload) {
            return Peeled::Rejected("a Google audit entry of another service".to_owned());
        }
        let labels = json.at_path(&["resource", "labels"]);
        Peeled::one(Inner {
            text: Cow::Owned(event_of(json, payload)),
            event: true,
            envelope: Some(envelope_of(json, payload)),
            origin: Origin {
                node: None,
                cluster: labels.and_then(|l| l.text_at(&["cluster_name"])).map(String::from),
                log: Some("kube-apiserver".to_owned()),
            },
            time: json
                .text_at(&["timestamp"])
                .or_else(|| json.text_at(&["receiveTimestamp"]))
                .and_then(|text| loose_time(&text)),
            ..Inner::default()
        })
    }
}

fn is_kubernetes(payload: Json<'_>) -> bool {
    payload.text_at(&["serviceName"]).is_some_and(|name| name == "k8s.io")
}

fn envelope_of(entry: Json<'_>, payload: Json<'_>) -> Vec<u8> {
    let mut envelope = ObjectText::new();
    envelope.members(entry, &["protoPayload", "jsonPayload"]);
    let mut rest = ObjectText::new();
    rest.members(payload, &["request", "response"]);
    envelope.json("protoPayload", &rest.finish());
    envelope.finish()
}

fn event_of(entry: Json<'_>, payload: Json<'_>) -> Vec<u8> {
    let mut event = ObjectText::new();
    event.text("kind", "Event");
    event.text("apiVersion", "audit.k8s.io/v1");
    let id = entry.text_at(&["operation", "id"]).or_else(|| entry.text_at(&["insertId"]));
    if let Some(id) = id {
        event.text("auditID", &id);
    }
    let starts = entry.text_at(&["operation", "first"]).as_deref() == Some("true")
        && entry.text_at(&["operation", "last"]).as_deref() != Some("true")
        && entry.get("operation").and_then(|operation| operation.get("last")).is_some();
    event.text("stage", if starts { "ResponseStarted" } else { "ResponseComplete" });
    let method = payload.text_at(&["methodName"]).unwrap_or_default();
    let name = payload.text_at(&["resourceName"]).unwrap_or_default();
    // Requests that are not about a resource: methodName io.k8s.get, resourceName readyz.
    let path =
        if method.split('.').count() > 3 { ObjectPath::of_resource_name(&name) } else { None };
    match &path {
        Some(path) => event.text("requestURI", &path.uri()),
        None if !name.is_empty() => event.text("requestURI", &format!("/{name}")),
        None => {}
    }
    event.text("verb", method.rsplit('.').next().unwrap_or_default());
    if let Some(who) = payload.get("authenticationInfo") {
        let mut user = ObjectText::new();
        let name = who.text_at(&["principalEmail"]).or_else(|| who.text_at(&["principalSubject"]));
        user.text("username", &name.unwrap_or_default());
        event.json("user", &user.finish());
    }
    if let Some(meta) = payload.get("requestMetadata") {
        let ip = meta.text_at(&["callerIp"]).or_else(|| meta.text_at(&["callerIP"]));
        if let Some(ip) = ip {
            let mut list = vec![b'['];
            crate::intake::format::push_quoted(&mut list, &ip);
            list.push(b']');
            event.json("sourceIPs", &list);
        }
        if let Some(agent) = meta.text_at(&["callerSuppliedUserAgent"]) {
            event.text("userAgent", &agent);
        }
    }
    if let Some(path) = &path {
        event.json("objectRef", &path.object_ref());
    }
    event.json("responseStatus", &status_of(payload.get("status")));
    for (from, to) in [("request", "requestObject"), ("response", "responseObject")] {
        if let Some(body) = payload.get(from) {
            event.json(to, &value_text(body));
        }
    }
    if let Some(time) = entry.text_at(&["timestamp"]) {
        event.text("requestReceivedTimestamp", &time);
    }
    if let Some(labels) = entry.get("labels").filter(|labels| labels.kind() == Kind::Object) {
        event.json("annotations", &value_text(labels));
    }
    event.finish()
}

/// google.rpc.Code onto HTTP, as google/rpc/code.proto says beside each code.
fn status_of(status: Option<Json<'_>>) -> Vec<u8> {
    let code = status.and_then(|status| status.text_at(&["code"]));
    let http = match code.as_deref() {
        None | Some("0") => "200",
        Some("1") => "499",
        Some("3" | "9" | "11") => "400",
        Some("4") => "504",
        Some("5") => "404",
        Some("6" | "10") => "409",
        Some("7") => "403",
        Some("8") => "429",
        Some("12") => "501",
        Some("14") => "503",
        Some("16") => "401",
        Some(_) => "500",
    };
    let mut object = ObjectText::new();
    if let Some(message) = status.and_then(|status| status.text_at(&["message"])) {
        object.text("message", &message);
    }
    object.json("code", http.as_bytes());
    object.finish()
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn an_entry_becomes_the_event_it_was_made_from() {
        let entry = r#"{"insertId":"i1","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2025-07-02T10:15:00.1Z","resource":{"type":"k8s_cluster","labels":{"cluster_name":"prod","location":"x"}},"labels":{"authorization.k8s.io/decision":"forbid"},"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"k8s.io","methodName":"io.k8s.core.v1.pods.exec.create","resourceName":"core/v1/namespaces/shop/pods/web/exec","authenticationInfo":{"principalEmail":"a@example.com"},"requestMetadata":{"callerIp":"203.0.113.7","callerSuppliedUserAgent":"kubectl"},"request":{"x":1},"status":{"code":7,"message":"no"}}}"#;
        let (seen, _) = meet(entry.as_bytes());
        let one = &seen[0];
        assert_eq!((one.kind, one.format, one.raw.as_str()), ("event", "gke", entry));
        for (path, value) in [
            (&["auditID"][..], "i1"),
            (&["verb"], "create"),
            (&["requestURI"], "/api/v1/namespaces/shop/pods/web/exec"),
            (&["user", "username"], "a@example.com"),
            (&["sourceIPs", "0"], "203.0.113.7"),
            (&["objectRef", "subresource"], "exec"),
            (&["objectRef", "namespace"], "shop"),
            (&["responseStatus", "code"], "403"),
            (&["requestObject", "x"], "1"),
            (&["annotations", "authorization.k8s.io/decision"], "forbid"),
            (&["requestReceivedTimestamp"], "2025-07-02T10:15:00.1Z"),
        ] {
            assert_eq!(one.at(path).as_deref(), Some(value), "{path:?}");
        }
        assert_eq!(one.origin.cluster.as_deref(), Some("prod"));
        assert!(one.envelope.as_deref().unwrap().contains(r#""insertId":"i1""#));
        assert!(one.flags.is_empty());
    }

    #[test]
    fn what_is_about_no_resource_and_what_is_of_another_service() {
        let entry = r#"[{"protoPayload":{"serviceName":"k8s.io","methodName":"io.k8s.get","resourceName":"readyz"}},{"protoPayload":{"serviceName":"compute.googleapis.com","methodName":"v1.compute.x"}}]"#;
        let (seen, _) = meet(entry.as_bytes());
        assert_eq!(seen[0].at(&["requestURI"]).unwrap(), "/readyz");
        assert_eq!(seen[0].at(&["responseStatus", "code"]).unwrap(), "200");
        assert_eq!(seen[1].kind, "rejected");
    }
}
