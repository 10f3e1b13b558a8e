//! Graylog messages: the forwarded text stands in `message`.

use super::payload;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::shape::Shape;
use crate::intake::when::loose_time;

/// A message as Graylog stores it: fields taken out of the event, `gl2_*` of its own, and the text
/// as it came in `message` (or `full_message`).
#[derive(Debug)]
pub(crate) struct Graylog;

/// Fields that Graylog took out of the event or that say nothing beside it.
const TAKEN_OUT: [&str; 22] = [
    "message",
    "full_message",
    "kind",
    "apiVersion",
    "auditID",
    "stage",
    "verb",
    "requestURI",
    "user",
    "impersonatedUser",
    "sourceIPs",
    "userAgent",
    "objectRef",
    "responseStatus",
    "requestObject",
    "responseObject",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "annotations",
    "hostname",
    "openshift",
    "@timestamp",
];

impl Format for Graylog {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "graylog",
            about: "Graylog messages (`gl2_*` fields); the text in `message` is the event.",
            from: "Graylog exports, GELF outputs",
            example: r#"{"gl2_message_id":"01J..","timestamp":"2025-07-02 10:15:00.100","message":"{...}"}"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json else { return Peeled::NotMine };
        let shape = Shape::of(json);
        if !shape.graylog {
            return Peeled::NotMine;
        }
        let time = json.text_at(&["timestamp"]).and_then(|text| loose_time(&text));
        let text = ["message", "full_message"].iter().find_map(|key| {
            json.get(key).map(payload).filter(|text| memchr::memchr(b'{', text).is_some())
        });
        let Some(text) = text else {
            if shape.is_audit_event() {
                return Peeled::one(Inner {
                    text: layer.text.into(),
                    event: true,
                    time,
                    ..Inner::default()
                });
            }
            return Peeled::Rejected("a Graylog message that is no audit event".to_owned());
        };
        let mut envelope = ObjectText::new();
        envelope.members(json, &TAKEN_OUT);
        Peeled::one(Inner { text, envelope: envelope.finish_some(), time, ..Inner::default() })
    }
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn the_message_is_the_event() {
        let event =
            r#"{"auditID":"g1","hostname":"m-1","log_type":"audit","verb":"get","stage":"Panic"}"#;
        let quoted = event.replace('"', "\\\"");
        let line = format!(
            r#"{{"gl2_message_id":"x","gl2_source_node":"n","level":6,"auditID":"g1","verb":"get","source":"fw","timestamp":"2025-07-02 10:15:00.100","message":"{quoted}"}}"#
        );
        let (seen, _) = meet(line.as_bytes());
        let one = &seen[0];
        assert_eq!((one.kind, one.format, one.event.as_str()), ("event", "graylog", event));
        assert_eq!(one.origin.node.as_deref(), Some("m-1"));
        let envelope = one.envelope.as_deref().unwrap();
        assert!(envelope.contains(r#""source":"fw""#) && !envelope.contains("auditID"));
        assert_eq!(one.envelope_time.unwrap().to_rfc3339(), "2025-07-02T10:15:00.100000Z");
    }
}
