//! Any records through columns and back, and files that were tampered with.
//!
//! Each test goes on for half of `DATIVO_FUZZ_SECONDS` (default 2; CI gives 60), at least one round.
#![cfg(feature = "arrow")]

mod fuzzing;

use arrow_array::{Array, RecordBatch};
use arrow_buffer::Buffer;
use chrono::{DateTime, NaiveDateTime};
use fuzzing::fuzz;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, Index};
use proptest::test_runner::TestCaseError;
use serde_json::{json, Map, Value};
use singer_protocol::columns::lines::Lines;
use singer_protocol::columns::rows::{Pushed, Rows};
use singer_protocol::columns::spool;

/// What a property may be declared as.
fn properties() -> Vec<Value> {
    vec![
        json!({"type": ["boolean", "null"]}),
        json!({"type": ["integer", "null"]}),
        json!({"type": ["integer", "null"], "maximum": u64::MAX}),
        json!({"type": ["number", "null"]}),
        json!({"type": ["number", "null"], "multipleOf": 0.01}),
        json!({"type": ["number", "null"], "precision": 60, "scale": 20}),
        json!({"type": ["string", "null"], "format": "x-singer.decimal", "precision": 20, "scale": 6}),
        json!({"type": ["string", "null"]}),
        json!({"type": ["string", "null"], "format": "date"}),
        json!({"type": ["string", "null"], "format": "time"}),
        json!({"type": ["string", "null"], "format": "date-time"}),
        json!({"type": ["string", "null"], "contentEncoding": "base64"}),
        json!({"type": ["object", "null"]}),
        json!({}),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,3})?",
        2 => "-?(0|[1-9][0-9]{0,25})",
        1 => "-?(0|[1-9][0-9]{0,60})(\\.[0-9]{1,30})?",
        1 => "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})",
        1 => any::<f64>().prop_filter("JSON has it", |f| f.is_finite()).prop_map(|f| format!("{f:?}")),
        1 => any::<i64>().prop_map(|i| i.to_string()),
    ]
}

fn string() -> impl Strategy<Value = String> {
    let date = (0..=10_000_u32, 0..=13_u32, 0..=32_u32).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    let day = (1..=9999_u32, 1..=12_u32, 1..=28_u32).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    let time = (0..24_u32, 0..60_u32, 0..=60_u32, "(\\.[0-9]{1,8})?")
        .prop_map(|(h, m, s, part)| format!("{h:02}:{m:02}:{s:02}{part}"));
    let zone = select(vec!["", "Z", "z", "+00:00", "-05:30", "+0200", "+23:59", "-07"]);
    let piece = prop_oneof![
        4 => "[a-z{}\\[\\],:]{0,9}",
        1 => Just(r#"\""#.to_string()),
        1 => Just(r"\\\/\b\f\n\r\t".to_string()),
        1 => Just(r"\u0041\u00e9\ud83d\ude00\u0000".to_string()),
        1 => Just("é😀\u{2028}\u{7f}".to_string()),
    ];
    let inside = prop_oneof![
        2 => vec(piece, 0..4).prop_map(|pieces| pieces.concat()),
        1 => date,
        1 => time.clone(),
        3 => (day, select(vec!["T", "t", " "]), time, zone).prop_map(|(d, t, time, z)| format!("{d}{t}{time}{z}")),
        1 => number(),
        1 => "([A-Za-z0-9+/]{4}){0,3}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
    ];
    inside.prop_map(|inside| format!("\"{inside}\""))
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => number(),
        4 => string(),
        1 => select(vec!["null", "true", "false", "{}", "[]"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(" , "))),
            vec((string(), inner), 0..3).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(k, v)| format!("{k}:{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Values that a property of [`properties`] mostly holds: most columns stay as narrow as they begin.
fn fitting(kind: usize) -> BoxedStrategy<String> {
    let quoted = |inside: BoxedStrategy<String>| inside.prop_map(|inside| format!("\"{inside}\"")).boxed();
    let time = (0..24_u32, 0..60_u32, 0..60_u32, "(\\.[0-9]{1,6}0{0,3})?")
        .prop_map(|(h, m, s, part)| format!("{h:02}:{m:02}:{s:02}{part}"))
        .boxed();
    let date = (1..=9999_u32, 1..=12_u32, 1..=31_u32)
        .prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{:02}", d.min(if m == 2 { 28 } else { 30 })))
        .boxed();
    match kind {
        0 => select(vec!["true", "false"]).prop_map(str::to_owned).boxed(),
        1 => prop_oneof![
            any::<i64>().prop_map(|i| i.to_string()),
            "-?[1-9][0-9]{0,3}(\\.0|e[0-9])"
        ]
        .boxed(),
        2 => "-?[1-9][0-9]{0,37}".boxed(),
        3 => prop_oneof![
            "-?(0|[1-9][0-9]{0,5})\\.[0-9]{1,8}",
            (-1e9_f64..1e9).prop_map(|f| f.to_string()),
            (-1.0_f64..1.0).prop_map(|f| f.to_string()),
            any::<f64>()
                .prop_filter("JSON has it", |f| f.is_finite())
                .prop_map(|f| format!("{f:?}")),
        ]
        .boxed(),
        4 => "-?(0|[1-9][0-9]{0,35})(\\.[0-9]{1,2}0?)?".boxed(),
        5 => "-?(0|[1-9][0-9]{0,39})(\\.[0-9]{1,20})?".boxed(),
        6 => quoted("-?(0|[1-9][0-9]{0,13})(\\.[0-9]{1,6})?".boxed()),
        7 => string().boxed(),
        8 => quoted(date),
        9 => quoted(time),
        10 => {
            let zone = select(vec!["", "Z", "z", "+00:00", "-05:30", "+0200", "+23:59", "-07"]);
            let parts = (date, select(vec!["T", "t", " "]), time, zone);
            quoted(parts.prop_map(|(d, t, time, z)| format!("{d}{t}{time}{z}")).boxed())
        }
        11 => quoted("([A-Za-z0-9+/]{4}){0,3}([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?".boxed()),
        _ => value().boxed(),
    }
}

/// A record of some of the properties `a` to `f`, of these kinds, and `g`, `h`, which are not declared, duplicates among them;
/// sometimes a deletion.
fn record(kinds: &[usize]) -> impl Strategy<Value = String> {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "\\u0061"];
    let of = |index: usize| kinds.get(index % 8).map_or(value().boxed(), |kind| fitting(*kind));
    let members: Vec<_> = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let odd = prop_oneof![1 => value(), 3 => Just("null".to_owned())];
            let value = prop_oneof![60 => of(index), 3 => odd];
            value.prop_map(move |value| format!("\"{name}\" : {value}")).boxed()
        })
        .collect();
    let deletion = prop_oneof![9 => Just(None), 1 => string().prop_map(Some)];
    (vec(proptest::strategy::Union::new(members), 0..9), deletion).prop_map(|(mut members, deletion)| {
        members.extend(deletion.map(|when| format!("\"_sdc_deleted_at\":{when}")));
        format!("{{{}}}", members.join(","))
    })
}

/// The digits of a number without zeros at the ends, with their sign, and the power of ten of the last.
fn digits(text: &str) -> Option<(bool, String, i64)> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{part}");
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kept = all.trim_end_matches('0');
    let exponent = exponent.parse::<i64>().ok()? - part.len() as i64 + (all.len() - kept.len()) as i64;
    let digits = kept.trim_start_matches('0').to_owned();
    match digits.is_empty() {
        true => Some((false, digits, 0)),
        false => Some((negative, digits, exponent)),
    }
}

fn instant(text: &str) -> Option<i64> {
    let full = text.replacen(' ', "T", 1).replacen('t', "T", 1).replace('z', "Z");
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    let found = zoned
        .iter()
        .find_map(|format| DateTime::parse_from_str(&full.replace('Z', "+0000"), format).ok());
    let naive = || NaiveDateTime::parse_from_str(&full, "%Y-%m-%dT%H:%M:%S%.f").ok();
    let micros = |seconds: i64, nanos: u32| seconds * 1_000_000 + i64::from(nanos / 1000);
    match found {
        Some(found) => Some(micros(found.timestamp(), found.timestamp_subsec_nanos())),
        None => naive().map(|found| micros(found.and_utc().timestamp(), found.and_utc().timestamp_subsec_nanos())),
    }
}

/// Whether two values mean the same in a property.
fn same(property: &Value, came: &Value, back: &Value) -> bool {
    match (came, back) {
        (Value::Number(came), Value::Number(back)) => digits(came.as_str()) == digits(back.as_str()),
        (Value::String(came), Value::String(back)) if came != back => match property["format"].as_str() {
            Some("date-time") => instant(came).is_some() && instant(came) == instant(back),
            Some("time") => came.contains('.') && came.trim_end_matches('0').trim_end_matches('.') == back,
            Some("x-singer.decimal") => digits(came).is_some() && digits(came) == digits(back),
            _ => false,
        },
        (came, back) => came == back,
    }
}

fn gather(schema: &Value, records: &[String]) -> Vec<(bool, RecordBatch)> {
    let (mut rows, mut batches) = (Rows::new(schema), Vec::new());
    for record in records {
        if rows.push(record.as_bytes()).unwrap() == Pushed::TakeFirst {
            batches.push((rows.partial(), rows.take()));
            assert_eq!(rows.push(record.as_bytes()), Ok(Pushed::In));
        }
    }
    if !rows.is_empty() {
        batches.push((rows.partial(), rows.take()));
    }
    batches
}

#[test]
fn rows_come_back() {
    let kinds = vec(0..properties().len(), 6);
    let cases = kinds.prop_flat_map(|kinds| {
        let records = vec(record(&kinds), 1..12);
        (Just(kinds), records)
    });
    fuzz(cases, |(kinds, records)| {
        let declared = kinds.iter().map(|kind| properties()[*kind].clone());
        let named = ["a", "b", "c", "d", "e", "f"]
            .into_iter()
            .map(str::to_owned)
            .zip(declared);
        let schema = json!({"properties": named.collect::<Map<_, _>>()});
        let mut back = Vec::new();
        for (partial, batch) in gather(&schema, &records) {
            let mut out = Vec::new();
            let lines = Lines::new(&batch.schema(), &schema);
            lines
                .write(&batch, 0..batch.num_rows(), b"", b"\n", &mut out)
                .map_err(|e| TestCaseError::fail(e.to_string()))?;
            let text = String::from_utf8(out).unwrap();
            back.extend(text.lines().map(|line| (partial, line.to_owned())));
        }
        prop_assert_eq!(back.len(), records.len());
        for (came, (partial, back)) in records.iter().zip(&back) {
            let came: Map<String, Value> = serde_json::from_str(came).unwrap();
            let back: Map<String, Value> = serde_json::from_str(back).unwrap();
            if *partial {
                prop_assert!(
                    came.keys().all(|k| back.contains_key(k)) && came.len() == back.len(),
                    "{:?}",
                    came
                );
            }
            for name in came.keys().chain(back.keys()) {
                let (one, other) = (
                    came.get(name).unwrap_or(&Value::Null),
                    back.get(name).unwrap_or(&Value::Null),
                );
                let property = &schema["properties"][name];
                prop_assert!(same(property, one, other), "{}: {} became {}", property, one, other);
            }
        }
        Ok(())
    });
}

/// The bytes of a file of one batch of all kinds.
fn file(records: &[String]) -> Vec<u8> {
    let named = properties()
        .into_iter()
        .enumerate()
        .map(|(i, property)| (i.to_string(), property));
    let schema = json!({"properties": named.collect::<Map<_, _>>()});
    let batches = gather(&schema, records);
    let path = std::env::temp_dir().join(format!("tampered-{}.arrow", std::process::id()));
    spool::seal(&path, &[batches[0].1.clone()]).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    bytes
}

#[test]
fn tampered_files_are_refused_or_read() {
    let row = |i: usize| {
        format!(
            r#"{{"0":true,"1":{i},"2":{i},"3":{i}.5,"4":0.{i},"5":{i},"6":"{i}","7":"text {i}","8":"2024-05-0{i}","9":"10:00:0{i}","10":"2024-05-06T10:00:0{i}Z","11":"AAEC","12":{{"x":{i}}},"13":[{i}]}}"#
        )
    };
    let records: Vec<_> = (1..9).map(row).chain(["{}".to_owned()]).collect();
    let whole = file(&records);
    assert_eq!(
        spool::decode(&Buffer::from_vec(whole.clone())).unwrap()[0].num_rows(),
        9
    );
    let strange = select(vec![0_u8, 1, 2, 0x7F, 0x80, 0xFF]);
    let change = (any::<Index>(), prop_oneof![strange, any::<u8>()], 1..9_usize);
    let cut = prop_oneof![9 => Just(None), 1 => any::<Index>().prop_map(Some)];
    fuzz((vec(change, 0..6), cut), |(changes, cut)| {
        let mut bytes = whole.clone();
        for (at, byte, length) in changes {
            let at = at.index(bytes.len());
            let end = bytes.len().min(at + length);
            bytes[at..end].fill(byte);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(whole.len()));
        }
        let Ok(batches) = spool::decode(&Buffer::from_vec(bytes)) else {
            return Ok(());
        };
        for batch in batches {
            prop_assert!(batch.num_rows() <= whole.len() * 8);
            let held: usize = batch
                .columns()
                .iter()
                .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
                .sum();
            prop_assert!(held <= whole.len() * 2, "{} bytes of a file of {}", held, whole.len());
            let mut out = Vec::new();
            let _ = Lines::new(&batch.schema(), &json!({})).write(&batch, 0..batch.num_rows(), b"", b"\n", &mut out);
        }
        Ok(())
    });
}

/// A column of nulls takes no bytes, so a file could say that it has any number of them.
#[test]
fn rows_are_not_made_of_nothing() {
    let nulls: std::sync::Arc<dyn Array> = std::sync::Arc::new(arrow_array::NullArray::new(77));
    let batch = RecordBatch::try_from_iter([("x", nulls)]).unwrap();
    let path = std::env::temp_dir().join(format!("nulls-{}.arrow", std::process::id()));
    spool::seal(&path, &[batch]).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        spool::decode(&Buffer::from_vec(bytes.clone())).unwrap()[0].num_rows(),
        77
    );
    let (few, many) = (77_i64.to_le_bytes(), (1_i64 << 40).to_le_bytes());
    let places: Vec<_> = (0..bytes.len() - 8).filter(|at| bytes[*at..at + 8] == few).collect();
    assert_eq!(places.len(), 3); // the batch's length, the column's, and its nulls
    places.iter().for_each(|at| bytes[*at..at + 8].copy_from_slice(&many));
    let refused = spool::decode(&Buffer::from_vec(bytes)).unwrap_err();
    assert!(
        refused.to_string().contains("more rows than its bytes could hold"),
        "{refused}"
    );
}

#[test]
fn bytes_that_are_no_record_never_panic() {
    let schema = json!({"properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "number"}}});
    let change = (any::<Index>(), any::<u8>());
    fuzz((record(&[1, 7, 3]), vec(change, 0..4)), |(record, changes)| {
        let mut bytes = record.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut rows = Rows::new(&schema);
        let _ = rows.push(&bytes);
        let _ = rows.push(&bytes);
        let expected = rows.len();
        prop_assert_eq!(rows.take().num_rows(), expected);
        Ok(())
    });
}
