//! The flight recorder: what went over the pipes, compressed by a thread of its own, off the way of the data.
//!
//! The loop hands bytes over under a lock and goes on; the thread compresses a block at a time and appends it to the
//! tape as a zstd frame of its own, at the latest half a second after its bytes came: a tape of a run that was killed
//! can be read up to there. A thread that cannot keep up makes the loop wait (I10: a few blocks are held, no more). A tape that cannot be
//! written any more ends, and the run goes on: [`Recorder::trouble`] says why.

use dativo_bus_engine::event::{encode, Event};
use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::ledger::Answer;
use dativo_bus_engine::plan::{Plan, Role};
use dativo_bus_engine::relay::Carrier;
use dativo_bus_engine::tape::{self, Line};
use dativo_bus_engine::verdict::Failure;
use dativo_bus_engine::wiring;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Bytes of a zstd frame, before compression.
const BLOCK: usize = 1 << 20;
/// More waiting bytes than this, and the loop waits.
const MOST: usize = 6 << 20;
/// How long bytes wait for a block to fill.
const LATEST: Duration = Duration::from_millis(500);
/// How hard zstd tries: less would save its time and cost as much again in writing what it leaves.
const LEVEL: i32 = -3;

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// The thread works on a block.
    busy: bool,
    /// Nothing waits for more.
    hurry: bool,
    /// Nothing more comes.
    closed: bool,
    /// It ended before the run did.
    trouble: Option<String>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    moved: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        self.moved.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The recording of one run.
pub struct Recorder {
    shared: Arc<Shared>,
    started: Instant,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Begins one if the plan wants it. Call it when signals are blocked: the thread must not take any.
    pub fn begin(plan: &Plan) -> Result<Option<Recorder>, Failure> {
        let Some(wanted) = &plan.tape else { return Ok(None) };
        let failed = |e: io::Error| {
            let code = if Errno::from_io_error(&e) == Some(Errno::NOSPC) {
                "env.disk_full"
            } else {
                "env.permission"
            };
            Failure::run(
                code,
                format!("{}: the tape cannot be written: {e}", wanted.path.display()),
            )
        };
        let file = open(&wanted.path).map_err(failed)?;
        let shared = Arc::new(Shared::default());
        tape::header(&header(plan), &mut shared.lock().bytes);
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("tape".into())
            .spawn(move || write_all(&theirs, file))
            .map_err(failed)?;
        Ok(Some(Recorder {
            shared,
            started: Instant::now(),
            thread: Some(thread),
        }))
    }

    /// A wire of one hop.
    pub fn hop(&self, number: usize) -> Wire {
        self.wire(format!("in.{number}"), format!("out.{number}"))
    }

    /// The wire of one child's log.
    pub fn child(&self, name: &str) -> Wire {
        self.wire(format!("stderr.{name}"), String::new())
    }

    fn wire(&self, first: String, second: String) -> Wire {
        Wire {
            shared: Arc::clone(&self.shared),
            started: self.started,
            first: Line::new(first),
            second,
        }
    }

    /// A line of a target's stdout, without secrets where it is log, and the bookmark that it moves.
    pub fn answer(&self, name: &str, line: &[u8], answer: &Answer, journal: &Journal) {
        let t = micros(self.started);
        let text = match answer {
            Answer::Bookmark { .. } | Answer::Unbalanced(..) | Answer::Repeat => line.to_vec(),
            Answer::Log | Answer::Ignored(_) => journal.shown(line, false).into_bytes(),
        };
        put(&self.shared, |out| {
            tape::part(t, &format!("answer.{name}"), &ended(&text), out)
        });
        if let Answer::Bookmark {
            value, records, seq, ..
        } = answer
        {
            let (records, of, seq) = (*records, *records, *seq);
            let event = Event::Bookmark {
                records,
                of,
                seq,
                streams: &BTreeMap::new(),
            };
            self.event(&encode(&event, SystemTime::now(), Some(("value", value))));
        }
    }

    /// An event of the run, as it is told.
    pub fn event(&self, line: &[u8]) {
        let t = micros(self.started);
        put(&self.shared, |out| tape::part(t, "event", line, out));
    }

    /// Waits until all that was recorded is written; why the recording ended early, if it did.
    pub fn trouble(&self) -> Option<String> {
        let mut waiting = self.shared.lock();
        while waiting.trouble.is_none() && (waiting.busy || !waiting.bytes.is_empty()) {
            waiting.hurry = true;
            self.shared.moved.notify_all();
            waiting = self.shared.wait(waiting);
        }
        waiting.trouble.clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        {
            let mut waiting = self.shared.lock();
            (waiting.closed, waiting.hurry) = (true, true);
        }
        self.shared.moved.notify_all();
        if let Some(thread) = self.thread.take() {
            // It does not panic: a tape that cannot be written is its trouble.
            let _ = thread.join();
        }
    }
}

/// The channels of a hop (what came, what went on), or the one of a child's log.
pub struct Wire {
    shared: Arc<Shared>,
    started: Instant,
    first: Line,
    second: String,
}

impl Wire {
    /// A hop read these bytes from its writer.
    pub fn came(&mut self, bytes: &[u8]) {
        let (t, line) = (micros(self.started), &mut self.first);
        put(&self.shared, |out| line.take(t, bytes, out));
    }

    /// A hop's writer has ended: what is held back is all there is.
    pub fn ended(&mut self) {
        let (t, line) = (micros(self.started), &mut self.first);
        put(&self.shared, |out| {
            line.flush(t, out);
            tape::end(t, line.channel(), out);
        });
    }

    /// So many of the carrier's pending bytes are about to be counted as written.
    pub fn went(&mut self, carrier: &dyn Carrier, count: usize) {
        let t = micros(self.started);
        put(&self.shared, |out| match carrier.pending_from() {
            Some(from) => tape::same(t, &self.second, from, from + count as u64, out),
            None => tape::part(t, &self.second, &carrier.pending()[..count], out),
        });
    }

    /// A line of a child's stderr, without secrets.
    pub fn said(&mut self, line: &str) {
        let t = micros(self.started);
        put(&self.shared, |out| {
            tape::part(t, self.first.channel(), &ended(line.as_bytes()), out)
        });
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wire({}, {})", self.first.channel(), self.second)
    }
}

fn ended(line: &[u8]) -> Vec<u8> {
    [line, b"\n"].concat()
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Appends what `write` writes, unless the tape has ended.
fn put(shared: &Shared, write: impl FnOnce(&mut Vec<u8>)) {
    let mut waiting = shared.lock();
    while waiting.bytes.len() > MOST && waiting.trouble.is_none() {
        waiting = shared.wait(waiting);
    }
    if waiting.trouble.is_some() {
        return;
    }
    let before = waiting.bytes.len();
    write(&mut waiting.bytes);
    if before < BLOCK && waiting.bytes.len() >= BLOCK {
        shared.moved.notify_all();
    }
}

/// The thread: takes blocks until nothing more comes.
fn write_all(shared: &Shared, mut file: File) {
    let (mut block, mut packed) = (Vec::with_capacity(BLOCK), Vec::new());
    loop {
        {
            let mut waiting = shared.lock();
            while waiting.bytes.len() < BLOCK && !waiting.hurry {
                let waited = shared.moved.wait_timeout(waiting, LATEST);
                let (guard, late) = waited.unwrap_or_else(PoisonError::into_inner);
                waiting = guard;
                if late.timed_out() && !waiting.bytes.is_empty() {
                    break;
                }
            }
            waiting.hurry = waiting.closed;
            if waiting.bytes.is_empty() && waiting.closed {
                return;
            }
            block.clear();
            std::mem::swap(&mut block, &mut waiting.bytes);
            waiting.busy = true;
        }
        let written = append(&mut file, &block, &mut packed);
        let mut waiting = shared.lock();
        waiting.busy = false;
        waiting.trouble = written.err().map(|e| e.to_string());
        shared.moved.notify_all();
        if waiting.trouble.is_some() {
            waiting.bytes = Vec::new();
            return;
        }
    }
}

/// Appends a block as a frame of its own. When that fails the file ends with the frame before.
fn append(file: &mut File, block: &[u8], packed: &mut Vec<u8>) -> io::Result<()> {
    for block in block.chunks(BLOCK) {
        packed.resize(zstd::zstd_safe::compress_bound(block.len()), 0);
        let size = zstd::bulk::compress_to_buffer(block, packed, LEVEL)?;
        let whole = file.metadata()?.len();
        if let Err(error) = file.write_all(&packed[..size]) {
            // Half a frame is worse than none; a reader can tell it, so a file that cannot be cut is no other trouble.
            let _ = file.set_len(whole);
            return Err(error);
        }
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

fn header(plan: &Plan) -> tape::Header {
    let name = |end| wiring::name(plan, end).to_string();
    tape::Header {
        tape: tape::VERSION,
        run: plan.run.clone(),
        job: plan.job.clone(),
        at: humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
        bus: env!("CARGO_PKG_VERSION").into(),
        hops: wiring::hops(plan)
            .iter()
            .map(|hop| (name(hop.from), name(hop.to)))
            .collect(),
        from_tap: plan.children.first().is_some_and(|child| child.role == Role::Tap),
        to_target: plan.children.last().is_some_and(|child| child.role == Role::Target),
    }
}
