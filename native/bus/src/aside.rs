//! What a hop does not deliver: records and lines that are set aside, and what was held back for the end.

use crate::check::breach::Breach;
use crate::check::rejects::Rejected;
use crate::event::Event;
use crate::journal::Journal;
use crate::relay::{stream_of, Relay};
use crate::route::fault;
use crate::tally::Entry;
use crate::verdict::Failure;
use singer_protocol::envelope;
use singer_protocol::error::{Code, Fault};
use singer_protocol::framing::Line;
use singer_protocol::state::fingerprint;

impl Relay {
    /// A line that cannot be used is set aside where the policy says so.
    pub(crate) fn or_aside(
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

    /// Sets a record aside that breaks its SCHEMA.
    pub(crate) fn reject(
        &mut self,
        line: &Line,
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
        let stream = stream_of(bytes);
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
    pub(crate) fn conclude(&mut self, journal: &mut Journal) -> Option<Failure> {
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
                self.outlet.send(line, Entry::Other);
                sent = true;
                continue;
            }
            let why = match whole {
                true => "its tap did not end well",
                false => "rows of it were not delivered",
            };
            let text = format!("ACTIVATE_VERSION of {name} was not sent, so older rows stay: {why}");
            let code = "data.activate_held";
            journal.tell(&Event::Notice { code, text: &text });
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
}
