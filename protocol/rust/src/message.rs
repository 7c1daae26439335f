//! The five messages as types, for authors of plugins. A record and a state value stay the bytes that came (I3).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::Value;

use crate::envelope::{Envelope, Kind};
use crate::error::{Code, Fault};

/// Describes a stream; comes before its records and may come again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The stream's name. Data, never a path (I12).
    pub stream: String,
    /// The records' JSON Schema; properties keep their order, numbers their digits.
    pub schema: Value,
    /// The key's columns; empty for none. Missing and null count as none.
    #[serde(default, deserialize_with = "none_is_empty")]
    pub key_properties: Vec<String>,
    /// The replication key's columns.
    #[serde(default, deserialize_with = "none_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub bookmark_properties: Vec<String>,
}

/// One row; borrowed from the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The stream's name.
    pub stream: Cow<'a, str>,
    /// The record object's own bytes.
    pub record: &'a [u8],
    /// The table version.
    pub version: Option<i64>,
}

impl<'a> Record<'a> {
    /// The record parsed into a type of yours.
    pub fn parse<T: Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(self.record)
    }
}

/// A bookmark to echo once everything before it is safe; borrowed from the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<'a> {
    /// The value's own bytes.
    pub value: &'a [u8],
}

/// Rows of older versions of this stream may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivateVersion {
    /// The stream's name.
    pub stream: String,
    /// The version that stays.
    pub version: i64,
}

/// Rows that lie in files. The two shapes in use (singer-sdk's, PipelineWise's) differ, so the rest stays open.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The stream's name.
    pub stream: String,
    /// All fields but `type` and `stream`.
    pub rest: serde_json::Map<String, Value>,
}

/// Any of the five.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    /// SCHEMA
    Schema(Schema),
    /// RECORD
    Record(Record<'a>),
    /// STATE
    State(State<'a>),
    /// ACTIVATE_VERSION
    ActivateVersion(ActivateVersion),
    /// BATCH
    Batch(Batch),
}

/// The typed message of a line whose envelope [`crate::line::inspect`] gave.
pub fn parse<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Message<'a>, Fault> {
    let stream = || envelope.stream.map(|s| s.to_str_lossy()).unwrap_or_default();
    let missing = Fault::message("the message lacks a field that its type needs");
    match envelope.kind {
        Kind::Record => {
            let span = envelope.record.clone().ok_or(missing)?;
            let version = envelope
                .version
                .clone()
                .and_then(|v| std::str::from_utf8(&line[v]).ok()?.parse().ok());
            Ok(Message::Record(Record {
                stream: stream(),
                record: &line[span],
                version,
            }))
        }
        Kind::State => Ok(Message::State(State {
            value: &line[envelope.value.clone().ok_or(missing)?],
        })),
        Kind::Schema => typed(line).map(Message::Schema),
        Kind::ActivateVersion => typed(line).map(Message::ActivateVersion),
        Kind::Batch => typed(line).map(|mut rest: serde_json::Map<String, Value>| {
            rest.shift_remove("type");
            rest.shift_remove("stream");
            Message::Batch(Batch {
                stream: stream().into_owned(),
                rest,
            })
        }),
        Kind::Unknown { .. } | Kind::Missing => Err(Fault::message("not one of the five message types")),
    }
}

fn typed<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(line).map_err(|e| Fault {
        code: Code::BadMessage,
        offset: e.column(),
        truncated: false,
        reason: "a field of the message has the wrong type",
    })
}

/// `null` and a missing list are an empty one; a single string is a list of one, as singer-python reads it.
fn none_is_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        None(()),
        One(String),
        Many(Vec<String>),
    }
    Ok(match Names::deserialize(from)? {
        Names::None(()) => Vec::new(),
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    })
}

/// Append a SCHEMA line.
pub fn write_schema(out: &mut Vec<u8>, schema: &Schema) {
    tagged(out, "SCHEMA", schema);
}

/// Append an ACTIVATE_VERSION line.
pub fn write_activate_version(out: &mut Vec<u8>, message: &ActivateVersion) {
    tagged(out, "ACTIVATE_VERSION", message);
}

/// Append a STATE line; `value` is any JSON value.
pub fn write_state<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> serde_json::Result<()> {
    let at = out.len();
    out.extend_from_slice(br#"{"type":"STATE","value":"#);
    if let Err(e) = serde_json::to_writer(&mut *out, value) {
        out.truncate(at);
        return Err(e);
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// The bytes before a record of this stream: write them, the record object, then [`RECORD_END`].
pub fn record_start(stream: &str) -> Vec<u8> {
    let mut start = br#"{"type":"RECORD","stream":"#.to_vec();
    push_string(&mut start, stream);
    start.extend_from_slice(br#","record":"#);
    start
}

/// The bytes after a record.
pub const RECORD_END: &[u8] = b"}\n";

/// Append `text` as a JSON string with its quotes.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    // Writing a string into a Vec cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// A raw JSON value checked once, for a [`write_state`] that must keep its bytes.
pub fn raw(value: &[u8]) -> Result<&RawValue, Fault> {
    serde_json::from_slice(value).map_err(|_| Fault::json(value, 0, "not one JSON value"))
}

fn tagged<T: Serialize>(out: &mut Vec<u8>, name: &str, body: &T) {
    #[derive(Serialize)]
    struct Tagged<'a, T> {
        r#type: &'a str,
        #[serde(flatten)]
        body: &'a T,
    }
    // Writing plain structs of strings, lists and JSON values into a Vec cannot fail.
    let _ = serde_json::to_writer(&mut *out, &Tagged { r#type: name, body });
    out.push(b'\n');
}
