//! Who appears in findings, what to search for elsewhere, what to run next.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::event::field::Field;
use crate::hunt::finding::Finding;
use crate::hunt::finding::HuntReport;
use crate::hunt::finding::IdentityRow;
use crate::hunt::finding::Indicator;
use crate::hunt::requests::Request;
use crate::hunt::spec_paths::IMAGES;
use crate::hunt::spec_paths::WORKLOADS;
use crate::query::platform::PLATFORM_USERS;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::sigma::rule::Level;

/// Values named per finding and kind.
const NEXT_MAX: usize = 3;

/// Every different request of a finding and its groups.
fn requests(finding: &Finding) -> impl Iterator<Item = &Request> {
    finding.requests.iter().chain(finding.groups.iter().flat_map(|group| &group.requests))
}

/// Sums up every identity named by a finding.
pub fn identities(report: &mut HuntReport) {
    let mut rows: BTreeMap<String, IdentityRow> = BTreeMap::new();
    let mut seen: BTreeSet<EventId> = BTreeSet::new();
    for finding in &report.findings {
        for request in requests(finding) {
            for (user, acting) in [(&request.user, true), (&request.as_user, false)] {
                if user.is_empty() {
                    continue;
                }
                let row = rows.entry(user.clone()).or_insert_with(|| IdentityRow {
                    user: user.clone(),
                    ..IdentityRow::default()
                });
                push_once(&mut row.rules, &finding.card.rule);
                if acting && !seen.insert(request.event) {
                    continue;
                }
                add(row, request);
            }
        }
    }
    let mut rows: Vec<IdentityRow> = rows.into_values().collect();
    rows.sort_by(|a, b| {
        (b.rules.len(), b.n_requests).cmp(&(a.rules.len(), a.n_requests)).then(a.user.cmp(&b.user))
    });
    report.identities = rows;
}

fn add(row: &mut IdentityRow, request: &Request) {
    row.n_requests += 1;
    if request.denied() {
        row.denied += 1;
    } else {
        row.allowed += 1;
    }
    row.first = [row.first, request.time].into_iter().flatten().min();
    row.last = row.last.max(request.time);
    if let Some(peer) = request.addresses.last() {
        push_once(&mut row.addresses, peer);
    }
    push_once(&mut row.agents, &request.agent);
    push_once(&mut row.namespaces, &request.namespace);
    push_once(&mut row.credentials, &request.credential);
}

fn push_once(list: &mut Vec<String>, item: &str) {
    if !item.is_empty() && !list.iter().any(|known| known == item) {
        list.push(item.to_owned());
    }
}

/// Collects what findings of level high and above name, platform users left out.
///
/// # Errors
/// When the evidence cannot be read.
pub fn indicators(report: &mut HuntReport, evidence: &dyn Evidence) -> Result<(), SearchError> {
    let images = images(report, evidence)?;
    let mut found: BTreeMap<(&'static str, String), Vec<String>> = BTreeMap::new();
    for finding in report.findings.iter().filter(|finding| finding.card.level >= Level::High) {
        for request in requests(finding) {
            let mut note = |kind: &'static str, value: &str| {
                if !value.is_empty() {
                    push_once(
                        found.entry((kind, value.to_owned())).or_default(),
                        &finding.card.rule,
                    );
                }
            };
            if !PLATFORM_USERS.contains(&request.user.as_str()) {
                note("user", &request.user);
            }
            if let Some(peer) = request.addresses.last() {
                note("address", peer);
            }
            note("credential", &request.credential);
            note("agent", &request.agent);
            note("namespace", &request.namespace);
            images.get(&request.event).into_iter().flatten().for_each(|image| note("image", image));
        }
    }
    report.indicators = found
        .into_iter()
        .map(|((kind, value), rules)| {
            let fields: Vec<&str> = match kind {
                "user" => vec!["user"],
                "address" => vec!["ip"],
                "credential" => vec!["credential"],
                "agent" => vec!["ua"],
                "image" => requested_images().collect(),
                _ => vec!["ns"],
            };
            let literal = quoted(&value);
            let tests: Vec<String> =
                fields.iter().map(|field| format!("{field}:{literal}")).collect();
            Indicator { kind, query: tests.join(" OR "), value, rules }
        })
        .collect();
    Ok(())
}

/// Where a request names the images that are to run.
fn requested_images() -> impl Iterator<Item = &'static str> {
    IMAGES.as_flattened().iter().copied().filter(|path| path.starts_with("requestObject."))
}

/// The images that the requests of findings of level high and above brought.
fn images(
    report: &HuntReport,
    evidence: &dyn Evidence,
) -> Result<BTreeMap<EventId, Vec<String>>, SearchError> {
    let writes = ["create", "update", "patch"];
    let high = report.findings.iter().filter(|finding| finding.card.level >= Level::High);
    let brought = high.flat_map(requests).filter(|request| {
        writes.contains(&request.verb.as_str()) && WORKLOADS.contains(&request.resource.as_str())
    });
    let mut ids: Vec<EventId> = brought.map(|request| request.event).collect();
    ids.sort_unstable();
    ids.dedup();
    let fields: Vec<Field> = requested_images().map(Field::path).collect();
    let rows = evidence.rows(&ids, &fields)?;
    Ok(ids.into_iter().zip(rows.into_iter().map(|row| row.concat())).collect())
}

/// A value as a query literal.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A value as one word of a POSIX shell.
fn shell(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,".contains(c);
    if !value.is_empty() && value.chars().all(plain) && !value.starts_with('-') {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// Pivots that lead on from these requests, most frequent values first.
pub fn next_steps(requests: &[Request]) -> Vec<String> {
    let mut steps = Vec::new();
    let mut top = |command: &str, value: &dyn Fn(&Request) -> String| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for request in requests {
            let value = value(request);
            if !value.is_empty() {
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        for (value, _) in counts.into_iter().take(NEXT_MAX) {
            steps.push(format!("audithound pivot {command} {}", shell(&value)));
        }
    };
    top("credential", &|r| r.credential.clone());
    top("ip", &|r| r.addresses.last().cloned().unwrap_or_default());
    top("user", &|r| r.user.clone());
    if let Some(first) = requests.first().filter(|first| !first.audit_id.is_empty()) {
        steps.push(format!("audithound pivot around {} --window 5s", shell(&first.audit_id)));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_values_stay_one_word() {
        assert_eq!(shell("10.0.0.1"), "10.0.0.1");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("'; rm -rf /"), "''\\''; rm -rf /'");
        assert_eq!(shell("--help"), "'--help'");
        assert_eq!(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
