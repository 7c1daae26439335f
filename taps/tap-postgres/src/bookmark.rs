//! Where the last run ended: `{"bookmarks": {STREAM: …}}`, an entry of one of these forms.
//!
//! * `{"replication_key": "updated_at", "replication_key_value": "2026-01-01T00:00:00Z"}` – incremental: all rows up to that value
//!   were sent. MeltanoLabs' tap writes the same, and its bookmarks are taken.
//! * `{"version": 1767225600000}` – the last full load ended well.
//! * `{"version": …, "key": ["id"], "key_value": ["42"]}` – a full load in the order of its key came that far.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type};
use arrow_array::types::{Time64MicrosecondType, TimestampMicrosecondType};
use arrow_array::Array;
use arrow_schema::{DataType, TimeUnit};
use serde_json::{json, Map, Value};
use singer_plugin::columns::kind::Kind;
use singer_plugin::{PluginError, Result};

use crate::column::Column;

/// The whole STATE value.
#[derive(Clone, Debug)]
pub struct State {
    value: Value,
}

/// A full load that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halfway {
    /// Its version.
    pub version: i64,
    /// The key's columns.
    pub key: Vec<String>,
    /// Their values in the last row that was sent.
    pub values: Vec<String>,
}

impl State {
    /// From the state that was handed in.
    pub fn of(mut value: Map<String, Value>) -> Result<State> {
        value.remove("currently_syncing");
        let bookmarks = value.entry("bookmarks").or_insert_with(|| json!({}));
        if bookmarks.is_null() {
            *bookmarks = json!({});
        }
        match bookmarks.is_object() {
            true => Ok(State {
                value: Value::Object(value),
            }),
            false => Err(PluginError::config(
                "state.invalid",
                "the state's \"bookmarks\" is not an object",
            )),
        }
    }

    /// The whole value, for a STATE message.
    pub fn value(&self) -> &Value {
        &self.value
    }

    fn entry(&self, stream: &str) -> Option<&Value> {
        self.value["bookmarks"].get(stream).filter(|entry| !entry.is_null())
    }

    /// The value up to which a stream was read by that key.
    pub fn position(&self, stream: &str, key: &str) -> Result<Option<String>> {
        let Some(entry) = self.entry(stream) else {
            return Ok(None);
        };
        let value = entry.get("replication_key_value").filter(|value| !value.is_null());
        let Some(value) = value else { return Ok(None) };
        if entry
            .get("replication_key")
            .and_then(Value::as_str)
            .is_some_and(|other| other != key)
        {
            eprintln!(
                "warning: stream {stream:?} was read by another replication key before: it is read from its start"
            );
            return Ok(None);
        }
        match value {
            Value::String(text) => Ok(Some(text.clone())),
            Value::Number(number) => Ok(Some(number.to_string())),
            _ => Err(invalid(stream)),
        }
    }

    /// Note the value up to which a stream was read.
    pub fn set_position(&mut self, stream: &str, key: &str, value: &Value) {
        self.value["bookmarks"][stream] = json!({"replication_key": key, "replication_key_value": value});
    }

    /// The version of a stream's last full load, or of the one that was begun.
    pub fn version(&self, stream: &str) -> Option<i64> {
        self.entry(stream)?.get("version")?.as_i64()
    }

    /// The full load that was begun and not ended.
    pub fn halfway(&self, stream: &str) -> Result<Option<Halfway>> {
        let Some(entry) = self.entry(stream).filter(|entry| entry.get("key_value").is_some()) else {
            return Ok(None);
        };
        let texts = |name: &str| -> Option<Vec<String>> {
            let list = entry.get(name)?.as_array()?.iter();
            list.map(|text| text.as_str().map(str::to_owned)).collect()
        };
        match (self.version(stream), texts("key"), texts("key_value")) {
            (Some(version), Some(key), Some(values)) if key.len() == values.len() => {
                Ok(Some(Halfway { version, key, values }))
            }
            _ => Err(invalid(stream)),
        }
    }

    /// Note how far a full load came.
    pub fn set_halfway(&mut self, stream: &str, at: &Halfway) {
        self.value["bookmarks"][stream] = json!({"version": at.version, "key": at.key, "key_value": at.values});
    }

    /// Note that a full load ended well.
    pub fn set_loaded(&mut self, stream: &str, version: i64) {
        self.value["bookmarks"][stream] = json!({ "version": version });
    }
}

/// A bookmark that is none of ours.
pub fn invalid(stream: &str) -> PluginError {
    PluginError::config(
        "state.invalid",
        format!("the bookmark of stream {stream:?} is not one of tap-postgres"),
    )
    .hint("clear it: the stream is then read from its start")
}

/// A value of a column as the text that PostgreSQL reads back as the same value; none where it is null.
pub fn text_of(column: &dyn Array, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => format!("{:e}", column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => column.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Decimal256(_, _) => column.as_primitive::<Decimal256Type>().value_as_string(row),
        DataType::Utf8 => column.as_string::<i32>().value(row).to_string(),
        DataType::Date32 => column.as_primitive::<Date32Type>().value_as_date(row)?.to_string(),
        DataType::Time64(TimeUnit::Microsecond) => column
            .as_primitive::<Time64MicrosecondType>()
            .value_as_time(row)?
            .to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let moment = column
                .as_primitive::<TimestampMicrosecondType>()
                .value_as_datetime(row)?;
            format!("{}Z", moment.to_string().replacen(' ', "T", 1))
        }
        _ => return None,
    })
}

/// Such a text as a bookmark holds it: an integer is a number.
pub fn value_of(column: &Column, text: &str) -> Value {
    match column.shape.kind() {
        Kind::Integer => text.parse::<i64>().map_or_else(|_| json!(text), Value::from),
        _ => json!(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};

    fn state(value: Value) -> State {
        let Value::Object(map) = value else { unreachable!() };
        State::of(map).unwrap()
    }

    #[test]
    fn positions_of_this_tap_and_of_others() {
        let mut found = state(json!({"bookmarks": null, "currently_syncing": "a", "other": 1}));
        assert_eq!(found.position("a", "id"), Ok(None));
        found.set_position("a", "id", &json!(5));
        assert_eq!(found.position("a", "id"), Ok(Some("5".into())));
        assert_eq!(found.position("a", "at"), Ok(None));
        assert_eq!(
            found.value(),
            &json!({"bookmarks": {"a": {"replication_key": "id", "replication_key_value": 5}}, "other": 1})
        );
        let meltanolabs = state(json!({"bookmarks": {"a": {"replication_key_value": "2024-01-01T00:00:00+00:00"}}}));
        assert_eq!(
            meltanolabs.position("a", "at"),
            Ok(Some("2024-01-01T00:00:00+00:00".into()))
        );
        let wrong = state(json!({"bookmarks": {"a": {"replication_key_value": [1]}}}));
        assert_eq!(wrong.position("a", "id").unwrap_err().code, "state.invalid");
        assert!(State::of(json!({"bookmarks": []}).as_object().unwrap().clone()).is_err());
    }

    #[test]
    fn a_full_load_is_halfway_or_done() {
        let mut found = state(json!({}));
        let at = Halfway {
            version: 3,
            key: vec!["id".into()],
            values: vec!["7".into()],
        };
        found.set_halfway("a", &at);
        assert_eq!(found.halfway("a"), Ok(Some(at)));
        found.set_loaded("a", 3);
        assert_eq!((found.halfway("a"), found.version("a")), (Ok(None), Some(3)));
        let wrong = state(json!({"bookmarks": {"a": {"version": 1, "key": ["id"], "key_value": []}}}));
        assert!(wrong.halfway("a").is_err());
    }

    #[test]
    fn values_have_a_text_that_is_read_back() {
        let text = |array: &dyn Array| text_of(array, 0).unwrap();
        assert_eq!(text(&Int64Array::from(vec![i64::MIN])), i64::MIN.to_string());
        assert_eq!(text(&Float64Array::from(vec![0.1])), "1e-1");
        let decimal = Decimal128Array::from(vec![-5]).with_precision_and_scale(5, 2).unwrap();
        assert_eq!(text(&decimal), "-0.05");
        assert_eq!(text(&StringArray::from(vec!["it's"])), "it's");
        assert_eq!(text(&Date32Array::from(vec![-719_162])), "0001-01-01");
        let stamp = TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC");
        assert_eq!(text(&stamp), "1970-01-01T00:00:01.500Z");
        let last = TimestampMicrosecondArray::from(vec![253_402_300_799_999_999]);
        assert_eq!(text(&last), "9999-12-31T23:59:59.999999Z");
        assert_eq!(text_of(&Int64Array::from(vec![None]), 0), None);
    }
}
