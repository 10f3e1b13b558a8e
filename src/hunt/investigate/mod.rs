//! From one clue to the whole story: who, from where, with which credential, and what came of it.
//!
//! A clue becomes leads (an address, a credential, a pod, a binding); each lead is followed by
//! narrow questions to the evidence and may open further leads; it ends where the evidence ends,
//! and says why.  The rules of attribution (shared addresses, own nodes, claimed addresses) are
//! applied where an address or a credential is judged: in [`crate::ledger`].

pub mod advice;
pub mod ask;
pub mod binding;
pub mod classify;
pub mod clue;
pub mod consequence;
pub mod follow_address;
pub mod follow_credential;
pub mod follow_pod;
pub mod followers;
pub mod hypothesis;
pub mod steps;
pub mod story;
pub mod trail;

use std::collections::BTreeSet;

use crate::event::time::TimeRange;
use crate::hunt::confidence::Confidence;
use crate::hunt::investigate::ask::Ask;
use crate::hunt::investigate::clue::Clue;
use crate::hunt::investigate::story::Story;
use crate::hunt::investigate::trail::Role;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::investigate::trail::say;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::Ledgers;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;

/// More rounds of "what did its objects do" than this find nothing new in a real story.
const MAX_ROUNDS: usize = 8;
/// More events of a clue that leads nowhere are not shown.
const MAX_SHOWN: usize = 200;

/// How an investigation is asked for.
#[derive(Clone, Debug, Default)]
pub struct InvestigateOptions {
    /// Only events of this time.
    pub range: TimeRange,
    /// Only this cluster.
    pub cluster: Option<String>,
}

/// Follows one clue to its end; `parsed` is the clue read as a question, or why it is none.
///
/// # Errors
/// When the evidence cannot be read, or the clue is neither known nor a question.
pub fn investigate(
    evidence: &dyn Evidence,
    ledgers: &Ledgers,
    start: &str,
    parsed: &Result<QueryAst, String>,
    options: &InvestigateOptions,
) -> Result<Story, SearchError> {
    let clusters: Vec<String> = match &options.cluster {
        Some(cluster) => vec![cluster.clone()],
        None => {
            let mut known: Vec<String> =
                ledgers.addresses.clusters().into_iter().map(str::to_owned).collect();
            let used = ledgers.credentials.used.keys().map(|(cluster, _)| cluster.clone());
            known.extend(used);
            known.sort();
            known.dedup();
            if known.is_empty() { vec![String::new()] } else { known }
        }
    };
    let mut best: Option<Story> = None;
    let mut also: Vec<String> = Vec::new();
    for cluster in &clusters {
        let scope = (!cluster.is_empty()).then_some(cluster.as_str());
        let ask = Ask { evidence, cluster: scope, range: options.range };
        let story = in_cluster(ask, ledgers, start, parsed.clone())?;
        let better = best.as_ref().is_none_or(|known| story.steps.len() > known.steps.len());
        if !story.steps.is_empty() && clusters.len() > 1 {
            also.push(cluster.clone());
        }
        if better {
            best = Some(story);
        }
    }
    let mut story = best.unwrap_or_default();
    if also.len() > 1 {
        let note = format!(
            "the clue leads to steps in {} clusters ({}): this is the longest; --cluster shows another",
            also.len(),
            also.join(", ")
        );
        say(&mut story.notes, note);
    }
    Ok(story)
}

fn in_cluster(
    ask: Ask<'_>,
    ledgers: &Ledgers,
    start: &str,
    parsed: Result<QueryAst, String>,
) -> Result<Story, SearchError> {
    let mut trail = Trail::new(ask, ledgers);
    let clue = Clue::of(&trail, start, parsed)?;
    let seeds = trail.begin(&clue)?;
    trail.follow_all()?;
    for _ in 0..MAX_ROUNDS {
        let before = trail.found.len();
        trail.open_followers()?;
        trail.follow_all()?;
        if trail.found.len() == before {
            break;
        }
    }
    keep_seeds(&mut trail, &clue, seeds)?;
    advice::join_by_audit_id(&mut trail)?;
    tell(trail, &clue, start)
}

/// A clue that names events is shown even where it leads nowhere.
fn keep_seeds(
    trail: &mut Trail<'_>,
    clue: &Clue,
    seeds: Vec<TimelineEvent>,
) -> Result<(), SearchError> {
    let question = match clue {
        Clue::AuditId(id) => ask::is("auditID", id),
        Clue::Query(question) => question.clone(),
        Clue::User(name) => ask::is("user.username", name),
        Clue::Credential(id) => ask::is(crate::event::field::CREDENTIAL_ID, id),
        Clue::Address(_) | Clue::Pod(..) => return Ok(()),
    };
    let named = matches!(clue, Clue::AuditId(_));
    if !named && !trail.found.is_empty() {
        return Ok(());
    }
    if matches!(clue, Clue::User(_) | Clue::Credential(_)) && take_strange(trail, &seeds, &question)
    {
        return Ok(());
    }
    let why = "the clue itself; nothing else connects it to a story";
    let mut shown = 0;
    for event in seeds {
        if !named && !classify::classify(&event, false).notable {
            continue;
        }
        shown += 1;
        if shown > MAX_SHOWN {
            say(&mut trail.notes, format!("only {MAX_SHOWN} events of the clue are shown"));
            break;
        }
        if !trail.found.contains_key(&event.id) {
            trail.take(event, Role::Clue, Confidence::Low, why, &question);
        }
    }
    Ok(())
}

/// Takes the uses of an identity from an address *and* with an agent it never had before; that is
/// worth a look and proves nothing by itself.  Says whether there are any.
fn take_strange(trail: &mut Trail<'_>, seeds: &[TimelineEvent], question: &QueryAst) -> bool {
    let mut addresses: BTreeSet<&str> = BTreeSet::new();
    let mut agents: BTreeSet<&str> = BTreeSet::new();
    let mut strange = Vec::new();
    for event in seeds {
        let known = addresses.is_empty()
            || addresses.contains(event.peer())
            || agents.contains(event.user_agent.as_str());
        if known {
            addresses.insert(event.peer());
            agents.insert(&event.user_agent);
        } else {
            strange.push(event);
        }
    }
    let why =
        "from an address and with an agent this identity never had before: worth a look, no proof";
    for event in &strange {
        let question = ask::all(vec![question.clone(), ask::peer(event.peer())]);
        trail.take((*event).clone(), Role::Clue, Confidence::Low, why, &question);
    }
    !strange.is_empty()
}

fn tell(mut trail: Trail<'_>, clue: &Clue, start: &str) -> Result<Story, SearchError> {
    let mut story = Story {
        command: "investigate",
        start: start.to_owned(),
        start_kind: clue.kind().to_owned(),
        steps: steps::steps_of(&trail.ask, trail.found.values())?,
        ..Story::default()
    };
    steps::mark_takeovers(&mut story.steps);
    story.group(steps::conclude);
    story.hypotheses = hypothesis::hypotheses(&trail)?;
    story.consequences = consequence::reactions(&mut trail)?;
    advice::advise(&mut trail, &mut story)?;
    story.summary = summary(&story, &trail);
    if story.steps.is_empty() && trail.ends.is_empty() {
        say(&mut trail.ends, format!("the evidence knows nothing of {start}"));
    }
    story.undecidable = trail.undecidable;
    story.trail_ends = trail.ends;
    story.bystanders = trail.bystanders;
    story.notes.extend(trail.notes);
    Ok(story)
}

fn summary(story: &Story, trail: &Trail<'_>) -> String {
    let events: usize = story.steps.iter().map(|step| step.events.len()).sum();
    if events == 0 {
        return format!("{} {}: no event that belongs to a story", story.start_kind, story.start);
    }
    let span = |place: Option<&story::Step>, last: bool| {
        place
            .and_then(|step| if last { step.last() } else { step.first() })
            .map(|time| time.to_rfc3339())
            .unwrap_or_default()
    };
    let credentials = match trail.suspects.as_slice() {
        [] => "no stolen credential".to_owned(),
        [one] => format!("credential {} of {}", one.label, one.user),
        several => format!("{} credentials", several.len()),
    };
    let only_clue = trail.found.values().all(|found| found.role == Role::Clue);
    let nothing = if only_clue { "; nothing in the evidence accuses anybody" } else { "" };
    format!(
        "{} steps, {events} events from {} to {}: {credentials}{nothing}",
        story.steps.len(),
        span(story.steps.first(), false),
        span(story.steps.last(), true)
    )
}
