//! Which dialect of JSON Schema holds for a SCHEMA that names none, and what of a SCHEMA is said otherwise to the crate.

use serde_json::{json, Map, Value};

/// The number of the dialect that holds for a SCHEMA that does not say it.
pub fn draft(schema: &[u8]) -> u32 {
    match serde_json::from_slice(schema).map(|schema| dialect(&schema)) {
        Ok(jsonschema::Draft::Draft4) => 4,
        Ok(jsonschema::Draft::Draft7) => 7,
        _ => 2020,
    }
}

/// The dialect of a SCHEMA that does not say it: the newest, unless it uses what that one no longer knows.
pub(super) fn dialect(schema: &Value) -> jsonschema::Draft {
    let (mut fourth, mut seventh) = (false, false);
    let mut left = vec![schema];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(members) => {
                fourth |= ["exclusiveMinimum", "exclusiveMaximum"]
                    .iter()
                    .any(|key| members.get(*key).is_some_and(Value::is_boolean));
                seventh |= members.get("items").is_some_and(Value::is_array)
                    || members.contains_key("dependencies")
                    || members.contains_key("additionalItems");
                left.extend(members.values());
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    match (fourth, seventh) {
        (true, _) => jsonschema::Draft::Draft4,
        (false, true) => jsonschema::Draft::Draft7,
        (false, false) => jsonschema::Draft::Draft202012,
    }
}

/// A copy that the crate judges as SPEC.md does: without what it would compute in floats, and with lists of types taken apart,
/// for in a list it does not take `1.0` for an integer.
pub(super) fn adapted(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let float = |key: &str, value: &Value| key == "multipleOf" && value.is_number() && !value.is_u64();
            let kept = members.iter().filter(|(key, value)| !float(key, value));
            let mut made: Map<String, Value> = kept
                .map(|(key, value)| match key.as_str() {
                    "enum" | "const" => (key.clone(), value.clone()),
                    _ => (key.clone(), adapted(value)),
                })
                .collect();
            if let Some(choice) = made.get("type").and_then(each_type) {
                made.remove("type");
                match made.get_mut("allOf") {
                    Some(Value::Array(all)) => all.push(choice),
                    _ => drop(made.insert("allOf".into(), Value::Array(vec![choice]))),
                }
            }
            Value::Object(made)
        }
        Value::Array(items) => items.iter().map(adapted).collect(),
        other => other.clone(),
    }
}

/// A list of types with `integer` and without `number`, as a choice between them.
fn each_type(types: &Value) -> Option<Value> {
    let types = types.as_array()?;
    let has = |name: &str| types.iter().any(|one| one == name);
    if !types.iter().all(Value::is_string) || !has("integer") || has("number") {
        return None;
    }
    let choice: Vec<Value> = types.iter().map(|one| json!({ "type": one })).collect();
    Some(json!({ "anyOf": choice }))
}
