//! What to do when a stream's SCHEMA is another than it was: in this run, or in the runs before it.

use crate::policy::ChangePolicy;
use serde_json::{Map, Value};

/// Keywords that say nothing about what a value may be.
const REMARKS: [&str; 7] = [
    "title",
    "description",
    "default",
    "examples",
    "$comment",
    "$schema",
    "$id",
];

/// A SCHEMA to compare with.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The schema.
    pub schema: Value,
    /// The key's columns, if they are known.
    pub keys: Option<Vec<String>>,
}

/// How a SCHEMA differs from the one before it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Columns that were not there.
    pub added: Vec<String>,
    /// Columns that are there no more.
    pub removed: Vec<String>,
    /// Columns that are something else.
    pub changed: Vec<String>,
    /// Whether the key has other columns.
    pub key: bool,
    /// Rules about the record as a whole.
    pub rules: Vec<String>,
}

/// What becomes of a SCHEMA message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It goes on as it came.
    AsItCame,
    /// This line goes on in its place. In records, these columns are left out, or may not hold a value.
    Instead(Vec<u8>),
    /// Nothing goes on: the receiver has the SCHEMA that stays.
    Nothing,
}

/// What a stream's policy makes of a SCHEMA.
#[derive(Debug)]
pub struct Ruling {
    /// What becomes of the message.
    pub passage: Passage,
    /// The schema that records are checked against.
    pub schema: Value,
    /// Columns that are taken out of records.
    pub dropped: Vec<String>,
    /// Columns that no delivered record may hold a value in.
    pub refused: Vec<String>,
    /// What to tell the user.
    pub notice: Option<String>,
}

/// Rules about a SCHEMA message; `first`: the receiver has none of this stream yet. An error says what may not change.
pub fn rule(
    policy: ChangePolicy,
    line: &[u8],
    before: Option<&Baseline>,
    now: &Baseline,
    first: bool,
) -> Result<Ruling, String> {
    let mut ruling = Ruling {
        passage: Passage::AsItCame,
        schema: now.schema.clone(),
        dropped: Vec::new(),
        refused: Vec::new(),
        notice: None,
    };
    let Some(before) = before else {
        return Ok(ruling);
    };
    let found = Difference::between(before, now);
    if policy == ChangePolicy::Evolve || found.is_none() {
        return Ok(ruling);
    }
    if policy == ChangePolicy::Freeze || found.key {
        return Err(found.words());
    }
    let new: Vec<String> = found.added.iter().chain(&found.changed).cloned().collect();
    match policy {
        ChangePolicy::DiscardColumn => {
            let key = now.keys.iter().flatten().find(|key| new.contains(*key));
            if let Some(key) = key {
                return Err(format!(
                    "{}; {key} is part of the key and cannot be left out",
                    found.words()
                ));
            }
            if !new.is_empty() {
                without(&mut ruling.schema, &new);
                ruling.notice = Some(format!("{}: left out", found.words()));
                ruling.passage = Passage::Instead(with_schema(line, &ruling.schema).ok_or("it cannot be read")?);
            }
            ruling.dropped = new;
        }
        _ => {
            ruling.schema = before.schema.clone();
            ruling.refused = found.added.clone();
            ruling.notice = Some(format!("{}: rows that use it are set aside", found.words()));
            ruling.passage = match first {
                true => Passage::Instead(with_schema(line, &before.schema).ok_or("it cannot be read")?),
                false => Passage::Nothing,
            };
        }
    }
    Ok(ruling)
}

impl Difference {
    /// Compares what the columns may hold, not what is remarked about them.
    pub fn between(before: &Baseline, now: &Baseline) -> Difference {
        let none = Map::new();
        let columns = |schema: &'_ Value| schema.get("properties").and_then(Value::as_object).cloned();
        let (old, new) = (columns(&before.schema), columns(&now.schema));
        let (old, new) = (old.as_ref().unwrap_or(&none), new.as_ref().unwrap_or(&none));
        let mut found = Difference::default();
        for (name, column) in new {
            match old.get(name) {
                None => found.added.push(name.clone()),
                Some(known) if bare(known) != bare(column) => found.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        found.removed = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
        found.key = matches!((&before.keys, &now.keys), (Some(old), Some(new)) if sorted(old) != sorted(new));
        let rest = |schema: &Value| {
            let mut rest = bare(schema);
            if let Value::Object(members) = &mut rest {
                members.shift_remove("properties");
            }
            rest
        };
        if let (Value::Object(old), Value::Object(new)) = (rest(&before.schema), rest(&now.schema)) {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort();
            names.dedup();
            names.retain(|name| old.get(*name) != new.get(*name));
            found.rules = names.into_iter().cloned().collect();
        }
        found
    }

    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        *self == Difference::default()
    }

    /// What differs, for people.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        for (names, what) in [
            (&self.added, "new"),
            (&self.changed, "changed"),
            (&self.removed, "gone"),
        ] {
            match names.as_slice() {
                [] => {}
                [name] => parts.push(format!("column {name} is {what}")),
                names => parts.push(format!("columns {} are {what}", names.join(", "))),
            }
        }
        if self.key {
            parts.push("the key is changed".into());
        }
        if !self.rules.is_empty() {
            parts.push(format!("{} of the record changed", self.rules.join(", ")));
        }
        parts.join(", ")
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names
}

/// A schema without remarks, and with its types in one order.
fn bare(schema: &Value) -> Value {
    let Value::Object(members) = schema else {
        return schema.clone();
    };
    let kept = members.iter().filter(|(key, _)| !REMARKS.contains(&key.as_str()));
    let kept = kept.map(|(key, value)| {
        let value = match (key.as_str(), value) {
            ("properties" | "patternProperties" | "definitions" | "$defs", Value::Object(named)) => {
                Value::Object(named.iter().map(|(name, one)| (name.clone(), bare(one))).collect())
            }
            ("type" | "required", Value::Array(items)) => {
                let mut items = items.clone();
                items.sort_by_key(Value::to_string);
                match items.as_slice() {
                    [one] if key == "type" => one.clone(),
                    _ => Value::Array(items),
                }
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(items)) => Value::Array(items.iter().map(bare).collect()),
            (_, Value::Object(_)) => bare(value),
            _ => value.clone(),
        };
        (key.clone(), value)
    });
    Value::Object(kept.collect())
}

fn without(schema: &mut Value, columns: &[String]) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !columns.contains(name));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !name.as_str().is_some_and(|name| columns.iter().any(|c| c == name)));
    }
}

fn with_schema(line: &[u8], schema: &Value) -> Option<Vec<u8>> {
    let mut message: Map<String, Value> = serde_json::from_slice(line).ok()?;
    message.insert("schema".into(), schema.clone());
    serde_json::to_vec(&message).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn baseline(properties: Value) -> Baseline {
        Baseline {
            schema: json!({"type": "object", "properties": properties}),
            keys: Some(vec!["id".into()]),
        }
    }

    #[test]
    fn remarks_and_the_order_of_types_are_no_change() {
        let old = baseline(json!({"id": {"type": ["null", "integer"], "description": "a"}}));
        let new = baseline(json!({"id": {"type": ["integer", "null"], "title": "b"}}));
        assert!(Difference::between(&old, &new).is_none());
    }

    #[test]
    fn what_changed_is_named() {
        let old = baseline(json!({"id": {"type": "integer"}, "a": {"type": "string"}, "b": {}}));
        let new = baseline(json!({"id": {"type": "integer"}, "a": {"type": "number"}, "c": {}, "d": {}}));
        let words = Difference::between(&old, &new).words();
        assert_eq!(words, "columns c, d are new, column a is changed, column b is gone");
    }

    #[test]
    fn each_policy() {
        let old = baseline(json!({"id": {"type": "integer"}, "a": {"type": "string"}}));
        let new = baseline(json!({"id": {"type": "integer"}, "a": {"type": "string"}, "b": {"type": "string"}}));
        let line = json!({"type": "SCHEMA", "stream": "t", "schema": new.schema}).to_string();
        let ruled = |policy, first| rule(policy, line.as_bytes(), Some(&old), &new, first);
        assert_eq!(ruled(ChangePolicy::Evolve, true).unwrap().passage, Passage::AsItCame);
        assert_eq!(ruled(ChangePolicy::Freeze, true).unwrap_err(), "column b is new");
        let left_out = ruled(ChangePolicy::DiscardColumn, true).unwrap();
        assert_eq!(
            (left_out.dropped.as_slice(), &left_out.schema),
            (&["b".to_string()][..], &old.schema)
        );
        let aside = ruled(ChangePolicy::QuarantineRow, false).unwrap();
        assert_eq!(
            (aside.passage, aside.refused),
            (Passage::Nothing, vec!["b".to_string()])
        );
    }

    #[test]
    fn a_key_column_cannot_be_left_out() {
        let old = baseline(json!({"id": {"type": "integer"}}));
        let new = baseline(json!({"id": {"type": "string"}}));
        let why = rule(ChangePolicy::DiscardColumn, b"{}", Some(&old), &new, true).unwrap_err();
        assert!(why.starts_with("column id is changed; id is part of the key"), "{why}");
    }
}
