//! What an object looks like from outside: is it an audit event, and who wrapped it?

use crate::event::json::Json;
use crate::event::json::Kind;

/// The top-level keys of an object that tell formats apart, collected in one pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape<'t> {
    /// `kind`.
    pub kind: Option<Json<'t>>,
    /// `apiVersion`.
    pub api_version: Option<Json<'t>>,
    /// How many of auditID, stage, verb, requestURI, user, objectRef, requestReceivedTimestamp and
    /// stageTimestamp are there with a value of their type.
    pub marks: u8,
    /// `auditID` is there and is text.
    pub audit_id: bool,
    /// `hostname`, written by OpenShift Logging.
    pub hostname: Option<Json<'t>>,
    /// `log_source`, written by OpenShift Logging.
    pub log_source: Option<Json<'t>>,
    /// `openshift`, written by OpenShift Logging.
    pub openshift: Option<Json<'t>>,
    /// `k8s_audit_level`, `openshift_audit_level`, `log_type`, `viaq_msg_id`, `viaq_index_name`.
    pub viaq: bool,
    /// A key that starts with `gl2_`.
    pub graylog: bool,
}

impl<'t> Shape<'t> {
    /// Looks at the keys of an object; anything else has no shape.
    pub fn of(root: Json<'t>) -> Shape<'t> {
        let mut shape = Shape::default();
        for (key, value) in root.entries() {
            shape.note(key.raw(), value);
        }
        shape
    }

    fn note(&mut self, key: &[u8], value: Json<'t>) {
        let text = value.kind() == Kind::String;
        let object = value.kind() == Kind::Object;
        match key {
            b"kind" => self.kind = Some(value),
            b"apiVersion" => self.api_version = Some(value),
            b"auditID" if text => {
                self.audit_id = true;
                self.marks += 1;
            }
            b"stage"
            | b"verb"
            | b"requestURI"
            | b"requestReceivedTimestamp"
            | b"stageTimestamp"
                if text =>
            {
                self.marks += 1;
            }
            b"user" | b"objectRef" if object => self.marks += 1,
            b"hostname" => self.hostname = Some(value),
            b"log_source" => self.log_source = Some(value),
            b"openshift" => self.openshift = Some(value),
            b"k8s_audit_level"
            | b"openshift_audit_level"
            | b"log_type"
            | b"viaq_msg_id"
            | b"viaq_index_name" => self.viaq = true,
            _ if key.starts_with(b"gl2_") => self.graylog = true,
            _ => {}
        }
    }

    /// Says whether the object is an audit event.
    ///
    /// If it names a `kind` or an `apiVersion`, these must be `Event` and `audit.k8s.io/...`
    /// (`v1`, `v1beta1`, `v1alpha1`), whatever else is there: a core/v1 `Event` is none.
    /// With both named one more sign is enough; otherwise it takes an `auditID` and another sign,
    /// or three signs without one.
    pub fn is_audit_event(&self) -> bool {
        let kind = self.kind.map(|kind| kind.kind() == Kind::String && kind.raw() == b"Event");
        let version = self.api_version.map(|version| {
            version.kind() == Kind::String
                && version.leaf_text().is_some_and(|text| text.starts_with("audit.k8s.io/"))
        });
        match (kind, version) {
            (Some(false), _) | (_, Some(false)) => false,
            (Some(true), Some(true)) => self.marks >= 1,
            _ => self.marks >= 3 || (self.audit_id && self.marks >= 2),
        }
    }

    /// Says whether a forwarder or a store laid fields of its own among the event's.
    pub fn is_flat_envelope(&self) -> bool {
        self.viaq || self.graylog || (self.log_source.is_some() && self.openshift.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::Tape;
    use crate::event::json::parse_lenient;

    fn is_event(text: &str) -> bool {
        let mut tape = Tape::default();
        parse_lenient(text.as_bytes(), &mut tape).unwrap();
        Shape::of(tape.root(text.as_bytes()).unwrap()).is_audit_event()
    }

    #[test]
    fn events_of_every_age_are_events() {
        let yes = [
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a"}"#,
            r#"{"kind":"Event","apiVersion":"audit.k8s.io\/v1beta1","verb":"get"}"#,
            r#"{"auditID":"a","stage":"ResponseComplete"}"#,
            r#"{"verb":"get","requestURI":"/","user":{}}"#,
        ];
        for text in yes {
            assert!(is_event(text), "{text}");
        }
    }

    #[test]
    fn other_objects_are_not() {
        let no = [
            r#"{"kind":0}"#,
            r#"{"kind":"Deployment","apiVersion":"apps/v1","user":{},"verb":"x","stage":"y"}"#,
            r#"{"kind":"Event","apiVersion":"v1","metadata":{},"reason":"Started"}"#,
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1"}"#,
            r#"{"auditID":"a"}"#,
            r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[]}"#,
            r#"{}"#,
            r#"[]"#,
            r#"3"#,
        ];
        for text in no {
            assert!(!is_event(text), "{text}");
        }
    }
}
