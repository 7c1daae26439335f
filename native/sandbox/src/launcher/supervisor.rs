//! The launcher outside: hands signals in, passes connections on, and ends as the plugin ended.

use super::exit;
use super::namespaces::{machine, Obstacle};
use super::observe::Observer;
use crate::broker::{self, Broker, Report, Rules};
use crate::signals::{SignalFd, SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use crate::status::{send, Word};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// What is passed on to the plugin. All of these are blocked here from the start.
const PASSED: [libc::c_int; 6] = [SIGTERM, SIGINT, SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];

/// How long connections may take to be reported when the plugin is gone.
const SETTLE: Duration = Duration::from_millis(500);

/// Blocks what [`watch`] reads later, so that nothing is lost in between.
pub(crate) fn block_signals() {
    // What cannot be blocked would end the launcher, and with it the plugin: the run fails, nothing is left.
    let _ = listened();
}

fn listened() -> io::Result<SignalFd> {
    SignalFd::block(&[&PASSED[..], &[SIGCHLD]].concat(), true)
}

/// Kills a child and collects it.
pub(crate) fn end(pid: libc::pid_t) {
    // SAFETY: the child was started here and has not been collected, so the number is still its own.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    collect(pid);
}

/// Waits for a child.
pub(crate) fn collect(pid: libc::pid_t) -> libc::c_int {
    let mut status = 0;
    // SAFETY: waits for that child; the status is a live local.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
    status
}

/// Serves the plugin's connections from now on, and reports each.
pub(crate) fn serve(rules: Rules, listeners: Vec<OwnedFd>, status: &OwnedFd) -> io::Result<Broker> {
    let status = status.try_clone()?;
    let report = move |report: Report| {
        // A report that the bus does not take is not worth more than the connection.
        let _ = send(&status, &Word::Connection(report), None);
    };
    broker::serve(rules, listeners, report)
}

/// Waits for the plugin's end and ends in the same way: with its code, or by its signal.
pub(crate) fn watch(
    init: libc::pid_t,
    link: OwnedFd,
    exec_in: OwnedFd,
    status: &OwnedFd,
    keep: &[RawFd],
    broker: Option<&Broker>,
    observer: Option<&Observer>,
) -> Result<Infallible, Obstacle> {
    leave_descriptors(keep).map_err(machine("supervisor"))?;
    // Nothing comes when the program was started: its end of the pipe is closed then.
    let started = File::from(exec_in).read(&mut [0u8; 1]).is_ok_and(|count| count == 0);
    if started {
        let _ = send(status, &Word::Started, None);
        if let Some(observer) = observer {
            observer.started();
        }
    }
    let signals = listened().map_err(machine("supervisor"))?;
    loop {
        match signals.next() {
            Ok(Some(SIGCHLD)) => {
                let mut state = 0;
                // SAFETY: asks about that child; the status is a live local.
                if unsafe { libc::waitpid(init, &mut state, libc::WNOHANG) } == init {
                    // What it had open is closed by now; that is told before the end.
                    broker.map(|broker| broker.settle(SETTLE));
                    if let Some(observer) = observer {
                        observer.settle(SETTLE);
                    }
                    leave_as(&link)
                }
            }
            // SAFETY: init leads a process group of that number; it ignores what it is not prepared for.
            Ok(Some(signal)) => drop(unsafe { libc::kill(-init, signal) }),
            Ok(None) | Err(_) => {}
        }
    }
}

/// The plugin's pipes and files are its own: an end held here would hide that it closed them.
fn leave_descriptors(keep: &[RawFd]) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for number in 0..3 {
        // SAFETY: both numbers are open; the standard ones stay in use as /dev/null.
        if unsafe { libc::dup2(null.as_raw_fd(), number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    for fd in keep {
        // SAFETY: numbers that the policy named for the plugin; nothing here uses them.
        unsafe { libc::close(*fd) };
    }
    Ok(())
}

/// Ends as the plugin ended; init leaves its wait status in the link. Without one it was killed.
fn leave_as(link: &OwnedFd) -> ! {
    let mut status = [0u8; 4];
    let told = rustix::io::read(link, &mut status).is_ok_and(|count| count == 4);
    let status = if told {
        libc::c_int::from_ne_bytes(status)
    } else {
        libc::SIGKILL
    };
    if libc::WIFEXITED(status) {
        exit(libc::WEXITSTATUS(status))
    }
    let signal = libc::WTERMSIG(status);
    // SAFETY: plain numbers and live locals: no core, the default action, the signal let through, then sent.
    unsafe {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::sigprocmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::kill(libc::getpid(), signal);
    }
    exit(128 + signal)
}
