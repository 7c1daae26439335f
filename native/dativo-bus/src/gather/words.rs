//! What the control plane and `--gather` say to each other: one JSON object a line.
//!
//! `{"base": STATE}`, `{"begin": LANE, "others": [STREAM, …]}`, `{"end": LANE, "well": BOOL}`, `{"finish": true}`; answered by
//! `{"ended": LANE, "state": STATE, "tail": N}`, `{"refused": LANE, "why": …}`, `{"finished": true, "records": N}`.

use dativo_bus_engine::lines::Lines;
use dativo_sandbox::pipes::{Direction, Moved, Stream};
use serde::Deserialize;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A word may hold a bookmark.
const LONGEST: usize = 64 << 20;

/// One word.
#[derive(Debug, PartialEq)]
pub enum Word {
    /// The bookmark that the job begins at.
    Base(Value),
    /// A tap begins in a lane; `others` are streams that it has no say in.
    Begin {
        /// Which lane.
        lane: usize,
        /// The other taps' streams.
        others: BTreeSet<String>,
    },
    /// It has ended.
    End {
        /// Which lane.
        lane: usize,
        /// In order.
        well: bool,
    },
    /// There will be no more.
    Finish,
    /// The control plane hung up.
    Gone,
}

#[derive(Deserialize)]
struct Said {
    base: Option<Value>,
    begin: Option<usize>,
    #[serde(default)]
    others: BTreeSet<String>,
    end: Option<usize>,
    #[serde(default)]
    well: bool,
    #[serde(default)]
    finish: bool,
}

/// Both directions.
pub struct Words {
    from: Stream,
    to: File,
    lines: Lines,
}

impl Words {
    /// Takes the descriptors.
    pub fn new(from: OwnedFd, to: OwnedFd) -> io::Result<Words> {
        Ok(Words {
            from: Stream::inherited(from, Direction::Read)?,
            to: to.into(),
            lines: Lines::new(LONGEST),
        })
    }

    /// All that was said so far.
    pub fn read(&mut self) -> io::Result<Vec<Word>> {
        let mut block = vec![0; 64 << 10];
        let mut found = Vec::new();
        loop {
            match self.from.read(&mut block)? {
                Moved::Bytes(count) => self.lines.feed(&block[..count], |line| found.extend(meant(line.bytes))),
                Moved::Later => return Ok(found),
                Moved::Closed => {
                    found.push(Word::Gone);
                    return Ok(found);
                }
            }
        }
    }

    /// A lane's tap has ended and all it wrote was read: its last STATE, and how many records went out behind it.
    pub fn ended(&mut self, lane: usize, state: Option<&Value>, tail: u64) -> io::Result<()> {
        self.say(&json!({"ended": lane, "state": state, "tail": tail}))
    }

    /// A lane's bookmarks cannot be merged.
    pub fn refused(&mut self, lane: usize, why: &str) -> io::Result<()> {
        self.say(&json!({"refused": lane, "why": why}))
    }

    /// All is written.
    pub fn finished(&mut self, records: u64) -> io::Result<()> {
        self.say(&json!({"finished": true, "records": records}))
    }

    fn say(&mut self, word: &Value) -> io::Result<()> {
        self.to.write_all(format!("{word}\n").as_bytes())
    }
}

impl AsFd for Words {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.from.as_fd()
    }
}

fn meant(line: &[u8]) -> Option<Word> {
    let said: Said = serde_json::from_slice(line).ok()?;
    match said {
        Said { base: Some(value), .. } => Some(Word::Base(value)),
        Said {
            begin: Some(lane),
            others,
            ..
        } => Some(Word::Begin { lane, others }),
        Said {
            end: Some(lane), well, ..
        } => Some(Word::End { lane, well }),
        Said { finish: true, .. } => Some(Word::Finish),
        _ => None,
    }
}
