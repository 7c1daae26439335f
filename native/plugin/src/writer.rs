//! A tap's output: messages gathered in one buffer, written in large pieces.
//!
//! Everything goes out at every STATE, and at the latest when [`LIMIT`] bytes have gathered, so that a bookmark is never
//! held back and memory stays bounded (I10).

use std::io::Write;

use serde::Serialize;
use singer_protocol::message::{self, Schema};

use crate::error::{PluginError, Result};

/// The buffer is written when it holds this much.
pub const LIMIT: usize = 256 * 1024;

/// Writes messages to a tap's stdout, or to anything else in a test.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A writer on `out`; hand in stdout unbuffered ([`stdout`]).
    pub fn new(out: W) -> Self {
        Writer {
            out,
            buffer: Vec::with_capacity(LIMIT + 16 * 1024),
        }
    }

    /// A SCHEMA.
    pub fn schema(&mut self, schema: &Schema) -> Result<()> {
        message::write_schema(&mut self.buffer, schema);
        self.settle()
    }

    /// A RECORD whose object is JSON text already. `start` comes from [`message::record_start`].
    pub fn record(&mut self, start: &[u8], record: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(start);
        self.buffer.extend_from_slice(record);
        self.buffer.extend_from_slice(message::RECORD_END);
        self.settle()
    }

    /// A RECORD from anything that serializes to an object.
    pub fn record_of<T: Serialize>(&mut self, stream: &str, record: &T) -> Result<()> {
        let start = message::record_start(stream);
        self.buffer.extend_from_slice(&start);
        serde_json::to_writer(&mut self.buffer, record).map_err(|e| {
            PluginError::data(
                "data.bad_message",
                format!("stream {stream:?}: a record is not JSON: {e}"),
            )
        })?;
        self.buffer.extend_from_slice(message::RECORD_END);
        self.settle()
    }

    /// A STATE, and everything before it: written now.
    pub fn state<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        message::write_state(&mut self.buffer, value)
            .map_err(|e| PluginError::data("data.bad_message", format!("the state is not JSON: {e}")))?;
        self.flush()
    }

    /// The buffer, to write a record's bytes into directly; call [`Writer::settle`] when the line is whole.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// A line is whole: write the buffer if it is large enough.
    #[inline]
    pub fn settle(&mut self) -> Result<()> {
        match self.buffer.len() >= LIMIT {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Write everything.
    pub fn flush(&mut self) -> Result<()> {
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        written.map_err(|e| PluginError::output(&e))
    }
}

/// Stdout without Rust's line buffering, which would look for a newline in every piece.
pub fn stdout() -> Result<std::fs::File> {
    let fd = rustix::io::dup(std::io::stdout()).map_err(|e| PluginError::output(&e.into()))?;
    Ok(fd.into())
}
