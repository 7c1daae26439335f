//! What runs in the new process between `fork` and `exec`. Only async-signal-safe calls: no allocation, no locks.

use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;

/// Everything the child needs, allocated before the fork.
pub(crate) struct Prepared {
    pub program: CString,
    pub argv: Vec<*const libc::c_char>,
    pub envp: Vec<*const libc::c_char>,
    pub stdio: [RawFd; 3],
    pub keep: Vec<RawFd>,
    pub parent: libc::pid_t,
}

/// Becomes the program with a session of its own and these descriptors alone; on failure exits with 125.
///
/// # Safety
/// Call it only in a process that `fork` just made, with pointers in `p` that outlive the call.
pub(crate) unsafe fn run(p: &Prepared) -> ! {
    // SAFETY: every call below is async-signal-safe and gets pointers into `p`, which outlives this function.
    unsafe {
        // I8: the kernel kills this process when the bus's thread ends; if it ended before the prctl, we are orphaned.
        if libc::setsid() < 0 || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) < 0 {
            libc::_exit(125);
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
                libc::_exit(125);
            }
        }
        if keep_open(&p.keep).is_ok() {
            libc::execve(p.program.as_ptr(), p.argv.as_ptr(), p.envp.as_ptr());
        }
        libc::_exit(125)
    }
}

/// Marks every descriptor from 3 on to be closed at exec, but for these.
pub(crate) fn keep_open(keep: &[RawFd]) -> io::Result<()> {
    // SAFETY: close_range and fcntl take numbers only; descriptors that are not open are skipped.
    unsafe {
        let flags = libc::CLOSE_RANGE_CLOEXEC;
        if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) != 0 {
            // Kernels before 5.11: one by one.
            let mut limit: libc::rlimit = std::mem::zeroed();
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
            let last = libc::c_int::try_from(limit.rlim_cur.min(1 << 20)).unwrap_or(1 << 20);
            for fd in 3..last {
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
        for fd in keep {
            if libc::fcntl(*fd, libc::F_SETFD, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}
