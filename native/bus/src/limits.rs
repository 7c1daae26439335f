//! Limits of a child, as a pure rule: what it has reached, what its death says about them, and the words for it.
//!
//! Every limit that is hit ends the run with an error that names the limit, the child, the value and the setting.

use crate::plan::{Child, ChildLimits};
use crate::verdict::Failure;
use std::time::Duration;

/// How many of a child's last log lines are looked at when it failed.
pub const LAST_LINES: usize = 40;
/// How much of each.
pub const LINE_KEPT: usize = 400;

const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

/// A limit that was reached, and the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reached {
    /// Bytes of memory; none where only the kernel knows.
    Memory(Option<u64>),
    /// Processes; none where only the kernel knows.
    Processes(Option<u64>),
    /// CPU time; none where the kernel counted it.
    Cpu(Option<Duration>),
    /// Since its start.
    Wall(Duration),
    /// Since its last complete line or answer.
    Idle(Duration),
    /// Descriptors of one process; none where its log says so.
    Files(Option<u64>),
    /// It wrote a file of the largest size.
    FileSize,
    /// Its scratch space is full.
    Scratch,
}

/// The limits of one child, wherever in the plan they stand.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// Those of its tree.
    pub tree: ChildLimits,
    /// CPU seconds of one process.
    pub cpu: Option<u64>,
    /// Bytes of data, or of address space, of one process.
    pub data: Option<u64>,
    /// Bytes of one file.
    pub fsize: Option<u64>,
    /// Descriptors of one process.
    pub nofile: Option<u64>,
    /// Processes of its user.
    pub nproc: Option<u64>,
    /// Bytes of scratch space.
    pub scratch: u64,
}

impl Bounds {
    /// Those of a child of the plan.
    pub fn of(child: &Child) -> Bounds {
        let rlimit = |name: &str| child.rlimits.get(name).copied().flatten();
        let tightest = [rlimit("data"), rlimit("as")].into_iter().flatten().min();
        Bounds {
            tree: child.limits.clone(),
            cpu: rlimit("cpu"),
            data: tightest,
            fsize: rlimit("fsize"),
            nofile: rlimit("nofile"),
            nproc: rlimit("nproc"),
            scratch: child.sandbox.scratch,
        }
    }
}

/// What is known of a child that failed by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Death<'a> {
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// CPU time that it and what it collected had used.
    pub cpu: Duration,
    /// Its last log lines.
    pub lines: &'a [String],
    /// Its control group says that the kernel killed a process of it for its memory.
    pub oom_killed: bool,
    /// Its scratch space is full.
    pub scratch_full: bool,
}

/// The limit that a child's death is owed to, if its signal or its last words show one.
pub fn blame(death: &Death<'_>, bounds: &Bounds) -> Option<Reached> {
    let says = |marks: &[&str]| {
        death
            .lines
            .iter()
            .any(|line| marks.iter().any(|mark| line.contains(mark)))
    };
    let files = death.lines.iter().any(|line| {
        // In the whole system, they are not its own.
        let line = line.replace("Too many open files in system", "");
        ["Too many open files", "[Errno 24]", "EMFILE"]
            .iter()
            .any(|mark| line.contains(mark))
    });
    if death.oom_killed {
        return Some(Reached::Memory(None));
    }
    match death.signal {
        Some(SIGXCPU) if bounds.cpu.is_some() || bounds.tree.cpu.is_some() => return Some(Reached::Cpu(None)),
        Some(SIGXFSZ) if bounds.fsize.is_some() => return Some(Reached::FileSize),
        // At the hard limit of CPU time the kernel kills. It counts by ticks there, and exactly here.
        Some(SIGKILL) => {
            let spent = |limit: u64| death.cpu.as_secs_f64() >= limit as f64 * 0.8;
            return bounds
                .cpu
                .filter(|limit| spent(*limit))
                .map(|_| Reached::Cpu(Some(death.cpu)));
        }
        _ => {}
    }
    let limited = bounds.data.is_some() || bounds.tree.memory.is_some();
    let forked_out = [
        "can't start new thread",
        "Resource temporarily unavailable",
        "[Errno 11]",
        "EAGAIN",
    ];
    if bounds.fsize.is_some() && says(&["File too large", "[Errno 27]", "EFBIG"]) {
        return Some(Reached::FileSize);
    }
    if death.scratch_full && says(&["No space left on device", "[Errno 28]", "ENOSPC"]) {
        return Some(Reached::Scratch);
    }
    if bounds.nofile.is_some() && files {
        return Some(Reached::Files(None));
    }
    let no_memory = [
        "MemoryError",
        "Cannot allocate memory",
        "[Errno 12]",
        "std::bad_alloc",
        "OutOfMemoryError",
        "memory allocation of ",
        "JavaScript heap out of memory",
    ];
    if limited && says(&no_memory) {
        return Some(Reached::Memory(None));
    }
    if (bounds.tree.processes.is_some() || bounds.nproc.is_some()) && says(&forked_out) {
        return Some(Reached::Processes(None));
    }
    None
}

/// The failure of a child that reached a limit: `how` it ended, as "was killed" or "exited with 1".
pub fn failure(child: &str, how: &str, reached: Reached, bounds: &Bounds) -> Failure {
    let of = |limit: Option<String>| limit.map(|l| format!(" {l}")).unwrap_or_default();
    let tree = &bounds.tree;
    let (reason, setting, what) = match reached {
        Reached::Memory(value) => {
            let limit = tree.memory.or(bounds.data).map(bytes);
            let value = value.map(|v| format!(" {}", bytes(v))).unwrap_or_default();
            (
                "limit.memory",
                "limits.memory",
                format!("memory{value} reached limits.memory{}", of(limit)),
            )
        }
        Reached::Processes(value) => {
            let limit = tree.processes.or(bounds.nproc).map(|l| l.to_string());
            let what = value.map_or("its processes".into(), |v| format!("{v} processes"));
            (
                "limit.processes",
                "limits.processes",
                format!("{what} reached limits.processes{}", of(limit)),
            )
        }
        Reached::Cpu(value) => {
            let limit = [tree.cpu, bounds.cpu.map(|s| s as f64)]
                .into_iter()
                .flatten()
                .reduce(f64::min)
                .map(seconds);
            let value = value
                .map(|v| format!(" {}", seconds(v.as_secs_f64())))
                .unwrap_or_default();
            (
                "limit.cpu",
                "limits.cpu",
                format!("CPU time{value} reached limits.cpu{}", of(limit)),
            )
        }
        Reached::Wall(value) => {
            let (value, limit) = (seconds(value.as_secs_f64()), of(tree.wall.map(seconds)));
            (
                "limit.wall",
                "limits.wall",
                format!("{value} since its start reached limits.wall{limit}"),
            )
        }
        Reached::Idle(value) => {
            let (value, limit) = (seconds(value.as_secs_f64()), of(tree.idle.map(seconds)));
            let what = format!("{value} without a complete line or an answer reached limits.idle{limit}");
            ("limit.idle", "limits.idle", what)
        }
        Reached::Files(value) => {
            let what = value.map_or("its open files".into(), |v| format!("{v} open files"));
            let limit = of(bounds.nofile.map(|l| l.to_string()));
            (
                "limit.files",
                "limits.files",
                format!("{what} reached limits.files{limit}"),
            )
        }
        Reached::FileSize => {
            let limit = of(bounds.fsize.map(bytes));
            (
                "limit.file_size",
                "limits.file_size",
                format!("a file that it wrote reached limits.file_size{limit}"),
            )
        }
        Reached::Scratch => {
            let limit = bytes(bounds.scratch);
            (
                "limit.scratch",
                "limits.scratch",
                format!("its scratch space reached limits.scratch {limit}"),
            )
        }
    };
    Failure::of(reason, child, format!("{child} {how}: {what}")).setting(setting)
}

/// Bytes for people, three digits: `1.02 GiB`.
pub fn bytes(count: u64) -> String {
    let (mut value, mut unit) = (count as f64, "bytes");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    match unit {
        "bytes" => format!("{count} bytes"),
        _ if value < 10.0 => format!("{value:.2} {unit}"),
        _ if value < 100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// Seconds for people: `0.25 s`, `12 s`, `2 h 5 min`.
fn seconds(value: f64) -> String {
    let whole = value as u64;
    let two = |big: u64, name: &str, small: u64, small_name: &str| match small {
        0 => format!("{big} {name}"),
        _ => format!("{big} {name} {small} {small_name}"),
    };
    match whole {
        0..=9 => {
            let text = format!("{value:.2}");
            format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
        }
        10..=119 => format!("{value:.0} s"),
        120..=3599 => two(whole / 60, "min", whole % 60, "s"),
        _ => two(whole / 3600, "h", whole % 3600 / 60, "min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        let tree = ChildLimits {
            memory: Some(1 << 30),
            processes: Some(64),
            cpu: Some(10.0),
            wall: Some(7500.0),
            idle: Some(0.5),
            ..ChildLimits::default()
        };
        Bounds {
            tree,
            cpu: Some(20),
            data: Some(1 << 29),
            fsize: Some(1 << 20),
            nofile: Some(256),
            nproc: None,
            scratch: 256 << 20,
        }
    }

    #[test]
    fn words_name_the_child_the_value_and_the_setting() {
        let text = |reached| {
            let failure = failure("tap-x", "was killed", reached, &bounds());
            assert!(failure.message.contains(failure.setting.unwrap()));
            assert_eq!(failure.reason.replace("limit.", "limits."), failure.setting.unwrap());
            failure.message.to_string()
        };
        assert_eq!(
            text(Reached::Memory(Some(1_095_216_660))),
            "tap-x was killed: memory 1.02 GiB reached limits.memory 1.00 GiB"
        );
        assert_eq!(
            text(Reached::Processes(Some(70))),
            "tap-x was killed: 70 processes reached limits.processes 64"
        );
        assert_eq!(
            text(Reached::Wall(Duration::from_millis(7_501_000))),
            "tap-x was killed: 2 h 5 min since its start reached limits.wall 2 h 5 min"
        );
        assert!(text(Reached::Idle(Duration::from_millis(520))).ends_with("limits.idle 0.5 s"));
        assert!(text(Reached::Cpu(None)).ends_with("CPU time reached limits.cpu 10 s"));
        assert!(text(Reached::Files(Some(255))).ends_with("255 open files reached limits.files 256"));
        assert!(text(Reached::FileSize).ends_with("limits.file_size 1.00 MiB"));
        assert!(text(Reached::Scratch).ends_with("limits.scratch 256 MiB"));
    }

    #[test]
    fn a_death_is_owed_to_a_limit_only_if_there_is_one() {
        let of = |signal: Option<i32>, line: &str, bounds: &Bounds| {
            let lines = ["first".to_string(), line.to_string()];
            let death = Death {
                signal,
                lines: &lines,
                ..Death::default()
            };
            blame(&death, bounds)
        };
        for (signal, line, reached) in [
            (Some(24), "", Reached::Cpu(None)),
            (Some(25), "", Reached::FileSize),
            (None, "OSError: [Errno 27] File too large", Reached::FileSize),
            (None, "MemoryError", Reached::Memory(None)),
            (
                Some(6),
                "terminate called after throwing an instance of 'std::bad_alloc'",
                Reached::Memory(None),
            ),
            (
                None,
                "OSError: [Errno 24] Too many open files: 'x'",
                Reached::Files(None),
            ),
            (None, "RuntimeError: can't start new thread", Reached::Processes(None)),
        ] {
            assert_eq!(of(signal, line, &bounds()), Some(reached), "{line}");
            assert_eq!(of(signal, line, &Bounds::default()), None, "{line}");
        }
        assert_eq!(of(None, "Too many open files in system", &bounds()), None);
        assert_eq!(of(None, "No space left on device", &bounds()), None);
        assert_eq!(of(Some(9), "MemoryError", &bounds()), None);
        assert_eq!(of(None, "KeyError: 1", &bounds()), None);
    }

    #[test]
    fn a_full_scratch_space_and_the_kernels_word() {
        let lines = ["OSError: [Errno 28] No space left on device".to_string()];
        let full = Death {
            lines: &lines,
            scratch_full: true,
            ..Death::default()
        };
        assert_eq!(blame(&full, &Bounds::default()), Some(Reached::Scratch));
        let spent = Death {
            signal: Some(9),
            cpu: Duration::from_millis(20_010),
            ..Death::default()
        };
        assert_eq!(blame(&spent, &bounds()), Some(Reached::Cpu(Some(spent.cpu))));
        let killed = Death {
            signal: Some(9),
            oom_killed: true,
            ..Death::default()
        };
        assert_eq!(blame(&killed, &Bounds::default()), Some(Reached::Memory(None)));
    }
}
