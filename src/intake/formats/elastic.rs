//! Elasticsearch and OpenSearch: documents under `_source`.

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::format::range_in;

use super::payload;

/// `_source` a line (elasticdump) or a whole search response.
#[derive(Debug)]
pub(crate) struct Elastic;

impl Format for Elastic {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "elasticsearch",
            about: "Documents under `_source`, one a line or in the `hits.hits` of a response.",
            from: "elasticdump, _search responses, Kibana exports",
            example: r#"{"_index":"audit-000012","_id":"...","_source":{"auditID":"..."}}"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json else { return Peeled::NotMine };
        if let Some(inner) = document(json) {
            return Peeled::one(inner);
        }
        let Some(hits) = json.at_path(&["hits", "hits"]).filter(|h| h.kind() == Kind::Array) else {
            return Peeled::NotMine;
        };
        let parts: Vec<_> = hits
            .elements()
            .map(|hit| {
                let mut inner = document(hit).unwrap_or_else(|| Inner {
                    rejected: Some("a hit without _source".to_owned()),
                    ..Inner::default()
                });
                inner.element = range_in(layer.text, hit.raw());
                inner
            })
            .collect();
        if parts.is_empty() {
            return Peeled::Rejected("a search response without hits".to_owned());
        }
        Peeled::Inner(parts)
    }
}

fn document(json: Json<'_>) -> Option<Inner<'_>> {
    let source = json.get("_source").filter(|source| source.kind() == Kind::Object)?;
    let mut envelope = ObjectText::new();
    envelope.members(json, &["_source"]);
    Some(Inner { text: payload(source), envelope: envelope.finish_some(), ..Inner::default() })
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn a_document_and_a_response() {
        let event = r#"{"auditID":"e1","verb":"get","stage":"Panic"}"#;
        let document = format!(r#"{{"_index":"audit-1","_id":"x","_score":1,"_source":{event}}}"#);
        let response =
            format!(r#"{{"took":1,"hits":{{"total":2,"hits":[{document},{document}]}}}}"#);
        let (seen, _) = meet(format!("{document}\n{response}\n").as_bytes());
        assert_eq!(seen.len(), 3);
        for one in &seen {
            assert_eq!((one.kind, one.format), ("event", "elasticsearch"));
            assert_eq!(one.event, event);
            assert_eq!(
                one.envelope.as_deref(),
                Some(r#"{"_index":"audit-1","_id":"x","_score":1}"#)
            );
        }
        assert_eq!((seen[1].item, seen[2].item, seen[2].line), (0, 1, 2));
    }
}
