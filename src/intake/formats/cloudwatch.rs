//! CloudWatch Logs: the event is the message of a log event (EKS).

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
use crate::intake::when::loose_time;

/// filter-log-events and get-log-events output, single log events, subscription and Firehose
/// objects, and Insights results; lines of an export to S3 are the format `timestamp-prefix`.
#[derive(Debug)]
pub(crate) struct CloudWatch;

impl Format for CloudWatch {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "cloudwatch",
            about: "CloudWatch log events, subscription objects and Insights results; EKS names the cluster.",
            from: "aws logs filter-log-events / get-query-results, Firehose",
            example: r#"{"messageType":"DATA_MESSAGE","logGroup":"/aws/eks/prod/cluster","logEvents":[{"id":"..","timestamp":1751451300000,"message":"{...}"}]}"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json.filter(|json| json.kind() == Kind::Object) else {
            return Peeled::NotMine;
        };
        if let Some(events) = json.get("logEvents").filter(|list| list.kind() == Kind::Array) {
            let group = json.text_at(&["logGroup"]);
            let stream = json.text_at(&["logStream"]);
            let origin = origin_of(group.as_deref(), stream.as_deref());
            let mut around = ObjectText::new();
            around.members(json, &["logEvents"]);
            return messages(layer.text, events, around.finish_some(), &origin);
        }
        if let Some(events) = json.get("events").filter(|list| is_messages(*list)) {
            return messages(layer.text, events, None, &Origin::default());
        }
        if let Some(results) = json.get("results").filter(|list| is_insights(*list)) {
            return insights(layer.text, results);
        }
        let single = ["ingestionTime", "eventId", "logStreamName"];
        if json.get("message").is_some_and(|message| message.kind() == Kind::String)
            && single.iter().any(|key| json.get(key).is_some())
        {
            return Peeled::one(message(json, None, &Origin::default()));
        }
        match json.get("@message") {
            Some(_) => Peeled::one(insight(json.entries().map(|(k, v)| (k.leaf_text(), v)))),
            None => Peeled::NotMine,
        }
    }
}

fn is_messages(list: Json<'_>) -> bool {
    list.kind() == Kind::Array
        && list.elements().next().is_none_or(|first| first.get("message").is_some())
}

fn is_insights(list: Json<'_>) -> bool {
    list.kind() == Kind::Array
        && list.elements().next().is_some_and(|first| first.kind() == Kind::Array)
}

fn messages<'c>(
    text: &'c [u8],
    list: Json<'c>,
    around: Option<Vec<u8>>,
    origin: &Origin,
) -> Peeled<'c> {
    let parts: Vec<_> = list
        .elements()
        .map(|event| Inner {
            element: range_in(text, event.raw()),
            ..message(event, around.clone(), origin)
        })
        .collect();
    if parts.is_empty() {
        return Peeled::Rejected("a CloudWatch object without log events".to_owned());
    }
    Peeled::Inner(parts)
}

fn message<'c>(event: Json<'c>, around: Option<Vec<u8>>, origin: &Origin) -> Inner<'c> {
    let mut own = ObjectText::new();
    own.members(event, &["message"]);
    let stream = event.text_at(&["logStreamName"]);
    let told = origin_of(None, stream.as_deref());
    let text = event.get("message");
    Inner {
        text: text.map(payload).unwrap_or_default(),
        rejected: text.is_none().then(|| "a log event without a message".to_owned()),
        envelope: crate::intake::format::join_envelopes(around, own.finish_some()),
        origin: crate::intake::format::join_origins(origin.clone(), told),
        time: event.text_at(&["timestamp"]).and_then(|text| loose_time(&text)),
        ..Inner::default()
    }
}

fn insights<'c>(text: &'c [u8], results: Json<'c>) -> Peeled<'c> {
    let parts = results.elements().map(|row| {
        let fields =
            row.elements().filter_map(|pair| Some((pair.text_at(&["field"]), pair.get("value")?)));
        Inner { element: range_in(text, row.raw()), ..insight(fields) }
    });
    Peeled::Inner(parts.collect())
}

/// One row of an Insights result: `@message`, `@timestamp`, `@logStream`, `@log`.
fn insight<'c>(fields: impl Iterator<Item = (Option<Cow<'c, str>>, Json<'c>)>) -> Inner<'c> {
    let mut inner = Inner::default();
    let mut envelope = ObjectText::new();
    let mut found = false;
    let (mut group, mut stream) = (None, None);
    for (name, value) in fields {
        let name = name.unwrap_or_default();
        if name == "@message" {
            inner.text = payload(value);
            found = true;
            continue;
        }
        let text = value.leaf_text().unwrap_or_default();
        match name.as_ref() {
            "@timestamp" => inner.time = loose_time(&text),
            // `@log` is `<account>:<group>`.
            "@log" => group = text.split_once(':').map(|(_, group)| group.to_owned()),
            "@logStream" => stream = Some(text.clone().into_owned()),
            _ => {}
        }
        envelope.json(&name, &crate::intake::format::value_text(value));
    }
    inner.origin = origin_of(group.as_deref(), stream.as_deref());
    inner.envelope = envelope.finish_some();
    if !found {
        inner.rejected = Some("an Insights row without @message".to_owned());
    }
    inner
}

/// EKS: group `/aws/eks/<cluster>/cluster`, stream `kube-apiserver-audit-<hex>`
/// (falcosecurity/plugins k8saudit-eks).
fn origin_of(group: Option<&str>, stream: Option<&str>) -> Origin {
    let cluster = group
        .and_then(|group| group.strip_prefix("/aws/eks/"))
        .and_then(|rest| rest.split('/').next())
        .map(str::to_owned);
    let log = stream
        .filter(|stream| stream.starts_with("kube-apiserver-audit"))
        .map(|_| "kube-apiserver".to_owned());
    Origin { node: None, cluster, log }
}

#[cfg(test)]
mod tests {
    use crate::event::place::Flag;
    use crate::intake::testing::meet;

    #[test]
    fn every_way_out_of_cloudwatch() {
        let event = r#"{"auditID":"w1","verb":"get","stage":"Panic"}"#;
        let quoted = event.replace('"', "\\\"");
        let one = format!(
            r#"{{"logStreamName":"kube-apiserver-audit-ab12","timestamp":1751451300100,"message":"{quoted}","ingestionTime":1751451301000,"eventId":"3"}}"#
        );
        let records = [
            format!(r#"{{"events":[{one}],"searchedLogStreams":[]}}"#),
            one.clone(),
            format!(
                r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/eks/prod/cluster","logStream":"kube-apiserver-audit-ab12","logEvents":[{{"id":"3","timestamp":1751451300100,"message":"{quoted}"}}]}}"#
            ),
            format!(
                r#"{{"results":[[{{"field":"@timestamp","value":"2025-07-02 10:15:00.100"}},{{"field":"@logStream","value":"kube-apiserver-audit-ab12"}},{{"field":"@message","value":"{quoted}"}},{{"field":"@ptr","value":"x"}}]],"status":"Complete"}}"#
            ),
        ];
        for record in &records {
            let (seen, _) = meet(record.as_bytes());
            assert_eq!(seen.len(), 1, "{record}");
            let one = &seen[0];
            assert_eq!((one.kind, one.format), ("event", "cloudwatch"), "{one:?}");
            assert_eq!(one.event, event);
            assert_eq!(one.origin.log.as_deref(), Some("kube-apiserver"));
            assert_eq!(one.flags, [Flag::EnvelopeTime]);
            assert_eq!(one.envelope_time.unwrap().to_rfc3339(), "2025-07-02T10:15:00.100000Z");
        }
        // Firehose writes objects one behind the other.
        let (seen, _) = meet(format!("{0}{0}", records[2]).as_bytes());
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].offset, records[2].len() as u64);
        assert_eq!(seen[1].origin.cluster.as_deref(), Some("prod"));
    }
}
