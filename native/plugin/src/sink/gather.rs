//! RECORDs gathered by stream, with the place among them where the last STATE stood.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use serde_json::Value;
use singer_protocol::columns::rows::{Pushed, Rows};
use singer_protocol::error::Fault;

use super::{Declared, Pace};
use crate::batches::memory;

/// Bytes that may come into a stream's rows before their memory is asked for again.
const LOOK: usize = 1 << 20;

/// Something for the sink, in its place among the messages.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A SCHEMA that is new.
    Declare(Declared),
    /// Rows of a stream, their version, and whether they are partial.
    Load(String, RecordBatch, Option<i64>, bool),
    /// An ACTIVATE_VERSION.
    Activate(String, i64),
}

impl Step {
    /// Rows, and bytes of memory.
    pub(super) fn size(&self) -> (usize, usize) {
        match self {
            Step::Load(_, batch, _, _) => (batch.num_rows(), memory(batch)),
            _ => (0, 0),
        }
    }
}

#[derive(Debug)]
struct Stream {
    declared: Declared,
    rows: Rows,
    /// Of the rows gathered.
    version: Option<i64>,
    /// How many of the rows stand before the STATE that `epoch` counts.
    marked: usize,
    epoch: u64,
    /// Memory of the rows, about.
    bytes: usize,
    /// Bytes that came since it was asked for, and what a row took then.
    unseen: usize,
    row: usize,
}

/// All streams.
#[derive(Debug)]
pub(super) struct Gather {
    pace: Pace,
    streams: Vec<Stream>,
    by_name: HashMap<Vec<u8>, usize>,
    /// The stream of the message before.
    last: usize,
    /// STATEs so far.
    epoch: u64,
    rows: usize,
    bytes: usize,
}

impl Gather {
    pub(super) fn new(pace: Pace) -> Self {
        Gather {
            pace,
            streams: Vec::new(),
            by_name: HashMap::new(),
            last: 0,
            epoch: 0,
            rows: 0,
            bytes: 0,
        }
    }

    /// A stream's place.
    pub(super) fn at(&mut self, name: &[u8]) -> usize {
        if matches!(self.streams.get(self.last), Some(last) if last.declared.stream.as_bytes() == name) {
            return self.last;
        }
        self.last = match self.by_name.get(name) {
            Some(at) => *at,
            None => {
                let declared = Declared {
                    stream: String::from_utf8_lossy(name).into_owned(),
                    schema: Value::Null,
                    keys: Vec::new(),
                };
                self.streams.push(Stream {
                    rows: Rows::new(&declared.schema),
                    declared,
                    version: None,
                    marked: 0,
                    epoch: 0,
                    bytes: 0,
                    unseen: 0,
                    row: 0,
                });
                self.by_name.insert(name.into(), self.streams.len() - 1);
                self.streams.len() - 1
            }
        };
        self.last
    }

    /// Whether this was a stream's last SCHEMA.
    pub(super) fn is_declared(&self, at: usize, declared: &Declared) -> bool {
        self.streams[at].declared == *declared
    }

    /// A SCHEMA; the rows before it must have been taken.
    pub(super) fn declare(&mut self, at: usize, declared: &Declared) {
        let stream = &mut self.streams[at];
        stream.rows = Rows::new(&declared.schema);
        stream.declared = declared.clone();
    }

    /// Whether the rows must be taken before one of this version comes in.
    #[inline]
    pub(super) fn is_full(&self, at: usize, version: Option<i64>) -> bool {
        let stream = &self.streams[at];
        let rows = stream.rows.len();
        rows > 0 && (stream.version != version || rows >= self.pace.batch_rows || stream.bytes >= self.pace.batch_bytes)
    }

    /// Adds a record; false if the rows must be taken first. The error is what is wrong with it.
    #[inline]
    pub(super) fn push(&mut self, at: usize, record: &[u8], version: Option<i64>) -> Result<bool, Fault> {
        let stream = &mut self.streams[at];
        if stream.epoch != self.epoch {
            (stream.epoch, stream.marked) = (self.epoch, stream.rows.len());
        }
        if stream.rows.push(record)? == Pushed::TakeFirst {
            return Ok(false);
        }
        stream.version = version;
        self.rows += 1;
        let size = record.len().max(stream.row);
        stream.bytes += size;
        stream.unseen += size;
        self.bytes += size;
        // Nulls take memory that a record does not show: the first rows are looked at early.
        if stream.unseen >= LOOK || stream.rows.len() == 64 {
            let found = stream.rows.bytes();
            self.bytes = self.bytes + found - stream.bytes;
            (stream.bytes, stream.unseen) = (found, 0);
            stream.row = found / stream.rows.len();
        }
        Ok(true)
    }

    /// A STATE stands here: all rows are before it.
    pub(super) fn mark(&mut self) {
        self.epoch += 1;
    }

    /// A stream's rows, which it then has no more: those before the pending STATE, and those behind it. Without a pending one all
    /// are before it.
    pub(super) fn take(&mut self, at: usize, pending: bool) -> Option<(Option<Step>, Option<Step>)> {
        let stream = &mut self.streams[at];
        let rows = stream.rows.len();
        if rows == 0 {
            return None;
        }
        let marked = match pending && stream.epoch == self.epoch {
            true => stream.marked,
            false => rows,
        };
        let partial = stream.rows.partial();
        let batch = stream.rows.take();
        let name = &stream.declared.stream;
        let part = |from: usize, to: usize| {
            (from < to).then(|| Step::Load(name.clone(), batch.slice(from, to - from), stream.version, partial))
        };
        let parts = (part(0, marked), part(marked, rows));
        self.rows -= rows;
        self.bytes -= stream.bytes;
        (stream.bytes, stream.unseen, stream.marked, stream.epoch) = (0, 0, 0, self.epoch);
        Some(parts)
    }

    /// The streams that have rows.
    pub(super) fn waiting(&self) -> Vec<usize> {
        let all = 0..self.streams.len();
        all.filter(|at| !self.streams[*at].rows.is_empty()).collect()
    }

    /// The stream whose rows take the most memory.
    pub(super) fn largest(&self) -> Option<usize> {
        (0..self.streams.len()).max_by_key(|at| self.streams[*at].bytes)
    }

    /// Rows gathered.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory of all rows, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
