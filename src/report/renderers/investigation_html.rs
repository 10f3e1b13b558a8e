//! `--format html` of a story: one file, no network, printable, the timeline drawn.

use std::io::Write;

use crate::event::time::Timestamp;
use crate::hunt::investigate::story::ATTACK_VERSION;
use crate::hunt::investigate::story::Step;
use crate::hunt::investigate::story::Story;
use crate::hunt::investigate::story::Task;
use crate::hunt::timeline::TimelineEvent;
use crate::report::error::ReportError;
use crate::report::sanitize::html;
use crate::report::story_registry::StoryRenderer;

/// A self-contained HTML page.
#[derive(Clone, Copy, Debug)]
pub struct InvestigationHtml;

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:78rem;padding:0 1rem;color:#1a1a1a;background:#fff}\
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2rem;border-bottom:1px solid #ccc}h3{font-size:1.05rem;margin-bottom:.2rem}\
table{border-collapse:collapse;width:100%;font-size:12px;margin:.4rem 0 1rem}\
th,td{border:1px solid #ddd;padding:.2rem .4rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#f4f4f4}code{font:12px ui-monospace,monospace;background:#f4f4f4;padding:0 .2rem;overflow-wrap:anywhere}\
.conclusion{background:#fffde7;border-left:4px solid #9e9d24;padding:.4rem .8rem}\
.why{color:#444}.low{opacity:.75}svg{width:100%;height:auto}svg text{font:13px system-ui,sans-serif}\
.small{font-size:12px;color:#555}\
@media print{body{margin:0;max-width:none}h3{break-after:avoid}tr{break-inside:avoid}}\
@media (prefers-color-scheme:dark){@media screen{body{background:#161616;color:#eee}th,code{background:#2a2a2a}th,td{border-color:#444}.conclusion{background:#33310f}.why,.small{color:#bbb}svg text{fill:#eee}}}";

/// Height of one step in the drawing.
const ROW: usize = 46;
/// Steps drawn; the tables have all.
const DRAWN: usize = 300;

impl StoryRenderer for InvestigationHtml {
    fn name(&self) -> &'static str {
        "html"
    }

    fn about(&self) -> &'static str {
        "a report in one file that needs no network"
    }

    fn render(&self, story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
        let what = if story.command == "timeline" { "Timeline" } else { "Investigation" };
        // No script, no picture, no font from anywhere, even if something slipped through.
        writeln!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>{what}: {}</title><style>{STYLE}</style></head><body>",
            html(&story.start)
        )?;
        writeln!(out, "<h1>{what}: <code>{}</code></h1>", html(&story.start))?;
        writeln!(out, "<p>{}</p><p class=\"small\">{ATTACK_VERSION}</p>", html(&story.summary))?;
        draw(story, out)?;
        steps(story, out)?;
        hypotheses(story, out)?;
        consequences(story, out)?;
        tasks("To be replaced", &story.rotate, out)?;
        tasks("To be checked next", &story.check_next, out)?;
        let undecidable: Vec<String> =
            story.undecidable.iter().map(|u| format!("{}: {}", u.step, u.why)).collect();
        list("Undecidable", &undecidable, out)?;
        list("Not known", &story.unknown, out)?;
        list("Where the trail ends", &story.trail_ends, out)?;
        let bystanders: Vec<String> =
            story.bystanders.iter().map(|b| format!("{}: {}", b.who, b.why)).collect();
        list("Named, not accused", &bystanders, out)?;
        list("Notes", &story.notes, out)?;
        writeln!(out, "</body></html>")?;
        Ok(())
    }
}

fn time_text(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "(no time)".to_owned(), Timestamp::to_rfc3339)
}

fn colour(tactic: &str) -> &'static str {
    match tactic {
        "Initial Access" => "#4527a0",
        "Discovery" => "#c62828",
        "Credential Access" => "#ef6c00",
        "Execution" => "#1565c0",
        "Persistence" => "#00695c",
        "Privilege Escalation" => "#2e7d32",
        "Lateral Movement" | "Command and Control" | "Collection" => "#6a1b9a",
        "Stealth" | "Defense Impairment" => "#455a64",
        _ => "#212121",
    }
}

/// The time between two steps in words.
fn gap(before: Option<Timestamp>, after: Option<Timestamp>) -> String {
    let (Some(before), Some(after)) = (before, after) else { return String::new() };
    let millis = (after.0 - before.0) / 1000;
    match millis {
        i64::MIN..=0 => String::new(),
        1..=59_999 => format!("+ {}.{} s", millis / 1000, millis % 1000 / 100),
        60_000..=3_599_999 => format!("+ {} min {} s", millis / 60_000, millis % 60_000 / 1000),
        3_600_000..=86_399_999 => {
            format!("+ {} h {} min", millis / 3_600_000, millis % 3_600_000 / 60_000)
        }
        _ => format!("+ {} d {} h", millis / 86_400_000, millis % 86_400_000 / 3_600_000),
    }
}

fn cut(text: &str, length: usize) -> String {
    let mut short: String = text.chars().take(length).collect();
    if text.chars().nth(length).is_some() {
        short.push('…');
    }
    short
}

/// The timeline, from top to bottom; in order, not to scale, with the gaps written beside it.
fn draw(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    let drawn: Vec<&Step> = story.steps.iter().take(DRAWN).collect();
    if drawn.is_empty() {
        return Ok(());
    }
    let height = drawn.len() * ROW + 20;
    writeln!(
        out,
        "<h2>Timeline</h2><p class=\"small\">In order, not to scale; the time between steps is written beside the line.</p>\
         <svg viewBox=\"0 0 1200 {height}\" role=\"img\">\
         <title>Timeline of the steps</title>\
         <line x1=\"250\" y1=\"20\" x2=\"250\" y2=\"{}\" stroke=\"#999\" stroke-width=\"2\"/>",
        height - ROW + 15
    )?;
    let mut before: Option<Timestamp> = None;
    for (place, step) in drawn.iter().enumerate() {
        let y = place * ROW + 25;
        let gap = gap(before, step.first());
        if !gap.is_empty() {
            writeln!(
                out,
                "<text x=\"240\" y=\"{}\" text-anchor=\"end\" fill=\"#888\" font-size=\"11\">{gap}</text>",
                y.saturating_sub(18)
            )?;
        }
        writeln!(
            out,
            "<g><title>{}</title><circle cx=\"250\" cy=\"{y}\" r=\"{}\" fill=\"{}\"/>\
             <text x=\"235\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <text x=\"270\" y=\"{}\" font-weight=\"600\" fill=\"{}\">{} ({})</text>\
             <text x=\"270\" y=\"{}\">{}</text></g>",
            html(&step.title),
            5 + step.events.len().min(10) / 2,
            colour(step.tactic),
            y + 5,
            time_text(step.first()),
            y - 1,
            colour(step.tactic),
            step.tactic,
            step.technique,
            y + 15,
            html(&cut(&step.title, 125)),
        )?;
        before = step.last().or(before);
    }
    writeln!(out, "</svg>")?;
    if story.steps.len() > DRAWN {
        writeln!(
            out,
            "<p class=\"small\">The first {DRAWN} of {} steps are drawn; all are listed below.</p>",
            story.steps.len()
        )?;
    }
    Ok(())
}

fn event_table(events: &[TimelineEvent], out: &mut dyn Write) -> Result<(), ReportError> {
    writeln!(
        out,
        "<table><tr><th>time</th><th>auditID</th><th>stage</th><th>user</th><th>verb</th><th>requestURI</th><th>sourceIPs</th><th>code</th><th>source</th><th>offset</th></tr>"
    )?;
    for event in events {
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            time_text(event.time),
            html(&event.audit_id),
            html(&event.stage),
            html(&event.user),
            html(&event.verb),
            html(&event.request_uri),
            html(&event.source_ips.join(", ")),
            event.code.map_or_else(String::new, |code| code.to_string()),
            html(&event.source),
            event.offset
        )?;
    }
    writeln!(out, "</table>")?;
    Ok(())
}

fn steps(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    if story.command == "timeline" {
        let events: Vec<TimelineEvent> =
            story.steps.iter().flat_map(|step| step.events.clone()).collect();
        writeln!(out, "<h2>Events</h2>")?;
        return event_table(&events, out);
    }
    for (number, phase) in story.phases.iter().enumerate() {
        writeln!(
            out,
            "<h2>Phase {}: {}</h2><p class=\"conclusion\">{}</p>",
            number + 1,
            html(phase.tactic),
            html(&phase.conclusion)
        )?;
        for step in phase.steps.iter().filter_map(|place| story.steps.get(*place)) {
            writeln!(
                out,
                "<section class=\"{}\"><h3>{}</h3><p class=\"small\">{} {}, {} confidence</p><p class=\"why\">{}</p><ul>",
                step.confidence.name(),
                html(&step.title),
                step.technique,
                step.technique_name,
                step.confidence.name(),
                html(&step.why)
            )?;
            for detail in &step.details {
                writeln!(out, "<li>{}</li>", html(detail))?;
            }
            writeln!(out, "<li>question: <code>{}</code></li></ul>", html(&step.question))?;
            event_table(&step.events, out)?;
            writeln!(out, "</section>")?;
        }
    }
    Ok(())
}

fn hypotheses(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    if story.hypotheses.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Hypotheses</h2><p>Readings side by side; none of them is proven.</p>")?;
    for hypothesis in &story.hypotheses {
        writeln!(
            out,
            "<h3>{}</h3><table><tr><th>reading</th><th>speaks for it</th><th>speaks against it</th></tr>",
            html(&hypothesis.title)
        )?;
        for reading in &hypothesis.readings {
            let cell = |reasons: &[String]| {
                let reasons: Vec<_> = reasons.iter().map(|reason| html(reason)).collect();
                reasons.join("<br>")
            };
            writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                html(&reading.reading),
                cell(&reading.speaks_for),
                cell(&reading.speaks_against)
            )?;
        }
        writeln!(out, "</table><p>question: <code>{}</code></p>", html(&hypothesis.question))?;
        if !hypothesis.events.is_empty() {
            event_table(&hypothesis.events, out)?;
        }
    }
    Ok(())
}

fn consequences(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    if story.consequences.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Consequences</h2><p>What others did in reaction.</p>")?;
    for one in &story.consequences {
        writeln!(
            out,
            "<details><summary>{} ({}, {} events)</summary><p>question: <code>{}</code></p>",
            html(&one.title),
            if one.platform { "platform" } else { "not the platform" },
            one.events.len(),
            html(&one.question)
        )?;
        event_table(&one.events, out)?;
        writeln!(out, "</details>")?;
    }
    Ok(())
}

fn tasks(head: &str, tasks: &[Task], out: &mut dyn Write) -> Result<(), ReportError> {
    if tasks.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>{head}</h2><ul>")?;
    for task in tasks {
        write!(out, "<li>{} <span class=\"why\">({})</span>", html(&task.what), html(&task.why))?;
        if !task.question.is_empty() {
            write!(out, "<br><code>{}</code>", html(&task.question))?;
        }
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ul>")?;
    Ok(())
}

fn list(head: &str, sentences: &[String], out: &mut dyn Write) -> Result<(), ReportError> {
    if sentences.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>{head}</h2><ul>")?;
    for sentence in sentences {
        writeln!(out, "<li>{}</li>", html(sentence))?;
    }
    writeln!(out, "</ul>")?;
    Ok(())
}
