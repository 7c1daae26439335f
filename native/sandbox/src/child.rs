//! What runs in the new process between `fork` and `exec`. Only async-signal-safe calls: no allocation, no locks.

use std::ffi::CString;
use std::os::fd::RawFd;

/// How far the child got, as reported to the parent with the errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Own session and parent-death signal.
    Session = 1,
    /// Moving the pipes to 0, 1, 2 and closing the rest.
    Descriptors = 2,
    /// A resource limit; the detail is its index in the spec.
    Limit = 3,
    /// Changing the directory.
    Directory = 4,
    /// no_new_privs.
    Privileges = 5,
    /// Running the program.
    Exec = 6,
}

impl Stage {
    pub(crate) fn from_byte(byte: u8) -> Option<Stage> {
        use Stage::{Descriptors, Directory, Exec, Limit, Privileges, Session};
        [Session, Descriptors, Limit, Directory, Privileges, Exec]
            .into_iter()
            .find(|s| *s as u8 == byte)
    }
}

/// Everything the child needs, allocated before the fork.
pub(crate) struct Prepared {
    pub program: CString,
    pub argv: Vec<*const libc::c_char>,
    pub envp: Vec<*const libc::c_char>,
    pub cwd: Option<CString>,
    pub stdio: [RawFd; 3],
    pub keep: Vec<RawFd>,
    pub limits: Vec<(libc::__rlimit_resource_t, libc::rlimit)>,
    pub parent: libc::pid_t,
    pub report: RawFd,
}

/// Confines this process and becomes the program; on failure reports `(stage, detail, errno)` and exits.
///
/// # Safety
/// Call it only in a process that `fork` just made, with pointers in `p` that outlive the call.
pub(crate) unsafe fn run(p: &Prepared) -> ! {
    // SAFETY: every call below is async-signal-safe and gets pointers into `p`, which outlives this function.
    unsafe {
        // I8: the kernel kills this process when the bus's thread ends; if it ended before the prctl, we are orphaned.
        if libc::setsid() < 0 || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) < 0 {
            fail(p.report, Stage::Session, 0);
        }
        if libc::getppid() != p.parent {
            libc::_exit(125);
        }
        for signal in 1..=64 {
            // KILL, STOP and the C library's own signals refuse, and need no reset.
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());

        // I6: 0, 1, 2 and the listed files; everything else closes at exec.
        for (number, fd) in p.stdio.iter().enumerate() {
            if libc::dup2(*fd, number as libc::c_int) < 0 {
                fail(p.report, Stage::Descriptors, 0);
            }
        }
        close_on_exec_from(3);
        for fd in &p.keep {
            if libc::fcntl(*fd, libc::F_SETFD, 0) < 0 {
                fail(p.report, Stage::Descriptors, 0);
            }
        }
        for (index, (resource, limit)) in p.limits.iter().enumerate() {
            if libc::setrlimit(*resource, limit) < 0 {
                fail(p.report, Stage::Limit, index as u8);
            }
        }
        if let Some(cwd) = &p.cwd {
            if libc::chdir(cwd.as_ptr()) < 0 {
                fail(p.report, Stage::Directory, 0);
            }
        }
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 {
            fail(p.report, Stage::Privileges, 0);
        }
        libc::execve(p.program.as_ptr(), p.argv.as_ptr(), p.envp.as_ptr());
        fail(p.report, Stage::Exec, 0)
    }
}

/// Marks every descriptor from `first` on to be closed at exec.
unsafe fn close_on_exec_from(first: libc::c_int) {
    // SAFETY: close_range and fcntl take numbers only; descriptors that are not open are skipped.
    unsafe {
        if libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        ) == 0
        {
            return;
        }
        // Kernels before 5.11: one by one.
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        let last = libc::c_int::try_from(limit.rlim_cur.min(1 << 20)).unwrap_or(1 << 20);
        for fd in first..last {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

unsafe fn fail(report: RawFd, stage: Stage, detail: u8) -> ! {
    // SAFETY: the errno location is this thread's own; the report is a small array on this stack.
    unsafe {
        let errno = (*libc::__errno_location()).to_ne_bytes();
        let message = [stage as u8, detail, errno[0], errno[1], errno[2], errno[3]];
        libc::write(report, message.as_ptr().cast(), message.len());
        libc::_exit(125)
    }
}
