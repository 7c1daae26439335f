//! The part of a plan that the job decides: bounds, policies, patience.

use serde::Deserialize;
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
