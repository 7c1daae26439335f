//! Types and Arrow columns, by the vectors of `protocol/vectors/types`.
#![cfg(feature = "arrow")]

use std::fs;
use std::path::{Path, PathBuf};

use arrow_schema::{DataType, TimeUnit};
use serde_json::Value;
use singer_protocol::columns::kind::{property, Kind, JSON};

fn cases(topic: &str) -> Vec<(PathBuf, Value)> {
    let topic = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(topic);
    let folders = fs::read_dir(topic).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    found.sort();
    assert!(!found.is_empty());
    let read = |path: &PathBuf| serde_json::from_slice(&fs::read(path.join("case.json")).unwrap()).unwrap();
    found.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// An Arrow type as SPEC.md spells it.
fn spelled(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Int64 => "int64".into(),
        DataType::Float64 => "float64".into(),
        DataType::Decimal128(p, s) => format!("decimal128({p}, {s})"),
        DataType::Decimal256(p, s) => format!("decimal256({p}, {s})"),
        DataType::Utf8 => "string".into(),
        DataType::Date32 => "date32".into(),
        DataType::Time64(TimeUnit::Microsecond) => "time64[us]".into(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => format!("timestamp[us, {zone}]"),
        DataType::Binary => "binary".into(),
        other => panic!("{other}"),
    }
}

#[test]
fn types() {
    for (path, case) in cases("types") {
        let schema = &case["schema"];
        let root = case.get("root").unwrap_or(schema);
        let kind = Kind::of(schema, root);
        let field = kind.field("x");
        assert_eq!(spelled(field.data_type()), case["arrow"].as_str().unwrap(), "{path:?}");
        let extension = field.metadata().get("ARROW:extension:name");
        assert_eq!(extension.map(String::as_str), case.get("extension").and_then(Value::as_str), "{path:?}");
        assert!(extension.is_none_or(|name| name == JSON));
        if let Some(nullable) = case.get("nullable") {
            assert_eq!(Kind::nullable(schema, root), nullable.as_bool().unwrap(), "{path:?}");
        }
        // The way back: the field's own property has the same kind, but a decimal is a string then.
        let back = match (&kind, Kind::of_field(&field)) {
            (Kind::Decimal { precision, scale, .. }, Some(found)) => {
                let (precision, scale) = (*precision, *scale);
                assert_eq!(found, Kind::Decimal { precision, scale, text: true });
                found
            }
            (_, found) => {
                assert_eq!(found.as_ref(), Some(&kind), "{path:?}");
                kind
            }
        };
        assert_eq!(Kind::of(&property(&field), &Value::Null), back, "{path:?}");
        assert!(Kind::nullable(&property(&field), &Value::Null), "{path:?}");
    }
}
