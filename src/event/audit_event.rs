//! One audit.k8s.io `Event` as found, with the few facts about it that everybody needs.

use std::borrow::Cow;

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::time::Timestamp;

/// A borrowed view of one event and of what stood around it.
#[derive(Clone, Copy, Debug)]
pub struct AuditEvent<'t> {
    /// The event's own JSON object.
    pub event: Json<'t>,
    /// What the envelope carried beside it; `None` where there was none or it was laid flat.
    pub envelope: Option<Json<'t>>,
    /// Where it came from.
    pub origin: &'t Origin,
    /// Name of the source it stands in.
    pub source: &'t str,
    /// What intake noted about the record; [`Flag::DuplicateKey`] is found by [`Self::flags`].
    pub flags: &'t [Flag],
    /// Time of the event; see [`event_time`].
    pub time: Option<Timestamp>,
}

/// Returns the time of an event: requestReceivedTimestamp, else timestamp, else
/// metadata.creationTimestamp, else stageTimestamp (formats.md 2.9, 4).
pub fn event_time(event: Json<'_>) -> Option<Timestamp> {
    const CHAIN: [&[&str]; 4] = [
        &["requestReceivedTimestamp"],
        &["timestamp"],
        &["metadata", "creationTimestamp"],
        &["stageTimestamp"],
    ];
    CHAIN.iter().find_map(|path| Timestamp::parse(&event.text_at(path)?))
}

impl<'t> AuditEvent<'t> {
    /// Returns the decoded text of the first leaf under a chain of keys.
    pub fn text(&self, keys: &[&str]) -> Option<Cow<'t, str>> {
        self.event.text_at(keys)
    }

    /// Returns the name of who was authenticated.
    pub fn username(&self) -> Option<Cow<'t, str>> {
        self.text(&["user", "username"])
    }

    /// Returns the source addresses in the order of the event; only the last is vouched for.
    pub fn source_ips(&self) -> Vec<Cow<'t, str>> {
        self.event
            .get("sourceIPs")
            .map(|ips| ips.elements().filter_map(|ip| ip.as_str()).collect())
            .unwrap_or_default()
    }

    /// Returns stageTimestamp − requestReceivedTimestamp in microseconds.
    pub fn took(&self) -> Option<i64> {
        let end = Timestamp::parse(&self.text(&["stageTimestamp"])?)?;
        let start = Timestamp::parse(&self.text(&["requestReceivedTimestamp"])?)?;
        Some(end.0 - start.0)
    }

    /// Returns everything that is odd about the record.
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags = self.flags.to_vec();
        if has_duplicate_key(self.event) && !flags.contains(&Flag::DuplicateKey) {
            flags.push(Flag::DuplicateKey);
        }
        flags.sort_unstable();
        flags
    }
}

/// Says whether any object in `root` has two equal keys.
pub fn has_duplicate_key(root: Json<'_>) -> bool {
    let mut open = vec![root];
    let mut keys: Vec<Cow<'_, str>> = Vec::new();
    while let Some(json) = open.pop() {
        match json.kind() {
            Kind::Object => {
                keys.clear();
                for (key, value) in json.entries() {
                    keys.extend(key.leaf_text());
                    open.push(value);
                }
                keys.sort_unstable();
                if keys.windows(2).any(|pair| pair.first() == pair.last()) {
                    return true;
                }
            }
            Kind::Array => open.extend(json.elements()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::Tape;
    use crate::event::json::parse_lenient;

    #[test]
    fn duplicate_keys_are_seen_at_any_depth() {
        let check = |text: &str| {
            let mut tape = Tape::default();
            parse_lenient(text.as_bytes(), &mut tape).unwrap();
            has_duplicate_key(tape.root(text.as_bytes()).unwrap())
        };
        assert!(check(r#"{"a":[{"b":1,"b":2}]}"#));
        assert!(check(r#"{"a":1,"\u0061":2}"#));
        assert!(!check(r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#));
    }

    #[test]
    fn old_events_have_a_time_too() {
        let text = br#"{"metadata":{"creationTimestamp":"2017-08-24T09:51:34Z"}}"#;
        let mut tape = Tape::default();
        parse_lenient(text, &mut tape).unwrap();
        let time = event_time(tape.root(text).unwrap());
        assert_eq!(time.unwrap().to_rfc3339(), "2017-08-24T09:51:34.000000Z");
    }
}
