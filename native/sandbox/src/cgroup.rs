//! A control group for one child: the kernel itself bounds the memory and the processes of its whole tree.
//!
//! Version 2 where our own group is delegated to us (systemd's `Delegate=`, or the root of a container's own view) and
//! has the controllers; version 1 where a directory can be made below our own. A group that is not delegated is never
//! touched. What could not be had is told as a reason, and the tree is looked at from time to time instead.

use crate::{tree, Pid};
use rustix::process::{kill_process, Signal};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the processes of a delegated group go, since a group with groups below it may hold none itself.
const LEAF: &str = "dativo-main";
/// How often a group that is still in use is tried again, a millisecond apart.
const PATIENCE: usize = 500;
/// A group that is younger may be one that its bus is still filling.
const YOUNG: Duration = Duration::from_secs(60);

/// Where groups can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Home {
    /// One directory for all controllers.
    Unified(PathBuf),
    /// The directories of the memory and the pids controller.
    Split(Option<PathBuf>, Option<PathBuf>),
}

/// A control group; dropping it removes it, when all its processes are gone.
#[derive(Debug)]
pub struct Group {
    memory: Option<PathBuf>,
    processes: Option<PathBuf>,
    unified: bool,
}

impl Group {
    /// Makes a group of that name with these bounds: bytes of memory and swap, and tasks (threads count). An error says
    /// why there is none; with version 1 there may be one for only some of the bounds.
    pub fn create(name: &str, memory: Option<u64>, processes: Option<u64>) -> Result<Group, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|e| format!("/proc/self/cgroup: {e}"))?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|e| format!("/proc/self/mountinfo: {e}"))?;
        let wanted = [memory.map(|_| "memory"), processes.map(|_| "pids")];
        let wanted: Vec<&str> = wanted.into_iter().flatten().collect();
        let home = home(&own, &mounts, &wanted)?;
        Group::create_in(&home, name, memory, processes)
    }

    fn create_in(home: &Home, name: &str, memory: Option<u64>, processes: Option<u64>) -> Result<Group, String> {
        let (memory_home, processes_home, unified) = match home {
            Home::Unified(path) => (Some(path), Some(path), true),
            Home::Split(memory, processes) => (memory.as_ref(), processes.as_ref(), false),
        };
        let mut group = Group {
            memory: None,
            processes: None,
            unified,
        };
        let make = |home: &Path| {
            sweep(home);
            let path = home.join(format!("dativo-{name}"));
            let made = fs::create_dir(&path);
            made.map(|()| path.clone())
                .map_err(|e| format!("cannot make {}: {e}", path.display()))
        };
        let mut reason = String::new();
        if let (Some(limit), Some(home)) = (memory, memory_home) {
            match make(home) {
                Ok(path) => {
                    group.memory = Some(path.clone());
                    bound_memory(&path, limit, unified).map_err(|e| format!("{}: {e}", path.display()))?;
                }
                Err(why) => reason = why,
            }
        }
        if let (Some(limit), Some(home)) = (processes, processes_home) {
            let made = match &group.memory {
                Some(path) if unified => Ok(path.clone()),
                _ => make(home),
            };
            match made {
                Ok(path) => {
                    group.processes = Some(path.clone());
                    write(&path, "pids.max", limit).map_err(|e| format!("{}: {e}", path.display()))?;
                }
                Err(why) => reason = why,
            }
        }
        match (&group.memory, &group.processes) {
            (None, None) if reason.is_empty() => Err("no controller for what is to be bounded".into()),
            (None, None) => Err(reason),
            _ => Ok(group),
        }
    }

    /// Whether it bounds memory.
    pub fn bounds_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether it bounds processes.
    pub fn bounds_processes(&self) -> bool {
        self.processes.is_some()
    }

    /// Writing `0` into each of these files moves the writer, which has one thread, into the group.
    ///
    /// Linux moves a thread that asks for itself without the lock that every fork takes (`cgroup_procs_write_start`);
    /// for a whole process that lock costs a grace period, some 10 ms. Version 2 has such a file in threaded groups only.
    pub fn procs_files(&self) -> Vec<PathBuf> {
        let file = if self.unified { "cgroup.procs" } else { "tasks" };
        self.directories().map(|path| path.join(file)).collect()
    }

    /// How many of its processes the kernel has killed for their memory.
    pub fn oom_kills(&self) -> u64 {
        let file = if self.unified {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        self.memory.as_deref().map_or(0, |path| field(path, file, "oom_kill"))
    }

    /// How many forks the kernel has refused.
    pub fn refused_forks(&self) -> u64 {
        self.processes
            .as_deref()
            .map_or(0, |path| field(path, "pids.events", "max"))
    }

    /// The most memory that it ever had, bytes; pages of files included.
    pub fn peak(&self) -> Option<u64> {
        let file = if self.unified {
            "memory.peak"
        } else {
            "memory.max_usage_in_bytes"
        };
        let text = fs::read_to_string(self.memory.as_ref()?.join(file)).ok()?;
        text.trim().parse().ok()
    }

    /// Kills everything in it, and again until nothing is left. Whether that came true.
    pub fn kill_all(&self) -> bool {
        for _ in 0..PATIENCE {
            for directory in self.directories() {
                if self.unified && fs::write(directory.join("cgroup.kill"), "1").is_ok() {
                    continue;
                }
                for pid in members(directory) {
                    // Gone by now, or killed already.
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
            if self
                .directories()
                .all(|d| members(d).into_iter().all(|pid| !tree::alive(pid)))
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    fn directories(&self) -> impl Iterator<Item = &Path> {
        let second = self.processes.as_deref().filter(|p| Some(*p) != self.memory.as_deref());
        self.memory.as_deref().into_iter().chain(second)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for directory in self.directories() {
            for _ in 0..PATIENCE {
                match fs::remove_dir(directory) {
                    Err(e) if e.raw_os_error() == Some(libc::EBUSY) => std::thread::sleep(Duration::from_millis(1)),
                    // Removed, or gone already, or not ours to remove any more: an empty group costs nothing.
                    _ => break,
                }
            }
        }
    }
}

/// Removes groups that a killed bus has left: empty ones, not so young that their processes may still be on the way.
fn sweep(home: &Path) {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let ours = entry.file_name().as_encoded_bytes().starts_with(b"dativo-") && entry.file_name() != LEAF;
        let made = entry.metadata().and_then(|about| about.modified());
        if ours && made.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > YOUNG)) {
            // One that is in use refuses.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn bound_memory(path: &Path, limit: u64, unified: bool) -> io::Result<()> {
    if unified {
        write(path, "memory.max", limit)?;
        // Without swap there are no such files, and nothing to bound. A kill takes the whole group.
        let _ = write(path, "memory.swap.max", 0);
        let _ = write(path, "memory.oom.group", 1);
        return Ok(());
    }
    write(path, "memory.limit_in_bytes", limit)?;
    // Memory and swap together; not there without swap accounting.
    let _ = write(path, "memory.memsw.limit_in_bytes", limit);
    Ok(())
}

fn write(directory: &Path, file: &str, value: impl ToString) -> io::Result<()> {
    // Never creates: a control file that is not there is a controller that is not there.
    let mut open = fs::OpenOptions::new().write(true).open(directory.join(file))?;
    io::Write::write_all(&mut open, value.to_string().as_bytes())
}

fn field(directory: &Path, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|l| l.trim().parse().ok()).unwrap_or(0)
}

fn members(directory: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    text.lines()
        .filter_map(|l| Pid::from_raw(l.trim().parse().ok()?))
        .collect()
}

/// Where groups with these controllers can be made, or why nowhere.
fn home(own: &str, mounts: &str, wanted: &[&str]) -> Result<Home, String> {
    let unified = place(own, mounts, "").ok_or_else(|| "no cgroup v2".to_string());
    // Where an earlier run has moved us to.
    let unified = unified.map(|path| match path.parent() {
        Some(parent) if path.ends_with(LEAF) => parent.to_path_buf(),
        _ => path,
    });
    let reason = match unified.and_then(|path| delegated(&path, wanted)) {
        Ok(path) => return Ok(Home::Unified(path)),
        Err(reason) => reason,
    };
    let place = |controller: &str| {
        let path = place(own, mounts, controller).filter(|_| wanted.contains(&controller))?;
        rustix::fs::access(&path, rustix::fs::Access::WRITE_OK)
            .is_ok()
            .then_some(path)
    };
    match (place("memory"), place("pids")) {
        (None, None) => Err(reason),
        (memory, pids) => Ok(Home::Split(memory, pids)),
    }
}

/// The directory of our own group in the hierarchy of a controller; of version 2 for "".
fn place(own: &str, mounts: &str, controller: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|c| c == controller).then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        let fits = match controller {
            "" => kind == "cgroup2",
            _ => kind == "cgroup" && options.split(',').any(|o| o == controller),
        };
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        // A mount may show only a part of the hierarchy; what is outside of it is out of reach.
        let inside = Path::new(path).strip_prefix(root).ok().filter(|_| fits)?;
        Some(Path::new(point).join(inside))
    })
}

/// Makes our own group of version 2 one that can have groups with these controllers, if it is ours to arrange.
fn delegated(path: &Path, wanted: &[&str]) -> Result<PathBuf, String> {
    let read = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
    let has = |file: &str| {
        let text = read(file);
        wanted.iter().all(|w| text.split_whitespace().any(|c| c == *w))
    };
    if !has("cgroup.controllers") {
        return Err(format!("the control group has no {} controller", wanted.join(" and ")));
    }
    if rustix::fs::access(path.join("cgroup.subtree_control"), rustix::fs::Access::WRITE_OK).is_err() {
        return Err("the control group is not delegated to this user".into());
    }
    // The root of the whole machine has no type; there, only what is switched on already is used.
    let is_root = !path.join("cgroup.type").exists();
    if has("cgroup.subtree_control") {
        return Ok(path.to_path_buf());
    }
    let marked = ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0u8; 8];
        rustix::fs::getxattr(path, *name, &mut value).is_ok_and(|n| value[..n] == *b"1")
    });
    let own_view = fs::read_to_string("/proc/self/cgroup")
        .unwrap_or_default()
        .lines()
        .any(|l| l == "0::/");
    if is_root || !(marked || own_view) {
        return Err("the control group is not delegated (systemd: Delegate=yes)".into());
    }
    // No processes in a group that has groups: all of it is ours, so all of it moves.
    let leaf = path.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(format!("{}: {e}", leaf.display())),
        _ => {}
    }
    for pid in members(path) {
        // One that ended meanwhile needs no move; one that cannot be moved makes the next step fail.
        let _ = write(&leaf, "cgroup.procs", pid.as_raw_nonzero());
    }
    let switch: Vec<String> = wanted.iter().map(|w| format!("+{w}")).collect();
    write(path, "cgroup.subtree_control", switch.join(" "))
        .map(|()| path.to_path_buf())
        .map_err(|e| format!("cannot switch on {} in {}: {e}", wanted.join(" and "), path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const MOUNTS: &str = "\
24 1 0:20 / /proc rw - proc proc rw
30 24 0:26 /kubepods/x /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids
32 24 0:28 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
";

    #[test]
    fn our_own_place_in_each_hierarchy() {
        let own = "8:pids:/\n4:memory:/kubepods/x/y\n0::/user.slice\n";
        let at = |controller| place(own, MOUNTS, controller).unwrap();
        assert_eq!(at("memory"), Path::new("/sys/fs/cgroup/memory/y"));
        assert_eq!(at("pids"), Path::new("/sys/fs/cgroup/pids/"));
        assert_eq!(at(""), Path::new("/sys/fs/cgroup/unified/user.slice"));
        assert_eq!(place("4:memory:/other\n", MOUNTS, "memory"), None);
        assert_eq!(place(own, MOUNTS, "cpu"), None);
    }

    fn stand_in(name: &str, controllers: &str, subtree: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("dativo-cgroup-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for (file, text) in [("cgroup.controllers", controllers), ("cgroup.subtree_control", subtree)] {
            fs::write(path.join(file), text).unwrap();
        }
        fs::write(path.join("cgroup.type"), "domain").unwrap();
        path
    }

    #[test]
    fn a_group_that_is_not_ours_is_left_alone() {
        let bare = stand_in("bare", "cpu io", "");
        assert!(delegated(&bare, &["memory"])
            .unwrap_err()
            .contains("no memory controller"));
        let ready = stand_in("ready", "memory pids", "memory pids");
        assert_eq!(delegated(&ready, &["memory", "pids"]), Ok(ready.clone()));
        let switched = fs::read_to_string(ready.join("cgroup.subtree_control")).unwrap();
        assert_eq!(switched, "memory pids");
        for path in [bare, ready] {
            fs::remove_dir_all(path).unwrap();
        }
    }

    #[test]
    fn a_real_group_bounds_a_tree() {
        let name = format!("test-{}", std::process::id());
        let group = match Group::create(&name, Some(64 << 20), Some(20)) {
            Ok(group) if group.bounds_memory() => group,
            Ok(_) => return eprintln!("skipped: no memory controller"),
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let files: Vec<String> = group.procs_files().iter().map(|f| f.display().to_string()).collect();
        let enter: String = files.iter().map(|f| format!("echo 0 > {f};")).collect();
        let run = |then: &str| {
            Command::new("sh")
                .args(["-c", &format!("set -e; {enter} {then}")])
                .status()
                .unwrap()
        };
        assert!(run("true").success());
        assert_eq!(group.oom_kills(), 0);
        assert!(!run("exec python3 -c \"x = b'x' * 200_000_000\"").success());
        assert!(group.oom_kills() > 0);
        assert!(group.peak().unwrap() > 32 << 20);
        if group.bounds_processes() {
            run("python3 -c 'import os\nfor _ in range(100): os.fork() or os._exit(os.system(\"sleep 30\"))' 2>/dev/null || true");
            assert!(group.refused_forks() > 0);
        }
        assert!(group.kill_all());
        let directories: Vec<PathBuf> = group.directories().map(Path::to_path_buf).collect();
        drop(group);
        assert!(directories.iter().all(|d| !d.exists()), "{directories:?}");
    }
}
