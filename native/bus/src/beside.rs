//! The part of a plan that names what lies beside the stream: dead letters, SCHEMAs of earlier runs, copies, tapes.

use serde::Deserialize;
use std::path::PathBuf;

/// Where records go that are set aside.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetters {
    /// Appended to, made when there is a first one; its folder exists.
    pub path: PathBuf,
}

/// A stream's SCHEMA in an earlier run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownSchema {
    /// The schema.
    pub schema: serde_json::Value,
    /// The key's columns.
    #[serde(default)]
    pub key_properties: Option<Vec<String>>,
}

/// A file for a copy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyTo {
    /// Its absolute path.
    pub path: PathBuf,
}

/// A flight recording.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tape {
    /// The file that it is appended to; made (0600) where there is none.
    pub path: PathBuf,
}
