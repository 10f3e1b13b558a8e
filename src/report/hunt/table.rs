//! A hunt's report for a terminal.

use std::io::Write;

use crate::hunt::finding::Finding;
use crate::hunt::finding::HuntReport;
use crate::hunt::finding::Silent;
use crate::report::error::ReportError;
use crate::report::hunt::HuntRenderer;
use crate::report::renderer::View;
use crate::report::sanitize;
use crate::report::table::write_table;

/// Rows of a list before it says how many more there are.
const ROWS_MAX: usize = 12;

/// Aligned columns.
#[derive(Debug)]
pub struct Table;

impl HuntRenderer for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn about(&self) -> &'static str {
        "findings, groups and identities in aligned columns"
    }

    fn render(
        &self,
        report: &HuntReport,
        view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        findings(report, view, out)?;
        for finding in report.findings.iter().filter(|f| !f.groups.is_empty()) {
            groups(finding, view, out)?;
        }
        identities(report, view, out)?;
        indicators(report, view, out)?;
        silents(
            "Undecidable: the evidence lacks what these rules ask about",
            &report.undecidable,
            view,
            out,
        )?;
        silents("Cannot match any audit event", &report.cannot_match, view, out)?;
        silents("Not applicable: rules for another log source", &report.not_applicable, view, out)?;
        for (file, why) in &report.unusable {
            writeln!(out, "unusable {}: {}", sanitize::terminal(file), sanitize::terminal(why))?;
        }
        for used in &report.allow_list {
            let state = if used.expired { "expired" } else { "suppressed" };
            writeln!(
                out,
                "allow list: {} {state} {} ({})",
                sanitize::terminal(&used.entry),
                used.suppressed,
                sanitize::terminal(&used.reason)
            )?;
        }
        for note in &report.notes {
            writeln!(out, "note: {}", sanitize::terminal(note))?;
        }
        writeln!(
            out,
            "{} hunts asked: {} found something, {} nothing; {} undecidable, {} cannot match, {} \
             not applicable, {} left out by level or tag, {} requests suppressed",
            report.n_asked,
            report.findings.len(),
            report.n_nothing,
            report.undecidable.len(),
            report.cannot_match.len(),
            report.not_applicable.len(),
            report.n_left_out,
            report.suppressed(),
        )?;
        Ok(())
    }
}

/// The first few of `values`, and how many more.
fn few(values: &[String]) -> String {
    let mut text = values.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    if values.len() > 3 {
        text.push_str(&format!(" (+{})", values.len() - 3));
    }
    text
}

/// Users of a finding in the order of their appearance.
pub(super) fn users(finding: &Finding) -> Vec<String> {
    let mut users: Vec<String> = Vec::new();
    for request in &finding.requests {
        if !users.contains(&request.user) {
            users.push(request.user.clone());
        }
    }
    users
}

fn write(
    columns: &[&str],
    rows: Vec<Vec<String>>,
    view: &View<'_>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| row.iter().map(|cell| sanitize::terminal(cell).into_owned()).collect())
        .collect();
    write_table(&columns, &rows, view.width, view.colour, out)?;
    Ok(())
}

fn short(time: Option<crate::event::time::Timestamp>) -> String {
    let text = time.map(|t| t.to_rfc3339()).unwrap_or_default();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

fn findings(report: &HuntReport, view: &View<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    if report.findings.is_empty() {
        writeln!(out, "nothing found")?;
        return Ok(());
    }
    let rows = report
        .findings
        .iter()
        .map(|f| {
            vec![
                f.card.level.name().to_owned(),
                f.card.rule.clone(),
                f.count.to_string(),
                short(f.first),
                short(f.last),
                few(&users(f)),
                f.card.techniques.join(" "),
                f.confidence.name().to_owned(),
                f.card.author.clone(),
                f.card.title.clone(),
            ]
        })
        .collect();
    write(
        &[
            "level",
            "rule",
            "count",
            "first",
            "last",
            "users",
            "att&ck",
            "confidence",
            "author",
            "title",
        ],
        rows,
        view,
        out,
    )?;
    writeln!(out)?;
    Ok(())
}

fn groups(finding: &Finding, view: &View<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    writeln!(out, "{}: {}", finding.card.rule, sanitize::terminal(&finding.card.title))?;
    let rows = finding
        .groups
        .iter()
        .take(ROWS_MAX)
        .map(|group| {
            let key: Vec<String> =
                group.key.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let why = [group.measured.as_str(), group.why.as_str()];
            let why: Vec<&str> = why.into_iter().filter(|text| !text.is_empty()).collect();
            vec![
                key.join(" "),
                group.count.to_string(),
                short(group.first),
                short(group.last),
                why.join("; "),
            ]
        })
        .collect();
    write(&["group", "count", "first", "last", "why"], rows, view, out)?;
    if finding.groups.len() > ROWS_MAX {
        writeln!(out, "and {} more groups", finding.groups.len() - ROWS_MAX)?;
    }
    writeln!(out)?;
    Ok(())
}

fn identities(
    report: &HuntReport,
    view: &View<'_>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    if report.identities.is_empty() {
        return Ok(());
    }
    writeln!(out, "Identities in findings")?;
    let rows = report
        .identities
        .iter()
        .take(ROWS_MAX)
        .map(|row| {
            vec![
                row.user.clone(),
                row.rules.len().to_string(),
                row.n_requests.to_string(),
                row.denied.to_string(),
                short(row.first),
                short(row.last),
                few(&row.addresses),
                few(&row.agents),
                few(&row.namespaces),
                few(&row.credentials),
            ]
        })
        .collect();
    write(
        &[
            "user",
            "rules",
            "requests",
            "denied",
            "first",
            "last",
            "addresses",
            "agents",
            "namespaces",
            "credentials",
        ],
        rows,
        view,
        out,
    )?;
    if report.identities.len() > ROWS_MAX {
        writeln!(out, "and {} more identities", report.identities.len() - ROWS_MAX)?;
    }
    writeln!(out)?;
    Ok(())
}

fn indicators(
    report: &HuntReport,
    view: &View<'_>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    if report.indicators.is_empty() {
        return Ok(());
    }
    writeln!(out, "Indicators (level high and above)")?;
    let rows = report
        .indicators
        .iter()
        .map(|i| vec![i.kind.to_owned(), i.value.clone(), few(&i.rules)])
        .collect();
    write(&["kind", "value", "rules"], rows, view, out)?;
    writeln!(out)?;
    Ok(())
}

fn silents(
    title: &str,
    silents: &[Silent],
    view: &View<'_>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    if silents.is_empty() {
        return Ok(());
    }
    writeln!(out, "{title} ({})", silents.len())?;
    let rows = silents
        .iter()
        .take(ROWS_MAX)
        .map(|s| vec![s.card.level.name().to_owned(), s.card.rule.clone(), s.why.clone()])
        .collect();
    write(&["level", "rule", "why"], rows, view, out)?;
    if silents.len() > ROWS_MAX {
        writeln!(out, "and {} more (--format json lists all)", silents.len() - ROWS_MAX)?;
    }
    writeln!(out)?;
    Ok(())
}
