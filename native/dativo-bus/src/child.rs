//! One started child: its log, its answers, how it ended, and how long it may still take.

use crate::launch::Launched;
use crate::recorder::Wire;
use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::limits::{LAST_LINES, LINE_KEPT};
use dativo_bus_engine::lines::{Line, Lines};
use dativo_bus_engine::plan::{self, OnUpstreamFailure, Plan, Role};
use dativo_sandbox::pipes::{self, Moved, Stream};
use dativo_sandbox::spawn::Reports;
use dativo_sandbox::{tree, Pid};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const BLOCK: usize = 64 << 10;

/// A line-wise output of a child: its stderr, and of some roles its stdout.
#[derive(Debug)]
pub struct Output {
    /// Open until its EOF, or until nobody waits for it any more.
    pub stream: Option<Stream>,
    lines: Lines,
    /// Lines that came.
    count: u64,
}

impl Output {
    fn new(fd: OwnedFd, cap: usize) -> io::Result<Output> {
        Ok(Output {
            stream: Some(Stream::owned(fd)?),
            lines: Lines::new(cap),
            count: 0,
        })
    }

    /// Reads one block and hands out its lines. Whether there was anything.
    pub fn read(&mut self, mut each: impl FnMut(Line<'_>)) -> io::Result<bool> {
        let Some(stream) = &self.stream else { return Ok(false) };
        let mut block = [0u8; BLOCK];
        let count = &mut self.count;
        let mut each = |line: Line<'_>| {
            *count += 1;
            each(line);
        };
        match stream.read(&mut block)? {
            Moved::Bytes(count) => {
                self.lines.feed(&block[..count], &mut each);
                Ok(true)
            }
            Moved::Later => Ok(false),
            Moved::Closed => {
                self.stream = None;
                self.lines.finish(&mut each);
                Ok(false)
            }
        }
    }

    /// Reads what its ended writer left in the pipe, no more: a process that it left behind may write on for ever.
    pub fn read_rest(&mut self, mut each: impl FnMut(Line<'_>)) -> io::Result<()> {
        let left = self.stream.as_ref().map_or(Ok(0), pipes::unread)?;
        let mut blocks = left / BLOCK as u64 + 2;
        while blocks > 0 && self.read(&mut each)? {
            blocks -= 1;
        }
        Ok(())
    }

    /// Closes it; a last line without a newline counts.
    pub fn close(&mut self, each: impl FnMut(Line<'_>)) {
        self.stream = None;
        self.lines.finish(each);
    }
}

/// A child, running or ended.
#[derive(Debug)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its pid and process group.
    pub pid: Pid,
    /// What its supervisor tells; absent when it has none, or has hung up.
    pub reports: Option<Reports>,
    /// When it was started.
    pub started: Instant,
    /// When its end was noticed.
    pub ended: Option<Instant>,
    /// How it ended: exited 0 without a signal.
    pub well: bool,
    /// Its log.
    pub stderr: Output,
    /// Its stdout, where that is not a hop's: a target's answers, a probe's words without a sink.
    pub stdout: Option<Output>,
    /// The log line that proves that it was stopped.
    pub stop_line: Option<String>,
    /// Whether its input was closed in order.
    pub input_closed: bool,
    /// We sent it SIGTERM or worse: its end is a consequence, not a cause.
    pub asked: bool,
    /// When it gets SIGKILL.
    pub kill_at: Option<Instant>,
    /// When it counts as hung, and what it should have done by then.
    pub patience: Option<(Instant, Overdue)>,
    /// Records what it says.
    pub wire: Option<Wire>,
    stop_marks: Vec<String>,
    last_lines: VecDeque<String>,
    log_line: usize,
    on_upstream_failure: OnUpstreamFailure,
}

/// What a child with too little patience left did not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// End after its input, or its output, had ended.
    End,
    /// Say why it closed its input.
    Explain,
}

impl Child {
    /// A child that was just launched; gives back what hops need: its input and its output.
    pub fn new(
        plan: &Plan,
        spec: &plan::Child,
        launched: Launched,
        hops_take_stdout: bool,
    ) -> io::Result<(Child, Ends)> {
        let mut ends = Ends {
            input: launched.stdin,
            output: Some(launched.stdout),
        };
        let stdout = match hops_take_stdout {
            true => None,
            false => ends
                .output
                .take()
                .map(|fd| Output::new(fd, plan.limits.max_line))
                .transpose()?,
        };
        let child = Child {
            name: spec.name.clone(),
            role: spec.role,
            pid: launched.process.pid,
            reports: Some(launched.process.reports),
            started: Instant::now(),
            ended: None,
            well: false,
            stderr: Output::new(launched.stderr, plan.limits.log_line)?,
            stdout,
            stop_line: None,
            input_closed: false,
            asked: false,
            kill_at: None,
            patience: None,
            wire: None,
            stop_marks: spec.interrupt_log.clone(),
            last_lines: VecDeque::new(),
            log_line: plan.limits.log_line,
            on_upstream_failure: spec.on_upstream_failure,
        };
        Ok((child, ends))
    }

    /// Whether it still runs.
    pub fn alive(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether it wants SIGTERM in place of an EOF when its input broke off.
    pub fn wants_term(&self) -> bool {
        self.on_upstream_failure == OnUpstreamFailure::Term
    }

    /// SIGTERM to its group, and SIGKILL after `grace`.
    pub fn ask(&mut self, grace: Duration) {
        if self.alive() && !self.asked {
            self.asked = true;
            self.patience = None;
            self.kill_at = Some(Instant::now() + grace);
            // A group that cannot be signalled gets SIGKILL when its time is up.
            let _ = tree::signal_group(self.pid, dativo_sandbox::signals::SIGTERM);
        }
    }

    /// Reads from its stderr: one block while it lives, all that is left when it has ended.
    pub fn read_log(&mut self, journal: &mut Journal) -> io::Result<()> {
        let (name, marks, stop_line) = (&self.name, &self.stop_marks, &mut self.stop_line);
        let (last_lines, wire) = (&mut self.last_lines, &mut self.wire);
        let each = |line: Line<'_>| {
            let (bytes, cut) = log_bytes(&line, usize::MAX);
            let text = String::from_utf8_lossy(bytes);
            if stop_line.is_none() && marks.iter().any(|mark| text.contains(mark.as_str())) {
                *stop_line = Some(journal.shown(bytes, cut).chars().take(200).collect());
            }
            if last_lines.len() == LAST_LINES {
                last_lines.pop_front();
            }
            last_lines.push_back(text.chars().take(LINE_KEPT).collect());
            if let Some(wire) = wire {
                wire.said(&journal.shown(bytes, cut));
            }
            journal.log(name, "stderr", bytes, cut);
        };
        match self.ended {
            None => self.stderr.read(each).map(drop),
            Some(_) => self.stderr.read_rest(each),
        }
    }

    /// A line of its stdout that is no message, for the log.
    pub fn log_stdout(name: &str, line: &Line<'_>, cap: usize, journal: &mut Journal) {
        let (bytes, cut) = log_bytes(line, cap);
        journal.log(name, "stdout", bytes, cut);
    }

    /// The last lines of its log, for telling what it died of.
    pub fn last_lines(&self) -> impl Iterator<Item = &str> {
        self.last_lines.iter().map(String::as_str)
    }

    /// How many lines it has answered, where its stdout is not a hop's.
    pub fn answers(&self) -> u64 {
        self.stdout.as_ref().map_or(0, |output| output.count)
    }

    /// Where its log lines are cut.
    pub fn log_cap(&self) -> usize {
        self.log_line
    }
}

/// A child's pipe ends on our side.
#[derive(Debug)]
pub struct Ends {
    /// What it reads.
    pub input: Option<OwnedFd>,
    /// What it writes.
    pub output: Option<OwnedFd>,
}

/// What of a line is told, and whether that is not all of it.
fn log_bytes<'a>(line: &Line<'a>, cap: usize) -> (&'a [u8], bool) {
    let bytes = line.bytes.strip_suffix(b"\r").unwrap_or(line.bytes);
    (&bytes[..bytes.len().min(cap)], line.cut || bytes.len() > cap)
}
