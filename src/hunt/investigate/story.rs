//! What an investigation or a timeline has to tell, free of any layout.

use serde_json::Value;
use serde_json::json;

use crate::event::time::Timestamp;
use crate::hunt::confidence::Confidence;
use crate::hunt::timeline::TimelineEvent;

/// The edition of MITRE ATT&CK whose names are used: v19 split Defense Evasion into Stealth and
/// Defense Impairment.
pub const ATTACK_VERSION: &str = "MITRE ATT&CK v19 (Enterprise, Containers)";

/// One step of a story: events next to each other in time that do the same thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What happened, one sentence.
    pub title: String,
    /// ATT&CK tactic.
    pub tactic: &'static str,
    /// ATT&CK technique id.
    pub technique: &'static str,
    /// Its name.
    pub technique_name: &'static str,
    /// How sure it is that this belongs to the story.
    pub confidence: Confidence,
    /// The question that finds these events, in the query language.
    pub question: String,
    /// Why this belongs to the story, one sentence.
    pub why: String,
    /// Image, command, settings, argv, length, answer: what the step did exactly.
    pub details: Vec<String>,
    /// The events, oldest first.
    pub events: Vec<TimelineEvent>,
}

/// Steps next to each other with one tactic.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// ATT&CK tactic.
    pub tactic: &'static str,
    /// What is to be concluded from it, one sentence.
    pub conclusion: String,
    /// Positions in [`Story::steps`].
    pub steps: Vec<usize>,
}

/// One possible reading of a situation.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What may have happened.
    pub reading: String,
    /// What speaks for it.
    pub speaks_for: Vec<String>,
    /// What speaks against it.
    pub speaks_against: Vec<String>,
}

/// A question the evidence leaves open, with the readings that fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// What is open.
    pub title: String,
    /// Side by side; none of them names a person.
    pub readings: Vec<Reading>,
    /// The question that shows the events, in the query language.
    pub question: String,
    /// Events that bear on it.  They are no steps: nobody is accused by them.
    pub events: Vec<TimelineEvent>,
}

/// What somebody else did in reaction to a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Consequence {
    /// What was done, one sentence.
    pub title: String,
    /// Who did it.
    pub user: String,
    /// Whether that is a controller of the platform (by exact list).
    pub platform: bool,
    /// The question that finds the events.
    pub question: String,
    /// The events.
    pub events: Vec<TimelineEvent>,
}

/// Something to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// The question that shows it; may be empty.
    pub question: String,
}

/// A step of the usual course that this evidence cannot decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecidable {
    /// Which step, a short name.
    pub step: &'static str,
    /// Why it cannot be decided.
    pub why: String,
    /// The question that would find it.
    pub question: String,
}

/// An owner of an address, or another identity, that nothing of the story touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bystander {
    /// Who.
    pub who: String,
    /// Why it is named, and why its events are not.
    pub why: String,
}

/// The whole of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// `investigate` or `timeline`.
    pub command: &'static str,
    /// The clue or question as typed.
    pub start: String,
    /// What the clue was taken for.
    pub start_kind: String,
    /// One sentence.
    pub summary: String,
    /// In the order of time.
    pub steps: Vec<Step>,
    /// The steps grouped.
    pub phases: Vec<Phase>,
    /// Open questions.
    pub hypotheses: Vec<Hypothesis>,
    /// Reactions.
    pub consequences: Vec<Consequence>,
    /// What to look at next.
    pub check_next: Vec<Task>,
    /// Which secrets and credentials are to be replaced.
    pub rotate: Vec<Task>,
    /// Steps that cannot be decided.
    pub undecidable: Vec<Undecidable>,
    /// What the evidence cannot tell.
    pub unknown: Vec<String>,
    /// Where the trail ends and why.
    pub trail_ends: Vec<String>,
    /// Who is named without being accused.
    pub bystanders: Vec<Bystander>,
    /// How many events the question matches (timelines).
    pub total: Option<u64>,
    /// Remarks.
    pub notes: Vec<String>,
}

fn events_json(events: &[TimelineEvent]) -> Vec<Value> {
    events.iter().map(TimelineEvent::to_json).collect()
}

fn task_json(task: &Task) -> Value {
    json!({"what": task.what, "why": task.why, "question": task.question})
}

impl Step {
    /// The first moment of the step.
    pub fn first(&self) -> Option<Timestamp> {
        self.events.first().and_then(|event| event.time)
    }

    /// The last moment of the step.
    pub fn last(&self) -> Option<Timestamp> {
        self.events.last().and_then(|event| event.time)
    }

    /// The JSON form.
    pub fn to_json(&self) -> Value {
        json!({
            "title": self.title,
            "tactic": self.tactic,
            "technique": self.technique,
            "technique_name": self.technique_name,
            "confidence": self.confidence.name(),
            "first": self.first().map(Timestamp::to_rfc3339),
            "last": self.last().map(Timestamp::to_rfc3339),
            "question": self.question,
            "why": self.why,
            "details": self.details,
            "events": events_json(&self.events),
        })
    }
}

impl Story {
    /// The JSON form: one object.
    pub fn to_json(&self) -> Value {
        let mut story = json!({
            "command": self.command,
            "start": self.start,
            "start_kind": self.start_kind,
            "attack": ATTACK_VERSION,
            "summary": self.summary,
            "steps": self.steps.iter().map(Step::to_json).collect::<Vec<_>>(),
            "phases": self.phases.iter().map(|phase| json!({
                "tactic": phase.tactic,
                "conclusion": phase.conclusion,
                "steps": phase.steps,
            })).collect::<Vec<_>>(),
        });
        let Some(map) = story.as_object_mut() else { return story };
        if self.command == "timeline" {
            let events: Vec<Value> =
                self.steps.iter().flat_map(|step| events_json(&step.events)).collect();
            map.insert("total".to_owned(), self.total.into());
            map.insert("events".to_owned(), events.into());
            map.insert("notes".to_owned(), self.notes.clone().into());
            return story;
        }
        let hypotheses = self.hypotheses.iter().map(|hypothesis| {
            let readings: Vec<Value> = hypothesis
                .readings
                .iter()
                .map(|r| {
                    json!({
                        "reading": r.reading,
                        "speaks_for": r.speaks_for,
                        "speaks_against": r.speaks_against,
                    })
                })
                .collect();
            json!({
                "title": hypothesis.title,
                "readings": readings,
                "question": hypothesis.question,
                "events": events_json(&hypothesis.events),
            })
        });
        map.insert("hypotheses".to_owned(), hypotheses.collect());
        let consequences = self.consequences.iter().map(|c| {
            json!({
                "title": c.title,
                "user": c.user,
                "platform": c.platform,
                "question": c.question,
                "events": events_json(&c.events),
            })
        });
        map.insert("consequences".to_owned(), consequences.collect());
        map.insert("check_next".to_owned(), self.check_next.iter().map(task_json).collect());
        map.insert("rotate".to_owned(), self.rotate.iter().map(task_json).collect());
        let undecidable = self
            .undecidable
            .iter()
            .map(|u| json!({"step": u.step, "why": u.why, "question": u.question}));
        map.insert("undecidable".to_owned(), undecidable.collect());
        map.insert("unknown".to_owned(), self.unknown.clone().into());
        map.insert("trail_ends".to_owned(), self.trail_ends.clone().into());
        let bystanders = self.bystanders.iter().map(|b| json!({"who": b.who, "why": b.why}));
        map.insert("bystanders".to_owned(), bystanders.collect());
        map.insert("notes".to_owned(), self.notes.clone().into());
        story
    }

    /// Puts steps next to each other with one tactic into phases and draws their conclusions.
    pub fn group(&mut self, conclude: impl Fn(&[&Step]) -> String) {
        self.phases.clear();
        // What was refused and what was not are two phases, whatever the tactic.
        let mut last = None;
        for (place, step) in self.steps.iter().enumerate() {
            let kind = (step.tactic, step.events.iter().all(TimelineEvent::refused));
            match self.phases.last_mut().filter(|_| last == Some(kind)) {
                Some(phase) => phase.steps.push(place),
                None => self.phases.push(Phase {
                    tactic: step.tactic,
                    conclusion: String::new(),
                    steps: vec![place],
                }),
            }
            last = Some(kind);
        }
        for phase in &mut self.phases {
            let steps: Vec<&Step> =
                phase.steps.iter().filter_map(|place| self.steps.get(*place)).collect();
            phase.conclusion = conclude(&steps);
        }
    }
}
