//! Which dialect of JSON Schema holds for a SCHEMA that names none.

use serde_json::Value;

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
