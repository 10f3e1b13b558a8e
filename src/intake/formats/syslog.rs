//! syslog: RFC 5424, and the older form, with the event as the message.

use std::borrow::Cow;

use crate::event::json::Tape;
use crate::event::json::parse_lenient_prefix;
use crate::event::place::Origin;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::when::loose_time;

use super::truncated;
use super::viaq::log_of_source;

/// `<110>1 TIME HOST APP PROCID MSGID SD {json}`, as OpenShift Logging sends it: facility security,
/// app-name = msgid = log_source, procid = auditID.
/// Syslog over UDP may cut a message; the rest is recovered like any other cut text.
#[derive(Debug)]
pub(crate) struct Syslog;

impl Format for Syslog {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "syslog",
            about: "RFC 5424 or RFC 3164 lines whose message is JSON; the header becomes the envelope.",
            from: "syslog sink of OpenShift Logging, rsyslog, syslog-ng",
            example: r#"<110>1 2025-07-02T10:15:00.1Z master-0 kubeAPI <auditID> kubeAPI - {"auditID":"..."#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        if layer.json.is_some() {
            return Peeled::NotMine;
        }
        let mut text = layer.text;
        // Octet counting (RFC 6587): the length and a blank in front.
        let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
        if (1..=7).contains(&digits) && text.get(digits..digits + 2) == Some(b" <") {
            text = text.get(digits + 1..).unwrap_or_default();
        }
        let Some((priority, rest)) = priority(text) else { return Peeled::NotMine };
        let inner = match rest.strip_prefix(b"1 ") {
            Some(rest) => rfc5424(rest, priority),
            None => rfc3164(rest, priority),
        };
        match inner {
            Some(inner) => Peeled::one(inner),
            None => Peeled::Rejected("a syslog line without a known message".to_owned()),
        }
    }
}

/// Reads `<PRI>`.
fn priority(text: &[u8]) -> Option<(&str, &[u8])> {
    let rest = text.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|c| *c == b'>')?;
    let digits = std::str::from_utf8(rest.get(..end)?).ok()?;
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    Some((digits, rest.get(end + 1..)?))
}

fn rfc5424<'c>(text: &'c [u8], priority: &str) -> Option<Inner<'c>> {
    let mut rest = text;
    let mut word = || -> Option<&'c str> {
        let at = memchr::memchr(b' ', rest)?;
        let word = std::str::from_utf8(rest.get(..at)?).ok()?;
        rest = rest.get(at + 1..)?;
        Some(word)
    };
    let (time, host, app, process, message_id) = (word()?, word()?, word()?, word()?, word()?);
    let after = structured_data_end(rest)?;
    let data = std::str::from_utf8(rest.get(..after)?).ok()?;
    let body = rest.get(after..)?.trim_ascii_start();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut envelope = ObjectText::new();
    for (key, value) in [
        ("priority", priority),
        ("timestamp", time),
        ("host", host),
        ("appname", app),
        ("procid", process),
        ("msgid", message_id),
        ("structured_data", data),
    ] {
        if value != "-" {
            envelope.text(key, value);
        }
    }
    let log = log_of_source(app).or_else(|| log_of_source(message_id));
    Some(Inner {
        text: message(body)?,
        envelope: envelope.finish_some(),
        origin: Origin {
            // Only where the header is OpenShift Logging's is the host known to be the node.
            node: log.as_ref().filter(|_| host != "-").map(|_| host.to_owned()),
            cluster: None,
            log,
        },
        time: loose_time(time),
        ..Inner::default()
    })
}

/// Returns the end of `-` or of `[id a="b"][..]`.
fn structured_data_end(text: &[u8]) -> Option<usize> {
    if text.first() == Some(&b'-') {
        return Some(1);
    }
    let mut at = 0;
    while text.get(at) == Some(&b'[') {
        let mut quoted = false;
        loop {
            at += 1;
            match text.get(at)? {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b']' if !quoted => break,
                _ => {}
            }
        }
        at += 1;
    }
    (at > 0).then_some(at)
}

/// `Jul  2 10:15:00 host app[12]: {json}`; it names no year, so it gives no time.
fn rfc3164<'c>(text: &'c [u8], priority: &str) -> Option<Inner<'c>> {
    let at = memchr::memmem::find(text, b": ")?;
    let header = std::str::from_utf8(text.get(..at)?).ok()?;
    let mut envelope = ObjectText::new();
    envelope.text("priority", priority);
    envelope.text("header", header);
    Some(Inner {
        text: message(text.get(at + 2..)?)?,
        envelope: envelope.finish_some(),
        ..Inner::default()
    })
}

/// Returns the message if there is one; `@cee:` marks JSON for rsyslog.
///
/// A datagram that was too small cuts JSON without a word: then the mark is put there that says so.
fn message(body: &[u8]) -> Option<Cow<'_, [u8]>> {
    let body = body.trim_ascii();
    let body = body.strip_prefix(b"@cee:").unwrap_or(body).trim_ascii_start();
    if body.starts_with(b"{")
        && !truncated::is_marked(body)
        && body.last() != Some(&b'}')
        && parse_lenient_prefix(body, &mut Tape::default())
            .is_err_and(|error| error.at >= body.len())
    {
        return Some(Cow::Owned([body, truncated::MARK].concat()));
    }
    (!body.is_empty()).then_some(Cow::Borrowed(body))
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    const EVENT: &str = r#"{"auditID":"y1","verb":"get","stage":"Panic"}"#;

    #[test]
    fn both_forms_of_header() {
        let lines = [
            format!("<110>1 2025-07-02T10:15:00.1Z m-0 kubeAPI y1 kubeAPI - {EVENT}"),
            format!(r#"<110>1 2025-07-02T10:15:00.1Z m-0 kubeAPI y1 kubeAPI [a b="c\"]"] {EVENT}"#),
            format!("120 <110>1 2025-07-02T10:15:00.1Z m-0 kubeAPI y1 kubeAPI - {EVENT}"),
            format!("<110>Jul  2 10:15:00 m-0 kubeAPI[1]: @cee: {EVENT}"),
        ];
        for (at, line) in lines.iter().enumerate() {
            let (seen, _) = meet(line.as_bytes());
            let one = &seen[0];
            assert_eq!((one.kind, one.format, one.event.as_str()), ("event", "syslog", EVENT));
            if at < 3 {
                assert_eq!(one.origin.node.as_deref(), Some("m-0"));
                assert_eq!(one.origin.log.as_deref(), Some("kube-apiserver"));
                assert!(one.envelope_time.is_some());
            }
        }
    }

    #[test]
    fn a_datagram_that_was_too_small() {
        let line = format!("<110>1 - m-0 kubeAPI y1 kubeAPI - {}", &EVENT[..EVENT.len() - 5]);
        let (seen, _) = meet(line.as_bytes());
        assert_eq!((seen[0].kind, seen[0].format), ("event", "syslog"));
        assert_eq!(seen[0].event, r#"{"auditID":"y1","verb":"get"}"#);
        assert_eq!(seen[0].flags, [crate::event::place::Flag::Truncated]);
    }

    #[test]
    fn another_message_is_rejected() {
        let (seen, _) = meet(b"<34>1 2025-07-02T10:15:00Z h sshd 1 - - Accepted key for root");
        assert_eq!(seen[0].kind, "rejected");
    }
}
