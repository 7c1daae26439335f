//! A stream's columns: from the headers of all its files and a sample of their rows.

use std::collections::HashMap;
use std::path::PathBuf;

use csv::ByteRecord;
use serde_json::{json, Map, Value};
use singer_plugin::catalog::{Catalog, Metadata, Stream};
use singer_plugin::message::Schema;
use singer_plugin::{PluginError, Result};

use crate::bookmark::State;
use crate::kinds::Kind;
use crate::rows::{Place, Rows};
use crate::settings::{Header, Settings};
use crate::source::Facts;

/// The column of the file a row came from.
pub const SOURCE_FILE: &str = "_sdc_source_file";
/// The column of the line a row began on.
pub const SOURCE_LINE: &str = "_sdc_source_line";

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is sent as.
    pub kind: Kind,
    /// The settings say so: it does not widen.
    pub fixed: bool,
    /// It is sent.
    pub selected: bool,
}

/// One of a stream's files.
#[derive(Clone, Debug)]
pub struct File {
    /// As the settings or the glob gave it.
    pub path: PathBuf,
    /// Size and head, as they were when it was looked at.
    pub facts: Facts,
    /// For each of its fields, which column of the table it is.
    pub fields: Vec<usize>,
    /// Where its first row of data is.
    pub start: Place,
}

/// A stream.
#[derive(Clone, Debug)]
pub struct Table {
    /// The stream's name.
    pub stream: String,
    /// In the order of the first header that has them.
    pub columns: Vec<Column>,
    /// Sorted by path.
    pub files: Vec<File>,
    /// The key's columns.
    pub keys: Vec<String>,
    replication_key: Option<String>,
    metadata: bool,
}

impl Table {
    /// Look at a stream's files: headers, and kinds from the sample.
    pub fn look(settings: &Settings, stream: &str, paths: Vec<PathBuf>) -> Result<Self> {
        let mut table = Table {
            stream: stream.into(),
            columns: Vec::new(),
            files: Vec::new(),
            keys: settings.keys(stream).unwrap_or_default().to_vec(),
            replication_key: settings.replication_key(stream).map(str::to_owned),
            metadata: settings.metadata,
        };
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut budget = settings.sample_rows;
        for path in paths {
            let facts = Facts::of(&path)?;
            let mut rows = Rows::open(&path, &facts, settings)?;
            let header = rows.header(settings)?;
            let start = if matches!(settings.header, Header::First(true)) {
                rows.place()
            } else {
                Place::default()
            };
            if !matches!(settings.header, Header::First(true)) {
                rows = Rows::open(&path, &facts, settings)?;
            }
            let fields: Vec<usize> = header
                .into_iter()
                .map(|name| {
                    *known.entry(name.clone()).or_insert_with(|| {
                        table.columns.push(Column::new(settings, stream, name));
                        table.columns.len() - 1
                    })
                })
                .collect();
            budget -= table.sample(&mut rows, &fields, settings, budget);
            table.files.push(File {
                path,
                facts,
                fields,
                start,
            });
        }
        table.check_names()?;
        Ok(table)
    }

    /// Widen the columns to what the next rows hold; how many rows were read. What is wrong with the file is told when
    /// it is read for good, with the rows before it sent.
    fn sample(&mut self, rows: &mut Rows, fields: &[usize], settings: &Settings, budget: u64) -> u64 {
        let mut row = ByteRecord::new();
        let mut count = 0;
        while count < budget && rows.next(&mut row).unwrap_or(false) {
            count += 1;
            for (field, text) in fields.iter().zip(row.iter()) {
                let column = &mut self.columns[*field];
                if !column.fixed && column.kind != Kind::String && !is_null(&settings.null_values, text) {
                    column.kind = column.kind.join(Kind::of(text));
                }
            }
        }
        count
    }

    fn check_names(&self) -> Result<()> {
        let wanted = self.keys.iter().map(|name| ("key_properties", name));
        let replication = self.replication_key.iter().map(|name| ("replication_key", name));
        let missing = wanted
            .chain(replication)
            .find(|(_, name)| !self.columns.iter().any(|c| c.name == **name));
        match missing {
            Some((setting, name)) => {
                let message = format!(
                    "tap-csv: {setting}: the stream {:?} has no column {name:?}",
                    self.stream
                );
                let names: Vec<_> = self.columns.iter().map(|c| c.name.as_str()).collect();
                Err(PluginError::config("config.invalid", message).hint(format!("it has: {}", names.join(", "))))
            }
            None => Ok(()),
        }
    }

    /// Take over what the catalog says of this stream.
    pub fn choose(&mut self, settings: &Settings, chosen: &Stream) -> Result<()> {
        if settings.keys(&self.stream).is_none() {
            let keys = chosen
                .key_properties
                .clone()
                .or_else(|| chosen.names("table-key-properties"));
            self.keys = keys.unwrap_or_default();
        }
        if self.replication_key.is_none() {
            self.replication_key = chosen.replication_key.clone().filter(|key| !key.is_empty());
        }
        let missing = self
            .keys
            .iter()
            .chain(&self.replication_key)
            .find(|name| !self.columns.iter().any(|c| c.name == **name));
        if let Some(name) = missing {
            let message = format!(
                "the catalog's stream {:?} names a column {name:?}, which no file has",
                self.stream
            );
            return Err(PluginError::config("catalog.invalid", message).hint("make a new one with --discover"));
        }
        for column in &mut self.columns {
            column.selected = chosen.column_is_selected(&column.name) || self.keys.contains(&column.name);
        }
        Ok(())
    }

    /// Never narrower than what was sent before; what was never seen is a string from now on.
    pub fn settle(&mut self, state: &mut State) {
        for column in &mut self.columns {
            if !column.fixed {
                column.kind = column.kind.join(state.kind(&self.stream, &column.name));
            }
            if column.kind == Kind::Unseen {
                column.kind = Kind::String;
            }
            state.set_kind(&self.stream, &column.name, column.kind);
        }
    }

    /// The JSON Schema of the stream; of all columns, or of the selected ones.
    fn schema(&self, all: bool) -> Value {
        let chosen = self.columns.iter().filter(|c| all || c.selected);
        let mut properties: Map<String, Value> = chosen.map(|c| (c.name.clone(), c.kind.schema())).collect();
        if self.metadata {
            properties.insert(SOURCE_FILE.into(), Kind::String.schema());
            properties.insert(SOURCE_LINE.into(), Kind::Integer.schema());
        }
        json!({"type": "object", "properties": properties})
    }

    /// The SCHEMA message.
    pub fn message(&self) -> Schema {
        Schema {
            stream: self.stream.clone(),
            schema: self.schema(false),
            key_properties: self.keys.clone(),
            bookmark_properties: self.replication_key.iter().cloned().collect(),
        }
    }

    /// The stream in a catalog.
    pub fn entry(&self) -> Stream {
        let metadata = |value: Value| match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let whole = json!({"inclusion": "available", "selected-by-default": true, "table-key-properties": self.keys});
        let mut about = vec![Metadata {
            breadcrumb: vec![],
            metadata: metadata(whole),
        }];
        for column in &self.columns {
            let entry = match self.keys.contains(&column.name) {
                true => json!({"inclusion": "automatic"}),
                false => json!({"inclusion": "available", "selected-by-default": true}),
            };
            about.push(Metadata {
                breadcrumb: vec!["properties".into(), column.name.clone()],
                metadata: metadata(entry),
            });
        }
        Stream {
            tap_stream_id: self.stream.clone(),
            stream: self.stream.clone(),
            schema: self.schema(true),
            key_properties: Some(self.keys.clone()),
            replication_key: self.replication_key.clone(),
            replication_method: self.replication_key.as_ref().map(|_| "INCREMENTAL".into()),
            metadata: about,
            selected: None,
        }
    }
}

impl Column {
    fn new(settings: &Settings, stream: &str, name: String) -> Self {
        let fixed = settings.fixed(stream, &name);
        Column {
            kind: fixed.unwrap_or_default(),
            fixed: fixed.is_some(),
            selected: true,
            name,
        }
    }
}

/// Whether a text means null.
#[inline]
pub fn is_null(nulls: &[Vec<u8>], text: &[u8]) -> bool {
    nulls.iter().any(|null| null.as_slice() == text)
}

/// The catalog of several tables.
pub fn catalog(tables: &[Table]) -> Catalog {
    Catalog {
        streams: tables.iter().map(Table::entry).collect(),
    }
}
