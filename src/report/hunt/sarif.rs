//! A hunt's report as SARIF 2.1.0, for code scanning and pipelines.

use std::io::Write;

use serde_json::Value;
use serde_json::json;

use crate::hunt::finding::Finding;
use crate::hunt::finding::HuntReport;
use crate::report::error::ReportError;
use crate::report::hunt::HuntRenderer;
use crate::report::hunt::json::moment;
use crate::report::hunt::write_json;
use crate::report::renderer::View;
use crate::sigma::rule::Level;

/// One result per finding, its requests as locations.
#[derive(Debug)]
pub struct Sarif;

impl HuntRenderer for Sarif {
    fn name(&self) -> &'static str {
        "sarif"
    }

    fn about(&self) -> &'static str {
        "SARIF 2.1.0, one result per finding"
    }

    fn render(
        &self,
        report: &HuntReport,
        _view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let rules: Vec<Value> = report.findings.iter().map(rule).collect();
        let results: Vec<Value> =
            report.findings.iter().enumerate().map(|(n, f)| result(n, f)).collect();
        let silent: Vec<Value> = report
            .undecidable
            .iter()
            .chain(&report.cannot_match)
            .chain(&report.not_applicable)
            .map(|s| {
                json!({
                    "level": "note",
                    "message": { "text": format!("{}: {}", s.card.rule, s.why) },
                })
            })
            .collect();
        let log = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "audithound",
                    "version": env!("CARGO_PKG_VERSION"),
                    "informationUri": env!("CARGO_PKG_REPOSITORY"),
                    "rules": rules,
                }},
                "invocations": [{
                    "executionSuccessful": true,
                    "toolExecutionNotifications": silent,
                }],
                "results": results,
            }],
        });
        write_json(&log, out)
    }
}

fn severity(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Critical => ("error", "9.5"),
        Level::High => ("error", "8.0"),
        Level::Medium => ("warning", "5.5"),
        Level::Low => ("note", "3.0"),
        Level::Informational => ("note", "0.5"),
    }
}

fn rule(f: &Finding) -> Value {
    let card = &f.card;
    let (level, score) = severity(card.level);
    json!({
        "id": card.rule,
        "guid": card.id,
        "name": card.title,
        "shortDescription": { "text": card.title },
        "fullDescription": { "text": card.description },
        "help": { "text": format!("Author: {}. {}", card.author, card.falsepositives.join(" ")) },
        "defaultConfiguration": { "level": level },
        "properties": {
            "tags": card.tags,
            "author": card.author,
            "security-severity": score,
        },
    })
}

fn result(index: usize, f: &Finding) -> Value {
    let (level, _) = severity(f.card.level);
    let locations: Vec<Value> = f
        .requests
        .iter()
        .map(|r| {
            let text = format!("{} {} {} by {}", r.audit_id, r.verb, r.object(), r.user);
            json!({
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(&r.source) },
                    "region": { "startLine": r.line.max(1), "byteOffset": r.offset },
                },
                "message": { "text": text },
            })
        })
        .collect();
    json!({
        "ruleId": f.card.rule,
        "ruleIndex": index,
        "level": level,
        "message": { "text": format!(
            "{} (rule by {}): {} requests, {} to {}",
            f.card.title,
            f.card.author,
            f.count,
            f.first.map(|t| t.to_rfc3339()).unwrap_or_default(),
            f.last.map(|t| t.to_rfc3339()).unwrap_or_default(),
        )},
        "locations": locations,
        "properties": {
            "count": f.count,
            "confidence": f.confidence.name(),
            "auditIDs": f.requests.iter().map(|r| r.audit_id.as_str()).collect::<Vec<_>>(),
            "first": moment(f.first),
            "last": moment(f.last),
        },
    })
}

/// A source's name as a relative URI reference (RFC 3986): everything but unreserved characters
/// and slashes is percent-encoded.
fn uri(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for byte in source.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
