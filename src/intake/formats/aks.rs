//! Azure: diagnostic records with the event in `properties.log`, and rows of Log Analytics.

use std::borrow::Cow;

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::event::place::Origin;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::format::push_quoted;
use crate::intake::format::range_in;
use crate::intake::format::value_text;
use crate::intake::when::loose_time;

use super::payload;

/// Event Hub batches `{"records":[..]}`, single records, AzureDiagnostics rows with `log_s`, and
/// rows of the tables AKSAudit and AKSAuditAdmin, which hold the event in columns.
#[derive(Debug)]
pub(crate) struct Aks;

impl Format for Aks {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "aks",
            about: "Azure diagnostic records and Log Analytics rows; resourceId names the cluster.",
            from: "Event Hub, storage accounts (PT1H.json), AzureDiagnostics, AKSAudit",
            example: r#"{"time":"..","resourceId":"/SUBSCRIPTIONS/..","category":"kube-audit","properties":{"log":"{...}\n","stream":"stdout"}}"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json.filter(|json| json.kind() == Kind::Object) else {
            return Peeled::NotMine;
        };
        if let Some(inner) = record(json) {
            return Peeled::one(inner);
        }
        let Some(records) = json.get("records").filter(|list| list.kind() == Kind::Array) else {
            return Peeled::NotMine;
        };
        let parts: Vec<_> = records
            .elements()
            .map(|one| Inner {
                element: range_in(layer.text, one.raw()),
                ..record(one).unwrap_or_else(|| Inner {
                    rejected: Some("an Azure record without a Kubernetes log".to_owned()),
                    ..Inner::default()
                })
            })
            .collect();
        if parts.is_empty() {
            return Peeled::Rejected("an empty list of records".to_owned());
        }
        Peeled::Inner(parts)
    }
}

fn record(json: Json<'_>) -> Option<Inner<'_>> {
    let (text, but) = if let Some(log) = json.at_path(&["properties", "log"]) {
        (payload(log), "properties")
    } else if let Some(log) = json.get("log_s") {
        (payload(log), "log_s")
    } else if json.get("AuditId").is_some() && json.get("RequestReceivedTime").is_some() {
        return Some(row(json));
    } else {
        return None;
    };
    let mut envelope = ObjectText::new();
    envelope.members(json, &[but]);
    if but == "properties" {
        let mut properties = ObjectText::new();
        if let Some(own) = json.get("properties") {
            properties.members(own, &["log"]);
        }
        if !properties.is_empty() {
            envelope.json("properties", &properties.finish());
        }
    }
    Some(Inner {
        text,
        envelope: envelope.finish_some(),
        origin: origin_of(json),
        time: ["time", "TimeGenerated"].iter().find_map(|key| loose_time(&json.text_at(&[key])?)),
        ..Inner::default()
    })
}

/// The cluster is the last part of the resource's id; its case differs from export to export.
fn origin_of(json: Json<'_>) -> Origin {
    let id = ["resourceId", "ResourceId", "_ResourceId"].iter().find_map(|k| json.text_at(&[k]));
    let cluster = id.and_then(|id| {
        let id = id.to_lowercase();
        id.split_once("/managedclusters/")
            .map(|(_, name)| name.split('/').next().unwrap_or_default().to_owned())
    });
    Origin { node: None, cluster, log: Some("kube-apiserver".to_owned()) }
}

/// Columns of AKSAudit and the fields they were made from (Azure Monitor table reference).
const COLUMNS: [(&str, &str); 17] = [
    ("Level", "level"),
    ("AuditId", "auditID"),
    ("Stage", "stage"),
    ("RequestUri", "requestURI"),
    ("Verb", "verb"),
    ("User", "user"),
    ("ImpersonatedUser", "impersonatedUser"),
    ("SourceIps", "sourceIPs"),
    ("UserAgent", "userAgent"),
    ("ObjectRef", "objectRef"),
    ("ResponseStatus", "responseStatus"),
    ("RequestObject", "requestObject"),
    ("ResponseObject", "responseObject"),
    ("RequestReceivedTime", "requestReceivedTimestamp"),
    ("StageReceivedTime", "stageTimestamp"),
    ("Annotations", "annotations"),
    ("AuthenticationMetadata", "authenticationMetadata"),
];

fn row(json: Json<'_>) -> Inner<'static> {
    let mut event = ObjectText::new();
    event.text("kind", "Event");
    event.text("apiVersion", "audit.k8s.io/v1");
    for (column, field) in COLUMNS {
        let Some(value) = json.get(column).filter(|value| value.kind() != Kind::Null) else {
            continue;
        };
        event.json(field, &column_value(value));
    }
    let mut envelope = ObjectText::new();
    envelope.members(json, &COLUMNS.map(|(column, _)| column));
    Inner {
        text: Cow::Owned(event.finish()),
        event: true,
        envelope: envelope.finish_some(),
        origin: origin_of(json),
        time: json.text_at(&["TimeGenerated"]).and_then(|text| loose_time(&text)),
        ..Inner::default()
    }
}

/// Columns of type dynamic are exported as objects, or as the text of objects.
fn column_value(value: Json<'_>) -> Vec<u8> {
    if let Some(text) = value.as_str() {
        let bytes = text.trim().as_bytes();
        if matches!(bytes.first(), Some(b'{' | b'['))
            && parse_lenient(bytes, &mut Tape::default()).is_ok()
        {
            return bytes.to_vec();
        }
        let mut quoted = Vec::new();
        push_quoted(&mut quoted, &text);
        return quoted;
    }
    value_text(value).into_owned()
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    const EVENT: &str = r#"{"auditID":"z1","verb":"get","stage":"Panic"}"#;

    #[test]
    fn the_log_is_text_or_an_object_alone_or_in_a_batch() {
        let quoted = EVENT.replace('"', "\\\"");
        let id = "/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/PROD";
        let text = format!(
            r#"{{"time":"2025-07-02T10:15:00.1Z","resourceId":"{id}","category":"kube-audit","properties":{{"log":"{quoted}\n","stream":"stdout","pod":"kube-apiserver-x"}}}}"#
        );
        let object = text.replace(&format!("\"{quoted}\\n\""), EVENT);
        let klog = r#"{"category":"guard","properties":{"log":"I0702 10:15 started\n"}}"#;
        let batch = format!(r#"{{"records":[{text},{object},{klog}]}}"#);
        let diagnostics = format!(
            r#"{{"TimeGenerated":"2025-07-02T10:15:00.1Z","ResourceId":"{id}","log_s":"{quoted}"}}"#
        );
        for (record, count) in [(text, 1), (object, 1), (batch, 2), (diagnostics, 1)] {
            let (seen, tally) = meet(record.as_bytes());
            assert_eq!(tally.events, count, "{record}");
            assert_eq!(tally.rejected, u64::from(count == 2));
            let one = &seen[0];
            assert_eq!((one.format, one.event.as_str()), ("aks", EVENT));
            assert_eq!(one.origin.cluster.as_deref(), Some("prod"));
            assert!(one.envelope_time.is_some());
        }
    }

    #[test]
    fn a_row_of_the_table_becomes_the_event() {
        let row = r#"{"TimeGenerated":"2025-07-02T10:16:00Z","Level":"Metadata","AuditId":"z2","Stage":"ResponseComplete","Verb":"list","RequestUri":"/api/v1/pods","User":"{\"username\":\"u\",\"groups\":[\"g\"]}","SourceIps":["10.0.0.1"],"ResponseStatus":{"code":200},"RequestObject":"skipped-too-big-size-object","RequestReceivedTime":"2025-07-02T10:15:00.1Z","PodName":"kube-apiserver-x"}"#;
        let (seen, _) = meet(row.as_bytes());
        let one = &seen[0];
        assert_eq!((one.kind, one.format), ("event", "aks"));
        assert_eq!(one.at(&["user", "groups", "0"]).unwrap(), "g");
        assert_eq!(one.at(&["sourceIPs", "0"]).unwrap(), "10.0.0.1");
        assert_eq!(one.at(&["requestObject"]).unwrap(), "skipped-too-big-size-object");
        assert!(one.envelope.as_deref().unwrap().contains("PodName"));
        assert!(one.flags.is_empty());
    }
}
