//! The settings: declared once, and as the type the rest works with.

use std::collections::BTreeMap;

use encoding_rs::Encoding;
use serde::Deserialize;
use singer_plugin::by_stream::Texts;
use singer_plugin::files::Files;
use singer_plugin::settings::{Config, Kind, Setting};
use singer_plugin::texts::keys::{self, Wanted};
use singer_plugin::{PluginError, Result};

use crate::kinds::Kind as Column;

/// All settings of the tap.
pub fn declare() -> Vec<Setting> {
    let null_values = serde_json::json!(["", "NA"]);
    let mut settings = keys::settings();
    settings.extend([
        Setting::new(
            "delimiter",
            Kind::Text,
            "One character between fields; by default a comma, a tab in .tsv files.",
        ),
        Setting::new("quote", Kind::Text, "The character around fields; empty for none.").default("\""),
        Setting::new(
            "header",
            Kind::FlagOrTexts,
            "Whether the first row has the names; a list gives them.",
        )
        .default(true),
        Setting::new(
            "types",
            Kind::Object,
            "Fixed types: column or stream.column to string, integer, number, boolean, date or date-time.",
        ),
        Setting::new("null_values", Kind::Texts, "Texts that mean null.").default(null_values),
    ]);
    settings
}

/// Where column names come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Header {
    /// The first row has them, or nobody has.
    First(bool),
    /// Given in the settings; the first row is data.
    Names(Vec<String>),
}

#[derive(Deserialize)]
struct Raw {
    files: Texts,
    delimiter: Option<String>,
    quote: String,
    encoding: String,
    header: Header,
    stream: String,
    #[serde(default)]
    types: BTreeMap<String, String>,
    null_values: Texts,
    sample_rows: u64,
    state_every: u64,
    add_metadata_columns: bool,
}

/// The settings, ready to use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Opens them.
    pub storage: Files,
    /// Paths and globs.
    pub files: Vec<String>,
    /// Between fields; `None` goes by the file's name.
    pub delimiter: Option<u8>,
    /// Around fields.
    pub quote: Option<u8>,
    /// Of every file.
    pub encoding: &'static Encoding,
    /// Where names come from.
    pub header: Header,
    /// Template of the stream's name.
    pub stream: String,
    /// Keys of the streams.
    pub wanted: Wanted,
    types: BTreeMap<String, Column>,
    /// Texts that mean null.
    pub null_values: Vec<Vec<u8>>,
    /// Rows to infer from.
    pub sample_rows: u64,
    /// Rows between STATEs.
    pub state_every: u64,
    /// Add _sdc_source_file and _sdc_source_line.
    pub metadata: bool,
}

impl Settings {
    /// Read the checked settings.
    pub fn of(config: &Config) -> Result<Self> {
        let raw: Raw = config.parse()?;
        let encoding = Encoding::for_label(raw.encoding.as_bytes()).ok_or_else(|| {
            invalid(format!("tap-csv: the encoding {:?} is not known", raw.encoding))
                .hint("utf-8, windows-1252, latin1, utf-16le, shift_jis, gb18030, …")
        })?;
        let mut types = BTreeMap::new();
        for (column, name) in raw.types {
            let Some(kind) = Column::named(&name) else {
                return Err(
                    invalid(format!("tap-csv: types: {name:?} for {column:?} is not a type"))
                        .hint("string, integer, number, boolean, date or date-time"),
                );
            };
            types.insert(column, kind);
        }
        Ok(Settings {
            storage: Files::of(config),
            files: raw.files.into(),
            delimiter: raw.delimiter.map(|text| one_byte("delimiter", &text)).transpose()?,
            quote: (!raw.quote.is_empty())
                .then(|| one_byte("quote", &raw.quote))
                .transpose()?,
            encoding,
            header: raw.header,
            stream: raw.stream,
            wanted: Wanted::of(config)?,
            types,
            null_values: Vec::from(raw.null_values).into_iter().map(String::into_bytes).collect(),
            sample_rows: raw.sample_rows,
            state_every: raw.state_every.max(1),
            metadata: raw.add_metadata_columns,
        })
    }

    /// The type set for a column.
    pub fn fixed(&self, stream: &str, column: &str) -> Option<Column> {
        self.types
            .get(&format!("{stream}.{column}"))
            .or_else(|| self.types.get(column))
            .copied()
    }
}

fn invalid(message: String) -> PluginError {
    PluginError::config("config.invalid", message)
}

fn one_byte(setting: &str, text: &str) -> Result<u8> {
    match text {
        r"\t" | "tab" => Ok(b'\t'),
        _ if text.len() == 1 && !text.starts_with(['\n', '\r']) => Ok(text.as_bytes()[0]),
        _ => {
            Err(invalid(format!("tap-csv: {setting} must be one ASCII character"))
                .hint(r#"such as "," or ";" or "\t""#))
        }
    }
}
