//! Event texts as values that can be changed, cut at a stated depth.

use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::json::Tape;
use crate::intake::parse::Scratch;
use crate::intake::parse::parse_json;

/// Nothing nests deeper in a real Kubernetes object; what does is replaced by [`TOO_DEEP`].
pub const MAX_DEPTH: usize = 100;

/// Stands where a value was nested deeper than [`MAX_DEPTH`].
pub const TOO_DEEP: &str = "(nested too deep)";

/// Reads one JSON text; `None` where it is none.
pub fn parse(text: &[u8]) -> Option<Value> {
    let mut tape = Tape::default();
    parse_json(text, &mut Scratch::default(), &mut tape).ok()?;
    tape.root(text).map(value_of)
}

/// Copies a value out of its text.
pub fn value_of(json: Json<'_>) -> Value {
    copy(json, 0)
}

// The recursion ends at MAX_DEPTH, whatever the input is.
fn copy(json: Json<'_>, depth: usize) -> Value {
    match json.kind() {
        Kind::Object | Kind::Array if depth >= MAX_DEPTH => Value::String(TOO_DEEP.to_owned()),
        Kind::Object => {
            let mut map = Map::new();
            for (key, value) in json.entries() {
                let key = key.leaf_text().unwrap_or_default().into_owned();
                map.insert(key, copy(value, depth + 1));
            }
            Value::Object(map)
        }
        Kind::Array => Value::Array(json.elements().map(|e| copy(e, depth + 1)).collect()),
        Kind::String | Kind::Key => {
            Value::String(json.leaf_text().unwrap_or_default().into_owned())
        }
        Kind::Number => number(&json.leaf_text().unwrap_or_default()),
        Kind::True => Value::Bool(true),
        Kind::False => Value::Bool(false),
        Kind::Null => Value::Null,
    }
}

/// A number that fits no machine type keeps its digits as text.
fn number(digits: &str) -> Value {
    if let Ok(whole) = digits.parse::<i64>() {
        return Value::Number(whole.into());
    }
    if let Ok(whole) = digits.parse::<u64>() {
        return Value::Number(whole.into());
    }
    digits
        .parse::<f64>()
        .ok()
        .and_then(Number::from_f64)
        .map_or_else(|| Value::String(digits.to_owned()), Value::Number)
}

/// Returns what stands under a chain of keys, `Null` where nothing does.
pub fn at<'v>(value: &'v Value, keys: &[&str]) -> &'v Value {
    static NOTHING: Value = Value::Null;
    let mut here = value;
    for key in keys {
        match here.get(key) {
            Some(next) => here = next,
            None => return &NOTHING,
        }
    }
    here
}

/// Returns the text under a chain of keys; numbers and booleans as written, empty where none.
pub fn text_at(value: &Value, keys: &[&str]) -> String {
    text_of(at(value, keys))
}

/// Returns a leaf as text, anything else as compact JSON, null as nothing.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns the elements of the array under a chain of keys.
pub fn items_at<'v>(value: &'v Value, keys: &[&str]) -> &'v [Value] {
    at(value, keys).as_array().map_or(&[], Vec::as_slice)
}

/// Returns the texts of the array under a chain of keys.
pub fn texts_at(value: &Value, keys: &[&str]) -> Vec<String> {
    items_at(value, keys).iter().map(text_of).collect()
}

/// Puts `new` under a chain of keys, making objects on the way.
pub fn put(value: &mut Value, keys: &[&str], new: Value) {
    let mut here = value;
    for key in keys {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Some(map) = here.as_object_mut() else { return };
        here = map.entry((*key).to_owned()).or_insert(Value::Null);
    }
    *here = new;
}

/// Returns how many values there are in `value`, and how deep they nest.
pub fn extent(value: &Value) -> (usize, usize) {
    let (mut nodes, mut deepest) = (0, 0);
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        nodes += 1;
        deepest = deepest.max(depth);
        match value {
            Value::Object(map) => open.extend(map.values().map(|v| (v, depth + 1))),
            Value::Array(items) => open.extend(items.iter().map(|v| (v, depth + 1))),
            _ => {}
        }
    }
    (nodes, deepest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_cut_and_said() {
        let text = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
        let value = parse(text.as_bytes()).unwrap();
        assert!(value.to_string().contains(TOO_DEEP));
    }

    #[test]
    fn big_numbers_keep_their_digits() {
        let value = parse(br#"{"a":123456789012345678901234567890,"b":18446744073709551615}"#);
        let value = value.unwrap();
        assert_eq!(value["b"].as_u64(), Some(u64::MAX));
        assert!(value["a"].is_f64());
    }
}
