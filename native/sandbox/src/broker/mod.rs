//! The network broker: the only way out for a plugin whose network namespace is empty.
//!
//! Where it stands: inside the namespace, before the plugin runs, [`prepare`] opens listeners on loopback addresses
//! that stand for the granted hosts ([`Rules::hosts_file`] gives the plugin their names). Outside, [`serve`] accepts
//! from them, resolves the name that is meant, connects, and moves the bytes; it also is the plugin's name server. The
//! plugin holds sockets of its own namespace only; whatever it does with them, no packet leaves but through here.
//!
//! - `rules`: the grant; `names`: which address inside means whom; `inside`: what is done in the namespace;
//! - `dns`: the name server; `reach`: resolving and connecting; `pump`: moving bytes; `report`: telling, within bounds.
//!
//! Invariants it guards:
//! - I6: no host but the granted ones, and no public name that leads back to this machine or its cloud's metadata;
//! - I10: connections, threads, names and reports are bounded;
//! - I12: a name is a name: letters, digits, `-`, `_` and dots, in the hosts file and in the resolver.
//!
//! Who may import it: the launcher in this crate, and tests.

mod dns;
mod inside;
mod names;
mod pump;
mod reach;
mod report;
mod rules;

pub use inside::prepare;
pub use reach::{Machine, Resolve};
pub use report::{Outcome, Report};
pub use rules::Rules;

use names::{Names, Target};
use report::Reporter;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{accept_with, getsockname, sockopt, SocketFlags};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections at a time.
const MAX_CONNECTIONS: usize = 256;
/// Connections to the name server at a time; further ones wait.
const NAME_SERVERS: usize = 8;
/// Descriptors for all of that: two sockets and two pipes for each connection.
const DESCRIPTORS: u64 = 4_096;
/// Address space only. The machine's resolver runs on it, with whatever modules it is configured to load.
const STACK: usize = 256 << 10;

/// The broker of one plugin. It works until its process ends, whether this is kept or not.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

struct Shared {
    names: Names,
    machine: Machine,
    reporter: Reporter,
    connections: AtomicUsize,
}

/// Serves the listeners that [`prepare`] gave, in threads of their own, and reports from those threads.
pub fn serve(
    rules: Rules,
    listeners: Vec<OwnedFd>,
    report: impl Fn(Report) + Send + Sync + 'static,
) -> io::Result<Broker> {
    serve_with(rules, listeners, Machine::here(), report)
}

/// The same, with the machine outside given.
pub fn serve_with(
    rules: Rules,
    listeners: Vec<OwnedFd>,
    machine: Machine,
    report: impl Fn(Report) + Send + Sync + 'static,
) -> io::Result<Broker> {
    // SAFETY: it takes numbers only. A side that is gone must be an error, not this process's end.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    allow_descriptors();
    let shared = Arc::new(Shared {
        names: Names::new(rules),
        machine,
        reporter: Reporter::new(report),
        connections: AtomicUsize::new(0),
    });
    let mut listeners = listeners.into_iter();
    let Some(name_server) = listeners.next() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let name_server = Arc::new(TcpListener::from(name_server));
    name_server.set_nonblocking(false)?;
    for _ in 0..NAME_SERVERS {
        let (shared, listener) = (Arc::clone(&shared), Arc::clone(&name_server));
        thread("broker-names", move || {
            dns::serve(&listener, &shared.names, &shared.reporter)
        })?;
    }
    let listeners: Vec<TcpListener> = listeners.map(TcpListener::from).collect();
    for listener in &listeners {
        // A client that is gone again must not leave `accept` waiting.
        listener.set_nonblocking(true)?;
    }
    if !listeners.is_empty() {
        let shared = Arc::clone(&shared);
        thread("broker-accept", move || accept_all(&listeners, &shared))?;
    }
    Ok(Broker { shared })
}

impl Broker {
    /// Waits until no connection is left and all of them were reported, at most that long; says whether it is so. Once
    /// the plugin's processes are gone this is a matter of moments.
    pub fn settle(&self, patience: Duration) -> bool {
        let begin = Instant::now();
        while self.shared.connections.load(Ordering::Acquire) > 0 {
            if begin.elapsed() >= patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// How many reports were only counted, because there were too many.
    pub fn untold(&self) -> u64 {
        self.shared.reporter.untold()
    }
}

/// Accepts from all listeners, for ever.
fn accept_all(listeners: &[TcpListener], shared: &Arc<Shared>) {
    let mut set: Vec<PollFd<'_>> = listeners.iter().map(|l| PollFd::new(l, PollFlags::IN)).collect();
    loop {
        if let Err(errno) = poll(&mut set, None) {
            if errno != Errno::INTR {
                std::thread::sleep(Duration::from_millis(20));
            }
            continue;
        }
        for (listener, polled) in listeners.iter().zip(&set) {
            if polled.revents().is_empty() {
                continue;
            }
            match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(client) => take(client, shared),
                Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
                // Out of descriptors or memory: let the connections that are there end.
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

/// Decides about a connection. Whenever its socket is dropped before the host was reached, the plugin sees a reset.
fn take(client: OwnedFd, shared: &Arc<Shared>) {
    let reset = sockopt::set_socket_linger(&client, Some(Duration::ZERO));
    let Some((local, port)) = reset.ok().and_then(|()| local_address(&client)) else {
        return;
    };
    let reporter = &shared.reporter;
    let target = match shared.names.meant(local, port) {
        Ok(target) => target,
        Err(host) => {
            return reporter.deny(Report::new(Outcome::Denied, &host, port).because("not granted on this port"))
        }
    };
    let failed = Report::new(Outcome::Failed, &host(&target), port);
    let slot = Slot::take(shared);
    if slot.place >= MAX_CONNECTIONS {
        reporter.tell(failed.because(format!("{MAX_CONNECTIONS} connections are open already")));
        return;
    }
    // When no thread can be made, the closure is dropped, and with it the socket and the slot.
    if let Err(e) = thread("broker-pump", move || connection(client, &target, port, &slot)) {
        reporter.tell(failed.because(e));
    }
}

/// One connection, from resolving the name to the last byte.
fn connection(client: OwnedFd, target: &Target, port: u16, slot: &Slot) {
    let Shared { machine, reporter, .. } = &*slot.shared;
    let report = |outcome| Report::new(outcome, &host(target), port);
    let (upstream, address) = match machine.connect(target, port) {
        Ok(reached) => reached,
        Err(un) => {
            let report = report(un.outcome).leading_to(un.address).because(un.reason);
            return if un.outcome == Outcome::Denied {
                reporter.deny(report);
            } else {
                reporter.tell(report);
            };
        }
    };
    let upstream = OwnedFd::from(upstream);
    if let Err(e) = tune(&client).and_then(|()| tune(&upstream)) {
        reporter.tell(report(Outcome::Failed).leading_to(Some(address)).because(e));
        return;
    }
    let told = reporter.tell(report(Outcome::Open).leading_to(Some(address)));
    let pumped = pump::pump(client.as_fd(), upstream.as_fd());
    let mut end = report(Outcome::Closed).leading_to(Some(address));
    let broken = match &pumped {
        Ok(pumped) => pumped.broken.map(io::Error::from).map(|e| e.to_string()),
        Err(e) => Some(e.to_string()),
    };
    let (sent, received) = pumped.map_or((0, 0), |p| (p.forth, p.back));
    (end.sent, end.received) = (Some(sent), Some(received));
    if let Some(reason) = broken {
        // Both sides see that it broke off; a plain close would look like the data's end.
        for socket in [&client, &upstream] {
            let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
        }
        end = end.because(reason);
    }
    drop((client, upstream));
    reporter.tell_end(told, end);
}

/// Readies a connected socket for pumping: small messages go at once, a peer that vanished is noticed, a close is a
/// close again.
fn tune(socket: &OwnedFd) -> io::Result<()> {
    sockopt::set_tcp_nodelay(socket, true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(socket, 4)?;
    sockopt::set_socket_linger(socket, None)?;
    Ok(rustix::io::ioctl_fionbio(socket, true)?)
}

/// Counts a connection for as long as it lives.
struct Slot {
    shared: Arc<Shared>,
    place: usize,
}

impl Slot {
    fn take(shared: &Arc<Shared>) -> Slot {
        Slot {
            place: shared.connections.fetch_add(1, Ordering::AcqRel),
            shared: Arc::clone(shared),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

fn host(target: &Target) -> String {
    match target {
        Target::Name(name) => name.clone(),
        Target::Address(address) => address.to_string(),
    }
}

fn local_address(socket: &OwnedFd) -> Option<(IpAddr, u16)> {
    let address = SocketAddr::try_from(getsockname(socket).ok()?).ok()?;
    Some((address.ip(), address.port()))
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = std::thread::Builder::new().name(name.into()).stack_size(STACK);
    builder.spawn(work).map(drop)
}

/// Raises this process's own limit towards what the connections need; a lower one means failed connections, reported.
fn allow_descriptors() {
    let now = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wish = now.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if now.current.is_some_and(|current| current < wish) {
        let limit = rustix::process::Rlimit {
            current: Some(wish),
            maximum: now.maximum,
        };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit);
    }
}
