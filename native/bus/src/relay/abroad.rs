//! A receiver that is an Airbyte destination: what goes to it in its own words ([`crate::airbyte::outbound`]), and what it answers.

use super::Relay;
use crate::airbyte::message::{member, read, text, Message};
use crate::airbyte::outbound::Outbound;
use crate::check::changes::Passage;
use crate::journal::Journal;
use crate::ledger::Answer;
use crate::route::{fault, SchemaSeen};
use crate::tally::Entry;
use crate::verdict::Failure;
use singer_protocol::error::{Code, Fault};
use singer_protocol::framing::Line;
use singer_protocol::state::{fingerprint, Shape};
use std::ops::Range;

/// How the CDK's log begins where a destination passes a line over (airbyte-cdk 0.1 to 7.39, destinations/destination.py).
const PASSED_OVER: &str = "ignoring input which can't be deserialized";

/// What a line of a destination comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The same as a line of any other target.
    Answer(Answer),
    /// It is told, or nothing is to be told.
    Nothing,
    /// It cannot be trusted with what it was given.
    Failed(Failure),
}

impl Relay {
    /// A SCHEMA that passed: a destination has it in its catalog, or the stream cannot go there.
    pub(super) fn known_abroad(&mut self, to: &str, line: &Line, seen: &SchemaSeen) -> Result<Passage, Fault> {
        let name = self.router.stream_name(seen.stream);
        if self
            .abroad
            .as_mut()
            .is_some_and(|abroad| abroad.declare(seen.stream, name))
        {
            return Ok(Passage::Nothing);
        }
        let message = format!(
            "{} sends the stream {name:?}, which {to} was not told of: an Airbyte destination is given its streams at its start",
            self.writer
        );
        self.failure = Some(Failure {
            stream: Some(name.into()),
            line: Some(line.number),
            offset: Some(line.start),
            ..Failure::of("catalog.invalid", to, message)
        });
        Err(fault(Code::BadMessage, "a stream that is not in the catalog"))
    }

    /// A record that passed, as the destination gets it. One that it would pass over is none that passed.
    pub(super) fn record_abroad(&mut self, bytes: &[u8], span: Range<usize>) -> Result<Option<Vec<u8>>, Fault> {
        let stream = self.router.last_stream() as usize;
        let Some(abroad) = &mut self.abroad else {
            return Ok(None);
        };
        match abroad.record(stream, bytes, span) {
            Ok(own) => Ok(own),
            Err(why) => {
                self.router.take_back(stream, bytes.len() as u64 + 1);
                Err(fault(Code::InvalidJson, why.0))
            }
        }
    }

    /// A STATE that passed. Whether the receiver is a destination: then it is sent, if it is one that can be confirmed.
    pub(super) fn state_abroad(&mut self, line: &Line, value: &Range<usize>) -> Result<bool, Fault> {
        let Some(mut abroad) = self.abroad.take() else {
            return Ok(false);
        };
        let bytes = &self.framer.slice(line.span())[value.clone()];
        let print = fingerprint(bytes);
        if let Some(print) = print.as_ref().ok().filter(|print| print.shape == Shape::Object) {
            let given = bytes.to_vec();
            let mut lines = abroad.states(&given, self.ledger.forwarded() + 1);
            let last = lines.pop().unwrap_or_default();
            lines.into_iter().for_each(|own| self.outlet.send(own, Entry::Other));
            let end = self.outlet.accepted() + last.len() as u64;
            let (records, messages) = (self.router.records, self.router.messages);
            self.ledger.forward(&given, *print, end, records, messages);
            self.outlet.send(last, Entry::State);
        }
        self.abroad = Some(abroad);
        self.skip();
        print.map(|_| true)
    }

    /// Whether the receiver is a destination, which knows no versions of its streams.
    pub(super) fn forgets_versions(&mut self) -> bool {
        let forgets = self.abroad.is_some();
        if forgets {
            self.router.messages -= 1;
            self.skip();
        }
        forgets
    }

    /// All that its source had is sent, and it ended well.
    pub(super) fn complete_abroad(&mut self) {
        let lines = self.abroad.as_ref().map_or_else(Vec::new, Outbound::complete);
        lines.into_iter().for_each(|own| self.outlet.send(own, Entry::Other));
    }

    /// What is to be held against a destination that exited with 0.
    pub fn verdict_abroad(&self) -> Option<Failure> {
        self.abroad.as_ref()?.remarks.verdict()
    }

    /// The config that a destination renewed.
    pub fn renewed_abroad(&mut self) -> Option<Vec<u8>> {
        self.abroad.as_mut()?.remarks.renewed()
    }

    /// Judges a line that the receiver printed when it had read `consumed` bytes. None where it is no destination.
    pub fn hear(&mut self, line: &[u8], consumed: u64, journal: &mut Journal) -> Option<Heard> {
        let abroad = self.abroad.as_mut()?;
        let state = match read(line) {
            Message::State(span) => &line[span],
            Message::Log(span) => {
                abroad.remarks.log(&line[span.clone()], journal);
                let said = text(&line[span], "message").unwrap_or_default();
                return Some(match said.starts_with(PASSED_OVER) {
                    true => self.distrust(),
                    false => Heard::Nothing,
                });
            }
            Message::Trace(span) => {
                let trace = &line[span];
                if abroad.remarks.readable(trace, journal) && text(trace, "type").as_deref() == Some("ERROR") {
                    let stream = member(trace, "error").and_then(|error| abroad.stream_of(error));
                    if let Some(error) = member(trace, "error") {
                        abroad.remarks.error(error, stream.as_deref(), journal);
                    }
                }
                return Some(Heard::Nothing);
            }
            Message::Control(span) => {
                abroad.remarks.control(&line[span], journal);
                return Some(Heard::Nothing);
            }
            Message::Answer => return Some(Heard::Nothing),
            // PyAirbyte prints the state without what belongs around it.
            Message::Strange if text(line, "type").as_deref() == Some("STREAM") => line,
            Message::Strange | Message::Hollow | Message::Record(_) => return Some(Heard::Answer(Answer::Log)),
        };
        let named = abroad.named(state);
        Some(self.echo(named, consumed))
    }

    /// A state came back.
    fn echo(&mut self, named: Option<(usize, String)>, consumed: u64) -> Heard {
        let Some(abroad) = self.abroad.as_mut().filter(|abroad| !abroad.distrusted) else {
            return Heard::Nothing;
        };
        let Some((stream, held)) = named else {
            self.ledger.printed_other();
            return Heard::Answer(Answer::Ignored("foreign"));
        };
        let Some(seq) = abroad.awaited(stream, &held) else {
            return Heard::Answer(self.ledger.past(held.as_bytes()));
        };
        if !self.ledger.was_read(seq, consumed) {
            return Heard::Answer(Answer::Ignored("unread"));
        }
        let upto = abroad.confirm(stream, seq);
        match self.ledger.acknowledge(upto, (seq, held.as_bytes())) {
            Some(answer) => Heard::Answer(answer),
            None => Heard::Nothing,
        }
    }

    /// It passed over what it was given: nothing that it says is worth anything from here on (I9).
    fn distrust(&mut self) -> Heard {
        let Some(abroad) = &mut self.abroad else {
            return Heard::Nothing;
        };
        abroad.distrusted = true;
        let name = &self.receiver.as_ref().map_or("", |receiver| receiver.name());
        let message =
            format!("{name} passed over a line that it could not read, and would have gone on; its log says which");
        Heard::Failed(Failure::of("data.rejected", name, message))
    }
}
