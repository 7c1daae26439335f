//! One tap's stream on its way into the common one: cut into stretches, each of which ends with a STATE.
//!
//! Only whole stretches are passed on, so that a bookmark of one tap never covers half of what another was about to say:
//! a target that commits rows and bookmark together can be killed anywhere, and no row is there that is read again.

use super::room::{Block, Room};
use dativo_sandbox::pipes::{Moved, Stream};
use serde_json::Value;
use singer_protocol::envelope::{self, Kind};
use singer_protocol::framing::Framer;
use std::collections::BTreeSet;
use std::io;

/// Bytes that are put aside at a time.
const BLOCK: usize = 256 << 10;

/// Lines that belong together, and the STATE behind them; none at the end of a stream that sends no more.
#[derive(Debug, Default)]
pub struct Stretch {
    /// The lines.
    pub blocks: Vec<Block>,
    /// RECORD lines among them.
    pub records: u64,
    /// What the tap says that it covers.
    pub state: Option<Value>,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    /// Nothing more for now.
    All,
    /// There is more.
    Some,
}

/// One tap after the other, through one pipe.
pub struct Lane {
    /// The pipe that their data planes write to.
    pub pipe: Stream,
    framer: Framer,
    max_line: usize,
    /// Streams that are other taps' to speak of.
    others: BTreeSet<String>,
    open: Vec<u8>,
    stretch: Stretch,
    /// The last STATE of the tap that is, or was, here.
    pub last: Option<Value>,
    /// Its lines go through at once: the room is full, and it has sent no STATE for so long.
    pub streams: bool,
    /// Records that went through without a STATE behind them.
    pub tail: u64,
    /// Why its bookmarks cannot be merged.
    pub refused: Option<&'static str>,
}

impl Lane {
    /// A lane without a tap.
    pub fn new(pipe: Stream, max_line: usize) -> Lane {
        Lane {
            pipe,
            framer: Framer::new(max_line),
            max_line,
            others: BTreeSet::new(),
            open: Vec::new(),
            stretch: Stretch::default(),
            last: None,
            streams: false,
            tail: 0,
            refused: None,
        }
    }

    /// A tap begins.
    pub fn begin(&mut self, others: BTreeSet<String>) {
        self.framer = Framer::new(self.max_line);
        self.others = others;
        self.last = None;
        self.tail = 0;
    }

    /// Reads once; whole stretches go to `done`.
    pub fn read(&mut self, room: &mut Room, done: &mut Vec<Stretch>) -> io::Result<Got> {
        let moved = self.pipe.read(self.framer.space())?;
        let Moved::Bytes(count) = moved else {
            return Ok(Got::All);
        };
        self.framer.filled(count);
        while let Some(line) = self.framer.advance().map_err(|_| too_long())? {
            let span = line.whole();
            // Taken apart from `self` for the time of one line: it is given back at once.
            let framer = std::mem::replace(&mut self.framer, Framer::new(0));
            let outcome = self.line(framer.slice(span), room, done);
            self.framer = framer;
            outcome?;
            self.framer.release(line.whole().end);
        }
        Ok(Got::Some)
    }

    fn line(&mut self, line: &[u8], room: &mut Room, done: &mut Vec<Stretch>) -> io::Result<()> {
        let found = envelope::head(line).map_err(|fault| invalid(fault.reason))?;
        if found.kind != Kind::State {
            self.stretch.records += u64::from(found.kind == Kind::Record);
            self.open.extend_from_slice(line);
            if self.open.len() >= BLOCK {
                self.put_aside(room);
            }
            return Ok(());
        }
        let Some(span) = envelope::scan(line).ok().and_then(|whole| whole.value) else {
            return Ok(()); // a STATE without a value says nothing
        };
        let value = serde_json::from_slice(&line[span]).map_err(|_| invalid("a STATE cannot be read"))?;
        self.bookmark(value, room, done);
        Ok(())
    }

    fn bookmark(&mut self, value: Value, room: &mut Room, done: &mut Vec<Stretch>) {
        use singer_protocol::bookmark::{is_empty, restricted, streams};
        if is_empty(&value) {
            return;
        }
        if streams(&value).is_none() {
            self.refused = Some("its bookmark has no entries by stream");
            return;
        }
        let value = restricted(value, |stream| self.others.contains(stream));
        self.last = Some(value.clone());
        self.put_aside(room);
        self.stretch.state = Some(value);
        done.push(std::mem::take(&mut self.stretch));
    }

    fn put_aside(&mut self, room: &mut Room) {
        if !self.open.is_empty() {
            let block = room.keep(std::mem::take(&mut self.open));
            self.stretch.blocks.push(block);
        }
    }

    /// Bytes that wait for a STATE.
    pub fn waiting(&self) -> usize {
        let kept = self.stretch.blocks.iter().map(|block| match block {
            Block::Here(bytes) => bytes.len(),
            Block::Shelved { length, .. } => *length,
        });
        kept.sum::<usize>() + self.open.len()
    }

    /// What waits, without its STATE: for a lane that streams.
    pub fn let_go(&mut self, room: &mut Room) -> Stretch {
        self.put_aside(room);
        let stretch = std::mem::take(&mut self.stretch);
        self.tail += stretch.records;
        stretch
    }

    /// The tap has ended: in order, then what it said last counts; or not, then only what a STATE covers.
    pub fn end(&mut self, well: bool, room: &mut Room) -> io::Result<Option<Stretch>> {
        if well && self.framer.partial() > 0 {
            return Err(invalid("a tap's last line breaks off"));
        }
        self.framer = Framer::new(self.max_line);
        self.put_aside(room);
        let stretch = std::mem::take(&mut self.stretch);
        if well {
            return Ok((!stretch.blocks.is_empty()).then_some(stretch));
        }
        stretch.blocks.into_iter().for_each(|block| room.drop(block));
        Ok(None)
    }
}

fn too_long() -> io::Error {
    invalid("a line is longer than the cap")
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
