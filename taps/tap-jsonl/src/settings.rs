//! The settings: declared once, and as the type the rest works with.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{json, Value};
use singer_plugin::framing::DEFAULT_MAX_LINE;
use singer_plugin::settings::{Config, Kind, Setting};
use singer_plugin::texts::shared::{self, Shared, Types};
use singer_plugin::{PluginError, Result};

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    types: BTreeMap<String, Value>,
    on_bad_line: String,
    max_line: usize,
}

/// The settings, ready to use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Those of every tap of text files.
    pub shared: Shared,
    /// The types that are set, as JSON Schemas.
    pub types: Types<Value>,
    /// Bad lines are left out and counted.
    pub skip: bool,
    /// The longest line.
    pub max_line: usize,
}

impl shared::Settings for Settings {
    const TAP: &'static str = "tap-jsonl";

    fn declare() -> Vec<Setting> {
        vec![
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
    ]
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn of(config: &Config) -> Result<Self> {
        let raw: Raw = config.parse()?;
        Ok(Settings {
            shared: Shared::of(Self::TAP, config)?,
            types: Types::of(raw.types, |column, given| {
                schema_of(given).ok_or_else(|| {
                    let message = format!("tap-jsonl: types: what {column:?} has is not a type");
                    PluginError::config("config.invalid", message)
                        .hint("string, integer, number, boolean, date, date-time or a JSON Schema")
                })
            })?,
            skip: raw.on_bad_line == "skip",
            max_line: raw.max_line,
        })
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
