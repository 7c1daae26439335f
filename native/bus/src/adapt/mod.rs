//! What a receiver understands: SCHEMA messages and stream names are rewritten for it, records never are.
//!
//! Plugins read SCHEMA in different drafts of JSON Schema, and many die of a word that another draft has. The bus itself
//! checks every record against the SCHEMA as it came, so the receiver may have one that asks for less ([`words`]). It may
//! also have streams under other names ([`names`]), and columns declared that its tap sends without (`_sdc_deleted_at`).
//!
//! Invariants it guards: I3 (a record's bytes stay as they came; of its line at most the stream's name changes), I10
//! (one SCHEMA line for each stream).
//!
//! Who may import it: this crate.

pub mod names;
pub mod words;

use memchr::memmem;
use serde::Deserialize;
use serde_json::{json, Map, Value};
use std::collections::{BTreeMap, HashMap};

/// Something that may be changed for a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// `$schema` is left out.
    SchemaKeyword,
    /// `exclusiveMinimum` and `exclusiveMaximum` are put as the receiver knows them.
    ExclusiveBounds,
    /// `multipleOf` is left out.
    MultipleOf,
    /// Bounds beyond 64 bits are left out.
    LargeBounds,
    /// Missing `key_properties` become `[]`.
    KeyProperties,
    /// Columns `_sdc_…` that come undeclared are declared.
    SdcColumns,
}

impl Rule {
    const fn name(self) -> &'static str {
        match self {
            Rule::SchemaKeyword => "schema-keyword",
            Rule::ExclusiveBounds => "exclusive-bounds",
            Rule::MultipleOf => "multiple-of",
            Rule::LargeBounds => "large-bounds",
            Rule::KeyProperties => "key-properties",
            Rule::SdcColumns => "sdc-columns",
        }
    }
}

/// How the receiver knows bounds that are not part of what they bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bounds {
    /// Not at all: they are put as if the bound itself were allowed, which every draft reads in one way.
    #[default]
    Inclusive,
    /// `"exclusiveMaximum": 10`, as from draft 6 on.
    Number,
    /// `"maximum": 10, "exclusiveMaximum": true`, as up to draft 4.
    Boolean,
}

/// What a plan says about a receiver.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adapt {
    /// What may be changed.
    pub rules: Vec<Rule>,
    /// How bounds are put.
    pub bounds: Bounds,
    /// A template for the streams' names ([`names`]); without it they stay.
    pub stream_name: Option<names::Template>,
}

/// What was changed: how often, by rule.
pub type Changes = BTreeMap<&'static str, u64>;

/// A SCHEMA as the receiver gets it.
#[derive(Debug, PartialEq, Eq)]
pub struct Suited {
    /// The line.
    pub line: Vec<u8>,
    /// What was changed in it.
    pub changes: Changes,
    /// The stream's other name.
    pub alias: Option<String>,
}

#[derive(Debug)]
struct Stream {
    /// The SCHEMA that the receiver has; kept for columns that come undeclared.
    line: Vec<u8>,
    /// The columns `_sdc_…` of it.
    declared: Vec<Vec<u8>>,
    /// The inside of the JSON string of its other name.
    alias: Option<Vec<u8>>,
}

/// What is changed for one receiver.
#[derive(Debug)]
pub struct Adapter {
    adapt: Adapt,
    streams: Vec<Option<Stream>>,
    taken: HashMap<String, usize>,
    sdc: memmem::Finder<'static>,
}

const SDC: &[u8] = b"\"_sdc_";

impl Adapter {
    /// Nothing was seen yet.
    pub fn new(adapt: &Adapt) -> Adapter {
        Adapter {
            adapt: adapt.clone(),
            streams: Vec::new(),
            taken: HashMap::new(),
            sdc: memmem::Finder::new(SDC),
        }
    }

    fn does(&self, rule: Rule) -> bool {
        self.adapt.rules.contains(&rule)
    }

    /// A stream's SCHEMA line for the receiver; none if it stays as it is. An error is a name that two streams would have.
    pub fn schema(&mut self, stream: usize, name: &str, line: &[u8]) -> Result<Option<Suited>, String> {
        let Ok(mut message) = serde_json::from_slice::<Map<String, Value>>(line) else {
            return Ok(None); // nested deeper than this parser goes
        };
        let mut changes = Changes::new();
        let alias = self.alias(stream, name)?;
        if let Some(alias) = &alias {
            message.insert("stream".into(), Value::from(alias.as_str()));
        }
        if self.does(Rule::KeyProperties) && message.get("key_properties").is_none_or(Value::is_null) {
            message.insert("key_properties".into(), json!([]));
            changes.insert(Rule::KeyProperties.name(), 1);
        }
        if let Some(schema) = message.get_mut("schema") {
            words::suit(schema, &self.adapt, &mut |rule| {
                *changes.entry(rule.name()).or_default() += 1;
            });
        }
        let changed = !changes.is_empty() || alias.is_some();
        let line = match changed {
            true => serde_json::to_vec(&message).map_err(|e| e.to_string())?,
            false => line.to_vec(),
        };
        if self.streams.len() <= stream {
            self.streams.resize_with(stream + 1, || None);
        }
        let late = self.does(Rule::SdcColumns);
        let escaped = |name: &String| {
            Value::from(name.as_str())
                .to_string()
                .trim_matches('"')
                .as_bytes()
                .to_vec()
        };
        self.streams[stream] = Some(Stream {
            declared: if late { declared(&message) } else { Vec::new() },
            line: if late { line.clone() } else { Vec::new() },
            alias: alias.as_ref().map(escaped),
        });
        Ok(changed.then_some(Suited { line, changes, alias }))
    }

    fn alias(&mut self, stream: usize, name: &str) -> Result<Option<String>, String> {
        let Some(template) = &self.adapt.stream_name else {
            return Ok(None);
        };
        let alias = template.of(name);
        if alias.is_empty() {
            return Err(format!("{template} makes no name of {name}"));
        }
        let owner = *self.taken.entry(alias.clone()).or_insert(stream);
        if owner != stream {
            return Err(format!(
                "{template} makes {alias} of {name}, which another stream is called"
            ));
        }
        Ok((alias != name).then_some(alias))
    }

    /// The inside of the JSON string of a stream's other name.
    pub fn raw_alias(&self, stream: usize) -> Option<&[u8]> {
        self.streams.get(stream)?.as_ref()?.alias.as_deref()
    }

    /// The SCHEMA line that has to come before a record which has undeclared columns `_sdc_…`, and how many they are.
    /// `record` is the record's JSON.
    pub fn late(&mut self, stream: usize, record: &[u8]) -> Option<(Vec<u8>, u64)> {
        if !self.does(Rule::SdcColumns) {
            return None;
        }
        let known = self.streams.get_mut(stream)?.as_mut()?;
        let name = |at: usize| {
            let rest = &record[at + 1..];
            &rest[..memchr::memchr(b'"', rest).unwrap_or(rest.len())]
        };
        let new = |at: usize| !known.declared.iter().any(|column| column == name(at));
        self.sdc.find_iter(record).find(|at| new(*at))?;
        let columns: Map<String, Value> = serde_json::from_slice(record).ok()?;
        let mut message: Map<String, Value> = serde_json::from_slice(&known.line).ok()?;
        let properties = message.get_mut("schema")?.get_mut("properties")?.as_object_mut()?;
        let mut count = 0;
        for (column, value) in &columns {
            if column.starts_with("_sdc_") && !properties.contains_key(column) {
                properties.insert(column.clone(), type_of(column, value));
                count += 1;
            }
        }
        if count == 0 {
            return None;
        }
        known.declared = declared(&message);
        known.line = serde_json::to_vec(&message).ok()?;
        Some((known.line.clone(), count))
    }
}

/// The declared columns `_sdc_…` of a SCHEMA message.
fn declared(message: &Map<String, Value>) -> Vec<Vec<u8>> {
    let properties = message.get("schema").and_then(|schema| schema.get("properties"));
    let names = properties.and_then(Value::as_object).into_iter().flatten();
    let sdc = names.filter(|(name, _)| name.starts_with("_sdc_"));
    sdc.map(|(name, _)| name.clone().into_bytes()).collect()
}

/// How an undeclared column is declared: by the Singer SDK's use of its name, else by the value that came first.
fn type_of(column: &str, value: &Value) -> Value {
    if column.ends_with("_at") {
        return json!({"type": ["null", "string"], "format": "date-time"});
    }
    match value {
        Value::Number(number) if number.is_f64() => json!({"type": ["null", "number"]}),
        Value::Number(_) => json!({"type": ["null", "integer"]}),
        Value::Bool(_) => json!({"type": ["null", "boolean"]}),
        _ => json!({"type": ["null", "string"]}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(text: &str) -> Adapter {
        Adapter::new(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_plan_without_rules_changes_nothing() {
        let line = br#"{"type":"SCHEMA","stream":"a-b","schema":{"$schema":"x","multipleOf":2}}"#;
        assert_eq!(adapter("{}").schema(0, "a-b", line), Ok(None));
    }

    #[test]
    fn two_streams_never_get_one_name() {
        let mut names = adapter(r#"{"stream_name": "{table}"}"#);
        let line = br#"{"type":"SCHEMA","stream":"a-t","schema":{}}"#;
        assert_eq!(
            names.schema(0, "a-t", line).unwrap().unwrap().alias.as_deref(),
            Some("t")
        );
        assert!(names.schema(0, "a-t", line).is_ok(), "the same stream again");
        let told = names.schema(1, "b-t", line).unwrap_err();
        assert!(told.contains("makes t of b-t"), "{told}");
        assert!(names.schema(2, "c-", line).unwrap_err().contains("makes no name"));
        assert_eq!(names.raw_alias(0), Some(&b"t"[..]));
    }

    #[test]
    fn columns_that_come_undeclared_are_declared_once() {
        let mut late = adapter(r#"{"rules": ["sdc-columns"]}"#);
        let line = br#"{"type":"SCHEMA","stream":"t","schema":{"properties":{"_sdc_a":{}}},"key_properties":[]}"#;
        assert_eq!(late.schema(0, "t", line), Ok(None));
        assert_eq!(late.late(0, br#"{"_sdc_a":1,"x":"\"_sdc_b\""}"#), None);
        let (line, count) = late
            .late(0, br#"{"_sdc_deleted_at":null,"_sdc_lsn":7,"_sdc_a":1}"#)
            .unwrap();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(count, 2);
        assert!(
            text.contains(r#""_sdc_deleted_at":{"type":["null","string"],"format":"date-time"}"#),
            "{text}"
        );
        assert!(text.contains(r#""_sdc_lsn":{"type":["null","integer"]}"#), "{text}");
        assert_eq!(late.late(0, br#"{"_sdc_deleted_at":"x","_sdc_lsn":8}"#), None);
    }
}
