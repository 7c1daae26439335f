//! The settings of a run.

use singer_plugin::settings::{Config, Kind, Setting};
use singer_plugin::{framing, postgres, PluginError, Result};

/// How rows get into a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A row takes the place of the one with its key.
    Upsert,
    /// Rows are added.
    Append,
    /// The run's rows take the place of the table's.
    Overwrite,
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the tables are.
    pub schema: String,
    /// The template of their names.
    table_name: String,
    /// What was chosen for all streams.
    pub mode: Option<Mode>,
    /// Rows with `_sdc_deleted_at` are deleted.
    pub hard_delete: bool,
    /// The largest share of a table's rows that an ACTIVATE_VERSION may delete.
    pub max_delete_share: f64,
    /// How long to wait for locks, in seconds.
    pub lock_timeout: u64,
}

/// What can be set.
pub fn declared() -> Vec<Setting> {
    let own = [
        Setting::new("default_target_schema", Kind::Text, "The schema of all tables; made if it is missing.").default("public"),
        Setting::new("table_name", Kind::Text, "The table's name; {stream} is the stream's.").default("{stream}"),
        Setting::new(
            "mode",
            Kind::Choice(&["upsert", "append", "overwrite"]),
            "How rows are written: upsert replaces rows of the same key, append adds, overwrite replaces the table when the run ends \
             well. By default upsert for streams with key_properties, append for the others.",
        ),
        Setting::new(
            "hard_delete",
            Kind::Flag,
            "Delete rows whose _sdc_deleted_at is set (upsert only), instead of keeping them marked.",
        )
        .default(false),
        Setting::new(
            "max_delete_share",
            Kind::Share,
            "An ACTIVATE_VERSION that would delete more than this share of a table's rows is refused; 1: never ask.",
        )
        .default(0.9),
        Setting::new("lock_timeout", Kind::Count, "Seconds to wait for another run of the job, or for a locked table.").default(60),
        Setting::new("max_line", Kind::Count, "The longest message in bytes.").default(framing::DEFAULT_MAX_LINE as u64),
    ];
    postgres::settings().into_iter().chain(own).collect()
}

impl Settings {
    /// From what was given.
    pub fn of(config: &Config) -> Result<Settings> {
        let table_name = config.text("table_name").to_string();
        if !table_name.contains("{stream}") {
            let message = "the setting \"table_name\" does not contain {stream}";
            return Err(PluginError::config("config.invalid", message).hint("every stream needs its own table"));
        }
        let schema = config.text("default_target_schema").to_string();
        if schema.is_empty() || schema.len() > 63 || schema.contains('\0') {
            let message = "the setting \"default_target_schema\" is no name that PostgreSQL can hold";
            return Err(PluginError::config("config.invalid", message).hint("it has 1 to 63 bytes"));
        }
        let number = |name| config.get(name).and_then(|value| value.as_f64());
        Ok(Settings {
            schema,
            table_name,
            mode: match config.text("mode") {
                "upsert" => Some(Mode::Upsert),
                "append" => Some(Mode::Append),
                "overwrite" => Some(Mode::Overwrite),
                _ => None,
            },
            hard_delete: config
                .get("hard_delete")
                .and_then(|value| value.as_bool())
                .unwrap_or(false),
            max_delete_share: number("max_delete_share").unwrap_or(1.0),
            lock_timeout: config.get("lock_timeout").and_then(|value| value.as_u64()).unwrap_or(0),
        })
    }

    /// How the rows of a stream with or without a key are written.
    pub fn mode_of(&self, keyed: bool) -> Mode {
        match self.mode.unwrap_or(Mode::Upsert) {
            Mode::Upsert if !keyed => Mode::Append,
            mode => mode,
        }
    }

    /// The name that the template makes of a stream's.
    pub fn table(&self, stream: &str) -> String {
        self.table_name.replace("{stream}", stream)
    }
}
