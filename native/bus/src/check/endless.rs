//! What a SCHEMA's references would cost: a SCHEMA of one line can ask for more rules than any memory holds (I10).
//!
//! Rules *stand together* when they judge the same value: those of `allOf`, of a condition, of what a `$ref` names. A value is judged by
//! all of them, so their number is bounded here before crate `jsonschema` unfolds them. What judges a value further in (`properties`,
//! `items`) may come round to itself: a record ends somewhere.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Rules that stand together, at most.
const MOST_TOGETHER: u64 = 10_000;
/// References in a SCHEMA, at most: the crate follows them one inside the other.
const MOST_REFERENCES: usize = 1_000;
/// References that stand together, one inside the other, at most.
const DEEPEST: usize = 200;

/// Says why a SCHEMA must not be unfolded.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let all = parts(schema);
    let said = |part: &Value, key: &str| part.get(key).is_some_and(Value::is_string);
    let references = all.iter().filter(|part| said(part, "$ref")).count();
    if references > MOST_REFERENCES {
        return Err(format!("it has more than {MOST_REFERENCES} references"));
    }
    if references > 0 && all.iter().skip(1).any(|part| said(part, "$id") || said(part, "id")) {
        return Err("its references depend on an $id within it".into());
    }
    let mut anchors = HashMap::new();
    for part in &all {
        for name in ["$anchor", "$dynamicAnchor"]
            .iter()
            .filter_map(|key| part.get(key)?.as_str())
        {
            if anchors.insert(name, *part).is_some() {
                return Err(format!("its anchor {name:?} is in two places"));
            }
        }
    }
    let mut found = Unfolded {
        root: schema,
        anchors,
        sizes: HashMap::new(),
        way: Vec::new(),
    };
    for part in all {
        if found.size(part)? > MOST_TOGETHER {
            return Err(format!("it has more than {MOST_TOGETHER} rules for one value"));
        }
    }
    Ok(())
}

/// All values in a SCHEMA, itself first.
fn parts(schema: &Value) -> Vec<&Value> {
    let (mut found, mut at) = (vec![schema], 0);
    while let Some(value) = found.get(at).copied() {
        match value {
            Value::Object(members) => found.extend(members.values()),
            Value::Array(items) => found.extend(items),
            _ => {}
        }
        at += 1;
    }
    found
}

/// How many rules stand together at each place that was looked at.
struct Unfolded<'a> {
    root: &'a Value,
    anchors: HashMap<&'a str, &'a Value>,
    sizes: HashMap<*const Value, u64>,
    /// The places that are being looked at, one inside the other.
    way: Vec<*const Value>,
}

impl<'a> Unfolded<'a> {
    fn size(&mut self, schema: &'a Value) -> Result<u64, String> {
        let place: *const Value = schema;
        if let Some(&known) = self.sizes.get(&place) {
            return Ok(known);
        }
        if self.way.contains(&place) {
            return Err("it refers to itself without end".into());
        }
        if self.way.len() > DEEPEST {
            return Err(format!("its rules for one value are more than {DEEPEST} deep"));
        }
        self.way.push(place);
        let mut size = 1_u64;
        for part in self.beside(schema) {
            size = size.saturating_add(self.size(part)?);
        }
        self.way.pop();
        self.sizes.insert(place, size);
        Ok(size)
    }

    /// The schemas that judge the same value as this one.
    fn beside(&self, schema: &'a Value) -> Vec<&'a Value> {
        let mut found = Vec::new();
        let Value::Object(members) = schema else { return found };
        for (key, value) in members {
            match (key.as_str(), value) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(name)) => found.extend(self.named(name)),
                ("allOf" | "anyOf" | "oneOf", Value::Array(branches)) => found.extend(branches),
                ("not" | "if" | "then" | "else", part) => found.push(part),
                ("dependentSchemas" | "dependencies", Value::Object(parts)) => found.extend(parts.values()),
                _ => {}
            }
        }
        found
    }

    /// What a reference within the SCHEMA names: a place, or an anchor.
    fn named(&self, reference: &str) -> Option<&'a Value> {
        let (_, name) = reference.split_once('#').unwrap_or((reference, ""));
        let name = percent_decode_str(name).decode_utf8_lossy();
        self.root.pointer(&name).or_else(|| self.anchors.get(&*name).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::json;

    #[test]
    fn what_refers_to_itself_for_the_same_value_has_no_end() {
        let own = json!({"$ref": "#/definitions/a"});
        for rule in [
            json!({"allOf": [own, {}]}),
            json!({"anyOf": [own, own]}),
            own.clone(),
            json!({"not": own}),
        ] {
            let schema = json!({"definitions": {"a": rule}, "properties": {"p": own}});
            assert_eq!(check(&schema), Err("it refers to itself without end".into()));
        }
        assert!(check(&json!({"$ref": "#"})).is_err());
        let anchored = json!({"$anchor": "me", "allOf": [{"$ref": "#me"}]});
        assert!(check(&json!({"properties": {"p": anchored}})).is_err());
        let twice = json!({"$ref": "#me", "items": {"$anchor": "me"}, "not": {"$anchor": "me"}});
        assert_eq!(check(&twice), Err("its anchor \"me\" is in two places".into()));
        let escaped = json!({"definitions": {"a b": {"$ref": "#/definitions/a%20b"}}});
        assert!(check(&escaped).is_err());
        let moved = json!({"$id": "x", "definitions": {"a": {"$ref": "#/definitions/a"}}});
        assert!(check(&json!({"properties": {"p": moved}})).is_err());
    }

    #[test]
    fn what_refers_to_itself_further_in_is_good() {
        let own = json!({"$ref": "#"});
        let schema = json!({"properties": {"l": own, "r": own}, "items": {"anyOf": [own, {"type": "null"}]}});
        assert_eq!(check(&schema), Ok(()));
    }

    #[test]
    fn what_doubles_at_each_step_is_too_much() {
        let mut definitions = json!({"a30": {"type": "integer"}});
        for at in 0..30 {
            let next = json!({"$ref": format!("#/definitions/a{}", at + 1)});
            definitions[format!("a{at}")] = json!({"allOf": [next, next]});
        }
        let schema = json!({"definitions": definitions, "$ref": "#/definitions/a0"});
        assert!(check(&schema).is_err_and(|why| why.contains("rules for one value")));
    }

    #[test]
    fn a_long_chain_is_too_much() {
        let chain = |length: usize| {
            let mut definitions = json!({});
            for at in 0..length {
                let next = json!({"$ref": format!("#/definitions/a{}", at + 1)});
                definitions[format!("a{at}")] = json!({"properties": {"x": next}});
            }
            json!({"definitions": definitions})
        };
        assert_eq!(check(&chain(900)), Ok(()));
        assert!(check(&chain(1_001)).is_err());
    }
}
