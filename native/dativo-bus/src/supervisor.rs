//! The loop: one `poll` over everything, then whatever can move moves.

use crate::checker::Checker;
use crate::child::{Child, Ends as ChildEnds};
use crate::ends::Ends;
use crate::give_back::Backs;
use crate::handover::Grants;
use crate::hop::{Hop, Input, Pushed};
use crate::launch::{launch, Launching};
use crate::leash::{Fate, Leash, Pull};
use crate::readiness::Token;
use crate::recorder::Recorder;
use crate::restart::Loss;
use crate::run_dir::RunDir;
use crate::search::Search;
use crate::spool;
use crate::watch::Watch;
use dativo_bus_engine::batch::Gate;
use dativo_bus_engine::capture::Capture;
use dativo_bus_engine::check::rejects::{Book, Rejects};
use dativo_bus_engine::event::Event;
use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::plan::{Plan, Role};
use dativo_bus_engine::relay::{Carrier, Relay};
use dativo_bus_engine::verdict::{Failure, Verdict};
use dativo_bus_engine::wiring::{self, End};
use dativo_sandbox::pipes::{self, Direction, Stream};
use dativo_sandbox::signals::{SignalFd, SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use dativo_sandbox::spawn::Told;
use dativo_sandbox::{tree, Zygote};
use rustix::event::PollFlags;
use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

/// A run while it lasts.
pub struct Supervisor {
    pub(crate) plan: Plan,
    pub(crate) children: Vec<Child>,
    pub(crate) hops: Vec<Hop>,
    pub(crate) journal: Journal,
    pub(crate) verdict: Verdict,
    pub(crate) started: Instant,
    /// The first SIGTERM or SIGINT came then.
    pub(crate) cancelled: Option<Instant>,
    pub(crate) fate: Option<Fate>,
    /// The control plane is gone: there is nobody to report to.
    pub(crate) abandoned: bool,
    pub(crate) told: (u64, u64),
    pub(crate) tell_at: Instant,
    pub(crate) watch: Watch,
    pub(crate) backs: Backs,
    /// What is not delivered.
    pub(crate) rejects: Book,
    /// A child that is waited for.
    pub(crate) loss: Option<Loss>,
    /// What a target dies of is looked for.
    pub(crate) search: Option<Search>,
    /// How often a child was started again.
    pub(crate) generation: u64,
    /// What starts children, as long as any may be started.
    pub(crate) zygote: Option<Rc<Zygote>>,
    pub(crate) run_dir: Option<Rc<RunDir>>,
    /// Who judges what the bus cannot.
    pub(crate) checker: Option<Rc<RefCell<Checker>>>,
    pub(crate) recorder: Option<Recorder>,
    /// Where rows lie that go as columns.
    spool: Option<Rc<RunDir>>,
    pub(crate) events: Stream,
    pub(crate) leash: Option<Leash>,
    pub(crate) signals: SignalFd,
}

/// Runs a plan to its verdict; the exit code of the bus.
pub fn run(plan: Plan, ends: Ends, zygote: Zygote) -> io::Result<u8> {
    let signals = SignalFd::block(&[SIGTERM, SIGINT, SIGHUP, SIGCHLD], false)?;
    tree::become_subreaper()?;
    let now = Instant::now();
    let mut supervisor = Supervisor {
        children: Vec::new(),
        hops: Vec::new(),
        journal: Journal::new(plan.secrets.iter().map(|s| s.0.as_str())).map_err(io::Error::other)?,
        verdict: Verdict::default(),
        started: now,
        cancelled: None,
        fate: None,
        abandoned: false,
        told: (0, 0),
        tell_at: now,
        watch: Watch::new(),
        backs: ends.backs,
        rejects: Rejects::new(&plan, crate::edge::letterbox(&plan)),
        loss: None,
        search: None,
        generation: 0,
        zygote: None,
        run_dir: None,
        checker: None,
        recorder: None,
        spool: None,
        events: Stream::inherited(ends.events, Direction::Write)?,
        leash: ends.control.map(Leash::new).transpose()?,
        signals,
        plan,
    };
    let event = Event::Started {
        run: &supervisor.plan.run,
        bus_version: env!("CARGO_PKG_VERSION"),
    };
    supervisor.journal.tell(&event);
    let place = Recorder::begin(&supervisor.plan).and_then(|recorder| {
        supervisor.recorder = recorder;
        let run_dir = RunDir::create(&supervisor.plan.run_dir)?;
        supervisor.spool = spool::make(&supervisor.plan)?;
        Ok(run_dir)
    });
    match place {
        Ok(run_dir) => {
            let (zygote, run_dir) = (Rc::new(zygote), Rc::new(run_dir));
            supervisor.checker = Checker::of(&supervisor.plan, &zygote, &run_dir);
            supervisor.start(&zygote, &run_dir, ends.source, ends.sink)?;
            supervisor.zygote = supervisor.plan.spill.is_some().then_some(zygote);
            supervisor.run_dir = Some(run_dir);
        }
        Err(failure) => {
            supervisor.verdict.fail(failure);
        }
    }
    while !supervisor.over() {
        supervisor.turn()?;
    }
    supervisor.zygote = None;
    supervisor.close_checker();
    supervisor.sweep()?;
    supervisor.keep_letters();
    supervisor.run_dir = None;
    let code = supervisor.report();
    supervisor.flush()?;
    Ok(code)
}

impl Supervisor {
    /// Starts every child and wires the hops. A child that cannot be started ends the run before any byte moved.
    fn start(
        &mut self,
        zygote: &Zygote,
        run_dir: &RunDir,
        mut source: Option<OwnedFd>,
        mut sink: Option<OwnedFd>,
    ) -> io::Result<()> {
        let wiring = wiring::hops(&self.plan);
        // Before anybody runs who could put something else in the place of what is granted.
        let mut gates: Vec<Option<Grants>> = wiring.iter().map(|hop| Grants::of(&self.plan, *hop)).collect();
        let mut ends: Vec<ChildEnds> = Vec::new();
        let begin = |index: usize| launch(zygote, &self.plan, index, run_dir, &index.to_string());
        let begun: Vec<_> = (0..self.plan.children.len()).map(begin).collect(); // confining one takes a while
        for (index, launching) in begun.into_iter().enumerate() {
            let mut launched = match launching.and_then(Launching::confirmed) {
                Ok(launched) => launched,
                Err(failure) => {
                    self.verdict.fail(failure);
                    self.kill_all();
                    return Ok(());
                }
            };
            self.tell_spawned(index, &launched);
            let spec = &self.plan.children[index];
            let (group, scratch) = (launched.group.take(), launched.process.scratch.take());
            self.watch.add(spec, &launched.process, group, scratch);
            let taken = wiring.iter().any(|hop| hop.from == End::Child(index));
            let (mut child, pipe_ends) = Child::new(&self.plan, spec, launched, taken)?;
            child.wire = self.recorder.as_ref().map(|recorder| recorder.child(&spec.name));
            self.children.push(child);
            ends.push(pipe_ends);
        }
        for (number, hop) in wiring.iter().enumerate() {
            let input = match hop.from {
                End::Child(index) => ends[index].output.take().map(Stream::owned),
                End::Source | End::Sink => source.take().map(|fd| Stream::inherited(fd, Direction::Read)),
            };
            let output = match hop.to {
                End::Child(index) => ends[index].input.take().map(Stream::owned),
                End::Source | End::Sink => sink.take().map(|fd| Stream::inherited(fd, Direction::Write)),
            };
            let (Some(input), Some(output)) = (input.transpose()?, output.transpose()?) else {
                continue;
            };
            for (end, stream) in [(hop.from, &input), (hop.to, &output)] {
                if !matches!(end, End::Child(_)) {
                    pipes::grow(stream, self.plan.limits.pipe);
                }
            }
            let writer = wiring::name(&self.plan, hop.from);
            let probe = self.plan.children.first().is_some_and(|c| c.role == Role::Probe);
            let carrier: Box<dyn Carrier> = match probe {
                true => Box::new(Capture::new(writer, self.plan.limits.capture)),
                false => {
                    let gate = gates[number].take().map(|grants| Box::new(grants) as Box<dyn Gate>);
                    let last = number + 1 == wiring.len();
                    let relay = Relay::new(&self.plan, writer, last).with_gate(gate);
                    let relay = relay.with_reader(&self.plan, hop.to).with_rejects(self.rejects.clone());
                    match last {
                        true => {
                            let columns = spool::columns(&self.plan, self.spool.as_ref());
                            let relay = relay.with_outlet(self.outlet()).with_referee(self.referee());
                            self.carrier(hop.from, relay.with_columns(columns))
                        }
                        false => self.carrier(hop.from, relay),
                    }
                }
            };
            let wire = self.recorder.as_ref().map(|recorder| recorder.hop(number));
            self.hops
                .push(Hop::new(hop.from, hop.to, carrier, input, output).recorded(wire));
        }
        Ok(())
    }

    pub(crate) fn has_leash(&self) -> bool {
        self.leash.is_some()
    }

    /// One round: move what can move, then wait for more.
    fn turn(&mut self) -> io::Result<()> {
        self.settle()?;
        self.check_clock()?;
        self.settle()?;
        if self.over() {
            return Ok(());
        }
        let generation = self.generation;
        for (token, flags) in self.wait()? {
            self.handle(token, flags)?;
            if self.generation != generation {
                break; // a child was started again: what is known of the pipes is of the one before it
            }
        }
        Ok(())
    }

    fn handle(&mut self, token: Token, flags: PollFlags) -> io::Result<()> {
        let broken = flags.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        match token {
            Token::Signals => self.take_signals()?,
            Token::Leash => {
                let pulls = self.leash.as_mut().map_or(Ok(Vec::new()), Leash::pull)?;
                for pull in pulls {
                    match pull {
                        Pull::Source(fate) => self.fate = Some(fate),
                        Pull::Restart(word) => self.restart(*word)?,
                        Pull::GiveUp => self.give_up(),
                        Pull::Cut => {
                            self.leash = None;
                            self.abandon();
                        }
                    }
                }
            }
            Token::Events if broken => self.abandon(),
            Token::Events => self.send_events()?,
            Token::Log(index) => self.children[index].read_log(&mut self.journal)?,
            Token::Answers(index) => self.read_answers(index, false)?,
            Token::Reports(index) => self.read_reports(index)?,
            Token::HopIn(index) => self.read_hop(index)?,
            Token::HopOut(index) if flags.contains(PollFlags::OUT) => self.hops[index].may_write(),
            Token::HopOut(index) if broken => self.receiver_gone(index),
            Token::HopOut(_) => {}
        }
        Ok(())
    }

    /// Passes on what a child's supervisor tells of its connections.
    pub(crate) fn read_reports(&mut self, index: usize) -> io::Result<()> {
        let child = &mut self.children[index];
        while let Some(reports) = &mut child.reports {
            match reports.take()? {
                Some(Told::Connection(report)) => self.journal.tell(&Event::Connection {
                    child: &child.name,
                    host: &report.host,
                    port: report.port,
                    address: report.address.as_deref(),
                    outcome: report.outcome.name(),
                    reason: report.reason.as_deref(),
                    sent: report.sent,
                    received: report.received,
                }),
                Some(Told::Access(access)) => self.journal.tell(&Event::Access {
                    child: &child.name,
                    kind: access.kind.name(),
                    what: &access.what,
                    exists: access.exists,
                }),
                Some(Told::Nothing) => return Ok(()),
                None => child.reports = None,
            }
        }
        Ok(())
    }

    /// Reads once from a hop's writer and passes on what came.
    fn read_hop(&mut self, index: usize) -> io::Result<()> {
        let hop = &mut self.hops[index];
        if !hop.pull()? {
            hop.input = Input::Ended(Instant::now());
            self.input_ended(index);
            return Ok(());
        }
        if let Some(failure) = hop.work(&mut self.journal) {
            self.data_failed(index, failure);
        }
        self.renew(index);
        Ok(())
    }

    /// Moves everything that can move without waiting.
    fn settle(&mut self) -> io::Result<()> {
        if !self.abandoned && !self.journal.pending().is_empty() {
            self.send_events()?;
        }
        self.hear_checker();
        for index in 0..self.hops.len() {
            loop {
                let pushed = self.hops[index].push()?;
                if pushed == Pushed::Gone {
                    self.receiver_gone(index);
                }
                let hop = &mut self.hops[index];
                let before = hop.carrier.pending().len();
                if let Some(failure) = hop.work(&mut self.journal) {
                    self.data_failed(index, failure);
                }
                self.renew(index);
                let carrier = &self.hops[index].carrier;
                if pushed != Pushed::All || carrier.pending().len() == before || carrier.resting() {
                    break;
                }
            }
            self.close_if_due(index)?;
        }
        self.close_if_tried();
        match self.verdict.failed() {
            true => {
                // For another reason: nobody is waited for any more.
                self.give_up();
                self.end_search();
            }
            false => self.tell_loss(),
        }
        Ok(())
    }

    fn take_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.next()? {
            match signal {
                SIGCHLD => self.reap()?,
                _ if self.cancelled.is_some() => self.kill_all(),
                _ => self.cancel(signal),
            }
        }
        Ok(())
    }

    /// Fails the run for a reason of its own.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.verdict.fail(failure);
    }
}
