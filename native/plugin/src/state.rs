//! A tap's state: `{"bookmarks": {stream: …}}`; what stands behind a stream's name is the tap's own.

use serde_json::{json, Map, Value};

use crate::error::{PluginError, Result};

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
    pub fn bookmark(&self, stream: &str) -> Option<&Value> {
        self.value["bookmarks"].get(stream)
    }

    /// A stream's bookmark, to be changed; null where there was none.
    pub fn bookmark_mut(&mut self, stream: &str) -> &mut Value {
        &mut self.value["bookmarks"][stream]
    }
}
