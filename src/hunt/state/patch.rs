//! JSON patch (RFC 6902): a list of operations applied to a value.

use serde_json::Map;
use serde_json::Value;

use crate::hunt::state::value::MAX_DEPTH;
use crate::hunt::state::value::extent;

/// The API server takes no more operations in one patch (maxJSONPatchOperations).
const MAX_OPERATIONS: usize = 10_000;

/// A patch that copies more values than this is a bomb (the server limits copies as well).
const MAX_COPIED: usize = 200_000;

/// Applies the operations in their order and returns one sentence for each that found nothing to
/// work on (because what stood there is not known) or that no server would have accepted.
pub fn apply(target: &mut Value, operations: &[Value]) -> Vec<String> {
    let mut missed = Vec::new();
    let mut budget = MAX_COPIED;
    for operation in operations.iter().take(MAX_OPERATIONS) {
        if apply_one(target, operation, &mut budget).is_none() {
            let op = operation.get("op").and_then(Value::as_str).unwrap_or("?");
            let path = operation.get("path").and_then(Value::as_str).unwrap_or("?");
            missed.push(format!("the patch says {op} {path}, and what stood there is not known"));
        }
    }
    missed
}

fn apply_one(target: &mut Value, operation: &Value, budget: &mut usize) -> Option<()> {
    let path = pointer(operation.get("path")?.as_str()?)?;
    let mut fits = |value: Value| {
        let (nodes, depth) = extent(&value);
        *budget = budget.checked_sub(nodes)?;
        (depth + path.len() <= MAX_DEPTH).then_some(value)
    };
    let value = operation.get("value").cloned();
    match operation.get("op")?.as_str()? {
        "add" => add(target, &path, fits(value?)?),
        "replace" => {
            *find(target, &path)? = fits(value?)?;
            Some(())
        }
        "remove" => remove(target, &path).map(|_| ()),
        "move" => {
            let moved = remove(target, &pointer(operation.get("from")?.as_str()?)?)?;
            add(target, &path, fits(moved)?)
        }
        "copy" => {
            let copied = find(target, &pointer(operation.get("from")?.as_str()?)?)?.clone();
            add(target, &path, fits(copied)?)
        }
        // A failed test fails the request, and failed requests are not folded.
        "test" => Some(()),
        _ => None,
    }
}

/// Splits a JSON pointer (RFC 6901) into its decoded parts.
fn pointer(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let rest = text.strip_prefix('/')?;
    if rest.split('/').count() > MAX_DEPTH {
        return None;
    }
    Some(rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
}

fn find<'v>(target: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    let mut here = target;
    for part in path {
        here = match here {
            Value::Object(map) => map.get_mut(part)?,
            Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(here)
}

fn add(target: &mut Value, path: &[String], value: Value) -> Option<()> {
    let Some((last, parents)) = path.split_last() else {
        *target = value;
        return Some(());
    };
    // The server refuses an addition below nothing, so the parent was there: an object unless
    // the last part can only be a place in a list.
    let listlike = last == "-" || last.parse::<usize>().is_ok();
    let mut here = target;
    for part in parents {
        if here.is_null() {
            *here = Value::Object(Map::new());
        }
        here = match here {
            Value::Object(map) => map.entry(part.clone()).or_insert(Value::Null),
            Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    if here.is_null() {
        *here = if listlike { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
    }
    match here {
        Value::Object(map) => {
            map.insert(last.clone(), value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let place = last.parse::<usize>().ok()?;
            if place > items.len() {
                return None;
            }
            items.insert(place, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(target: &mut Value, path: &[String]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    match find(target, parents)? {
        Value::Object(map) => map.shift_remove(last),
        Value::Array(items) => {
            let place = last.parse::<usize>().ok()?;
            (place < items.len()).then(|| items.remove(place))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_operation_of_the_rfc() {
        let mut value = json!({"a": {"b/c": 1}, "l": [1, 3]});
        let missed = apply(
            &mut value,
            json!([
                {"op": "add", "path": "/l/1", "value": 2},
                {"op": "add", "path": "/l/-", "value": 4},
                {"op": "replace", "path": "/a/b~1c", "value": 9},
                {"op": "copy", "from": "/a/b~1c", "path": "/d"},
                {"op": "move", "from": "/a", "path": "/e"},
                {"op": "remove", "path": "/l/0"},
                {"op": "test", "path": "/d", "value": 9}
            ])
            .as_array()
            .unwrap(),
        );
        assert_eq!(value, json!({"l": [2, 3, 4], "d": 9, "e": {"b/c": 9}}));
        assert!(missed.is_empty());
    }

    #[test]
    fn copies_neither_grow_nor_nest_without_end() {
        let mut value = json!({"a": 1});
        let one = json!({"op": "copy", "from": "", "path": "/b"});
        let missed = apply(&mut value, &vec![one; 5000]);
        assert!(!missed.is_empty());
        assert!(extent(&value).1 <= MAX_DEPTH);
    }

    #[test]
    fn what_cannot_be_applied_is_said() {
        let mut value = Value::Null;
        let patch = json!([{"op": "remove", "path": "/spec/x"}, {"op": "zap", "path": "/y"}]);
        assert_eq!(apply(&mut value, patch.as_array().unwrap()).len(), 2);
        let patch = json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}]);
        assert!(apply(&mut value, patch.as_array().unwrap()).is_empty());
        assert_eq!(value, json!({"metadata": {"labels": {"a": "b"}}}));
    }
}
