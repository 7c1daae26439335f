//! A target whose rows are Arrow columns: RECORDs are gathered into record batches, BATCHes of arrow, jsonl and jsonl.gz files are read,
//! and a commit comes at a STATE when enough has gathered, when the input is quiet, and at its end.

use arrow_array::RecordBatch;
use serde_json::Value;

use crate::error::Result;
use crate::reader::End;
use crate::Load;

/// A stream's SCHEMA.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The stream.
    pub stream: String,
    /// Its `schema`.
    pub schema: Value,
    /// Its `key_properties`.
    pub keys: Vec<String>,
}

/// Rows of a stream.
#[derive(Debug)]
pub struct Slice<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The rows; their Arrow schema may differ from the slice before (SPEC.md, section 14).
    pub batch: &'a RecordBatch,
    /// Their version.
    pub version: Option<i64>,
    /// Their records have these columns and no others: what a destination holds in the others stays.
    pub partial: bool,
}

/// Where rows go.
pub trait Sink {
    /// A SCHEMA that is new or differs from the stream's last.
    fn declare(&mut self, declared: &Declared) -> Result<()>;

    /// Rows of a declared stream.
    fn load(&mut self, slice: &Slice<'_>) -> Result<()>;

    /// An ACTIVATE_VERSION.
    fn activate(&mut self, stream: &str, version: i64) -> Result<()>;

    /// Make everything so far durable, together with this STATE value (none at an end without any STATE). I1, I2: when this returns
    /// the value is printed. `last`: the input has ended.
    fn commit(&mut self, state: Option<&[u8]>, last: bool) -> Result<()>;
}

/// When to commit.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// At the first STATE after this many bytes (of Arrow memory).
    pub bytes: usize,
    /// At the first STATE after this many rows.
    pub rows: usize,
    /// Rows are handed over when this many have gathered, or `batch_bytes` of them.
    pub batch_rows: usize,
    /// See `batch_rows`.
    pub batch_bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            bytes: 128 << 20,
            rows: 1_000_000,
            batch_rows: 65_536,
            batch_bytes: 16 << 20,
        }
    }
}

/// Runs a target to the end of its input. On SIGTERM what came before the last STATE that was read is committed, and nothing behind
/// it; on an error nothing that is not committed is printed.
pub fn run(load: Load, pace: Pace, sink: &mut impl Sink) -> Result<End> {
    let _ = (load, pace, sink);
    unimplemented!()
}
