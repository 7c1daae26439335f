//! One hop of the stream: bytes in, judged line by line, runs of good lines out as they came (I3).
//!
//! What passed waits in the hop's [`Outlet`] until the receiver has taken it, and no more is read while a chunk of it waits
//! (backpressure). So a hop holds at most one line and one chunk beside its spill (I10).

use crate::airbyte::{outbound::Outbound, Airbyte};
use crate::batch::{self, Gate};
pub use crate::carrier::Carrier;
use crate::check::changes::Passage;
use crate::check::held::Held;
use crate::check::referee::Shared;
use crate::check::rejects::{Book, Rejects};
use crate::check::Checks;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::outlet::Outlet;
use crate::plan::Plan;
use crate::route::{fault, Routed, Router};
use crate::tally::Entry;
use crate::verdict::{data_failure, Failure, Place};
use singer_protocol::envelope;
use singer_protocol::error::{Code, Fault};
use singer_protocol::framing::{Framer, Line};
use singer_protocol::line::Junk;
use singer_protocol::state::fingerprint;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_128;

mod abroad;
mod aside;
pub mod columns;
mod expand;
mod suit;

pub use abroad::Heard;

/// How long judging goes on while somebody else is asked for each record.
const TURN: Duration = Duration::from_millis(250);

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
    max_line: usize,
    /// What passed and is not taken yet.
    pub outlet: Outlet,
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
    /// Everything before this offset was searched for newlines.
    searched: u64,
    stopped: bool,
    /// Judging takes long: others get their turn before it goes on.
    resting: bool,
    /// The receiver speaks Arrow.
    pub(crate) columns: Option<columns::Columns>,
    /// The receiver has its own ways.
    receiver: Option<suit::Receiver>,
    /// The receiver is an Airbyte destination.
    pub(crate) abroad: Option<Outbound>,
    /// A BATCH whose rows go on as records.
    expansion: Option<expand::Expansion>,
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
            max_line: plan.limits.max_line,
            outlet: Outlet::new(edge),
            rejects: Rejects::new(plan, None),
            held: Held::new(Checks::holds(plan, edge)),
            ended_well: false,
            failure: None,
            gate: None,
            detail: None,
            searched: 0,
            stopped: false,
            resting: false,
            columns: None,
            receiver: None,
            abroad: None,
            expansion: None,
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

    /// The same with somebody to ask where a SCHEMA cannot be used here.
    pub fn with_referee(mut self, referee: Option<Shared>) -> Relay {
        self.router.checks = self.router.checks.with_referee(referee);
        self
    }

    /// The writer, and whoever writes to it, has ended with success.
    pub fn ended_well(&mut self) {
        self.ended_well = true;
    }

    /// The same with another outlet.
    pub fn with_outlet(self, outlet: Outlet) -> Relay {
        Relay { outlet, ..self }
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
        let mut entry = Entry::Other;
        match routed {
            Routed::Junk(kind, told) => {
                if told {
                    self.tell_junk(line, kind, journal);
                }
                self.skip();
                return Ok(());
            }
            Routed::State(span) => {
                if self.state_abroad(line, &span)? {
                    return Ok(());
                }
                if self.hold_state(line)? {
                    self.held.state(self.framer.slice(line.span()));
                    self.skip();
                    return Ok(());
                }
                let bytes = self.framer.slice(line.span());
                let print = fingerprint(&bytes[span.clone()])?;
                let end = self.outlet.accepted() + (line.end - line.start);
                self.ledger
                    .forward(&bytes[span], print, end, self.router.records, self.router.messages);
                self.held.state(bytes);
                entry = Entry::State;
            }
            Routed::Schema(seen) => {
                let passage = self.adopt(line, &seen, journal)?;
                match self.suit(line, &seen, passage, journal)? {
                    Passage::AsItCame => {
                        if self.gathers() && !seen.repeated {
                            let bytes = self.framer.slice(line.span()).to_vec();
                            self.declare_columns(seen.stream, &bytes)?;
                        }
                        let bytes = self.framer.slice(line.span());
                        self.outlet.declare(seen.stream, seen.repeated, bytes);
                    }
                    Passage::Instead(own) => {
                        if self.gathers() && !seen.repeated {
                            self.declare_columns(seen.stream, &own)?;
                        }
                        self.outlet.declare(seen.stream, seen.repeated, &own);
                        self.outlet.send(own, Entry::Other);
                        return Ok(());
                    }
                    Passage::Nothing => {
                        self.skip();
                        return Ok(());
                    }
                }
            }
            Routed::Rewritten(own) => {
                if self.gathers() && self.gather_own(&own)? {
                    self.skip();
                    return Ok(());
                }
                let own = self.dress(line, Some(&own), journal)?.unwrap_or(own);
                self.enter(xxh3_128(&own));
                self.outlet.send(own, Entry::Record);
                return Ok(());
            }
            Routed::Unjudged(stream, failure) => return self.unjudged(line, stream, *failure),
            Routed::Rejected(stream, breach) => return self.reject(line, stream, &breach, journal),
            Routed::Activate(_) if self.forgets_versions() => return Ok(()),
            Routed::Activate(stream) => {
                let rows = self.router.records_of(stream) + self.rejects.borrow().of(self.router.stream_name(stream));
                let own = self.under_its_name(stream, self.framer.slice(line.span()))?;
                let bytes = own.as_deref().unwrap_or_else(|| self.framer.slice(line.span()));
                if self.held.take(stream, rows, bytes) {
                    self.router.messages -= 1;
                    self.skip();
                    return Ok(());
                }
                self.emit()?;
                if let Some(own) = own {
                    self.outlet.send(own, Entry::Other);
                    return Ok(());
                }
            }
            Routed::Batch(stream) => {
                let bytes = self.framer.slice(line.span());
                self.detail = self.gate.as_ref().and_then(|gate| batch::refused(bytes, gate.as_ref()));
                if self.detail.is_some() {
                    return Err(fault(
                        Code::BatchOutside,
                        "a BATCH names a file that may not be handed over",
                    ));
                }
                if self.router.expands() {
                    return self.begin_expansion(stream, line, journal);
                }
                let own = bytes.to_vec();
                let Some((files, size, sum)) = self.batch(stream, line, journal)? else {
                    self.skip();
                    return Ok(());
                };
                match self.under_its_name(stream, &own)? {
                    Some(renamed) => self.outlet.send(renamed, Entry::Batch(sum)),
                    None => self.outlet.accept(&mut self.framer, line, Entry::Batch(sum)),
                }
                if let Some(columns) = &mut self.columns {
                    let end = self.outlet.accepted();
                    columns.spooled.lay(end, &own, files, size);
                }
                return Ok(());
            }
            Routed::Record => {
                if self.gathers() && self.gather(line)? {
                    return Ok(());
                }
                if let Some(own) = self.dress(line, None, journal)? {
                    self.enter(xxh3_128(&own));
                    self.outlet.send(own, Entry::Record);
                    return Ok(());
                }
                if self.edge {
                    self.enter(xxh3_128(self.framer.slice(line.span())));
                }
                entry = Entry::Record;
            }
        }
        self.outlet.accept(&mut self.framer, line, entry);
        Ok(())
    }

    /// Enters a record into the books of the target's edge.
    fn enter(&mut self, hash: u128) {
        if self.edge {
            self.ledger.accept(self.router.last_stream(), hash);
        }
    }

    fn tell_junk(&self, line: &Line, kind: Junk, journal: &mut Journal) {
        let bytes = self.framer.slice(line.span());
        journal.junk(&self.writer, kind.name(), line.number, line.start, bytes);
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

    /// What is gathered leaves; a failure that comes of it, unless there is one already.
    fn leave(&mut self) -> Option<Failure> {
        let fault = self.emit().err()?;
        self.stopped = true;
        let failure = self.failure.take();
        failure.or_else(|| Some(Failure::of("data.bad_message", &self.writer, fault.to_string())))
    }

    fn stop(&mut self, fault: &Fault, line: &Line) -> Failure {
        self.stopped = true;
        let failure = self.failure.take();
        // All that came before it is still delivered.
        let later = self.leave();
        if let Some(failure) = failure.or(later) {
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
        !self.stopped && !self.resting && self.expansion.is_none() && self.outlet.hungry() && !self.spool_full()
    }

    fn space(&mut self) -> &mut [u8] {
        self.framer.space()
    }

    fn filled(&mut self, count: usize) {
        self.framer.filled(count);
        self.touch();
    }

    fn work(&mut self, journal: &mut Journal) -> Option<Failure> {
        let clean = self.clean_to();
        let since = Instant::now();
        self.resting = false;
        while !self.stopped && !self.outlet.scattered() && !self.spool_full() {
            if self.expansion.is_some() {
                if let Some(failure) = self.go_on_expanding(journal) {
                    return Some(failure);
                }
                if self.expansion.is_some() {
                    break;
                }
            }
            let line = match self.framer.advance() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(long) => {
                    self.stopped = true;
                    // All that came before it is still delivered.
                    if let Some(failure) = self.leave() {
                        return Some(failure);
                    }
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
            if self.router.checks.slow() && since.elapsed() > TURN {
                self.resting = true;
                break;
            }
        }
        let failure = self.outlet.trouble();
        self.stopped |= failure.is_some();
        failure
    }

    fn idle(&self) -> bool {
        self.stopped || !(self.resting || self.expansion.is_some() || self.outlet.scattered() || self.spool_full())
    }

    fn resting(&self) -> bool {
        self.resting && !self.stopped && !self.outlet.scattered()
    }

    fn finish(&mut self, died: bool, journal: &mut Journal) -> Option<Failure> {
        let failure = match self.stopped {
            true => return None,
            false => self.finish_line(died, journal),
        };
        let failure = failure.or_else(|| self.leave());
        if died {
            return None;
        }
        failure.or_else(|| self.conclude(journal))
    }

    fn cut(&mut self) {
        // What came is still delivered; the run has failed already.
        let _ = self.leave();
        self.stopped = true;
    }

    fn due(&self) -> Option<Instant> {
        self.quiet_at().filter(|_| !self.stopped)
    }

    fn quiet(&mut self, now: Instant) -> Option<Failure> {
        let fault = self.be_quiet(now).err()?;
        self.stopped = true;
        let failure = self.failure.take();
        failure.or_else(|| Some(Failure::of("data.bad_message", &self.writer, fault.to_string())))
    }

    fn discard(&mut self) {
        self.stopped = true;
        self.outlet.discard();
    }

    fn pending(&self) -> &[u8] {
        self.outlet.pending(&self.framer)
    }

    fn pending_from(&self) -> Option<u64> {
        self.outlet.pending_from()
    }

    fn wrote(&mut self, count: usize) {
        self.outlet.wrote(count, &mut self.framer, &mut self.ledger);
    }

    fn progress(&self) -> u64 {
        self.framer.position()
    }

    fn bytes_in(&self) -> u64 {
        self.framer.bytes_read() + self.file_bytes().0
    }

    fn bytes_out(&self) -> u64 {
        self.outlet.written() + self.file_bytes().1
    }

    fn new_writer(&mut self, _airbyte: Option<&Airbyte>) {
        self.framer = Framer::new(self.max_line);
        (self.searched, self.stopped) = (0, false);
        self.clear_spool();
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
