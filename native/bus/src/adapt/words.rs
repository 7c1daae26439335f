//! The words of a SCHEMA, put as a receiver understands them.
//!
//! What is put in another way allows the same values or more: the bus judges records by the SCHEMA as it came.
//! Sources: the drafts' own texts (exclusive bounds are booleans up to draft 4, numbers from draft 6 on).

use super::{Adapt, Bounds, Rule};
use serde_json::{Map, Number, Value};

/// Keywords whose value maps names to schemas.
const NAMED: [&str; 6] = [
    "properties",
    "patternProperties",
    "definitions",
    "$defs",
    "dependentSchemas",
    "dependencies",
];
/// Keywords whose value is a schema, or a list of them.
const NESTED: [&str; 15] = [
    "items",
    "prefixItems",
    "additionalItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
    "anyOf",
    "oneOf",
    "allOf",
];
/// The largest number whose bound a 64-bit column may need.
const LARGEST: f64 = 18_446_744_073_709_551_615.0;

/// Puts a schema as the receiver understands it; `told` hears of each change.
pub fn suit(schema: &mut Value, adapt: &Adapt, told: &mut dyn FnMut(Rule)) {
    let Value::Object(words) = schema else {
        if let Value::Array(schemas) = schema {
            schemas.iter_mut().for_each(|one| suit(one, adapt, told));
        }
        return;
    };
    let does = |rule: Rule| adapt.rules.contains(&rule);
    if does(Rule::SchemaKeyword) && words.get("$schema").is_some_and(Value::is_string) {
        words.shift_remove("$schema");
        told(Rule::SchemaKeyword);
    }
    if does(Rule::ExclusiveBounds) {
        for (exclusive, bound, upper) in [
            ("exclusiveMinimum", "minimum", false),
            ("exclusiveMaximum", "maximum", true),
        ] {
            if exclusive_bound(words, exclusive, bound, upper, adapt.bounds) {
                told(Rule::ExclusiveBounds);
            }
        }
    }
    if does(Rule::MultipleOf) && words.get("multipleOf").is_some_and(Value::is_number) {
        words.shift_remove("multipleOf");
        told(Rule::MultipleOf);
    }
    if does(Rule::LargeBounds) {
        for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
            if large_bound(words, bound, exclusive) {
                told(Rule::LargeBounds);
            }
        }
    }
    for (keyword, value) in words.iter_mut() {
        if NAMED.contains(&keyword.as_str()) {
            if let Value::Object(named) = value {
                named.values_mut().for_each(|one| suit(one, adapt, told));
            }
        } else if NESTED.contains(&keyword.as_str()) {
            suit(value, adapt, told);
        }
    }
}

fn value_of(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::INFINITY)
}

/// Whether an exclusive bound was put in another way.
fn exclusive_bound(words: &mut Map<String, Value>, exclusive: &str, bound: &str, upper: bool, known: Bounds) -> bool {
    let limit = match words.get(bound) {
        Some(Value::Number(limit)) => Some(limit.clone()),
        _ => None,
    };
    match (words.get(exclusive).cloned(), known) {
        (Some(Value::Bool(_)), Bounds::Boolean) | (Some(Value::Number(_)), Bounds::Number) => false,
        (Some(Value::Bool(true)), Bounds::Number) => {
            words.shift_remove(exclusive);
            if let Some(limit) = limit {
                words.shift_remove(bound);
                words.insert(exclusive.into(), Value::Number(limit));
            }
            true
        }
        (Some(Value::Bool(_)), _) => {
            words.shift_remove(exclusive);
            true
        }
        (Some(Value::Number(number)), _) => {
            // Of two bounds the narrower one holds.
            let tighter = limit.is_none_or(|limit| match upper {
                true => value_of(&number) <= value_of(&limit),
                false => value_of(&number) >= value_of(&limit),
            });
            words.shift_remove(exclusive);
            if tighter {
                words.insert(bound.into(), Value::Number(number));
                if known == Bounds::Boolean {
                    words.insert(exclusive.into(), Value::Bool(true));
                }
            }
            true
        }
        _ => false,
    }
}

/// Whether a bound was left out that no 64-bit column needs.
fn large_bound(words: &mut Map<String, Value>, bound: &str, exclusive: &str) -> bool {
    let large = |value: Option<&Value>| match value {
        Some(Value::Number(number)) => value_of(number).abs() > LARGEST,
        _ => false,
    };
    let mut left = false;
    if large(words.get(bound)) {
        words.shift_remove(bound);
        if words.get(exclusive).is_some_and(Value::is_boolean) {
            words.shift_remove(exclusive);
        }
        left = true;
    }
    if large(words.get(exclusive)) {
        words.shift_remove(exclusive);
        left = true;
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn suited(bounds: &str, mut schema: Value) -> (Value, usize) {
        let rules = ["schema-keyword", "exclusive-bounds", "multiple-of", "large-bounds"];
        let adapt: Adapt = serde_json::from_value(json!({"rules": rules, "bounds": bounds})).unwrap();
        let mut count = 0;
        suit(&mut schema, &adapt, &mut |_| count += 1);
        (schema, count)
    }

    #[test]
    fn bounds_as_each_draft_has_them() {
        for (bounds, given, wanted) in [
            (
                "number",
                json!({"maximum": 5, "exclusiveMaximum": true}),
                json!({"exclusiveMaximum": 5}),
            ),
            (
                "number",
                json!({"minimum": 5, "exclusiveMinimum": false}),
                json!({"minimum": 5}),
            ),
            ("number", json!({"exclusiveMinimum": true}), json!({})),
            ("number", json!({"exclusiveMinimum": 3}), json!({"exclusiveMinimum": 3})),
            (
                "boolean",
                json!({"exclusiveMaximum": 5}),
                json!({"maximum": 5, "exclusiveMaximum": true}),
            ),
            (
                "boolean",
                json!({"exclusiveMaximum": 9, "maximum": 5}),
                json!({"maximum": 5}),
            ),
            (
                "boolean",
                json!({"maximum": 5, "exclusiveMaximum": true}),
                json!({"maximum": 5, "exclusiveMaximum": true}),
            ),
            (
                "inclusive",
                json!({"maximum": 5, "exclusiveMaximum": true}),
                json!({"maximum": 5}),
            ),
            (
                "inclusive",
                json!({"exclusiveMinimum": 7, "minimum": 5}),
                json!({"minimum": 7}),
            ),
        ] {
            assert_eq!(suited(bounds, given.clone()).0, wanted, "{bounds} {given}");
        }
    }

    #[test]
    fn what_pipelinewise_sends_for_numeric() {
        let text = format!(
            r#"{{"type":["null","number"],"exclusiveMaximum":true,"maximum":1{0},"multipleOf":1E-38,"exclusiveMinimum":true,"minimum":-1{0}}}"#,
            "0".repeat(61)
        );
        for bounds in ["number", "boolean", "inclusive"] {
            let (schema, count) = suited(bounds, serde_json::from_str(&text).unwrap());
            assert_eq!(schema, json!({"type": ["null", "number"]}), "{bounds}");
            assert!(count >= 3, "{count}");
        }
    }

    #[test]
    fn columns_and_values_are_no_words() {
        let schema = json!({"properties": {"multipleOf": {"enum": [{"multipleOf": 2}], "default": {"$schema": "x"}},
            "maximum": {"anyOf": [{"maximum": 1}]}}, "required": ["$schema"]});
        assert_eq!(suited("number", schema.clone()), (schema, 0));
    }

    #[test]
    fn every_place_where_a_schema_may_stand() {
        let odd = json!({"multipleOf": 2});
        let schema = json!({"properties": {"a": odd}, "definitions": {"a": odd}, "items": [odd, odd], "not": odd,
            "allOf": [odd, {"then": {"additionalProperties": odd}}]});
        assert_eq!(suited("number", schema).1, 7);
    }

    #[test]
    fn bounds_of_64_bits_stay() {
        let schema = json!({"minimum": i64::MIN, "maximum": u64::MAX});
        assert_eq!(suited("number", schema.clone()), (schema, 0));
    }
}
