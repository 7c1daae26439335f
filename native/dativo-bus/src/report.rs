//! What the control plane is told: counters on the way, notices and the verdict at the end, as fast as it reads.

use crate::launch::Launched;
use crate::recorder::Recorder;
use crate::supervisor::Supervisor;
use dativo_bus_engine::event::{Covered, End, Event, StateTotals, Streams, Usage};
use dativo_bus_engine::junk::JunkCounts;
use dativo_bus_engine::plan::ConfirmPolicy;
use dativo_bus_engine::verdict::Failure;
use dativo_bus_engine::wiring;
use dativo_sandbox::pipes::Moved;
use dativo_sandbox::signals::SIGCHLD;
use dativo_sandbox::{limits, reap};
use rustix::event::{poll, PollFd, PollFlags};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const DONE: u8 = 0;
const INTERRUPTED: u8 = 1;
const ENVIRONMENT: u8 = 3;

/// What the last hop says: the totals at the target's edge.
#[derive(Default)]
struct Edge<'a> {
    streams: Streams<'a>,
    states: StateTotals,
    covered: Covered,
    complete: bool,
    answered: bool,
    last_records: u64,
    owed: bool,
}

impl Supervisor {
    /// Tells that a child was started, and what is promised of it.
    pub(crate) fn tell_spawned(&mut self, index: usize, launched: &Launched) {
        let spec = &self.plan.children[index];
        let (child, role) = (spec.name.as_str(), spec.role.name());
        let process = &launched.process;
        let pid = process.pid.as_raw_nonzero().get();
        self.journal.tell(&Event::Spawned { child, role, pid });
        self.journal.tell(&Event::Confined {
            child,
            profile: spec.sandbox.profile.name(),
            layout: process.layout.name(),
            guarantees: &process.guarantees,
            missing: &process.missing,
        });
    }

    /// Whether a `counters` event would say something new.
    pub(crate) fn counters_due(&self) -> bool {
        !self.abandoned && self.moved() != self.told
    }

    fn moved(&self) -> (u64, u64) {
        self.hops
            .last()
            .map_or((0, 0), |hop| (hop.carrier.bytes_in(), hop.carrier.bytes_out()))
    }

    /// Tells the totals, when they changed or when they are the `last` ones.
    pub(crate) fn tell_counters(&mut self, last: bool) {
        self.tell_at = Instant::now() + Duration::from_secs_f64(self.plan.counters_every);
        if !last && (!self.counters_due() || self.journal.crowded()) {
            return;
        }
        self.told = self.moved();
        let (bytes_in, bytes_out) = self.told;
        let junk = self.junk();
        let Some(relay) = self.hops.last_mut().and_then(|hop| hop.carrier.singer()) else {
            return;
        };
        let (states, records) = (relay.ledger.forwarded(), relay.router.delivered());
        let streams = relay.router.totals();
        let rejects = self.rejects.borrow();
        self.journal.tell(&Event::Counters {
            streams,
            junk,
            bytes_in,
            bytes_out,
            states,
            records,
            rejected: rejects.counts(),
        });
    }

    fn junk(&mut self) -> JunkCounts {
        let counts = self
            .hops
            .iter_mut()
            .filter_map(|hop| Some(hop.carrier.singer()?.router.junk));
        counts.fold(JunkCounts::default(), JunkCounts::plus)
    }

    /// Judges the run as a whole and queues the `end` event; the exit code of the bus.
    pub(crate) fn report(&mut self) -> u8 {
        self.tell_counters(true);
        let copied = self
            .hops
            .last_mut()
            .and_then(|hop| hop.carrier.singer()?.outlet.finish_copy());
        if let Some(failure) = copied {
            self.fail(failure);
        }
        self.require_confirmation();
        self.notices();
        let junk = self.junk();
        let (bytes_in, bytes_out) = self.moved();
        let (user, system) = reap::own_cpu();
        let edge = self
            .hops
            .last_mut()
            .and_then(|hop| hop.carrier.singer())
            .map(|relay| Edge::of(relay));
        let edge = edge.unwrap_or_default();
        let failure = self.verdict.failure();
        let rejects = self.rejects.borrow();
        let end = Event::End(End {
            verdict: if failure.is_none() { "done" } else { "interrupted" },
            reason: failure.map(|f| f.reason),
            child: failure.and_then(|f| f.child.as_deref()),
            message: failure.map_or("", |f| &f.message),
            stream: failure.and_then(|f| f.stream.as_deref()),
            line: failure.and_then(|f| f.line),
            offset: failure.and_then(|f| f.offset),
            setting: failure.and_then(|f| f.setting),
            streams: edge.streams,
            junk,
            rejected: rejects.counts(),
            states: edge.states,
            covered: edge.covered,
            last_bookmark_is_last_state: edge.complete,
            bytes_in,
            bytes_out,
            wall_s: self.started.elapsed().as_secs_f64(),
            bus: Usage {
                user_s: user.as_secs_f64(),
                sys_s: system.as_secs_f64(),
                max_rss_kb: limits::peak_rss_kb(),
            },
        });
        if let Some(recorder) = &self.recorder {
            recorder.event(&self.journal.line(&end, None));
        }
        self.journal.end(&end);
        match failure {
            None => DONE,
            Some(failure)
                if ["env.", "sandbox."]
                    .iter()
                    .any(|group| failure.reason.starts_with(group)) =>
            {
                ENVIRONMENT
            }
            Some(_) => INTERRUPTED,
        }
    }

    /// A target that took everything but never confirmed the last STATE may have died quietly (I11).
    fn require_confirmation(&mut self) {
        let has_target = matches!(self.hops.last().map(|hop| hop.to), Some(wiring::End::Child(_)));
        if !has_target || self.plan.policy.confirm == ConfirmPolicy::Never {
            return;
        }
        let Some(relay) = self.hops.last_mut().and_then(|hop| hop.carrier.singer()) else {
            return;
        };
        if Edge::of(relay).owed {
            let name = self.children.last().map_or("", |c| c.name.as_str()).to_string();
            let message =
                format!("{name} read everything and exited with 0, but never printed a STATE [policy.confirm]");
            self.fail(Failure::of("target.unconfirmed", &name, message).setting("policy.confirm"));
        }
    }

    /// What is worth saying although nothing failed.
    fn notices(&mut self) {
        let has_target = matches!(self.hops.last().map(|hop| hop.to), Some(wiring::End::Child(_)));
        let done = !self.verdict.failed();
        let nonstandard: u64 = self
            .hops
            .iter_mut()
            .filter_map(|hop| Some(hop.carrier.singer()?.router.nonstandard))
            .sum();
        let mut notices: Vec<(&str, String)> = Vec::new();
        if let Some(relay) = self.hops.last_mut().and_then(|hop| hop.carrier.singer()) {
            let edge = Edge::of(relay);
            let after = edge.covered.of - edge.last_records;
            if done && edge.states.forwarded > 0 && after > 0 {
                notices.push(("state.uncovered", format!("{after} records came after the last STATE")));
            }
            if done && has_target && edge.states.forwarded > 0 && !edge.answered {
                notices.push((
                    "state.unconfirmed",
                    "the target printed no STATE; the old bookmark stays".into(),
                ));
            }
        }
        if nonstandard > 0 {
            let text = format!("{nonstandard} numbers are NaN or Infinity, which JSON does not have");
            notices.push(("data.nonstandard_number", text));
        }
        if let Some(trouble) = self.recorder.as_ref().and_then(Recorder::trouble) {
            notices.push((
                "tape.ended",
                format!("the recording ended before the run did: {trouble}"),
            ));
        }
        for (code, text) in notices {
            self.journal.tell(&Event::Notice { code, text: &text });
        }
    }

    /// Writes events until the reader takes no more.
    pub(crate) fn send_events(&mut self) -> io::Result<()> {
        while !self.journal.pending().is_empty() {
            match self.events.write(self.journal.pending())? {
                Moved::Bytes(count) => self.journal.wrote(count),
                Moved::Later => break,
                Moved::Closed => {
                    self.abandon();
                    break;
                }
            }
            if self.events.needs_poll() {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the reader has taken every event, or is gone. A signal that crosses the verdict is too late: two stop.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.abandoned && !self.journal.pending().is_empty() {
            let mut fds = vec![
                PollFd::new(&self.events, PollFlags::OUT),
                PollFd::new(&self.signals, PollFlags::IN),
            ];
            if let Some(leash) = &self.leash {
                fds.push(PollFd::from_borrowed_fd(leash.as_fd(), PollFlags::empty()));
            }
            match poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let gone = fds
                .iter()
                .any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP));
            let stop = fds[1].revents().contains(PollFlags::IN) && self.signals.next()?.is_some_and(|s| s != SIGCHLD);
            if gone || stop && self.cancelled.replace(Instant::now()).is_some() {
                return Ok(());
            }
            self.send_events()?;
        }
        Ok(())
    }
}

impl Edge<'_> {
    fn of(relay: &dativo_bus_engine::relay::Relay) -> Edge<'_> {
        let (ledger, router) = (&relay.ledger, &relay.router);
        Edge {
            streams: router.totals(),
            states: StateTotals {
                forwarded: ledger.forwarded(),
                confirmed: ledger.bookmarks(),
            },
            covered: Covered {
                records: ledger.covered(),
                of: router.records,
            },
            complete: ledger.complete(),
            answered: ledger.answered(),
            last_records: ledger.last_records(),
            owed: ledger.owed(router.messages),
        }
    }
}
