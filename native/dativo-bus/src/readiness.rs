//! What the loop waits for: whose descriptor may be read or written now, and until when it waits at most.

use crate::hop::{Input, Output};
use crate::supervisor::Supervisor;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What a descriptor in the poll set belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token {
    Signals,
    Leash,
    Events,
    Log(usize),
    Answers(usize),
    Reports(usize),
    HopIn(usize),
    HopOut(usize),
}

impl Supervisor {
    /// Polls until something happens or the next deadline.
    pub(crate) fn wait(&mut self) -> io::Result<Vec<(Token, PollFlags)>> {
        let resting = self.hops.iter().any(|hop| hop.carrier.resting());
        let now = Instant::now();
        let deadline = self.next_deadline().into_iter().chain(resting.then_some(now)).min();
        // A deadline must be over when the poll is.
        let deadline = deadline.map(|at| at.saturating_duration_since(now) + Duration::from_millis(1));
        let lulls = self.hops.iter().filter_map(|hop| hop.unread_until(now));
        let timeout = deadline.into_iter().chain(lulls.map(|until| until - now)).min();
        let timeout = timeout.map(|left| Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        let mut wanted: Vec<(Token, BorrowedFd<'_>, PollFlags)> = Vec::with_capacity(16);
        wanted.push((Token::Signals, self.signals.as_fd(), PollFlags::IN));
        wanted.extend(
            self.leash
                .as_ref()
                .map(|leash| (Token::Leash, leash.as_fd(), PollFlags::IN)),
        );
        if !self.abandoned {
            let flags = if self.journal.pending().is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            wanted.push((Token::Events, self.events.as_fd(), flags));
        }
        for (index, child) in self.children.iter().enumerate() {
            let answers = child.stdout.as_ref().and_then(|o| o.stream.as_ref());
            wanted.extend(
                child
                    .stderr
                    .stream
                    .as_ref()
                    .map(|s| (Token::Log(index), s.as_fd(), PollFlags::IN)),
            );
            wanted.extend(
                child
                    .reports
                    .as_ref()
                    .map(|r| (Token::Reports(index), r.as_fd(), PollFlags::IN)),
            );
            wanted.extend(answers.map(|s| (Token::Answers(index), s.as_fd(), PollFlags::IN)));
        }
        let crowded = self.journal.crowded() && !self.abandoned;
        for (index, hop) in self.hops.iter().enumerate() {
            match &hop.input {
                Input::Open(stream) if hop.carrier.hungry() && !crowded && hop.unread_until(now).is_none() => {
                    wanted.push((Token::HopIn(index), stream.as_fd(), PollFlags::IN));
                }
                _ => {}
            }
            if let Output::Open(stream) | Output::Held(stream) = &hop.output {
                // Without anything to write, only the receiver's end is news.
                let flags = if hop.blocked() {
                    PollFlags::OUT
                } else {
                    PollFlags::empty()
                };
                wanted.push((Token::HopOut(index), stream.as_fd(), flags));
            }
        }
        let mut fds: Vec<PollFd<'_>> = wanted
            .iter()
            .map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        match poll(&mut fds, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            other => other?,
        };
        let happened = wanted.iter().zip(&fds).map(|((token, ..), fd)| (*token, fd.revents()));
        Ok(happened.filter(|(_, flags)| !flags.is_empty()).collect())
    }
}
