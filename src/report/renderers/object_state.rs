//! What the time machine rebuilt, for people and for programs.

use std::io::Write;

use serde_json::Value;
use serde_json::json;

use crate::event::time::Timestamp;
use crate::hunt::state::fold::Change;
use crate::hunt::state::fold::ObjectState;
use crate::hunt::state::history::Link;
use crate::hunt::state::rebuild::Rebuilt;
use crate::hunt::state::write::Target;
use crate::report::renderers::yaml::write_yaml;
use crate::report::sanitize;
use crate::report::table::write_table;

/// `namespace/name` of an object.
fn label(key: &(String, String)) -> String {
    if key.0.is_empty() { key.1.clone() } else { format!("{}/{}", key.0, key.1) }
}

fn time_text(time: Option<Timestamp>) -> String {
    time.map(Timestamp::to_rfc3339).unwrap_or_default()
}

fn state_json(kind: &str, key: &(String, String), state: &ObjectState) -> Value {
    let last = state.changes.last().map(|change| change.event.to_json());
    json!({
        "kind": kind,
        "namespace": (!key.0.is_empty()).then_some(&key.0),
        "name": key.1,
        "existence": state.existence.name(),
        "known": state.knowledge.name(),
        "complete": state.unknown.is_empty() && state.knowledge.name() == "whole",
        "object": state.object,
        "unknown": state.unknown,
        "writes": state.changes.len(),
        "last_write": last,
    })
}

fn change_json(change: &Change) -> Value {
    let changes: Vec<Value> = change
        .changes
        .iter()
        .map(|(path, before, after)| json!({"path": path, "before": before, "after": after}))
        .collect();
    json!({
        "event": change.event.to_json(),
        "existence": change.existence.name(),
        "changes": changes,
        "unknown": change.unknown,
    })
}

/// The JSON form of a state: one object, with the single object's keys at the top where one was
/// asked for.
pub fn rebuilt_json(target: &Target, moment: Option<Timestamp>, rebuilt: &Rebuilt) -> Value {
    let objects: Vec<Value> =
        rebuilt.objects.iter().map(|(key, state)| state_json(&target.kind, key, state)).collect();
    let mut all = json!({
        "command": "state",
        "kind": target.kind,
        "namespace": (!target.namespace.is_empty()).then_some(&target.namespace),
        "name": (!target.name.is_empty()).then_some(&target.name),
        "at": moment.map(Timestamp::to_rfc3339),
    });
    if let (Some(map), [only]) = (all.as_object_mut(), objects.as_slice())
        && !target.name.is_empty()
    {
        for (key, value) in only.as_object().into_iter().flatten() {
            map.insert(key.clone(), value.clone());
        }
    }
    if let Some(map) = all.as_object_mut() {
        map.insert("objects".to_owned(), Value::Array(objects));
        map.insert("failed_requests_skipped".to_owned(), rebuilt.failed.into());
        map.insert("dry_runs_skipped".to_owned(), rebuilt.dry_runs.into());
        map.insert("notes".to_owned(), rebuilt.notes.clone().into());
    }
    all
}

fn write_notes(notes: &[String], out: &mut dyn Write) -> std::io::Result<()> {
    for note in notes {
        writeln!(out, "note: {}", sanitize::terminal(note))?;
    }
    Ok(())
}

fn write_skipped(rebuilt: &Rebuilt, out: &mut dyn Write) -> std::io::Result<()> {
    if rebuilt.failed + rebuilt.dry_runs > 0 {
        writeln!(
            out,
            "note: {} failed requests and {} dry runs were not folded in",
            rebuilt.failed, rebuilt.dry_runs
        )?;
    }
    write_notes(&rebuilt.notes, out)
}

/// Writes the state for people: a table of many objects, or one as YAML.
///
/// # Errors
/// When writing fails.
pub fn write_text(
    target: &Target,
    moment: Option<Timestamp>,
    rebuilt: &Rebuilt,
    width: Option<usize>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if target.name.is_empty() {
        let columns = ["namespace", "name", "existence", "known", "last_write", "verb", "user"];
        let rows: Vec<Vec<String>> = rebuilt
            .objects
            .iter()
            .map(|(key, state)| {
                let last = state.changes.last().map(|change| &change.event);
                [
                    key.0.clone(),
                    key.1.clone(),
                    state.existence.name().to_owned(),
                    state.knowledge.name().to_owned(),
                    time_text(last.and_then(|event| event.time)),
                    last.map(|event| event.verb.clone()).unwrap_or_default(),
                    last.map(|event| event.user.clone()).unwrap_or_default(),
                ]
                .iter()
                .map(|cell| sanitize::terminal(cell).into_owned())
                .collect()
            })
            .collect();
        write_table(&columns.map(str::to_owned), &rows, width, false, out)?;
        return write_skipped(rebuilt, out);
    }
    for (key, state) in &rebuilt.objects {
        writeln!(
            out,
            "# {} {} at {}: {}, known: {}",
            sanitize::terminal(&target.kind),
            sanitize::terminal(&label(key)),
            moment.map_or_else(|| "the end of the evidence".to_owned(), Timestamp::to_rfc3339),
            state.existence.name(),
            state.knowledge.name()
        )?;
        if let Some(change) = state.changes.last() {
            writeln!(
                out,
                "# last write: {} {}",
                time_text(change.event.time),
                sanitize::terminal(&change.event.message())
            )?;
        }
        for why in &state.unknown {
            writeln!(out, "# unknown: {}", sanitize::terminal(why))?;
        }
        if !state.object.is_null() {
            write_yaml(&state.object, 0, out)?;
        }
    }
    write_skipped(rebuilt, out)
}

/// The JSON form of a history.
pub fn history_json(target: &Target, links: &[Link], why: &str, first: &Rebuilt) -> Value {
    let links: Vec<Value> = links
        .iter()
        .map(|link| {
            let mut state = state_json(&link.kind, &link.key, &link.state);
            if let Some(map) = state.as_object_mut() {
                map.insert(
                    "history".to_owned(),
                    link.state.changes.iter().map(change_json).collect(),
                );
            }
            state
        })
        .collect();
    json!({
        "command": "state",
        "kind": target.kind,
        "namespace": (!target.namespace.is_empty()).then_some(&target.namespace),
        "name": target.name,
        "objects": links,
        "owner_chain_ends": why,
        "failed_requests_skipped": first.failed,
        "dry_runs_skipped": first.dry_runs,
        "notes": first.notes,
    })
}

/// Writes a history for people: only writes that changed the signature or left something unknown.
///
/// # Errors
/// When writing fails.
pub fn write_history(
    links: &[Link],
    why: &str,
    first: &Rebuilt,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for link in links {
        writeln!(
            out,
            "{} {}: {}",
            sanitize::terminal(&link.kind),
            sanitize::terminal(&label(&link.key)),
            link.state.existence.name()
        )?;
        let mut quiet = 0_usize;
        for change in &link.state.changes {
            let event = &change.event;
            let telling = matches!(event.verb.as_str(), "create" | "delete" | "deletecollection");
            if change.changes.is_empty() && change.unknown.is_empty() && !telling {
                quiet += 1;
                continue;
            }
            writeln!(
                out,
                "  {}  {}  [{}]",
                time_text(event.time),
                sanitize::terminal(&event.message()),
                sanitize::terminal(&event.audit_id)
            )?;
            for (path, before, after) in &change.changes {
                let arrow = match (before.as_str(), after.as_str()) {
                    ("", after) => format!("+ {path}: {after}"),
                    (before, "") => format!("- {path}: {before}"),
                    (before, after) => format!("~ {path}: {before} -> {after}"),
                };
                writeln!(out, "      {}", sanitize::terminal(&arrow))?;
            }
            for why in &change.unknown {
                writeln!(out, "      ? {}", sanitize::terminal(why))?;
            }
        }
        if quiet > 0 {
            writeln!(out, "  ({quiet} more writes changed nothing of its signature)")?;
        }
    }
    writeln!(out, "note: the owner chain ends: {}", sanitize::terminal(why))?;
    write_skipped(first, out)
}

/// One object of a difference: its key and `(path, before, after)`.
pub type Difference = ((String, String), Vec<(String, String, String)>);

/// The JSON form of a difference.
pub fn diff_json(
    target: &Target,
    from: Timestamp,
    to: Timestamp,
    differences: &[Difference],
    notes: &[String],
) -> Value {
    let objects: Vec<Value> = differences
        .iter()
        .map(|(key, rows)| {
            let changes: Vec<Value> = rows
                .iter()
                .map(
                    |(path, before, after)| json!({"path": path, "before": before, "after": after}),
                )
                .collect();
            json!({"namespace": key.0, "name": key.1, "changes": changes})
        })
        .collect();
    json!({
        "command": "state",
        "kind": target.kind,
        "from": from.to_rfc3339(),
        "to": to.to_rfc3339(),
        "differences": objects,
        "notes": notes,
    })
}

/// Writes a difference for people.
///
/// # Errors
/// When writing fails.
pub fn write_diff(
    target: &Target,
    differences: &[Difference],
    notes: &[String],
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for (key, rows) in differences {
        writeln!(out, "{} {}", sanitize::terminal(&target.kind), sanitize::terminal(&label(key)))?;
        for (path, before, after) in rows {
            if !before.is_empty() {
                writeln!(out, "- {}", sanitize::terminal(&format!("{path}: {before}")))?;
            }
            if !after.is_empty() {
                writeln!(out, "+ {}", sanitize::terminal(&format!("{path}: {after}")))?;
            }
        }
    }
    write_notes(notes, out)
}
