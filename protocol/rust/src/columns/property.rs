//! The JSON Schema of an Arrow field (SPEC.md, section 7, the way back).

use arrow_schema::{DataType, Field};
use serde_json::{json, Map, Value};

use super::kind::is_json;

/// The JSON Schema of an Arrow field, for taps whose source is Arrow (SPEC.md, section 7, the way back).
pub fn property(field: &Field) -> Value {
    if is_json(field) {
        return json!({});
    }
    let mut found = of_type(field.data_type());
    if let (true, Some(Value::String(name))) = (field.is_nullable(), found.get("type")) {
        if name != "null" {
            found["type"] = json!([name, "null"]);
        }
    }
    found
}

fn of_type(data_type: &DataType) -> Value {
    let format = |name: &str| json!({"type": "string", "format": name});
    match data_type {
        DataType::Null => json!({"type": "null"}),
        DataType::Boolean => json!({"type": "boolean"}),
        DataType::UInt64 => json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
        integer if integer.is_integer() => json!({"type": "integer"}),
        float if float.is_floating() => json!({"type": "number"}),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            // A scale below zero stands for digits before the point that are always 0.
            let zeros = u8::try_from(-i16::from(*scale)).unwrap_or(0);
            json!({
                "type": "string", "format": "x-singer.decimal",
                "precision": precision.saturating_add(zeros), "scale": (*scale).max(0),
            })
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => json!({"type": "string"}),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            json!({"type": "string", "contentEncoding": "base64"})
        }
        DataType::Date32 | DataType::Date64 => format("date"),
        DataType::Time32(_) | DataType::Time64(_) => format("time"),
        DataType::Timestamp(_, _) => format("date-time"),
        DataType::Duration(_) => format("duration"),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            json!({"type": "array", "items": property(item)})
        }
        DataType::Struct(fields) => {
            let properties: Map<String, Value> = fields.iter().map(|f| (f.name().clone(), property(f))).collect();
            json!({"type": "object", "properties": properties})
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 && pair[0].data_type().is_string() => {
                json!({"type": "object", "additionalProperties": property(&pair[1])})
            }
            _ => json!({"type": "array", "items": property(entries)}),
        },
        DataType::Dictionary(_, values) => of_type(values),
        _ => json!({}),
    }
}
