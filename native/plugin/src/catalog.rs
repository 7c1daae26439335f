//! The catalog: what a tap offers (`--discover`) and what of it was chosen (`--catalog`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// All streams of a tap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// In the order of discovery.
    pub streams: Vec<Stream>,
}

/// One stream of a catalog.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Its identity in catalogs and bookmarks.
    pub tap_stream_id: String,
    /// Its name in messages.
    #[serde(default)]
    pub stream: String,
    /// The JSON Schema of its records.
    #[serde(default)]
    pub schema: Value,
    /// The key's columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_properties: Option<Vec<String>>,
    /// The replication key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_key: Option<String>,
    /// FULL_TABLE, INCREMENTAL or LOG_BASED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_method: Option<String>,
    /// Metadata by breadcrumb.
    #[serde(default)]
    pub metadata: Vec<Metadata>,
    /// Chosen, in the oldest style of catalogs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<bool>,
}

/// What is known or chosen about the stream (empty breadcrumb) or one of its properties.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// `[]` or `["properties", name]`.
    pub breadcrumb: Vec<String>,
    /// inclusion, selected, table-key-properties, …
    pub metadata: Map<String, Value>,
}

impl Stream {
    /// The metadata of the stream itself or of one column.
    pub fn about(&self, column: Option<&str>) -> Option<&Map<String, Value>> {
        let found = self
            .metadata
            .iter()
            .find(|entry| match (column, entry.breadcrumb.as_slice()) {
                (None, []) => true,
                (Some(column), [properties, name]) => properties == "properties" && name == column,
                _ => false,
            });
        found.map(|entry| &entry.metadata)
    }

    /// Whether the stream is to be read. A catalog that says nothing about selection at all means everything.
    pub fn is_selected(&self) -> bool {
        let silent = self.metadata.is_empty() && self.selected.is_none();
        silent || selected(self.about(None), None).or(self.selected).unwrap_or(false)
    }

    /// Whether one of its columns is to be read.
    pub fn column_is_selected(&self, column: &str) -> bool {
        self.is_selected() && selected(self.about(Some(column)), Some(true)).unwrap_or(true)
    }

    /// A string list in the stream's metadata.
    pub fn names(&self, key: &str) -> Option<Vec<String>> {
        let list = self.about(None)?.get(key)?.as_array()?;
        list.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    }
}

/// The rule of every SDK: unsupported, automatic, selected, selected-by-default, then what the parent says.
fn selected(metadata: Option<&Map<String, Value>>, parent: Option<bool>) -> Option<bool> {
    let Some(metadata) = metadata else { return parent };
    match metadata.get("inclusion").and_then(Value::as_str) {
        Some("unsupported") => return Some(false),
        Some("automatic") => return Some(true),
        _ => {}
    }
    let flag = |key: &str| metadata.get(key).and_then(Value::as_bool);
    flag("selected").or_else(|| flag("selected-by-default")).or(parent)
}
