//! A hunt's report as one page: no script, no network, printable.

use std::io::Write;

use crate::hunt::attack::ATTACK_VERSION;
use crate::hunt::finding::Finding;
use crate::hunt::finding::HuntReport;
use crate::report::error::ReportError;
use crate::report::hunt::HuntRenderer;
use crate::report::renderer::View;
use crate::report::sanitize::html;

/// Requests shown per finding; the JSON report has all.
const REQUESTS_MAX: usize = 200;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>audithound hunt</title><style>\
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:80em;padding:0 1em;color:#222}\
table{border-collapse:collapse;width:100%;margin:.6em 0}td,th{border:1px solid #ccc;padding:.25em .5em;\
text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f2f2f2}\
.critical{color:#a00018}.high{color:#c64600}.medium{color:#8a6d00}.low,.informational{color:#555}\
details{border:1px solid #ddd;border-radius:4px;margin:.6em 0;padding:.4em .8em}\
summary{cursor:pointer;font-weight:600}code{background:#f2f2f2}@media print{details{break-inside:avoid}}\
</style></head><body>\n";

/// One page.
#[derive(Debug)]
pub struct Html;

impl HuntRenderer for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn about(&self) -> &'static str {
        "one page without script or network, printable"
    }

    fn render(
        &self,
        report: &HuntReport,
        _view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        out.write_all(HEAD.as_bytes())?;
        writeln!(
            out,
            "<h1>Hunt</h1><p>{} hunts asked, {} found something, {} nothing, {} undecidable. \
             MITRE ATT&amp;CK v{ATTACK_VERSION}.</p>",
            report.n_asked,
            report.findings.len(),
            report.n_nothing,
            report.undecidable.len()
        )?;
        for found in &report.findings {
            finding(found, out)?;
        }
        identities(report, out)?;
        indicators(report, out)?;
        silent(report, out)?;
        writeln!(out, "</body></html>")?;
        Ok(())
    }
}

fn row(cells: &[&str], out: &mut dyn Write) -> Result<(), ReportError> {
    write!(out, "<tr>")?;
    for cell in cells {
        write!(out, "<td>{}</td>", html(cell))?;
    }
    writeln!(out, "</tr>")?;
    Ok(())
}

fn head(cells: &[&str], out: &mut dyn Write) -> Result<(), ReportError> {
    write!(out, "<table><tr>")?;
    for cell in cells {
        write!(out, "<th>{}</th>", html(cell))?;
    }
    writeln!(out, "</tr>")?;
    Ok(())
}

fn finding(f: &Finding, out: &mut dyn Write) -> Result<(), ReportError> {
    let card = &f.card;
    writeln!(
        out,
        "<details open><summary><span class=\"{0}\">{0}</span> {1} ({2})</summary>",
        card.level.name(),
        html(&card.title),
        f.count
    )?;
    writeln!(
        out,
        "<p>{}</p><p>Rule <code>{}</code> by {}; confidence {}; ATT&amp;CK {}.</p>",
        html(&card.description),
        html(&card.rule),
        html(&card.author),
        f.confidence.name(),
        html(&card.techniques.join(", "))
    )?;
    if !f.groups.is_empty() {
        head(&["group", "requests", "first", "last", "why"], out)?;
        for group in &f.groups {
            let key: Vec<String> = group.key.iter().map(|(n, v)| format!("{n} = {v}")).collect();
            let time = |t: Option<crate::event::time::Timestamp>| {
                t.map(|t| t.to_rfc3339()).unwrap_or_default()
            };
            row(
                &[
                    &key.join(", "),
                    &group.count.to_string(),
                    &time(group.first),
                    &time(group.last),
                    &format!("{} {}", group.measured, group.why),
                ],
                out,
            )?;
        }
        writeln!(out, "</table>")?;
    }
    head(&["time", "user", "from", "agent", "request", "code", "auditID", "place"], out)?;
    for r in f.requests.iter().take(REQUESTS_MAX) {
        row(
            &[
                &r.time.map(|t| t.to_rfc3339()).unwrap_or_default(),
                &r.user,
                &r.addresses.join(" "),
                &r.agent,
                &format!("{} {}", r.verb, r.object()),
                &r.code,
                &r.audit_id,
                &format!("{}:{}", r.source, r.line),
            ],
            out,
        )?;
    }
    writeln!(out, "</table>")?;
    let more = f.n_requests.saturating_sub(f.requests.len().min(REQUESTS_MAX) as u64);
    if more > 0 {
        writeln!(out, "<p>and {more} more requests</p>")?;
    }
    for note in &f.notes {
        writeln!(out, "<p>{}</p>", html(note))?;
    }
    if !f.next.is_empty() {
        writeln!(out, "<p>Next:</p><ul>")?;
        for step in &f.next {
            writeln!(out, "<li><code>{}</code></li>", html(step))?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</details>")?;
    Ok(())
}

fn identities(report: &HuntReport, out: &mut dyn Write) -> Result<(), ReportError> {
    if report.identities.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Identities</h2>")?;
    head(&["user", "rules", "requests", "denied", "addresses", "agents", "credentials"], out)?;
    for i in &report.identities {
        row(
            &[
                &i.user,
                &i.rules.join(", "),
                &i.n_requests.to_string(),
                &i.denied.to_string(),
                &i.addresses.join(" "),
                &i.agents.join(", "),
                &i.credentials.join(" "),
            ],
            out,
        )?;
    }
    writeln!(out, "</table>")?;
    Ok(())
}

fn indicators(report: &HuntReport, out: &mut dyn Write) -> Result<(), ReportError> {
    if report.indicators.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Indicators</h2>")?;
    head(&["kind", "value", "query", "rules"], out)?;
    for i in &report.indicators {
        row(&[i.kind, &i.value, &i.query, &i.rules.join(", ")], out)?;
    }
    writeln!(out, "</table>")?;
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
        writeln!(out, "<h2>{title} ({})</h2>", list.len())?;
        head(&["level", "rule", "why"], out)?;
        for s in list {
            row(&[s.card.level.name(), &s.card.rule, &s.why], out)?;
        }
        writeln!(out, "</table>")?;
    }
    if !report.allow_list.is_empty() {
        writeln!(out, "<h2>Allow list</h2>")?;
        head(&["entry", "reason", "suppressed", "expired"], out)?;
        for u in &report.allow_list {
            let expired = if u.expired { "yes" } else { "no" };
            row(&[&u.entry, &u.reason, &u.suppressed.to_string(), expired], out)?;
        }
        writeln!(out, "</table>")?;
    }
    for note in &report.notes {
        writeln!(out, "<p>{}</p>", html(note))?;
    }
    Ok(())
}
