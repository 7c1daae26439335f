//! What goes to a receiver in the way that it understands ([`crate::adapt`]).

use super::Relay;
use crate::adapt::{Adapt, Adapter, Changes};
use crate::airbyte::outbound::Outbound;
use crate::check::changes::Passage;
use crate::event::Event;
use crate::journal::Journal;
use crate::plan::Plan;
use crate::route::{fault, SchemaSeen};
use crate::tally::Entry;
use crate::verdict::Failure;
use crate::wiring::{self, End};
use singer_protocol::envelope;
use singer_protocol::error::{Code, Fault};
use singer_protocol::framing::Line;

/// A receiver that has its own ways.
#[derive(Debug)]
pub struct Receiver {
    name: String,
    pub(super) adapter: Adapter,
}

impl Receiver {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What was changed of a stream is told.
    pub(super) fn tell(&self, stream: &str, alias: Option<&str>, changes: &Changes, journal: &mut Journal) {
        journal.tell(&Event::Adapted {
            child: &self.name,
            stream,
            alias,
            changes,
        });
    }
}

impl Relay {
    /// The same, where the receiver has its own ways.
    pub fn with_reader(self, plan: &Plan, reader: End) -> Relay {
        let name = wiring::name(plan, reader);
        let abroad = match reader {
            End::Child(index) => plan.children[index].airbyte.as_ref(),
            End::Source | End::Sink => None,
        };
        let abroad = abroad.map(|spec| Outbound::new(name, spec));
        // A destination has its own ways, and no adapter has a part in them.
        let none = Adapt::default();
        let adapt = wiring::adapt(plan, reader).filter(|_| abroad.is_none());
        let receiver = adapt.or(abroad.as_ref().map(|_| &none)).map(|adapt| Receiver {
            name: name.to_string(),
            adapter: Adapter::new(adapt),
        });
        Relay {
            receiver,
            abroad,
            ..self
        }
    }

    /// A SCHEMA that passed, as the receiver gets it.
    pub(super) fn suit(
        &mut self,
        line: &Line,
        seen: &SchemaSeen,
        passage: Passage,
        journal: &mut Journal,
    ) -> Result<Passage, Fault> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(passage);
        };
        if self.abroad.is_some() {
            let to = receiver.name.clone();
            return self.known_abroad(&to, line, seen);
        }
        let given = match &passage {
            Passage::AsItCame => self.framer.slice(line.span()),
            Passage::Instead(own) => own,
            Passage::Nothing => return Ok(passage),
        };
        let name = self.router.stream_name(seen.stream);
        match receiver.adapter.schema(seen.stream, name, given) {
            Ok(None) => Ok(passage),
            Ok(Some(suited)) => {
                if !seen.repeated {
                    receiver.tell(name, suited.alias.as_deref(), &suited.changes, journal);
                }
                Ok(Passage::Instead(suited.line))
            }
            Err(why) => {
                let message = journal.shown(format!("{}: {why}", self.writer).as_bytes(), false);
                let failure = Failure::of("data.stream_name", &self.writer, message).setting("stream_name");
                self.failure = Some(Failure {
                    stream: Some(name.into()),
                    line: Some(line.number),
                    offset: Some(line.start),
                    ..failure
                });
                Err(fault(Code::BadMessage, "a stream has no name of its own"))
            }
        }
    }

    /// A record that passed, in the way that the receiver gets it: none if that is how it came. `own` is the record's line
    /// where that is not the one that came. A SCHEMA that it needs goes out before it.
    pub(super) fn dress(
        &mut self,
        line: &Line,
        own: Option<&[u8]>,
        journal: &mut Journal,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(None);
        };
        let stream = self.router.last_stream() as usize;
        let bytes = own.unwrap_or_else(|| self.framer.slice(line.span()));
        let span = match self.router.record_span().filter(|_| own.is_none()) {
            Some(span) => span,
            None => envelope::scan(bytes)?.record.unwrap_or(0..0),
        };
        if self.abroad.is_some() {
            let bytes = bytes.to_vec();
            return self.record_abroad(&bytes, span);
        }
        let late = receiver.adapter.late(stream, &bytes[span]);
        let dressed = receiver
            .adapter
            .raw_alias(stream)
            .map(|alias| renamed(bytes, alias))
            .transpose()?;
        if let Some((schema, count)) = late {
            let changes = Changes::from([("sdc-columns", count)]);
            receiver.tell(self.router.stream_name(stream), None, &changes, journal);
            self.outlet.declare(stream, false, &schema);
            self.outlet.send(schema, Entry::Other);
        }
        Ok(dressed)
    }

    /// A message of a stream under the name that the receiver knows; none if that is the name it has.
    pub(super) fn under_its_name(&self, stream: usize, bytes: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let alias = self
            .receiver
            .as_ref()
            .and_then(|receiver| receiver.adapter.raw_alias(stream));
        alias.map(|alias| renamed(bytes, alias)).transpose()
    }

    /// The inside of the JSON string of the name that the receiver knows a stream by.
    pub(super) fn name_for_receiver(&self, stream: usize) -> &[u8] {
        let alias = self
            .receiver
            .as_ref()
            .and_then(|receiver| receiver.adapter.raw_alias(stream));
        alias.unwrap_or_else(|| self.router.stream_raw(stream))
    }
}

/// A message with another stream's name, and everything else as it came.
fn renamed(line: &[u8], alias: &[u8]) -> Result<Vec<u8>, Fault> {
    // Of a key that comes twice the last counts, so the whole line is looked at.
    let name = envelope::scan(line)?.stream.map_or(&line[..0], |name| name.raw);
    let at = (name.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
    let mut own = Vec::with_capacity(line.len() + alias.len());
    own.extend_from_slice(&line[..at]);
    own.extend_from_slice(alias);
    own.extend_from_slice(&line[at + name.len()..]);
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_changes() {
        for (line, wanted) in [
            (
                r#"{"type": "RECORD", "stream": "a-b", "record": {"stream": "a-b", "x": 1.50}}"#,
                r#"{"type": "RECORD", "stream": "b", "record": {"stream": "a-b", "x": 1.50}}"#,
            ),
            (
                r#"{"record":{"x":1e2},"stream":"a\u002db","type":"RECORD"}"#,
                r#"{"record":{"x":1e2},"stream":"b","type":"RECORD"}"#,
            ),
            (
                r#"{"stream":"c","type":"RECORD","record":{},"stream":"a-b"}"#,
                r#"{"stream":"c","type":"RECORD","record":{},"stream":"b"}"#,
            ),
            (
                r#"{"type":"ACTIVATE_VERSION","version":1,"stream":"a-b"}"#,
                r#"{"type":"ACTIVATE_VERSION","version":1,"stream":"b"}"#,
            ),
        ] {
            assert_eq!(
                String::from_utf8(renamed(line.as_bytes(), b"b").unwrap()).unwrap(),
                wanted
            );
        }
    }
}
