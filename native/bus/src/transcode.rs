//! RECORDs on their way to a target that speaks Arrow: gathered by stream into record batches, with the newest STATE among them.
//!
//! A STATE covers what came before it and nothing else: where one stands within what is gathered, the rows before it leave,
//! then the STATE, then the rows behind it. Of several STATEs within one gathering only the newest is sent: the target could
//! not have committed in between.

use crate::tally::Sum;
use arrow_array::RecordBatch;
use serde_json::Value;
use singer_protocol::columns::rows::{Pushed, Rows};
use singer_protocol::error::Fault;
use std::time::{Duration, Instant};

/// So many bytes of records, of all streams together, leave.
const BYTES: usize = 16 << 20;
/// So many rows of all streams together leave.
const ROWS: usize = 65_536;
/// What has been gathered leaves when nothing more came for so long.
pub const QUIET: Duration = Duration::from_millis(500);

/// What leaves, in this order.
#[derive(Debug)]
pub enum Leaving {
    /// Rows of a stream.
    Rows(Piece),
    /// The STATE behind them.
    State(Kept),
}

/// Rows of one stream.
#[derive(Debug)]
pub struct Piece {
    /// The stream's index.
    pub stream: u32,
    /// Its rows.
    pub batch: RecordBatch,
    /// The version that all of them have.
    pub version: Option<i64>,
    /// Their records have these columns and no others.
    pub partial: bool,
    /// What they are in the books.
    pub sum: Sum,
}

/// A STATE that waits.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its line.
    pub line: Vec<u8>,
    /// Records before it, of all streams.
    pub records: u64,
    /// The number of the message.
    pub messages: u64,
}

#[derive(Debug)]
struct Gathered {
    rows: Rows,
    version: Option<i64>,
    sum: Sum,
    /// Rows before the newest STATE, and what they are in the books.
    marked: (usize, Sum),
}

impl Gathered {
    fn piece(&self, stream: usize, batch: RecordBatch, partial: bool, sum: Sum) -> Leaving {
        Leaving::Rows(Piece {
            stream: stream as u32,
            batch,
            version: self.version,
            partial,
            sum,
        })
    }
}

/// What is gathered of all streams.
#[derive(Debug, Default)]
pub struct Transcode {
    streams: Vec<Option<Gathered>>,
    state: Option<Kept>,
    rows: usize,
    bytes: usize,
    last: Option<Instant>,
}

impl Transcode {
    /// Nothing is gathered.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// A stream's SCHEMA. What is gathered of it must have left.
    pub fn declare(&mut self, stream: usize, schema: &Value) {
        if self.streams.len() <= stream {
            self.streams.resize_with(stream + 1, || None);
        }
        self.streams[stream] = Some(Gathered {
            rows: Rows::new(schema),
            version: None,
            sum: Sum::default(),
            marked: (0, Sum::default()),
        });
    }

    /// Takes a record. `false`: what is gathered must leave first, then it is to be taken again.
    pub fn push(&mut self, stream: usize, record: &[u8], version: Option<i64>, hash: u128) -> Result<bool, Fault> {
        let Some(gathered) = self.streams.get_mut(stream).and_then(Option::as_mut) else {
            return Err(crate::route::fault(
                singer_protocol::error::Code::RecordBeforeSchema,
                "the message came before its stream's SCHEMA",
            ));
        };
        if gathered.version != version && !gathered.rows.is_empty() {
            return Ok(false);
        }
        if gathered.rows.push(record)? == Pushed::TakeFirst {
            return Ok(false);
        }
        gathered.version = version;
        gathered.sum.add(hash);
        self.rows += 1;
        self.bytes += record.len();
        Ok(true)
    }

    /// A STATE stands here.
    pub fn mark(&mut self, kept: Kept) {
        for gathered in self.streams.iter_mut().flatten() {
            gathered.marked = (gathered.rows.len(), gathered.sum);
        }
        self.state = Some(kept);
    }

    /// Whether enough is gathered.
    pub fn heavy(&self) -> bool {
        self.rows >= ROWS || self.bytes >= BYTES
    }

    /// Notes that something came now.
    pub fn touch(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// When what is gathered leaves if nothing more comes.
    pub fn due(&self) -> Option<Instant> {
        self.last.filter(|_| !self.is_empty()).map(|last| last + QUIET)
    }

    /// Everything that is gathered, in the order in which it leaves.
    pub fn take(&mut self) -> Vec<Leaving> {
        let state = self.state.take();
        let (mut leaving, mut behind) = (Vec::new(), Vec::new());
        for (stream, gathered) in self.streams.iter_mut().enumerate() {
            let Some(gathered) = gathered.as_mut().filter(|one| !one.rows.is_empty()) else {
                continue;
            };
            let partial = gathered.rows.partial();
            let batch = gathered.rows.take();
            let ((marked, before), all) = (std::mem::take(&mut gathered.marked), std::mem::take(&mut gathered.sum));
            if marked > 0 && marked < batch.num_rows() {
                let rest = batch.slice(marked, batch.num_rows() - marked);
                leaving.push(gathered.piece(stream, batch.slice(0, marked), partial, before));
                behind.push(gathered.piece(stream, rest, partial, all.minus(before)));
            } else {
                let early = marked > 0 || state.is_none();
                let piece = gathered.piece(stream, batch, partial, all);
                if early { &mut leaving } else { &mut behind }.push(piece);
            }
        }
        leaving.extend(state.map(Leaving::State));
        leaving.append(&mut behind);
        (self.rows, self.bytes) = (0, 0);
        leaving
    }
}
