//! A receiver that was started again: from where it reads, and what it must know first.
//!
//! It goes on behind the last STATE that it has confirmed, or, where it keeps the bookmark with its data, behind the one
//! that it remembers. Before that it gets the SCHEMA of every stream that was known there.

use crate::airbyte::outbound::Outbound;
use crate::ledger::Answer;
use crate::relay::Relay;
use std::collections::BTreeMap;

/// A line, and the offset that it was sent at.
type Sent = (u64, Box<[u8]>);

/// The SCHEMA messages that were sent, by the offset they were sent at.
#[derive(Debug, Default)]
pub struct Schemas {
    /// Of each stream the newest below what is confirmed, and all behind it.
    sent: BTreeMap<usize, Vec<Sent>>,
}

impl Schemas {
    /// A SCHEMA, at this offset in what the receiver reads.
    pub fn sent(&mut self, stream: usize, offset: u64, line: &[u8]) {
        self.sent.entry(stream).or_default().push((offset, line.into()));
    }

    /// Nobody goes on from before this offset any more.
    pub fn confirm(&mut self, offset: u64) {
        for lines in self.sent.values_mut() {
            let old = lines.iter().take_while(|(at, _)| *at < offset).count();
            lines.drain(..old.saturating_sub(1));
        }
    }

    /// What a receiver must know that goes on at this offset: lines with their newlines.
    pub fn before(&self, offset: u64) -> Vec<u8> {
        let known = |lines: &Vec<Sent>| lines.iter().rev().find(|(at, _)| *at < offset).cloned();
        let mut lines: Vec<Sent> = self.sent.values().filter_map(known).collect();
        lines.sort_by_key(|(at, _)| *at);
        lines
            .iter()
            .flat_map(|(_, line)| line.iter().copied().chain([b'\n']))
            .collect()
    }
}

/// Why a receiver cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// What it would need is not kept any more.
    NotKept,
    /// It remembers a bookmark that is none of this run's, though it has confirmed one.
    Stranger,
}

impl Relay {
    /// Makes it deliver again to a receiver that was started again and remembers `bookmark`. The bookmark that follows
    /// from that, if it is newer than the last: the receiver had stored it and died before it said so.
    pub fn resume(&mut self, bookmark: Option<&[u8]>) -> Result<Option<Answer>, Stuck> {
        let mut told = None;
        if let Some(line) = bookmark {
            // What it remembers it had read, whatever became of the pipe.
            match self.ledger.answer(line, u64::MAX) {
                answer @ Answer::Bookmark { .. } => told = Some(answer),
                Answer::Repeat => {}
                // What this run started from, or what an empty target remembers.
                _ if self.ledger.confirmed_end() == 0 => {}
                _ => return Err(Stuck::Stranger),
            }
        }
        let from = self.ledger.confirmed_end();
        self.go_on_at(from)?;
        Ok(told)
    }

    /// Delivers from this offset on, to a receiver that knows nothing yet.
    pub fn go_on_at(&mut self, from: u64) -> Result<(), Stuck> {
        let outlet = &mut self.outlet;
        let preamble = outlet.schemas.before(from);
        let Some(spill) = outlet.spill.as_mut().filter(|spill| spill.covers(from)) else {
            return Err(Stuck::NotKept);
        };
        spill.rewind(from);
        outlet.preamble = (preamble, 0);
        self.abroad.iter_mut().for_each(Outbound::again);
        outlet.parked = false;
        outlet.written = from;
        outlet.pass_over(&mut self.ledger);
        if let Some(columns) = &mut self.columns {
            columns.spooled.again(from);
        }
        Ok(())
    }

    /// A bookmark was confirmed: what lies before it is not needed any more.
    pub fn confirmed(&mut self) {
        let end = self.ledger.confirmed_end();
        self.outlet.confirm(end);
        if let Some(columns) = &mut self.columns {
            columns.spooled.confirm(end);
        }
    }

    /// The STATE that a writer that is started again goes on from, and how many records came behind it.
    pub fn tail(&self) -> (Option<&[u8]>, u64) {
        (self.ledger.newest(), self.router.records - self.ledger.last_records())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_known_from_where_it_was_sent_on() {
        let mut schemas = Schemas::default();
        schemas.sent(1, 0, b"b1");
        schemas.sent(0, 5, b"a1");
        schemas.sent(1, 50, b"b2");
        assert_eq!(schemas.before(0), b"");
        assert_eq!(schemas.before(5), b"b1\n");
        assert_eq!(schemas.before(50), b"b1\na1\n");
        schemas.confirm(60);
        assert_eq!(schemas.before(60), b"a1\nb2\n");
    }
}
