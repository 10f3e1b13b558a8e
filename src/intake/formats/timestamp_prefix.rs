//! A time in front of each line.

use std::borrow::Cow;

use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::Peeled;
use crate::intake::when::loose_time;

/// CloudWatch's export to S3, and container runtimes' files (CRI: `<time> stdout F <line>`).
#[derive(Debug)]
pub(crate) struct TimestampPrefix;

impl Format for TimestampPrefix {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "timestamp-prefix",
            about: "A time and one blank in front of each line, as in CloudWatch exports and CRI logs.",
            from: "aws logs create-export-task, /var/log/containers, kubectl logs --timestamps",
            example: r#"2025-07-02T10:15:00.000Z {"kind":"Event","apiVersion":"audit.k8s.io/v1","#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        if layer.json.is_some() || !layer.text.first().is_some_and(u8::is_ascii_digit) {
            return Peeled::NotMine;
        }
        let Some(at) = memchr::memchr(b' ', layer.text) else { return Peeled::NotMine };
        let (time, rest) = layer.text.split_at(at);
        let mut rest = rest.trim_ascii_start();
        for stream in [&b"stdout F "[..], b"stderr F "] {
            rest = rest.strip_prefix(stream).unwrap_or(rest);
        }
        // `{"` and not `{a=`: labels of Loki follow a time as well.
        if !is_json(rest) {
            return Peeled::NotMine;
        }
        let Some(time) = std::str::from_utf8(time).ok().and_then(loose_time) else {
            return Peeled::NotMine;
        };
        Peeled::one(Inner { text: Cow::Borrowed(rest), time: Some(time), ..Inner::default() })
    }
}

fn is_json(text: &[u8]) -> bool {
    let mut rest = text.iter().copied();
    rest.next() == Some(b'{') && rest.find(|c| !c.is_ascii_whitespace()) == Some(b'"')
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn the_time_is_that_of_the_envelope() {
        let event = r#"{"auditID":"t1","verb":"get","stage":"Panic"}"#;
        let text = format!(
            "2025-07-02T10:15:00.100Z {event}\n2025-07-02T10:15:00.100000001Z stdout F {event}\n"
        );
        let (seen, _) = meet(text.as_bytes());
        for one in &seen {
            assert_eq!((one.kind, one.format), ("event", "timestamp-prefix"));
            assert_eq!(one.event, event);
            assert_eq!(one.envelope_time.unwrap().to_rfc3339(), "2025-07-02T10:15:00.100000Z");
        }
        assert_eq!(seen.len(), 2);
    }
}
