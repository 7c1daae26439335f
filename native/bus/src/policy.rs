//! The part of a plan that the job decides: bounds, policies, patience.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Bounds, in bytes (I10).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The longest line.
    pub max_line: usize,
    /// The size asked for each pipe.
    pub pipe: usize,
    /// The most that a probe may print.
    pub capture: u64,
    /// Where a log line is cut.
    pub log_line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_line: 64 << 20,
            pipe: 256 << 10,
            capture: 64 << 20,
            log_line: 16 << 10,
        }
    }
}

/// What to do with lines that are not messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JunkPolicy {
    /// Count and drop.
    #[default]
    Drop,
    /// Fail the run.
    Fail,
}

/// How closely to look at each line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckPolicy {
    /// Every byte.
    #[default]
    Json,
    /// The envelope, UTF-8, and that a record ends.
    Envelope,
}

/// What to do with BATCH messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchPolicy {
    /// Fail before any row is lost.
    #[default]
    Refuse,
    /// The receiver can load them.
    Forward,
    /// It cannot: the rows of their files go on as RECORDs.
    Expand,
}

/// Whether the target must confirm the last STATE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfirmPolicy {
    /// Yes, when the last message was a STATE worth confirming and the target printed none at all.
    #[default]
    Auto,
    /// No.
    Never,
}

/// On or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    #[default]
    Off,
}

/// What becomes of a record that breaks its SCHEMA, and of a line that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BadRecord {
    /// It ends the run.
    #[default]
    Fail,
    /// It is set aside in the dead-letter file.
    Quarantine,
    /// It is counted.
    Discard,
}

/// What becomes of a SCHEMA that differs from the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangePolicy {
    /// It goes on to the target.
    #[default]
    Evolve,
    /// It ends the run.
    Freeze,
    /// It goes on without the columns that are new or changed, and so do the records.
    DiscardColumn,
    /// The target keeps the old one; rows that do not fit it are set aside.
    QuarantineRow,
}

/// The same by stream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaChange {
    /// For streams that are not named.
    pub default: ChangePolicy,
    /// For those that are.
    pub streams: BTreeMap<String, ChangePolicy>,
}

impl SchemaChange {
    /// A stream's policy.
    pub fn of(&self, stream: &str) -> ChangePolicy {
        self.streams.get(stream).copied().unwrap_or(self.default)
    }
}

/// When ACTIVATE_VERSION goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activate {
    /// When it comes.
    #[default]
    Forward,
    /// Behind rows of its stream, when its tap has ended well.
    Hold,
}

/// The job's policies.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Lines that are not messages.
    pub junk: JunkPolicy,
    /// How closely to look.
    pub check: CheckPolicy,
    /// BATCH messages.
    pub batch: BatchPolicy,
    /// Whether the target must confirm.
    pub confirm: ConfirmPolicy,
    /// Whether records are checked against their SCHEMA.
    pub validate: Switch,
    /// What becomes of bad records.
    pub on_bad_record: BadRecord,
    /// More bad records than this end the run, whatever becomes of each.
    pub bad_rows: Option<u64>,
    /// A larger share of them does.
    pub bad_percent: Option<f64>,
    /// What becomes of another SCHEMA.
    pub schema_change: SchemaChange,
    /// When ACTIVATE_VERSION goes on.
    pub activate: Activate,
}

/// What is kept for a receiver that may have to be started again ([`crate::spill`]).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spill {
    /// Bytes in memory.
    pub memory: usize,
    /// Bytes on disk beyond that; 0 for none.
    pub disk: u64,
    /// Seconds that what is delivered waits for its bookmark.
    pub age: f64,
    /// Where on disk; without it nothing is kept there.
    pub dir: Option<PathBuf>,
}

impl Default for Spill {
    fn default() -> Self {
        Spill {
            memory: 8 << 20,
            disk: 1 << 30,
            age: 3600.0,
            dir: None,
        }
    }
}

/// The run's spool (SPEC.md, section 14).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spooling {
    /// A directory that the bus makes (0700), locks and removes, with a part `tap` and a part `bus`; its parent exists.
    pub dir: PathBuf,
    /// Bytes that may lie there before nothing more is read.
    pub bytes: u64,
}

/// How long who may take, in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grace {
    /// A plugin after its EOF; null is for ever.
    pub eof: Option<f64>,
    /// Between SIGTERM and SIGKILL.
    pub term: f64,
    /// A target after a cancelled run's EOF.
    pub drain: f64,
}

impl Default for Grace {
    fn default() -> Self {
        Grace {
            eof: None,
            term: 5.0,
            drain: 30.0,
        }
    }
}
