//! OVN's ACL log: what a network policy let pass or dropped, searchable beside the events.

use std::borrow::Cow;

use crate::event::place::Origin;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::format::push_quoted;

/// `TIME|SEQ|acl_log(ovn_pinctrl0)|INFO|name="..", verdict=drop, ...: tcp,nw_src=..`
/// (ovn-kubernetes docs, network-security-controls); a record of kind `OVNACL`.
///
/// `sourceIPs` is the sender, `annotations` has every pair of the line.
#[derive(Debug)]
pub(crate) struct Ovn;

impl Format for Ovn {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "ovn-acl",
            about: "OVN ACL log lines as records of kind OVNACL; the sender is in sourceIPs.",
            from: "/var/log/ovn/acl-audit-log.log",
            example: r#"2025-07-02T10:15:00.441Z|00162|acl_log(ovn_pinctrl0)|INFO|name="NP:shop:deny:Ingress", verdict=drop"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        if layer.json.is_some() {
            return Peeled::NotMine;
        }
        let mut parts = layer.text.splitn(5, |c| *c == b'|');
        let (time, sequence, module, level, rest) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(time), Some(sequence), Some(module), Some(level), Some(rest)) =
            (time, sequence, module, level, rest)
        else {
            return Peeled::NotMine;
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let time = text(time);
        if !module.starts_with(b"acl_log") || crate::event::time::Timestamp::parse(&time).is_none()
        {
            return Peeled::NotMine;
        }
        let mut pairs = vec![
            ("sequence".to_owned(), text(sequence)),
            ("module".to_owned(), text(module)),
            ("log_level".to_owned(), text(level)),
        ];
        pairs.extend(pairs_of(&text(rest)));
        let event = event_of(&time, &pairs);
        Peeled::one(Inner {
            text: Cow::Owned(event),
            event: true,
            origin: Origin { log: Some("ovn".to_owned()), ..Origin::default() },
            ..Inner::default()
        })
    }
}

fn event_of(time: &str, pairs: &[(String, String)]) -> Vec<u8> {
    let mut event = ObjectText::new();
    event.text("kind", "OVNACL");
    event.text("requestReceivedTimestamp", time);
    let source = pairs.iter().find(|(key, _)| key == "nw_src" || key == "ipv6_src");
    if let Some((_, ip)) = source {
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

/// Reads `name="a, b", verdict=drop, direction=to-lport: tcp,nw_src=..`; the bare word behind the
/// colon is the protocol.
fn pairs_of(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.trim_start_matches([',', ' ']);
        let end = rest.find(['=', ',']).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        let Some(tail) = tail.strip_prefix('=') else {
            if !key.is_empty() {
                pairs.push(("protocol".to_owned(), key.trim().to_owned()));
            }
            rest = tail;
            continue;
        };
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => tail.split_at(tail.find([',', ' ']).unwrap_or(tail.len())),
        };
        let value = value.strip_suffix(':').unwrap_or(value);
        pairs.push((key.trim().to_owned(), value.to_owned()));
        rest = tail;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn a_line_is_searchable_by_time_and_address() {
        let line = r#"2025-07-02T10:15:00.441Z|00162|acl_log(ovn_pinctrl0)|INFO|name="NP:shop:deny:Ingress", verdict=drop, severity=alert, direction=to-lport: tcp,vlan_tci=0x0000,nw_src=10.128.2.6,nw_dst=10.128.2.9,tp_dst=8080,tcp_flags=syn"#;
        let text = format!("{line}\nmaster-0 {line}\n");
        let (seen, _) = meet(text.as_bytes());
        assert_eq!(seen[1].origin.node.as_deref(), Some("master-0"));
        for one in &seen {
            assert_eq!(one.kind, "event");
            assert_eq!(one.origin.log.as_deref(), Some("ovn"));
            for (path, value) in [
                (&["kind"][..], "OVNACL"),
                (&["requestReceivedTimestamp"], "2025-07-02T10:15:00.441Z"),
                (&["sourceIPs", "0"], "10.128.2.6"),
                (&["annotations", "nw_dst"], "10.128.2.9"),
                (&["annotations", "name"], "NP:shop:deny:Ingress"),
                (&["annotations", "verdict"], "drop"),
                (&["annotations", "direction"], "to-lport"),
                (&["annotations", "protocol"], "tcp"),
                (&["annotations", "tcp_flags"], "syn"),
            ] {
                assert_eq!(one.at(path).as_deref(), Some(value), "{path:?}");
            }
        }
    }
}
