//! The settings that taps of text files share, and each stream's keys.

use serde::Deserialize;
use serde_json::{json, Map, Value};

use crate::by_stream::ByStream;
use crate::catalog::{Metadata, Stream};
use crate::error::{PluginError, Result};
use crate::files;
use crate::settings::{Config, Kind, Setting};

/// `files`, `encoding`, `stream`, `key_properties`, `replication_key`, `sample_rows`, `state_every`, `add_metadata_columns` and
/// `storage`.
pub fn settings() -> Vec<Setting> {
    vec![
        Setting::new(
            "files",
            Kind::Texts,
            "Paths, URLs (s3://, gs://, az://) or globs of the files to read.",
        )
        .required(),
        Setting::new(
            "encoding",
            Kind::Text,
            "The files' encoding, by any name the web knows.",
        )
        .default("utf-8"),
        Setting::new(
            "stream",
            Kind::Text,
            "The stream's name; {stem}, {name} and {dir} are parts of the file's path.",
        )
        .default("{stem}"),
        Setting::new(
            "key_properties",
            Kind::TextsOrObject,
            "Key columns: a list, or an object from stream to list.",
        ),
        Setting::new(
            "replication_key",
            Kind::TextOrObject,
            "Bookmark column for SCHEMA messages: a name, or an object from stream to name.",
        ),
        Setting::new("sample_rows", Kind::Count, "Rows to infer types from.").default(10_000),
        Setting::new("state_every", Kind::Count, "Rows between two STATE messages.").default(10_000),
        Setting::new(
            "add_metadata_columns",
            Kind::Flag,
            "Add _sdc_source_file and _sdc_source_line.",
        )
        .default(false),
        files::setting(),
    ]
}

/// What the settings say of keys.
#[derive(Clone, Debug, Deserialize)]
pub struct Wanted {
    key_properties: Option<ByStream<Vec<String>>>,
    replication_key: Option<ByStream<String>>,
}

impl Wanted {
    /// Of the checked settings.
    pub fn of(config: &Config) -> Result<Self> {
        config.parse()
    }

    /// Streams that the settings name must be there.
    pub fn check<'a>(&self, plugin: &str, streams: impl Iterator<Item = &'a str>) -> Result<()> {
        let there: Vec<&str> = streams.collect();
        let keys = self.key_properties.iter().flat_map(ByStream::streams);
        let replication = self.replication_key.iter().flat_map(ByStream::streams);
        let mut named = keys
            .map(|s| ("key_properties", s))
            .chain(replication.map(|s| ("replication_key", s)));
        match named.find(|(_, stream)| !there.contains(&stream.as_str())) {
            None => Ok(()),
            Some((setting, stream)) => {
                let message = format!("{plugin}: {setting} names a stream {stream:?}, which no file gives");
                Err(PluginError::config("config.invalid", message)
                    .hint(format!("the streams are: {}", there.join(", "))))
            }
        }
    }

    /// The keys of a stream that has these columns; none where nothing is known of it, as in an empty file.
    pub fn keys(&self, plugin: &str, stream: &str, columns: &[&str]) -> Result<Keys> {
        let primary = self.key_properties.as_ref().and_then(|keys| keys.of(stream));
        let mut keys = Keys {
            stream: stream.into(),
            fixed: primary.is_some(),
            primary: primary.cloned().unwrap_or_default(),
            replication: self.replication_key.as_ref().and_then(|key| key.of(stream)).cloned(),
        };
        if columns.is_empty() {
            keys.primary.clear();
            keys.replication = None;
        }
        let wanted = keys.primary.iter().map(|name| ("key_properties", name));
        let replication = keys.replication.iter().map(|name| ("replication_key", name));
        match wanted
            .chain(replication)
            .find(|(_, name)| !columns.contains(&name.as_str()))
        {
            None => Ok(keys),
            Some((setting, name)) => {
                let message = format!("{plugin}: {setting}: the stream {stream:?} has no column {name:?}");
                Err(PluginError::config("config.invalid", message).hint(format!("it has: {}", columns.join(", "))))
            }
        }
    }
}

/// A stream's keys.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    stream: String,
    /// The settings say so: the catalog does not change them.
    fixed: bool,
    /// The key's columns.
    pub primary: Vec<String>,
    /// The bookmark column.
    pub replication: Option<String>,
}

impl Keys {
    /// Take over what the catalog says of this stream, which has these columns.
    pub fn choose(&mut self, chosen: &Stream, columns: &[&str]) -> Result<()> {
        if columns.is_empty() {
            return Ok(());
        }
        if !self.fixed {
            let keys = chosen
                .key_properties
                .clone()
                .or_else(|| chosen.names("table-key-properties"));
            self.primary = keys.unwrap_or_default();
        }
        if self.replication.is_none() {
            self.replication = chosen.replication_key.clone().filter(|key| !key.is_empty());
        }
        let mut all = self.primary.iter().chain(&self.replication);
        match all.find(|name| !columns.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let message = format!(
                    "the catalog's stream {:?} names a column {name:?}, which no file has",
                    self.stream
                );
                Err(PluginError::config("catalog.invalid", message).hint("make a new one with --discover"))
            }
        }
    }

    /// The stream in a catalog.
    pub fn entry(&self, columns: &[&str], schema: Value) -> Stream {
        let metadata = |value: Value| match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let whole =
            json!({"inclusion": "available", "selected-by-default": true, "table-key-properties": self.primary});
        let mut about = vec![Metadata {
            breadcrumb: vec![],
            metadata: metadata(whole),
        }];
        for column in columns {
            let entry = match self.primary.iter().any(|key| key == column) {
                true => json!({"inclusion": "automatic"}),
                false => json!({"inclusion": "available", "selected-by-default": true}),
            };
            about.push(Metadata {
                breadcrumb: vec!["properties".into(), (*column).into()],
                metadata: metadata(entry),
            });
        }
        Stream {
            tap_stream_id: self.stream.clone(),
            stream: self.stream.clone(),
            schema,
            key_properties: Some(self.primary.clone()),
            replication_key: self.replication.clone(),
            replication_method: self.replication.as_ref().map(|_| "INCREMENTAL".into()),
            metadata: about,
            selected: None,
        }
    }
}

/// Every stream that a catalog selects must be there.
pub fn all_there<'a>(chosen: &[&Stream], streams: impl Iterator<Item = &'a str>) -> Result<()> {
    let there: Vec<&str> = streams.collect();
    match chosen.iter().find(|s| !there.contains(&s.tap_stream_id.as_str())) {
        None => Ok(()),
        Some(lost) => {
            let message = format!(
                "the catalog selects the stream {:?}, which no file gives",
                lost.tap_stream_id
            );
            Err(PluginError::config("catalog.invalid", message).hint("make a new one with --discover"))
        }
    }
}
