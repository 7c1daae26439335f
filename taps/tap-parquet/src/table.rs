//! A stream: its files, the columns that they have together, and what of it was chosen.

use std::collections::BTreeMap;

use serde_json::{json, Map, Value};
use singer_plugin::catalog::{Catalog, Metadata, Stream};
use singer_plugin::columns::kind::property;
use singer_plugin::files::{Files, Found};
use singer_plugin::message::Schema;
use singer_plugin::{PluginError, Result};

use crate::settings::Settings;
use crate::source::Source;

/// One stream.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub stream: String,
    /// Its files, sorted.
    pub files: Vec<Found>,
    /// The properties of its columns, in the order in which they came.
    pub columns: Vec<(String, Value)>,
    /// The key's columns.
    pub keys: Vec<String>,
    /// The replication key.
    pub replication_key: Option<String>,
    /// FULL_TABLE: all rows again in each run.
    pub full: bool,
    /// What was chosen; all where nothing was.
    chosen: Option<Stream>,
}

/// All streams that are wanted, with the columns of all their files.
pub fn tables(settings: &Settings, files: &Files, wanted: impl Fn(&str) -> bool) -> Result<Vec<Table>> {
    let mut streams: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for text in &settings.files {
        for found in files.find("tap-parquet: files", text)? {
            if is_hidden(text, &found.address.to_string()) {
                continue;
            }
            let of_stream = streams.entry(name(&settings.stream, &found)).or_default();
            if !of_stream.contains(&found) {
                of_stream.push(found);
            }
        }
    }
    let wanted = streams.into_iter().filter(|(stream, _)| wanted(stream));
    wanted
        .map(|(stream, files_)| Table::look(settings, files, stream, files_))
        .collect()
}

/// What a glob finds below a name that begins with `_` or `.` is no table's data: such are files that are not committed yet.
fn is_hidden(pattern: &str, found: &str) -> bool {
    let plain = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    let from = plain.rfind('/').map_or(0, |at| at + 1);
    let below = match plain.len() < pattern.len() {
        true => found.get(from.min(found.len())..).unwrap_or_default(),
        false => "",
    };
    below.split('/').any(|part| part.starts_with(['_', '.']))
}

/// The stream's name of a file. I12: it is data; nothing is ever opened by it.
fn name(template: &str, found: &Found) -> String {
    let name = found.address.name();
    let ending = name.len().saturating_sub(".parquet".len());
    let is_ending = ending > 0
        && name
            .get(ending..)
            .is_some_and(|end| end.eq_ignore_ascii_case(".parquet"));
    let stem = if is_ending { &name[..ending] } else { &name };
    template
        .replace("{stem}", stem)
        .replace("{name}", &name)
        .replace("{dir}", &found.address.folder_name())
}

impl Table {
    fn look(settings: &Settings, files: &Files, stream: String, found: Vec<Found>) -> Result<Self> {
        let mut columns: Vec<(String, Value)> = Vec::new();
        for file in &found {
            let source = Source::open(files, file)?;
            for field in source.metadata.schema().fields() {
                let property = property(field);
                match columns.iter_mut().find(|(name, _)| name == field.name()) {
                    Some((_, known)) if *known == property => {}
                    Some((_, known)) => *known = both(known, &property),
                    None => columns.push((field.name().clone(), property)),
                }
            }
        }
        let table = Table {
            keys: settings.keys(&stream).unwrap_or_default(),
            replication_key: settings.replication_key(&stream),
            stream,
            files: found,
            columns,
            full: false,
            chosen: None,
        };
        table.check("config.invalid", "the settings name for")?;
        Ok(table)
    }

    fn check(&self, code: &'static str, who: &str) -> Result<()> {
        let known = |name: &String| self.columns.iter().any(|(column, _)| column == name);
        match self.keys.iter().chain(&self.replication_key).find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(PluginError::config(
                code,
                format!(
                    "{who} the stream {:?} a column {name:?}, which no file has",
                    self.stream
                ),
            )
            .hint("see the columns with --discover")),
        }
    }

    /// What the catalog says of it.
    pub fn choose(&mut self, settings: &Settings, chosen: &Stream) -> Result<()> {
        if settings.keys(&self.stream).is_none() {
            let keys = chosen
                .key_properties
                .clone()
                .or_else(|| chosen.names("table-key-properties"));
            self.keys = keys.unwrap_or_default();
        }
        let text = |key: &str| {
            let found = chosen.about(None).and_then(|about| about.get(key)?.as_str());
            found.map(str::to_owned).filter(|text| !text.is_empty())
        };
        let method = text("replication-method").or_else(|| chosen.replication_method.clone());
        self.full = method.as_deref() == Some("FULL_TABLE");
        if self.replication_key.is_none() {
            let key = text("replication-key").or_else(|| chosen.replication_key.clone());
            self.replication_key = key.filter(|key| !key.is_empty());
        }
        if method.as_deref() == Some("LOG_BASED") {
            let what = format!(
                "the catalog wants the stream {:?} LOG_BASED: files have no log",
                self.stream
            );
            return Err(PluginError::config("catalog.invalid", what).hint("choose FULL_TABLE or INCREMENTAL"));
        }
        self.check("catalog.invalid", "the catalog names for")?;
        self.chosen = Some(chosen.clone());
        Ok(())
    }

    /// Whether a column is to be sent.
    pub fn is_selected(&self, column: &str) -> bool {
        let always = self.keys.iter().chain(&self.replication_key).any(|name| name == column);
        always
            || self
                .chosen
                .as_ref()
                .is_none_or(|chosen| chosen.column_is_selected(column))
    }

    fn schema(&self, wanted: impl Fn(&str) -> bool) -> Value {
        let columns = self.columns.iter().filter(|(name, _)| wanted(name)).cloned();
        json!({"type": "object", "properties": Map::from_iter(columns)})
    }

    /// Its SCHEMA.
    pub fn message(&self) -> Schema {
        Schema {
            stream: self.stream.clone(),
            schema: self.schema(|name| self.is_selected(name)),
            key_properties: self.keys.clone(),
            bookmark_properties: self.replication_key.iter().cloned().collect(),
        }
    }

    fn entry(&self) -> Stream {
        let about = |value: Value| value.as_object().cloned().unwrap_or_default();
        let mut stream =
            about(json!({"inclusion": "available", "selected-by-default": true, "table-key-properties": self.keys}));
        if let Some(key) = &self.replication_key {
            stream.insert("valid-replication-keys".into(), json!([key]));
        }
        let mut metadata = vec![Metadata {
            breadcrumb: vec![],
            metadata: stream,
        }];
        metadata.extend(self.columns.iter().map(|(name, _)| {
            let always = self.keys.contains(name) || self.replication_key.as_ref() == Some(name);
            let inclusion = if always { "automatic" } else { "available" };
            Metadata {
                breadcrumb: vec!["properties".into(), name.clone()],
                metadata: about(json!({"inclusion": inclusion, "selected-by-default": true})),
            }
        }));
        Stream {
            tap_stream_id: self.stream.clone(),
            stream: self.stream.clone(),
            schema: self.schema(|_| true),
            key_properties: Some(self.keys.clone()),
            replication_key: self.replication_key.clone(),
            replication_method: Some("INCREMENTAL".into()),
            metadata,
            ..Stream::default()
        }
    }
}

/// The catalog of all streams.
pub fn catalog(tables: &[Table]) -> Catalog {
    Catalog {
        streams: tables.iter().map(Table::entry).collect(),
    }
}

/// The property of a column that is one thing in some files and another in others: what both say, and all types of both.
fn both(one: &Value, other: &Value) -> Value {
    let types = |property: &Value| match &property["type"] {
        Value::Array(list) => list.clone(),
        Value::Null => vec![],
        one => vec![one.clone()],
    };
    let (mine, theirs) = (types(one), types(other));
    if mine.is_empty() || theirs.is_empty() {
        return json!({}); // anything
    }
    let mut all = mine;
    all.extend(theirs);
    let rank = |kind: &Value| {
        ["null", "boolean", "integer", "number", "string"]
            .iter()
            .position(|name| kind == name)
    };
    all.sort_by_key(|kind| rank(kind).unwrap_or(usize::MAX));
    all.dedup();
    let mut made = json!({"type": all});
    let widths = |property: &Value| Some((property["precision"].as_i64()?, property["scale"].as_i64()?));
    match (widths(one), widths(other), one["format"] == other["format"]) {
        (Some((p, s)), Some((q, t)), true) => {
            let scale = s.max(t);
            made["format"] = one["format"].clone();
            made["precision"] = json!((p - s).max(q - t) + scale);
            made["scale"] = json!(scale);
        }
        _ => {
            for (key, value) in one.as_object().into_iter().flatten() {
                if key != "type" && other.get(key) == Some(value) {
                    made[key] = value.clone();
                }
            }
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_several_types_are_all_of_them() {
        let string = json!({"type": ["null", "string"]});
        let integer = json!({"type": ["null", "integer"]});
        let day = json!({"type": ["null", "string"], "format": "date"});
        let decimal = |p: i64, s: i64| json!({"type": ["null", "string"], "format": "x-singer.decimal", "precision": p, "scale": s});
        assert_eq!(both(&string, &integer), json!({"type": ["null", "integer", "string"]}));
        assert_eq!(both(&day, &string), string);
        assert_eq!(both(&decimal(10, 2), &decimal(9, 4)), decimal(12, 4));
        assert_eq!(both(&json!({}), &string), json!({}));
    }

    #[test]
    fn what_is_not_committed_is_not_read() {
        assert!(is_hidden("out/**/*.parquet", "out/_dativo/job.new/part-1.parquet"));
        assert!(is_hidden("out/*.parquet", "out/.x.parquet"));
        assert!(!is_hidden("_out/.y/*.parquet", "_out/.y/x.parquet"));
        assert!(!is_hidden("out/_x.parquet", "out/_x.parquet"));
    }
}
