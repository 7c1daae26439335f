//! A stream's columns, whatever the format of its files.

use std::collections::HashMap;

use serde_json::{json, Map, Value};

use super::keys::{Keys, Wanted};
use super::mark::State;
use crate::catalog::Stream;
use crate::error::Result;
use crate::message::Schema;

/// The column of the file a row came from.
pub const SOURCE_FILE: &str = "_sdc_source_file";
/// The column of the line a row began on.
pub const SOURCE_LINE: &str = "_sdc_source_line";

/// What a format knows of a column's values.
pub trait Typed {
    /// Their JSON Schema.
    fn schema(&self) -> Value;
    /// Never narrower than what was noted when the column was sent before, if it was.
    fn settle(&mut self, noted: Option<&Value>);
    /// What the state notes of it.
    fn note(&self) -> Value;
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column<T> {
    /// Its name.
    pub name: String,
    /// What it is sent as.
    pub typed: T,
    /// It is sent.
    pub selected: bool,
}

/// A stream's columns and keys.
#[derive(Clone, Debug)]
pub struct Table<T> {
    /// The stream's name.
    pub stream: String,
    /// In the order in which they were found.
    pub columns: Vec<Column<T>>,
    known: HashMap<String, usize>,
    keys: Keys,
    metadata: bool,
}

impl<T: Typed> Table<T> {
    /// A stream of which nothing is known yet; with [`SOURCE_FILE`] and [`SOURCE_LINE`] or without.
    pub fn new(stream: &str, metadata: bool) -> Self {
        Table {
            stream: stream.into(),
            columns: Vec::new(),
            known: HashMap::new(),
            keys: Keys::default(),
            metadata,
        }
    }

    /// Where a column is; a new one is made from the stream's name and its own.
    pub fn column(&mut self, name: &str, make: impl FnOnce(&str, &str) -> T) -> usize {
        if let Some(at) = self.known.get(name) {
            return *at;
        }
        let at = self.columns.len();
        self.columns.push(Column {
            name: name.into(),
            typed: make(&self.stream, name),
            selected: true,
        });
        self.known.insert(name.into(), at);
        at
    }

    /// Nothing was found in its files.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|c| c.name.as_str()).collect()
    }

    /// Take over what the settings say of its keys.
    pub fn want(&mut self, tap: &str, wanted: &Wanted) -> Result<()> {
        self.keys = wanted.keys(tap, &self.stream, &self.names())?;
        Ok(())
    }

    /// Take over what the catalog says of this stream.
    pub fn choose(&mut self, chosen: &Stream) -> Result<()> {
        let mut keys = self.keys.clone();
        keys.choose(chosen, &self.names())?;
        for column in &mut self.columns {
            column.selected = chosen.column_is_selected(&column.name) || keys.primary.contains(&column.name);
        }
        self.keys = keys;
        Ok(())
    }

    /// Never narrower than what was sent before.
    pub fn settle(&mut self, state: &mut State) {
        for column in &mut self.columns {
            column.typed.settle(state.column(&self.stream, &column.name));
            state.set_column(&self.stream, &column.name, column.typed.note());
        }
    }

    /// The JSON Schema of the stream; of all columns, or of the selected ones.
    fn schema(&self, all: bool) -> Value {
        let chosen = self.columns.iter().filter(|c| all || c.selected);
        let mut properties: Map<String, Value> = chosen.map(|c| (c.name.clone(), c.typed.schema())).collect();
        if self.metadata {
            properties.insert(SOURCE_FILE.into(), json!({"type": ["null", "string"]}));
            properties.insert(SOURCE_LINE.into(), json!({"type": ["null", "integer"]}));
        }
        json!({"type": "object", "properties": properties})
    }

    /// The SCHEMA message.
    pub fn message(&self) -> Schema {
        Schema {
            stream: self.stream.clone(),
            schema: self.schema(false),
            key_properties: self.keys.primary.clone(),
            bookmark_properties: self.keys.replication.iter().cloned().collect(),
        }
    }

    /// The stream in a catalog.
    pub fn entry(&self) -> Stream {
        self.keys.entry(&self.names(), self.schema(true))
    }

    /// In a file's records, all of the two columns but the line's number; none where they are not wanted.
    pub fn source_of(&self, file: &str) -> Option<Vec<u8>> {
        let text = |text: &str| Value::from(text).to_string();
        let before = || format!("{}:{},{}:", text(SOURCE_FILE), text(file), text(SOURCE_LINE));
        self.metadata.then(|| before().into_bytes())
    }
}
