//! `--format text` of a story: for people, on a terminal or in a file.

use std::io::Write;

use crate::event::time::Timestamp;
use crate::hunt::investigate::story::ATTACK_VERSION;
use crate::hunt::investigate::story::Story;
use crate::hunt::investigate::story::Task;
use crate::report::error::ReportError;
use crate::report::sanitize::terminal;
use crate::report::story_registry::StoryRenderer;

/// Indented text.
#[derive(Clone, Copy, Debug)]
pub struct StoryText;

/// Events of one reaction that are named one by one; the JSON form has all.
const NAMED: usize = 3;

impl StoryRenderer for StoryText {
    fn name(&self) -> &'static str {
        "text"
    }

    fn about(&self) -> &'static str {
        "indented text for people"
    }

    fn render(&self, story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
        if story.command == "timeline" {
            return events(story, out);
        }
        writeln!(out, "{}", terminal(&story.summary))?;
        writeln!(out, "{ATTACK_VERSION}")?;
        steps(story, out)?;
        hypotheses(story, out)?;
        consequences(story, out)?;
        tasks("TO BE REPLACED", &story.rotate, out)?;
        tasks("TO BE CHECKED NEXT", &story.check_next, out)?;
        if !story.undecidable.is_empty() {
            writeln!(out, "\nUNDECIDABLE")?;
            for one in &story.undecidable {
                writeln!(out, "  {}: {}", one.step, terminal(&one.why))?;
            }
        }
        list("NOT KNOWN", &story.unknown, out)?;
        list("THE TRAIL ENDS", &story.trail_ends, out)?;
        if !story.bystanders.is_empty() {
            writeln!(out, "\nNAMED, NOT ACCUSED")?;
            for one in &story.bystanders {
                writeln!(out, "  {}: {}", terminal(&one.who), terminal(&one.why))?;
            }
        }
        for note in &story.notes {
            writeln!(out, "note: {}", terminal(note))?;
        }
        Ok(())
    }
}

fn time_text(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "(no time)".to_owned(), Timestamp::to_rfc3339)
}

/// A timeline: one line an event.
fn events(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    for step in &story.steps {
        for event in &step.events {
            writeln!(
                out,
                "{}  {}  [{}]",
                time_text(event.time),
                terminal(&event.message()),
                terminal(&event.audit_id)
            )?;
        }
    }
    for note in &story.notes {
        writeln!(out, "note: {}", terminal(note))?;
    }
    Ok(())
}

fn steps(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    for phase in &story.phases {
        writeln!(out, "\n{}: {}", phase.tactic.to_uppercase(), terminal(&phase.conclusion))?;
        for step in phase.steps.iter().filter_map(|place| story.steps.get(*place)) {
            writeln!(
                out,
                "  {}  {}  [{} {}, {} confidence]",
                time_text(step.first()),
                terminal(&step.title),
                step.technique,
                step.technique_name,
                step.confidence.name()
            )?;
            writeln!(out, "      why: {}", terminal(&step.why))?;
            for detail in &step.details {
                writeln!(out, "      {}", terminal(detail))?;
            }
            writeln!(out, "      question: {}", terminal(&step.question))?;
            for event in &step.events {
                writeln!(
                    out,
                    "      {}  {}  {}  {} {}  {}:{}",
                    time_text(event.time),
                    terminal(&event.audit_id),
                    terminal(&event.stage),
                    terminal(&event.verb),
                    terminal(&event.request_uri),
                    terminal(&event.source),
                    event.offset
                )?;
            }
        }
    }
    Ok(())
}

fn hypotheses(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    if story.hypotheses.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nHYPOTHESES (readings side by side; none of them is proven)")?;
    for hypothesis in &story.hypotheses {
        writeln!(out, "  {}", terminal(&hypothesis.title))?;
        for reading in &hypothesis.readings {
            writeln!(out, "    - {}", terminal(&reading.reading))?;
            for reason in &reading.speaks_for {
                writeln!(out, "        + {}", terminal(reason))?;
            }
            for reason in &reading.speaks_against {
                writeln!(out, "        - {}", terminal(reason))?;
            }
        }
        writeln!(out, "    question: {}", terminal(&hypothesis.question))?;
        for event in &hypothesis.events {
            writeln!(
                out,
                "      {}  {}  [{}]",
                time_text(event.time),
                terminal(&event.message()),
                terminal(&event.audit_id)
            )?;
        }
    }
    Ok(())
}

fn consequences(story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
    if story.consequences.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nCONSEQUENCES (what others did in reaction)")?;
    for one in &story.consequences {
        let whose = if one.platform { "platform" } else { "not the platform" };
        writeln!(out, "  {} ({whose}, {} events)", terminal(&one.title), one.events.len())?;
        for event in one.events.iter().take(NAMED) {
            writeln!(out, "      {}  {}", time_text(event.time), terminal(&event.audit_id))?;
        }
        if one.events.len() > NAMED {
            writeln!(out, "      and {} more (--format json has all)", one.events.len() - NAMED)?;
        }
    }
    Ok(())
}

fn tasks(head: &str, tasks: &[Task], out: &mut dyn Write) -> Result<(), ReportError> {
    if tasks.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{head}")?;
    for task in tasks {
        writeln!(out, "  - {} ({})", terminal(&task.what), terminal(&task.why))?;
        if !task.question.is_empty() {
            writeln!(out, "      question: {}", terminal(&task.question))?;
        }
    }
    Ok(())
}

fn list(head: &str, sentences: &[String], out: &mut dyn Write) -> Result<(), ReportError> {
    if sentences.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{head}")?;
    for sentence in sentences {
        writeln!(out, "  - {}", terminal(sentence))?;
    }
    Ok(())
}
