//! Namespaces of the plugin's own: users, mounts, processes, network, IPC, host name, control groups.
//!
//! Three processes: this one stays outside ([`supervisor`]); an init process, number 1 inside, builds the root, starts
//! the plugin, collects what ends, and takes all that is left with it when it ends (I8); the plugin is its child.

use super::grants::grants;
use super::mount::Prepared;
use super::observe::Observer;
use super::privileges as give_up;
use super::root;
use super::{exit, plugin, promise, supervisor, Refusal};
use crate::broker::{self, Rules};
use crate::pipes;
use crate::policy::{Network, Policy, Profile};
use crate::status::{receive_fds, send, send_fds, Holding, Word};
use rustix::net::{socketpair, AddressFamily, SocketFlags, SocketType};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Why there is no plugin in namespaces.
pub(crate) enum Obstacle {
    /// This machine does not give them; another layout may do.
    Machine(String),
    /// They are not to blame.
    Program(Refusal),
}

pub(crate) fn machine(what: &str) -> impl Fn(io::Error) -> Obstacle + '_ {
    move |e| Obstacle::Machine(format!("{what}: {e}"))
}

/// Everything that init needs.
struct Inside<'a> {
    policy: &'a Policy,
    program: &'a Path,
    rules: Option<&'a Rules>,
    uid: Option<u32>,
    /// Mounts that only root outside could make.
    prepared: Vec<Prepared>,
    link: OwnedFd,
    status: &'a OwnedFd,
    /// Where the plugin's process sends what it is observed through.
    observer: Option<OwnedFd>,
    files: &'a [OwnedFd],
}

/// Starts the plugin inside and supervises it to its end. Comes back only when there is no plugin.
pub(crate) fn start(
    policy: &Policy,
    status: &OwnedFd,
    files: &[OwnedFd],
    program: &Path,
) -> Result<Infallible, Obstacle> {
    let confinement = &policy.confinement;
    let rules = match &confinement.network {
        Network::Hosts(hosts) => Some(Rules::parse(hosts).map_err(|e| Obstacle::Program(Refusal::of_sandbox(e)))?),
        _ => None,
    };
    let root = give_up::is_root();
    let mut uid = root.then(|| give_up::plugin_uid(std::process::id()));
    let mut prepared = Vec::new();
    if let Some(own) = uid {
        give_up::drop_groups().map_err(machine("setgroups"))?;
        match grants(confinement, program, uid).map_err(Obstacle::Program)? {
            Some(mounts) => {
                prepared = mounts;
                hand_over(policy, own);
            }
            // As root without a capability it can at least use what is root's.
            None => uid = None,
        }
    }
    supervisor::block_signals();
    let pair = |kind| socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(io::Error::from);
    let (link, inner) = pair(SocketType::SEQPACKET).map_err(machine("socketpair"))?;
    let observed = confinement
        .observe
        .then(|| pair(SocketType::SEQPACKET))
        .transpose()
        .map_err(machine("socketpair"))?;
    let (exec_in, exec_out) = pipes::pipe(0).map_err(machine("pipe"))?;
    let mut flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP
        | libc::SIGCHLD;
    // A plugin that may not make a single network socket needs no empty network to find nobody in; strict gives both.
    let own_network = match confinement.network {
        Network::Any => false,
        Network::Hosts(_) => true,
        Network::None => confinement.profile == Profile::Strict,
    };
    if own_network {
        flags |= libc::CLONE_NEWNET;
    }
    // SAFETY: this process has one thread; without a stack the call is a fork into new namespaces.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as libc::pid_t;
    if pid < 0 {
        return Err(machine("clone")(io::Error::last_os_error()));
    }
    if pid == 0 {
        drop((link, exec_in));
        let inside = Inside {
            policy,
            program,
            rules: rules.as_ref(),
            uid,
            prepared,
            link: inner,
            status,
            files,
            observer: observed.map(|(_, inner)| inner),
        };
        init(inside, exec_out)
    }
    drop((inner, exec_out, prepared));
    let outcome = meet(pid, policy, (status, &exec_in), &link, uid, rules.is_some());
    let listeners = match outcome {
        Ok(listeners) => listeners,
        Err(obstacle) => {
            supervisor::end(pid);
            return Err(obstacle);
        }
    };
    let hosts = rules.as_ref().map(Rules::hosts_file).unwrap_or_default();
    let observer = observed
        .map(|(outer, _)| Observer::start(outer, status, confinement, &hosts))
        .transpose()
        .map_err(machine("observer"))?;
    let broker = rules
        .map(|rules| supervisor::serve(rules, listeners, status))
        .transpose();
    let broker = broker.map_err(machine("broker"))?;
    supervisor::watch(pid, link, exec_in, &policy.keep, broker.as_ref(), observer.as_ref())
}

/// The launcher's part until the plugin may start: maps, listeners, the report, the word to go.
fn meet(
    pid: libc::pid_t,
    policy: &Policy,
    (status, exec_in): (&OwnedFd, &OwnedFd),
    link: &OwnedFd,
    uid: Option<u32>,
    hosts: bool,
) -> Result<Vec<OwnedFd>, Obstacle> {
    map_users(pid, uid).map_err(machine("user namespace"))?;
    let mut to_init = File::from(link.try_clone().map_err(machine("dup"))?);
    to_init.write_all(b"m").map_err(machine("init"))?;
    let gone = || Obstacle::Machine("init ended".into());
    let listeners = match hosts {
        true => receive_fds(link).map_err(machine("listeners"))?,
        false => Vec::new(),
    };
    if hosts && listeners.is_empty() {
        return Err(reason(link).unwrap_or_else(gone));
    }
    let scratch = receive_fds(link).map_err(machine("init"))?;
    let Some(scratch) = scratch.into_iter().next() else {
        return Err(reason(link).unwrap_or_else(gone));
    };
    let (guarantees, mut missing) = promise::of(&policy.confinement, Holding::Namespaces, "");
    if uid.is_none() && give_up::is_root() {
        missing
            .push("uid: it stays root's, without any capability, since a granted file system cannot map owners".into());
    }
    let word = Word::Confined {
        layout: Holding::Namespaces,
        guarantees,
        missing,
    };
    send(status, &word, &[scratch.as_fd(), exec_in.as_fd()]).map_err(machine("status"))?;
    to_init.write_all(b"g").map_err(machine("init"))?;
    Ok(listeners)
}

/// What init said before it gave up. A packet without descriptors announced it.
fn reason(link: &OwnedFd) -> Option<Obstacle> {
    let mut text = [0u8; 1024];
    let count = rustix::io::read(link, &mut text).ok().filter(|n| *n > 1)?;
    let said = String::from_utf8_lossy(&text[1..count]).into_owned();
    Some(match text[0] {
        b'p' => Obstacle::Program(Refusal::of_sandbox(said)),
        _ => Obstacle::Machine(said),
    })
}

/// One user inside, the one outside; root also gets one for the plugin.
pub(super) fn map_users(pid: libc::pid_t, uid: Option<u32>) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let write = |what: &str, text: String| std::fs::write(format!("/proc/{pid}/{what}"), text);
    if let Some(uid) = uid {
        write("uid_map", format!("0 0 1\n{uid} {uid} 1\n"))?;
        return write("gid_map", format!("0 0 1\n{uid} {uid} 1\n"));
    }
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{user} {user} 1\n"))?;
    write("gid_map", format!("{group} {group} 1\n"))
}

/// Root's pipes and files in memory become the plugin's, so that it can open them again through /proc.
fn hand_over(policy: &Policy, uid: u32) {
    use rustix::fs::{fchown, Gid, Uid};
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    for number in [0, 1, 2].iter().chain(&policy.keep) {
        // SAFETY: the bus passed these numbers open; borrowed for one call.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(*number) };
        // A descriptor whose owner cannot be changed is still usable as it is.
        let _ = fchown(fd, Some(user), Some(group));
    }
}

// -- inside

/// Process number 1 of the plugin's own world.
fn init(inside: Inside<'_>, exec_out: OwnedFd) -> ! {
    let Err((kind, message)) = prepare(&inside, exec_out);
    let mut text = vec![kind];
    text.extend(message.into_bytes().into_iter().take(1000));
    // An empty packet tells that no descriptor comes; a launcher that is gone needs no reason.
    let _ = rustix::io::write(&inside.link, b"-").and_then(|_| rustix::io::write(&inside.link, &text));
    exit(1)
}

fn prepare(inside: &Inside<'_>, exec_out: OwnedFd) -> Result<Infallible, (u8, String)> {
    let fail = |what: &str, e: io::Error| (b'm', format!("{what}: {e}"));
    rustix::process::setsid().map_err(|e| fail("setsid", e.into()))?;
    give_up::die_with_parent().map_err(|e| fail("prctl", e))?;
    wait_for(&inside.link, b'm');
    let mut hosts = String::from("127.0.0.1 localhost\n");
    if let Some(rules) = inside.rules {
        hosts = rules.hosts_file();
        let listeners = broker::prepare(rules).map_err(|e| fail("network", e))?;
        send_fds(&inside.link, &listeners).map_err(|e| fail("listeners", e))?;
    }
    let owner = inside.uid.map_or(
        (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()),
        |uid| (uid, uid),
    );
    let confinement = &inside.policy.confinement;
    let own = match inside.uid {
        Some(_) => Vec::new(),
        None => grants(confinement, inside.program, None)
            .map_err(|r| (b'p', r.message))?
            .unwrap_or_default(),
    };
    let mut prepared = own;
    for one in &inside.prepared {
        let mount = one.mount.try_clone().map_err(|e| fail("dup", e))?;
        prepared.push(Prepared {
            at: one.at.clone(),
            mount,
        });
    }
    let cwd = inside.policy.cwd.clone();
    let scratch = root::enter(confinement, prepared, owner, &hosts, cwd.as_deref())
        .map_err(|(path, e)| fail(&format!("mount {path}"), e))?;
    let filled = plugin::fill_scratch(inside.policy, inside.files, inside.uid);
    filled.map_err(|e| fail("scratch", e))?;
    send_fds(&inside.link, &[scratch]).map_err(|e| fail("scratch", e))?;
    run(inside, exec_out)
}

/// Blocks until the launcher says the word; ends when it is gone.
fn wait_for(link: &OwnedFd, word: u8) {
    let mut byte = [0u8; 1];
    match rustix::io::read(link, &mut byte) {
        Ok(1) if byte[0] == word => {}
        _ => exit(1),
    }
}

/// What the plugin's process does until it is the plugin. It borrows init's memory, which stands still meanwhile.
extern "C" fn become_plugin(inside: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `run` passes its own `inside`, which lives as long as init does.
    let inside = unsafe { &*inside.cast::<Inside<'_>>() };
    let Err(refusal) = plugin::enter(
        inside.policy,
        inside.program,
        Holding::Namespaces,
        inside.uid,
        inside.observer.as_ref(),
        // What holds is told before its program runs.
        &mut || wait_for(&inside.link, b'g'),
    );
    let word = Word::Failed {
        sandbox: refusal.sandbox,
        message: refusal.message,
    };
    // A bus that is gone needs no report.
    let _ = send(inside.status, &word, &[]);
    exit(125)
}

/// Starts the plugin and waits for it; when this process ends, everything inside ends.
fn run(inside: &Inside<'_>, exec_out: OwnedFd) -> ! {
    const STACK: usize = 1 << 20;
    let mut stack = vec![0u128; STACK / 16];
    let top = stack.as_mut_ptr_range().end;
    let argument: *const Inside<'_> = inside;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child runs on a stack of its own, and this process goes on only when the child has a program of its own
    // or is gone: until then the argument, the stack and all else that it uses stay as they are.
    let pid = unsafe { libc::clone(become_plugin, top.cast(), flags, argument.cast_mut().cast()) };
    if pid < 0 {
        exit(1)
    }
    drop(exec_out);
    let link = inside.link.as_raw_fd();
    // SAFETY: closes numbers; the link's is kept and everything else here is not used any more.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, link - 1, 0);
        libc::syscall(libc::SYS_close_range, link + 1, libc::c_uint::MAX, 0);
    }
    give_up::be_opaque();
    // What it still has is inside its own world only.
    let _ = give_up::no_new_privileges();
    let _ = give_up::drop_capabilities();
    loop {
        let mut status = 0;
        // SAFETY: waits for any child; the status is a live local.
        let ended = unsafe { libc::waitpid(-1, &mut status, 0) };
        if ended == pid || (ended < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted) {
            // SAFETY: the link is open, and nothing else here owns it.
            let link = unsafe { OwnedFd::from_raw_fd(link) };
            let _ = rustix::io::write(&link, &status.to_ne_bytes());
            exit(0)
        }
    }
}
