//! Exceptions with a reason and an end: what they take out of findings is counted, never hidden.
//!
//! A YAML list; every entry needs a reason, and what it names narrows it down:
//! ```yaml
//! - rule: pod-exec            # short id, UUID or *; all rules where missing
//!   user: admin               # also: ip, namespace, resource, name, agent; * and ? as in queries
//!   reason: break-glass account of the on-call team
//!   expires: 2026-12-31
//! ```

use std::cell::RefCell;
use std::collections::HashSet;

use serde::Deserialize;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::time::parse_period;
use crate::hunt::finding::AllowUse;
use crate::hunt::finding::Card;
use crate::hunt::requests::Call;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::SearchOptions;

/// One exception.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowEntry {
    /// Short id or UUID of a rule; `*` or nothing for every rule.
    pub rule: Option<String>,
    /// user.username
    pub user: Option<String>,
    /// Any of sourceIPs.
    pub ip: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// objectRef.resource
    pub resource: Option<String>,
    /// Name of the object.
    pub name: Option<String>,
    /// userAgent
    pub agent: Option<String>,
    /// Why; required.
    pub reason: String,
    /// First day on which it does not hold any more.
    pub expires: Option<String>,
}

/// The exceptions of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    /// In the order of the file.
    pub entries: Vec<AllowEntry>,
    /// The moment that decides which entries are expired.
    pub now: Option<Timestamp>,
}

impl AllowList {
    /// Reads a YAML (or JSON) file's text.
    ///
    /// # Errors
    /// One sentence on what is wrong with it.
    pub fn parse(text: &str, now: Timestamp) -> Result<AllowList, String> {
        let entries: Vec<AllowEntry> =
            yaml_serde::from_str(text).map_err(|error| error.to_string())?;
        for (n, entry) in entries.iter().enumerate() {
            let n = n + 1;
            if entry.reason.trim().is_empty() {
                return Err(format!("entry {n} has no reason"));
            }
            if let Some(expires) = &entry.expires
                && parse_period(expires).is_none()
            {
                return Err(format!("entry {n}: expires {expires:?} is no date"));
            }
            if entry.question() == QueryAst::All && entry.rule_wanted().is_none() {
                return Err(format!("entry {n} would allow everything"));
            }
        }
        Ok(AllowList { entries, now: Some(now) })
    }

    /// Finds out which events each entry speaks of.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn resolve(
        &self,
        evidence: &dyn Evidence,
        range: TimeRange,
    ) -> Result<Allowed, SearchError> {
        let options = SearchOptions { range, ..SearchOptions::default() };
        let mut entries = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let expired = self.is_expired(entry);
            let question = entry.question();
            let events = if expired || question == QueryAst::All {
                HashSet::new()
            } else {
                evidence.search(&question, &options)?.hits.iter().map(|hit| hit.id).collect()
            };
            entries.push(Resolved {
                rule: entry.rule_wanted().map(str::to_owned),
                all: question == QueryAst::All,
                events,
                expired,
                suppressed: RefCell::new(HashSet::new()),
            });
        }
        Ok(Allowed { entries })
    }

    fn is_expired(&self, entry: &AllowEntry) -> bool {
        let end = entry.expires.as_deref().and_then(parse_period).map(|(start, _)| start);
        end.zip(self.now).is_some_and(|(end, now)| now >= end)
    }
}

impl AllowEntry {
    fn rule_wanted(&self) -> Option<&str> {
        self.rule.as_deref().filter(|rule| *rule != "*")
    }

    fn question(&self) -> QueryAst {
        let parts = [
            (Field::path("user.username"), &self.user),
            (Field::path("sourceIPs"), &self.ip),
            (Field::Namespace, &self.namespace),
            (Field::path("objectRef.resource"), &self.resource),
            (Field::Name, &self.name),
            (Field::path("userAgent"), &self.agent),
        ];
        QueryAst::all_of(
            parts
                .into_iter()
                .filter_map(|(field, text)| Some(pattern(field, text.as_deref()?)))
                .collect(),
        )
    }

    fn words(&self) -> String {
        let parts = [
            ("rule", &self.rule),
            ("user", &self.user),
            ("ip", &self.ip),
            ("namespace", &self.namespace),
            ("resource", &self.resource),
            ("name", &self.name),
            ("agent", &self.agent),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key}: {}", value.as_deref()?)))
            .collect();
        parts.join(", ")
    }
}

/// `field` fits `text`, in which `*` and `?` are wildcards; a network where it is one.
fn pattern(field: Field, text: &str) -> QueryAst {
    if field == Field::path("sourceIPs")
        && let Ok(net) = text.parse::<ipnet::IpNet>()
    {
        let test = Test::Network { address: net.network(), prefix: net.prefix_len() };
        return QueryAst::Field { field, test };
    }
    if !text.contains(['*', '?']) {
        return QueryAst::equals(field, text);
    }
    let mut parts: Vec<GlobPart> = Vec::new();
    for c in text.chars() {
        match (c, parts.last_mut()) {
            ('*', _) => parts.push(GlobPart::AnyRun),
            ('?', _) => parts.push(GlobPart::AnyOne),
            (c, Some(GlobPart::Text(text))) => text.push(c),
            (c, _) => parts.push(GlobPart::Text(c.to_string())),
        }
    }
    QueryAst::Field { field, test: Test::Like { glob: Glob(parts), cased: false } }
}

#[derive(Debug)]
struct Resolved {
    rule: Option<String>,
    all: bool,
    events: HashSet<EventId>,
    expired: bool,
    suppressed: RefCell<HashSet<EventId>>,
}

/// The exceptions, as sets of events.
#[derive(Debug, Default)]
pub struct Allowed {
    entries: Vec<Resolved>,
}

impl Allowed {
    /// Returns the requests that stay in a finding of `card`, and how many do not.
    pub fn split(&self, card: &Card, calls: &[Call]) -> (Vec<Call>, u64) {
        let own: Vec<&Resolved> = self
            .entries
            .iter()
            .filter(|entry| {
                !entry.expired
                    && entry.rule.as_ref().is_none_or(|rule| {
                        *rule == card.rule || card.id.as_deref() == Some(rule.as_str())
                    })
            })
            .collect();
        let mut suppressed = 0;
        let kept = calls
            .iter()
            .filter(|call| {
                let taking =
                    own.iter().find(|entry| entry.all || entry.events.contains(&call.event));
                if let Some(entry) = taking {
                    entry.suppressed.borrow_mut().insert(call.event);
                    suppressed += 1;
                }
                taking.is_none()
            })
            .copied()
            .collect();
        (kept, suppressed)
    }

    /// What each entry did.
    pub fn uses(&self, list: &AllowList) -> Vec<AllowUse> {
        list.entries
            .iter()
            .zip(&self.entries)
            .map(|(entry, resolved)| AllowUse {
                entry: entry.words(),
                reason: entry.reason.clone(),
                suppressed: resolved.suppressed.borrow().len() as u64,
                expired: resolved.expired,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AllowList, String> {
        AllowList::parse(text, Timestamp::parse("2026-06-01T00:00:00Z").unwrap())
    }

    #[test]
    fn an_entry_needs_a_reason_and_a_limit() {
        assert!(parse("- {user: a, reason: r}").is_ok());
        assert!(parse("- {user: a, reason: ' '}").unwrap_err().contains("no reason"));
        assert!(parse("- {user: a}").is_err());
        assert!(parse("- {reason: r}").unwrap_err().contains("everything"));
        assert!(parse("- {rule: '*', reason: r}").unwrap_err().contains("everything"));
        assert!(parse("- {user: a, reason: r, expires: soon}").unwrap_err().contains("no date"));
        assert!(parse("- {usr: a, reason: r}").is_err());
    }

    #[test]
    fn an_entry_ends_on_its_day() {
        let list = parse(
            "- {user: a, reason: r, expires: 2026-06-01}\n- {user: a, reason: r, expires: 2026-06-02}",
        )
        .unwrap();
        assert!(list.is_expired(&list.entries[0]));
        assert!(!list.is_expired(&list.entries[1]));
    }
}
