//! A hunt's report for programs: one object, or one object a line.

use std::io::Write;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::event::time::Timestamp;
use crate::hunt::attack::ATTACK_VERSION;
use crate::hunt::finding::Card;
use crate::hunt::finding::Finding;
use crate::hunt::finding::Group;
use crate::hunt::finding::HuntReport;
use crate::hunt::finding::Silent;
use crate::hunt::requests::Request;
use crate::report::error::ReportError;
use crate::report::hunt::HuntRenderer;
use crate::report::hunt::write_json;
use crate::report::renderer::View;

/// One object on one line.
#[derive(Debug)]
pub struct Json;

impl HuntRenderer for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn about(&self) -> &'static str {
        "one object with findings, identities, indicators and what was not answered"
    }

    fn render(
        &self,
        report: &HuntReport,
        _view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let mut object = Map::new();
        let findings: Vec<Value> = report.findings.iter().map(finding).collect();
        object.insert("attack_version".into(), json!(ATTACK_VERSION));
        object.insert("findings".into(), Value::Array(findings));
        if let Value::Object(rest) = summary(report) {
            object.extend(rest);
        }
        write_json(&Value::Object(object), out)
    }
}

/// One finding a line, the summary last.
#[derive(Debug)]
pub struct JsonLines;

impl HuntRenderer for JsonLines {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn about(&self) -> &'static str {
        "one finding a line, then one line with everything else"
    }

    fn render(
        &self,
        report: &HuntReport,
        _view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        for found in &report.findings {
            write_json(&finding(found), out)?;
        }
        write_json(&json!({ "summary": summary(report) }), out)
    }
}

/// A moment, or null.
pub fn moment(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_rfc3339()))
}

/// A hunt as it introduces itself.
pub fn card(card: &Card) -> Map<String, Value> {
    let value = json!({
        "id": card.rule,
        "uuid": card.id,
        "title": card.title,
        "level": card.level.name(),
        "kind": card.kind.name(),
        "techniques": card.techniques,
        "tactics": card.tactics,
        "attack": card.tags,
        "needs": card.needs.name(),
        "author": card.author,
        "status": card.status,
        "license": card.license,
        "origin": card.origin,
        "description": card.description,
        "falsepositives": card.falsepositives,
        "references": card.references,
        "fallback": card.fallback,
    });
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn finding(finding: &Finding) -> Value {
    let mut object = card(&finding.card);
    let rest = json!({
        "confidence": finding.confidence.name(),
        "count": finding.count,
        "requests": finding.n_requests,
        "events_total": finding.n_requests,
        "stages": finding.n_events,
        "suppressed": finding.suppressed,
        "first": moment(finding.first),
        "last": moment(finding.last),
        "events": finding.requests.iter().map(request).collect::<Vec<_>>(),
        "groups": finding.groups.iter().map(group).collect::<Vec<_>>(),
        "notes": finding.notes,
        "next": finding.next,
    });
    if let Value::Object(rest) = rest {
        object.extend(rest);
    }
    Value::Object(object)
}

fn group(group: &Group) -> Value {
    let key: Map<String, Value> =
        group.key.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let ids: Vec<&str> = group.requests.iter().map(|r| r.audit_id.as_str()).collect();
    json!({
        "key": key,
        "first": moment(group.first),
        "last": moment(group.last),
        "count": group.count,
        "measured": group.measured,
        "why": group.why,
        "auditIDs": ids,
    })
}

/// One request, with the keys that events have everywhere.
pub fn request(request: &Request) -> Value {
    json!({
        "auditID": request.audit_id,
        "stage": request.stage,
        "time": moment(request.time),
        "user": request.user,
        "as": request.as_user,
        "verb": request.verb,
        "requestURI": request.uri,
        "resource": request.resource,
        "subresource": request.sub,
        "apiGroup": request.group,
        "namespace": request.namespace,
        "name": request.name,
        "sourceIPs": request.addresses,
        "userAgent": request.agent,
        "code": request.code.parse::<i64>().map_or(Value::Null, Value::from),
        "decision": request.decision,
        "credential": request.credential,
        "source": request.source,
        "line": request.line,
        "offset": request.offset,
        "labels": request.labels,
    })
}

fn silent(silent: &Silent) -> Value {
    json!({
        "id": silent.card.rule,
        "uuid": silent.card.id,
        "title": silent.card.title,
        "level": silent.card.level.name(),
        "needs": silent.card.needs.name(),
        "author": silent.card.author,
        "origin": silent.card.origin,
        "why": silent.why,
        "candidates": silent.candidates,
    })
}

fn summary(report: &HuntReport) -> Value {
    let list = |list: &[Silent]| list.iter().map(silent).collect::<Vec<_>>();
    let identities: Vec<Value> = report
        .identities
        .iter()
        .map(|row| {
            json!({
                "user": row.user,
                "rules": row.rules,
                "requests": row.n_requests,
                "allowed": row.allowed,
                "denied": row.denied,
                "first": moment(row.first),
                "last": moment(row.last),
                "addresses": row.addresses,
                "agents": row.agents,
                "namespaces": row.namespaces,
                "credentials": row.credentials,
            })
        })
        .collect();
    let indicators: Vec<Value> = report
        .indicators
        .iter()
        .map(|i| json!({ "kind": i.kind, "value": i.value, "query": i.query, "rules": i.rules }))
        .collect();
    let allow_list: Vec<Value> = report
        .allow_list
        .iter()
        .map(|u| {
            json!({
                "entry": u.entry,
                "reason": u.reason,
                "suppressed": u.suppressed,
                "expired": u.expired,
            })
        })
        .collect();
    let unusable: Vec<Value> =
        report.unusable.iter().map(|(file, why)| json!({ "file": file, "why": why })).collect();
    json!({
        "rules": {
            "asked": report.n_asked,
            "found": report.findings.len(),
            "nothing": report.n_nothing,
            "left_out": report.n_left_out,
            "not_applicable": report.not_applicable.len(),
            "cannot_match": report.cannot_match.len(),
            "undecidable": report.undecidable.len(),
            "unusable": report.unusable.len(),
        },
        "highest": report.highest().map(|level| level.name()),
        "identities": identities,
        "indicators": indicators,
        "not_applicable": list(&report.not_applicable),
        "cannot_match": list(&report.cannot_match),
        "undecidable": list(&report.undecidable),
        "unusable": unusable,
        "suppressed": report.suppressed(),
        "allow_list": allow_list,
        "notes": report.notes,
    })
}
