//! A stream's columns, and its records as rows.
//!
//! A record's values are found by one walk over its bytes; a key that stands where it stood in the record before costs one
//! comparison. Nothing is parsed but strings with escapes.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use singer_plugin::folder::Format;
use singer_plugin::text::Text;
use singer_plugin::wire_json::{blank, peek, string, value};
use singer_plugin::{PluginError, Result};

use crate::cell::Cells;
use crate::settings::Settings;

const BOM: &str = "\u{feff}";

/// All streams.
#[derive(Debug)]
pub struct Tables {
    settings: Settings,
    cells: Cells,
    declared: HashMap<Vec<u8>, Vec<String>>,
    tables: Vec<Table>,
}

/// One stream, as its file is laid out.
#[derive(Debug, Default)]
struct Table {
    stream: String,
    columns: Vec<String>,
    by_name: HashMap<Vec<u8>, usize>,
    /// Properties that no column has yet.
    missing: Vec<String>,
    /// The column of each key of the last record, in its order.
    order: Vec<usize>,
    /// Where the record has each column's value.
    found: Vec<Range<usize>>,
}

impl Tables {
    /// No stream yet.
    pub fn new(settings: Settings) -> Self {
        Tables {
            cells: Cells::new(&settings),
            settings,
            declared: HashMap::new(),
            tables: Vec::new(),
        }
    }
}

impl Table {
    /// Note where the record has its values; false when it has some that no column takes.
    fn find(&mut self, s: &[u8]) -> std::result::Result<bool, singer_plugin::PluginError> {
        self.found.fill(0..0);
        let damaged = |_| {
            PluginError::data(
                "data.invalid_json",
                format!("stream {:?}: a record cannot be read", self.stream),
            )
        };
        let mut at = blank(s, 0);
        if peek(s, at) != b'{' {
            return Err(PluginError::data(
                "data.bad_message",
                format!("stream {:?}: a record is not an object", self.stream),
            ));
        }
        at = blank(s, at + 1);
        let mut nth = 0;
        let mut whole = true;
        while peek(s, at) == b'"' {
            let (end, escaped) = string(s, at + 1).map_err(damaged)?;
            let raw = &s[at + 1..end - 1];
            let colon = blank(s, end);
            let start = blank(s, colon + 1);
            let stop = match peek(s, start) {
                b'"' => string(s, start + 1).map_err(damaged)?.0,
                b'{' | b'[' => value(s, start, &mut 0).map_err(damaged)?,
                _ => {
                    start
                        + s[start..]
                            .iter()
                            .take_while(|b| !matches!(b, b',' | b'}' | b' ' | b'\t' | b'\r' | b'\n'))
                            .count()
                }
            };
            let column = match self.order.get(nth) {
                Some(column) if !escaped && self.columns[*column].as_bytes() == raw => Some(*column),
                _ => {
                    let name = Text { raw, escaped }.bytes();
                    let column = self.by_name.get(name.as_ref()).copied();
                    match column {
                        Some(column) => {
                            self.order.truncate(nth);
                            self.order.push(column);
                        }
                        None => {
                            let name = String::from_utf8(name.into_owned()).map_err(|_| half_pair(&self.stream))?;
                            if !self.missing.contains(&name) {
                                self.missing.push(name);
                            }
                            whole = false;
                        }
                    }
                    column
                }
            };
            if let Some(column) = column {
                self.found[column] = start..stop;
                nth += 1;
            }
            at = blank(s, stop);
            if peek(s, at) == b',' {
                at = blank(s, at + 1);
            }
        }
        Ok(whole)
    }
}

fn half_pair(stream: &str) -> PluginError {
    PluginError::data(
        "data.invalid_utf8",
        format!("stream {stream:?}: a text holds half a surrogate pair, which no file in UTF-8 can hold"),
    )
    .hint("mend it where it comes from, or write it with target-jsonl")
}

impl Format for Tables {
    fn ending(&self) -> &str {
        ".csv"
    }

    fn declare(&mut self, stream: &[u8], schema: &Value) -> Result<()> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let names = properties.map(|all| all.keys().cloned().collect()).unwrap_or_default();
        self.declared.insert(stream.into(), names);
        Ok(())
    }

    fn open(&mut self, at: usize, stream: &[u8], columns: &[String]) -> Result<Vec<String>> {
        if self.tables.len() <= at {
            self.tables.resize_with(at + 1, Table::default);
        }
        let missing = std::mem::take(&mut self.tables[at].missing);
        let declared = self.declared.get(stream).cloned().unwrap_or_default();
        let mut wanted = columns.to_vec();
        for name in declared.into_iter().chain(missing) {
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        }
        let stream = String::from_utf8_lossy(stream).into_owned();
        if let (true, Some(name), false) = (self.settings.fixed, wanted.get(columns.len()), columns.is_empty()) {
            let message = format!("stream {stream:?} has a property {name:?} that its file has no column for");
            return Err(PluginError::data("data.schema_changed", message)
                .hint("set new_columns: file, or mode: overwrite once"));
        }
        let numbered = wanted.iter().enumerate();
        self.tables[at] = Table {
            stream,
            by_name: numbered.map(|(n, name)| (name.clone().into_bytes(), n)).collect(),
            order: Vec::new(),
            missing: Vec::new(),
            found: vec![0..0; wanted.len()],
            columns: wanted.clone(),
        };
        Ok(wanted)
    }

    fn head(&self, columns: &[String], out: &mut Vec<u8>) {
        if self.settings.mark {
            out.extend_from_slice(BOM.as_bytes());
        }
        if !self.settings.header || columns.is_empty() {
            return;
        }
        for (n, name) in columns.iter().enumerate() {
            if n > 0 {
                self.cells.between(out);
            }
            self.cells.text(name.as_bytes(), out);
        }
        out.extend_from_slice(self.settings.line_end);
    }

    fn columns(&self, path: &Path) -> Result<Vec<String>> {
        let unknown = |why: &str| {
            PluginError::config("config.invalid", format!("{}: {why}", path.display()))
                .hint("move it away, or set mode: overwrite")
        };
        if !self.settings.header {
            return Err(unknown("a file without a header, whose columns are not known"));
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(self.settings.delimiter)
            .quote(self.settings.quote)
            .from_path(path)
            .map_err(|_| unknown("it cannot be read"))?;
        let mut header = csv::StringRecord::new();
        reader
            .read_record(&mut header)
            .map_err(|_| unknown("its header cannot be read"))?;
        Ok(header.iter().map(|name| name.trim_start_matches(BOM).into()).collect())
    }

    #[inline]
    fn write(&mut self, at: usize, record: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let table = &mut self.tables[at];
        if !table.find(record)? {
            return Ok(false);
        }
        let alone = table.columns.len() == 1;
        let before = out.len();
        for (n, span) in table.found.iter().enumerate() {
            if n > 0 {
                self.cells.between(out);
            }
            if self.cells.value(&record[span.clone()], alone, out).is_err() {
                out.truncate(before);
                return Err(half_pair(&table.stream));
            }
        }
        out.extend_from_slice(self.settings.line_end);
        Ok(true)
    }
}
