//! The clock: who has run out of time, and when to look next. What then happens is in [`crate::shutdown`].

use crate::child::Overdue;
use crate::hop::{Input, Output};
use crate::supervisor::Supervisor;
use dativo_bus_engine::verdict::Failure;
use dativo_bus_engine::wiring::End;
use dativo_sandbox::{pipes, tree, Pid};
use std::io;
use std::time::{Duration, Instant};

/// How often a receiver that must not see EOF, or a pipe that an orphan holds open, is looked at.
const LOOK: Duration = Duration::from_millis(20);

impl Supervisor {
    /// Acts on every deadline that has passed.
    pub(crate) fn check_clock(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for index in 0..self.children.len() {
            self.check_child(index, now)?;
        }
        if let Some(since) = self.cancelled {
            self.check_cancelled(since, now);
        }
        for index in 0..self.hops.len() {
            self.check_hop(index, now);
        }
        self.check_limits(now);
        if now >= self.tell_at {
            self.tell_counters(false);
        }
        Ok(())
    }

    fn check_child(&mut self, index: usize, now: Instant) -> io::Result<()> {
        let term = self.term_grace();
        let child = &mut self.children[index];
        if child.kill_at.is_some_and(|at| now >= at) {
            child.kill_at = None;
            tree::kill_child(child.pid);
        }
        // A process that it left behind holds its stdout: its own words are all in by now.
        if child.ended.is_some_and(|at| now >= at + term) && child.stdout.as_ref().is_some_and(|o| o.stream.is_some()) {
            self.read_answers(index, true)?;
            let Some(mut output) = self.children[index].stdout.take() else {
                return Ok(());
            };
            output.close(|line| self.answer(index, &line));
            self.children[index].stdout = Some(output);
        }
        let child = &mut self.children[index];
        if let Some((_, overdue)) = child.patience.filter(|(at, _)| now >= *at) {
            child.patience = None;
            child.ask(term);
            let name = child.name.clone();
            let failure = match overdue {
                Overdue::End => Failure::of(
                    "plugin.hung",
                    &name,
                    format!("{name} did not end in the time it had [grace.eof]"),
                )
                .setting("grace.eof"),
                Overdue::Explain => Failure::of(
                    "plugin.early_end",
                    &name,
                    format!("{name} closed its input before it had ended"),
                ),
            };
            self.fail(failure);
        }
        Ok(())
    }

    /// A cancelled run: what does not end by itself is cut when its time is up.
    fn check_cancelled(&mut self, since: Instant, now: Instant) {
        if now >= since + self.term_grace() {
            for hop in &mut self.hops {
                if hop.from == End::Source && matches!(hop.input, Input::Open(_)) {
                    hop.carrier.cut();
                    hop.input = Input::Done;
                }
            }
        }
        if now >= since + self.term_grace() + self.drain_grace() {
            for index in 0..self.hops.len() {
                if self.hops[index].to == End::Sink {
                    self.receiver_gone(index);
                }
            }
            let term = self.term_grace();
            for child in &mut self.children {
                child.ask(term);
            }
        }
    }

    fn check_hop(&mut self, index: usize, now: Instant) {
        let term = self.term_grace();
        let carrier = &mut self.hops[index].carrier;
        if carrier.due().is_some_and(|due| due <= now) {
            if let Some(failure) = carrier.quiet(now) {
                self.data_failed(index, failure);
            }
        }
        let hop = &self.hops[index];
        // A held receiver has read all it was given: now it may stop.
        if let (Output::Held(_), End::Child(reader)) = (&hop.output, hop.to) {
            if hop.unread() == 0 {
                let drain = self.drain_grace();
                self.children[reader].ask(drain);
            }
        }
        // A process that its ended writer left behind keeps the pipe open and silent.
        if let (Input::Open(stream), End::Child(writer)) = (&hop.input, hop.from) {
            let child = &self.children[writer];
            let orphaned = child.ended.is_some_and(|at| now >= at + term);
            if orphaned && !hop.blocked() && pipes::unread(stream).unwrap_or(0) == 0 {
                let name = child.name.clone();
                let message = format!("{name} ended, but a process that it left behind keeps its output open");
                self.fail(Failure::of("plugin.hung", &name, message));
                let living: Vec<Pid> = self.children.iter().filter(|c| c.alive()).map(|c| c.pid).collect();
                tree::kill_descendants(&living);
                self.hops[index].input = Input::Ended(now);
            }
        }
    }

    /// When the clock must be looked at next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let term = self.term_grace();
        let children = self.children.iter().flat_map(|c| {
            let held = c
                .ended
                .filter(|_| c.stdout.as_ref().is_some_and(|o| o.stream.is_some()))
                .map(|at| at + term);
            [c.kill_at, c.patience.map(|(at, _)| at), held]
        });
        let hops = self.hops.iter().flat_map(|hop| {
            let ended = if let Input::Ended(at) = hop.input {
                Some(at + term)
            } else {
                None
            };
            let open = matches!(hop.input, Input::Open(_));
            let orphan = match hop.from {
                End::Child(writer) if open => self.children[writer].ended.map(|at| (at + term).max(now + LOOK)),
                _ => None,
            };
            let held = matches!(hop.output, Output::Held(_)).then(|| now + LOOK);
            [ended, orphan, held, hop.carrier.due()]
        });
        let cancelled = self.cancelled.into_iter().flat_map(|since| {
            let (cut, end) = (since + term, since + term + self.drain_grace());
            [cut, end].into_iter().filter(|at| *at > now).map(Some)
        });
        let tell = self.counters_due().then_some(self.tell_at);
        let look = self.next_look();
        children
            .chain(hops)
            .chain(cancelled)
            .chain([tell, look])
            .flatten()
            .min()
    }
}
