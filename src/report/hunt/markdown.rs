//! A hunt's report as a Markdown document.

use std::io::Write;

use crate::hunt::attack::ATTACK_VERSION;
use crate::hunt::finding::Finding;
use crate::hunt::finding::HuntReport;
use crate::report::error::ReportError;
use crate::report::hunt::HuntRenderer;
use crate::report::renderer::View;
use crate::report::sanitize::markdown;

/// Requests shown per finding; the JSON report has all.
const REQUESTS_MAX: usize = 50;

/// Headings, lists and tables.
#[derive(Debug)]
pub struct Markdown;

impl HuntRenderer for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn about(&self) -> &'static str {
        "a document with one chapter per finding"
    }

    fn render(
        &self,
        report: &HuntReport,
        _view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        writeln!(out, "# Hunt\n")?;
        writeln!(
            out,
            "{} hunts asked, {} found something, {} nothing. MITRE ATT&CK v{ATTACK_VERSION}.\n",
            report.n_asked,
            report.findings.len(),
            report.n_nothing
        )?;
        if !report.findings.is_empty() {
            writeln!(out, "| level | rule | count | first | last | ATT&CK | author |")?;
            writeln!(out, "|---|---|---:|---|---|---|---|")?;
        }
        for f in &report.findings {
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} |",
                f.card.level.name(),
                markdown(&f.card.rule),
                f.count,
                f.first.map(|t| t.to_rfc3339()).unwrap_or_default(),
                f.last.map(|t| t.to_rfc3339()).unwrap_or_default(),
                f.card.techniques.join(", "),
                markdown(&f.card.author),
            )?;
        }
        for found in &report.findings {
            finding(found, out)?;
        }
        identities(report, out)?;
        silent(report, out)
    }
}

fn finding(f: &Finding, out: &mut dyn Write) -> Result<(), ReportError> {
    writeln!(out, "\n## {} ({})\n", markdown(&f.card.title), f.card.level.name())?;
    writeln!(out, "{}\n", markdown(&f.card.description))?;
    writeln!(
        out,
        "Rule {} by {}; confidence {}; {} requests; ATT&CK {}.\n",
        markdown(&f.card.rule),
        markdown(&f.card.author),
        f.confidence.name(),
        f.count,
        f.card.techniques.join(", ")
    )?;
    for group in &f.groups {
        let key: Vec<String> =
            group.key.iter().map(|(n, v)| format!("{n} {}", markdown(v))).collect();
        write!(out, "- {}: {} requests", key.join(", "), group.count)?;
        for text in [&group.measured, &group.why] {
            if !text.is_empty() {
                write!(out, "; {}", markdown(text))?;
            }
        }
        writeln!(out)?;
    }
    if !f.groups.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "| time | user | from | request | code | auditID | place |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for r in f.requests.iter().take(REQUESTS_MAX) {
        writeln!(
            out,
            "| {} | {} | {} | {} {} | {} | {} | {} |",
            r.time.map(|t| t.to_rfc3339()).unwrap_or_default(),
            markdown(&r.user),
            markdown(&r.addresses.join(" ")),
            markdown(&r.verb),
            markdown(&r.object()),
            markdown(&r.code),
            markdown(&r.audit_id),
            markdown(&format!("{}:{}", r.source, r.line)),
        )?;
    }
    let more = f.n_requests.saturating_sub(f.requests.len().min(REQUESTS_MAX) as u64);
    if more > 0 {
        writeln!(out, "\nand {more} more requests.")?;
    }
    for note in &f.notes {
        writeln!(out, "\n{}", markdown(note))?;
    }
    if !f.card.falsepositives.is_empty() {
        writeln!(out, "\nHarmless when:\n")?;
        for text in &f.card.falsepositives {
            writeln!(out, "- {}", markdown(text))?;
        }
    }
    if !f.next.is_empty() {
        writeln!(out, "\nNext:\n")?;
        for step in &f.next {
            writeln!(out, "- {}", markdown(step))?;
        }
    }
    Ok(())
}

fn identities(report: &HuntReport, out: &mut dyn Write) -> Result<(), ReportError> {
    if report.identities.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Identities\n")?;
    writeln!(out, "| user | rules | requests | denied | first | last | addresses | agents |")?;
    writeln!(out, "|---|---:|---:|---:|---|---|---|---|")?;
    for row in &report.identities {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            markdown(&row.user),
            row.rules.len(),
            row.n_requests,
            row.denied,
            row.first.map(|t| t.to_rfc3339()).unwrap_or_default(),
            row.last.map(|t| t.to_rfc3339()).unwrap_or_default(),
            markdown(&row.addresses.join(" ")),
            markdown(&row.agents.join(", ")),
        )?;
    }
    Ok(())
}

fn silent(report: &HuntReport, out: &mut dyn Write) -> Result<(), ReportError> {
    for (title, list) in [
        ("Undecidable on this evidence", &report.undecidable),
        ("Cannot match", &report.cannot_match),
        ("Not applicable", &report.not_applicable),
    ] {
        if list.is_empty() {
            continue;
        }
        writeln!(out, "\n## {title} ({})\n", list.len())?;
        for s in list {
            writeln!(out, "- {}: {}", markdown(&s.card.rule), markdown(&s.why))?;
        }
    }
    if !report.allow_list.is_empty() {
        writeln!(out, "\n## Allow list\n")?;
        for used in &report.allow_list {
            let state = if used.expired { "expired, " } else { "" };
            writeln!(
                out,
                "- {}: {state}{} requests suppressed ({})",
                markdown(&used.entry),
                used.suppressed,
                markdown(&used.reason)
            )?;
        }
    }
    for note in &report.notes {
        writeln!(out, "\n{}", markdown(note))?;
    }
    Ok(())
}
