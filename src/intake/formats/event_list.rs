//! Batches: an audit `EventList`, or an array of anything we know.

use std::borrow::Cow;

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::Peeled;
use crate::intake::format::range_in;
use crate::intake::format::value_text;

/// What the webhook backend posts, and what `--format=json` of many tools prints.
#[derive(Debug)]
pub(crate) struct EventList;

impl Format for EventList {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "list",
            about: "EventList batches and JSON arrays, on a line or over many.",
            from: "audit webhooks, jq -s, gcloud --format=json",
            example: r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"level":"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json else { return Peeled::NotMine };
        let list = match json.kind() {
            Kind::Array => json,
            Kind::Object => match (json.text_at(&["kind"]).as_deref(), json.get("items")) {
                (Some("EventList"), Some(items)) => items,
                _ => return Peeled::NotMine,
            },
            _ => return Peeled::NotMine,
        };
        let inner: Vec<_> =
            list.elements().map(|element| element_of(layer.text, element)).collect();
        if inner.is_empty() {
            return Peeled::Rejected("an empty list: no event in it".to_owned());
        }
        Peeled::Inner(inner)
    }
}

/// Returns one element of a list as something to peel again.
pub(crate) fn element_of<'c>(text: &'c [u8], element: Json<'c>) -> Inner<'c> {
    Inner {
        element: range_in(text, element.raw()),
        text: match element.kind() {
            Kind::Object | Kind::Array => Cow::Borrowed(element.raw()),
            _ => value_text(element),
        },
        ..Inner::default()
    }
}
