//! What a child's whole process tree uses: memory, processes, CPU time, open files. One look at /proc for all children.
//!
//! Memory is what the tree alone is to blame for: anonymous and shared pages and what of them was swapped out, without
//! pages of files. Pages that a fork shares with its parent count for both in that sum, which is cheap; only when the
//! sum is over a limit are the true shares read (`smaps_rollup`, which walks page tables), and they decide. Memory
//! files (memfd) that no process maps are counted through the descriptors that hold them.
//!
//! Without a PID namespace a process can leave its tree by outliving its parent: it is then handed to the bus. It stays
//! with its child if it was seen there before or still is in a session or group of it; else it counts for every child.

use crate::memory::{count_files, held_memory, proportional, Status};
use crate::tree::{self, Process};
use crate::Pid;
use rustix::process::getpid;
use std::collections::HashMap;
use std::os::unix::fs::DirEntryExt;
use std::time::Duration;

/// What is asked about one child.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The child.
    pub root: Pid,
    /// Count its memory, and read the true shares when it seems to be more than this.
    pub memory: Option<u64>,
    /// Count its descriptors.
    pub files: bool,
}

/// What a tree used when it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Bytes of memory.
    pub memory: u64,
    /// Processes, the dead that nobody has collected included, the sandbox's own two not.
    pub processes: u64,
    /// Most descriptors that any one of them holds.
    pub files: u64,
    /// CPU time of all that ever ran in it, as far as it was seen; never less than before.
    pub cpu: Duration,
}

impl Usage {
    /// The higher of each.
    pub fn peak(self, other: Usage) -> Usage {
        Usage {
            memory: self.memory.max(other.memory),
            processes: self.processes.max(other.processes),
            files: self.files.max(other.files),
            cpu: self.cpu.max(other.cpu),
        }
    }
}

/// One process at the time of a look.
struct Seen {
    row: tree::Row,
    owner: Option<usize>,
}

/// A process that was seen in a tree.
#[derive(Clone, Copy, Debug)]
struct Known {
    started: u64,
    owner: usize,
    cpu: u64,
}

/// Looks at the trees again and again.
#[derive(Debug, Default)]
pub struct Sampler {
    /// Processes that are nobody's: pid and the inode of its /proc entry, which a reused pid does not share.
    foreign: HashMap<i32, u64>,
    known: HashMap<i32, Known>,
    /// By child: CPU ticks of processes that are gone, and the most that was told.
    gone: Vec<u64>,
    told: Vec<u64>,
    members: Vec<Vec<Process>>,
    ticks: u64,
}

impl Sampler {
    /// What each tree uses now, in the order of the wishes, which must stay the same from call to call.
    pub fn sample(&mut self, wishes: &[Wish]) -> Vec<Usage> {
        if self.ticks == 0 {
            self.ticks = rustix::param::clock_ticks_per_second().max(1);
        }
        self.gone.resize(wishes.len(), 0);
        self.told.resize(wishes.len(), 0);
        let mut seen = self.look();
        self.assign(&mut seen, wishes);
        self.members = vec![Vec::new(); wishes.len()];
        for process in seen.values().filter(|s| s.row.alive) {
            for index in owners(process, wishes.len()) {
                self.members[index].extend(process.row.process());
            }
        }
        self.remember(&seen);
        wishes
            .iter()
            .enumerate()
            .map(|(i, w)| self.measure(i, w, &seen))
            .collect()
    }

    /// The living processes of a tree at the last look, those that had left it included.
    pub fn members(&self, index: usize) -> &[Process] {
        self.members.get(index).map_or(&[], Vec::as_slice)
    }

    /// Every process that may be ours. Of the others only the name in /proc is read.
    fn look(&mut self) -> HashMap<i32, Seen> {
        let me = getpid().as_raw_nonzero().get();
        let mut rows: HashMap<i32, tree::Row> = HashMap::new();
        let mut foreign: HashMap<i32, u64> = HashMap::new();
        let mut inodes: HashMap<i32, u64> = HashMap::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else {
                continue;
            };
            if self.foreign.get(&pid) == Some(&entry.ino()) && pid != me {
                foreign.insert(pid, entry.ino());
            } else if let Some(row) = tree::row(pid) {
                inodes.insert(pid, entry.ino());
                rows.insert(pid, row);
            }
        }
        let mut seen = HashMap::new();
        for (pid, row) in &rows {
            match descends(*row, me, &rows, &foreign) {
                Some(true) => {
                    seen.insert(*pid, Seen { row: *row, owner: None });
                }
                Some(false) => {
                    foreign.extend(inodes.get(pid).map(|inode| (*pid, *inode)));
                }
                // Its parent ended while we looked: the next look knows more.
                None => {}
            }
        }
        self.foreign = foreign;
        seen
    }

    /// Tells whose each process is.
    fn assign(&self, seen: &mut HashMap<i32, Seen>, wishes: &[Wish]) {
        let roots: HashMap<i32, usize> = wishes
            .iter()
            .enumerate()
            .map(|(index, wish)| (wish.root.as_raw_nonzero().get(), index))
            .collect();
        let parents: HashMap<i32, i32> = seen.iter().map(|(pid, s)| (*pid, s.row.parent)).collect();
        for process in seen.values_mut() {
            let row = &process.row;
            let mut at = row.pid;
            let mut top = row.pid;
            let by_parent = loop {
                if let Some(index) = roots.get(&at) {
                    break Some(*index);
                }
                match parents.get(&at) {
                    Some(parent) => (top, at) = (at, *parent),
                    None => break None,
                }
            };
            let known = |pid: i32, started: u64| self.known.get(&pid).filter(|k| k.started == started).map(|k| k.owner);
            let by_group = || roots.get(&row.session).or_else(|| roots.get(&row.group)).copied();
            process.owner = by_parent.or_else(|| known(row.pid, row.started)).or_else(by_group);
            if process.owner.is_none() && top != row.pid {
                // A descendant of somebody who was handed to us: whose that one was.
                process.owner = self.known.get(&top).map(|k| k.owner);
            }
        }
    }

    /// Keeps who was seen where, and adds up what those used who are gone.
    fn remember(&mut self, seen: &HashMap<i32, Seen>) {
        let gone = &mut self.gone;
        self.known.retain(|pid, known| {
            let there = seen.get(pid).is_some_and(|s| s.row.started == known.started);
            if !there {
                gone[known.owner] += known.cpu;
            }
            there
        });
        for (pid, process) in seen {
            let Some(owner) = process.owner else { continue };
            let (started, cpu) = (process.row.started, process.row.cpu);
            self.known.insert(*pid, Known { started, owner, cpu });
        }
    }

    fn measure(&mut self, index: usize, wish: &Wish, seen: &HashMap<i32, Seen>) -> Usage {
        let mut usage = Usage::default();
        let (mut living, mut reaped) = (0, 0);
        let (mut private, mut shared) = (0, 0);
        let mut own_two = 0;
        let mut held = HashMap::new();
        let mut pids = Vec::new();
        for process in seen.values() {
            if !owners(process, self.gone.len()).any(|owner| owner == index) {
                continue;
            }
            let row = &process.row;
            usage.processes += 1;
            (living, reaped) = (living + row.cpu, reaped + row.reaped_cpu);
            if wish.files {
                usage.files = usage.files.max(count_files(row.pid));
            }
            if wish.memory.is_none() || !row.alive {
                continue;
            }
            pids.push(row.pid);
            let status = Status::of(row.pid);
            private += status.anonymous + status.swapped;
            shared += status.shared;
            held_memory(row.pid, &mut held);
            // A namespace's init, and the supervisor that is its parent, are the sandbox's.
            if status.is_init && row.parent == wish.root.as_raw_nonzero().get() {
                own_two = 2;
            }
        }
        usage.processes = usage
            .processes
            .saturating_sub(own_two)
            .max(u64::from(usage.processes > 0));
        let files: u64 = held.values().sum();
        usage.memory = private + shared.max(files);
        if wish.memory.is_some_and(|limit| usage.memory > limit) && pids.len() > 1 {
            if let Some(true_share) = pids.iter().map(|pid| proportional(*pid)).sum::<Option<u64>>() {
                usage.memory = usage.memory.min(true_share.max(files));
            }
        }
        // Who collects its dead carries their time; who does not is added up by us.
        let ticks = (living + reaped).max(living + self.gone[index]).max(self.told[index]);
        self.told[index] = ticks;
        usage.cpu = Duration::from_secs_f64(ticks as f64 / self.ticks as f64);
        usage
    }
}

fn owners(process: &Seen, count: usize) -> impl Iterator<Item = usize> {
    match process.owner {
        Some(owner) => owner..owner + 1,
        None => 0..count,
    }
}

/// Whether a process descends from `me`; None when its line is broken at the moment.
fn descends(row: tree::Row, me: i32, rows: &HashMap<i32, tree::Row>, foreign: &HashMap<i32, u64>) -> Option<bool> {
    if row.pid == me {
        return Some(false);
    }
    let mut at = row.parent;
    // A line that is read while processes come and go could close to a ring.
    for _ in 0..=rows.len() {
        if at == me {
            return Some(true);
        }
        if at <= 1 || foreign.contains_key(&at) {
            return Some(false);
        }
        at = rows.get(&at)?.parent;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    struct Running(Child);

    /// A child that is in nobody's wishes would count for all: one test at a time.
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

    fn alone() -> std::sync::MutexGuard<'static, ()> {
        ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    impl Running {
        fn new(program: &str) -> Running {
            Running(
                Command::new("python3")
                    .args(["-c", program])
                    .stdin(Stdio::piped())
                    .spawn()
                    .unwrap(),
            )
        }

        fn wish(&self) -> Wish {
            let root = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
            Wish {
                root,
                memory: Some(u64::MAX),
                files: true,
            }
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            tree::kill_child(self.wish().root);
            let _ = self.0.wait();
        }
    }

    fn until(wishes: &[Wish], good: impl Fn(&[Usage]) -> bool) -> Vec<Usage> {
        let mut sampler = Sampler::default();
        let start = Instant::now();
        loop {
            let usage = sampler.sample(wishes);
            if good(&usage) {
                return usage;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{usage:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn memory_of_a_tree_and_who_is_to_blame() {
        let _alone = alone();
        let small = Running::new("import sys; sys.stdin.read()");
        let big =
            Running::new("import sys, os\nx = b'x' * 80_000_000\nos.fork()\ny = b'y' * 10_000_000\nsys.stdin.read()");
        let wishes = [small.wish(), big.wish()];
        let usage = until(&wishes, |u| u[1].memory > 175_000_000 && u[1].processes == 2);
        assert!(usage[0].memory < 30_000_000 && usage[0].processes == 1, "{usage:?}");
        // With a limit that the sum is over, shared pages count once.
        let limited = Wish {
            memory: Some(120_000_000),
            ..wishes[1]
        };
        let usage = until(&[wishes[0], limited], |u| u[1].processes == 2);
        assert!((95_000_000..125_000_000).contains(&usage[1].memory), "{usage:?}");
    }

    #[test]
    fn memory_files_count_although_nobody_maps_them() {
        let _alone = alone();
        let program = "import os, sys\nfd = os.memfd_create('x')\nos.dup(fd)\nfor _ in range(50): os.write(fd, b'x' * 1_000_000)\nsys.stdin.read()";
        let holder = Running::new(program);
        // What a launcher of Python starts on its way is gone by then.
        let usage = until(&[holder.wish()], |u| u[0].processes == 1 && u[0].memory > 50_000_000);
        assert!(usage[0].memory < 90_000_000, "{usage:?}");
    }

    #[test]
    fn descriptors_and_time() {
        let _alone = alone();
        let program = "import os, time\nkeep = [os.open('/dev/null', 0) for _ in range(100)]\nwhile True: pass";
        let spinner = Running::new(program);
        let usage = until(&[spinner.wish()], |u| u[0].cpu > Duration::from_millis(300));
        assert!((103..120).contains(&usage[0].files), "{usage:?}");
    }

    #[test]
    fn time_of_the_dead_counts() {
        let _alone = alone();
        let program = "import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True:\n  if os.fork() == 0:\n    for _ in range(3_000_000): pass\n    os._exit(0)\n  try: os.wait()\n  except ChildProcessError: pass";
        let forker = Running::new(program);
        until(&[forker.wish()], |u| u[0].cpu > Duration::from_millis(500));
    }
}
