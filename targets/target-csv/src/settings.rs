//! The settings: declared once, and as the type the rest works with.

use serde::Deserialize;
use singer_plugin::folder;
use singer_plugin::settings::{Config, Kind, Setting};
use singer_plugin::{PluginError, Result};

/// All settings of the target.
pub fn declare() -> Vec<Setting> {
    let mut settings = folder::settings();
    settings.extend([
        Setting::new("delimiter", Kind::Text, r#"One character between fields, or "\t"."#).default(","),
        Setting::new("quote", Kind::Text, "The character around fields that need it.").default("\""),
        Setting::new("header", Kind::Flag, "Whether a file begins with the columns' names.").default(true),
        Setting::new(
            "null",
            Kind::Text,
            "How null is written, and a property that is missing; a text that is the same is quoted.",
        )
        .default(""),
        Setting::new("encoding", Kind::Choice(&["utf-8", "utf-8-bom"]), "With or without a byte order mark.")
            .default("utf-8"),
        Setting::new("line_end", Kind::Choice(&["lf", "crlf"]), "What a row ends with.").default("lf"),
        Setting::new(
            "new_columns",
            Kind::Choice(&["file", "fail"]),
            "When a record has properties that its file has no column for: begin the stream's next file, or end with an error.",
        )
        .default("file"),
    ]);
    settings
}

#[derive(Deserialize)]
struct Raw {
    delimiter: String,
    quote: String,
    header: bool,
    null: String,
    encoding: String,
    line_end: String,
    new_columns: String,
}

/// The settings, ready to use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields.
    pub quote: u8,
    /// Files have a header.
    pub header: bool,
    /// How null is written.
    pub null: Vec<u8>,
    /// Files begin with a byte order mark.
    pub mark: bool,
    /// What a row ends with.
    pub line_end: &'static [u8],
    /// New columns are an error.
    pub fixed: bool,
}

impl Settings {
    /// Read the checked settings.
    pub fn of(config: &Config) -> Result<Self> {
        let raw: Raw = config.parse()?;
        let settings = Settings {
            delimiter: one_byte("delimiter", &raw.delimiter)?,
            quote: one_byte("quote", &raw.quote)?,
            header: raw.header,
            null: raw.null.into_bytes(),
            mark: raw.encoding == "utf-8-bom",
            line_end: if raw.line_end == "crlf" { b"\r\n" } else { b"\n" },
            fixed: raw.new_columns == "fail",
        };
        let special = [settings.delimiter, settings.quote, b'\n', b'\r'];
        if settings.delimiter == settings.quote || settings.null.iter().any(|byte| special.contains(byte)) {
            let message = "target-csv: delimiter, quote and null get in each other's way";
            return Err(PluginError::config("config.invalid", message).hint("null may hold neither of the others"));
        }
        Ok(settings)
    }
}

fn one_byte(setting: &str, text: &str) -> Result<u8> {
    match text.as_bytes() {
        br"\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ => Err(PluginError::config(
            "config.invalid",
            format!("target-csv: {setting} must be one ASCII character"),
        )
        .hint(r#"such as "," or ";" or "\t""#)),
    }
}
