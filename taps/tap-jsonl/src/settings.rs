//! The settings: declared once, and as the type the rest works with.

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use serde::Deserialize;
use serde_json::{json, Value};
use singer_plugin::by_stream::Texts;
use singer_plugin::files::Files;
use singer_plugin::framing::DEFAULT_MAX_LINE;
use singer_plugin::settings::{Config, Kind, Setting};
use singer_plugin::texts::keys::{self, Wanted};
use singer_plugin::{PluginError, Result};

/// All settings of the tap.
pub fn declare() -> Vec<Setting> {
    let mut settings = keys::settings();
    settings.extend([
        Setting::new(
            "types",
            Kind::Object,
            "Fixed types: column or stream.column to string, integer, number, boolean, date, date-time or a JSON Schema.",
        ),
        Setting::new(
            "on_bad_line",
            Kind::Choice(&["fail", "skip"]),
            "What becomes of a line that is no JSON object: end with an error, or leave it out and count it.",
        )
        .default("fail"),
        Setting::new("max_line", Kind::Count, "The longest line in bytes; a longer one is a bad line.")
            .default(DEFAULT_MAX_LINE as u64),
    ]);
    settings
}

#[derive(Deserialize)]
struct Raw {
    files: Texts,
    encoding: String,
    stream: String,
    #[serde(default)]
    types: BTreeMap<String, Value>,
    on_bad_line: String,
    max_line: usize,
    sample_rows: u64,
    state_every: u64,
    add_metadata_columns: bool,
}

/// The settings, ready to use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Opens the files.
    pub storage: Files,
    /// Paths, URLs and globs.
    pub files: Vec<String>,
    /// Of every file.
    pub encoding: &'static Encoding,
    /// Template of the stream's name.
    pub stream: String,
    /// Keys of the streams.
    pub wanted: Wanted,
    types: BTreeMap<String, Value>,
    /// Bad lines are left out and counted.
    pub skip: bool,
    /// The longest line.
    pub max_line: usize,
    /// Lines to infer from.
    pub sample_rows: u64,
    /// Lines between STATEs.
    pub state_every: u64,
    /// Add _sdc_source_file and _sdc_source_line.
    pub metadata: bool,
}

impl Settings {
    /// Read the checked settings.
    pub fn of(config: &Config) -> Result<Self> {
        let raw: Raw = config.parse()?;
        let invalid = |message: String| PluginError::config("config.invalid", message);
        let encoding = Encoding::for_label(raw.encoding.as_bytes()).ok_or_else(|| {
            invalid(format!("tap-jsonl: the encoding {:?} is not known", raw.encoding))
                .hint("utf-8, windows-1252, latin1, utf-16le, shift_jis, gb18030, …")
        })?;
        let mut types = BTreeMap::new();
        for (column, given) in raw.types {
            let Some(schema) = schema_of(&given) else {
                return Err(invalid(format!("tap-jsonl: types: what {column:?} has is not a type"))
                    .hint("string, integer, number, boolean, date, date-time or a JSON Schema"));
            };
            types.insert(column, schema);
        }
        Ok(Settings {
            storage: Files::of(config),
            files: raw.files.into(),
            encoding,
            stream: raw.stream,
            wanted: Wanted::of(config)?,
            types,
            skip: raw.on_bad_line == "skip",
            max_line: raw.max_line,
            sample_rows: raw.sample_rows,
            state_every: raw.state_every.max(1),
            metadata: raw.add_metadata_columns,
        })
    }

    /// The type set for a column.
    pub fn fixed(&self, stream: &str, column: &str) -> Option<&Value> {
        let own = self.types.get(&format!("{stream}.{column}"));
        own.or_else(|| self.types.get(column))
    }
}

fn schema_of(given: &Value) -> Option<Value> {
    match given.as_str() {
        Some(plain @ ("string" | "integer" | "number" | "boolean")) => Some(json!({"type": ["null", plain]})),
        Some(format @ ("date" | "date-time")) => Some(json!({"type": ["null", "string"], "format": format})),
        Some(_) => None,
        None => given.is_object().then(|| given.clone()),
    }
}
