//! `_dativo/JOB.json`: which files are committed for a job, and the STATE value that speaks of them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use singer_plugin::files::{Address, Files};
use singer_plugin::name::safe;
use singer_plugin::{PluginError, Result};

/// Where manifests lie; readers of tables leave out what begins with an underscore.
pub const FOLDER: &str = "_dativo";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Below the folder that is written into.
    pub path: String,
    /// The stream's name.
    pub stream: String,
    /// The version of all its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// How many rows there are.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

impl Entry {
    /// The file's own name.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// What is committed for one job.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// The job's name.
    pub job: String,
    /// The run that wrote last, and the number of its next file.
    pub run: String,
    /// See `run`.
    pub next: u64,
    /// The last STATE value, as it came.
    pub value: Option<Box<RawValue>>,
    /// All files, oldest first.
    pub files: Vec<Entry>,
    /// Of these, the ones that may still lie in the folder of new files. Moving them into place is part of the commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Entry>,
    /// Paths of files that are committed no more. Removing them is part of the commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

impl Manifest {
    /// Where a job's manifest is.
    pub fn address(folder: &Address, job: &str) -> Address {
        folder.join(&format!("{FOLDER}/{}.json", safe(job.as_bytes())))
    }

    /// A job's manifest and its version; none before the first commit.
    pub fn read(files: &Files, folder: &Address, job: &str) -> Result<Option<(Manifest, String)>> {
        let at = Manifest::address(folder, job);
        let Some((bytes, version)) = files.document(&at)? else {
            return Ok(None);
        };
        let manifest = serde_json::from_slice(&bytes).map_err(|e| {
            let place = format!("line {}, column {}", e.line(), e.column());
            PluginError::config("state.invalid", format!("{at} is damaged: {place}"))
                .hint("restore it, or move the folder away and run in full")
        })?;
        Ok(Some((manifest, version)))
    }
}
