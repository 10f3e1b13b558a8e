//! Splunk: search exports with `_raw`, and what the HTTP event collector is sent.

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
use crate::intake::when::loose_time;

use super::payload;
use super::viaq::log_of_source;

/// `{"result":{"_raw":..}}` lines, `{"results":[{"_raw":..}]}`, `{"_raw":..}`, and
/// `{"event":..,"sourcetype":..}`; CSV exports with a `_raw` column come here as `{"_raw":..}`.
#[derive(Debug)]
pub(crate) struct Splunk;

impl Format for Splunk {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "splunk",
            about: "Search results with `_raw` (JSON or CSV) and HEC payloads with `event`.",
            from: "Splunk search exports, HTTP event collector",
            example: r#"{"preview":false,"offset":0,"result":{"_raw":"{...}","_time":"...","host":"master-0"}}"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json.filter(|json| json.kind() == Kind::Object) else {
            return Peeled::NotMine;
        };
        if let Some(inner) = json.get("result").and_then(row).or_else(|| row(json)) {
            return Peeled::one(inner);
        }
        if let Some(results) = json.get("results").filter(|results| {
            results.kind() == Kind::Array
                && results.elements().next().is_some_and(|first| first.get("_raw").is_some())
        }) {
            let parts = results.elements().map(|result| Inner {
                element: range_in(layer.text, result.raw()),
                ..row(result).unwrap_or_else(|| Inner {
                    rejected: Some("a result without _raw".to_owned()),
                    ..Inner::default()
                })
            });
            return Peeled::Inner(parts.collect());
        }
        collected(json).map_or(Peeled::NotMine, Peeled::one)
    }
}

fn row(json: Json<'_>) -> Option<Inner<'_>> {
    let raw = json.get("_raw").filter(|raw| matches!(raw.kind(), Kind::String | Kind::Object))?;
    let mut envelope = ObjectText::new();
    envelope.members(json, &["_raw"]);
    Some(Inner {
        text: payload(raw),
        envelope: envelope.finish_some(),
        time: json.text_at(&["_time"]).and_then(|text| loose_time(&text)),
        ..Inner::default()
    })
}

/// What the HTTP event collector takes (Splunk, "Format events for HTTP Event Collector").
fn collected(json: Json<'_>) -> Option<Inner<'_>> {
    let event = json.get("event").filter(|e| matches!(e.kind(), Kind::String | Kind::Object))?;
    let known = ["time", "host", "source", "sourcetype", "index", "fields"];
    if !known.iter().any(|key| json.get(key).is_some()) {
        return None;
    }
    let mut envelope = ObjectText::new();
    envelope.members(json, &["event"]);
    let text_at = |key: &str| json.text_at(&[key]).map(String::from);
    Some(Inner {
        text: payload(event),
        envelope: envelope.finish_some(),
        // OpenShift Logging sends hostname as host and log_source as source.
        origin: Origin {
            node: json
                .get("source")
                .and_then(|source| log_of_source(&source.as_str()?))
                .and_then(|_| text_at("host")),
            cluster: None,
            log: text_at("source").and_then(|source| log_of_source(&source)),
        },
        time: json.text_at(&["time"]).and_then(|text| loose_time(&text)),
        ..Inner::default()
    })
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn exports_and_collector_payloads() {
        let event = r#"{"auditID":"s1","verb":"get","stage":"Panic"}"#;
        let quoted = event.replace('"', "\\\"");
        let records = [
            format!(
                r#"{{"preview":false,"offset":0,"result":{{"_raw":"{quoted}","_time":"2025-07-02T10:15:00.100+00:00","host":"h"}}}}"#
            ),
            format!(
                r#"{{"results":[{{"_raw":"{quoted}","_time":"2025-07-02 10:15:00.100 UTC","host":"h"}}]}}"#
            ),
            format!(r#"{{"_raw":"{quoted}","_time":"1751451300.1","host":"h"}}"#),
            format!(
                r#"{{"time":1751451300.1,"host":"h","index":"main","source":"kubeAPI","sourcetype":"_json","event":{event}}}"#
            ),
            format!(r#"{{"time":"1751451300.1","host":"h","sourcetype":"x","event":"{quoted}"}}"#),
        ];
        for record in records {
            let (seen, _) = meet(record.as_bytes());
            assert_eq!(seen.len(), 1, "{record}");
            let one = &seen[0];
            assert_eq!((one.kind, one.format), ("event", "splunk"), "{one:?}");
            assert_eq!(one.event, event);
            assert!(one.envelope.as_deref().unwrap().contains(r#""host":"h""#));
            let time = one.envelope_time.unwrap().to_rfc3339();
            assert_eq!(time, "2025-07-02T10:15:00.100000Z");
        }
    }

    #[test]
    fn an_object_with_an_event_and_nothing_of_splunk_is_rejected() {
        assert_eq!(meet(br#"{"event":{"auditID":"a","verb":"get"}}"#).0[0].kind, "rejected");
    }
}
