//! JSON in a string: the event was quoted once more than it should.

use crate::event::json::Kind;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::when::loose_time;

use super::payload;

/// `"{\"kind\":...}"`, and container runtimes' `{"log":"...","stream":"stdout","time":"..."}`.
#[derive(Debug)]
pub(crate) struct JsonString;

impl Format for JsonString {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "json-string",
            about: "An event quoted as a JSON string, alone or as `log` of a container's log file.",
            from: "docker json-file logs, scripts that encode twice",
            example: r#"{"log":"{...}\n","stream":"stdout","time":"2025-07-02T10:15:00.1Z"}"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json else { return Peeled::NotMine };
        if json.kind() == Kind::String {
            return Peeled::one(Inner { text: payload(json), ..Inner::default() });
        }
        let (Some(log), Some(_)) = (json.get("log"), json.get("stream")) else {
            return Peeled::NotMine;
        };
        if log.kind() != Kind::String {
            return Peeled::NotMine;
        }
        let mut envelope = ObjectText::new();
        envelope.members(json, &["log"]);
        Peeled::one(Inner {
            text: payload(log),
            envelope: envelope.finish_some(),
            time: json.text_at(&["time"]).and_then(|text| loose_time(&text)),
            ..Inner::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn quoted_once_and_twice() {
        let event = r#"{"auditID":"j1","verb":"get","stage":"Panic"}"#;
        let once = serde_json::to_string(event).unwrap();
        let twice = serde_json::to_string(&once).unwrap();
        let docker =
            format!(r#"{{"log":{once},"stream":"stdout","time":"2025-07-02T10:15:00.1Z"}}"#);
        let (seen, _) = meet(format!("{once}\n{twice}\n{docker}\n\"x\"\n").as_bytes());
        for one in &seen[..3] {
            assert_eq!((one.kind, one.format, one.event.as_str()), ("event", "json-string", event));
        }
        assert_eq!(seen[3].kind, "rejected");
    }
}
