//! The watch: looks at what every child's tree uses, and ends the run when one is over a limit of its plan.
//!
//! It looks only while some child has a limit that needs it: ten times a second, up to forty times when memory is
//! above half of its limit, and less often where a look is dear (a machine with many processes).

use crate::child::Child;
use crate::hop::{Input, Output};
use crate::scratch;
use crate::supervisor::Supervisor;
use dativo_bus_engine::limits::{self, Bounds, Death, Reached};
use dativo_bus_engine::plan;
use dativo_bus_engine::verdict::Failure;
use dativo_bus_engine::wiring::End;
use dativo_sandbox::cgroup::Group;
use dativo_sandbox::spawn::Spawned;
use dativo_sandbox::status::Holding;
use dativo_sandbox::usage::{Sampler, Usage, Wish};
use dativo_sandbox::{reap, tree, Exit, Pid};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Between two looks: usually, above half of the memory limit, above three quarters of it.
const PACES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(50),
    Duration::from_millis(25),
];
/// Between two looks when only descriptors or a scratch directory are limited.
const SELDOM: Duration = Duration::from_secs(1);
/// A look may take one part in so many of the time.
const SHARE: u32 = 20;
/// A limit of fewer descriptors than this is not watched: starting an interpreter takes as many.
const FEWEST_FILES: u64 = 16;

/// What is watched of one child.
#[derive(Debug)]
struct Watched {
    pid: Pid,
    /// How many of its processes are ours.
    supervisors: u64,
    /// The kernel lets it have only so many tasks.
    tasks_bound: bool,
    /// Its scratch space is a file system that can be full.
    scratch_bound: bool,
    bounds: Bounds,
    started: Instant,
    group: Option<Group>,
    scratch: Option<OwnedFd>,
    scratch_at: Instant,
    peak: Usage,
    /// How many looks in a row found all descriptors taken.
    files_full: u8,
    /// How far it had got, and when that was last different or not its own fault.
    progress: u64,
    moved: Instant,
}

/// The watch over all children.
#[derive(Debug)]
pub struct Watch {
    children: Vec<Watched>,
    sampler: Sampler,
    look_at: Instant,
    cost: Duration,
}

impl Watch {
    /// Over nobody yet.
    pub fn new() -> Watch {
        Watch {
            children: Vec::new(),
            sampler: Sampler::default(),
            look_at: Instant::now(),
            cost: Duration::ZERO,
        }
    }

    /// Takes the next child of the plan, in its order: its control group if it was started in one, and its scratch
    /// directory if it has one.
    pub fn add(&mut self, spec: &plan::Child, process: &Spawned, group: Option<Group>, scratch: Option<OwnedFd>) {
        self.children.push(Watched::new(spec, process, group, scratch));
    }

    /// The same for one that was started again. What it used at its most counts on.
    pub fn again(
        &mut self,
        index: usize,
        spec: &plan::Child,
        process: &Spawned,
        group: Option<Group>,
        scratch: Option<OwnedFd>,
    ) {
        if let Some(watched) = self.children.get_mut(index) {
            let peak = watched.peak;
            *watched = Watched::new(spec, process, group, scratch);
            watched.peak = peak;
        }
    }

    /// A child's scratch directory.
    pub fn scratch(&self, index: usize) -> Option<&OwnedFd> {
        self.children.get(index)?.scratch.as_ref()
    }

    /// The most that a child's tree used: KiB of memory and processes. Of one that was never seen, what its end says.
    pub fn peak(&self, index: usize, exit: &Exit) -> (u64, u64) {
        let peak = self.children.get(index).map_or(Usage::default(), |c| c.peak);
        let memory = if peak.memory > 0 {
            peak.memory / 1024
        } else {
            exit.max_rss_kb
        };
        (memory, peak.processes.max(1))
    }

    /// The limit that a child's failure is owed to, if one is, as the failure to tell.
    pub fn explain(&self, index: usize, child: &Child, exit: &Exit) -> Option<Failure> {
        let watched = self.children.get(index)?;
        let lines: Vec<String> = child.last_lines().map(String::from).collect();
        let group = watched.group.as_ref();
        let death = Death {
            signal: exit.signal,
            cpu: exit.user + exit.system,
            lines: &lines,
            oom_killed: group.is_some_and(|g| g.oom_kills() > 0),
            scratch_full: watched
                .scratch
                .as_ref()
                .is_some_and(|fd| scratch::full(fd, watched.bounds.scratch)),
        };
        let reached = match limits::blame(&death, &watched.bounds)? {
            Reached::Memory(None) if death.oom_killed => Reached::Memory(group.and_then(Group::peak)),
            other => other,
        };
        let how = match (exit.signal, exit.code) {
            (Some(signal), _) => format!("was killed by signal {signal}"),
            (None, code) => format!("exited with {}", code.unwrap_or(-1)),
        };
        Some(limits::failure(&child.name, &how, reached, &watched.bounds))
    }
}

impl Watched {
    fn new(spec: &plan::Child, process: &Spawned, group: Option<Group>, scratch: Option<OwnedFd>) -> Watched {
        let now = Instant::now();
        Watched {
            pid: process.pid,
            supervisors: process.supervisors(),
            tasks_bound: process.layout == Holding::Namespaces || group.as_ref().is_some_and(Group::bounds_processes),
            scratch_bound: process.layout == Holding::Namespaces,
            bounds: Bounds::of(spec),
            started: now,
            group,
            scratch,
            scratch_at: now,
            peak: Usage::default(),
            files_full: 0,
            progress: 0,
            moved: now,
        }
    }

    /// How long until the next look at its tree, if it has a limit that needs any.
    fn pace(&self, last: &Usage) -> Option<Duration> {
        let tree = &self.bounds.tree;
        if let Some(limit) = tree.memory {
            let nearness = usize::from(last.memory > limit / 2) + usize::from(last.memory > limit / 4 * 3);
            return Some(PACES[nearness].min(self.base()));
        }
        if tree.processes.is_some() || tree.cpu.is_some() {
            return Some(self.base());
        }
        (self.files().is_some() || self.scratch.is_some()).then_some(SELDOM)
    }

    /// What nothing but a look bounds is looked at often.
    fn base(&self) -> Duration {
        let processes = self.bounds.tree.processes.is_some() && !self.tasks_bound;
        let scratch = self.scratch.is_some() && !self.scratch_bound;
        PACES[if processes || scratch { 2 } else { 0 }]
    }

    fn files(&self) -> Option<u64> {
        self.bounds.nofile.filter(|limit| *limit >= FEWEST_FILES)
    }

    /// The limit that it is over.
    fn over(&mut self, usage: &Usage, now: Instant) -> Option<Reached> {
        let tree = &self.bounds.tree;
        if let Some(group) = self.group.as_ref().filter(|g| g.oom_kills() > 0) {
            return Some(Reached::Memory(group.peak()));
        }
        if tree.memory.is_some_and(|limit| usage.memory > limit) {
            return Some(Reached::Memory(Some(usage.memory)));
        }
        if tree.processes.is_some_and(|limit| usage.processes > limit) {
            return Some(Reached::Processes(Some(usage.processes)));
        }
        if self.group.as_ref().is_some_and(|g| g.refused_forks() > 0) {
            return Some(Reached::Processes(None));
        }
        if tree.cpu.is_some_and(|limit| usage.cpu.as_secs_f64() >= limit) {
            return Some(Reached::Cpu(Some(usage.cpu)));
        }
        self.files_full = match self.files() {
            Some(limit) if usage.files >= limit - 2 => self.files_full + 1,
            _ => 0,
        };
        if self.files_full >= 2 {
            return Some(Reached::Files(Some(usage.files)));
        }
        if let Some(fd) = self.scratch.as_ref().filter(|_| now >= self.scratch_at) {
            let begun = spent();
            let over = scratch::over(fd, self.bounds.scratch);
            self.scratch_at = match self.scratch_bound {
                true => now + SELDOM,
                // It was walked: not longer than a part of the time.
                false => now + spent().saturating_sub(begun) * SHARE,
            };
            if over {
                return Some(Reached::Scratch);
            }
        }
        None
    }
}

/// Processor time that the bus has used.
fn spent() -> Duration {
    let (user, system) = reap::own_cpu();
    user + system
}

impl Supervisor {
    /// Looks, if it is time to, and ends who is over a limit.
    pub(crate) fn check_limits(&mut self, now: Instant) {
        for index in 0..self.watch.children.len() {
            if self
                .children
                .get(index)
                .is_none_or(|c| !c.alive() || c.asked && c.kill_at.is_none())
            {
                continue;
            }
            let progress = self.progress(index);
            let watched = &mut self.watch.children[index];
            if progress.is_none_or(|p| p != watched.progress) {
                watched.moved = now;
            }
            watched.progress = progress.unwrap_or(watched.progress);
            let (alive, still) = (now - watched.started, now - watched.moved);
            let tree = &watched.bounds.tree;
            let asked = self.children[index].asked;
            if tree.wall.is_some_and(|s| alive.as_secs_f64() >= s) {
                self.end_over(index, Reached::Wall(alive));
            } else if !asked && tree.idle.is_some_and(|s| still.as_secs_f64() >= s) {
                self.end_over(index, Reached::Idle(still));
            }
        }
        if self.looks() && now >= self.watch.look_at {
            self.look(now);
        }
    }

    /// When the watch must look next.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let mut next = self.looks().then_some(self.watch.look_at);
        for (watched, child) in self.watch.children.iter().zip(&self.children) {
            let tree = &watched.bounds.tree;
            if child.alive() && !(child.asked && child.kill_at.is_none()) {
                let wall = tree.wall.map(|s| watched.started + Duration::from_secs_f64(s));
                // In between, it is looked at whether it could have moved at all.
                let part = |s: f64| Duration::from_secs_f64((s / 4.0).clamp(0.02, 1.0));
                let idle = tree.idle.filter(|_| !child.asked).map(|s| Instant::now() + part(s));
                next = [next, wall, idle].into_iter().flatten().min();
            }
        }
        next
    }

    fn looks(&self) -> bool {
        let both = self.watch.children.iter().zip(&self.children);
        both.clone()
            .any(|(watched, child)| child.alive() && watched.pace(&watched.peak).is_some())
    }

    fn look(&mut self, now: Instant) {
        // By the processor's clock: on a busy machine a look takes long, and costs no more.
        let before = spent();
        let wish = |w: &Watched| Wish {
            root: w.pid,
            memory: w.bounds.tree.memory.or(Some(u64::MAX)),
            files: w.files().is_some(),
        };
        let wishes: Vec<Wish> = self.watch.children.iter().map(wish).collect();
        let usages = self.watch.sampler.sample(&wishes);
        let mut pace = SELDOM;
        for (index, usage) in usages.iter().enumerate() {
            if !self.children[index].alive() {
                continue;
            }
            let watched = &mut self.watch.children[index];
            let usage = Usage {
                processes: usage.processes.saturating_sub(watched.supervisors),
                ..*usage
            };
            watched.peak = watched.peak.peak(usage);
            pace = pace.min(watched.pace(&usage).unwrap_or(SELDOM));
            if let Some(reached) = watched.over(&usage, now) {
                self.end_over(index, reached);
            }
        }
        self.watch.cost = spent().saturating_sub(before);
        self.watch.look_at = Instant::now() + pace.max(self.watch.cost * SHARE);
    }

    /// Kills a child's tree at once; its limit is the run's failure unless something failed before.
    fn end_over(&mut self, index: usize, reached: Reached) {
        let watched = &self.watch.children[index];
        let child = &mut self.children[index];
        (child.asked, child.patience, child.kill_at) = (true, None, None);
        let failure = limits::failure(&child.name, "was killed", reached, &watched.bounds);
        if let Some(group) = &watched.group {
            group.kill_all();
        }
        tree::kill_child(watched.pid);
        tree::kill_these(self.watch.sampler.members(index).iter().copied());
        self.fail(failure);
    }

    /// A number that changes when a child gets on with its work; None while it is not its turn.
    fn progress(&self, index: usize) -> Option<u64> {
        let end = End::Child(index);
        let input = self.hops.iter().find(|hop| hop.to == end);
        let starved =
            input.is_some_and(|hop| matches!(hop.output, Output::Open(_)) && !hop.blocked() && hop.unread() == 0);
        if starved {
            return None;
        }
        let answers = self.children[index].answers();
        match self.hops.iter().find(|hop| hop.from == end) {
            Some(hop) => {
                let wanted = matches!(hop.input, Input::Open(_)) && hop.carrier.hungry() && !self.journal.crowded();
                wanted.then(|| hop.carrier.progress())
            }
            None => Some(answers + input.map_or(0, |hop| hop.consumed())),
        }
    }
}
