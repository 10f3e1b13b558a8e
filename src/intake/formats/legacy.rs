//! The API server's old text log (`--audit-log-format=legacy`).

use std::borrow::Cow;

use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::ObjectText;
use crate::intake::format::Peeled;
use crate::intake::format::push_quoted;
use crate::intake::request_path::ObjectPath;

/// `TIME AUDIT: id="..." stage="..." ...` (k8s.io/apiserver pkg/audit/format.go).
#[derive(Debug)]
pub(crate) struct Legacy;

impl Format for Legacy {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "legacy",
            about: "One line of key=\"value\" pairs behind `AUDIT:`, mapped onto an event.",
            from: "kube-apiserver --audit-log-format=legacy",
            example: r#"2025-07-02T10:15:00.000001Z AUDIT: id="..." stage="ResponseComplete" ip="10.0.0.1" method="list""#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        if layer.json.is_some() {
            return Peeled::NotMine;
        }
        let Some(at) = memchr::memmem::find(layer.text, b" AUDIT: ") else {
            return Peeled::NotMine;
        };
        let (time, rest) = layer.text.split_at(at);
        let Ok(time) = std::str::from_utf8(time) else { return Peeled::NotMine };
        if time.contains(' ') || crate::event::time::Timestamp::parse(time).is_none() {
            return Peeled::NotMine;
        }
        let pairs = super::quoted_pairs(rest.get(8..).unwrap_or_default());
        if pairs.is_empty() {
            return Peeled::Rejected("a legacy audit line without fields".to_owned());
        }
        let event = event_of(time, &pairs);
        Peeled::one(Inner { text: Cow::Owned(event), event: true, ..Inner::default() })
    }
}

fn event_of(time: &str, pairs: &[(String, String)]) -> Vec<u8> {
    let get = |key: &str| {
        // `<self>`, `<lookup>`, `<none>`, `<deferred>`, `<unknown>` stand for nothing.
        let value = pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())?;
        let nothing = value.is_empty() || (value.starts_with('<') && value.ends_with('>'));
        (!nothing).then_some(value)
    };
    let mut event = ObjectText::new();
    event.text("kind", "Event");
    event.text("apiVersion", "audit.k8s.io/v1");
    for (from, to) in
        [("id", "auditID"), ("stage", "stage"), ("uri", "requestURI"), ("method", "verb")]
    {
        if let Some(value) = get(from) {
            event.text(to, value);
        }
    }
    for (name, groups, to) in [("user", "groups", "user"), ("as", "asgroups", "impersonatedUser")] {
        let (name, groups) = (get(name), get(groups));
        if name.is_some() || groups.is_some() {
            event.json(to, &user_of(name, groups));
        }
    }
    if let Some(ip) = get("ip") {
        event.json("sourceIPs", &list_of(ip.split(',').map(|ip| ip.trim().to_owned())));
    }
    if let Some(agent) = get("user-agent") {
        event.text("userAgent", agent);
    }
    let mut path = get("uri").and_then(ObjectPath::of_uri).unwrap_or_default();
    if let Some(namespace) = get("namespace") {
        path.namespace = namespace.to_owned();
    }
    if path != ObjectPath::default() {
        event.json("objectRef", &path.object_ref());
    }
    if let Some(code) = get("response").filter(|code| code.parse::<u32>().is_ok()) {
        event.json("responseStatus", format!("{{\"code\":{code}}}").as_bytes());
    }
    event.text("requestReceivedTimestamp", time);
    event.finish()
}

fn user_of(name: Option<&str>, groups: Option<&str>) -> Vec<u8> {
    let mut user = ObjectText::new();
    if let Some(name) = name {
        user.text("username", name);
    }
    if let Some(groups) = groups {
        // `"g1","g2"`, each quoted again.
        let mut list = Vec::new();
        let mut rest = groups.as_bytes();
        while let Some(start) = memchr::memchr(b'"', rest) {
            let quoted = rest.get(start..).unwrap_or_default();
            let Some(end) = super::quoted_end(quoted) else { break };
            list.push(super::unquote(quoted.get(1..end).unwrap_or_default()));
            rest = quoted.get(end + 1..).unwrap_or_default();
        }
        user.json("groups", &list_of(list.into_iter()));
    }
    user.finish()
}

fn list_of(values: impl Iterator<Item = String>) -> Vec<u8> {
    let mut list = vec![b'['];
    for value in values {
        if list.len() > 1 {
            list.push(b',');
        }
        push_quoted(&mut list, &value);
    }
    list.push(b']');
    list
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::meet;

    #[test]
    fn a_line_becomes_an_event() {
        let line = r#"2025-07-02T10:15:00.000001Z AUDIT: id="c1" stage="ResponseComplete" ip="10.0.0.1" method="list" user="u\"x" groups="\"g1\",\"g2\"" as="<self>" asgroups="<lookup>" user-agent="curl" namespace="shop" uri="/api/v1/namespaces/shop/secrets?limit=5" response="403""#;
        let (seen, _) = meet(line.as_bytes());
        let one = &seen[0];
        assert_eq!((one.kind, one.format), ("event", "legacy"));
        for (path, value) in [
            (&["auditID"][..], "c1"),
            (&["user", "username"], "u\"x"),
            (&["user", "groups", "1"], "g2"),
            (&["verb"], "list"),
            (&["objectRef", "resource"], "secrets"),
            (&["objectRef", "namespace"], "shop"),
            (&["sourceIPs", "0"], "10.0.0.1"),
            (&["responseStatus", "code"], "403"),
            (&["requestReceivedTimestamp"], "2025-07-02T10:15:00.000001Z"),
        ] {
            assert_eq!(one.at(path).as_deref(), Some(value), "{path:?}");
        }
        assert_eq!(one.at(&["impersonatedUser"]), None);
    }
}
