//! The one ordering rule that a receiver enforces: a stream's SCHEMA comes before its records.

use std::collections::HashSet;

use crate::envelope::{Envelope, Kind};
use crate::error::{Code, Fault};

/// Which streams have had their SCHEMA. Streams are told apart by [`crate::text::Text::bytes`].
#[derive(Debug, Default)]
pub struct Order {
    known: HashSet<Vec<u8>>,
}

impl Order {
    /// Take note of one message; a fault when its stream has no SCHEMA yet.
    pub fn admit(&mut self, message: &Envelope<'_>) -> Result<(), Fault> {
        let Some(stream) = message.stream else { return Ok(()) };
        match message.kind {
            Kind::Schema => {
                let name = stream.bytes();
                if !self.known.contains(name.as_ref()) {
                    self.known.insert(name.into_owned());
                }
                Ok(())
            }
            Kind::Record | Kind::ActivateVersion | Kind::Batch if !self.known.contains(stream.bytes().as_ref()) => {
                let reason = "the message came before its stream's SCHEMA";
                Err(Fault {
                    code: Code::RecordBeforeSchema,
                    offset: 0,
                    truncated: false,
                    reason,
                })
            }
            _ => Ok(()),
        }
    }
}
