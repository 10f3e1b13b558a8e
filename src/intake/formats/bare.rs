//! The event as an API server writes it, of any version.

use std::borrow::Cow;

use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::Peeled;
use crate::intake::shape::Shape;

/// One audit event, on a line or pretty-printed.
#[derive(Debug)]
pub(crate) struct Bare;

impl Format for Bare {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "event",
            about: "Audit events v1, v1beta1, v1alpha1 or without kind; one a line, or pretty-printed.",
            from: "kube-apiserver, openshift-apiserver, oauth-apiserver, oauth-server, RKE2, k3s",
            example: r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        let Some(json) = layer.json else { return Peeled::NotMine };
        let shape = Shape::of(json);
        if !shape.is_audit_event() || shape.is_flat_envelope() {
            return Peeled::NotMine;
        }
        Peeled::one(Inner { text: Cow::Borrowed(layer.text), event: true, ..Inner::default() })
    }
}
