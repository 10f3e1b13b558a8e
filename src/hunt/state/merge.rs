//! Merge patches: RFC 7396, and the strategic merge patch of Kubernetes with its directives.

use serde_json::Map;
use serde_json::Value;

use crate::hunt::state::value::MAX_DEPTH;

/// How lists are read where a patch does not say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 7396: a list replaces a list.
    Merge,
    /// Strategic merge patch: lists with a merge key are merged by it.
    Strategic,
}

/// Keys by which the lists of built-in types merge (`patchMergeKey` in k8s.io/api types.go).
const MERGE_KEYS: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("volumes", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("secrets", &["name"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("webhooks", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("ports", &["containerPort", "port"]),
    ("hostAliases", &["ip"]),
    ("podIPs", &["ip"]),
    ("hostIPs", &["ip"]),
    ("conditions", &["type"]),
    ("addresses", &["type"]),
    ("taints", &["key"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("ownerReferences", &["uid"]),
];

/// Lists of plain values that merge instead of being replaced.
const MERGED_PRIMITIVES: &[&str] = &["finalizers"];

/// Says whether a patch carries a directive that only strategic merge patches have.
pub fn is_strategic(patch: &Value) -> bool {
    let mut open = vec![patch];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if map.keys().any(|key| key.starts_with('$')) {
                    return true;
                }
                open.extend(map.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    false
}

/// Says whether a patch holds a list, so that the dialect makes a difference.
pub fn has_list(patch: &Value) -> bool {
    let mut open = vec![patch];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(_) => return true,
            Value::Object(map) => open.extend(map.values()),
            _ => {}
        }
    }
    false
}

/// Applies a merge patch.
pub fn apply(target: &mut Value, patch: &Value, dialect: Dialect) {
    merge(target, patch, dialect, 0);
}

// Values are at most MAX_DEPTH deep (value.rs), and so is this recursion.
fn merge(target: &mut Value, patch: &Value, dialect: Dialect, depth: usize) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if depth > MAX_DEPTH {
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    if dialect == Dialect::Strategic {
        match changes.get("$patch").and_then(Value::as_str) {
            Some("replace") => map.clear(),
            Some("delete") => {
                map.clear();
                return;
            }
            _ => {}
        }
    }
    for (key, change) in changes {
        if dialect == Dialect::Strategic && key.starts_with('$') {
            continue;
        }
        match change {
            Value::Null => {
                map.shift_remove(key);
            }
            Value::Array(items) if dialect == Dialect::Strategic => {
                let list = map.entry(key.clone()).or_insert(Value::Null);
                merge_list(list, key, items, depth + 1);
            }
            Value::Object(inner) if deletes(inner, dialect) => {
                map.shift_remove(key);
            }
            other => {
                let slot = map.entry(key.clone()).or_insert(Value::Null);
                merge(slot, other, dialect, depth + 1);
            }
        }
    }
    if dialect == Dialect::Strategic {
        directives(map, changes);
    }
}

fn deletes(change: &Map<String, Value>, dialect: Dialect) -> bool {
    dialect == Dialect::Strategic && change.get("$patch").and_then(Value::as_str) == Some("delete")
}

/// Applies `$deleteFromPrimitiveList/F`, `$setElementOrder/F` and `$retainKeys`.
fn directives(map: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (key, change) in changes {
        let Some(values) = change.as_array() else { continue };
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let Some(Value::Array(list)) = map.get_mut(field) {
                list.retain(|item| !values.contains(item));
            }
        } else if let Some(field) = key.strip_prefix("$setElementOrder/") {
            if let Some(Value::Array(list)) = map.get_mut(field) {
                let place = |item: &Value| {
                    let found = values.iter().position(|wanted| same_element(field, wanted, item));
                    found.unwrap_or(values.len())
                };
                list.sort_by_key(place);
            }
        } else if key == "$retainKeys" {
            map.retain(|name, _| values.iter().any(|v| v.as_str() == Some(name)));
        }
    }
}

fn merge_key(field: &str, item: &Value) -> Option<&'static str> {
    let (_, keys) = MERGE_KEYS.iter().find(|(name, _)| *name == field)?;
    keys.iter().copied().find(|key| item.get(key).is_some())
}

fn same_element(field: &str, wanted: &Value, item: &Value) -> bool {
    match merge_key(field, wanted) {
        Some(key) => wanted.get(key) == item.get(key),
        None => wanted == item,
    }
}

fn merge_list(target: &mut Value, field: &str, items: &[Value], depth: usize) {
    let replace = items.iter().any(|item| item.get("$patch").is_some_and(|p| p == "replace"));
    let primitive = MERGED_PRIMITIVES.contains(&field);
    let keyed = MERGE_KEYS.iter().any(|(name, _)| *name == field);
    if replace || !(primitive || keyed) {
        let kept = items.iter().filter(|item| item.get("$patch").is_none());
        *target = Value::Array(kept.cloned().collect());
        return;
    }
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Value::Array(list) = target else { return };
    for item in items {
        let found = list.iter().position(|old| same_element(field, item, old));
        let delete = item.get("$patch").is_some_and(|p| p == "delete");
        match found {
            Some(place) if delete => {
                list.remove(place);
            }
            Some(place) => {
                if let Some(old) = list.get_mut(place) {
                    merge(old, item, Dialect::Strategic, depth + 1);
                }
            }
            None if delete => {}
            None => {
                let mut new = Value::Null;
                merge(&mut new, item, Dialect::Strategic, depth + 1);
                list.push(new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn strategic(mut target: Value, patch: Value) -> Value {
        apply(&mut target, &patch, Dialect::Strategic);
        target
    }

    #[test]
    fn a_merge_patch_replaces_lists_and_deletes_with_null() {
        let mut target = json!({"a": [1, 2], "b": {"c": 1, "d": 2}});
        apply(&mut target, &json!({"a": [3], "b": {"c": null}}), Dialect::Merge);
        assert_eq!(target, json!({"a": [3], "b": {"d": 2}}));
    }

    #[test]
    fn strategic_lists_merge_by_their_key() {
        let before = json!({"containers": [{"name": "a", "image": "x"}, {"name": "b"}]});
        let patch = json!({
            "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
            "containers": [{"name": "a", "image": "y"}, {"name": "c"}]
        });
        assert!(is_strategic(&patch));
        assert_eq!(
            strategic(before, patch),
            json!({"containers": [{"name": "c"}, {"name": "b"}, {"name": "a", "image": "y"}]})
        );
    }

    #[test]
    fn directives_delete_replace_and_retain() {
        let before = json!({"volumes": [{"name": "a"}, {"name": "b"}], "strategy": {"rollingUpdate": {}, "type": "RollingUpdate"}, "finalizers": ["x", "y"]});
        let patch = json!({
            "volumes": [{"name": "a", "$patch": "delete"}],
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "$deleteFromPrimitiveList/finalizers": ["x"]
        });
        assert_eq!(
            strategic(before, patch),
            json!({"volumes": [{"name": "b"}], "strategy": {"type": "Recreate"}, "finalizers": ["y"]})
        );
        let replaced = strategic(
            json!({"env": [{"name": "a"}], "m": {"x": 1}}),
            json!({"env": [{"name": "b"}, {"$patch": "replace"}], "m": {"$patch": "replace", "y": 2}}),
        );
        assert_eq!(replaced, json!({"env": [{"name": "b"}], "m": {"y": 2}}));
    }

    #[test]
    fn lists_without_a_key_are_replaced() {
        let after =
            strategic(json!({"subjects": [{"name": "a"}]}), json!({"subjects": [{"name": "b"}]}));
        assert_eq!(after, json!({"subjects": [{"name": "b"}]}));
    }
}
