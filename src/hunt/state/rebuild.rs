//! The state of objects at a moment, and what is left unknown about it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::hunt::state::fold::Existence;
use crate::hunt::state::fold::Fold;
use crate::hunt::state::fold::ObjectState;
use crate::hunt::state::fold::differences;
use crate::hunt::state::fold::key_of;
use crate::hunt::state::value::MAX_DEPTH;
use crate::hunt::state::write::Target;
use crate::hunt::state::write::Writes;
use crate::hunt::state::write::collect;
use crate::hunt::timeline::TimelineEvent;
use crate::hunt::timeline::describe;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::SortOrder;

/// Objects of a kind at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rebuilt {
    /// The objects met until then, by namespace and name; deleted ones too.
    pub objects: BTreeMap<(String, String), ObjectState>,
    /// Requests that failed and were not folded in.
    pub failed: usize,
    /// Dry runs that were not folded in.
    pub dry_runs: usize,
    /// Remarks on the whole.
    pub notes: Vec<String>,
    /// The last read of the one object asked for by its name, if any.
    pub last_read: Option<TimelineEvent>,
}

/// Rebuilds what is asked for at `moment` (writes at that very moment included).
///
/// # Errors
/// As [`Evidence::search`].
pub fn rebuild(
    evidence: &dyn Evidence,
    target: &Target,
    moment: Option<Timestamp>,
) -> Result<Rebuilt, SearchError> {
    let all = collect(evidence, &target.writes(), &SearchOptions::default())?;
    let mut rebuilt = fold_until(&all, target, moment);
    if !target.name.is_empty() {
        rebuilt.last_read = last_read(evidence, target, moment)?;
        judge_by_read(&mut rebuilt, target);
    }
    if target.kind.to_lowercase().starts_with("secret") {
        rebuilt.notes.push(
            "the bodies of Secrets are logged in no audit profile of OpenShift: what they held is not known"
                .to_owned(),
        );
    }
    Ok(rebuilt)
}

/// Folds what was collected until `moment`.
pub fn fold_until(all: &Writes, target: &Target, moment: Option<Timestamp>) -> Rebuilt {
    let inside = |time: Option<Timestamp>| match (time, moment) {
        (Some(time), Some(moment)) => time <= moment,
        _ => true,
    };
    let mut fold = Fold::default();
    for write in all.writes.iter().filter(|write| inside(write.event.time)) {
        fold.apply(write);
    }
    // What comes later tells what was there before: a creation that it was not.
    for write in all.writes.iter().filter(|write| !inside(write.event.time)) {
        let key = key_of(write);
        if write.event.name.is_empty() || fold.objects.contains_key(&key) {
            continue;
        }
        let mut state = ObjectState::default();
        if write.event.verb == "create" && write.event.subresource.is_empty() {
            state.existence = Existence::NotYet;
        } else {
            state.existence = Existence::Present;
            state.unknown.push(
                "it existed before the first write in this evidence; what it was then is not known"
                    .to_owned(),
            );
        }
        fold.objects.insert(key, state);
    }
    fold.objects.retain(|(_, name), _| target.name.is_empty() || *name == target.name);
    let mut notes = all.notes.clone();
    if fold.nameless > 0 {
        notes.push(format!(
            "{} creations name no object at their level (generateName): which objects these are is not known",
            fold.nameless
        ));
    }
    Rebuilt {
        objects: fold.objects,
        failed: all.failed,
        dry_runs: all.dry_runs,
        notes,
        last_read: None,
    }
}

fn last_read(
    evidence: &dyn Evidence,
    target: &Target,
    moment: Option<Timestamp>,
) -> Result<Option<TimelineEvent>, SearchError> {
    let options = SearchOptions {
        range: TimeRange { since: None, until: moment.map(|m| Timestamp(m.0.saturating_add(1))) },
        order: SortOrder::Newest,
        limit: 1,
        count_all: false,
    };
    let hits = evidence.search(&target.reads(), &options)?;
    Ok(describe(evidence, &hits.hits)?.into_iter().next())
}

/// A read tells of an object that no write tells of: found or not found.
fn judge_by_read(rebuilt: &mut Rebuilt, target: &Target) {
    if !rebuilt.objects.is_empty() {
        return;
    }
    let Some(read) = &rebuilt.last_read else { return };
    let existence = match read.code {
        Some(200) => Existence::Present,
        Some(404) => Existence::NotYet,
        _ => return,
    };
    let when = read.time.map(Timestamp::to_rfc3339).unwrap_or_default();
    let state = ObjectState {
        existence,
        unknown: vec![format!(
            "no write to it is in the evidence; that is known only from a read at {when} with code {}",
            read.code.unwrap_or_default()
        )],
        ..ObjectState::default()
    };
    rebuilt.objects.insert((read.namespace.clone(), target.name.clone()), state);
}

/// What differs between two states of an object: `(path, before, after)` for every leaf.
pub fn diff(before: &ObjectState, after: &ObjectState) -> Vec<(String, String, String)> {
    let gone = |state: &ObjectState| {
        matches!(state.existence, Existence::Deleted | Existence::NotYet | Existence::Unknown)
    };
    let leaves_of = |state: &ObjectState| {
        let mut found = BTreeMap::new();
        if !gone(state) {
            leaves(&state.object, &mut found);
        }
        found
    };
    let mut rows = differences(&leaves_of(before), &leaves_of(after));
    if before.existence != after.existence {
        rows.insert(
            0,
            (
                "existence".to_owned(),
                before.existence.name().to_owned(),
                after.existence.name().to_owned(),
            ),
        );
    }
    rows
}

/// Lays a value flat: elements of lists that have a `name` or `type` are named by it.
fn leaves(root: &Value, found: &mut BTreeMap<String, Value>) {
    let mut open = vec![(String::new(), root, 0)];
    while let Some((path, value, depth)) = open.pop() {
        let join = |part: &str| {
            if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") }
        };
        match value {
            Value::Object(map) if !map.is_empty() && depth < MAX_DEPTH => {
                open.extend(map.iter().map(|(key, v)| (join(key), v, depth + 1)));
            }
            Value::Array(items) if !items.is_empty() && depth < MAX_DEPTH => {
                for (place, item) in items.iter().enumerate() {
                    let name = ["name", "type"]
                        .iter()
                        .find_map(|key| item.get(*key).and_then(Value::as_str))
                        .map_or_else(|| place.to_string(), str::to_owned);
                    open.push((join(&format!("[{name}]")), item, depth + 1));
                }
            }
            Value::Null => {}
            leaf => {
                found.insert(path, leaf.clone());
            }
        }
    }
}
