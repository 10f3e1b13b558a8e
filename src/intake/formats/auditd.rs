//! The Linux audit log of a node, searchable beside the events.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::event::place::Origin;
use crate::event::time::Timestamp;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::format::push_quoted;

/// `type=SYSCALL msg=audit(1751451300.100:2401): key=value ...`, with or without `node=NAME` in
/// front; a record of kind `Auditd`.
///
/// `annotations` has every pair; the record id joins the lines of one action; hexadecimal
/// PROCTITLE, whose arguments NULs part, is decoded.
#[derive(Debug)]
pub(crate) struct Auditd;

impl Format for Auditd {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "auditd",
            about: "Linux audit lines as records of kind Auditd; addr is in sourceIPs, acct is the user.",
            from: "/var/log/audit/audit.log",
            example: "type=USER_LOGIN msg=audit(1751451300.100:2401): pid=1 uid=0 acct=\"root\" addr=10.9.8.7",
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        if layer.json.is_some()
            || !(layer.text.starts_with(b"type=") || layer.text.starts_with(b"node="))
        {
            return Peeled::NotMine;
        }
        let text = String::from_utf8_lossy(layer.text);
        let Some((head, rest)) = text.split_once(" msg=audit(") else { return Peeled::NotMine };
        let Some((stamp, rest)) = rest.split_once("):") else { return Peeled::NotMine };
        let (seconds, id) = stamp.split_once(':').unwrap_or((stamp, ""));
        let Some(time) = stamp_time(seconds) else { return Peeled::NotMine };
        let mut node = None;
        let mut pairs = Vec::new();
        for word in head.split(' ') {
            match word.split_once('=') {
                Some(("node", name)) => node = Some(name.to_owned()),
                Some((key, value)) => pairs.push((key.to_owned(), value.to_owned())),
                None => {}
            }
        }
        pairs.push(("record_id".to_owned(), id.to_owned()));
        pairs_of(rest, &mut pairs);
        Peeled::one(Inner {
            text: Cow::Owned(event_of(time, &pairs)),
            event: true,
            origin: Origin { node, cluster: None, log: Some("auditd".to_owned()) },
            ..Inner::default()
        })
    }
}

/// Reads `1751451300.100`.
fn stamp_time(text: &str) -> Option<Timestamp> {
    let (seconds, millis) = text.split_once('.')?;
    let seconds: i64 = seconds.parse().ok()?;
    let millis: i64 = millis.parse().ok().filter(|m| (0..1000).contains(m))?;
    Some(Timestamp(seconds.checked_mul(1_000_000)?.checked_add(millis * 1_000)?))
}

/// Reads `key=value key="v" msg='op=.. acct="root"'`; the enriched half stands behind a 0x1D.
fn pairs_of(text: &str, pairs: &mut Vec<(String, String)>) {
    let blank = |c: char| c == ' ' || c == '\u{1d}' || c == '\'';
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(blank);
        let Some((key, tail)) = rest.split_once('=') else { break };
        // `msg='` opens pairs of its own: they are read as if they stood outside.
        let key = key.rsplit(blank).next().unwrap_or(key);
        if tail.starts_with('\'') {
            rest = tail;
            continue;
        }
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => tail.split_at(tail.find(blank).unwrap_or(tail.len())),
        };
        let value = match key {
            "proctitle" => hex_text(value).unwrap_or_else(|| value.to_owned()),
            _ => value.to_owned(),
        };
        pairs.push((key.to_owned(), value));
        rest = tail;
    }
}

/// Decodes `2F62696E00...`; NULs become blanks.
fn hex_text(text: &str) -> Option<String> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let digits = text.as_bytes().chunks_exact(2);
    let bytes: Option<Vec<u8>> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .map(|byte| byte.map(|byte| if byte == 0 { b' ' } else { byte }))
        .collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}

fn event_of(time: Timestamp, pairs: &[(String, String)]) -> Vec<u8> {
    let find = |names: &[&str]| {
        pairs.iter().find(|(key, _)| names.contains(&key.as_str())).map(|(_, value)| value)
    };
    let mut event = ObjectText::new();
    event.text("kind", "Auditd");
    event.text("requestReceivedTimestamp", &time.to_rfc3339());
    if let Some(user) = find(&["acct", "AUID", "auid"]) {
        let mut object = ObjectText::new();
        object.text("username", user);
        event.json("user", &object.finish());
    }
    if let Some(ip) = find(&["addr", "laddr"]).filter(|ip| ip.parse::<IpAddr>().is_ok()) {
        let mut list = vec![b'['];
        push_quoted(&mut list, ip);
        list.push(b']');
        event.json("sourceIPs", &list);
    }
    let mut annotations = ObjectText::new();
    for (key, value) in pairs {
        annotations.text(key, value);
    }
    event.json("annotations", &annotations.finish());
    event.finish()
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn lines_are_searchable_by_time_address_and_words() {
        let text = "type=PROCTITLE msg=audit(1751451300.100:2401): proctitle=2F62696E2F7368002D63\n\
            node=w-1 type=USER_LOGIN msg=audit(1751451300.100:2402): pid=1 uid=0 auid=4294967295 msg='op=login acct=\"root\" exe=\"/usr/sbin/sshd\" hostname=? addr=10.9.8.7 res=failed'\u{1d}UID=\"root\"\n\
            w-2 type=BPF msg=audit(1751451300.100:2403): prog-id=2886 op=LOAD\n";
        let (seen, _) = meet(text.as_bytes());
        assert!(seen.iter().all(|one| one.kind == "event"), "{seen:?}");
        for one in &seen {
            assert_eq!(
                one.at(&["requestReceivedTimestamp"]).unwrap(),
                "2025-07-02T10:15:00.100000Z"
            );
            assert_eq!(one.origin.log.as_deref(), Some("auditd"));
        }
        assert_eq!(seen[0].at(&["annotations", "proctitle"]).unwrap(), "/bin/sh -c");
        assert_eq!(seen[1].at(&["sourceIPs", "0"]).unwrap(), "10.9.8.7");
        assert_eq!(seen[1].at(&["annotations", "acct"]).unwrap(), "root");
        assert_eq!(seen[1].at(&["annotations", "res"]).unwrap(), "failed");
        assert_eq!(seen[1].at(&["annotations", "UID"]).unwrap(), "root");
        assert_eq!(seen[1].origin.node.as_deref(), Some("w-1"));
        assert_eq!(seen[2].origin.node.as_deref(), Some("w-2"));
    }
}
