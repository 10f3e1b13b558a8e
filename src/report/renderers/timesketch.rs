//! `--format timesketch`: one JSON object a line, with the three fields Timesketch insists on.

use std::io::Write;

use chrono::DateTime;
use chrono::SecondsFormat;
use serde_json::Value;
use serde_json::json;

use crate::event::time::Timestamp;
use crate::hunt::investigate::story::ATTACK_VERSION;
use crate::hunt::investigate::story::Step;
use crate::hunt::investigate::story::Story;
use crate::hunt::timeline::TimelineEvent;
use crate::report::error::ReportError;
use crate::report::story_registry::StoryRenderer;

/// Timesketch JSONL.
#[derive(Clone, Copy, Debug)]
pub struct Timesketch;

/// The longest term OpenSearch takes, in bytes; longer fields lose the whole line on import.
const LONGEST: usize = 32_000;

impl StoryRenderer for Timesketch {
    fn name(&self) -> &'static str {
        "timesketch"
    }

    fn about(&self) -> &'static str {
        "JSON lines for an import into Timesketch"
    }

    fn render(&self, story: &Story, out: &mut dyn Write) -> Result<(), ReportError> {
        for step in &story.steps {
            for event in &step.events {
                let message = if story.command == "timeline" {
                    event.message()
                } else {
                    format!("{}: {}", step.title, event.message())
                };
                writeln!(out, "{}", line(event, &message, "step", Some(step)))?;
            }
        }
        for consequence in &story.consequences {
            for event in &consequence.events {
                let message = format!("in reaction: {}", event.message());
                writeln!(out, "{}", line(event, &message, "consequence", None))?;
            }
        }
        for hypothesis in &story.hypotheses {
            for event in &hypothesis.events {
                let message = format!("open question: {}", event.message());
                writeln!(out, "{}", line(event, &message, "hypothesis", None))?;
            }
        }
        Ok(())
    }
}

/// Cuts a text between two characters and says so at its end.
fn short(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text.get(..end).unwrap_or_default();
    format!("{head}... (cut, {} bytes in all)", text.len())
}

fn datetime(time: Option<Timestamp>) -> String {
    DateTime::from_timestamp_micros(time.map_or(0, |time| time.0))
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Micros, false)
}

fn line(event: &TimelineEvent, message: &str, section: &str, step: Option<&Step>) -> Value {
    let described = if event.time.is_some() {
        "Request received"
    } else {
        "Time not known (the event has none)"
    };
    let mut line = json!({
        "message": short(message),
        "datetime": datetime(event.time),
        "timestamp": event.time.map_or(0, |time| time.0),
        "timestamp_desc": described,
        "data_type": "kubernetes:audit:event",
        "section": section,
        "auditID": short(&event.audit_id),
        "stage": short(&event.stage),
        "level": short(&event.level),
        "user": short(&event.user),
        "verb": short(&event.verb),
        "resource": short(&event.what()),
        "namespace": short(&event.namespace),
        "name": short(&event.name),
        "requestURI": short(&event.request_uri),
        "sourceIPs": short(&event.source_ips.join(", ")),
        "userAgent": short(&event.user_agent),
        "credential": short(&event.credential),
        "code": event.code,
        "source": short(&event.source),
        "offset": event.offset,
        "line": event.line,
    });
    if let (Some(step), Some(map)) = (step, line.as_object_mut()) {
        map.insert("tactic".to_owned(), step.tactic.into());
        map.insert("technique".to_owned(), step.technique.into());
        map.insert("technique_name".to_owned(), step.technique_name.into());
        map.insert("attack".to_owned(), ATTACK_VERSION.into());
        map.insert("confidence".to_owned(), step.confidence.name().into());
        map.insert("question".to_owned(), short(&step.question).into());
        map.insert("tag".to_owned(), json!([step.tactic, step.technique]));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_fields_are_cut_between_characters() {
        let cut = short(&"ü".repeat(40_000));
        assert!(cut.len() < 32_766 && cut.ends_with("(cut, 80000 bytes in all)"));
        assert_eq!(short("a"), "a");
    }

    #[test]
    fn datetimes_name_their_zone() {
        let time = Timestamp::parse("2025-12-09T12:56:50.813619Z");
        assert_eq!(datetime(time), "2025-12-09T12:56:50.813619+00:00");
        assert_eq!(datetime(None), "1970-01-01T00:00:00.000000+00:00");
    }
}
