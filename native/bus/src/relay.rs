//! One hop of the stream: bytes in, judged line by line, runs of good lines out as they came (I3).
//!
//! The framer's buffer is the only one: lines that passed wait in it as spans until the receiver has taken them, and
//! no more is read while a chunk of them waits (backpressure). So a hop holds at most one line and one chunk (I10).

use crate::batch::{self, Gate};
use crate::check::breach::Breach;
use crate::check::changes::Passage;
use crate::check::held::Held;
use crate::check::rejects::{Book, Rejected, Rejects};
use crate::check::{names, Checks, Message};
use crate::event::Event;
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
/// Of a line that cannot be used, a stream's name that is longer is taken for none.
const LONGEST_NAME: usize = 1024;
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

    /// A line is not forwarded: its bytes need not be kept.
    fn skip(&mut self) {
        if self.ready.is_empty() {
            self.framer.release(self.framer.position());
        }
    }

    /// Forwards a line of our own making (without its newline).
    fn send(&mut self, mut line: Vec<u8>) {
        if std::mem::take(&mut self.owed_newline) {
            line.insert(0, b'\n');
            self.accepted -= 1;
        }
        line.push(b'\n');
        self.accepted += line.len() as u64;
        self.ready.push_back(Piece::Own(line, 0));
    }

    /// Takes a SCHEMA for the checks, and tells the one that the receiver gets.
    fn adopt(&mut self, line: &Line, seen: &SchemaSeen, journal: &mut Journal) -> Result<Passage, Fault> {
        let bytes = self.framer.slice(line.span());
        let name = self.router.stream_name(seen.stream).to_string();
        if !seen.repeated {
            self.rejects.borrow_mut().renew(&name);
        }
        let adopted = self.router.checks.schema(&Message {
            stream: seen.stream,
            name: &name,
            line: bytes,
            schema: &bytes[seen.schema.clone()],
            keys: seen.keys.clone().map(|span| &bytes[span]),
            repeated: seen.repeated,
        });
        let adopted = adopted.map_err(|why| {
            let message = format!("{}: SCHEMA of {name} is not what it was: {why}", self.writer);
            let message = journal.shown(message.as_bytes(), false);
            let failure = Failure::of("data.schema_changed", &self.writer, message).setting("policy.schema_change");
            self.failure = Some(Failure {
                stream: Some(name.as_str().into()),
                line: Some(line.number),
                offset: Some(line.start),
                ..failure
            });
            fault(Code::SchemaChanged, "the SCHEMA changed")
        })?;
        for (code, text) in &adopted.notices {
            let text = &journal.shown(text.as_bytes(), false);
            journal.tell(&Event::Notice { code, text });
        }
        if self.edge && !seen.repeated {
            match &adopted.passage {
                Passage::AsItCame => self.tell_schema(line, seen, journal),
                Passage::Instead(own) => tell_own(&name, own, seen.changed, journal),
                Passage::Nothing => {}
            }
        }
        Ok(adopted.passage)
    }

    /// Sets a record aside that breaks its SCHEMA.
    fn reject(&mut self, line: &Line, stream: usize, breach: &Breach, journal: &mut Journal) -> Result<(), Fault> {
        let reason = breach.reason(|text, cut| journal.shown(text, cut));
        let name = self.router.stream_name(stream);
        let bad = Rejected {
            child: &self.writer,
            stream: Some(name),
            rule: &breach.rule,
            path: &breach.pointer(),
            reason: &reason,
            row: Some(self.router.records_of(stream) + self.rejects.borrow().of_name(name) + 1),
            line: line.number,
            offset: line.start,
            bytes: self.framer.slice(line.span()),
            record: true,
            schema: self.router.checks.line(stream),
            received: self.received() + 1,
            code: Code::Schema.as_str(),
        };
        let done = self.rejects.borrow_mut().reject(&bad, journal);
        self.rejected(done)
    }

    /// Whether a line with this fault may be set aside; else it ends the run.
    fn may_set_aside(&self, fault: &Fault) -> bool {
        let of_the_line = matches!(
            fault.code,
            Code::InvalidJson | Code::InvalidUtf8 | Code::RecordBeforeSchema | Code::BadMessage
        );
        of_the_line && !self.rejects.borrow().fails()
    }

    /// Sets a line aside that cannot be used as a message.
    fn set_aside(&mut self, line: &Line, fault: &Fault, journal: &mut Journal) -> Result<(), Fault> {
        let bytes = self.framer.slice(line.span());
        let stream = stream_of(bytes).filter(|name| name.len() <= LONGEST_NAME);
        let code = fault.code.as_str();
        let bad = Rejected {
            child: &self.writer,
            stream: stream.as_deref(),
            rule: code.trim_start_matches("data."),
            path: "",
            reason: &fault.to_string(),
            row: None,
            line: line.number,
            offset: line.start,
            bytes,
            record: false,
            schema: None,
            received: self.received() + 1,
            code,
        };
        let done = self.rejects.borrow_mut().reject(&bad, journal);
        self.rejected(done)
    }

    fn rejected(&mut self, done: Result<(), Failure>) -> Result<(), Fault> {
        self.skip();
        done.map_err(|failure| {
            self.failure = Some(failure);
            fault(Code::Schema, "too much is wrong")
        })
    }

    /// Records that came: delivered or not.
    fn received(&self) -> u64 {
        self.router.records + self.rejects.borrow().total()
    }

    /// At the end of a stream: too many bad records fail the run; else what was held goes out, and the last STATE again.
    fn conclude(&mut self, journal: &mut Journal) -> Option<Failure> {
        if self.edge {
            let failure = self.rejects.borrow().judge(self.received());
            if failure.is_some() {
                return failure;
            }
        }
        let mut sent = false;
        for (stream, line) in self.held.release() {
            let name = self.router.stream_name(stream);
            let whole = self.rejects.borrow().of(name) == 0;
            if self.ended_well && whole {
                self.router.messages += 1;
                self.send(line);
                sent = true;
                continue;
            }
            let why = match whole {
                true => "its tap did not end well",
                false => "rows of it were not delivered",
            };
            let text = format!("ACTIVATE_VERSION of {name} was not sent, so older rows stay: {why}");
            let (code, text) = ("data.activate_held", &journal.shown(text.as_bytes(), false));
            journal.tell(&Event::Notice { code, text });
        }
        let state = self.held.last_state().filter(|_| sent).map(<[u8]>::to_vec);
        if let Some((line, found)) = state.and_then(|line| Some((line.clone(), envelope::scan(&line).ok()?.value?))) {
            let print = fingerprint(&line[found.clone()]).ok()?;
            self.router.messages += 1;
            let value = line[found].to_vec();
            self.send(line);
            let (end, records, messages) = (self.accepted - 1, self.router.records, self.router.messages);
            self.ledger.forward(&value, print, end, records, messages);
        }
        None
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

    /// A line that cannot be used is set aside where the policy says so.
    fn or_aside(&mut self, taken: Result<(), Fault>, line: &Line, journal: &mut Journal) -> Result<(), Fault> {
        match taken {
            Err(fault) if self.failure.is_none() && self.may_set_aside(&fault) => self.set_aside(line, &fault, journal),
            taken => taken,
        }
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

/// Tells the SCHEMA that goes out in the place of another.
fn tell_own(name: &str, line: &[u8], changed: bool, journal: &mut Journal) {
    let Ok(found) = envelope::scan(line) else {
        return;
    };
    let keys = found.key_properties.and_then(|span| names(&line[span]));
    if let Some(schema) = found.schema {
        journal.schema(name, &line[schema], keys, changed);
    }
}

/// The stream that a faulty line names, if that much of it can be read.
fn stream_of(line: &[u8]) -> Option<String> {
    let found = envelope::head(line).or_else(|_| envelope::scan(line)).ok()?;
    found.stream.map(|s| s.to_str_lossy().into_owned())
}
