//! What a property of a SCHEMA says about its values: references followed, alternatives compared, decimals found in every
//! spelling (SPEC.md, section 7). `protocol/python/dativo_protocol/types.py` says the same; both run `vectors/types`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::kind::Kind;
use super::places::Places;

/// References and branches that one property may take; a SCHEMA that needs more says nothing that ends.
const STEPS: u32 = 1000;

/// Levels of branches within branches.
const DEEPEST: u32 = 20;

/// What is known of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
}

/// Nothing is known: anything may come.
const ANYTHING: Meaning = Meaning {
    kind: Kind::Json,
    nullable: true,
};

/// The keywords of a property, those of its references and of `allOf` among them.
type Words<'a> = BTreeMap<&'a str, &'a Value>;

/// Reads properties of one SCHEMA.
pub(crate) struct Resolver<'a> {
    root: &'a Value,
    steps: u32,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(root: &'a Value) -> Self {
        Resolver { root, steps: STEPS }
    }

    /// What a property is.
    pub(crate) fn meaning(&mut self, property: &'a Value) -> Meaning {
        self.steps = STEPS;
        let found = self.look(property, 0);
        // A SCHEMA that was not read to its end is not known.
        if self.steps == 0 {
            ANYTHING
        } else {
            found
        }
    }

    /// One of the properties below, as its own SCHEMA: `items` or an entry of `properties`.
    pub(crate) fn below(&mut self, property: &'a Value, path: &[&str]) -> Option<&'a Value> {
        self.steps = STEPS;
        let (first, rest) = path.split_first()?;
        let start = *self.words(property, 0)?.get(first)?;
        rest.iter().try_fold(start, |value, step| value.get(step))
    }

    fn look(&mut self, property: &'a Value, depth: u32) -> Meaning {
        let Some(words) = self.words(property, depth) else {
            return ANYTHING;
        };
        for word in ["anyOf", "oneOf"] {
            if let (Some(Value::Array(choices)), false) = (words.get(word), words.contains_key("type")) {
                return self.union(choices, depth);
            }
        }
        let mut names = names(&words);
        if names.is_empty() {
            return ANYTHING;
        }
        let nullable = names.remove("null");
        if names.contains("integer") && names.contains("number") {
            names.remove("integer");
        }
        let kind = match names.len() {
            0 => Kind::Text,
            1 => names.first().map_or(Kind::Json, |name| single(name, &words)),
            _ => Kind::Json,
        };
        Meaning { kind, nullable }
    }

    fn union(&mut self, choices: &'a [Value], depth: u32) -> Meaning {
        let null = |choice: &Value| match choice.get("type") {
            Some(Value::String(name)) => name == "null",
            Some(Value::Array(names)) => names.len() == 1 && names[0] == "null",
            _ => false,
        };
        let mut nullable = false;
        let mut kinds: Vec<Kind> = Vec::new();
        for choice in choices {
            if null(choice) {
                nullable = true;
                continue;
            }
            let found = self.look(choice, depth + 1);
            nullable |= found.nullable;
            if !kinds.contains(&found.kind) {
                kinds.push(found.kind);
            }
        }
        let kind = match kinds.len() {
            1 => kinds.remove(0),
            0 => Kind::Json,
            _ if kinds.iter().all(Kind::is_text) => Kind::Text,
            _ => Kind::Json,
        };
        Meaning { kind, nullable }
    }

    /// Follows local references and adds up `allOf`; none where they do not end or lead nowhere.
    fn words(&mut self, property: &'a Value, depth: u32) -> Option<Words<'a>> {
        let mut property = property;
        loop {
            self.steps = self.steps.saturating_sub(1);
            if self.steps == 0 || depth > DEEPEST {
                return None;
            }
            let mut words: Words<'a> = property.as_object()?.iter().map(|(k, v)| (k.as_str(), v)).collect();
            if let Some(Value::Array(parts)) = words.get("allOf").copied() {
                words.remove("allOf");
                let own = std::mem::take(&mut words);
                for part in parts {
                    words.extend(self.words(part, depth + 1).unwrap_or_default());
                }
                words.extend(own);
            }
            match words.get("$ref") {
                Some(Value::String(reference)) => property = self.follow(reference)?,
                _ => return Some(words),
            }
        }
    }

    fn follow(&self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        if pointer.is_empty() {
            return Some(self.root);
        }
        let steps = pointer.strip_prefix('/')?.split('/');
        steps.into_iter().try_fold(self.root, |at, step| {
            at.as_object()?.get(&step.replace("~1", "/").replace("~0", "~"))
        })
    }
}

/// The JSON types that a property says it has.
fn names<'a>(words: &Words<'a>) -> BTreeSet<&'a str> {
    match words.get("type") {
        Some(Value::String(name)) => return [name.as_str()].into(),
        Some(Value::Array(names)) => return names.iter().filter_map(Value::as_str).collect(),
        _ => {}
    }
    if let Some(value) = words.get("const") {
        return [name_of(value)].into();
    }
    if let Some(Value::Array(values)) = words.get("enum") {
        return values.iter().map(name_of).collect();
    }
    if words.contains_key("properties") {
        ["object"].into()
    } else if words.contains_key("items") {
        ["array"].into()
    } else {
        BTreeSet::new()
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.as_str().contains(['.', 'e', 'E']) => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "object",
    }
}

/// The kind of a property of one JSON type.
fn single(name: &str, words: &Words<'_>) -> Kind {
    let text = name == "string";
    if text || name == "number" {
        let places = Places::declared(words).or_else(|| if text { None } else { Places::bounded(words) });
        if let Some(places) = places {
            return places.kind(text);
        }
    }
    match name {
        "string" => {
            if words.get("contentEncoding").is_some_and(|v| *v == "base64") {
                return Kind::Binary;
            }
            match words.get("format").and_then(|v| v.as_str()) {
                Some("date-time") => Kind::Timestamp,
                Some("date") => Kind::Date,
                Some("time") => Kind::Time,
                _ => Kind::Text,
            }
        }
        "integer" => Places::whole(words).map_or(Kind::Integer, |places| places.kind(false)),
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        _ => Kind::Json,
    }
}
