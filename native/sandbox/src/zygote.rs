//! The process that launchers are forked from: started before the bus has read its plan, so that no launcher holds a
//! secret of another plugin, and already running, so that none has to be executed again (I13; spawn cost).
//!
//! It gets one packet per plugin, with descriptors: the policy, the status socket, stdin, stdout, stderr, what the plugin
//! keeps, what goes into its scratch directory. A spare launcher, forked ahead and the bus's child, takes the packet and
//! answers with its pid; then the next spare is forked.

use crate::policy::Policy;
use crate::status::{receive_fds, send_fds};
use crate::{launcher, pipes, Pid};
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::{fcntl_dupfd_cloexec, read, write};
use rustix::net::{socketpair, AddressFamily, SocketFlags, SocketType};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// A descriptor for every purpose but keeping and scratch files: policy, status, stdin, stdout, stderr.
const FIXED: usize = 5;

/// The bus's end. When it is dropped, the zygote ends; launchers live on.
#[derive(Debug)]
pub struct Zygote {
    socket: OwnedFd,
}

impl Zygote {
    /// Starts it. Call it first, while this process has one thread and knows nothing yet.
    pub fn start() -> io::Result<Zygote> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // SAFETY: getpid only returns a number.
        let parent = unsafe { libc::getpid() };
        // SAFETY: this process has one thread, so the child may do anything that this one may.
        match unsafe { libc::fork() } {
            0 => serve(theirs, parent),
            pid if pid > 0 => Ok(Zygote { socket: ours }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Starts a launcher with these descriptors, in the order of the module's description.
    pub(crate) fn launch(&self, fds: &[OwnedFd]) -> io::Result<Pid> {
        send_fds(&self.socket, fds)?;
        let mut pid = [0u8; 4];
        let told = read(&self.socket, &mut pid)?;
        let pid = i32::from_ne_bytes(pid);
        let started = Pid::from_raw(pid).filter(|_| told == 4 && pid > 0);
        started.ok_or_else(|| io::Error::other("no launcher could be started"))
    }
}

/// The zygote's life.
fn serve(socket: OwnedFd, parent: libc::pid_t) -> ! {
    if settle(&socket, parent).is_err() {
        launcher::exit(1)
    }
    launcher::warm();
    let Ok((taken, take)) = pipes::pipe(0) else {
        launcher::exit(1)
    };
    loop {
        // SAFETY: this process has one thread; without a stack the call is a fork, whose child the bus can wait for.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) };
        if pid == 0 {
            drop(taken);
            spare(socket, take, parent)
        }
        if pid < 0 || !wait_until_taken(&socket, &taken) {
            launcher::exit(0)
        }
    }
}

/// Whether the last spare launcher has a plugin to start; `false` when the bus has started all that it wants to start.
fn wait_until_taken(socket: &OwnedFd, taken: &OwnedFd) -> bool {
    let mut fds = [
        PollFd::new(taken, PollFlags::IN),
        PollFd::new(socket, PollFlags::empty()),
    ];
    loop {
        match poll(&mut fds, None) {
            Ok(_) if fds[0].revents().contains(PollFlags::IN) => {
                return read(taken, &mut [0u8; 1]).is_ok_and(|n| n == 1)
            }
            Ok(_) => return false,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// A launcher that waits for its plugin: forking it took place before it was needed.
fn spare(socket: OwnedFd, take: OwnedFd, parent: libc::pid_t) -> ! {
    let fds = match die_with(parent).and_then(|()| receive_fds(&socket)) {
        Ok(fds) if fds.len() >= FIXED => fds,
        // The bus has started all that it wants to start, or is gone.
        _ => launcher::exit(0),
    };
    // SAFETY: getpid only returns a number.
    let pid = unsafe { libc::getpid() };
    // Who is gone needs neither.
    let _ = write(&socket, &pid.to_ne_bytes());
    let _ = write(&take, b"t");
    drop((socket, take));
    // Its policy cannot be read, or its descriptors are not what the policy says: the bus sees it hang up.
    let _ = become_launcher(fds);
    launcher::exit(125)
}

/// Lets go of everything that the bus inherited: descriptors, environment.
fn settle(socket: &OwnedFd, parent: libc::pid_t) -> io::Result<()> {
    die_with(parent)?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // It is closed by number below.
    let (socket, null) = (socket.as_raw_fd(), null.into_raw_fd());
    // SAFETY: the numbers are open or skipped; nothing in this process uses those that are closed. The environment's
    // strings are this process's own memory, ended by a null pointer; nobody reads them any more.
    unsafe {
        for standard in 0..3 {
            libc::dup2(null, standard);
        }
        libc::syscall(libc::SYS_close_range, 3, socket - 1, 0);
        libc::syscall(libc::SYS_close_range, socket + 1, libc::c_uint::MAX, 0);
        let mut variable = environ;
        while !variable.is_null() && !(*variable).is_null() {
            libc::memset((*variable).cast(), 0, libc::strlen(*variable));
            variable = variable.add(1);
        }
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
    Ok(())
}

extern "C" {
    static environ: *const *mut libc::c_char;
}

/// I8: the kernel kills this process when the bus's thread ends; if it ended before that was said, we are orphaned.
fn die_with(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: plain numbers.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) < 0 || libc::getppid() != parent {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// In a new launcher: a session of its own, every descriptor in its place, then the policy.
fn become_launcher(fds: Vec<OwnedFd>) -> io::Result<()> {
    rustix::process::setsid()?;
    // SAFETY: plain numbers; KILL, STOP and the C library's own signals refuse, and need no reset.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
    let mut text = Vec::new();
    let mut document = File::from(fds[0].try_clone()?);
    document.rewind()?;
    document.read_to_end(&mut text)?;
    let policy: Policy = serde_json::from_slice(&text)?;
    if fds.len() != FIXED + policy.keep.len() + policy.files.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // First out of the way of every number that is wanted, then each to its own.
    let above = policy.keep.iter().copied().max().unwrap_or(0).max(2) + 1;
    let moved: Vec<OwnedFd> = fds
        .iter()
        .map(|fd| fcntl_dupfd_cloexec(fd, above))
        .collect::<Result<_, _>>()?;
    drop((fds, document));
    let mut moved = moved.into_iter().skip(1);
    let status = moved.next().ok_or(io::ErrorKind::InvalidInput)?;
    for wanted in [0, 1, 2].into_iter().chain(policy.keep.iter().copied()) {
        place(&moved.next().ok_or(io::ErrorKind::InvalidInput)?, wanted)?;
    }
    launcher::run(policy, status, moved.collect())
}

/// Puts a descriptor at a number, open across exec.
fn place(fd: &OwnedFd, number: RawFd) -> io::Result<()> {
    // SAFETY: plain numbers; whatever had the number is not used any more.
    match unsafe { libc::dup2(fd.as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
