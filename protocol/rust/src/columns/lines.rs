//! Record batches written as RECORDs.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use serde_json::Value;

/// A batch holds what no record can: the row and the column, and why (NaN, infinity, a timestamp out of range …).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritable {
    /// The row within the batch.
    pub row: usize,
    /// The column's name.
    pub column: String,
    /// Why.
    pub reason: String,
}

/// Writes the rows of batches with one Arrow schema.
#[derive(Debug)]
pub struct Lines {}

impl Lines {
    /// For batches of this Arrow schema and records of this SCHEMA (it says whether a decimal is a string or a number).
    /// `partial`: nulls of the batch are missing properties only where its field is not there at all; all fields are written.
    pub fn new(arrow: &Schema, schema: &Value) -> Lines {
        let _ = (arrow, schema);
        unimplemented!()
    }

    /// Appends to `out`, for each of the rows, `before`, the record as compact JSON, and `after`.
    ///
    /// # Errors
    /// The first value that JSON has no way to write; the rows before it are in `out`, and nothing of its own.
    pub fn write(
        &self,
        batch: &RecordBatch,
        rows: std::ops::Range<usize>,
        before: &[u8],
        after: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        let _ = (batch, rows, before, after, out);
        unimplemented!()
    }
}
