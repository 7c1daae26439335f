//! Moving bytes both ways between two sockets, without ever having them: `splice` through a pipe for each direction.

use crate::pipes;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{shutdown, sockopt::socket_error, Shutdown};
use rustix::pipe::{fcntl_getpipe_size, splice, SpliceFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The size that a pipe grows to once it was full.
const BULK: usize = 256 << 10;

/// How a connection went.
#[derive(Debug)]
pub(super) struct Pumped {
    /// Bytes from the first socket to the second.
    pub(super) forth: u64,
    /// Bytes from the second socket to the first.
    pub(super) back: u64,
    /// What broke it off, unless both sides ended properly.
    pub(super) broken: Option<Errno>,
}

/// Pumps between two sockets, which must not block, until both directions have ended. An end of one direction is passed
/// on as such (the other goes on); what breaks a side is for the caller to pass on, by a reset.
pub(super) fn pump(first: BorrowedFd<'_>, second: BorrowedFd<'_>) -> io::Result<Pumped> {
    let ends = [first, second];
    let mut flows = [Flow::new()?, Flow::new()?];
    let mut dead = [false; 2];
    let mut broken = None;
    loop {
        let mut moved = false;
        for from in 0..2 {
            let to = 1 - from;
            if flows[from].done {
                continue;
            }
            match flows[from].step(ends[from], ends[to]) {
                Ok(some) => moved |= some,
                Err(Trouble::Reading(errno)) => {
                    // What was read before still goes on; nothing reaches that side any more.
                    broken.get_or_insert(errno);
                    flows[from].ended = true;
                    flows[to].done = true;
                    dead[from] = true;
                    moved = true;
                }
                Err(Trouble::Writing(errno)) => {
                    // What that side said before it went is still read, by the other direction.
                    broken.get_or_insert(errno);
                    flows[from].done = true;
                    dead[to] = true;
                    moved = true;
                }
            }
            // A dead socket is never "not ready yet": its end has been read.
            flows[from].ended |= dead[from] && !moved && flows[from].held == 0;
            if flows[from].ended && flows[from].held == 0 && !flows[from].done {
                flows[from].done = true;
                moved = true;
                if broken.is_none() {
                    // It may be gone by now, and then the other direction meets that.
                    let _ = shutdown(ends[to], Shutdown::Write);
                }
            }
        }
        if flows.iter().all(|flow| flow.done) {
            return Ok(Pumped {
                forth: flows[0].passed,
                back: flows[1].passed,
                broken,
            });
        }
        if !moved {
            wait(ends, &mut flows, &mut dead, &mut broken)?;
        }
    }
}

/// Waits until something can move, or a side dies while nothing is wanted from it.
fn wait(
    ends: [BorrowedFd<'_>; 2],
    flows: &mut [Flow; 2],
    dead: &mut [bool; 2],
    broken: &mut Option<Errno>,
) -> io::Result<()> {
    let mut set = Vec::with_capacity(2);
    let mut sides = Vec::with_capacity(2);
    for side in 0..2 {
        let (out, back) = (&flows[side], &flows[1 - side]);
        let mut wanted = PollFlags::empty();
        if !out.done && !out.ended && out.held == 0 {
            wanted |= PollFlags::IN;
        }
        if !back.done && back.held > 0 {
            wanted |= PollFlags::OUT;
        }
        if !dead[side] {
            set.push(PollFd::from_borrowed_fd(ends[side], wanted));
            sides.push(side);
        }
    }
    if set.is_empty() {
        // Not reached: between two dead sockets everything has an end. It must not wait for ever if it were.
        return Err(Errno::CONNRESET.into());
    }
    match poll(&mut set, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    for (side, polled) in sides.into_iter().zip(&set) {
        if polled
            .revents()
            .intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
        {
            // Gone in both directions. What it sent before is still there to read.
            dead[side] = true;
            if !flows[1 - side].done {
                flows[1 - side].done = true;
                let errno = socket_error(ends[side]).ok().and_then(Result::err);
                broken.get_or_insert(errno.unwrap_or(Errno::CONNRESET));
            }
        }
    }
    Ok(())
}

enum Trouble {
    Reading(Errno),
    Writing(Errno),
}

/// One direction.
struct Flow {
    reader: OwnedFd,
    writer: OwnedFd,
    room: usize,
    grown: bool,
    held: usize,
    passed: u64,
    ended: bool,
    done: bool,
}

impl Flow {
    fn new() -> io::Result<Flow> {
        let (reader, writer) = pipes::pipe(0)?;
        Ok(Flow {
            room: fcntl_getpipe_size(&writer)?,
            reader,
            writer,
            grown: false,
            held: 0,
            passed: 0,
            ended: false,
            done: false,
        })
    }

    /// Takes what is there and passes it on as far as possible; says whether anything happened.
    fn step(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<bool, Trouble> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let mut moved = false;
        if !self.ended && self.held < self.room {
            match splice(from, None, self.writer.as_fd(), None, self.room - self.held, flags) {
                Ok(0) => {
                    self.ended = true;
                    moved = true;
                }
                Ok(n) => {
                    self.held += n;
                    moved = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(Trouble::Reading(errno)),
            }
        }
        if self.held >= self.room / 2 && !self.grown {
            self.grown = true;
            pipes::grow(&self.writer, BULK);
            self.room = fcntl_getpipe_size(&self.writer).unwrap_or(self.room);
        }
        while self.held > 0 {
            match splice(self.reader.as_fd(), None, to, None, self.held, flags) {
                Ok(0) | Err(Errno::AGAIN | Errno::INTR) => break,
                Ok(n) => {
                    self.held = self.held.saturating_sub(n);
                    self.passed += n as u64;
                    moved = true;
                }
                Err(errno) => return Err(Trouble::Writing(errno)),
            }
        }
        Ok(moved)
    }
}
