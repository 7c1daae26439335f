//! How a child ended: exit code or signal, and what it used.

use crate::Pid;
use std::io;
use std::time::Duration;

/// The end of one process.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// Who ended: a child that we started, or an orphan that was handed to us as subreaper.
    pub pid: Pid,
    /// Its exit code, when it was not a signal that ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// CPU time in user mode, its own reaped children included.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Peak resident memory of its largest process, KiB.
    pub max_rss_kb: u64,
}

/// What [`reap`] found.
#[derive(Clone, Debug, PartialEq)]
pub enum Reaped {
    /// A child ended.
    Ended(Exit),
    /// Children exist and all still run.
    Running,
    /// There is no child left at all, orphans included.
    Nobody,
}

/// Collects one ended child without waiting.
pub fn reap() -> io::Result<Reaped> {
    let mut status: libc::c_int = 0;
    // SAFETY: an all-zero rusage is a valid value of that plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals of the types that wait4 fills in.
    let pid = unsafe { libc::wait4(-1, &mut status, libc::WNOHANG, &mut usage) };
    if pid < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ECHILD) {
            Ok(Reaped::Nobody)
        } else {
            Err(error)
        };
    }
    let Some(pid) = Pid::from_raw(pid) else {
        return Ok(Reaped::Running);
    };
    let exited = libc::WIFEXITED(status);
    Ok(Reaped::Ended(Exit {
        pid,
        code: exited.then(|| libc::WEXITSTATUS(status)),
        signal: (!exited).then(|| libc::WTERMSIG(status)),
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        max_rss_kb: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    }))
}

/// CPU time that this process itself has used: (user, system).
pub fn own_cpu() -> (Duration, Duration) {
    // SAFETY: an all-zero rusage is a valid value of that plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live local of the type that getrusage fills in.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    (duration(usage.ru_utime), duration(usage.ru_stime))
}

fn duration(t: libc::timeval) -> Duration {
    Duration::new(
        u64::try_from(t.tv_sec).unwrap_or(0),
        u32::try_from(t.tv_usec).unwrap_or(0) * 1000,
    )
}
