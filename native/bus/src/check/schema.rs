//! A SCHEMA made ready for reading records against it: plain tables for the keywords that streams use, and crate
//! `jsonschema` for the rest.
//!
//! What is rare is given to the crate keyword by keyword, so that one `pattern` does not make a whole record slow. Only
//! references and `unevaluated…` need a SCHEMA as a whole. `format`, and every keyword that no dialect knows, say
//! nothing about validity here.

use super::dialect::dialect;
use super::endless;
use super::number::{small, Decimal};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Kinds of JSON values, one bit each. A number without a fraction fits `INTEGER` and `NUMBER`.
pub(super) const NULL: u8 = 1;
pub(super) const BOOLEAN: u8 = 2;
pub(super) const INTEGER: u8 = 4;
pub(super) const NUMBER: u8 = 8;
pub(super) const STRING: u8 = 16;
pub(super) const ARRAY: u8 = 32;
pub(super) const OBJECT: u8 = 64;
const ANY: u8 = 127;

/// Deeper SCHEMAs are left to the crate, for reading a record goes as deep as its SCHEMA.
const DEEPEST: usize = 64;

/// Keywords that need others beside them to be judged.
const OF_OBJECTS: [&str; 4] = [
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
];
const OF_ARRAYS: [&str; 5] = [
    "contains",
    "minContains",
    "maxContains",
    "prefixItems",
    "additionalItems",
];
const CONDITIONS: [&str; 3] = ["if", "then", "else"];

/// What a value must be.
#[derive(Debug)]
pub struct Node {
    pub(super) kinds: u8,
    pub(super) number: Option<Box<NumberRules>>,
    pub(super) string: Option<Box<StringRules>>,
    pub(super) array: Option<Box<ArrayRules>>,
    pub(super) object: Option<Box<ObjectRules>>,
    pub(super) more: Option<Box<More>>,
}

/// One bound of a number.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) value: Decimal,
    pub(super) small: Option<i64>,
    pub(super) exclusive: bool,
    pub(super) text: String,
}

#[derive(Debug, Default)]
pub(super) struct NumberRules {
    pub(super) least: Option<Bound>,
    pub(super) most: Option<Bound>,
    pub(super) unit: Option<(Decimal, String)>,
}

#[derive(Debug, Default)]
pub(super) struct StringRules {
    pub(super) shortest: u64,
    pub(super) longest: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct ArrayRules {
    pub(super) items: Option<Node>,
    pub(super) fewest: u64,
    pub(super) most: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    /// The name and its closing quote as they stand in a record; none if the name needs escapes.
    pub(super) spelled: Option<Vec<u8>>,
    pub(super) node: Node,
    pub(super) required: bool,
    pub(super) declared: bool,
}

#[derive(Debug, Default)]
pub(super) struct ObjectRules {
    pub(super) properties: Vec<Property>,
    pub(super) index: HashMap<Vec<u8>, usize>,
    pub(super) additional: Option<Node>,
    pub(super) closed: bool,
    pub(super) fewest: u64,
    pub(super) most: Option<u64>,
    pub(super) requires: bool,
}

/// Values by equality.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) kinds: u8,
    pub(super) yes: bool,
    pub(super) no: bool,
    pub(super) strings: Vec<String>,
    pub(super) numbers: Vec<Decimal>,
}

/// What is judged when the value's end is known.
#[derive(Debug, Default)]
pub(super) struct More {
    pub(super) values: Option<Values>,
    pub(super) any: Option<Vec<Node>>,
    pub(super) one: Option<Vec<Node>>,
    pub(super) all: Vec<Node>,
    pub(super) not: Option<Node>,
    pub(super) foreign: Option<jsonschema::Validator>,
}

/// Makes a SCHEMA ready, or says why nothing can be checked against it.
pub fn compile(schema: &[u8]) -> Result<Node, String> {
    let schema: Value = serde_json::from_slice(schema).map_err(|_| "it is nested too deep".to_string())?;
    if refers(&schema) || depth(&schema) > DEEPEST {
        return whole(&schema);
    }
    node(&schema)
}

/// Whether a reference or a rule about what is left over stands anywhere in it, but for definitions that nobody refers to.
fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(key, value)| {
            if matches!(key.as_str(), "definitions" | "$defs") && value.is_object() {
                return false;
            }
            let reference = matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") && value.is_string();
            let left_over = matches!(key.as_str(), "unevaluatedProperties" | "unevaluatedItems");
            reference || (left_over && (value.is_boolean() || value.is_object())) || refers(value)
        }),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn whole(schema: &Value) -> Result<Node, String> {
    let more = More {
        foreign: Some(foreign(schema)?),
        ..More::default()
    };
    Ok(Node {
        more: Some(Box::new(more)),
        ..any()
    })
}

/// A copy without what the crate would compute in floats: it must not call a value bad that is not (SPEC.md, section 2).
fn without_floats(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members
                .iter()
                .filter(|(key, value)| *key != "multipleOf" || !value.is_number() || value.is_u64());
            kept.map(|(key, value)| (key.clone(), without_floats(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_floats).collect(),
        other => other.clone(),
    }
}

fn foreign(schema: &Value) -> Result<jsonschema::Validator, String> {
    let schema = &without_floats(schema);
    endless::check(schema)?;
    let mut options = jsonschema::options()
        .should_validate_formats(false)
        .should_ignore_unknown_formats(true);
    if schema.get("$schema").is_none() {
        options = options.with_draft(dialect(schema));
    }
    options.build(schema).map_err(|e| e.to_string())
}

fn any() -> Node {
    Node {
        kinds: ANY,
        number: None,
        string: None,
        array: None,
        object: None,
        more: None,
    }
}

fn node(schema: &Value) -> Result<Node, String> {
    let members = match schema {
        Value::Bool(true) => return Ok(any()),
        Value::Bool(false) => return Ok(Node { kinds: 0, ..any() }),
        Value::Object(members) => members,
        _ => return Err("a part of it is neither an object nor true or false".into()),
    };
    let mut made = Node {
        kinds: kinds(members.get("type"))?,
        ..any()
    };
    made.number = number_rules(members)?.map(Box::new);
    made.string = string_rules(members)?.map(Box::new);
    made.array = array_rules(members)?.map(Box::new);
    made.object = object_rules(members)?.map(Box::new);
    let mut more = More {
        any: branches(members, "anyOf")?,
        one: branches(members, "oneOf")?,
        all: branches(members, "allOf")?.unwrap_or_default(),
        not: members.get("not").map(node).transpose()?,
        ..More::default()
    };
    // A choice between plain types is one more set of types: no branch has to be tried.
    if let Some(kinds) = more.any.as_deref().and_then(plain_union) {
        (made.kinds, more.any) = (made.kinds & kinds, None);
    }
    if let Some(kinds) = more.one.as_deref().filter(|one| disjoint(one)).and_then(plain_union) {
        (made.kinds, more.one) = (made.kinds & kinds, None);
    }
    let mut rest = Map::new();
    more.values = values(members, &mut rest)?;
    leave(members, &mut rest);
    if !rest.is_empty() {
        more.foreign = Some(foreign(&Value::Object(rest))?);
    }
    let needed = more.values.is_some() || more.any.is_some() || more.one.is_some() || !more.all.is_empty();
    if needed || more.not.is_some() || more.foreign.is_some() {
        made.more = Some(Box::new(more));
    }
    Ok(made)
}

fn plain_union(nodes: &[Node]) -> Option<u8> {
    let plain = |n: &Node| {
        n.number.is_none() && n.string.is_none() && n.array.is_none() && n.object.is_none() && n.more.is_none()
    };
    nodes
        .iter()
        .all(plain)
        .then(|| nodes.iter().fold(0, |kinds, n| kinds | n.kinds))
}

fn disjoint(nodes: &[Node]) -> bool {
    let mut seen = 0;
    nodes.iter().all(|n| {
        let apart = seen & n.kinds == 0;
        seen |= n.kinds;
        apart
    })
}

fn kinds(stated: Option<&Value>) -> Result<u8, String> {
    let one = |name: &Value| match name.as_str() {
        Some("null") => Ok(NULL),
        Some("boolean") => Ok(BOOLEAN),
        Some("integer") => Ok(INTEGER),
        Some("number") => Ok(NUMBER | INTEGER),
        Some("string") => Ok(STRING),
        Some("array") => Ok(ARRAY),
        Some("object") => Ok(OBJECT),
        _ => Err(format!("{name} is no type")),
    };
    match stated {
        None => Ok(ANY),
        Some(Value::Array(names)) => names.iter().try_fold(0, |kinds, name| Ok(kinds | one(name)?)),
        Some(name) => one(name),
    }
}

fn branches(members: &Map<String, Value>, key: &str) -> Result<Option<Vec<Node>>, String> {
    match members.get(key) {
        None => Ok(None),
        Some(Value::Array(branches)) if !branches.is_empty() => {
            branches.iter().map(node).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(format!("{key} is no list of schemas")),
    }
}

fn count(members: &Map<String, Value>, key: &str) -> Result<Option<u64>, String> {
    let Some(value) = members.get(key) else {
        return Ok(None);
    };
    let number = value.as_number().map(|n| Decimal::parse(n.to_string().as_bytes()));
    let whole = number.filter(|n| n.is_integer() && *n >= Decimal::parse(b"0"));
    let count = whole.and_then(|_| value.as_u64().or_else(|| value.as_f64().map(|f| f as u64)));
    count.map(Some).ok_or_else(|| format!("{key} is no count"))
}

fn bound(members: &Map<String, Value>, [key, exclusive]: [&str; 2], most: bool) -> Result<Option<Bound>, String> {
    let made = |value: &Value, key: &str, exclusive: bool| {
        let text = value
            .as_number()
            .ok_or_else(|| format!("{key} is no number"))?
            .to_string();
        Ok::<Bound, String>(Bound {
            value: Decimal::parse(text.as_bytes()),
            small: small(text.as_bytes()),
            exclusive,
            text,
        })
    };
    // Draft 4 says with a boolean that the bound beside it is exclusive.
    let flag = members.get(exclusive).and_then(Value::as_bool);
    let plain = members
        .get(key)
        .map(|value| made(value, key, flag == Some(true)))
        .transpose()?;
    let strict = members.get(exclusive).filter(|_| flag.is_none());
    let strict = strict.map(|value| made(value, exclusive, true)).transpose()?;
    Ok(match (plain, strict) {
        (Some(plain), Some(strict)) => {
            let tighter = match most {
                true => plain.value < strict.value,
                false => plain.value > strict.value,
            };
            Some(if tighter { plain } else { strict })
        }
        (plain, strict) => plain.or(strict),
    })
}

fn number_rules(members: &Map<String, Value>) -> Result<Option<NumberRules>, String> {
    let unit = match members.get("multipleOf") {
        None => None,
        Some(Value::Number(unit)) => Some((Decimal::parse(unit.to_string().as_bytes()), unit.to_string())),
        Some(_) => return Err("multipleOf is no number".into()),
    };
    let rules = NumberRules {
        least: bound(members, ["minimum", "exclusiveMinimum"], false)?,
        most: bound(members, ["maximum", "exclusiveMaximum"], true)?,
        unit,
    };
    let any = rules.least.is_some() || rules.most.is_some() || rules.unit.is_some();
    Ok(any.then_some(rules))
}

fn string_rules(members: &Map<String, Value>) -> Result<Option<StringRules>, String> {
    let (shortest, longest) = (count(members, "minLength")?, count(members, "maxLength")?);
    Ok((shortest.is_some() || longest.is_some()).then(|| StringRules {
        shortest: shortest.unwrap_or(0),
        longest,
    }))
}

fn array_rules(members: &Map<String, Value>) -> Result<Option<ArrayRules>, String> {
    let first = ["prefixItems", "additionalItems"]
        .iter()
        .any(|key| members.contains_key(*key));
    let items = match members.get("items") {
        Some(items) if !first && !items.is_array() => Some(node(items)?),
        _ => None,
    };
    let (fewest, most) = (count(members, "minItems")?, count(members, "maxItems")?);
    let any = items.is_some() || fewest.is_some() || most.is_some();
    Ok(any.then(|| ArrayRules {
        items,
        fewest: fewest.unwrap_or(0),
        most,
    }))
}

fn object_rules(members: &Map<String, Value>) -> Result<Option<ObjectRules>, String> {
    let mut rules = ObjectRules {
        fewest: count(members, "minProperties")?.unwrap_or(0),
        most: count(members, "maxProperties")?,
        ..ObjectRules::default()
    };
    match members.get("properties") {
        None => {}
        Some(Value::Object(properties)) => {
            for (name, schema) in properties {
                rules.add(name, node(schema)?, true);
            }
        }
        Some(_) => return Err("properties is no object".into()),
    }
    // Draft 3 says `required: true` in a property; no dialect of today knows that.
    for name in members.get("required").and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().ok_or("required holds what is no name")?;
        let known = rules.index.get(name.as_bytes()).copied();
        let at = known.unwrap_or_else(|| rules.add(name, any(), false));
        rules.properties[at].required = true;
        rules.requires = true;
    }
    match members.get("additionalProperties") {
        Some(schema) if !members.contains_key("patternProperties") => match schema {
            Value::Bool(allowed) => rules.closed = !allowed,
            schema => rules.additional = Some(node(schema)?),
        },
        _ => {}
    }
    let any = !rules.properties.is_empty() || rules.closed || rules.additional.is_some();
    Ok((any || rules.fewest > 0 || rules.most.is_some()).then_some(rules))
}

impl ObjectRules {
    fn add(&mut self, name: &str, node: Node, declared: bool) -> usize {
        let plain = name.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
        self.index.insert(name.as_bytes().to_vec(), self.properties.len());
        self.properties.push(Property {
            name: name.to_string(),
            spelled: plain.then(|| format!("{name}\"").into_bytes()),
            node,
            required: false,
            declared,
        });
        self.properties.len() - 1
    }
}

/// `enum` and `const` of plain values; others are left to the crate.
fn values(members: &Map<String, Value>, rest: &mut Map<String, Value>) -> Result<Option<Values>, String> {
    let constant = members.get("const").map(std::slice::from_ref);
    let listed = match members.get("enum") {
        None => None,
        Some(Value::Array(items)) => Some(items.as_slice()),
        Some(_) => return Err("enum is no list".into()),
    };
    let (key, items) = match (listed, constant) {
        (None, None) => return Ok(None),
        (Some(items), None) => ("enum", items),
        (None, Some(items)) => ("const", items),
        (Some(items), Some(constant)) => {
            rest.insert("const".into(), constant[0].clone());
            ("enum", items)
        }
    };
    if items.iter().any(|item| item.is_array() || item.is_object()) {
        rest.insert(key.into(), members[key].clone());
        return Ok(None);
    }
    let mut values = Values::default();
    for item in items {
        match item {
            Value::Null => values.kinds |= NULL,
            Value::Bool(true) => values.yes = true,
            Value::Bool(false) => values.no = true,
            Value::Number(number) => values.numbers.push(Decimal::parse(number.to_string().as_bytes())),
            Value::String(text) => values.strings.push(text.clone()),
            Value::Array(_) | Value::Object(_) => {}
        }
    }
    Ok(Some(values))
}

/// What only the crate knows, with the keywords that it must see beside that.
fn leave(members: &Map<String, Value>, rest: &mut Map<String, Value>) {
    let mut take = |key: &str| {
        if let Some(value) = members.get(key) {
            rest.insert(key.to_string(), value.clone());
        }
    };
    ["pattern", "dependencies"].into_iter().for_each(&mut take);
    if members.get("uniqueItems") == Some(&Value::Bool(true)) {
        take("uniqueItems");
    }
    OF_OBJECTS.into_iter().for_each(&mut take);
    if members.contains_key("patternProperties") {
        ["properties", "additionalProperties"].into_iter().for_each(&mut take);
    }
    OF_ARRAYS.into_iter().for_each(&mut take);
    let first = ["prefixItems", "additionalItems"]
        .iter()
        .any(|key| members.contains_key(*key));
    if first || members.get("items").is_some_and(Value::is_array) {
        take("items");
    }
    if members.contains_key("if") {
        CONDITIONS.into_iter().for_each(&mut take);
    }
}
