//! One hop of the stream: bytes in, judged line by line, runs of good lines out as they came (I3).
//!
//! The framer's buffer is the only one: lines that passed wait in it as spans until the receiver has taken them, and
//! no more is read while a chunk of them waits (backpressure). So a hop holds at most one line and one chunk (I10).

use crate::batch::{self, Gate};
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::route::{fault, Routed, Router, SchemaSeen};
use crate::verdict::{data_failure, Failure, Place};
use singer_protocol::envelope;
use singer_protocol::error::{Code, Fault};
use singer_protocol::framing::{Framer, Line};
use singer_protocol::line::Junk;
use singer_protocol::state::fingerprint;
use std::collections::VecDeque;
use std::ops::Range;

/// More waiting bytes than this, and nothing is read.
const ENOUGH: u64 = 128 << 10;
/// More waiting spans than this (junk lies between them), and no further line is judged.
const MOST_SPANS: usize = 1024;

/// What moves over a hop: a Singer stream ([`Relay`]) or a probe's raw output ([`crate::capture::Capture`]).
pub trait Carrier {
    /// Whether it would take more input now.
    fn hungry(&self) -> bool;
    /// Where input goes; follow with [`Carrier::filled`] and [`Carrier::work`].
    fn space(&mut self) -> &mut [u8];
    /// So many bytes were put into [`Carrier::space`].
    fn filled(&mut self, count: usize);
    /// Judges what is there. After a failure nothing more is judged or read.
    fn work(&mut self, journal: &mut Journal) -> Option<Failure>;
    /// Whether [`Carrier::work`] has judged every complete line that came.
    fn idle(&self) -> bool;
    /// At the writer's EOF, when idle. When its writer `died`, a faulty last line is part of that, not an error of its own.
    fn finish(&mut self, died: bool, journal: &mut Journal) -> Option<Failure>;
    /// Judges nothing and reads nothing any more; what was accepted can still be written.
    fn cut(&mut self);
    /// Forgets what waits: there is nobody to write it to.
    fn discard(&mut self);
    /// The next bytes to write.
    fn pending(&self) -> &[u8];
    /// Where in the writer's bytes [`Carrier::pending`] stands, if it is those bytes as they came.
    fn pending_from(&self) -> Option<u64> {
        None
    }
    /// So many of the [`Carrier::pending`] bytes were written.
    fn wrote(&mut self, count: usize);
    /// A number that grows with every complete line that came, or with every byte where there are no lines.
    fn progress(&self) -> u64;
    /// Bytes that came in.
    fn bytes_in(&self) -> u64;
    /// Bytes that were written to the receiver.
    fn bytes_out(&self) -> u64;
    /// The Singer stream, if it is one.
    fn singer(&mut self) -> Option<&mut Relay>;
}

/// One hop of a Singer stream.
#[derive(Debug)]
pub struct Relay {
    writer: String,
    framer: Framer,
    /// Its counters.
    pub router: Router,
    /// The STATEs that went over it.
    pub ledger: Ledger,
    /// Whether it ends at the target's edge: only that hop tells of schemas.
    edge: bool,
    ready: VecDeque<Range<u64>>,
    gate: Option<Box<dyn Gate>>,
    /// What is said beside a fault's own reason.
    detail: Option<String>,
    owed_newline: bool,
    accepted: u64,
    written: u64,
    /// Everything before this offset was searched for newlines.
    searched: u64,
    stopped: bool,
}

impl Relay {
    /// The hop that `writer` writes into.
    pub fn new(plan: &Plan, writer: &str, edge: bool) -> Relay {
        Relay {
            writer: writer.to_string(),
            framer: Framer::new(plan.limits.max_line),
            router: Router::new(&plan.policy),
            ledger: Ledger::default(),
            edge,
            ready: VecDeque::new(),
            gate: None,
            detail: None,
            owed_newline: false,
            accepted: 0,
            written: 0,
            searched: 0,
            stopped: false,
        }
    }

    /// The same, where BATCH messages may only name files that this lets pass.
    pub fn with_gate(self, gate: Option<Box<dyn Gate>>) -> Relay {
        Relay { gate, ..self }
    }

    /// Bytes accepted and not written.
    pub fn waiting(&self) -> u64 {
        self.ready.iter().map(|s| s.end - s.start).sum::<u64>() + u64::from(self.owed_newline)
    }

    /// Up to where the unjudged lines are UTF-8, found in one go over all of them.
    fn clean_to(&mut self) -> u64 {
        let (start, end) = (self.framer.position(), self.framer.bytes_read());
        // A long line comes in many reads: only what is new is searched.
        let fresh = self.searched.max(start);
        self.searched = end;
        let Some(at) = memchr::memrchr(b'\n', self.framer.slice(fresh..end)) else {
            return 0;
        };
        let clean = fresh + at as u64;
        match simdutf8::basic::from_utf8(self.framer.slice(start..clean)) {
            Ok(_) => clean,
            Err(_) => 0,
        }
    }

    fn judge(&mut self, line: &Line, utf8: bool, last: bool) -> Result<Routed, Fault> {
        let whole = line.whole();
        let size = line.end - line.start + 1;
        let bytes = self.framer.slice(line.span());
        match last {
            true => self.router.route_last(bytes, size),
            false => self.router.route(bytes, (whole.end - whole.start).max(1), utf8),
        }
    }

    fn take(&mut self, line: &Line, routed: Routed, journal: &mut Journal) -> Result<(), Fault> {
        if line.bom && self.router.bom()? {
            self.tell_junk(line, Junk::Bom, journal);
        }
        match routed {
            Routed::Junk(kind, told) => {
                if told {
                    self.tell_junk(line, kind, journal);
                }
                if self.ready.is_empty() {
                    self.framer.release(self.framer.position());
                }
                return Ok(());
            }
            Routed::State(span) => {
                let bytes = self.framer.slice(line.span());
                let print = fingerprint(&bytes[span.clone()])?;
                let end = self.accepted + (line.end - line.start);
                self.ledger
                    .forward(&bytes[span], print, end, self.router.records, self.router.messages);
            }
            Routed::Schema(seen) if self.edge && !seen.repeated => self.tell_schema(line, &seen, journal),
            Routed::Batch => {
                let bytes = self.framer.slice(line.span());
                self.detail = self.gate.as_ref().and_then(|gate| batch::refused(bytes, gate.as_ref()));
                if self.detail.is_some() {
                    return Err(fault(
                        Code::BatchOutside,
                        "a BATCH names a file that may not be handed over",
                    ));
                }
            }
            Routed::Schema(_) | Routed::Record | Routed::Other => {}
        }
        let whole = line.whole();
        self.accepted += line.end - line.start + 1;
        self.owed_newline = !line.terminated;
        match self.ready.back_mut() {
            Some(run) if run.end == whole.start => run.end = whole.end,
            _ => self.ready.push_back(whole),
        }
        Ok(())
    }

    fn tell_junk(&self, line: &Line, kind: Junk, journal: &mut Journal) {
        let bytes = self.framer.slice(line.span());
        journal.junk(&self.writer, kind.name(), line.number, line.start, bytes);
    }

    fn tell_schema(&self, line: &Line, seen: &SchemaSeen, journal: &mut Journal) {
        let bytes = self.framer.slice(line.span());
        let keys = seen.keys.clone().and_then(|span| {
            let many = serde_json::from_slice::<Vec<String>>(&bytes[span.clone()]).ok();
            many.or_else(|| serde_json::from_slice::<String>(&bytes[span]).ok().map(|one| vec![one]))
        });
        journal.schema(
            self.router.stream_name(seen.stream),
            &bytes[seen.schema.clone()],
            keys,
            seen.changed,
        );
    }

    fn stop(&mut self, fault: &Fault, line: &Line) -> Failure {
        self.stopped = true;
        let stream = stream_of(self.framer.slice(line.span()));
        let place = Place {
            child: &self.writer,
            stream,
            line: line.number,
            offset: line.start,
        };
        let mut failure = data_failure(fault, &place);
        if let Some(detail) = self.detail.take() {
            failure.message = format!("{}: {detail}", failure.message).into();
        }
        failure
    }
}

impl Carrier for Relay {
    fn hungry(&self) -> bool {
        !self.stopped && self.waiting() < ENOUGH && self.ready.len() < MOST_SPANS
    }

    fn space(&mut self) -> &mut [u8] {
        self.framer.space()
    }

    fn filled(&mut self, count: usize) {
        self.framer.filled(count);
    }

    fn work(&mut self, journal: &mut Journal) -> Option<Failure> {
        let clean = self.clean_to();
        while !self.stopped && self.ready.len() < MOST_SPANS {
            let line = match self.framer.advance() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(long) => {
                    self.stopped = true;
                    let place = Place {
                        child: &self.writer,
                        stream: stream_of(&long.head),
                        line: long.number,
                        offset: long.start,
                    };
                    return Some(data_failure(&long.fault(), &place));
                }
            };
            let routed = self.judge(&line, line.end <= clean, false);
            if let Err(fault) = routed.and_then(|routed| self.take(&line, routed, journal)) {
                return Some(self.stop(&fault, &line));
            }
        }
        None
    }

    fn idle(&self) -> bool {
        self.stopped || self.ready.len() < MOST_SPANS
    }

    fn finish(&mut self, died: bool, journal: &mut Journal) -> Option<Failure> {
        if self.stopped {
            return None;
        }
        let line = match self.framer.last() {
            Ok(Some(line)) => line,
            _ => {
                self.stopped = true;
                return None;
            }
        };
        if line.bom && line.start == line.end {
            // A byte order mark and nothing else: that is no blank line as well.
            self.stopped = true;
            let told = self.router.bom();
            return told.err().filter(|_| !died).map(|fault| self.stop(&fault, &line));
        }
        let routed = self.judge(&line, false, true);
        let taken = routed.and_then(|routed| self.take(&line, routed, journal));
        self.stopped = true;
        match taken {
            Err(fault) if !died => Some(self.stop(&fault, &line)),
            _ => None,
        }
    }

    fn cut(&mut self) {
        self.stopped = true;
    }

    fn discard(&mut self) {
        self.stopped = true;
        self.ready.clear();
        self.owed_newline = false;
    }

    fn pending(&self) -> &[u8] {
        match self.ready.front() {
            Some(span) => self.framer.slice(span.clone()),
            None if self.owed_newline => b"\n",
            None => b"",
        }
    }

    fn pending_from(&self) -> Option<u64> {
        self.ready.front().map(|span| span.start)
    }

    fn wrote(&mut self, count: usize) {
        self.written += count as u64;
        let Some(span) = self.ready.front_mut() else {
            self.owed_newline &= count == 0;
            return;
        };
        span.start += count as u64;
        let (done, upto) = (span.is_empty(), span.start);
        if done {
            self.ready.pop_front();
        }
        let upto = if self.ready.is_empty() {
            self.framer.position()
        } else {
            upto
        };
        self.framer.release(upto);
    }

    fn progress(&self) -> u64 {
        self.framer.position()
    }

    fn bytes_in(&self) -> u64 {
        self.framer.bytes_read()
    }

    fn bytes_out(&self) -> u64 {
        self.written
    }

    fn singer(&mut self) -> Option<&mut Relay> {
        Some(self)
    }
}

/// The stream that a faulty line names, if that much of it can be read.
fn stream_of(line: &[u8]) -> Option<String> {
    let found = envelope::head(line).or_else(|_| envelope::scan(line)).ok()?;
    found.stream.map(|s| s.to_str_lossy().into_owned())
}
