//! OpenTelemetry logs: the event is the text in the body of a log record.

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::place::Origin;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::format::range_in;
use crate::intake::format::value_text;
use crate::intake::when::epoch_time;

use super::payload;
use super::viaq::log_of_source;

/// OTLP/JSON of OpenShift Logging and of any collector (opentelemetry-proto logs.proto).
#[derive(Debug)]
pub(crate) struct Otlp;

impl Format for Otlp {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "otlp",
            about: "OpenTelemetry logs; resource and record attributes become the envelope.",
            from: "OTLP sink of OpenShift Logging, OpenTelemetry collectors",
            example: r#"{"resourceLogs":[{"resource":{"attributes":[...]},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"{...}"}}]}]}]}"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(resources) = layer.json.and_then(|json| json.get("resourceLogs")) else {
            return Peeled::NotMine;
        };
        let mut parts = Vec::new();
        for resource in resources.elements() {
            let attributes = resource.at_path(&["resource", "attributes"]);
            let origin = origin_of(attributes);
            for scope in resource.get("scopeLogs").into_iter().flat_map(|scopes| scopes.elements())
            {
                for record in scope.get("logRecords").into_iter().flat_map(|logs| logs.elements()) {
                    parts.push(record_of(layer.text, attributes, &origin, record));
                }
            }
        }
        if parts.is_empty() {
            return Peeled::Rejected("OTLP without log records".to_owned());
        }
        Peeled::Inner(parts)
    }
}

fn record_of<'c>(
    text: &'c [u8],
    resource: Option<Json<'c>>,
    origin: &Origin,
    record: Json<'c>,
) -> Inner<'c> {
    let mut envelope = ObjectText::new();
    if let Some(resource) = resource {
        envelope.json("resource", &attributes_of(resource));
    }
    if let Some(own) = record.get("attributes") {
        envelope.json("attributes", &attributes_of(own));
    }
    envelope.members(record, &["body", "attributes"]);
    let time = ["timeUnixNano", "observedTimeUnixNano"]
        .iter()
        .find_map(|key| epoch_time(&record.text_at(&[key])?));
    let body = record.get("body").and_then(|body| body.get("stringValue"));
    Inner {
        element: range_in(text, record.raw()),
        text: body.map(payload).unwrap_or_default(),
        rejected: body.is_none().then(|| "an OTLP record whose body is no text".to_owned()),
        envelope: envelope.finish_some(),
        origin: origin.clone(),
        time,
        ..Inner::default()
    }
}

/// Writes `[{"key":k,"value":{"stringValue":v}}]` as `{k:v}`.
fn attributes_of(list: Json<'_>) -> Vec<u8> {
    let mut object = ObjectText::new();
    for attribute in list.elements() {
        let Some(key) = attribute.text_at(&["key"]) else { continue };
        let value = attribute
            .get("value")
            .and_then(|value| value.entries().next())
            .map(|(_, value)| value_text(value).into_owned())
            .unwrap_or_else(|| b"null".to_vec());
        object.json(&key, &value);
    }
    object.finish()
}

fn origin_of(attributes: Option<Json<'_>>) -> Origin {
    let find = |names: &[&str]| {
        attributes?.elements().find_map(|attribute| {
            let key = attribute.text_at(&["key"])?;
            if !names.contains(&key.as_ref()) {
                return None;
            }
            let value = attribute.at_path(&["value", "stringValue"])?;
            if value.kind() == Kind::String { value.leaf_text().map(String::from) } else { None }
        })
    };
    Origin {
        node: find(&["k8s.node.name", "kubernetes.host", "host.name"]),
        cluster: find(&["openshift.cluster.uid", "openshift.cluster_id", "k8s.cluster.uid"])
            .or_else(|| find(&["k8s.cluster.name"])),
        log: find(&["openshift.log.source", "log_source"]).and_then(|text| log_of_source(&text)),
    }
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn the_body_is_the_event_and_the_attributes_are_the_envelope() {
        let line = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"openshift.cluster.uid","value":{"stringValue":"c-2"}},{"key":"openshift.log.source","value":{"stringValue":"kubeAPI"}},{"key":"k8s.node.name","value":{"stringValue":"m-2"}}]},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1751451300100000000","body":{"stringValue":"{\"auditID\":\"o1\",\"verb\":\"get\",\"stage\":\"Panic\"}"},"attributes":[{"key":"k8s.user.username","value":{"stringValue":"alice"}}]},{"body":{"kvlistValue":{}}}]}]}]}"#;
        let (seen, _) = meet(line.as_bytes());
        assert_eq!(seen.iter().map(|one| one.kind).collect::<Vec<_>>(), ["event", "rejected"]);
        assert_eq!(seen[0].at(&["auditID"]).unwrap(), "o1");
        assert_eq!(seen[0].origin.node.as_deref(), Some("m-2"));
        assert_eq!(seen[0].origin.cluster.as_deref(), Some("c-2"));
        assert_eq!(seen[0].origin.log.as_deref(), Some("kube-apiserver"));
        let envelope = seen[0].envelope.as_deref().unwrap();
        assert!(envelope.contains(r#""attributes":{"k8s.user.username":"alice"}"#), "{envelope}");
        assert_eq!(seen[0].flags, [crate::event::place::Flag::EnvelopeTime]);
        assert_eq!(seen[0].raw, line);
    }
}
