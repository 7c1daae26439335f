//! What a hop does beside forwarding: SCHEMAs for the checks, records set aside, lines of its own, the end of a stream.

use super::{stream_of, Relay};
use crate::check::breach::Breach;
use crate::check::changes::Passage;
use crate::check::rejects::Rejected;
use crate::check::{names, Message};
use crate::event::Event;
use crate::journal::Journal;
use crate::route::{fault, SchemaSeen};
use crate::tally::Entry;
use crate::verdict::Failure;
use singer_protocol::envelope::{self, Kind};
use singer_protocol::error::{Code, Fault};
use singer_protocol::framing::Line;
use singer_protocol::state::fingerprint;

/// Of a line that cannot be used, a stream's name that is longer is taken for none.
const LONGEST_NAME: usize = 1024;

impl Relay {
    /// A line is not forwarded: its bytes need not be kept.
    pub(super) fn skip(&mut self) {
        self.outlet.skip(&mut self.framer);
    }

    /// Takes a SCHEMA for the checks, and tells the one that the receiver gets.
    pub(super) fn adopt(&mut self, line: &Line, seen: &SchemaSeen, journal: &mut Journal) -> Result<Passage, Fault> {
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
        let mut adopted = adopted.map_err(|why| {
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
        if let Some(failure) = adopted.failure.take() {
            self.unjudged(line, seen.stream, failure)?;
        }
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

    /// Tells the SCHEMA that came.
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

    /// Sets a record aside that breaks its SCHEMA.
    pub(super) fn reject(
        &mut self,
        line: &Line,
        stream: usize,
        breach: &Breach,
        journal: &mut Journal,
    ) -> Result<(), Fault> {
        let bytes = self.framer.slice(line.span()).to_vec();
        self.reject_line(line, &bytes, stream, breach, journal)
    }

    /// The same of a row whose line is `bytes`, and that came with another one.
    pub(super) fn reject_line(
        &mut self,
        line: &Line,
        bytes: &[u8],
        stream: usize,
        breach: &Breach,
        journal: &mut Journal,
    ) -> Result<(), Fault> {
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
            bytes,
            record: true,
            schema: self.router.checks.line(stream),
            received: self.received() + 1,
            code: Code::Schema.as_str(),
        };
        let done = self.rejects.borrow_mut().reject(&bad, journal);
        self.rejected(done)
    }

    /// Nobody could judge a line: it does not pass, and the run fails (I9).
    pub(super) fn unjudged(&mut self, line: &Line, stream: usize, failure: Failure) -> Result<(), Fault> {
        self.failure = Some(Failure {
            stream: Some(self.router.stream_name(stream).into()),
            line: Some(line.number),
            offset: Some(line.start),
            ..failure
        });
        Err(fault(Code::Schema, "it could not be checked"))
    }

    /// Sets a record aside that the receiver cannot load: the line from one offset to another in what it reads. `false`
    /// where that is no record.
    pub fn set_aside_at(&mut self, from: u64, to: u64, why: &str, journal: &mut Journal) -> Result<bool, Failure> {
        let bytes = self.outlet.line_at(from);
        let own = self.abroad.as_ref().and_then(|abroad| abroad.singer(&bytes));
        let bytes = own.as_deref().map_or(&bytes[..], <[u8]>::trim_ascii_end);
        let found = envelope::scan(bytes).ok().filter(|found| found.kind == Kind::Record);
        let stream = found.and_then(|found| self.router.index_of(found.stream.as_ref()?));
        let Some(stream) = stream else { return Ok(false) };
        self.router.take_back(stream, to - from);
        let name = self.router.stream_name(stream);
        let bad = Rejected {
            child: &self.writer,
            stream: Some(name),
            rule: "target",
            path: "",
            reason: why,
            row: None,
            line: 0,
            offset: from,
            bytes,
            record: true,
            schema: self.router.checks.line(stream),
            received: self.received(),
            code: "data.rejected",
        };
        self.rejects.borrow_mut().reject(&bad, journal)?;
        self.outlet.skip_lines(from..to);
        Ok(true)
    }

    /// Whether a line with this fault may be set aside; else it ends the run.
    fn may_set_aside(&self, fault: &Fault) -> bool {
        let of_the_line = matches!(
            fault.code,
            Code::InvalidJson | Code::InvalidUtf8 | Code::RecordBeforeSchema | Code::BadMessage
        );
        // Of a BATCH whose file or row cannot be read nobody knows how many rows would be lost with it (I9).
        let of_files = self.detail.is_some();
        of_the_line && !of_files && !self.rejects.borrow().fails()
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
        self.router.delivered() + self.rejects.borrow().total()
    }

    /// At the end of a stream: too many bad records fail the run; else what was held goes out, and the last STATE again.
    pub(super) fn conclude(&mut self, journal: &mut Journal) -> Option<Failure> {
        if self.edge {
            let failure = self.rejects.borrow().judge(self.received());
            if failure.is_some() {
                return failure;
            }
        }
        if self.ended_well {
            self.complete_abroad();
        }
        let mut sent = false;
        for (stream, line) in self.held.release() {
            let name = self.router.stream_name(stream);
            let whole = self.rejects.borrow().of(name) == 0;
            if self.ended_well && whole {
                self.router.messages += 1;
                self.outlet.send(line, Entry::Other);
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
            self.outlet.send(line, Entry::State);
            let (end, records, messages) = (self.outlet.accepted() - 1, self.router.records, self.router.messages);
            self.ledger.forward(&value, print, end, records, messages);
        }
        None
    }

    /// A line that cannot be used is set aside where the policy says so.
    pub(super) fn or_aside(
        &mut self,
        taken: Result<(), Fault>,
        line: &Line,
        journal: &mut Journal,
    ) -> Result<(), Fault> {
        match taken {
            Err(fault) if self.failure.is_none() && self.may_set_aside(&fault) => self.set_aside(line, &fault, journal),
            taken => taken,
        }
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
