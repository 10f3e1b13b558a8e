//! OpenShift Logging's own model (ViaQ v1): the event's fields lie flat among the collector's.

use std::borrow::Cow;

use super::payload;
use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::place::Origin;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::shape::Shape;
use crate::intake::when::loose_time;

/// A record of Vector or fluentd as OpenShift Logging configures them
/// (cluster-logging-operator viaq/v1/audit.go).
///
/// The event stays as it is, with the collector's fields in it; what of them is where and which
/// log becomes the origin.  `level` is overwritten with `default` by some releases: the reading of
/// `level` takes `k8s_audit_level` first.  auditd and OVN lines stand in `message`.
#[derive(Debug)]
pub(crate) struct Viaq;

impl Format for Viaq {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "viaq",
            about: "OpenShift Logging records: the event laid flat, or a line in `message`.",
            from: "Vector and fluentd of OpenShift Logging; Kafka, S3 and HTTP sinks",
            example: r#"{"@timestamp":"...","auditID":"...","hostname":"master-0","k8s_audit_level":"Metadata","log_source":"kubeAPI","#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json.filter(|json| json.kind() == Kind::Object) else {
            return Peeled::NotMine;
        };
        let shape = Shape::of(json);
        if !shape.is_flat_envelope() || shape.graylog {
            return Peeled::NotMine;
        }
        let time = json
            .text_at(&["timestamp"])
            .or_else(|| json.text_at(&["@timestamp"]))
            .and_then(|text| loose_time(&text));
        let origin = origin_of(&shape);
        if shape.is_audit_event() {
            return Peeled::one(Inner {
                text: Cow::Borrowed(layer.text),
                event: true,
                origin,
                time,
                ..Inner::default()
            });
        }
        for key in ["structured", "message"] {
            let Some(value) = json.get(key) else { continue };
            let text = payload(value);
            if text.trim_ascii().is_empty() || value.kind() == Kind::Null {
                continue;
            }
            let mut envelope = ObjectText::new();
            envelope.members(json, &[key]);
            return Peeled::one(Inner {
                text,
                envelope: envelope.finish_some(),
                origin,
                time,
                ..Inner::default()
            });
        }
        Peeled::Rejected("a forwarded record that is no audit event".to_owned())
    }
}

fn origin_of(shape: &Shape<'_>) -> Origin {
    let text = |json: Option<Json<'_>>| {
        json.and_then(|json| json.as_str()).filter(|text| !text.is_empty()).map(Cow::into_owned)
    };
    Origin {
        node: text(shape.hostname),
        cluster: text(shape.openshift.and_then(|openshift| openshift.get("cluster_id"))),
        log: shape.log_source.and_then(|source| log_of_source(&source.as_str()?)),
    }
}

/// Returns the log that OpenShift Logging means by a `log_source`.
pub(crate) fn log_of_source(source: &str) -> Option<String> {
    let log = match source {
        "kubeAPI" => "kube-apiserver",
        "openshiftAPI" => "openshift-apiserver",
        "auditd" => "auditd",
        "ovn" => "ovn",
        _ => return None,
    };
    Some(log.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn a_flat_event_keeps_its_text_and_tells_its_origin() {
        let line = r#"{"@timestamp":"2025-07-02T10:15:09Z","apiVersion":"audit.k8s.io/v1","auditID":"v1","hostname":"master-0","k8s_audit_level":"Metadata","kind":"Event","level":"default","log_source":"openshiftAPI","log_type":"audit","openshift":{"cluster_id":"c-1","sequence":1},"requestReceivedTimestamp":"2025-07-02T10:15:00.000001Z","verb":"list"}"#;
        let (seen, _) = meet(line.as_bytes());
        let one = &seen[0];
        assert_eq!((one.kind, one.format, one.event.as_str()), ("event", "viaq", line));
        assert_eq!(one.origin.node.as_deref(), Some("master-0"));
        assert_eq!(one.origin.cluster.as_deref(), Some("c-1"));
        assert_eq!(one.origin.log.as_deref(), Some("openshift-apiserver"));
        assert_eq!((one.envelope_time, one.flags.as_slice()), (None, &[][..]));
    }

    #[test]
    fn auditd_and_ovn_lines_stand_in_the_message() {
        let auditd = r#"{"@timestamp":"2025-07-02T10:15:09Z","audit.linux":{"record_id":"5"},"hostname":"w-1","log_source":"auditd","log_type":"audit","message":"type=USER_LOGIN msg=audit(1751451300.100:5): pid=1 addr=10.9.8.7","openshift":{"cluster_id":"c-1"}}"#;
        let (seen, _) = meet(auditd.as_bytes());
        assert_eq!((seen[0].kind, seen[0].format), ("event", "viaq"));
        assert_eq!(seen[0].at(&["kind"]).unwrap(), "Auditd");
        assert_eq!(seen[0].at(&["sourceIPs", "0"]).unwrap(), "10.9.8.7");
        assert_eq!(seen[0].origin.log.as_deref(), Some("auditd"));
        assert!(seen[0].envelope.as_deref().unwrap().contains("record_id"));
    }

    #[test]
    fn an_application_log_is_rejected() {
        let line = r#"{"message":"hello","log_type":"application","hostname":"n"}"#;
        assert_eq!(meet(line.as_bytes()).0[0].kind, "rejected");
    }
}
