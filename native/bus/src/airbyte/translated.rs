//! The hop of a source that speaks the Airbyte protocol: what it writes is translated, and then relayed as any Singer stream.

use super::translate::Translator;
use super::Airbyte;
use crate::carrier::Carrier;
use crate::journal::Journal;
use crate::relay::Relay;
use crate::verdict::{data_failure, Failure, Place};
use singer_protocol::framing::Framer;
use std::time::Instant;

/// Translated bytes that are handed over together.
const BATCH: usize = 64 << 10;

/// A [`Relay`] behind a [`Translator`].
#[derive(Debug)]
pub struct Translated {
    relay: Relay,
    translator: Translator,
    framer: Framer,
    writer: String,
    max_line: usize,
    /// Translated, and from where on not yet handed over.
    out: Vec<u8>,
    given: usize,
    /// Complete lines may wait in the framer.
    more: bool,
    /// The writer's EOF was seen; its last line was taken.
    ended: bool,
    last_taken: bool,
    stopped: bool,
    /// What ends the run when all before it is handed over.
    failing: Option<Failure>,
    /// What was handed over since that was asked, where a tape wants it.
    recording: Option<Vec<u8>>,
}

impl Translated {
    /// The hop that `writer` writes into.
    pub fn new(relay: Relay, writer: &str, spec: &Airbyte, max_line: usize, recorded: bool) -> Translated {
        Translated {
            relay,
            translator: Translator::new(writer, spec),
            framer: Framer::new(max_line),
            writer: writer.to_string(),
            max_line,
            out: Vec::new(),
            given: 0,
            more: false,
            ended: false,
            last_taken: false,
            stopped: false,
            failing: None,
            recording: recorded.then(Vec::new),
        }
    }

    /// Gives the relay as much as it takes. Whether all is handed over.
    fn hand_over(&mut self, journal: &mut Journal) -> Result<bool, Failure> {
        while self.given < self.out.len() {
            if !self.relay.hungry() {
                return Ok(false);
            }
            let rest = &self.out[self.given..];
            let space = self.relay.space();
            let count = space.len().min(rest.len());
            if count == 0 {
                return Ok(false);
            }
            space[..count].copy_from_slice(&rest[..count]);
            if let Some(recording) = &mut self.recording {
                recording.extend_from_slice(&rest[..count]);
            }
            self.given += count;
            self.relay.filled(count);
            if let Some(failure) = self.relay.work(journal) {
                return Err(failure);
            }
        }
        self.out.clear();
        self.given = 0;
        if self.out.capacity() > 16 * BATCH {
            self.out = Vec::new();
        }
        Ok(true)
    }

    /// Translates the next lines, up to a batch. Whether there were any.
    fn translate(&mut self, journal: &mut Journal) -> Result<bool, Failure> {
        let mut any = false;
        while self.out.len() < BATCH {
            let line = match self.framer.advance() {
                Ok(Some(line)) => line,
                Ok(None) if self.ended && !self.last_taken => {
                    self.last_taken = true;
                    match self.framer.last() {
                        Ok(Some(line)) => line,
                        _ => break,
                    }
                }
                Ok(None) => break,
                Err(long) => {
                    let place = Place {
                        child: &self.writer,
                        stream: None,
                        line: long.number,
                        offset: long.start,
                    };
                    return Err(data_failure(&long.fault(), &place));
                }
            };
            any = true;
            let bytes = self.framer.slice(line.span());
            let taken = self.translator.line(bytes, line.terminated, &mut self.out, journal);
            self.framer.release(line.whole().end);
            if let Err(mut failure) = taken {
                (failure.line, failure.offset) = (Some(line.number), Some(line.start));
                return Err(failure);
            }
        }
        Ok(any)
    }

    fn turn(&mut self, journal: &mut Journal) -> Result<(), Failure> {
        loop {
            self.more = true;
            if !self.hand_over(journal)? {
                return Ok(());
            }
            if let Some(failure) = self.failing.take() {
                return Err(failure);
            }
            match self.translate(journal) {
                Ok(true) => {}
                Ok(false) => {
                    self.more = false;
                    return Ok(());
                }
                Err(failure) => self.failing = Some(failure),
            }
        }
    }
}

impl Carrier for Translated {
    fn hungry(&self) -> bool {
        !self.stopped && !self.more && self.relay.hungry()
    }

    fn space(&mut self) -> &mut [u8] {
        self.framer.space()
    }

    fn filled(&mut self, count: usize) {
        self.framer.filled(count);
    }

    fn work(&mut self, journal: &mut Journal) -> Option<Failure> {
        if self.stopped {
            return self.relay.work(journal);
        }
        // What waits in it may go on before it is hungry again.
        let failure = self.relay.work(journal).or_else(|| self.turn(journal).err());
        if failure.is_some() {
            self.stopped = true;
            self.relay.cut();
        }
        failure
    }

    fn idle(&self) -> bool {
        self.stopped || (!self.more && (!self.ended || self.last_taken) && self.relay.idle())
    }

    fn resting(&self) -> bool {
        self.relay.resting()
    }

    fn ended(&mut self) {
        self.ended = true;
        self.more = true;
    }

    fn finish(&mut self, died: bool, journal: &mut Journal) -> Option<Failure> {
        let failure = self.relay.finish(died, journal);
        let told = if died || self.stopped {
            None
        } else {
            self.translator.verdict()
        };
        self.stopped = true;
        failure.or(told)
    }

    fn cut(&mut self) {
        self.stopped = true;
        self.relay.cut();
    }

    fn due(&self) -> Option<Instant> {
        self.relay.due()
    }

    fn quiet(&mut self, now: Instant) -> Option<Failure> {
        self.relay.quiet(now)
    }

    fn discard(&mut self) {
        self.stopped = true;
        self.relay.discard();
    }

    fn pending(&self) -> &[u8] {
        self.relay.pending()
    }

    fn pending_from(&self) -> Option<u64> {
        self.relay.pending_from()
    }

    fn wrote(&mut self, count: usize) {
        self.relay.wrote(count);
    }

    fn progress(&self) -> u64 {
        self.framer.lines()
    }

    fn bytes_in(&self) -> u64 {
        self.framer.bytes_read()
    }

    fn bytes_out(&self) -> u64 {
        self.relay.bytes_out()
    }

    fn translates(&self) -> bool {
        true
    }

    fn translated(&mut self) -> Vec<u8> {
        self.recording.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn renewed(&mut self) -> Option<Vec<u8>> {
        self.translator.renewed()
    }

    fn new_writer(&mut self, spec: Option<&Airbyte>) {
        self.relay.new_writer(None);
        let spec = spec.cloned().unwrap_or_default();
        self.translator = Translator::new(&self.writer, &spec);
        self.framer = Framer::new(self.max_line);
        self.out.clear();
        self.failing = None;
        (self.given, self.more, self.ended, self.last_taken, self.stopped) = (0, false, false, false, false);
    }

    fn singer(&mut self) -> Option<&mut Relay> {
        Some(&mut self.relay)
    }
}
