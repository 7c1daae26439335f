//! A stream's columns: from the headers of all its files and a sample of their rows.

use std::collections::HashMap;

use csv::ByteRecord;
use serde_json::{json, Map, Value};
use singer_plugin::catalog::{Catalog, Stream};
use singer_plugin::files::Found;
use singer_plugin::message::Schema;
use singer_plugin::texts::keys::Keys;
use singer_plugin::texts::mark::State;
use singer_plugin::texts::source::Facts;
use singer_plugin::Result;

use crate::kinds::Kind;
use crate::rows::{Place, Rows};
use crate::settings::{Header, Settings};

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
    /// Where it is, size and head, as they were when it was looked at.
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
    keys: Keys,
    metadata: bool,
}

impl Table {
    /// Look at a stream's files: headers, and kinds from the sample.
    pub fn look(settings: &Settings, stream: &str, found: Vec<Found>) -> Result<Self> {
        let mut table = Table {
            stream: stream.into(),
            columns: Vec::new(),
            files: Vec::new(),
            keys: Keys::default(),
            metadata: settings.metadata,
        };
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut budget = settings.sample_rows;
        for one in found {
            let facts = Facts::of(&settings.storage, &one.address)?;
            let mut rows = Rows::open(&facts, settings)?;
            let header = rows.header(settings)?;
            let start = if matches!(settings.header, Header::First(true)) {
                rows.place()
            } else {
                Place::default()
            };
            if !matches!(settings.header, Header::First(true)) {
                rows = Rows::open(&facts, settings)?;
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
            table.files.push(File { facts, fields, start });
        }
        let keys = settings.wanted.keys("tap-csv", stream, &table.names())?;
        table.keys = keys;
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

    /// Never narrower than what was sent before; what was never seen is a string from now on.
    pub fn settle(&mut self, state: &mut State) {
        for column in &mut self.columns {
            if !column.fixed {
                let sent = state.column(&self.stream, &column.name).and_then(Value::as_str);
                column.kind = column.kind.join(sent.and_then(Kind::named).unwrap_or_default());
            }
            if column.kind == Kind::Unseen {
                column.kind = Kind::String;
            }
            state.set_column(&self.stream, &column.name, column.kind.name().into());
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
            key_properties: self.keys.primary.clone(),
            bookmark_properties: self.keys.replication.iter().cloned().collect(),
        }
    }

    /// The stream in a catalog.
    pub fn entry(&self) -> Stream {
        self.keys.entry(&self.names(), self.schema(true))
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
