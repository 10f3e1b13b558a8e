//! Loki: streams of lines with labels, as logcli and the API give them.

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
use crate::intake::format::range_in;
use crate::intake::format::value_text;
use crate::intake::when::loose_time;

use super::viaq::log_of_source;

/// `logcli -o jsonl` (jsonl.go), query results of the API, and `logcli`'s default output
/// `<time> {label="value"} <line>`.
#[derive(Debug)]
pub(crate) struct Loki;

impl Format for Loki {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "loki",
            about: "Loki lines with their labels: logcli jsonl or default text, API results.",
            from: "logcli, Loki's HTTP API, LokiStack of OpenShift Logging",
            example: r#"{"labels":{"log_type":"audit"},"line":"{...}","timestamp":"2025-07-02T12:15:00+02:00"}"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json else { return default_text(layer.text) };
        if let (Some(labels), Some(line)) = (json.get("labels"), json.get("line"))
            && line.kind() == Kind::String
        {
            let time = json.text_at(&["timestamp"]).and_then(|text| loose_time(&text));
            let mut envelope = ObjectText::new();
            envelope.members(json, &["line"]);
            return Peeled::one(Inner {
                text: payload(line),
                envelope: envelope.finish_some(),
                origin: origin_of(labels),
                time,
                ..Inner::default()
            });
        }
        let streams = json.at_path(&["data", "result"]).or_else(|| json.get("streams"));
        let Some(streams) = streams.filter(|streams| {
            streams.kind() == Kind::Array
                && streams.elements().all(|stream| stream.get("values").is_some())
        }) else {
            return Peeled::NotMine;
        };
        let parts: Vec<_> =
            streams.elements().flat_map(|stream| lines_of(layer.text, stream)).collect();
        if parts.is_empty() {
            return Peeled::Rejected("a Loki result without lines".to_owned());
        }
        Peeled::Inner(parts)
    }
}

/// Returns the lines of one stream: `{"stream":{labels},"values":[["<ns>","<line>",{..}?]]}`.
fn lines_of<'c>(text: &'c [u8], stream: Json<'c>) -> Vec<Inner<'c>> {
    let labels = stream.get("stream");
    let values = stream.get("values").into_iter().flat_map(|values| values.elements());
    let lines = values.map(|value| {
        let mut parts = value.elements();
        let time = parts.next().and_then(|time| loose_time(&time.leaf_text()?));
        let line = parts.next();
        let mut envelope = ObjectText::new();
        if let Some(labels) = labels {
            envelope.json("labels", &value_text(labels));
        }
        if let Some(metadata) = parts.next() {
            envelope.json("metadata", &value_text(metadata));
        }
        if let Some(time) = time {
            envelope.text("timestamp", &time.to_rfc3339());
        }
        Inner {
            element: range_in(text, value.raw()),
            text: line.map(payload).unwrap_or_default(),
            rejected: line.is_none().then(|| "a Loki value without a line".to_owned()),
            envelope: envelope.finish_some(),
            origin: labels.map(origin_of).unwrap_or_default(),
            time,
            ..Inner::default()
        }
    });
    lines.collect()
}

fn origin_of(labels: Json<'_>) -> Origin {
    let first =
        |names: &[&str]| names.iter().find_map(|name| labels.text_at(&[name])).map(Cow::into_owned);
    Origin {
        node: first(&["k8s_node_name", "kubernetes_host"]),
        cluster: first(&["openshift_cluster_id", "openshift_cluster_uid", "k8s_cluster_name"]),
        log: first(&["openshift_log_source", "log_source"]).and_then(|text| log_of_source(&text)),
    }
}

fn default_text(text: &[u8]) -> Peeled<'_> {
    let Some(blank) = memchr::memchr(b' ', text) else { return Peeled::NotMine };
    let (time, rest) = text.split_at(blank);
    let rest = rest.trim_ascii_start();
    let Some(time) = std::str::from_utf8(time).ok().and_then(loose_time) else {
        return Peeled::NotMine;
    };
    let Some((labels, length)) = labels_of(rest) else { return Peeled::NotMine };
    let mut envelope = ObjectText::new();
    let mut origin = Origin::default();
    let mut own = ObjectText::new();
    for (name, value) in &labels {
        own.text(name, value);
        match name.as_str() {
            "k8s_node_name" | "kubernetes_host" => origin.node = Some(value.clone()),
            "openshift_cluster_id" => origin.cluster = Some(value.clone()),
            "openshift_log_source" | "log_source" => origin.log = log_of_source(value),
            _ => {}
        }
    }
    envelope.json("labels", &own.finish());
    Peeled::one(Inner {
        text: Cow::Borrowed(rest.get(length..).unwrap_or_default().trim_ascii()),
        envelope: envelope.finish_some(),
        origin,
        time: Some(time),
        ..Inner::default()
    })
}

/// Reads `{a="b", c="d"}`; JSON never looks like this, its keys have quotes.
fn labels_of(text: &[u8]) -> Option<(Vec<(String, String)>, usize)> {
    let mut labels = Vec::new();
    let mut at = 1;
    if text.first() != Some(&b'{') {
        return None;
    }
    loop {
        while matches!(text.get(at), Some(b' ' | b',')) {
            at += 1;
        }
        if text.get(at) == Some(&b'}') {
            return (!labels.is_empty()).then_some((labels, at + 1));
        }
        let rest = text.get(at..)?;
        let equals = memchr::memchr(b'=', rest)?;
        let name = std::str::from_utf8(rest.get(..equals)?).ok()?;
        if name.is_empty() || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
            return None;
        }
        let value = rest.get(equals + 1..)?;
        if value.first() != Some(&b'"') {
            return None;
        }
        let end = super::quoted_end(value)?;
        labels.push((name.to_owned(), super::unquote(value.get(1..end)?)));
        at += equals + 1 + end + 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    const LINE: &str = r#"{\"auditID\":\"l1\",\"verb\":\"get\",\"stage\":\"Panic\"}"#;

    #[test]
    fn jsonl_api_and_text_give_the_same_event() {
        let event = LINE.replace('\\', "");
        let records = [
            format!(
                r#"{{"labels":{{"log_type":"audit","kubernetes_host":"m-1"}},"line":"{LINE}","timestamp":"2025-07-02T12:15:00.1+02:00"}}"#
            ),
            format!(
                r#"{{"status":"success","data":{{"resultType":"streams","result":[{{"stream":{{"log_type":"audit","k8s_node_name":"m-1"}},"values":[["1751451300100000000","{LINE}"]]}}]}}}}"#
            ),
            format!(
                r#"2025-07-02T12:15:00.1+02:00 {{kubernetes_host="m-1", log_type="audit"}} {event}"#
            ),
        ];
        for record in records {
            let (seen, _) = meet(record.as_bytes());
            assert_eq!(seen.len(), 1);
            let one = &seen[0];
            assert_eq!((one.kind, one.format), ("event", "loki"), "{one:?}");
            assert_eq!(one.event, event);
            assert_eq!(one.origin.node.as_deref(), Some("m-1"));
            let time = one.envelope_time.unwrap().to_rfc3339();
            assert_eq!(time, "2025-07-02T10:15:00.100000Z");
            assert!(one.envelope.as_deref().unwrap().contains(r#""log_type":"audit""#));
        }
    }
}
