//! Signals to the bus as something to poll: a signalfd over a blocked set.

use rustix::io::{read, Errno};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

pub use libc::{SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGTERM};

/// Delivers blocked signals to a `poll` loop. Children get their mask and handlers reset by `spawn`.
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
}

impl SignalFd {
    /// Blocks these signals for the calling thread and makes them readable. Call it before any thread is started. With
    /// `waits`, [`SignalFd::next`] waits for one.
    pub fn block(signals: &[libc::c_int], waits: bool) -> io::Result<SignalFd> {
        // SAFETY: an all-zero sigset_t is valid storage, and sigemptyset initialises it before any use.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: `set` is a live local; the signal numbers are checked by sigaddset itself.
        unsafe {
            libc::sigemptyset(&mut set);
            for signal in signals {
                libc::sigaddset(&mut set, *signal);
            }
        }
        // SAFETY: `set` is initialised; a null old set is allowed.
        if unsafe { libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let nonblock = if waits { 0 } else { libc::SFD_NONBLOCK };
        // SAFETY: `set` is initialised and -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | nonblock) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just returned this descriptor to us, so nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(SignalFd { fd })
    }

    /// The next pending signal, if there is one.
    pub fn next(&self) -> io::Result<Option<libc::c_int>> {
        let mut info = [0u8; std::mem::size_of::<libc::signalfd_siginfo>()];
        match read(&self.fd, &mut info) {
            // ssi_signo is the first field, a u32.
            Ok(_) => Ok(Some(i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
