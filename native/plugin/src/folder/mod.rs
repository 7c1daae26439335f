//! A target that keeps a folder of files: rows are added, and at each commit data and bookmark agree.
//!
//! The flow: [`load`](mod@load) (messages) > a [`Format`] of the target's own (a record as bytes of a file) > [`store`] (files,
//! commit) > [`sidecar`] (what is committed, per job), with [`crate::name`] (a stream's file name). In an object store [`bucket`] takes the
//! place of both.
//!
//! Who uses it: target-jsonl and target-csv, behind the feature `folder`. Guards I1 (a STATE is printed when its records are
//! synced and the sidecar says so), I10 (buffers are bounded over all streams) and I12 (a stream's name is no path).

pub mod bucket;
pub mod load;
mod part;
pub mod sidecar;
pub mod store;

use std::path::Path;

use serde_json::Value;

use crate::error::Result;
use crate::files;
use crate::framing::DEFAULT_MAX_LINE;
use crate::settings::Kind::{Choice, Count, Flag, Text};
use crate::settings::Setting;

/// How records become a file. A file's columns are what its first line says; formats without any leave all that out.
pub trait Format {
    /// What its files' names end with, as `.jsonl`.
    fn ending(&self) -> &str;

    /// A SCHEMA; comes before the records that need it.
    fn declare(&mut self, stream: &[u8], schema: &Value) -> Result<()> {
        let _ = (stream, schema);
        Ok(())
    }

    /// The stream's file from now on: its number, and the columns that the file has (none yet in a new one). Returns the columns
    /// that it must have; when those are more, a new file is begun.
    fn open(&mut self, at: usize, stream: &[u8], columns: &[String]) -> Result<Vec<String>> {
        let _ = (at, stream, columns);
        Ok(Vec::new())
    }

    /// What a new file with these columns begins with.
    fn head(&self, columns: &[String], out: &mut Vec<u8>) {
        let _ = (columns, out);
    }

    /// The columns of a file that somebody else began.
    fn columns(&self, path: &Path) -> Result<Vec<String>> {
        let _ = path;
        Ok(Vec::new())
    }

    /// Append one record of the stream of this number; false, and nothing appended, when it has columns that the file lacks.
    fn write(&mut self, at: usize, record: &[u8], out: &mut Vec<u8>) -> Result<bool>;
}

/// The settings that these targets share: `path`, `mode`, `gzip`, `max_line`, `storage`.
pub fn settings() -> Vec<Setting> {
    vec![
        Setting::new("path", Text, "The directory to write into, made if it is missing; or a prefix of an object store, as s3://BUCKET/PREFIX.").required(),
        Setting::new(
            "mode",
            Choice(&["append", "overwrite"]),
            "What becomes of a stream's file.",
        )
        .default("append"),
        Setting::new("gzip", Flag, "Compress the files; their names end in .gz.").default(false),
        Setting::new("max_line", Count, "The longest message in bytes.").default(DEFAULT_MAX_LINE as u64),
        files::setting(),
    ]
}
