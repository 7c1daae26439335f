//! A tap's rows as Arrow columns: sent as files in the spool where the runner has one (`DATIVO_SPOOL`), else as RECORDs.

use std::io::Write;

use arrow_array::RecordBatch;
use serde::Serialize;
use singer_protocol::message::Schema;

use crate::error::Result;
use crate::writer::Writer;

/// Writes a tap's messages, rows as record batches.
#[derive(Debug)]
pub struct Batches<'a, W: Write> {
    out: &'a mut Writer<W>,
}

impl<'a, W: Write> Batches<'a, W> {
    /// Looks for the spool in the environment.
    ///
    /// # Errors
    /// `DATIVO_SPOOL` names no folder that can be written, or `DATIVO_SPOOL_BYTES` is no number.
    pub fn new(out: &'a mut Writer<W>) -> Result<Self> {
        Ok(Batches { out })
    }

    /// Whether rows leave as columns.
    pub fn spooled(&self) -> bool {
        unimplemented!()
    }

    /// A SCHEMA.
    pub fn schema(&mut self, schema: &Schema) -> Result<()> {
        self.out.schema(schema)
    }

    /// Rows of a stream whose SCHEMA was sent. Blocks while the spool is full.
    pub fn rows(&mut self, stream: &str, batch: &RecordBatch, version: Option<i64>) -> Result<()> {
        let _ = (stream, batch, version);
        unimplemented!()
    }

    /// An ACTIVATE_VERSION.
    pub fn activate(&mut self, stream: &str, version: i64) -> Result<()> {
        let _ = (stream, version);
        unimplemented!()
    }

    /// A STATE, and everything before it: written now.
    pub fn state<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.out.state(value)
    }
}
