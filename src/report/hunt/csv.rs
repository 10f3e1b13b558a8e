//! A hunt's report for a spreadsheet: one row per request of a finding.

use std::io::Write;

use crate::hunt::finding::HuntReport;
use crate::report::error::ReportError;
use crate::report::hunt::HuntRenderer;
use crate::report::renderer::View;
use crate::report::sanitize;

/// One row per request.
#[derive(Debug)]
pub struct Csv;

const COLUMNS: [&str; 23] = [
    "level",
    "rule",
    "uuid",
    "title",
    "author",
    "confidence",
    "techniques",
    "time",
    "auditID",
    "stage",
    "user",
    "as",
    "sourceIPs",
    "userAgent",
    "verb",
    "object",
    "code",
    "decision",
    "credential",
    "labels",
    "source",
    "line",
    "offset",
];

impl HuntRenderer for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "one row per request of a finding"
    }

    fn render(
        &self,
        report: &HuntReport,
        _view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let mut rows = csv::Writer::from_writer(out);
        let failed = |error: csv::Error| ReportError::Write(std::io::Error::other(error));
        rows.write_record(COLUMNS).map_err(failed)?;
        for finding in &report.findings {
            let card = &finding.card;
            for r in &finding.requests {
                let cells = [
                    card.level.name().to_owned(),
                    card.rule.clone(),
                    card.id.clone().unwrap_or_default(),
                    card.title.clone(),
                    card.author.clone(),
                    finding.confidence.name().to_owned(),
                    card.techniques.join(" "),
                    r.time.map(|t| t.to_rfc3339()).unwrap_or_default(),
                    r.audit_id.clone(),
                    r.stage.clone(),
                    r.user.clone(),
                    r.as_user.clone(),
                    r.addresses.join(" "),
                    r.agent.clone(),
                    r.verb.clone(),
                    r.object(),
                    r.code.clone(),
                    r.decision.clone(),
                    r.credential.clone(),
                    r.labels.join(", "),
                    r.source.clone(),
                    r.line.to_string(),
                    r.offset.to_string(),
                ];
                let cells = cells.iter().map(|cell| sanitize::csv_cell(cell).into_owned());
                rows.write_record(cells).map_err(failed)?;
            }
        }
        rows.flush()?;
        Ok(())
    }
}
