//! Process trees: who descends from us, and ending all of it (I8).

use crate::Pid;
use rustix::io::Errno;
use rustix::process::{
    getpid, kill_process, kill_process_group, pidfd_open, pidfd_send_signal, set_child_subreaper, PidfdFlags, Signal,
};
use std::collections::HashSet;
use std::io;
use std::time::Duration;

/// How often the kill loop looks again; with its pauses of 1 ms that is about five seconds.
const ROUNDS: usize = 5_000;

/// One living process as /proc shows it. The start time tells a reused pid from the process that was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its pid.
    pub pid: Pid,
    started: u64,
}

/// Makes this process the one that orphans among its descendants are handed to.
pub fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Sends a signal to a child's whole process group. A group that is gone is no error.
pub fn signal_group(leader: Pid, signal: libc::c_int) -> io::Result<()> {
    let Some(signal) = Signal::from_named_raw(signal) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match kill_process_group(leader, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Every living process under `root`, `root` itself not included.
pub fn descendants(root: Pid) -> Vec<Process> {
    let all = table();
    let mut found: Vec<Process> = Vec::new();
    let mut parents: HashSet<i32> = HashSet::from([root.as_raw_nonzero().get()]);
    loop {
        let before = parents.len();
        for row in &all {
            if parents.contains(&row.parent) && parents.insert(row.pid) && row.alive {
                found.extend(row.process());
            }
        }
        if parents.len() == before {
            return found;
        }
    }
}

/// Whether there is a process of that pid that has not ended.
pub fn alive(pid: Pid) -> bool {
    row(pid.as_raw_nonzero().get()).is_some_and(|row| row.alive)
}

/// Kills everything that descends from this process, except the trees of `spare`: stop first so that nothing forks
/// away, then SIGKILL, and again until none is left. Returns who could not be killed (stuck in the kernel).
///
/// It reaps nobody: a killed child's exit status stays for [`crate::reap::reap`].
pub fn kill_descendants(spare: &[Pid]) -> Vec<Process> {
    let mut left = Vec::new();
    for round in 0..ROUNDS {
        left = doomed(spare);
        if left.is_empty() {
            break;
        }
        let mut stopped: HashSet<Process> = HashSet::new();
        loop {
            let fresh: Vec<Process> = doomed(spare).into_iter().filter(|p| !stopped.contains(p)).collect();
            if fresh.is_empty() {
                break;
            }
            for process in fresh {
                signal_exactly(process, Signal::STOP);
                stopped.insert(process);
            }
        }
        for process in stopped {
            signal_exactly(process, Signal::KILL);
        }
        if round > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    left
}

/// Kills `child`, its process group and whatever still descends from it. Everything is stopped first, and again until
/// nobody new is found, so that nothing forks away.
pub fn kill_child(child: Pid) {
    let own = || row(child.as_raw_nonzero().get()).and_then(|row| row.process());
    let mut stopped: HashSet<Process> = HashSet::new();
    for _ in 0..ROUNDS {
        let fresh: Vec<Process> = own()
            .into_iter()
            .chain(descendants(child))
            .filter(|p| !stopped.contains(p))
            .collect();
        if fresh.is_empty() {
            break;
        }
        for process in fresh {
            signal_exactly(process, Signal::STOP);
            stopped.insert(process);
        }
    }
    // A group that is already gone needs nothing.
    let _ = kill_process_group(child, Signal::KILL);
    kill_these(descendants(child).into_iter().chain(stopped));
}

/// SIGKILL to exactly these; who is gone, or has given its pid to another, is passed over.
pub fn kill_these(processes: impl IntoIterator<Item = Process>) {
    for process in processes {
        signal_exactly(process, Signal::KILL);
    }
}

fn doomed(spare: &[Pid]) -> Vec<Process> {
    let mut kept: HashSet<Pid> = spare.iter().copied().collect();
    for root in spare {
        kept.extend(descendants(*root).iter().map(|p| p.pid));
    }
    descendants(getpid())
        .into_iter()
        .filter(|p| !kept.contains(&p.pid))
        .collect()
}

/// Signals that very process: the pidfd pins it, the start time proves that the pid was not reused meanwhile.
fn signal_exactly(process: Process, signal: Signal) {
    let pinned = pidfd_open(process.pid, PidfdFlags::empty());
    let same = row(process.pid.as_raw_nonzero().get()).is_some_and(|r| r.started == process.started);
    if !same {
        return;
    }
    // A process that is gone by now needs no signal; the caller looks again anyway.
    let _ = match pinned {
        Ok(fd) => pidfd_send_signal(fd, signal),
        Err(Errno::NOSYS) => kill_process(process.pid, signal),
        Err(errno) => Err(errno),
    };
}

/// What /proc/PID/stat says of a process.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// Ticks of its own, and of its children that ended and were collected.
    pub cpu: u64,
    pub reaped_cpu: u64,
    pub started: u64,
    pub alive: bool,
}

impl Row {
    pub(crate) fn process(&self) -> Option<Process> {
        let started = self.started;
        Pid::from_raw(self.pid).map(|pid| Process { pid, started })
    }
}

fn table() -> Vec<Row> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|e| row(e.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Fields of /proc/PID/stat. The name (field 2) may hold spaces and brackets, so parsing starts after its last bracket.
pub(crate) fn row(pid: i32) -> Option<Row> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.iter().rposition(|b| *b == b')')? + 2;
    let text = std::str::from_utf8(stat.get(after..)?).ok()?;
    let mut fields = text.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // Fields 14 to 17 of the manual, then the start time, its 22nd.
    let mut times = fields
        .skip(7)
        .map(|f| f.parse::<i64>().map_or(0, |n| u64::try_from(n).unwrap_or(0)));
    let (user, system, reaped_user, reaped_system) = (times.next()?, times.next()?, times.next()?, times.next()?);
    Some(Row {
        pid,
        parent,
        group,
        session,
        cpu: user + system,
        reaped_cpu: reaped_user + reaped_system,
        started: times.nth(4)?,
        alive: !matches!(state, "Z" | "X" | "x"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_row_is_readable() {
        let me = row(getpid().as_raw_nonzero().get()).unwrap();
        assert!(me.alive && me.started > 0);
        let parent = rustix::process::getppid().map_or(0, |p| p.as_raw_nonzero().get());
        assert_eq!(me.parent, parent);
        assert!(me.group > 0 && me.session >= 0);
        let text = std::fs::read_to_string("/proc/self/stat").unwrap();
        let after = text.rsplit_once(')').unwrap().1;
        assert_eq!(after.split_whitespace().nth(19).unwrap(), me.started.to_string());
    }
}
