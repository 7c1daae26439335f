//! How far each stream was read: `{"bookmarks": {stream: {"files": {address: {...}}, ...}}}`.
//!
//! A file is the one that was read when its end is: the footer of a Parquet file names the place of everything in it. Its version
//! (time and size, or an object's etag) only saves looking.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{json, Map, Value};
use singer_plugin::{PluginError, Result};

/// How far one file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What its end says.
    pub tail: String,
    /// Row groups sent.
    pub groups: usize,
    /// How many there are.
    pub of: usize,
}

/// One stream's bookmark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bookmark {
    /// By address.
    #[serde(default)]
    pub files: BTreeMap<String, Mark>,
    /// FULL_TABLE: the version of the load that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// INCREMENTAL: the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_key: Option<String>,
    /// Rows from this value on are new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_key_value: Option<Value>,
    /// The largest value that the run under way has sent. Files are in no order, so it counts when all are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Value>,
}

/// The tap's state: what was handed in, kept up to date. Keys of other streams and other taps stay as they are.
#[derive(Clone, Debug)]
pub struct State {
    value: Map<String, Value>,
}

impl State {
    /// Take over the state that was handed in.
    pub fn of(mut value: Map<String, Value>) -> Result<Self> {
        let bookmarks = value.entry("bookmarks").or_insert(Value::Null);
        if bookmarks.is_null() {
            *bookmarks = json!({});
        }
        match bookmarks.is_object() {
            true => Ok(State { value }),
            false => Err(PluginError::config(
                "state.invalid",
                "the state's \"bookmarks\" is not an object",
            )),
        }
    }

    /// The whole value, for a STATE message.
    pub fn value(&self) -> &Map<String, Value> {
        &self.value
    }

    /// A stream's bookmark.
    pub fn get(&self, stream: &str) -> Result<Bookmark> {
        match self.value["bookmarks"].get(stream) {
            None | Some(Value::Null) => Ok(Bookmark::default()),
            Some(found) => Bookmark::deserialize(found).map_err(|_| {
                let what = format!("the bookmark of stream {stream:?} is not one of tap-parquet");
                PluginError::config("state.invalid", what).hint("clear it: the stream is then read from its start")
            }),
        }
    }

    /// Note a stream's bookmark.
    pub fn set(&mut self, stream: &str, bookmark: &Bookmark) {
        self.value["bookmarks"][stream] = json!(bookmark);
    }
}
