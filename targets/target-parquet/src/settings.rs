//! The settings: declared once, and as the type the rest works with.

use std::collections::BTreeMap;
use std::time::Duration;

use parquet::basic::{Compression, ZstdLevel};
use serde::Deserialize;
use singer_plugin::files::{self, Address};
use singer_plugin::framing;
use singer_plugin::settings::{Config, Kind, Setting};
use singer_plugin::sink::Pace;
use singer_plugin::{PluginError, Result};

use crate::partition::By;

/// All settings of the target.
pub fn declare() -> Vec<Setting> {
    vec![
        Setting::new("path", Kind::Text, "The folder to write into: a path, or s3://, gs:// or az:// with bucket and prefix.")
            .required(),
        Setting::new("mode", Kind::Choice(&["append", "overwrite"]), "What becomes of a stream's older files.")
            .default("append"),
        Setting::new("compression", Kind::Choice(&["zstd", "snappy", "none"]), "How pages are compressed.").default("zstd"),
        Setting::new("compression_level", Kind::Count, "For zstd, 1 to 22.").default(1),
        Setting::new("partition_by", Kind::TextsOrObject, "Columns that folders are made of, such as country or created_at:day (year, month, day, hour): a list, or an object from stream to list."),
        Setting::new("file_bytes", Kind::Count, "A file ends when it is this large.").default(256 << 20),
        Setting::new("row_group_rows", Kind::Count, "A row group ends after this many rows.").default(122_880),
        Setting::new("commit_bytes", Kind::Count, "Commit at the first STATE after this many bytes (of Arrow memory, not of files).")
            .default(512 << 20),
        Setting::new("commit_seconds", Kind::Count, "Commit at the first STATE after this many seconds.").default(30),
        files::setting(),
        Setting::new("max_line", Kind::Count, "The longest message in bytes.").default(framing::DEFAULT_MAX_LINE as u64),
    ]
}

/// Columns for all streams, or by stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Columns {
    All(Vec<String>),
    ByStream(BTreeMap<String, Vec<String>>),
}

#[derive(Deserialize)]
struct Raw {
    path: String,
    mode: String,
    compression: String,
    compression_level: i32,
    partition_by: Option<Columns>,
    file_bytes: u64,
    row_group_rows: usize,
    commit_bytes: usize,
    commit_seconds: u64,
}

/// The settings, ready to use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to write.
    pub folder: Address,
    /// A run's files take the place of the older ones of their streams.
    pub overwrite: bool,
    /// Of all columns.
    pub compression: Compression,
    partition_by: Option<Columns>,
    /// A file ends when it is this large.
    pub file_bytes: u64,
    /// Rows of a row group.
    pub row_group_rows: usize,
    /// When to commit.
    pub pace: Pace,
}

impl Settings {
    /// Read the checked settings.
    pub fn of(config: &Config) -> Result<Self> {
        let raw: Raw = config.parse()?;
        let level = ZstdLevel::try_new(raw.compression_level).map_err(|_| {
            PluginError::config(
                "config.invalid",
                "target-parquet: compression_level must be from 1 to 22",
            )
        })?;
        let overwrite = raw.mode == "overwrite";
        Ok(Settings {
            folder: Address::parse(&raw.path)?,
            overwrite,
            compression: match raw.compression.as_str() {
                "zstd" => Compression::ZSTD(level),
                "snappy" => Compression::SNAPPY,
                _ => Compression::UNCOMPRESSED,
            },
            partition_by: raw.partition_by,
            file_bytes: raw.file_bytes.max(1),
            row_group_rows: raw.row_group_rows.max(1),
            pace: Pace {
                bytes: raw.commit_bytes,
                rows: usize::MAX,
                wait: Duration::from_secs(raw.commit_seconds),
                at_end: overwrite,
                ..Pace::default()
            },
        })
    }

    /// What a stream's folders are made of.
    pub fn partition_by(&self, stream: &str) -> Vec<By> {
        let columns = match &self.partition_by {
            Some(Columns::All(columns)) => Some(columns),
            Some(Columns::ByStream(streams)) => streams.get(stream),
            None => None,
        };
        columns.into_iter().flatten().map(|text| By::of(text)).collect()
    }
}
