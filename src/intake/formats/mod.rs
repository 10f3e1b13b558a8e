//! One file for each format, and what they share.

use std::borrow::Cow;

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::json::decode;

pub(crate) mod aks;
pub(crate) mod auditd;
pub(crate) mod bare;
pub(crate) mod cloudwatch;
pub(crate) mod csv_export;
pub(crate) mod elastic;
pub(crate) mod event_list;
pub(crate) mod gke;
pub(crate) mod graylog;
pub(crate) mod json_string;
pub(crate) mod legacy;
pub(crate) mod loki;
pub(crate) mod node_prefix;
pub(crate) mod otlp;
pub(crate) mod ovn;
pub(crate) mod splunk;
pub(crate) mod syslog;
pub(crate) mod timestamp_prefix;
pub(crate) mod truncated;
pub(crate) mod viaq;

/// Returns what a field of an envelope holds: the content of a string, or a value as it stands.
pub(crate) fn payload(value: Json<'_>) -> Cow<'_, [u8]> {
    match value.kind() {
        Kind::String => match decode_bytes(value) {
            Cow::Borrowed(text) => Cow::Borrowed(text),
            Cow::Owned(text) => Cow::Owned(text),
        },
        _ => crate::intake::format::value_text(value),
    }
}

/// Bytes that are no UTF-8 stay as they are where no escape asks for decoding.
fn decode_bytes(value: Json<'_>) -> Cow<'_, [u8]> {
    let raw = value.raw();
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(decode(raw, true).into_owned().into_bytes())
}

/// Returns the index of the closing quote of a quoted text, whose opening one is its first byte.
pub(crate) fn quoted_end(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Decodes what stands between quotes; Go and Prometheus escape as JSON does.
pub(crate) fn unquote(raw: &[u8]) -> String {
    decode(raw, memchr::memchr(b'\\', raw).is_some()).into_owned()
}

/// Reads `key="value" key="value"`.
pub(crate) fn quoted_pairs(text: &[u8]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"=\"") {
        let key = rest.get(..at).unwrap_or_default().trim_ascii();
        let value = rest.get(at + 1..).unwrap_or_default();
        let end = quoted_end(value).unwrap_or(value.len());
        let content = value.get(1..end).unwrap_or_default();
        pairs.push((String::from_utf8_lossy(key).into_owned(), unquote(content)));
        rest = value.get(end + 1..).unwrap_or_default();
    }
    pairs
}
