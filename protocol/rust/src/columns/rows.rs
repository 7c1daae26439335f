//! RECORDs of one stream, gathered into record batches.

use arrow_array::RecordBatch;
use serde_json::Value;

use crate::error::Fault;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the batch.
    In,
    /// It is not: what was gathered must be taken first, then it is pushed again. (A column is wider from it on, a column is new,
    /// or it is partial and those before it are not.)
    TakeFirst,
}

/// The columns of one stream.
#[derive(Debug)]
pub struct Rows {}

impl Rows {
    /// No rows yet. `schema` is the `schema` of a SCHEMA message.
    pub fn new(schema: &Value) -> Rows {
        let _ = schema;
        unimplemented!()
    }

    /// Adds a record: its JSON object, known to be well-formed and UTF-8. Properties in any order, the last of duplicates
    /// counts, missing ones are null, undeclared ones get an `arrow.json` column.
    ///
    /// # Errors
    /// It is no JSON object after all.
    pub fn push(&mut self, record: &[u8]) -> Result<Pushed, Fault> {
        let _ = record;
        unimplemented!()
    }

    /// How many rows are gathered.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that their values take.
    pub fn bytes(&self) -> usize {
        unimplemented!()
    }

    /// Whether the rows gathered now are partial (SPEC.md, section 14).
    pub fn partial(&self) -> bool {
        unimplemented!()
    }

    /// The rows gathered so far, which it then has no more. A column that widened once stays wide.
    pub fn take(&mut self) -> RecordBatch {
        unimplemented!()
    }
}
