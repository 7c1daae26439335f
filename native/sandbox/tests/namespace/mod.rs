//! A plugin's side for tests of the broker: a forked process in a new user and network namespace.
//!
//! The tests and the speed example run a closure in there, with the broker serving it from outside; where no namespace
//! can be had they say so. It may use whatever the crate offers to the bus.

// Each test program uses a part of this.
#![allow(dead_code)]

pub mod hosts;

use dativo_sandbox::broker::{prepare, serve_with, Machine, Report, Rules};
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, Once, OnceLock};
use std::time::Duration;

/// What the plugin returned, and what the broker reported.
pub struct Ran {
    /// The plugin's own words.
    pub said: String,
    /// All reports, in order.
    pub reports: Vec<Report>,
}

impl Ran {
    /// The reports as `host:port outcome`, a port that was not named as `-`.
    pub fn outcomes(&self) -> Vec<String> {
        let port = |r: &Report| r.port.map_or("-".to_string(), |p| p.to_string());
        let line = |r: &Report| format!("{}:{} {}", r.host, port(r), r.outcome.name());
        self.reports.iter().map(line).collect()
    }
}

/// In a plugin's process: to the test's.
static CHANNEL: OnceLock<&UnixStream> = OnceLock::new();

/// Runs `plugin` where its only way out is a broker with these entries. None, with the reason on stderr, where no
/// namespaces can be had. A panic in the plugin is a panic here.
pub fn run(entries: &[String], machine: Machine, plugin: impl FnOnce() -> String) -> Option<Ran> {
    // Before the fork: in the child its lock may be one that a thread held which is not there.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match CHANNEL.get() {
            Some(channel) => say(channel, &panic.to_string()),
            None => usual(panic),
        }));
    });
    let rules = Rules::parse(entries).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    // SAFETY: the child runs on with a copy of this thread alone. What it calls (the allocator, sockets, threads) glibc
    // keeps usable after a fork, and it ends by _exit.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        child(&rules, theirs, plugin);
    }
    drop(theirs);
    let reports = Arc::new(Mutex::new(Vec::new()));
    let mut said = String::new();
    let listeners = receive(&ours);
    let skipped = listeners.is_empty();
    if !skipped {
        let sink = Arc::clone(&reports);
        let broker = serve_with(rules, listeners, machine, move |r| sink.lock().unwrap().push(r)).unwrap();
        (&ours).write_all(b"!").unwrap();
        (&ours).read_to_string(&mut said).unwrap();
        assert!(broker.settle(Duration::from_secs(20)), "connections are left");
    } else {
        (&ours).read_to_string(&mut said).unwrap();
    }
    // SAFETY: waits for the child made above; a null status is allowed.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    if skipped && said.starts_with("skip ") {
        eprintln!("skipped: {}", &said[5..]);
        return None;
    }
    let said = said.strip_prefix("said ").unwrap_or_else(|| panic!("inside: {said}"));
    let reports = reports.lock().unwrap().clone();
    Some(Ran {
        said: said.to_string(),
        reports,
    })
}

fn child(rules: &Rules, channel: UnixStream, plugin: impl FnOnce() -> String) -> ! {
    // SAFETY: plain numbers. Descriptors of tests that run at the same time must not be kept open here, and nothing
    // that owns one of them is used or dropped in this process; the alarm ends it whatever happens.
    unsafe {
        libc::alarm(120);
        libc::dup2(channel.as_raw_fd(), 3);
        libc::close_range(4, libc::c_uint::MAX, 0);
    }
    std::mem::forget(channel);
    // SAFETY: it was made just above, and nothing else owns it.
    let channel: &'static UnixStream = Box::leak(Box::new(unsafe { std::os::fd::FromRawFd::from_raw_fd(3) }));
    CHANNEL.get_or_init(|| channel);
    if let Err(e) = enter() {
        say(channel, &format!("skip no user and network namespace here: {e}"));
    }
    let listeners = prepare(rules).unwrap();
    send(channel, &listeners);
    drop(listeners);
    let mut go = [0];
    (&mut &*channel).read_exact(&mut go).unwrap();
    let said = plugin();
    say(channel, &format!("said {said}"))
}

fn say(mut channel: &UnixStream, text: &str) -> ! {
    // Nobody to tell means nobody waits.
    let _ = channel.write_all(text.as_bytes());
    // SAFETY: ends this process at once, with nothing of the parent's run on the way.
    unsafe { libc::_exit(0) }
}

fn enter() -> io::Result<()> {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    // SAFETY: it takes flags only, none of which touches memory or descriptors.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWNS) } < 0 {
        return Err(io::Error::last_os_error());
    }
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

fn send(channel: &UnixStream, listeners: &[OwnedFd]) {
    let fds: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(200))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(channel, &[IoSlice::new(b"f")], &mut control, SendFlags::empty()).unwrap();
}

/// The listeners; none when the child sent words instead, whose first byte then is still unread.
fn receive(channel: &UnixStream) -> Vec<OwnedFd> {
    let mut first = [0];
    let peeked = rustix::net::recv(channel, &mut first, RecvFlags::PEEK).unwrap().1;
    if peeked == 0 || first != *b"f" {
        return Vec::new();
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(200))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        channel,
        &mut [IoSliceMut::new(&mut first)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .unwrap();
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    rights.flatten().collect()
}
