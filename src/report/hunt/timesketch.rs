//! A hunt's findings for Timesketch: JSON lines with `message`, `datetime`, `timestamp_desc`.

use std::io::Write;

use serde_json::Value;
use serde_json::json;

use crate::hunt::finding::HuntReport;
use crate::report::error::ReportError;
use crate::report::hunt::HuntRenderer;
use crate::report::hunt::write_json;
use crate::report::renderer::View;

/// OpenSearch refuses keyword values from 32,766 bytes on.
const FIELD_MAX: usize = 32_000;

/// One line per request of a finding.
#[derive(Debug)]
pub struct Timesketch;

impl HuntRenderer for Timesketch {
    fn name(&self) -> &'static str {
        "timesketch"
    }

    fn about(&self) -> &'static str {
        "JSON lines for Timesketch, one per request of a finding"
    }

    fn render(
        &self,
        report: &HuntReport,
        _view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        for finding in &report.findings {
            let card = &finding.card;
            for r in &finding.requests {
                let mut tags = vec![format!("sigma-{}", card.level.name()), card.rule.clone()];
                tags.extend(card.techniques.iter().cloned());
                let message = format!(
                    "[{}] {}: {} {} by {}",
                    card.level,
                    card.title,
                    r.verb,
                    r.object(),
                    r.user
                );
                let mut line = json!({
                    "message": message,
                    "datetime": r.time.map(|t| t.to_rfc3339()),
                    "timestamp": r.time.map(|t| t.0),
                    "timestamp_desc": "Kubernetes audit: request received",
                    "tag": tags,
                    "rule": card.rule,
                    "rule_title": card.title,
                    "rule_author": card.author,
                    "rule_level": card.level.name(),
                    "auditID": r.audit_id,
                    "stage": r.stage,
                    "user": r.user,
                    "impersonated_user": r.as_user,
                    "source_ips": r.addresses.join(" "),
                    "user_agent": r.agent,
                    "verb": r.verb,
                    "object": r.object(),
                    "request_uri": r.uri,
                    "code": r.code,
                    "credential": r.credential,
                    "source": r.source,
                    "line": r.line,
                });
                shorten(&mut line);
                write_json(&line, out)?;
            }
        }
        Ok(())
    }
}

/// Cuts texts that OpenSearch would refuse, at a character's border.
fn shorten(line: &mut Value) {
    for value in line.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if let Value::String(text) = value
            && text.len() > FIELD_MAX
        {
            let mut end = FIELD_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str(" [cut]");
        }
    }
}
