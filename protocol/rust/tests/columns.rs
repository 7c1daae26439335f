//! Types and Arrow columns, by the vectors of `protocol/vectors/types` and `protocol/vectors/arrow`.
#![cfg(feature = "arrow")]

use std::fs;
use std::path::{Path, PathBuf};

use arrow_schema::{DataType, TimeUnit};
use serde_json::{Map, Value};
use singer_protocol::columns::kind::{property, Kind, JSON};
use singer_protocol::columns::lines::Lines;
use singer_protocol::columns::rows::{Pushed, Rows};
use singer_protocol::columns::spool;

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
        assert_eq!(
            extension.map(String::as_str),
            case.get("extension").and_then(Value::as_str),
            "{path:?}"
        );
        assert!(extension.is_none_or(|name| name == JSON));
        if let Some(nullable) = case.get("nullable") {
            assert_eq!(Kind::nullable(schema, root), nullable.as_bool().unwrap(), "{path:?}");
        }
        // The way back: the field's own property has the same kind, but a decimal is a string then.
        let back = match (&kind, Kind::of_field(&field)) {
            (Kind::Decimal { precision, scale, .. }, Some(found)) => {
                let (precision, scale) = (*precision, *scale);
                assert_eq!(
                    found,
                    Kind::Decimal {
                        precision,
                        scale,
                        text: true
                    }
                );
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

/// A record's text: as it is, or made of pieces (README.md of the vectors).
fn text(record: &Value) -> String {
    let Some(pieces) = record.as_array() else {
        return record.as_str().unwrap().to_owned();
    };
    let made = pieces.iter().map(|piece| &piece["generate"]);
    let part = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    made.map(|m| {
        let times = m["repeat"][1].as_u64().unwrap() as usize;
        part(&m["prefix"]) + &part(&m["repeat"][0]).repeat(times) + &part(&m["suffix"])
    })
    .collect()
}

fn texts(records: &Value) -> Vec<String> {
    records.as_array().unwrap().iter().map(text).collect()
}

#[test]
fn arrow() {
    let folder = std::env::temp_dir().join(format!("columns-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut wrong = Vec::new();
    for (path, case) in cases("arrow") {
        let schema = &case["schema"];
        let mut rows = Rows::new(schema);
        let (mut batches, mut refused) = (Vec::new(), Vec::new());
        for (index, record) in texts(&case["records"]).iter().enumerate() {
            match rows.push(record.as_bytes()) {
                Ok(Pushed::In) => {}
                Ok(Pushed::TakeFirst) => {
                    batches.push((rows.partial(), rows.take()));
                    assert_eq!(rows.push(record.as_bytes()), Ok(Pushed::In), "{path:?}");
                }
                Err(_) => refused.push(index),
            }
        }
        if !rows.is_empty() {
            batches.push((rows.partial(), rows.take()));
        }
        let mut found = Vec::new();
        for (index, (partial, batch)) in batches.into_iter().enumerate() {
            let file = folder.join(format!("{index}.arrow"));
            let size = spool::seal(&file, std::slice::from_ref(&batch)).unwrap();
            assert_eq!(size, fs::metadata(&file).unwrap().len());
            assert_eq!(spool::read(&file).unwrap(), std::slice::from_ref(&batch), "{path:?}");
            fs::remove_file(&file).unwrap();
            let arrow = batch.schema();
            let types = arrow.fields().iter().map(|field| {
                let extension = field
                    .metadata()
                    .get("ARROW:extension:name")
                    .map(|name| format!(" {name}"));
                (
                    field.name().clone(),
                    Value::from(spelled(field.data_type()) + &extension.unwrap_or_default()),
                )
            });
            let mut out = Vec::new();
            let lines = Lines::new(&arrow, schema);
            let written = lines.write(&batch, 0..batch.num_rows(), b"", b"\n", &mut out);
            let back = String::from_utf8(out)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>();
            let unwritable = written.err().map(|e| (e.row as u64, e.column));
            found.push((partial, types.collect::<Map<_, _>>(), unwritable, back));
        }
        let wanted = case["batches"].as_array().unwrap().iter().map(|batch| {
            let unwritable = batch.get("unwritable");
            (
                batch.get("partial").is_some(),
                batch["types"].as_object().unwrap().clone(),
                unwritable.map(|u| (u["row"].as_u64().unwrap(), u["column"].as_str().unwrap().to_owned())),
                texts(&batch["back"]),
            )
        });
        let wanted = wanted.collect::<Vec<_>>();
        if found != wanted {
            wrong.push(format!("{path:?}\n  got    {found:?}\n  wanted {wanted:?}"));
        }
        let wanted = case
            .get("refused")
            .cloned()
            .unwrap_or_else(|| Value::from(Vec::<u64>::new()));
        assert_eq!(Value::from(refused), wanted, "{path:?}");
    }
    fs::remove_dir(&folder).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
