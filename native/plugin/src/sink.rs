//! A target whose rows are Arrow columns: RECORDs are gathered into record batches, BATCHes of arrow, jsonl and jsonl.gz files are read,
//! and a commit comes at a STATE when enough has gathered, when the input is quiet, and at its end.
//!
//! The flow: messages > [`gather`] (rows by stream, [`manifest`] for the files of a BATCH) > a [`Sink`]. Guards I1 (a STATE's value is
//! printed when its commit is done; a commit covers the rows before its STATE and none behind it), I9 and I10 (what is gathered, over
//! all streams, is bounded by [`Pace`]).
//!
//! A STATE that was read and not committed yet is *pending*. Rows behind it wait here until the next STATE supersedes it; when there
//! is no more room for them, it is committed first. So the last STATE that was read can always be committed alone.

mod gather;
mod manifest;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use serde_json::Value;
use singer_protocol::columns::lines::Unwritable;
use singer_protocol::envelope::Kind;
use singer_protocol::error::Fault;
use singer_protocol::message::{self, Message};

use crate::error::{PluginError, Result};
use crate::plain::plain;
use crate::reader::{End, Input, Take};
use crate::Load;
use gather::{Gather, Step};
use manifest::{Files, Lines};

/// A stream's SCHEMA.
#[derive(Clone, Debug, PartialEq)]
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

/// Record batches of a file.
pub type Opened = Box<dyn Iterator<Item = Result<RecordBatch>>>;

/// Where rows go. What was loaded behind the last commit when [`run`] returns is not to be kept.
pub trait Sink {
    /// A SCHEMA that is new or differs from the stream's last.
    fn declare(&mut self, declared: &Declared) -> Result<()>;

    /// Rows of a declared stream. Each field is one of [`crate::columns::kind::Kind`].
    fn load(&mut self, slice: &Slice<'_>) -> Result<()>;

    /// An ACTIVATE_VERSION.
    fn activate(&mut self, stream: &str, version: i64) -> Result<()>;

    /// Make everything so far durable, together with this STATE value (none at an end without any STATE). I1, I2: when this returns
    /// the value is printed. `last`: the input has ended.
    fn commit(&mut self, state: Option<&[u8]>, last: bool) -> Result<()>;

    /// A file of a BATCH in a format other than arrow and jsonl; none if it is not read here.
    fn open(&mut self, format: &str, path: &Path) -> Result<Option<Opened>> {
        let _ = (format, path);
        Ok(None)
    }
}

/// When to commit.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// At the first STATE after this many bytes (of Arrow memory).
    pub bytes: usize,
    /// At the first STATE after this many rows.
    pub rows: usize,
    /// At the first STATE after this much time; when the input is quiet, a STATE that came before waits for no longer.
    pub wait: Duration,
    /// Only at the end of the input, whatever else is said here: on a signal and on an error nothing is committed.
    pub at_end: bool,
    /// Rows are handed over when this many have gathered, or `batch_bytes` of them.
    pub batch_rows: usize,
    /// See `batch_rows`. All that is gathered together is at most about twice as much.
    pub batch_bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            bytes: 128 << 20,
            rows: 1_000_000,
            wait: Duration::from_secs(1),
            at_end: false,
            batch_rows: 65_536,
            batch_bytes: 16 << 20,
        }
    }
}

/// Runs a target to the end of its input. On SIGTERM what came before the last STATE that was read is committed, and nothing behind
/// it; on an error nothing that is not committed is printed.
pub fn run(load: Load, pace: Pace, sink: &mut impl Sink) -> Result<End> {
    run_to(load, pace, sink, &mut std::io::stdout())
}

fn run_to(mut load: Load, pace: Pace, sink: &mut impl Sink, out: &mut dyn Write) -> Result<End> {
    let max_line = load.config.get("max_line").and_then(Value::as_u64);
    let mut run = Run {
        sink,
        out,
        pace,
        max_line: max_line.map_or(crate::framing::DEFAULT_MAX_LINE, |n| n as usize),
        gather: Gather::new(pace),
        held: Vec::new(),
        held_bytes: 0,
        pending: None,
        last: None,
        since: None,
        rows: 0,
        bytes: 0,
        broken: false,
    };
    let ended = load.reader.each(&mut run);
    let junk: Vec<_> = load
        .reader
        .junk()
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    if !junk.is_empty() {
        eprintln!("warning: lines that are no messages were left out: {}", junk.join(", "));
    }
    match ended {
        Ok(End::Eof) => run.end().map(|()| End::Eof),
        Ok(signal) => run.commit_pending().map(|()| signal),
        // What was good up to the last STATE stays good; the first error is the one to tell.
        Err(error) if !run.broken => run.commit_pending().and(Err(error)),
        Err(error) => Err(error),
    }
}

struct Run<'a, S: Sink> {
    sink: &'a mut S,
    out: &'a mut dyn Write,
    pace: Pace,
    max_line: usize,
    gather: Gather,
    /// What came behind the pending STATE and is no longer gathered.
    held: Vec<Step>,
    held_bytes: usize,
    /// A STATE that is not committed yet.
    pending: Option<Vec<u8>>,
    /// The last one that is, or that is read where the commit comes at the end.
    last: Option<Vec<u8>>,
    /// When the first message behind the last commit came.
    since: Option<Instant>,
    /// Rows and bytes that are not gathered any more, since the last commit.
    rows: usize,
    bytes: usize,
    /// The sink failed: nothing can be committed any more.
    broken: bool,
}

impl<S: Sink> Take for Run<'_, S> {
    fn take(&mut self, input: &Input<'_>) -> Result<()> {
        self.since.get_or_insert_with(Instant::now);
        match input.kind() {
            Kind::Record => self.record(input),
            // An empty state is no bookmark: it is neither kept nor printed, and the one before it stays.
            Kind::State if is_empty(input.payload()) => Ok(()),
            Kind::State => self.state(input.payload()),
            _ => match message::parse(input.line, &input.envelope) {
                Ok(Message::Schema(schema)) => self.schema(schema),
                Ok(Message::ActivateVersion(message)) => {
                    let at = self.gather.at(message.stream.as_bytes());
                    self.hand_over(at)?;
                    self.step(Step::Activate(message.stream, message.version))
                }
                Ok(Message::Batch(batch)) => self.batch(input, &batch),
                Ok(_) => Ok(()),
                Err(fault) => Err(input.error(fault.code.as_str(), fault.reason)),
            },
        }
    }

    fn patience(&self) -> Option<Duration> {
        let waited = self.since.filter(|_| self.pending.is_some())?.elapsed();
        Some(self.pace.wait.saturating_sub(waited))
    }

    fn quiet(&mut self) -> Result<()> {
        self.settle_pending()
    }
}

/// `null` or `{}`.
fn is_empty(value: &[u8]) -> bool {
    value == b"null" || value.iter().filter(|b| !b.is_ascii_whitespace()).eq(b"{}")
}

/// Why a record did not go in: the sink's error, or what is wrong with the record.
enum Wrong {
    Failed(PluginError),
    Record(Fault),
}

impl Wrong {
    fn told(self, input: &Input<'_>) -> PluginError {
        match self {
            Wrong::Failed(error) => error,
            Wrong::Record(fault) => input.error(fault.code.as_str(), fault.reason),
        }
    }
}

impl From<PluginError> for Wrong {
    fn from(error: PluginError) -> Self {
        Wrong::Failed(error)
    }
}

impl<S: Sink> Run<'_, S> {
    fn schema(&mut self, schema: message::Schema) -> Result<()> {
        let declared = Declared {
            stream: schema.stream,
            schema: schema.schema,
            keys: schema.key_properties,
        };
        let at = self.gather.at(declared.stream.as_bytes());
        if self.gather.is_declared(at, &declared) {
            return Ok(());
        }
        self.hand_over(at)?;
        self.gather.declare(at, &declared);
        self.step(Step::Declare(declared))
    }

    fn record(&mut self, input: &Input<'_>) -> Result<()> {
        let stream = input.envelope.stream.map(|s| s.bytes()).unwrap_or_default();
        let version = input.envelope.version.clone();
        let version = version.and_then(|v| std::str::from_utf8(&input.line[v]).ok()?.parse().ok());
        let at = self.gather.at(&stream);
        self.push(at, input.payload(), version)
            .map_err(|wrong| wrong.told(input))
    }

    /// One record into its stream's rows.
    fn push(&mut self, at: usize, record: &[u8], version: Option<i64>) -> std::result::Result<(), Wrong> {
        if self.gather.is_full(at, version) {
            self.hand_over(at)?;
        }
        if !self.gather.push(at, record, version).map_err(Wrong::Record)? {
            self.hand_over(at)?;
            if !self.gather.push(at, record, version).map_err(Wrong::Record)? {
                let reason = "the record fits no columns";
                return Err(Wrong::Record(Fault::json(record, 0, reason)));
            }
        }
        Ok(self.make_room()?)
    }

    fn state(&mut self, value: &[u8]) -> Result<()> {
        if self.pace.at_end {
            self.last = Some(value.to_vec());
            return Ok(());
        }
        // Whatever is held came before this STATE.
        self.release()?;
        self.gather.mark();
        self.pending = Some(value.to_vec());
        let reached = self.rows + self.gather.rows() >= self.pace.rows
            || self.bytes + self.gather.bytes() >= self.pace.bytes
            || self.since.is_some_and(|since| since.elapsed() >= self.pace.wait);
        match reached {
            true => self.settle_pending(),
            false => Ok(()),
        }
    }

    fn batch(&mut self, input: &Input<'_>, batch: &message::Batch) -> Result<()> {
        let unread = |what: String| input.error("data.bad_message", &what);
        let refused = |what: String| {
            input
                .error("data.batch_refused", &what)
                .hint("use arrow or jsonl files on file://, or turn batch_config off in the tap")
        };
        let files = Files::of(batch).map_err(refused)?;
        let at = self.gather.at(batch.stream.as_bytes());
        for path in &files.paths {
            match files.format.as_str() {
                "jsonl" => {
                    let mut lines = Lines::open(path, self.max_line).map_err(unread)?;
                    while let Some(line) = lines.next().map_err(unread)? {
                        self.push(at, line, files.version).map_err(|wrong| wrong.told(input))?;
                    }
                }
                "arrow" => {
                    self.hand_over(at)?;
                    for rows in manifest::arrow(path).map_err(unread)? {
                        self.load(input, &batch.stream, &files, &rows)?;
                    }
                }
                format => {
                    let opened = self.sink.open(format, path)?;
                    let opened = opened.ok_or_else(|| refused(format!("BATCH files of the format {format:?}")))?;
                    self.hand_over(at)?;
                    for rows in opened {
                        self.load(input, &batch.stream, &files, &rows?)?;
                    }
                }
            }
        }
        match files.format.as_str() {
            // SPEC.md, section 14: the same bytes, as soon as the files will not be opened again.
            "arrow" => self.say(input.line),
            _ => Ok(()),
        }
    }

    /// Rows of a BATCH, in kinds.
    fn load(&mut self, input: &Input<'_>, stream: &str, files: &Files, rows: &RecordBatch) -> Result<()> {
        let refused = |found: Unwritable| {
            let what = format!(
                "row {} of a batch, column {:?}: {}",
                found.row + 1,
                found.column,
                found.reason
            );
            input.error("data.rejected", &what)
        };
        for rows in plain(rows).map_err(refused)? {
            self.step(Step::Load(stream.into(), rows, files.version, files.partial))?;
        }
        Ok(())
    }

    fn say(&mut self, line: &[u8]) -> Result<()> {
        let mut text = Vec::with_capacity(line.len() + 1);
        text.extend_from_slice(line);
        text.push(b'\n');
        let written = self.out.write_all(&text).and_then(|()| self.out.flush());
        written.map_err(|e| PluginError::output(&e))
    }

    /// The gathered rows of a stream go on: those before the pending STATE to the sink, those behind it are held.
    fn hand_over(&mut self, at: usize) -> Result<()> {
        let Some((before, behind)) = self.gather.take(at, self.pending.is_some()) else {
            return Ok(());
        };
        if let Some(before) = before {
            self.count(&before);
            self.give(&before)?;
        }
        behind.map_or(Ok(()), |behind| self.step(behind))
    }

    /// To the sink, unless a STATE before it is pending.
    fn step(&mut self, step: Step) -> Result<()> {
        self.count(&step);
        if self.pending.is_none() {
            return self.give(&step);
        }
        self.held_bytes += step.size().1;
        self.held.push(step);
        self.make_room()
    }

    fn count(&mut self, step: &Step) {
        let (rows, bytes) = step.size();
        self.rows += rows;
        self.bytes += bytes;
    }

    /// I10: with too much in memory the largest streams are handed over, and if that is not enough the pending STATE is committed.
    fn make_room(&mut self) -> Result<()> {
        while self.gather.bytes() + self.held_bytes > 2 * self.pace.batch_bytes {
            match self.gather.largest() {
                Some(at) if self.gather.bytes() > self.pace.batch_bytes => self.hand_over(at)?,
                _ => self.settle_pending()?,
            }
        }
        Ok(())
    }

    fn give(&mut self, step: &Step) -> Result<()> {
        let given = match step {
            Step::Declare(declared) => self.sink.declare(declared),
            Step::Activate(stream, version) => self.sink.activate(stream, *version),
            Step::Load(stream, batch, version, partial) => self.sink.load(&Slice {
                stream,
                batch,
                version: *version,
                partial: *partial,
            }),
        };
        given.inspect_err(|_| self.broken = true)
    }

    /// Hands over what was held: no STATE before it is pending any more.
    fn release(&mut self) -> Result<()> {
        self.held_bytes = 0;
        let held = std::mem::take(&mut self.held);
        held.iter().try_for_each(|step| self.give(step))
    }

    /// Commits the pending STATE, and lets what came behind it go on.
    fn settle_pending(&mut self) -> Result<()> {
        self.commit_pending()?;
        self.release()
    }

    /// Commits the pending STATE with the rows before it. I1: those behind it stay held.
    fn commit_pending(&mut self) -> Result<()> {
        let Some(value) = self.pending.take() else {
            return Ok(());
        };
        for at in self.gather.waiting() {
            let (before, behind) = self.gather.take(at, true).unwrap_or_default();
            before.map_or(Ok(()), |before| self.give(&before))?;
            self.held.extend(behind);
        }
        let committed = self.sink.commit(Some(&value), false);
        committed.inspect_err(|_| self.broken = true)?;
        self.say(&value)?;
        self.last = Some(value);
        (self.rows, self.bytes) = (0, 0);
        for (rows, bytes) in self.held.iter().map(Step::size) {
            self.rows += rows;
            self.bytes += bytes;
        }
        self.since = (!self.held.is_empty()).then(Instant::now);
        Ok(())
    }

    /// Records behind the last STATE are committed too: nothing more comes, and the tap sends them again if it must.
    fn end(&mut self) -> Result<()> {
        let unsaid = match self.pace.at_end {
            true => self.last.take(),
            false => self.pending.take(),
        };
        self.release()?;
        for at in self.gather.waiting() {
            self.hand_over(at)?;
        }
        let value = unsaid.as_ref().or(self.last.as_ref());
        self.sink.commit(value.map(Vec::as_slice), true)?;
        unsaid.map_or(Ok(()), |value| self.say(&value))
    }
}
