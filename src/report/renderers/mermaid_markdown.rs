//! `--format markdown` of a story: a Mermaid flowchart of its phases, then every step with proof.

use std::io::Write;

use crate::event::time::Timestamp;
use crate::hunt::investigate::steps::requests;
use crate::hunt::investigate::story::ATTACK_VERSION;
use crate::hunt::investigate::story::Step;
use crate::hunt::investigate::story::Story;
use crate::hunt::investigate::story::Task;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::usage::service_account;
use crate::report::error::ReportError;
use crate::report::sanitize::is_unseen;
use crate::report::sanitize::markdown;
use crate::report::story_registry::StoryRenderer;

/// Markdown with a Mermaid flowchart.
#[derive(Clone, Copy, Debug)]
pub struct MermaidMarkdown;

/// A step with more requests than this is one node.
const NODES_PER_STEP: usize = 6;
/// Mermaid refuses charts of more than 50,000 characters; steps behind this many are left to the
/// tables, and the chart says so.
const STEPS_IN_CHART: usize = 60;
/// Characters of a label.
const LABEL: usize = 110;

impl StoryRenderer for MermaidMarkdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn about(&self) -> &'static str {
        "a document with a Mermaid flowchart of the phases"
    }

    fn render(&self, story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
        let what = if story.command == "timeline" { "Timeline" } else { "Investigation" };
        writeln!(out, "# {what}: {}\n", markdown(&story.start))?;
        if !story.summary.is_empty() {
            writeln!(out, "{}\n", markdown(&story.summary))?;
        }
        writeln!(out, "Tactics and techniques: {ATTACK_VERSION}.\n")?;
        chart(story, out)?;
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
        list("Notes", &story.notes, out)
    }
}

/// Text for a quoted Mermaid label: everything that could end the label or begin markup becomes
/// an entity code (mermaid.js, "Entity codes to escape characters").
fn label(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n >= LABEL {
            out.push('…');
            break;
        }
        if c.is_alphanumeric() || " .,:/()_-=@+".contains(c) {
            out.push(c);
        } else if is_unseen(c) {
            out.push('·');
        } else {
            out.push_str(&format!("#{};", c as u32));
        }
    }
    out
}

/// Colour of a tactic.
fn style(tactic: &str) -> &'static str {
    match tactic {
        "Initial Access" | "Reconnaissance" | "Resource Development" => "entry",
        "Discovery" => "discovery",
        "Credential Access" | "Lateral Movement" | "Collection" => "lateral",
        "Execution" | "Persistence" | "Privilege Escalation" => "escalation",
        _ => "impact",
    }
}

fn clock(time: Option<Timestamp>) -> String {
    let text = time.map(Timestamp::to_rfc3339).unwrap_or_default();
    text.get(11..23).unwrap_or_default().to_owned()
}

fn node_text(event: &TimelineEvent) -> String {
    let code = event.code.map_or_else(String::new, |code| format!(" ({code})"));
    let object = event.object();
    let object = if object.is_empty() { String::new() } else { format!(" {object}") };
    let who = service_account(&event.user)
        .map_or_else(|| event.user.clone(), |(namespace, name)| format!("{namespace}/{name}"));
    format!("{} {who} {} {}{object}{code}", clock(event.time), event.verb, event.what())
}

fn chart(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    if story.steps.is_empty() {
        return Ok(());
    }
    writeln!(out, "```mermaid\nflowchart TD")?;
    writeln!(out, "    classDef entry fill:#ede7f6,stroke:#4527a0,stroke-width:2px;")?;
    writeln!(out, "    classDef discovery fill:#ffebee,stroke:#c62828,stroke-width:2px;")?;
    writeln!(out, "    classDef lateral fill:#fff3e0,stroke:#ef6c00,stroke-width:2px;")?;
    writeln!(out, "    classDef escalation fill:#e8f5e9,stroke:#2e7d32,stroke-width:2px;")?;
    writeln!(out, "    classDef impact fill:#212121,stroke:#000,stroke-width:2px,color:#fff;")?;
    writeln!(out, "    classDef note fill:#fffde7,stroke:#9e9d24,stroke-dasharray:4 2;")?;
    let mut chain: Vec<String> = Vec::new();
    let mut shown = 0;
    for (number, phase) in story.phases.iter().enumerate() {
        if shown >= STEPS_IN_CHART {
            break;
        }
        let number = number + 1;
        writeln!(out, "    subgraph Phase{number} [\"Phase {number}: {}\"]", label(phase.tactic))?;
        for place in &phase.steps {
            let Some(step) = story.steps.get(*place) else { continue };
            shown += 1;
            if shown > STEPS_IN_CHART {
                continue;
            }
            nodes(*place, step, phase.tactic, &mut chain, out)?;
        }
        if !phase.conclusion.is_empty() {
            writeln!(out, "        Note{number}[\"{}\"]:::note", label(&phase.conclusion))?;
        }
        writeln!(out, "    end")?;
    }
    if chain.len() > 1 {
        writeln!(out, "    {}", chain.join(" --> "))?;
    }
    writeln!(out, "```\n")?;
    if story.steps.len() > STEPS_IN_CHART {
        writeln!(
            out,
            "The chart shows the first {STEPS_IN_CHART} of {} steps; all are listed below.\n",
            story.steps.len()
        )?;
    }
    Ok(())
}

fn nodes(
    place: usize,
    step: &Step,
    tactic: &str,
    chain: &mut Vec<String>,
    out: &mut dyn Write,
) -> Result<(), ReportError> {
    let requests = requests(&step.events);
    let class = style(tactic);
    if requests.len() > NODES_PER_STEP {
        let id = format!("S{place}");
        let text = format!("{} {} ({} requests)", clock(step.first()), step.title, requests.len());
        writeln!(out, "        {id}[\"{}\"]:::{class}", label(&text))?;
        chain.push(id);
        return Ok(());
    }
    for (number, event) in requests.iter().enumerate() {
        let id = format!("S{place}E{number}");
        writeln!(out, "        {id}[\"{}\"]:::{class}", label(&node_text(event)))?;
        chain.push(id);
    }
    Ok(())
}

fn time_text(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "(no time)".to_owned(), Timestamp::to_rfc3339)
}

fn event_table(events: &[TimelineEvent], out: &mut dyn Write) -> Result<(), ReportError> {
    writeln!(
        out,
        "| time | auditID | stage | user | verb | requestURI | sourceIPs | code | source | offset |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|")?;
    for event in events {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            time_text(event.time),
            markdown(&event.audit_id),
            markdown(&event.stage),
            markdown(&event.user),
            markdown(&event.verb),
            markdown(&event.request_uri),
            markdown(&event.source_ips.join(", ")),
            event.code.map_or_else(String::new, |code| code.to_string()),
            markdown(&event.source),
            event.offset
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn steps(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    if story.command == "timeline" {
        let events: Vec<TimelineEvent> =
            story.steps.iter().flat_map(|step| step.events.clone()).collect();
        writeln!(out, "## Events\n")?;
        return event_table(&events, out);
    }
    for (number, phase) in story.phases.iter().enumerate() {
        writeln!(out, "## Phase {}: {}\n", number + 1, phase.tactic)?;
        writeln!(out, "Conclusion: {}.\n", markdown(&phase.conclusion))?;
        for step in phase.steps.iter().filter_map(|place| story.steps.get(*place)) {
            writeln!(out, "### {}\n", markdown(&step.title))?;
            writeln!(
                out,
                "- {} {} ({}), {} confidence",
                step.technique,
                step.technique_name,
                step.tactic,
                step.confidence.name()
            )?;
            writeln!(out, "- why: {}", markdown(&step.why))?;
            for detail in &step.details {
                writeln!(out, "- {}", markdown(detail))?;
            }
            writeln!(out, "- question: {}\n", markdown(&step.question))?;
            event_table(&step.events, out)?;
        }
    }
    Ok(())
}

fn hypotheses(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    if story.hypotheses.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Hypotheses\n\nReadings side by side; none of them is proven.\n")?;
    for hypothesis in &story.hypotheses {
        writeln!(out, "### {}\n", markdown(&hypothesis.title))?;
        writeln!(out, "| reading | speaks for it | speaks against it |\n|---|---|---|")?;
        for reading in &hypothesis.readings {
            let cell = |reasons: &[String]| {
                let reasons: Vec<_> = reasons.iter().map(|reason| markdown(reason)).collect();
                reasons.join("; ")
            };
            writeln!(
                out,
                "| {} | {} | {} |",
                markdown(&reading.reading),
                cell(&reading.speaks_for),
                cell(&reading.speaks_against)
            )?;
        }
        writeln!(out, "\nQuestion: {}\n", markdown(&hypothesis.question))?;
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
    writeln!(out, "## Consequences\n\nWhat others did in reaction.\n")?;
    writeln!(out, "| first | what | platform | events | question |\n|---|---|---|---|---|")?;
    for one in &story.consequences {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            time_text(one.events.first().and_then(|event| event.time)),
            markdown(&one.title),
            if one.platform { "yes" } else { "no" },
            one.events.len(),
            markdown(&one.question)
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn tasks(head: &str, tasks: &[Task], out: &mut dyn Write) -> Result<(), ReportError> {
    let sentences: Vec<String> =
        tasks.iter().map(|task| format!("{} ({})", task.what, task.why)).collect();
    list(head, &sentences, out)
}

fn list(head: &str, sentences: &[String], out: &mut dyn Write) -> Result<(), ReportError> {
    if sentences.is_empty() {
        return Ok(());
    }
    writeln!(out, "## {head}\n")?;
    for sentence in sentences {
        writeln!(out, "- {}", markdown(sentence))?;
    }
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_leave_their_quotes() {
        assert_eq!(label("a \"b\"]; <x>"), "a #34;b#34;#93;#59; #60;x#62;");
        assert_eq!(label("```\n"), "#96;#96;#96;·");
        assert!(label(&"x".repeat(500)).ends_with('…'));
    }
}
