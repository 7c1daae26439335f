//! Every Arrow type that a tap may have, written as records, and what stops it.
#![cfg(feature = "arrow")]

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::{Int8Type, UInt16Type};
use arrow_array::*;
use arrow_buffer::{i256, NullBuffer};
use arrow_schema::{DataType, Field, Fields, Schema};
use serde_json::{json, Value};
use singer_protocol::columns::kind::property;
use singer_protocol::columns::lines::{Lines, Unwritable};

fn batch(field: Field, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap()
}

fn write(batch: &RecordBatch, schema: &Value) -> Result<Vec<String>, Unwritable> {
    let mut out = Vec::new();
    Lines::new(&batch.schema(), schema).write(batch, 0..batch.num_rows(), b"<", b">\n", &mut out)?;
    let text = String::from_utf8(out).unwrap();
    let value = |line: &str| {
        line.strip_prefix("<{\"x\":")
            .unwrap()
            .strip_suffix("}>")
            .unwrap()
            .to_owned()
    };
    Ok(text.lines().map(value).collect())
}

/// What an array is written as, its SCHEMA being the way back of its type; also with rows cut off in front.
#[track_caller]
fn written(array: impl Array + 'static, wanted: &[&str]) {
    let array: ArrayRef = Arc::new(array);
    let field = Field::new("x", array.data_type().clone(), true);
    let schema = json!({"properties": {"x": property(&field)}});
    assert_eq!(write(&batch(field.clone(), array.clone()), &schema).unwrap(), wanted);
    let cut = array.slice(1, array.len() - 1);
    assert_eq!(write(&batch(field, cut), &schema).unwrap(), wanted[1..]);
}

/// Why the first value of an array cannot be written.
#[track_caller]
fn stops(array: impl Array + 'static, wanted: &str) {
    let field = Field::new("x", array.data_type().clone(), true);
    let stopped = write(&batch(field, Arc::new(array)), &json!({})).unwrap_err();
    assert_eq!((stopped.row, stopped.column.as_str()), (0, "x"));
    assert!(stopped.reason.contains(wanted), "{}", stopped.reason);
}

#[test]
fn numbers() {
    written(
        Int8Array::from(vec![Some(-128), None, Some(127)]),
        &["-128", "null", "127"],
    );
    written(Int16Array::from(vec![-32768, 32767]), &["-32768", "32767"]);
    written(
        Int32Array::from(vec![i32::MIN, i32::MAX]),
        &["-2147483648", "2147483647"],
    );
    written(
        Int64Array::from(vec![i64::MIN, i64::MAX]),
        &["-9223372036854775808", "9223372036854775807"],
    );
    written(UInt8Array::from(vec![0, 255]), &["0", "255"]);
    written(UInt16Array::from(vec![0, 65535]), &["0", "65535"]);
    written(UInt32Array::from(vec![0, u32::MAX]), &["0", "4294967295"]);
    written(UInt64Array::from(vec![0, u64::MAX]), &["0", "18446744073709551615"]);
    written(Float32Array::from(vec![0.1, -1.5, 1e20]), &["0.1", "-1.5", "1e+20"]);
    written(
        Float64Array::from(vec![0.1, -0.0, 5.0, 1e300]),
        &["0.1", "-0.0", "5.0", "1e+300"],
    );
    written(
        BooleanArray::from(vec![Some(true), None, Some(false)]),
        &["true", "null", "false"],
    );
    written(NullArray::new(2), &["null", "null"]);
    stops(Float64Array::from(vec![f64::NAN]), "NaN");
    stops(Float32Array::from(vec![f32::NEG_INFINITY]), "infinity");
}

#[test]
fn decimals() {
    let of = |values: Vec<i128>, p, s| Decimal128Array::from(values).with_precision_and_scale(p, s).unwrap();
    written(
        of(vec![0, 5, -5, 12345], 10, 3),
        &["\"0.000\"", "\"0.005\"", "\"-0.005\"", "\"12.345\""],
    );
    written(
        of(vec![i128::from(i64::MAX), -10_i128.pow(37)], 38, 0),
        &["\"9223372036854775807\"", "\"-10000000000000000000000000000000000000\""],
    );
    written(of(vec![0, 12, -3], 5, -2), &["\"0\"", "\"1200\"", "\"-300\""]);
    let long = |text: &str| i256::from_string(text).unwrap();
    let nines = "9".repeat(76);
    let values = vec![
        long(&nines),
        long(&format!("-{nines}")),
        long("7"),
        long(&format!("1{}", "0".repeat(40))),
    ];
    let wide = Decimal256Array::from(values).with_precision_and_scale(76, 38).unwrap();
    let half = "9".repeat(38);
    written(
        wide,
        &[
            &format!("\"{half}.{half}\""),
            &format!("\"-{half}.{half}\""),
            &format!("\"0.{}7\"", "0".repeat(37)),
            &format!("\"100.{}\"", "0".repeat(38)),
        ],
    );
    written(
        Decimal32Array::from(vec![-105]).with_precision_and_scale(9, 2).unwrap(),
        &["\"-1.05\""],
    );
    written(
        Decimal64Array::from(vec![105]).with_precision_and_scale(18, 1).unwrap(),
        &["\"10.5\""],
    );
    // A number where the SCHEMA says number.
    let field = Field::new("x", DataType::Decimal128(10, 3), true);
    let schema = json!({"properties": {"x": {"type": "number", "multipleOf": 0.001}}});
    assert_eq!(
        write(&batch(field, Arc::new(of(vec![12345], 10, 3))), &schema).unwrap(),
        ["12.345"]
    );
}

#[test]
fn texts() {
    let wanted = ["\"a\\\"b\"", "null", "\"\\u0001é\\\\\\n\"", "\"\""];
    let values = vec![Some("a\"b"), None, Some("\u{1}é\\\n"), Some("")];
    written(StringArray::from(values.clone()), &wanted);
    written(LargeStringArray::from(values.clone()), &wanted);
    written(StringViewArray::from(values), &wanted);
    written(
        StringArray::from(vec!["plain", "and more of it, longer than a word"]),
        &["\"plain\"", "\"and more of it, longer than a word\""],
    );
    let bytes: Vec<Option<&[u8]>> = vec![Some(b"\0\x01\x02"), Some(b""), None, Some(b"\xff")];
    let base64 = ["\"AAEC\"", "\"\"", "null", "\"/w==\""];
    written(BinaryArray::from(bytes.clone()), &base64);
    written(LargeBinaryArray::from(bytes.clone()), &base64);
    written(BinaryViewArray::from(bytes), &base64);
    let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4]].into_iter()).unwrap();
    written(fixed, &["\"AQI=\"", "\"AwQ=\""]);
    let mut dictionary = StringDictionaryBuilder::<Int8Type>::new();
    dictionary.append_option(Some("x\n"));
    dictionary.append_null();
    dictionary.append_option(Some("y"));
    dictionary.append_option(Some("x\n"));
    written(dictionary.finish(), &["\"x\\n\"", "null", "\"y\"", "\"x\\n\""]);
    written(
        DictionaryArray::<UInt16Type>::from_iter([None::<&str>, None]),
        &["null", "null"],
    );
}

#[test]
fn json_texts() {
    let field = Field::new("x", DataType::Utf8, true)
        .with_metadata([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())]);
    let text = |text: &str| {
        write(
            &batch(field.clone(), Arc::new(StringArray::from(vec![text]))),
            &json!({}),
        )
    };
    assert_eq!(
        text("{\"a\": 1.50,\n \"b\": [NaN]}").unwrap(),
        ["{\"a\": 1.50,  \"b\": [NaN]}"]
    );
    assert_eq!(text("\"x\"").unwrap(), ["\"x\""]);
    for broken in ["", "{", "1,\"y\":2", "x", "\"\u{1}\""] {
        assert!(text(broken).unwrap_err().reason.contains("not JSON"), "{broken}");
    }
}

#[test]
fn times() {
    written(
        Date32Array::from(vec![0, -719_162, 2_932_896, 19_782]),
        &["\"1970-01-01\"", "\"0001-01-01\"", "\"9999-12-31\"", "\"2024-02-29\""],
    );
    written(
        Date64Array::from(vec![86_400_000, -86_400_000]),
        &["\"1970-01-02\"", "\"1969-12-31\""],
    );
    written(
        Time32SecondArray::from(vec![0, 86_399]),
        &["\"00:00:00\"", "\"23:59:59\""],
    );
    written(
        Time32MillisecondArray::from(vec![1, 500]),
        &["\"00:00:00.001\"", "\"00:00:00.5\""],
    );
    written(
        Time64MicrosecondArray::from(vec![1, 3_600_000_000]),
        &["\"00:00:00.000001\"", "\"01:00:00\""],
    );
    written(
        Time64NanosecondArray::from(vec![1, 120]),
        &["\"00:00:00.000000001\"", "\"00:00:00.00000012\""],
    );
    written(
        TimestampSecondArray::from(vec![0, -1]),
        &["\"1970-01-01T00:00:00Z\"", "\"1969-12-31T23:59:59Z\""],
    );
    written(
        TimestampMillisecondArray::from(vec![1500]).with_timezone("Europe/Berlin"),
        &["\"1970-01-01T00:00:01.5Z\""],
    );
    written(
        TimestampMicrosecondArray::from(vec![-1]).with_timezone("UTC"),
        &["\"1969-12-31T23:59:59.999999Z\""],
    );
    written(
        TimestampNanosecondArray::from(vec![i64::MAX, i64::MIN]),
        &[
            "\"2262-04-11T23:47:16.854775807Z\"",
            "\"1677-09-21T00:12:43.145224192Z\"",
        ],
    );
    written(
        DurationMillisecondArray::from(vec![1500, -1500, 0]),
        &["\"PT1.5S\"", "\"-PT1.5S\"", "\"PT0S\""],
    );
    stops(Date32Array::from(vec![2_932_897]), "9999");
    stops(Date32Array::from(vec![i32::MIN]), "9999");
    stops(Date64Array::from(vec![1]), "time of day");
    stops(TimestampMicrosecondArray::from(vec![i64::MAX]), "9999");
    stops(TimestampSecondArray::from(vec![i64::MIN]), "9999");
    stops(Time64MicrosecondArray::from(vec![86_400_000_000]), "24:00");
    stops(Time32SecondArray::from(vec![-1]), "24:00");
    stops(IntervalYearMonthArray::from(vec![1]), "no way to write");
}

#[test]
fn nested() {
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value([Some(1), None]);
    list.append_null();
    list.append_value([]);
    list.append_value([Some(3)]);
    written(list.finish(), &["[1,null]", "null", "[]", "[3]"]);
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let values = Int32Array::from(vec![1, 2, 3, 4]);
    let fixed = FixedSizeListArray::new(item, 2, Arc::new(values), None);
    written(fixed, &["[1,2]", "[3,4]"]);
    let fields = Fields::from(vec![
        Field::new("a\"", DataType::Int32, true),
        Field::new("b", DataType::Utf8, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])),
        Arc::new(StringArray::from(vec!["x", "y", "z"])),
    ];
    let nulls = NullBuffer::from(vec![true, true, false]);
    let object = StructArray::new(fields, columns, Some(nulls));
    written(object, &[r#"{"a\"":1,"b":"x"}"#, r#"{"a\"":null,"b":"y"}"#, "null"]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k\n");
    map.values().append_value(1);
    map.append(true).unwrap();
    map.append(true).unwrap();
    map.append(false).unwrap();
    written(map.finish(), &[r#"{"k\n":1}"#, "{}", "null"]);
    let mut map = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    map.keys().append_value(7);
    map.values().append_null();
    map.append(true).unwrap();
    written(map.finish(), &[r#"[{"key":7,"value":null}]"#]);
    // What stops a value inside leaves nothing of its row behind.
    let item = Arc::new(Field::new("item", DataType::Float64, true));
    let offsets = arrow_buffer::OffsetBuffer::new(vec![0, 1, 2].into());
    let list = ListArray::new(item, offsets, Arc::new(Float64Array::from(vec![1.0, f64::NAN])), None);
    let batch = batch(Field::new("x", list.data_type().clone(), true), Arc::new(list));
    let mut out = Vec::new();
    let stopped = Lines::new(&batch.schema(), &json!({}))
        .write(&batch, 0..2, b"<", b">", &mut out)
        .unwrap_err();
    assert_eq!((stopped.row, out.as_slice()), (1, b"<{\"x\":[1.0]}>".as_slice()));
}

#[test]
fn properties() {
    let of = |data_type: DataType| property(&Field::new("x", data_type, true));
    assert_eq!(of(DataType::Int16), json!({"type": ["integer", "null"]}));
    assert_eq!(
        property(&Field::new("x", DataType::Int64, false)),
        json!({"type": "integer"})
    );
    assert_eq!(
        of(DataType::UInt64),
        json!({"type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX})
    );
    let decimal = json!({"type": ["string", "null"], "format": "x-singer.decimal", "precision": 7, "scale": 0});
    assert_eq!(of(DataType::Decimal128(5, -2)), decimal);
    let item = Arc::new(Field::new("item", DataType::Date32, false));
    assert_eq!(
        of(DataType::List(item)),
        json!({"type": ["array", "null"], "items": {"type": "string", "format": "date"}})
    );
    let inside = Fields::from(vec![Field::new("a", DataType::Binary, true)]);
    let base64 = json!({"type": ["string", "null"], "contentEncoding": "base64"});
    assert_eq!(
        of(DataType::Struct(inside)),
        json!({"type": ["object", "null"], "properties": {"a": base64}})
    );
    assert_eq!(of(DataType::Null), json!({"type": "null"}));
}
