//! A stream's columns: from a sample of its files' lines.

use std::collections::{HashMap, HashSet};

use serde_json::{json, Map, Value};
use singer_plugin::catalog::{Catalog, Stream};
use singer_plugin::files::Found;
use singer_plugin::message::Schema;
use singer_plugin::texts::keys::Keys;
use singer_plugin::texts::mark::State;
use singer_plugin::texts::source::Facts;
use singer_plugin::Result;

use crate::lines::{Line, Lines};
use crate::settings::Settings;
use crate::shape::Shape;

/// The column of the file a row came from.
pub const SOURCE_FILE: &str = "_sdc_source_file";
/// The column of the line a row is.
pub const SOURCE_LINE: &str = "_sdc_source_line";

/// One column.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    shape: Shape,
    /// The settings say so.
    fixed: Option<Value>,
    selected: bool,
}

/// A stream.
#[derive(Clone, Debug)]
pub struct Table {
    /// The stream's name.
    pub stream: String,
    /// Sorted.
    pub files: Vec<Facts>,
    columns: Vec<Column>,
    keys: Keys,
    metadata: bool,
}

impl Table {
    /// Look at a stream's files.
    pub fn look(settings: &Settings, stream: &str, found: Vec<Found>) -> Result<Self> {
        let mut columns = Vec::new();
        let mut known = HashMap::new();
        let mut files = Vec::new();
        let mut budget = settings.sample_rows;
        for one in found {
            let facts = Facts::of(&settings.storage, &one.address)?;
            if budget > 0 {
                // What is wrong with a line is told when it is read for good, with those before it sent.
                let mut lines = Lines::open(&facts, settings)?;
                while let (true, Ok(Some(line))) = (budget > 0, lines.next()) {
                    let Line::Object(from, to) = line else { continue };
                    budget -= 1;
                    let Ok(record) = serde_json::from_slice::<Map<String, Value>>(lines.bytes(from, to)) else {
                        continue;
                    };
                    for (name, value) in &record {
                        let at = *known.entry(name.clone()).or_insert_with(|| {
                            columns.push(Column {
                                name: name.clone(),
                                shape: Shape::default(),
                                fixed: settings.fixed(stream, name).cloned(),
                                selected: true,
                            });
                            columns.len() - 1
                        });
                        columns[at].shape.add(value);
                    }
                }
            }
            files.push(facts);
        }
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let keys = settings.wanted.keys("tap-jsonl", stream, &names)?;
        Ok(Table {
            stream: stream.into(),
            files,
            columns,
            keys,
            metadata: settings.metadata,
        })
    }

    /// Nothing was found in its files.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|c| c.name.as_str()).collect()
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

    /// The properties that are not selected.
    pub fn dropped(&self) -> HashSet<Vec<u8>> {
        let dropped = self.columns.iter().filter(|c| !c.selected);
        dropped.map(|c| c.name.clone().into_bytes()).collect()
    }

    /// Never narrower than what was sent before.
    pub fn settle(&mut self, state: &mut State) {
        for column in &mut self.columns {
            if let Some(sent) = state.column(&self.stream, &column.name) {
                column.shape.join(Shape::of(sent));
            }
            state.set_column(&self.stream, &column.name, column.shape.schema());
        }
    }

    /// The JSON Schema of the stream; of all columns, or of the selected ones.
    fn schema(&self, all: bool) -> Value {
        let chosen = self.columns.iter().filter(|c| all || c.selected);
        let schema = |c: &Column| c.fixed.clone().unwrap_or_else(|| c.shape.schema());
        let mut properties: Map<String, Value> = chosen.map(|c| (c.name.clone(), schema(c))).collect();
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
}

/// The catalog of several tables.
pub fn catalog(tables: &[Table]) -> Catalog {
    let entry = |table: &Table| table.keys.entry(&table.names(), table.schema(true));
    Catalog {
        streams: tables.iter().map(entry).collect(),
    }
}
