//! One hop at run time: where its bytes come from, what judges them, where they go.

use crate::lull::Lull;
use crate::recorder::Wire;
use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::relay::Carrier;
use dativo_bus_engine::verdict::Failure;
use dativo_bus_engine::wiring::End;
use dativo_sandbox::pipes::{self, Moved, Stream};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// The writing side.
#[derive(Debug)]
pub enum Input {
    /// Bytes may come.
    Open(Stream),
    /// EOF came; the last line waits until it is known how its writer ended.
    Ended(Instant),
    /// All is in of a writer that may be started again.
    Lost,
    /// All has been judged, or nobody cares any more.
    Done,
}

/// The reading side.
#[derive(Debug)]
pub enum Output {
    /// Bytes go out.
    Open(Stream),
    /// No more bytes go out, but the receiver must not see an EOF: it was (or will be) asked to stop instead.
    Held(Stream),
    /// Closed in order. The witness tells what the receiver has left unread.
    Closed(Option<OwnedFd>),
    /// The receiver is gone and may be started again.
    Lost,
    /// The receiver went away before that.
    Broken,
}

/// One hop.
pub struct Hop {
    /// Who writes.
    pub from: End,
    /// Who reads.
    pub to: End,
    /// What judges, holds and counts.
    pub carrier: Box<dyn Carrier>,
    /// The writing side.
    pub input: Input,
    /// The reading side.
    pub output: Output,
    /// Whether a write may be tried without a poll before it.
    writable: bool,
    /// Records what goes over it.
    wire: Option<Wire>,
    /// How often its writer is read.
    lull: Lull,
}

/// What pushing bytes out came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// All that waited is out.
    All,
    /// The receiver takes no more now.
    Full,
    /// The receiver is gone.
    Gone,
}

impl Hop {
    /// A hop between two open ends.
    pub fn new(from: End, to: End, carrier: Box<dyn Carrier>, input: Stream, output: Stream) -> Hop {
        let writable = !output.needs_poll();
        Hop {
            from,
            to,
            carrier,
            input: Input::Open(input),
            output: Output::Open(output),
            writable,
            wire: None,
            lull: Lull::default(),
        }
    }

    /// The same, recorded.
    pub fn recorded(self, wire: Option<Wire>) -> Hop {
        Hop { wire, ..self }
    }

    /// Reads once. `false` at EOF.
    pub fn pull(&mut self) -> io::Result<bool> {
        let Input::Open(stream) = &self.input else {
            return Ok(true);
        };
        let translates = self.carrier.translates();
        let space = self.carrier.space();
        if space.is_empty() {
            return Ok(true);
        }
        match stream.read(space)? {
            Moved::Bytes(count) => {
                if let Some(wire) = self.wire.as_mut().filter(|_| !translates) {
                    wire.came(&space[..count]);
                }
                self.carrier.filled(count);
                self.lull.came(count, Instant::now());
            }
            Moved::Later => {}
            Moved::Closed => {
                self.carrier.ended();
                if !translates {
                    self.wire.iter_mut().for_each(Wire::ended);
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Judges what came in.
    pub fn work(&mut self, journal: &mut Journal) -> Option<Failure> {
        let failure = self.carrier.work(journal);
        self.record();
        failure
    }

    /// At the writer's end, when all that it wrote is judged.
    pub fn finish(&mut self, died: bool, journal: &mut Journal) -> Option<Failure> {
        let failure = self.carrier.finish(died, journal);
        self.record();
        if self.carrier.translates() {
            self.wire.iter_mut().for_each(Wire::ended);
        }
        failure
    }

    /// A tape has the messages that were judged.
    fn record(&mut self) {
        if let Some(wire) = self.wire.as_mut().filter(|_| self.carrier.translates()) {
            let bytes = self.carrier.translated();
            if !bytes.is_empty() {
                wire.came(&bytes);
            }
        }
    }

    /// Until when its writer is left to write, if that is not over.
    pub fn unread_until(&self, now: Instant) -> Option<Instant> {
        match &self.input {
            Input::Open(_) if self.carrier.hungry() => self.lull.until(now),
            _ => None,
        }
    }

    /// Writes as much of what waits as the receiver takes.
    pub fn push(&mut self) -> io::Result<Pushed> {
        let (Output::Open(stream) | Output::Held(stream)) = &self.output else {
            return Ok(Pushed::All);
        };
        while !self.carrier.pending().is_empty() {
            if !self.writable {
                return Ok(Pushed::Full);
            }
            match stream.write(self.carrier.pending())? {
                Moved::Bytes(count) => {
                    if let Some(wire) = &mut self.wire {
                        wire.went(self.carrier.as_ref(), count);
                    }
                    self.carrier.wrote(count);
                }
                Moved::Later => self.writable = false,
                Moved::Closed => return Ok(Pushed::Gone),
            }
            self.writable &= !stream.needs_poll();
        }
        Ok(Pushed::All)
    }

    /// The receiver can take more.
    pub fn may_write(&mut self) {
        self.writable = true;
    }

    /// Whether a write waits for the receiver.
    pub fn blocked(&self) -> bool {
        !self.carrier.pending().is_empty()
    }

    /// Bytes written that the receiver has not read; what cannot be told counts as read.
    pub fn unread(&self) -> u64 {
        match &self.output {
            Output::Open(stream) | Output::Held(stream) => pipes::unread(stream).unwrap_or(0),
            Output::Closed(Some(witness)) => pipes::unread(witness).unwrap_or(0),
            Output::Closed(None) | Output::Lost | Output::Broken => 0,
        }
    }

    /// Bytes that the receiver has read.
    pub fn consumed(&self) -> u64 {
        self.carrier.bytes_out().saturating_sub(self.unread())
    }

    /// Closes the output in order. The pipe stays countable through a read end of our own, opened only now: while one
    /// is open, writing to a dead receiver would give no error (I11).
    pub fn close_output(&mut self) {
        if let Output::Open(stream) | Output::Held(stream) = std::mem::replace(&mut self.output, Output::Broken) {
            let witness = match self.to {
                End::Child(_) => pipes::reopen_reader(&stream).ok(),
                End::Source | End::Sink => None,
            };
            self.output = Output::Closed(witness);
        }
    }

    /// Gives up both sides: the receiver is gone.
    pub fn break_off(&mut self) {
        self.carrier.discard();
        self.input = Input::Done;
        self.output = Output::Broken;
    }

    /// The receiver is gone, and waited for.
    pub fn lose_receiver(&mut self) {
        if let Some(relay) = self.carrier.singer() {
            relay.outlet.park();
            self.output = Output::Lost;
        }
    }

    /// The receiver is there again.
    pub fn find_receiver(&mut self, output: Stream) {
        self.writable = !output.needs_poll();
        self.output = Output::Open(output);
    }

    /// Whether nothing will move over it any more.
    pub fn settled(&self) -> bool {
        matches!(self.input, Input::Done) && matches!(self.output, Output::Closed(_) | Output::Broken)
    }
}
