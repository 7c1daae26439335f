//! Ending in order: EOF, patience, SIGTERM to the group, SIGKILL to every descendant (I8).
//!
//! Each way in which an end of the stream stops is one method here. All of them lead to the same two movements: what
//! is upstream of the break is asked to stop, what is downstream gets the rest and then its EOF (or SIGTERM, when the
//! plan says that a broken-off input must not be committed).

use crate::child::{Child, Overdue};
use crate::give_back;
use crate::hop::{Input, Output};
use crate::leash::Fate;
use crate::supervisor::Supervisor;
use dativo_bus_engine::event::Event;
use dativo_bus_engine::ledger::Answer;
use dativo_bus_engine::plan::Role;
use dativo_bus_engine::relay::Heard;
use dativo_bus_engine::verdict::{judge_exit, ExitFacts, Failure};
use dativo_bus_engine::wiring::{self, End};
use dativo_sandbox::reap::{reap, Exit, Reaped};
use dativo_sandbox::tree;
use std::io;
use std::time::{Duration, Instant};

impl Supervisor {
    pub(crate) fn term_grace(&self) -> Duration {
        Duration::from_secs_f64(self.plan.grace.term)
    }

    pub(crate) fn drain_grace(&self) -> Duration {
        Duration::from_secs_f64(self.plan.grace.drain)
    }

    /// Whether all is still: nobody runs, nothing moves, nothing more is said.
    pub(crate) fn over(&self) -> bool {
        self.children
            .iter()
            .all(|c| !c.alive() && c.stdout.as_ref().is_none_or(|o| o.stream.is_none()))
            && self.hops.iter().all(|h| h.settled())
    }

    /// The first SIGTERM or SIGINT: the tap is asked to stop, the rest drains.
    pub(crate) fn cancel(&mut self, signal: i32) {
        self.cancelled = Some(Instant::now());
        self.fail(Failure::run("run.cancelled", format!("cancelled by signal {signal}")));
        let grace = self.term_grace();
        for child in &mut self.children {
            match child.role {
                Role::Tap | Role::Probe => child.ask(grace),
                Role::Mapper | Role::Target | Role::Checker => {}
            }
        }
        // Who is past its EOF already has that long to finish from now on.
        let until = Instant::now() + self.drain_grace();
        for child in &mut self.children {
            if child.alive() && child.input_closed && !child.asked {
                child.patience = Some((until, Overdue::End));
            }
        }
    }

    /// Kills everything at once; the loop then only collects.
    pub(crate) fn kill_all(&mut self) {
        for child in &mut self.children {
            child.asked = true;
            child.patience = None;
        }
        tree::kill_descendants(&[]);
        for hop in &mut self.hops {
            hop.break_off();
        }
    }

    /// The control plane is gone: end everything, report nothing.
    pub(crate) fn abandon(&mut self) {
        if !self.abandoned {
            self.abandoned = true;
            self.fail(Failure::run("run.cancelled", "the control plane is gone"));
            self.kill_all();
        }
    }

    /// A line that cannot be used: what is before it is still delivered.
    pub(crate) fn data_failed(&mut self, index: usize, failure: Failure) {
        self.fail(failure);
        self.hops[index].input = Input::Done;
        self.stop_upstream(index);
    }

    /// EOF from a hop's writer.
    pub(crate) fn input_ended(&mut self, index: usize) {
        match self.hops[index].from {
            End::Child(child) => {
                // It has nothing more to give; even a plan without patience does not wait for ever.
                let patience = self
                    .plan
                    .grace
                    .eof
                    .unwrap_or(self.plan.grace.drain.max(self.plan.grace.term));
                let child = &mut self.children[child];
                if child.alive() && !child.asked {
                    child.patience = Some((Instant::now() + Duration::from_secs_f64(patience), Overdue::End));
                }
            }
            End::Source if self.plan.source.as_ref().is_some_and(|s| s.await_verdict) && self.fate.is_none() => {
                self.journal.tell(&Event::SourceEof {});
            }
            End::Source | End::Sink => {}
        }
    }

    /// The reader of a hop closed its end or ended: nothing more can be delivered.
    pub(crate) fn receiver_gone(&mut self, index: usize) {
        if !matches!(
            self.hops[index].output,
            Output::Open(_) | Output::Held(_) | Output::Lost
        ) {
            return;
        }
        let reader = match self.hops[index].to {
            End::Child(reader) => Some(reader),
            End::Source | End::Sink => None,
        };
        if self.loss.as_ref().is_some_and(|loss| Some(loss.index) == reader) {
            return; // it is waited for, see [`crate::restart`]
        }
        if let Some(reader) = reader.filter(|reader| self.children[*reader].alive() && self.mendable(*reader)) {
            // It has a moment to end, and may then be started again.
            self.hops[index].lose_receiver();
            let until = Instant::now() + self.term_grace();
            let child = &mut self.children[reader];
            if !child.asked {
                child.patience = Some((until, Overdue::Explain));
            }
            return;
        }
        self.hops[index].break_off();
        match self.hops[index].to {
            End::Child(reader) => {
                // Its exit status says why; it has a moment to give one.
                let until = Instant::now() + self.term_grace();
                let child = &mut self.children[reader];
                if child.alive() && !child.asked {
                    child.patience = Some((until, Overdue::Explain));
                }
            }
            End::Source | End::Sink => {
                let name = wiring::name(&self.plan, End::Sink);
                self.fail(Failure::of("pipe.closed", name, format!("{name} closed the pipe")));
            }
        }
        self.stop_upstream(index);
    }

    fn stop_upstream(&mut self, index: usize) {
        let grace = self.term_grace();
        if let End::Child(writer) = self.hops[index].from {
            for child in &mut self.children[..=writer] {
                child.ask(grace);
            }
        }
        for hop in &mut self.hops[..index] {
            hop.carrier.cut();
            hop.input = Input::Done;
        }
    }

    /// Takes a hop from EOF to the receiver's EOF, as far as it may go now.
    pub(crate) fn close_if_due(&mut self, index: usize) -> io::Result<()> {
        if let Input::Ended(at) = self.hops[index].input {
            let Some(died) = self.writer_ended(index, at) else {
                return Ok(());
            };
            let hop = &mut self.hops[index];
            if !hop.carrier.idle() {
                return Ok(());
            }
            let well = match hop.from {
                End::Child(writer) => self.children[..=writer].iter().all(|c| !c.alive() && c.well),
                End::Source | End::Sink => true,
            };
            if let Some(relay) = hop.carrier.singer().filter(|_| well && !died && !self.verdict.failed()) {
                relay.ended_well();
            }
            let failure = hop.finish(died, &mut self.journal);
            let lost = self
                .loss
                .as_ref()
                .is_some_and(|loss| hop.from == End::Child(loss.index));
            hop.input = if lost { Input::Lost } else { Input::Done };
            if let Some(failure) = failure {
                self.data_failed(index, failure);
            }
            self.hops[index].push()?;
        }
        let hop = &self.hops[index];
        if !matches!(hop.input, Input::Done) || hop.blocked() || !matches!(hop.output, Output::Open(_)) {
            return Ok(());
        }
        let reader = match hop.to {
            End::Child(reader) => Some(reader),
            End::Source | End::Sink => None,
        };
        let failed = self.verdict.failed();
        let hop = &mut self.hops[index];
        match reader.map(|reader| &mut self.children[reader]) {
            Some(child) if failed && child.wants_term() && child.alive() => {
                if let Output::Open(stream) = std::mem::replace(&mut hop.output, Output::Broken) {
                    hop.output = Output::Held(stream);
                }
                // First it may read what is in the pipe; see check_clock.
                child.patience = Some((
                    Instant::now() + Duration::from_secs_f64(self.plan.grace.drain),
                    Overdue::End,
                ));
            }
            Some(child) => {
                hop.close_output();
                child.input_closed = true;
                let patience = if self.cancelled.is_some() {
                    Some(self.plan.grace.drain)
                } else {
                    self.plan.grace.eof
                };
                let until = patience.map(|s| (Instant::now() + Duration::from_secs_f64(s), Overdue::End));
                child.patience = until.filter(|_| child.alive() && !child.asked);
            }
            None => hop.close_output(),
        }
        Ok(())
    }

    /// After a writer's EOF: whether it died, or None while that is not known yet.
    fn writer_ended(&mut self, index: usize, since: Instant) -> Option<bool> {
        let hop = &self.hops[index];
        match hop.from {
            End::Child(writer) => {
                let child = &self.children[writer];
                let waited = since.elapsed() >= self.term_grace();
                (!child.alive() || waited).then_some(!child.alive() && !child.well || self.verdict.failed())
            }
            End::Source | End::Sink => {
                let waits = self.plan.source.as_ref().is_some_and(|s| s.await_verdict);
                if !waits || self.verdict.failed() {
                    return Some(self.verdict.failed());
                }
                let fate = self.fate.clone()?;
                if let Fate::Died(reason) = fate {
                    let name = wiring::name(&self.plan, End::Source).to_string();
                    let detail = if reason.is_empty() {
                        String::new()
                    } else {
                        format!(": {reason}")
                    };
                    self.fail(Failure::of("pipe.upstream_died", &name, format!("{name} died{detail}")));
                    return Some(true);
                }
                Some(false)
            }
        }
    }

    /// Collects every child that has ended.
    pub(crate) fn reap(&mut self) -> io::Result<()> {
        while let Reaped::Ended(exit) = reap()? {
            if let Some(index) = self.children.iter().position(|c| c.pid == exit.pid && c.alive()) {
                self.child_ended(index, &exit)?;
            }
        }
        Ok(())
    }

    fn child_ended(&mut self, index: usize, exit: &Exit) -> io::Result<()> {
        let now = Instant::now();
        let child = &mut self.children[index];
        child.ended = Some(now);
        child.well = exit.code == Some(0);
        (child.kill_at, child.patience) = (None, None);
        child.read_log(&mut self.journal)?;
        self.read_reports(index)?;
        self.read_answers(index, true)?;
        self.give_back(index);
        let input = self.hops.iter().position(|hop| hop.to == End::Child(index));
        let told = self.told(input);
        let child = &self.children[index];
        let (peak_kb, peak_processes) = self.watch.peak(index, exit);
        self.journal.close_log(&child.name);
        self.journal.tell(&Event::Exited {
            child: &child.name,
            code: exit.code,
            signal: exit.signal,
            user_s: exit.user.as_secs_f64(),
            sys_s: exit.system.as_secs_f64(),
            max_rss_kb: exit.max_rss_kb,
            wall_s: (now - child.started).as_secs_f64(),
            peak_kb,
            peak_processes,
        });
        let facts = ExitFacts {
            child: &child.name,
            code: exit.code,
            signal: exit.signal,
            stop_line: child.stop_line.as_deref(),
            input_closed: input.map(|_| child.input_closed),
            unread: input.map_or(0, |hop| self.hops[hop].unread()),
        };
        let failure = judge_exit(&facts).or(told).filter(|_| !child.asked);
        let failed = exit.code != Some(0);
        let failure = failure.map(|f| self.watch.explain(index, child, exit).filter(|_| failed).unwrap_or(f));
        self.children[index].well &= failure.is_none();
        if self.is_try(index) && !self.verdict.failed() {
            return self.tried(failure);
        }
        match failure {
            Some(failure) if self.mendable(index) => {
                self.lose(index, failure, exit);
                return Ok(());
            }
            Some(failure) => self.fail(failure),
            None => {}
        }
        if let Some(hop) = input {
            self.receiver_gone(hop);
        }
        Ok(())
    }

    /// Hands back the files that it was given to write and has changed.
    fn give_back(&mut self, index: usize) {
        // One that speaks Airbyte says it (see [`Supervisor::renew`]), and may have said it on what is not read yet.
        if self.plan.children[index].airbyte.is_some() || !self.backs.keys().any(|(child, _)| *child == index) {
            return;
        }
        let spec = &self.plan.children[index];
        let Some(scratch) = self.watch.scratch(index) else {
            return;
        };
        let troubles = match give_back::directory(scratch) {
            Ok(directory) => give_back::give_back(spec, index, directory, &mut self.backs),
            Err(e) => vec![format!("{}: its files cannot be read any more: {e}", spec.name)],
        };
        self.backs.retain(|(child, _), _| *child != index);
        for trouble in troubles {
            self.journal.log(&spec.name, "stderr", trouble.as_bytes(), false);
        }
    }

    /// Reads a target's stdout: STATEs are judged, the rest is log. With `rest`, all that its ended writer left.
    pub(crate) fn read_answers(&mut self, index: usize, rest: bool) -> io::Result<()> {
        let Some(mut output) = self.children[index].stdout.take() else {
            return Ok(());
        };
        let read = if rest {
            output.read_rest(|line| self.answer(index, &line))
        } else {
            output.read(|line| self.answer(index, &line)).map(drop)
        };
        self.children[index].stdout = Some(output);
        read
    }

    pub(crate) fn answer(&mut self, index: usize, line: &dativo_bus_engine::lines::Line<'_>) {
        let child = &self.children[index];
        if line.bytes.trim_ascii().is_empty() {
            return;
        }
        let hop = self.hops.iter_mut().find(|hop| hop.to == End::Child(index));
        let consumed = hop.as_ref().map_or(0, |hop| hop.consumed());
        let relay = hop.and_then(|hop| hop.carrier.singer());
        let (Some(relay), false) = (relay, line.cut) else {
            return Child::log_stdout(&child.name, line, child.log_cap(), &mut self.journal);
        };
        if relay.give_back(line.bytes) {
            return;
        }
        let answer = match relay.hear(line.bytes, consumed, &mut self.journal) {
            None => relay.ledger.answer(line.bytes, consumed),
            Some(Heard::Answer(answer)) => answer,
            Some(Heard::Nothing) => return self.renew_reader(index),
            Some(Heard::Failed(failure)) => {
                let last = self.hops.len() - 1;
                return self.data_failed(last, failure);
            }
        };
        if let Some(recorder) = &self.recorder {
            recorder.answer(&child.name, line.bytes, &answer, &self.journal);
        }
        match answer {
            Answer::Log => Child::log_stdout(&child.name, line, child.log_cap(), &mut self.journal),
            Answer::Repeat => {}
            Answer::Ignored(why) => {
                self.journal.state_ignored(&child.name, why, line.bytes);
            }
            Answer::Bookmark {
                value,
                records,
                seq,
                books,
            } => {
                relay.confirmed();
                let (of, books) = (relay.router.records, relay.router.named(books));
                // I9: a bookmark goes past no letter that could still be lost.
                if self.keep_letters() {
                    self.journal.bookmark(&value, records, of, seq, books);
                }
            }
            Answer::Unbalanced(accepted, handed) => {
                let message = format!(
                    "{} records were accepted and {} handed to {}, or not the same ones: the bookmark is not kept",
                    accepted.records, handed.records, child.name
                );
                let failure = Failure::of("delivery.unbalanced", &child.name, message);
                let last = self.hops.len() - 1;
                self.data_failed(last, failure);
            }
        }
    }

    /// Ends whatever the children left behind, and collects it.
    pub(crate) fn sweep(&mut self) -> io::Result<()> {
        loop {
            match reap()? {
                Reaped::Nobody => return Ok(()),
                Reaped::Ended(_) => {}
                Reaped::Running => {
                    if !tree::kill_descendants(&[]).is_empty() {
                        // Stuck in the kernel: SIGKILL is pending and the bus cannot do more.
                        return Ok(());
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
}
