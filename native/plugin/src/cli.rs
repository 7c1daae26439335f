//! The command line that every Singer plugin has, and what its flags name: config, catalog, state.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::catalog::Catalog;
use crate::error::{PluginError, Result};
use crate::settings::{self, Config};
use crate::{Kind, Plugin};

/// What the command line asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Move data.
    #[default]
    Run,
    /// Print the catalog.
    Discover,
    /// Print the manifest as JSON.
    AboutJson,
    /// Print the manifest for people.
    AboutText,
    /// Print the version.
    Version,
    /// Print the flags.
    Help,
    /// Print a job's stored STATE value.
    Bookmark,
}

/// A parsed command line.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// What to do.
    pub action: Action,
    configs: Vec<PathBuf>,
    catalog: Option<PathBuf>,
    state: Option<PathBuf>,
    /// A target's input file instead of stdin.
    pub input: Option<PathBuf>,
    /// The job named by `--bookmark`.
    pub job: Option<String>,
}

impl Arguments {
    /// Parse the words behind the program's name.
    pub fn parse(plugin: &Plugin, words: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut found = Arguments::default();
        let mut words = words.into_iter().map(|w| w.to_string_lossy().into_owned()).peekable();
        let tap = plugin.kind == Kind::Tap;
        while let Some(word) = words.next() {
            let (flag, joined) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag.to_string(), Some(value.to_string())),
                _ => (word, None),
            };
            let mut value = || {
                let given = joined.clone().or_else(|| words.next());
                given.ok_or_else(|| usage(plugin, &format!("{flag} needs a value")))
            };
            match flag.as_str() {
                "--config" | "-c" => found.configs.push(value()?.into()),
                "--catalog" | "--properties" | "-p" if tap => found.catalog = Some(value()?.into()),
                "--state" | "-s" if tap => found.state = Some(value()?.into()),
                "--discover" | "-d" if tap => found.action = Action::Discover,
                "--input" if !tap => found.input = Some(value()?.into()),
                "--bookmark" if !tap => {
                    found.job = Some(value()?);
                    found.action = Action::Bookmark;
                }
                "--about" if found.action != Action::AboutJson => found.action = Action::AboutText,
                "--about" => {}
                "--format" => match value()?.as_str() {
                    "json" => found.action = Action::AboutJson,
                    "text" | "markdown" => found.action = Action::AboutText,
                    other => return Err(usage(plugin, &format!("--format {other:?} is neither json nor text"))),
                },
                "--version" => found.action = Action::Version,
                "--help" | "-h" => found.action = Action::Help,
                other => return Err(usage(plugin, &format!("{other:?} is not understood"))),
            }
        }
        Ok(found)
    }

    /// The settings: the files in order, later ones win, and the environment over all where `ENV` stands for a file.
    pub fn config(&self, plugin: &Plugin) -> Result<Config> {
        let mut merged = Map::new();
        for path in self.configs.iter().filter(|path| path.as_os_str() != "ENV") {
            match json(path, "config.invalid", "the config")? {
                Value::Object(values) => merged.extend(values),
                _ => {
                    return Err(PluginError::config(
                        "config.invalid",
                        format!("{} is not a JSON object", path.display()),
                    ))
                }
            }
        }
        if self.configs.iter().any(|path| path.as_os_str() == "ENV") {
            merged.extend(settings::from_environment(plugin.name, &plugin.settings));
        }
        Config::check(plugin.name, &plugin.settings, merged)
    }

    /// The catalog that was handed in.
    pub fn catalog(&self) -> Result<Option<Catalog>> {
        let Some(path) = &self.catalog else { return Ok(None) };
        let value = json(path, "catalog.invalid", "the catalog")?;
        let catalog = serde_json::from_value(value).map_err(|e| {
            PluginError::config("catalog.invalid", format!("{} is not a catalog: {e}", path.display()))
                .hint("make a new one with --discover")
        })?;
        Ok(Some(catalog))
    }

    /// The state that was handed in; an empty object when there is none. A whole STATE message counts as its value.
    pub fn state(&self) -> Result<Map<String, Value>> {
        let Some(path) = &self.state else { return Ok(Map::new()) };
        if matches!(std::fs::read(path), Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace)) {
            return Ok(Map::new());
        }
        let value = match json(path, "state.invalid", "the state")? {
            Value::Object(mut message) if message.get("type").is_some_and(|t| t == "STATE") => {
                message.remove("value").unwrap_or_default()
            }
            value => value,
        };
        match value {
            Value::Null => Ok(Map::new()),
            Value::Object(state) => Ok(state),
            _ => Err(PluginError::config(
                "state.invalid",
                format!("{} is not a JSON object", path.display()),
            )),
        }
    }
}

/// Read a JSON file. A syntax error is told by its place; the text itself is never quoted (I13).
fn json(path: &Path, code: &'static str, what: &str) -> Result<Value> {
    let bytes = std::fs::read(path).map_err(|e| PluginError::io(&format!("cannot read {what}"), path, &e))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let message = format!(
            "{} is not JSON: line {}, column {}",
            path.display(),
            e.line(),
            e.column()
        );
        PluginError::config(code, message)
    })
}

fn usage(plugin: &Plugin, what: &str) -> PluginError {
    PluginError::config("usage", format!("{}: {what}", plugin.name)).hint(format!("see {} --help", plugin.name))
}

/// The text of `--help`.
pub fn help(plugin: &Plugin) -> String {
    let own = match plugin.kind {
        Kind::Tap => {
            "  --discover              print the catalog\n  \
               --catalog FILE          read what this catalog selects (also: --properties)\n  \
               --state FILE            go on where this state ends\n"
        }
        Kind::Target => {
            "  --input FILE            read messages from a file instead of stdin\n  \
               --bookmark JOB          print the STATE value stored with the data for a job\n"
        }
    };
    format!(
        "{} {}: {}\n\nUsage: {} --config FILE [options]\n\n  \
           --config FILE           settings as JSON; may come again, later ones win; ENV reads {}…\n\
         {own}  \
           --about [--format json] settings and capabilities\n  \
           --version\n  \
           --help\n",
        plugin.name,
        plugin.version,
        plugin.description,
        plugin.name,
        settings::variable(plugin.name, ""),
    )
}
