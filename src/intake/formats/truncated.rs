//! Events that a provider cut: what stands whole in front of the cut is kept.

use std::borrow::Cow;

use crate::event::json::Tape;
use crate::event::json::parse_lenient_prefix;
use crate::event::place::Flag;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::Peeled;
use crate::intake::shape::Shape;

/// CloudWatch cuts long messages and ends them in `[Truncated...]`
/// (falcosecurity/plugins k8saudit-eks).
#[derive(Debug)]
pub(crate) struct Truncated;

/// What a provider puts where it cut.
pub(crate) const MARK: &[u8] = b"[Truncated...]";

/// Says whether a text says of itself that it was cut.
pub(crate) fn is_marked(text: &[u8]) -> bool {
    text.trim_ascii_end().ends_with(MARK)
}

impl Format for Truncated {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "truncated",
            about: "Messages cut by the provider: the members in front of the cut, flag:truncated.",
            from: "EKS through CloudWatch",
            example: r#"{"kind":"Event","auditID":"..","stage":"ResponseComplete","user":{..},"requestOb[Truncated...]"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        if layer.json.is_some() || layer.text.first() != Some(&b'{') || !is_marked(layer.text) {
            return Peeled::NotMine;
        }
        let text = layer.text.trim_ascii_end().strip_suffix(MARK).unwrap_or(layer.text);
        let event = whole_members(text);
        let mut tape = Tape::default();
        let known = parse_lenient_prefix(&event, &mut tape).is_ok()
            && tape.root(&event).is_some_and(|root| {
                let shape = Shape::of(root);
                shape.is_audit_event() || shape.audit_id
            });
        if !known {
            return Peeled::Rejected("cut before its auditID".to_owned());
        }
        Peeled::one(Inner {
            text: Cow::Owned(event),
            event: true,
            flags: vec![Flag::Truncated],
            ..Inner::default()
        })
    }
}

/// Returns the object made of the members of `text` that are whole.
fn whole_members(text: &[u8]) -> Vec<u8> {
    let mut tape = Tape::default();
    let blank = |at: usize| {
        let rest = text.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|c| c.is_ascii_whitespace()).count()
    };
    let mut end = 1;
    let mut at = blank(1);
    loop {
        if text.get(at) != Some(&b'"') {
            break;
        }
        let Ok(key) = parse_lenient_prefix(text.get(at..).unwrap_or_default(), &mut tape) else {
            break;
        };
        at = blank(at + key);
        if text.get(at) != Some(&b':') {
            break;
        }
        at = blank(at + 1);
        let Ok(value) = parse_lenient_prefix(text.get(at..).unwrap_or_default(), &mut tape) else {
            break;
        };
        let after = blank(at + value);
        // A number may be cut and still be one: only what a comma follows is surely whole.
        if text.get(after) != Some(&b',') {
            break;
        }
        end = at + value;
        at = blank(after + 1);
    }
    let mut object = text.get(..end).unwrap_or_default().to_vec();
    object.push(b'}');
    object
}

#[cfg(test)]
mod tests {
    use crate::event::place::Flag;
    use crate::intake::testing::meet;

    #[test]
    fn a_cut_message_inside_an_envelope() {
        let cut = r#"{\"auditID\":\"u2\",\"verb\":\"get\",\"requestObject\":{\"a\"[Truncated...]"#;
        let line = format!(r#"{{"timestamp":1751451300100,"message":"{cut}","eventId":"1"}}"#);
        let (seen, _) = meet(line.as_bytes());
        assert_eq!((seen[0].kind, seen[0].format), ("event", "cloudwatch"));
        assert_eq!(seen[0].event, r#"{"auditID":"u2","verb":"get"}"#);
        assert_eq!(seen[0].flags, [Flag::Truncated, Flag::EnvelopeTime]);
    }

    #[test]
    fn members_in_front_of_the_cut_are_kept() {
        let good = r#"{"auditID":"b","verb":"get","stage":"Panic"}"#;
        let text = format!(
            "{{\"kind\":\"Event\",\"auditID\":\"u1\",\"user\":{{\"username\":\"u\"}},\"code\":40[Truncated...]\n{{\"ki[Truncated...]\n{good}\n"
        );
        let (seen, _) = meet(text.as_bytes());
        assert_eq!(
            seen.iter().map(|one| one.kind).collect::<Vec<_>>(),
            ["event", "rejected", "event"]
        );
        assert_eq!(seen[0].event, r#"{"kind":"Event","auditID":"u1","user":{"username":"u"}}"#);
        assert_eq!(
            (seen[0].flags.as_slice(), seen[0].format),
            (&[Flag::Truncated][..], "truncated")
        );
        assert!(seen[0].raw.ends_with("[Truncated...]"));
        assert_eq!(seen[2].format, "event");
    }
}
