//! The scanner and crate jsonschema agree, on random SCHEMAs and records.

use dativo_bus_engine::check::scan;
use dativo_bus_engine::check::schema::compile;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{json, Map, Value};

const NAMES: [&str; 6] = ["a", "b", "id", "naïve", "q\"uote", "back\\slash"];
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-20_i64..20).prop_map(Value::from),
        (-80_i64..80).prop_map(|n| json!(n as f64 / 4.0)),
        "[a-c\"\\\\é😀]{0,5}".prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(prop::sample::select(&NAMES[..]), inner, 0..5)
                .prop_map(|m| Value::Object(m.into_iter().map(|(k, v)| (k.to_string(), v)).collect())),
        ]
    })
}

fn types() -> impl Strategy<Value = Value> {
    let one = prop::sample::select(&TYPES[..]);
    prop_oneof![
        one.clone().prop_map(Value::from),
        prop::collection::btree_set(one, 1..4).prop_map(|set| json!(set)),
    ]
}

/// One keyword and what it says.
fn rule(inner: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = (String, Value)> {
    let number = || (-12_i64..12).prop_map(|n| json!(n as f64 / 2.0));
    let count = || (0_u64..4).prop_map(Value::from);
    let named = |key: &'static str, value: BoxedStrategy<Value>| value.prop_map(move |v| (key.to_string(), v)).boxed();
    let unique = || prop::collection::btree_set(prop::sample::select(&NAMES[..]), 0..3).prop_map(|set| json!(set));
    let schemas = |inner: BoxedStrategy<Value>| vec(inner, 1..4).prop_map(Value::from).boxed();
    let properties = btree_map(prop::sample::select(&NAMES[..]), inner.clone(), 0..5)
        .prop_map(|m| Value::Object(m.into_iter().map(|(k, v)| (k.to_string(), v)).collect::<Map<_, _>>()));
    let inner = inner.boxed();
    prop::strategy::Union::new(vec![
        named("type", types().boxed()),
        named("type", types().boxed()),
        named("properties", properties.clone().boxed()),
        named("properties", properties.boxed()),
        named("required", unique().boxed()),
        named(
            "additionalProperties",
            prop_oneof![any::<bool>().prop_map(Value::from), inner.clone()].boxed(),
        ),
        named("items", inner.clone()),
        named("enum", vec(value(), 1..5).prop_map(Value::from).boxed()),
        named("const", scalar().boxed()),
        named("minimum", number().boxed()),
        named("maximum", number().boxed()),
        named("exclusiveMinimum", number().boxed()),
        named("exclusiveMaximum", number().boxed()),
        // The crate computes fractions in floats, and is wrong about some.
        named("multipleOf", (1_i64..6).prop_map(|n| json!(n)).boxed()),
        named("minLength", count().boxed()),
        named("maxLength", count().boxed()),
        named("minItems", count().boxed()),
        named("maxItems", count().boxed()),
        named("minProperties", count().boxed()),
        named("maxProperties", count().boxed()),
        named("uniqueItems", any::<bool>().prop_map(Value::from).boxed()),
        named(
            "pattern",
            prop::sample::select(vec!["^a", "b$", "[0-9]"])
                .prop_map(Value::from)
                .boxed(),
        ),
        named("anyOf", schemas(inner.clone())),
        named("oneOf", schemas(inner.clone())),
        named("allOf", schemas(inner.clone())),
        named("not", inner.clone()),
        named("contains", inner.clone()),
        named("if", inner.clone()),
        named("then", inner.clone()),
        named("else", inner.clone()),
        named("prefixItems", schemas(inner)),
        named("format", Just(json!("date-time")).boxed()),
        named(
            "patternProperties",
            Just(json!({"^[ab]$": {"type": ["integer", "string"]}})).boxed(),
        ),
    ])
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        types().prop_map(|t| json!({ "type": t })),
        any::<bool>().prop_map(Value::from),
        Just(json!({})),
    ];
    leaf.prop_recursive(3, 32, 4, |inner| {
        vec(rule(inner), 0..5).prop_map(|rules| Value::Object(rules.into_iter().collect()))
    })
}

/// The same value, its numbers without a fraction as integers: in a list of types the crate does not take `1.0` for one.
fn whole(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 => Value::from(float as i64),
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(whole).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), whole(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_scanner_and_the_crate_agree() {
    let config = Config {
        cases: 4_000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let spelled = prop_oneof![Just(false), Just(true)];
    runner
        .run(&(schema(), value(), spelled), |(schema, value, pretty)| {
            let theirs = jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .should_validate_formats(false)
                .build(&schema)
                .map_err(|e| TestCaseError::fail(e.to_string()))?
                .is_valid(&whole(&value));
            let node = compile(schema.to_string().as_bytes()).map_err(TestCaseError::fail)?;
            let text = match pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            let found = scan::record(text.as_bytes(), 0, &node).map_err(|f| TestCaseError::fail(f.to_string()))?;
            prop_assert_eq!(found.end, text.len());
            prop_assert_eq!(
                found.breach.is_none(),
                theirs,
                "{} in {}: {:?}",
                value,
                schema,
                found.breach
            );
            Ok(())
        })
        .unwrap();
}

fn breach(schema: Value, record: &str) -> Option<String> {
    let node = compile(schema.to_string().as_bytes()).unwrap();
    let found = scan::record(record.as_bytes(), 0, &node).unwrap();
    let show = |text: &[u8], _| String::from_utf8_lossy(text).into_owned();
    found
        .breach
        .map(|b| format!("{} {}: {}", b.rule, b.pointer(), b.reason(show)))
}

#[test]
fn numbers_are_compared_digit_by_digit() {
    let most = json!({"properties": {"n": {"maximum": serde_json::from_str::<Value>("9007199254740993").unwrap()}}});
    assert_eq!(breach(most.clone(), r#"{"n":9007199254740993}"#), None);
    assert!(breach(most, r#"{"n":9007199254740994}"#)
        .unwrap()
        .contains("is more than 9007199254740993"));
    let cents = json!({"properties": {"n": {"multipleOf": 0.01}}});
    assert_eq!(breach(cents.clone(), r#"{"n":19.99}"#), None);
    assert_eq!(
        breach(cents.clone(), r#"{"n":123456789012345678901234567890.01}"#),
        None
    );
    assert!(breach(cents, r#"{"n":19.999}"#).is_some());
    let whole = json!({"properties": {"n": {"type": "integer"}}});
    for (text, fits) in [
        ("1.0", true),
        ("1e400", true),
        ("1.5", false),
        ("123456789012345678901234567890", true),
    ] {
        assert_eq!(
            breach(whole.clone(), &format!(r#"{{"n":{text}}}"#)).is_none(),
            fits,
            "{text}"
        );
    }
}

#[test]
fn an_integer_may_have_a_fraction_of_nothing_wherever_it_is_named() {
    // A reference has the crate judge, which by itself takes no 1.0 for an integer in a list of types.
    let schema = json!({"$defs": {"n": {"type": ["integer", "null"]}}, "properties": {"n": {"$ref": "#/$defs/n"}}});
    for good in [
        "1.0",
        "-2e1",
        "0.0",
        "-9223372036854775808.0",
        "1",
        "null",
        "18446744073709551615",
    ] {
        assert_eq!(breach(schema.clone(), &format!(r#"{{"n":{good}}}"#)), None, "{good}");
    }
    let bad = breach(schema, r#"{"n":1.5}"#).unwrap();
    assert_eq!(bad, "type /n: column n: 1.5 breaks the rule type of its SCHEMA");
}

#[test]
fn what_drafts_say_differently() {
    let fourth = json!({"properties": {"n": {"minimum": 0, "exclusiveMinimum": true}}});
    assert_eq!(
        breach(fourth.clone(), r#"{"n":0}"#).unwrap(),
        "exclusiveMinimum /n: column n: 0 is not more than 0"
    );
    assert_eq!(breach(fourth, r#"{"n":0.1}"#), None);
    let third = json!({"properties": {"n": {"type": "string", "required": true}}});
    assert_eq!(breach(third, "{}"), None);
    let unknown = json!({"properties": {"n": {"type": "string", "format": "date-time", "sql-datatype": "x"}}});
    assert_eq!(breach(unknown, r#"{"n":"no date"}"#), None);
}

#[test]
fn what_is_told() {
    let schema = json!({"type": "object", "required": ["id"], "properties": {
        "id": {"type": "integer"}, "total": {"type": ["number", "null"]}, "meta": {"properties": {"tags": {"items": {"type": "string"}}}}
    }});
    let told = |record: &str| breach(schema.clone(), record).unwrap();
    assert_eq!(
        told(r#"{"id":1,"total":"12,50"}"#),
        "type /total: column total: \"12,50\" is not a number"
    );
    assert_eq!(
        told(r#"{"total":1}"#),
        "required /id: column id: is required and missing"
    );
    assert_eq!(
        told(r#"{"id":1,"meta":{"tags":["a",2]}}"#),
        "type /meta/tags/1: column meta.tags.1: 2 is not a string"
    );
    assert_eq!(breach(schema.clone(), r#"{"id":1,"undeclared":{}}"#), None);
}

#[test]
fn a_deleted_row_need_not_have_its_columns() {
    let schema = json!({"required": ["id", "total"], "properties": {"id": {"type": "integer"}}});
    assert_eq!(
        breach(schema.clone(), r#"{"id":1,"_sdc_deleted_at":"2026-01-01"}"#),
        None
    );
    assert!(breach(schema.clone(), r#"{"id":1,"_sdc_deleted_at":null}"#).is_some());
    assert!(breach(schema, r#"{"id":"x","_sdc_deleted_at":"2026-01-01"}"#).is_some());
}

#[test]
fn of_duplicate_keys_the_last_counts() {
    let schema = json!({"properties": {"n": {"type": "integer"}}});
    assert_eq!(breach(schema.clone(), r#"{"n":"x","n":1}"#), None);
    assert!(breach(schema, r#"{"n":1,"n":"x"}"#).is_some());
}

#[test]
fn bare_nan_is_a_number() {
    let schema =
        json!({"properties": {"n": {"type": ["number", "null"], "maximum": 1, "enum": [1]}, "s": {"type": "string"}}});
    assert_eq!(breach(schema.clone(), r#"{"n":NaN}"#), None);
    assert_eq!(breach(schema.clone(), r#"{"n":-Infinity}"#), None);
    assert!(breach(schema, r#"{"s":NaN}"#).is_some());
}

#[test]
fn references_are_followed_and_never_fetched() {
    let schema = json!({"$defs": {"id": {"type": "integer"}}, "properties": {"id": {"$ref": "#/$defs/id"}}});
    assert_eq!(breach(schema.clone(), r#"{"id":1}"#), None);
    assert_eq!(
        breach(schema, r#"{"id":"x"}"#).unwrap(),
        "type /id: column id: \"x\" breaks the rule type of its SCHEMA"
    );
    for schema in [
        json!({"$ref": "https://example.com/x.json"}),
        json!({"type": "datetime"}),
        json!({"pattern": "("}),
    ] {
        assert!(compile(schema.to_string().as_bytes()).is_err(), "{schema}");
    }
}
