//! The checker: a child beside the wiring that judges records whose SCHEMA the bus cannot use.
//!
//! It is started when the first such SCHEMA comes, confined as its block of the plan says, and asked one line at a time. The
//! bus waits for each answer, but never longer than the checker's `limits.idle`, and never with a pipe full on both sides: it
//! reads while it writes. A checker that ends, is late or makes no sense is killed, and fails the run (`data.unchecked`).

use crate::launch::{launch, Launched};
use crate::run_dir::RunDir;
use crate::supervisor::Supervisor;
use dativo_bus_engine::check::referee::{Referee, Shared};
use dativo_bus_engine::event::Event;
use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::lines::{Line, Lines};
use dativo_bus_engine::plan::Plan;
use dativo_bus_engine::verdict::Failure;
use dativo_sandbox::pipes::{Moved, Stream};
use dativo_sandbox::{tree, Pid, Zygote};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Its scratch directory's name.
const SCRATCH: &str = "checker";
/// How long, in seconds, it may take for an answer if the plan does not say.
const PATIENCE: f64 = 30.0;
/// A longer answer is none.
const LONGEST: usize = 1 << 20;
/// Of its log, so many lines are kept until they are told.
const MOST_LINES: usize = 1_000;

/// What starts it, as long as it may be started.
#[derive(Debug)]
struct Means {
    /// The run's plan with nobody in it but the checker.
    plan: Plan,
    zygote: Rc<Zygote>,
    run_dir: Rc<RunDir>,
}

/// A checker that runs.
#[derive(Debug)]
struct Running {
    pid: Pid,
    input: Stream,
    output: Stream,
    log: Option<Stream>,
    log_lines: Lines,
    answer: Vec<u8>,
    launched: Launched,
}

/// The checker, from before its start to its end.
#[derive(Debug)]
pub struct Checker {
    name: String,
    patience: Duration,
    means: Option<Means>,
    running: Option<Running>,
    /// It was started and is not told of yet.
    fresh: bool,
    said: Vec<(Vec<u8>, bool)>,
    /// Why it cannot be asked any more.
    broken: Option<Failure>,
}

impl Checker {
    /// The checker of a plan that has one. Nothing is started yet.
    pub fn of(plan: &Plan, zygote: &Rc<Zygote>, run_dir: &Rc<RunDir>) -> Option<Rc<RefCell<Checker>>> {
        let child = plan.checker.clone()?;
        let seconds = child.limits.idle.unwrap_or(PATIENCE);
        Some(Rc::new(RefCell::new(Checker {
            name: child.name.clone(),
            patience: Duration::from_secs_f64(seconds),
            means: Some(Means {
                plan: Plan {
                    children: vec![child],
                    ..plan.clone()
                },
                zygote: zygote.clone(),
                run_dir: run_dir.clone(),
            }),
            running: None,
            fresh: false,
            said: Vec::new(),
            broken: None,
        })))
    }

    fn failure(&self, how: &str) -> Failure {
        let message = format!("{} {how}: records cannot be checked against their SCHEMA", self.name);
        Failure::of("data.unchecked", &self.name, message).setting("policy.validate")
    }

    fn start(&mut self) -> Result<(), Failure> {
        if let Some(failure) = &self.broken {
            return Err(failure.clone());
        }
        let Some(means) = self.means.as_ref().filter(|_| self.running.is_none()) else {
            return match self.running {
                Some(_) => Ok(()),
                None => Err(self.failure("may not be started any more")),
            };
        };
        let launched = launch(&means.zygote, &means.plan, 0, &means.run_dir, SCRATCH)?.confirmed()?;
        let log_line = means.plan.limits.log_line;
        self.running =
            Some(Running::of(launched, log_line).map_err(|e| self.failure(&format!("cannot be used ({e})")))?);
        self.fresh = true;
        Ok(())
    }

    /// Tells what there is to tell: that it was started, and its log.
    fn tell(&mut self, journal: &mut Journal) {
        if let Some(running) = self.running.as_mut() {
            running.read_log(&mut self.said);
        }
        if let (true, Some(running), Some(means)) = (self.fresh, &self.running, &self.means) {
            let (child, process) = (self.name.as_str(), &running.launched.process);
            let spec = &means.plan.children[0];
            journal.tell(&Event::Spawned {
                child,
                role: spec.role.name(),
                pid: running.pid.as_raw_nonzero().get(),
            });
            journal.tell(&Event::Confined {
                child,
                profile: spec.sandbox.profile.name(),
                layout: process.layout.name(),
                guarantees: &process.guarantees,
                missing: &process.missing,
            });
            self.fresh = false;
        }
        for (text, cut) in self.said.drain(..) {
            journal.log(&self.name, "stderr", &text, cut);
        }
    }

    /// Ends it, for good.
    fn close(&mut self, journal: &mut Journal) {
        self.tell(journal);
        (self.means, self.running) = (None, None);
    }
}

impl Referee for Checker {
    fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>, Failure> {
        self.start()?;
        let until = Instant::now() + self.patience;
        let asked = match self.running.as_mut() {
            Some(running) => running.ask(question, until, &mut self.said),
            None => Err(Trouble::Ended),
        };
        asked.map_err(|trouble| {
            let how = match trouble {
                Trouble::Ended => "ended".to_string(),
                Trouble::Late => format!("gave no answer for {} s", self.patience.as_secs_f64()),
                Trouble::Long => "gave an answer that is none".to_string(),
                Trouble::Io(e) => format!("cannot be asked ({e})"),
            };
            let failure = self.failure(&how);
            if let Some(running) = &self.running {
                tree::kill_child(running.pid);
            }
            self.broken = Some(failure.clone());
            failure
        })
    }

    fn nonsense(&self) -> Failure {
        self.failure("gave an answer that is none")
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Trouble {
    Ended,
    Late,
    Long,
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Io(error)
    }
}

impl Running {
    fn of(mut launched: Launched, log_line: usize) -> io::Result<Running> {
        let input = launched.stdin.take().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Running {
            pid: launched.process.pid,
            input: Stream::owned(input)?,
            output: Stream::owned(launched.stdout.try_clone()?)?,
            log: Some(Stream::owned(launched.stderr.try_clone()?)?),
            log_lines: Lines::new(log_line),
            answer: Vec::new(),
            launched,
        })
    }

    /// Writes the question and waits for its answer. What it says meanwhile goes to `said`.
    fn ask(&mut self, question: &[u8], until: Instant, said: &mut Vec<(Vec<u8>, bool)>) -> Result<Vec<u8>, Trouble> {
        let (mut left, mut block) = (question, [0u8; 4096]);
        self.answer.clear();
        match self.output.read(&mut block)? {
            Moved::Later => {}
            Moved::Bytes(_) => return Err(Trouble::Long), // an answer that nobody asked for
            Moved::Closed => return Err(Trouble::Ended),
        }
        loop {
            while !left.is_empty() {
                match self.input.write(left)? {
                    Moved::Bytes(count) => left = &left[count..],
                    Moved::Later => break,
                    Moved::Closed => return Err(Trouble::Ended),
                }
            }
            self.read_log(said);
            match self.output.read(&mut block)? {
                Moved::Bytes(count) => self.answer.extend_from_slice(&block[..count]),
                Moved::Later => self.wait(!left.is_empty(), until)?,
                Moved::Closed => return Err(Trouble::Ended),
            }
            match memchr::memchr(b'\n', &self.answer) {
                // An answer before its question was all there, or two of them, is none.
                Some(end) if !left.is_empty() || end + 1 < self.answer.len() => return Err(Trouble::Long),
                Some(end) => {
                    self.answer.truncate(end);
                    return Ok(std::mem::take(&mut self.answer));
                }
                None if self.answer.len() > LONGEST => return Err(Trouble::Long),
                None => {}
            }
        }
    }

    fn wait(&mut self, writes: bool, until: Instant) -> Result<(), Trouble> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Trouble::Late);
        }
        let mut fds = vec![PollFd::new(&self.output, PollFlags::IN)];
        fds.extend(writes.then(|| PollFd::new(&self.input, PollFlags::OUT)));
        fds.extend(
            self.log
                .as_ref()
                .map(|log| PollFd::from_borrowed_fd(log.as_fd(), PollFlags::IN)),
        );
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(Trouble::Io(errno.into())),
        }
    }

    /// Reads what is in its log, so that it never waits for us; what is too much is dropped.
    fn read_log(&mut self, said: &mut Vec<(Vec<u8>, bool)>) {
        let mut each = |line: Line<'_>| {
            if said.len() < MOST_LINES {
                said.push((line.bytes.to_vec(), line.cut));
            }
        };
        let mut block = [0u8; 4096];
        while let Some(log) = &self.log {
            match log.read(&mut block) {
                Ok(Moved::Bytes(count)) => self.log_lines.feed(&block[..count], &mut each),
                Ok(Moved::Later) => return,
                Ok(Moved::Closed) | Err(_) => {
                    self.log = None;
                    self.log_lines.finish(&mut each);
                }
            }
        }
    }
}

impl Supervisor {
    /// The checker as the target's edge asks it.
    pub(crate) fn referee(&self) -> Option<Shared> {
        self.checker.clone().map(|checker| checker as Shared)
    }

    /// Passes on what the checker has to say.
    pub(crate) fn hear_checker(&mut self) {
        if let Some(checker) = &self.checker {
            checker.borrow_mut().tell(&mut self.journal);
        }
    }

    /// Nobody is asked any more.
    pub(crate) fn close_checker(&mut self) {
        if let Some(checker) = self.checker.take() {
            checker.borrow_mut().close(&mut self.journal);
        }
    }
}
