//! The settings: declared once, and as the type the rest works with.

use serde::Deserialize;
use singer_plugin::by_stream::{ByStream, Texts};
use singer_plugin::files;
use singer_plugin::settings::{Config, Kind, Setting};
use singer_plugin::Result;

/// All settings of the tap.
pub fn declare() -> Vec<Setting> {
    vec![
        Setting::new(
            "files",
            Kind::Texts,
            "Paths, globs, or s3://, gs:// and az:// addresses of the files to read.",
        )
        .required(),
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
            "The column whose bookmark says which rows are new: a name, or an object from stream to name.",
        ),
        files::setting(),
    ]
}

#[derive(Deserialize)]
struct Raw {
    files: Texts,
    stream: String,
    key_properties: Option<ByStream<Vec<String>>>,
    replication_key: Option<ByStream<String>>,
}

/// The settings, ready to use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Paths, globs and addresses.
    pub files: Vec<String>,
    /// Template of the stream's name.
    pub stream: String,
    keys: Option<ByStream<Vec<String>>>,
    replication_key: Option<ByStream<String>>,
}

impl Settings {
    /// Read the checked settings.
    pub fn of(config: &Config) -> Result<Self> {
        let raw: Raw = config.parse()?;
        Ok(Settings {
            files: raw.files.into(),
            stream: raw.stream,
            keys: raw.key_properties,
            replication_key: raw.replication_key,
        })
    }

    /// The key columns set for a stream.
    pub fn keys(&self, stream: &str) -> Option<Vec<String>> {
        self.keys.as_ref()?.of(stream).cloned()
    }

    /// The replication key set for a stream.
    pub fn replication_key(&self, stream: &str) -> Option<String> {
        self.replication_key.as_ref()?.of(stream).cloned()
    }
}
