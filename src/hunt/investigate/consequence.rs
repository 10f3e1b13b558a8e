//! What others did in reaction to the objects that the story brought into being.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::event::field::Field;
use crate::event::time::Timestamp;
use crate::hunt::investigate::ask::all;
use crate::hunt::investigate::classify::is_workload;
use crate::hunt::investigate::story::Consequence;
use crate::hunt::investigate::trail::Trail;
use crate::hunt::investigate::trail::say;
use crate::hunt::timeline::TimelineEvent;
use crate::ledger::question;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::SearchOptions;

/// More reactions than this are counted, not listed.
const MAX_REACTIONS: usize = 2000;

/// An object the story made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    /// Resource.
    pub resource: String,
    /// Namespace, the name itself for a namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// When.
    pub time: Option<Timestamp>,
}

/// Objects that requests of the story created.
pub fn made(trail: &Trail<'_>) -> Vec<Made> {
    use crate::hunt::investigate::trail::Role;
    let created = trail.found.values().filter(|found| {
        let event = &found.event;
        found.role == Role::Use
            && event.verb == "create"
            && event.subresource.is_empty()
            && !event.failed()
            && !event.name.is_empty()
    });
    let mut all: Vec<Made> = created
        .map(|found| Made {
            resource: found.event.resource.clone(),
            namespace: if found.event.resource == "namespaces" {
                found.event.name.clone()
            } else {
                found.event.namespace.clone()
            },
            name: found.event.name.clone(),
            time: found.event.time,
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Collects the reactions, grouped by who did what.
///
/// # Errors
/// When the evidence cannot be read.
pub fn reactions(trail: &mut Trail<'_>) -> Result<Vec<Consequence>, SearchError> {
    let made = made(trail);
    let namespaces: BTreeSet<&str> =
        made.iter().filter(|m| m.resource == "namespaces").map(|m| m.name.as_str()).collect();
    let mut parts: Vec<(QueryAst, Option<Timestamp>)> = Vec::new();
    for one in &made {
        if one.resource == "namespaces" {
            parts.push((QueryAst::equals(Field::Namespace, &one.name), one.time));
        } else if !namespaces.contains(one.namespace.as_str())
            && (is_workload(&one.resource) || one.resource == "serviceaccounts")
        {
            let named = QueryAst::any_of(vec![
                QueryAst::equals(Field::Name, &one.name),
                question::starts("name", &format!("{}-", one.name)),
                question::starts("name", &format!("{}.", one.name)),
            ]);
            let inside = QueryAst::equals(Field::Namespace, &one.namespace);
            parts.push((all(vec![inside, named]), one.time));
        }
    }
    let platform = platform_events(trail, &parts)?;
    let mut groups: BTreeMap<(Option<Timestamp>, String, String, String), Consequence> =
        BTreeMap::new();
    let mut order: BTreeMap<(String, String, String), Option<Timestamp>> = BTreeMap::new();
    for (question, since) in parts {
        let since = since.unwrap_or(Timestamp(i64::MIN));
        let until = trail.ask.range.until.unwrap_or(Timestamp(i64::MAX));
        let events = trail.ask.between(question.clone(), since, until, MAX_REACTIONS)?;
        if events.len() == MAX_REACTIONS {
            say(
                &mut trail.notes,
                format!("only the first {MAX_REACTIONS} reactions to {question} are listed"),
            );
        }
        for event in events {
            if trail.found.contains_key(&event.id) {
                continue;
            }
            let key = (event.user.clone(), event.verb.clone(), event.what());
            let first = *order.entry(key.clone()).or_insert(event.time);
            let group = (first, key.0, key.1, key.2);
            let platform = platform.contains(&event.id);
            let entry = groups.entry(group).or_insert_with(|| Consequence {
                title: String::new(),
                user: event.user.clone(),
                platform,
                question: all(vec![
                    question.clone(),
                    question::is("user.username", &event.user),
                    question::is("verb", &event.verb),
                ])
                .to_string(),
                events: Vec::new(),
            });
            if !entry.events.iter().any(|known| known.id == event.id) {
                entry.events.push(event);
            }
        }
    }
    let mut consequences: Vec<Consequence> = groups.into_values().collect();
    for one in &mut consequences {
        one.title = describe(&one.events);
    }
    Ok(consequences)
}

/// Which of these events belong to the platform, by exact list.
fn platform_events(
    trail: &Trail<'_>,
    parts: &[(QueryAst, Option<Timestamp>)],
) -> Result<BTreeSet<crate::search::evidence::EventId>, SearchError> {
    if parts.is_empty() {
        return Ok(BTreeSet::new());
    }
    let any = QueryAst::any_of(parts.iter().map(|(question, _)| question.clone()).collect());
    let question = all(vec![any, crate::query::platform::platform_identities()]);
    let options = SearchOptions { range: trail.ask.range, ..SearchOptions::default() };
    let hits = trail.ask.evidence.search(&question, &options)?;
    Ok(hits.hits.iter().map(|hit| hit.id).collect())
}

fn describe(events: &[TimelineEvent]) -> String {
    let Some(first) = events.first() else { return String::new() };
    let objects: BTreeSet<String> = events.iter().map(TimelineEvent::object).collect();
    let named: Vec<String> = objects.iter().take(3).cloned().collect();
    let more = objects.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} {} {} {}{more}", first.user, first.verb, first.what(), named.join(", "))
}
