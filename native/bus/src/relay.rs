//! One hop of the stream: bytes in, judged line by line, runs of good lines out as they came (I3).
//!
//! The framer's buffer is the only one: lines that passed wait in it as spans until the receiver has taken them, and
//! no more is read while a chunk of them waits (backpressure). So a hop holds at most one line and one chunk (I10).

use crate::batch::{self, Gate};
use crate::check::changes::Passage;
use crate::check::held::Held;
use crate::check::rejects::{Book, Rejects};
use crate::check::{names, Checks};
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

mod aside;

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

/// What waits to be written.
#[derive(Debug)]
enum Piece {
    /// Bytes of the framer's buffer, as they came.
    Span(Range<u64>),
    /// A line of our own making, and how much of it is written.
    Own(Vec<u8>, usize),
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
    ready: VecDeque<Piece>,
    /// What is not delivered, of all hops.
    rejects: Book,
    /// ACTIVATE_VERSIONs that wait for the end.
    held: Held,
    /// Whether the writer is known to have ended well.
    ended_well: bool,
    /// A failure that says more than a fault can.
    failure: Option<Failure>,
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
            router: Router::new(&plan.policy).with_checks(Checks::of(plan, edge)),
            ledger: Ledger::default(),
            edge,
            ready: VecDeque::new(),
            rejects: Rejects::new(plan, None),
            held: Held::new(Checks::holds(plan, edge)),
            ended_well: false,
            failure: None,
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

    /// The same with a book of rejects that hops share.
    pub fn with_rejects(self, rejects: Book) -> Relay {
        Relay { rejects, ..self }
    }

    /// The writer, and whoever writes to it, has ended with success.
    pub fn ended_well(&mut self) {
        self.ended_well = true;
    }

    /// Bytes accepted and not written.
    pub fn waiting(&self) -> u64 {
        let size = |piece: &Piece| match piece {
            Piece::Span(span) => span.end - span.start,
            Piece::Own(line, written) => (line.len() - written) as u64,
        };
        self.ready.iter().map(size).sum::<u64>() + u64::from(self.owed_newline)
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
                self.skip();
                return Ok(());
            }
            Routed::State(span) => {
                let bytes = self.framer.slice(line.span());
                let print = fingerprint(&bytes[span.clone()])?;
                let end = self.accepted + (line.end - line.start);
                self.ledger
                    .forward(&bytes[span], print, end, self.router.records, self.router.messages);
                self.held.state(bytes);
            }
            Routed::Schema(seen) => match self.adopt(line, &seen, journal)? {
                Passage::AsItCame => {}
                Passage::Instead(own) => {
                    self.send(own);
                    return Ok(());
                }
                Passage::Nothing => {
                    self.skip();
                    return Ok(());
                }
            },
            Routed::Rewritten(own) => {
                self.send(own);
                return Ok(());
            }
            Routed::Rejected(stream, breach) => return self.reject(line, stream, &breach, journal),
            Routed::Activate(stream) => {
                let rows = self.router.records_of(stream) + self.rejects.borrow().of(self.router.stream_name(stream));
                if self.held.take(stream, rows, self.framer.slice(line.span())) {
                    self.router.messages -= 1;
                    self.skip();
                    return Ok(());
                }
            }
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
            Routed::Record => {}
        }
        let whole = line.whole();
        self.accepted += line.end - line.start + 1;
        self.owed_newline = !line.terminated;
        match self.ready.back_mut() {
            Some(Piece::Span(run)) if run.end == whole.start => run.end = whole.end,
            _ => self.ready.push_back(Piece::Span(whole)),
        }
        Ok(())
    }

    fn tell_junk(&self, line: &Line, kind: Junk, journal: &mut Journal) {
        let bytes = self.framer.slice(line.span());
        journal.junk(&self.writer, kind.name(), line.number, line.start, bytes);
    }

    fn tell_schema(&self, line: &Line, seen: &SchemaSeen, journal: &mut Journal) {
        let bytes = self.framer.slice(line.span());
        let keys = seen.keys.clone().and_then(|span| names(&bytes[span]));
        journal.schema(
            self.router.stream_name(seen.stream),
            &bytes[seen.schema.clone()],
            keys,
            seen.changed,
        );
    }

    /// The last line, if it has no newline.
    fn finish_line(&mut self, died: bool, journal: &mut Journal) -> Option<Failure> {
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
        let taken = match died {
            true => taken,
            false => self.or_aside(taken, &line, journal),
        };
        match taken {
            Err(fault) if !died => Some(self.stop(&fault, &line)),
            _ => None,
        }
    }

    fn stop(&mut self, fault: &Fault, line: &Line) -> Failure {
        self.stopped = true;
        if let Some(failure) = self.failure.take() {
            return failure;
        }
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
            let taken = routed.and_then(|routed| self.take(&line, routed, journal));
            if let Err(fault) = self.or_aside(taken, &line, journal) {
                return Some(self.stop(&fault, &line));
            }
        }
        None
    }

    fn idle(&self) -> bool {
        self.stopped || self.ready.len() < MOST_SPANS
    }

    fn finish(&mut self, died: bool, journal: &mut Journal) -> Option<Failure> {
        let failure = match self.stopped {
            true => return None,
            false => self.finish_line(died, journal),
        };
        if died {
            return None;
        }
        failure.or_else(|| self.conclude(journal))
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
            Some(Piece::Span(span)) => self.framer.slice(span.clone()),
            Some(Piece::Own(line, written)) => &line[*written..],
            None if self.owed_newline => b"\n",
            None => b"",
        }
    }

    fn wrote(&mut self, count: usize) {
        self.written += count as u64;
        let done = match self.ready.front_mut() {
            None => {
                self.owed_newline &= count == 0;
                return;
            }
            Some(Piece::Span(span)) => {
                span.start += count as u64;
                span.is_empty()
            }
            Some(Piece::Own(line, written)) => {
                *written += count;
                *written == line.len()
            }
        };
        if done {
            self.ready.pop_front();
        }
        let mut spans = self.ready.iter();
        let next = spans.find_map(|piece| match piece {
            Piece::Span(span) => Some(span.start),
            Piece::Own(..) => None,
        });
        self.framer.release(next.unwrap_or(self.framer.position()));
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
