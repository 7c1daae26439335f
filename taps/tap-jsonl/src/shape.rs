//! What the values of a column are, and that as a JSON Schema.
//!
//! A shape only ever grows: each value adds its type, digits, properties. It can be read back from its own JSON Schema, so that
//! what a bookmark holds is never narrowed. Two runs over the same lines give the same schema.

use serde_json::{json, Map, Value};
use singer_plugin::texts::spelling::{date, date_time, scientific};

/// Digits that the widths of decimals go by.
const WIDTHS: [usize; 2] = [38, 76];
/// An object below a column that has more different keys than this is one of free keys.
const MANY_KEYS: usize = 1000;

/// What strings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strings {
    Dates,
    Moments,
    Any,
}

/// Digits of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digits {
    /// Before the point.
    whole: usize,
    /// Behind it.
    places: usize,
}

/// What values are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    boolean: bool,
    integer: bool,
    number: bool,
    /// An integer beyond 64 bits, or a number that a double does not give back.
    wide: bool,
    digits: Digits,
    strings: Option<Strings>,
    object: bool,
    properties: Map<String, Value>,
    array: bool,
    items: Option<Box<Shape>>,
}

impl Shape {
    /// One more value.
    pub fn add(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) => self.boolean = true,
            Value::Number(number) => self.add_number(&number.to_string()),
            Value::String(text) => {
                let text = text.as_bytes();
                let this = if date(text) {
                    Strings::Dates
                } else if date_time(text, true) && text[10] != b' ' {
                    Strings::Moments
                } else {
                    Strings::Any
                };
                self.strings = Some(join(self.strings, this));
            }
            Value::Object(fields) => {
                self.object = true;
                for (name, value) in fields {
                    let mut inner = self.properties.get(name).map(Shape::of).unwrap_or_default();
                    inner.add(value);
                    if self.properties.len() <= MANY_KEYS {
                        self.properties.insert(name.clone(), inner.schema());
                    }
                }
            }
            Value::Array(values) => {
                self.array = true;
                for value in values {
                    self.items.get_or_insert_with(Box::default).add(value);
                }
            }
        }
    }

    fn add_number(&mut self, text: &str) {
        let plain = !text.contains(['.', 'e', 'E']);
        let Some((digits, first)) = scientific(text) else {
            return;
        };
        let length = digits.len() as i64;
        self.digits.whole = self.digits.whole.max(first.clamp(0, 10_000) as usize);
        self.digits.places = self.digits.places.max((length - first).clamp(0, 10_000) as usize);
        match plain {
            true => {
                self.integer = true;
                self.wide |= text.parse::<i64>().is_err() && text != "-0";
            }
            false => {
                self.number = true;
                let double = text.parse::<f64>().ok().filter(|d| d.is_finite());
                self.wide |= double.and_then(|d| scientific(&format!("{d:e}"))) != Some((digits, first));
            }
        }
    }

    /// Take in all that another shape holds.
    pub fn join(&mut self, other: Shape) {
        self.boolean |= other.boolean;
        self.integer |= other.integer;
        self.number |= other.number;
        self.wide |= other.wide;
        self.digits.whole = self.digits.whole.max(other.digits.whole);
        self.digits.places = self.digits.places.max(other.digits.places);
        if let Some(strings) = other.strings {
            self.strings = Some(join(self.strings, strings));
        }
        self.object |= other.object;
        for (name, schema) in other.properties {
            let mut inner = self.properties.get(&name).map(Shape::of).unwrap_or_default();
            inner.join(Shape::of(&schema));
            self.properties.insert(name, inner.schema());
        }
        self.array |= other.array;
        if let Some(items) = other.items {
            self.items.get_or_insert_with(Box::default).join(*items);
        }
    }

    /// As a JSON Schema; null is always allowed, and of what was never seen nothing is said.
    pub fn schema(&self) -> Value {
        let mut types = vec!["null"];
        let mut schema = Map::new();
        if self.boolean {
            types.push("boolean");
        }
        if self.number {
            types.push("number");
        } else if self.integer {
            types.push("integer");
        }
        if self.strings.is_some() {
            types.push("string");
        }
        if self.object {
            types.push("object");
        }
        if self.array {
            types.push("array");
        }
        if types.len() == 1 {
            return json!({});
        }
        schema.insert("type".into(), json!(types));
        if self.wide {
            let needed = self.digits.whole + self.digits.places;
            let width = WIDTHS.into_iter().find(|width| needed <= *width).unwrap_or(needed);
            if self.number {
                let decimal = json!({"precision": width, "scale": self.digits.places});
                schema.insert("x-singer.decimal".into(), decimal);
            } else {
                let most = "9".repeat(width);
                let bound = |text: String| serde_json::from_str::<Value>(&text).unwrap_or_default();
                schema.insert("minimum".into(), bound(format!("-{most}")));
                schema.insert("maximum".into(), bound(most));
            }
        }
        match self.strings {
            Some(Strings::Dates) if types.len() == 2 => drop(schema.insert("format".into(), json!("date"))),
            Some(Strings::Moments) if types.len() == 2 => drop(schema.insert("format".into(), json!("date-time"))),
            _ => {}
        }
        if !self.properties.is_empty() && self.properties.len() <= MANY_KEYS {
            schema.insert("properties".into(), Value::Object(self.properties.clone()));
        }
        if let Some(items) = &self.items {
            schema.insert("items".into(), items.schema());
        }
        Value::Object(schema)
    }

    /// What a schema of this module says.
    pub fn of(schema: &Value) -> Shape {
        let types = schema["type"].as_array().map(Vec::as_slice).unwrap_or_default();
        let has = |name: &str| types.iter().any(|one| one == name);
        let bound = schema.get("maximum").map(|most| most.to_string().len());
        let decimal = schema.get("x-singer.decimal");
        let part = |name: &str| decimal.and_then(|d| d[name].as_u64()).unwrap_or(0) as usize;
        Shape {
            boolean: has("boolean"),
            integer: has("integer"),
            number: has("number"),
            wide: bound.is_some() || decimal.is_some(),
            digits: Digits {
                whole: bound.unwrap_or(0).max(part("precision").saturating_sub(part("scale"))),
                places: part("scale"),
            },
            strings: has("string").then(|| match schema["format"].as_str() {
                Some("date") => Strings::Dates,
                Some("date-time") => Strings::Moments,
                _ => Strings::Any,
            }),
            object: has("object"),
            properties: schema["properties"].as_object().cloned().unwrap_or_default(),
            array: has("array"),
            items: schema.get("items").map(|items| Box::new(Shape::of(items))),
        }
    }
}

fn join(one: Option<Strings>, other: Strings) -> Strings {
    match one {
        Some(one) if one != other => Strings::Any,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(lines: &str) -> Value {
        let mut shape = Shape::default();
        for line in lines.lines() {
            shape.add(&serde_json::from_str(line).unwrap());
        }
        let schema = shape.schema();
        assert_eq!(Shape::of(&schema).schema(), schema, "read back");
        schema
    }

    #[test]
    fn values_and_types() {
        for (lines, wanted) in [
            ("null", json!({})),
            ("true\nnull", json!({"type": ["null", "boolean"]})),
            ("1\n-9223372036854775808", json!({"type": ["null", "integer"]})),
            ("1\n1.5", json!({"type": ["null", "number"]})),
            ("1.50\n1e3\n0.1", json!({"type": ["null", "number"]})),
            (
                "12345678901234567.89",
                json!({"type": ["null", "number"], "x-singer.decimal": {"precision": 38, "scale": 2}}),
            ),
            ("\"2024-02-29\"", json!({"type": ["null", "string"], "format": "date"})),
            ("\"2024-02-29\"\n\"x\"", json!({"type": ["null", "string"]})),
            (
                "\"2024-02-29T10:00:00Z\"\n\"2024-02-29T10:00:00.5+01:00\"",
                json!({"type": ["null", "string"], "format": "date-time"}),
            ),
            ("\"2024-02-29 10:00:00Z\"", json!({"type": ["null", "string"]})),
            (
                "\"2024-02-29T10:00:00Z\"\n5",
                json!({"type": ["null", "integer", "string"]}),
            ),
            ("[]", json!({"type": ["null", "array"]})),
            (
                "[1]\n[2.5]\n[null]",
                json!({"type": ["null", "array"], "items": {"type": ["null", "number"]}}),
            ),
            (
                "{\"b\":1}\n{\"a\":{\"c\":\"x\"},\"b\":null}",
                json!({"type": ["null", "object"], "properties": {
                    "b": {"type": ["null", "integer"]},
                    "a": {"type": ["null", "object"], "properties": {"c": {"type": ["null", "string"]}}}
                }}),
            ),
        ] {
            assert_eq!(schema(lines), wanted, "{lines}");
        }
        let wide = schema("9223372036854775808");
        assert_eq!(wide["maximum"].to_string(), "9".repeat(38));
        let wider = schema(&"7".repeat(40));
        assert_eq!(wider["minimum"].to_string(), format!("-{}", "9".repeat(76)));
    }

    #[test]
    fn joining_is_adding() {
        let (mut one, mut other, mut both) = (Shape::default(), Shape::default(), Shape::default());
        let values = |text: &str| -> Vec<Value> { text.lines().map(|l| serde_json::from_str(l).unwrap()).collect() };
        for value in values("{\"a\":1}\n[1]\n5\n\"2024-02-29\"") {
            one.add(&value);
            both.add(&value);
        }
        for value in values("{\"a\":0.123456789012345678901,\"b\":[]}\n[\"x\"]\ntrue") {
            other.add(&value);
            both.add(&value);
        }
        one.join(other);
        assert_eq!(one.schema(), both.schema());
    }
}
