//! The control descriptor: a few words from the control plane, and the leash: when it hangs up, all is ended (I8).

use dativo_bus_engine::lines::Lines;
use dativo_bus_engine::plan::Child;
use dativo_sandbox::pipes::{Direction, Moved, Stream};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A word may hold a child with its files, a catalog among them.
const LONGEST_WORD: usize = 256 << 20;

/// How the writer of the source ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In order.
    Ended,
    /// It died, and why.
    Died(String),
}

/// A child to start again.
#[derive(Debug, Deserialize)]
pub struct Restart {
    /// All of it, as in a plan.
    #[serde(rename = "restart")]
    pub child: Child,
    /// The bookmark that it remembers, if it does.
    #[serde(default)]
    pub bookmark: Option<Box<RawValue>>,
    /// Of a target: set aside what it cannot load.
    #[serde(default)]
    pub search: Option<Scope>,
}

/// What is set aside of what a target had read when it died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The record that it dies of, found by giving it less and less.
    Record,
    /// All records since its last bookmark.
    Batch,
}

/// What came over the leash.
#[derive(Debug)]
pub enum Pull {
    /// How the source ended.
    Source(Fate),
    /// Start the child that is waited for again.
    Restart(Box<Restart>),
    /// Do not wait for it.
    GiveUp,
    /// The control plane is gone.
    Cut,
}

/// The control descriptor.
#[derive(Debug)]
pub struct Leash {
    stream: Stream,
    lines: Lines,
}

#[derive(Deserialize)]
struct Word {
    source: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    give_up: bool,
}

impl Leash {
    /// Takes the descriptor.
    pub fn new(fd: OwnedFd) -> io::Result<Leash> {
        Ok(Leash {
            stream: Stream::inherited(fd, Direction::Read)?,
            lines: Lines::new(LONGEST_WORD),
        })
    }

    /// Reads what is there. Words that this version does not know are ignored.
    pub fn pull(&mut self) -> io::Result<Vec<Pull>> {
        let mut block = vec![0u8; 64 << 10];
        let mut pulls = Vec::new();
        match self.stream.read(&mut block)? {
            Moved::Bytes(count) => self.lines.feed(&block[..count], |line| pulls.extend(meant(line.bytes))),
            Moved::Later => {}
            Moved::Closed => pulls.push(Pull::Cut),
        }
        Ok(pulls)
    }
}

fn meant(line: &[u8]) -> Option<Pull> {
    if let Ok(restart) = serde_json::from_slice::<Restart>(line) {
        let sound = restart.child.check("restart").is_ok();
        return Some(if sound {
            Pull::Restart(Box::new(restart))
        } else {
            Pull::GiveUp
        });
    }
    let word: Word = serde_json::from_slice(line).ok()?;
    match word.source.as_deref() {
        Some("ended") => Some(Pull::Source(Fate::Ended)),
        Some("died") => Some(Pull::Source(Fate::Died(word.reason.unwrap_or_default()))),
        _ => word.give_up.then_some(Pull::GiveUp),
    }
}

impl AsFd for Leash {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
