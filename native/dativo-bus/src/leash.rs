//! The control descriptor: a few words from the control plane, and the leash: when it hangs up, all is ended (I8).

use dativo_bus_engine::lines::Lines;
use dativo_sandbox::pipes::{Direction, Moved, Stream};
use serde::Deserialize;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const LONGEST_WORD: usize = 64 << 10;

/// How the writer of the source ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In order.
    Ended,
    /// It died, and why.
    Died(String),
}

/// What came over the leash.
#[derive(Debug, PartialEq, Eq)]
pub enum Pull {
    /// Nothing, or nothing new.
    Nothing,
    /// How the source ended.
    Source(Fate),
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
    pub fn pull(&mut self) -> io::Result<Pull> {
        let mut block = [0u8; 4096];
        let count = match self.stream.read(&mut block)? {
            Moved::Bytes(count) => count,
            Moved::Later => return Ok(Pull::Nothing),
            Moved::Closed => return Ok(Pull::Cut),
        };
        let mut pull = Pull::Nothing;
        self.lines.feed(&block[..count], |line| {
            if let Ok(Word {
                source: Some(source),
                reason,
            }) = serde_json::from_slice(line.bytes)
            {
                pull = match source.as_str() {
                    "ended" => Pull::Source(Fate::Ended),
                    "died" => Pull::Source(Fate::Died(reason.unwrap_or_default())),
                    _ => Pull::Nothing,
                };
            }
        });
        Ok(pull)
    }
}

impl AsFd for Leash {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
