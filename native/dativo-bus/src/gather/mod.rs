//! `--gather`: the streams of several taps as the stream of one, with one bookmark.
//!
//! Flow: one data plane a tap > a pipe each (a [`lane`]) > here > stdout > the data plane of the target, whose source this is.
//! The control plane says which tap is in which lane and how it ended ([`words`]); what waits is bounded by the [`room`].
//! Each lane's lines are passed on in stretches that end with a STATE, and that STATE is merged onto those that were
//! passed on before (SPEC.md, section 6): the bookmark that the target is given is the job's.
//!
//! Guards I1 (a bookmark says nothing of lines that are not before it), I3 (other lines are not touched), I8 (it ends when
//! the control plane is gone) and I10.

mod lane;
mod room;
mod words;

use dativo_sandbox::pipes::{Direction, Moved, Stream};
use dativo_sandbox::Inherited;
use lane::{Got, Lane, Stretch};
use room::{Block, Room};
use rustix::event::{poll, PollFd, PollFlags};
use serde_json::Value;
use singer_protocol::bookmark;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use words::{Word, Words};

/// Blocks on their way out beyond which a lane that streams is not read.
const OUTGOING: usize = 4;

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gather {
    /// The pipes' descriptors.
    pub lanes: Vec<i32>,
    /// Where words come from, and answers go.
    pub control_fd: i32,
    /// Answers.
    pub events_fd: i32,
    /// Bytes that may wait in memory.
    pub memory: u64,
    /// Bytes that may wait on disk.
    pub disk: u64,
    /// Where.
    pub folder: Option<PathBuf>,
    /// The longest line.
    pub max_line: usize,
}

/// What is to be written next.
enum Outgoing {
    Block(Block),
    Line(Vec<u8>),
}

struct Gathering {
    lanes: Vec<Lane>,
    words: Words,
    out: Stream,
    room: Room,
    bookmark: Value,
    /// Whole stretches, in the order they became whole.
    ready: VecDeque<Stretch>,
    outgoing: VecDeque<Outgoing>,
    current: Vec<u8>,
    written: usize,
    /// The lane whose lines go through at once: nothing of others may come between them.
    floor: Option<usize>,
    records: u64,
    finishing: bool,
}

/// Runs until it is told to finish and all is written.
pub fn run(wanted: &Gather, inherited: &mut Inherited) -> io::Result<()> {
    let mut lanes = Vec::new();
    for fd in &wanted.lanes {
        let pipe = Stream::inherited(inherited.take(*fd)?, Direction::Read)?;
        lanes.push(Lane::new(pipe, wanted.max_line));
    }
    let mut gathering = Gathering {
        lanes,
        words: Words::new(inherited.take(wanted.control_fd)?, inherited.take(wanted.events_fd)?)?,
        out: Stream::inherited(inherited.take(1)?, Direction::Write)?,
        room: Room::new(wanted.memory, wanted.disk, wanted.folder.as_deref())?,
        bookmark: Value::Null,
        ready: VecDeque::new(),
        outgoing: VecDeque::new(),
        current: Vec::new(),
        written: 0,
        floor: None,
        records: 0,
        finishing: false,
    };
    while !gathering.over() {
        gathering.turn()?;
    }
    gathering.words.finished(gathering.records)
}

impl Gathering {
    fn over(&self) -> bool {
        self.finishing && self.ready.is_empty() && self.outgoing.is_empty() && self.current.is_empty()
    }

    fn turn(&mut self) -> io::Result<()> {
        self.advance()?;
        if self.over() {
            return Ok(());
        }
        let (out, lanes) = self.wait()?;
        if out {
            self.write()?;
        }
        // Words first, always: that a tap begins is said before it writes anything.
        for word in self.words.read()? {
            self.obey(word)?;
        }
        for lane in lanes.into_iter().filter(|at| self.may_read(*at)).collect::<Vec<_>>() {
            self.read(lane)?;
        }
        Ok(())
    }

    /// Sleeps until something can be done; what it is.
    fn wait(&self) -> io::Result<(bool, Vec<usize>)> {
        let writing = !self.current.is_empty();
        let read: Vec<usize> = (0..self.lanes.len()).filter(|at| self.may_read(*at)).collect();
        let mut fds = vec![PollFd::new(&self.words, PollFlags::IN)];
        // Without anything to write only its reader's end is of interest.
        let interest = if writing { PollFlags::OUT } else { PollFlags::empty() };
        fds.push(PollFd::new(&self.out, interest));
        fds.extend(
            read.iter()
                .map(|at| PollFd::from_borrowed_fd(self.lanes[*at].pipe.as_fd(), PollFlags::IN)),
        );
        loop {
            match poll(&mut fds, None) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let told = |at: usize| !fds[at].revents().is_empty();
        if fds[1].revents().contains(PollFlags::ERR) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let lanes = read
            .iter()
            .enumerate()
            .filter(|(at, _)| told(at + 2))
            .map(|(_, lane)| *lane);
        Ok((writing && told(1), lanes.collect()))
    }

    fn may_read(&self, lane: usize) -> bool {
        if self.lanes[lane].refused.is_some() {
            return false;
        }
        if self.floor == Some(lane) {
            return self.outgoing.len() < OUTGOING;
        }
        !self.room.full()
    }

    fn read(&mut self, lane: usize) -> io::Result<Got> {
        let mut done = Vec::new();
        let got = self.lanes[lane].read(&mut self.room, &mut done)?;
        self.take(lane, done)?;
        Ok(got)
    }

    fn take(&mut self, lane: usize, done: Vec<Stretch>) -> io::Result<()> {
        for stretch in done {
            if self.lanes[lane].streams {
                // What it was given the floor for is over: here is its STATE.
                self.lanes[lane].streams = false;
                self.lanes[lane].tail = 0;
                self.floor = None;
                self.send(stretch);
            } else {
                self.ready.push_back(stretch);
            }
        }
        if self.lanes[lane].streams {
            let rest = self.lanes[lane].let_go(&mut self.room);
            self.send(rest);
        }
        if let Some(why) = self.lanes[lane].refused {
            self.words.refused(lane, why)?;
        }
        Ok(())
    }

    /// Puts a stretch on its way, with the job's bookmark behind it.
    fn send(&mut self, stretch: Stretch) {
        self.records += stretch.records;
        self.outgoing.extend(stretch.blocks.into_iter().map(Outgoing::Block));
        if let Some(update) = stretch.state {
            self.bookmark = bookmark::merge(std::mem::take(&mut self.bookmark), update);
            let line = format!("{{\"type\":\"STATE\",\"value\":{}}}\n", self.bookmark);
            self.outgoing.push_back(Outgoing::Line(line.into_bytes()));
        }
    }

    /// Has the next bytes ready, and gives the floor to a lane when nothing else can go on.
    fn advance(&mut self) -> io::Result<()> {
        while self.current.is_empty() {
            match self.outgoing.pop_front() {
                Some(Outgoing::Block(block)) => self.current = self.room.take(block)?,
                Some(Outgoing::Line(line)) => self.current = line,
                None if self.floor.is_some() => break,
                None => match self.ready.pop_front() {
                    Some(stretch) => self.send(stretch),
                    None => break,
                },
            }
        }
        if self.current.is_empty() && self.floor.is_none() && self.room.full() {
            let longest = (0..self.lanes.len()).max_by_key(|at| self.lanes[*at].waiting());
            if let Some(lane) = longest.filter(|at| self.lanes[*at].waiting() > 0) {
                self.lanes[lane].streams = true;
                self.floor = Some(lane);
                let rest = self.lanes[lane].let_go(&mut self.room);
                self.send(rest);
                return self.advance();
            }
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        match self.out.write(&self.current[self.written..])? {
            Moved::Bytes(count) => self.written += count,
            Moved::Later => {}
            Moved::Closed => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        if self.written == self.current.len() {
            self.current = Vec::new();
            self.written = 0;
        }
        Ok(())
    }

    fn obey(&mut self, word: Word) -> io::Result<()> {
        match word {
            Word::Base(value) => self.bookmark = value,
            Word::Begin { lane, others } => self.lane(lane)?.begin(others),
            Word::End { lane, well } => {
                self.lane(lane)?;
                // Its data plane is gone: what it wrote is in the pipe.
                while self.lanes[lane].refused.is_none() && self.read(lane)? == Got::Some {}
                let rest = self.lanes[lane].end(well, &mut self.room)?;
                if well {
                    self.lanes[lane].tail = 0;
                }
                // Records that no STATE covers, of a tap that is to begin again: nothing may go out behind them.
                if self.floor == Some(lane) && self.lanes[lane].tail == 0 {
                    self.lanes[lane].streams = false;
                    self.floor = None;
                }
                if let Some(stretch) = rest {
                    self.ready.push_back(stretch);
                }
                let (last, tail) = (self.lanes[lane].last.take(), self.lanes[lane].tail);
                self.words.ended(lane, last.as_ref(), tail)?;
            }
            Word::Finish => self.finishing = true,
            Word::Gone => return Err(io::ErrorKind::BrokenPipe.into()), // the control plane is gone: nobody is told
        }
        Ok(())
    }

    fn lane(&mut self, at: usize) -> io::Result<&mut Lane> {
        self.lanes.get_mut(at).ok_or(io::Error::other("there is no such lane"))
    }
}
