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
    let signals = settle(exec_in, status, keep).map_err(machine("supervisor"))?;
    if let Some(observer) = observer {
        observer.started();
    }
    loop {
        if let Next::Ended(_) = next(&signals, init) {
            // What it had open is closed by now; that is told before the end.
            broker.map(|broker| broker.settle(SETTLE));
            if let Some(observer) = observer {
                observer.settle(SETTLE);
            }
            let mut state = [0u8; 4];
            // Without init's last word it was killed.
            let told = rustix::io::read(&link, &mut state).is_ok_and(|count| count == 4);
            leave_as(if told {
                libc::c_int::from_ne_bytes(state)
            } else {
                libc::SIGKILL
            })
        }
    }
}

/// What happened next.
pub(crate) enum Next {
    /// The child ended, with this wait status.
    Ended(libc::c_int),
    /// Something else: a signal that was passed on, another child's end.
    Other,
}

/// Lets go of what is the plugin's, tells the bus when its program runs, and listens to signals.
pub(crate) fn settle(exec_in: OwnedFd, status: &OwnedFd, keep: &[RawFd]) -> io::Result<SignalFd> {
    leave_descriptors(keep)?;
    // Nothing comes when the program was started: its end of the pipe is closed then.
    if File::from(exec_in).read(&mut [0u8; 1]).is_ok_and(|count| count == 0) {
        // A bus that is gone is noticed by its death.
        let _ = send(status, &Word::Started, None);
    }
    listened()
}

/// Waits for a signal and passes it on to the child's process group.
pub(crate) fn next(signals: &SignalFd, child: libc::pid_t) -> Next {
    match signals.next() {
        Ok(Some(SIGCHLD)) => {
            let mut state = 0;
            // SAFETY: asks about that child; the status is a live local.
            if unsafe { libc::waitpid(child, &mut state, libc::WNOHANG) } == child {
                return Next::Ended(state);
            }
        }
        // SAFETY: the child leads a process group of that number.
        Ok(Some(signal)) => drop(unsafe { libc::kill(-child, signal) }),
        Ok(None) | Err(_) => {}
    }
    Next::Other
}

/// Waits for every child that there is.
pub(crate) fn collect_all() {
    // SAFETY: waits for any child; a null status is allowed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
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

/// Ends as the plugin ended.
pub(crate) fn leave_as(status: libc::c_int) -> ! {
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
