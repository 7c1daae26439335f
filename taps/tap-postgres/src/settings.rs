//! The settings: declared once, and as the type the rest works with.

use serde::Deserialize;
use singer_plugin::settings::{Config, Kind, Setting};
use singer_plugin::{postgres, PluginError, Result};

/// The plugin's name.
pub const NAME: &str = "tap-postgres";

/// All settings of the tap.
pub fn declare() -> Vec<Setting> {
    let mut all = postgres::settings();
    all.extend([
        Setting::new(
            "filter_schemas",
            Kind::Texts,
            "The schemas to offer; by default all but the system's.",
        ),
        Setting::new(
            "nonfinite",
            Kind::Choice(&["fail", "null", "text"]),
            "What becomes of NaN, infinity and times that JSON Schema has no format for: fail, null, or all values of such columns \
             as PostgreSQL's text.",
        )
        .default("fail"),
        Setting::new(
            "workers",
            Kind::Count,
            "Connections that read one table at the same time, under one snapshot.",
        )
        .default(1),
        Setting::new(
            "resume_full_table",
            Kind::Flag,
            "Read full tables in the order of their key, so that a run that was interrupted goes on there (slower).",
        )
        .default(false),
        Setting::new(
            "replication_key_inclusive",
            Kind::Flag,
            "Incremental runs read rows equal to the bookmark again. Only false where no row ever comes later with a value that \
             was read before.",
        )
        .default(true),
        Setting::new("batch_rows", Kind::Count, "The most rows that are sent at once.").default(32_768),
    ]);
    all
}

/// What to do with a value that its column's type in JSON cannot be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nonfinite {
    /// End the run.
    #[default]
    Fail,
    /// Send null.
    Null,
    /// All columns that could hold such a value are strings.
    Text,
}

/// The settings of this tap's own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    filter_schemas: Option<OneOrMore>,
    /// See [`Nonfinite`].
    pub nonfinite: Nonfinite,
    /// Connections for one table, at least one.
    pub workers: usize,
    /// Full tables are read in the order of their key.
    pub resume_full_table: bool,
    /// Rows equal to the bookmark are read again.
    pub replication_key_inclusive: bool,
    /// The most rows of a batch, at least one.
    pub batch_rows: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Settings {
    /// From the checked config.
    pub fn of(config: &Config) -> Result<Settings> {
        let settings: Settings = config.parse()?;
        for (name, value) in [("workers", settings.workers), ("batch_rows", settings.batch_rows)] {
            if value == 0 {
                let message = format!("{NAME}: the setting {name:?} is 0");
                return Err(PluginError::config("config.invalid", message).hint("set it to 1 or more"));
            }
        }
        Ok(settings)
    }

    /// The schemas to offer; empty for all.
    pub fn schemas(&self) -> Vec<String> {
        match &self.filter_schemas {
            None => vec![],
            Some(OneOrMore::One(name)) => vec![name.clone()],
            Some(OneOrMore::More(names)) => names.clone(),
        }
    }
}
