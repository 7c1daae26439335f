//! How far each stream was read: `{"bookmarks": {stream: {"files": {address: {...}}, ...}}}`.
//!
//! A file is the one that was read when its end is: the footer of a Parquet file names the place of everything in it. Its version
//! (time and size, or an object's etag) only saves looking.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use singer_plugin::state::State;
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

impl Bookmark {
    /// Of a stream.
    pub fn of(state: &State, stream: &str) -> Result<Self> {
        match state.bookmark(stream) {
            None | Some(Value::Null) => Ok(Bookmark::default()),
            Some(found) => Bookmark::deserialize(found).map_err(|_| {
                let what = format!("the bookmark of stream {stream:?} is not one of tap-parquet");
                PluginError::config("state.invalid", what).hint("clear it: the stream is then read from its start")
            }),
        }
    }

    /// Note it in the state.
    pub fn note(&self, state: &mut State, stream: &str) {
        *state.bookmark_mut(stream) = json!(self);
    }
}
