//! The settings: declared once, and as the type the rest works with.

use std::collections::BTreeMap;

use serde::Deserialize;
use singer_plugin::by_stream::Texts;
use singer_plugin::settings::{Config, Kind, Setting};
use singer_plugin::texts::shared::{self, Shared, Types};
use singer_plugin::{PluginError, Result};

use crate::kinds::Kind as Column;

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
    delimiter: Option<String>,
    quote: String,
    header: Header,
    #[serde(default)]
    types: BTreeMap<String, String>,
    null_values: Texts,
}

/// The settings, ready to use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Those of every tap of text files.
    pub shared: Shared,
    /// Between fields; `None` goes by the file's name.
    pub delimiter: Option<u8>,
    /// Around fields.
    pub quote: Option<u8>,
    /// Where names come from.
    pub header: Header,
    /// The types that are set.
    pub types: Types<Column>,
    /// Texts that mean null.
    pub null_values: Vec<Vec<u8>>,
}

impl shared::Settings for Settings {
    const TAP: &'static str = "tap-csv";

    fn declare() -> Vec<Setting> {
        let null_values = serde_json::json!(["", "NA"]);
        vec![
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
        ]
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn of(config: &Config) -> Result<Self> {
        let raw: Raw = config.parse()?;
        Ok(Settings {
            shared: Shared::of(Self::TAP, config)?,
            types: Types::of(raw.types, |column, name| {
                Column::named(name).ok_or_else(|| {
                    invalid(format!("tap-csv: types: {name:?} for {column:?} is not a type"))
                        .hint("string, integer, number, boolean, date or date-time")
                })
            })?,
            delimiter: raw.delimiter.map(|text| one_byte("delimiter", &text)).transpose()?,
            quote: (!raw.quote.is_empty())
                .then(|| one_byte("quote", &raw.quote))
                .transpose()?,
            header: raw.header,
            null_values: Vec::from(raw.null_values).into_iter().map(String::into_bytes).collect(),
        })
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
