//! What this machine gives to the launcher, found by trying each layer in a process of its own (I7).
//!
//! Nothing is concluded from a version number, and a profile is available when a program could be started under it:
//! the same launcher that starts plugins says so, and why not.

use super::grants::mapping;
use super::namespaces::map_users;
use super::offers::{offer, Offer};
use super::seccomp::{self, Needs};
use super::{landlock, mount, places, privileges, supervisor};
use crate::broker::{self, Rules};
use crate::cgroup::Group;
use crate::policy::{Layout, Profile};
use crate::{memfd, pipes, tree, Zygote};
use rustix::mount::{mount_change, MountPropagationFlags};
use rustix::process::{getpid, pidfd_open, pidfd_send_signal, PidfdFlags, Signal};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// One layer: whether it works here, and what is known about it.
#[derive(Debug, Serialize)]
pub struct Layer {
    /// It was tried and worked.
    pub works: bool,
    /// Why not, or which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// The kernel's release.
    pub kernel: String,
    /// Whether root asks.
    pub root: bool,
    /// This executable, which an AppArmor profile has to name.
    pub executable: PathBuf,
    /// The version of Landlock; 0 is none.
    pub landlock: i32,
    /// By name.
    pub layers: BTreeMap<&'static str, Layer>,
    /// By name; `floor` is `standard` without namespaces.
    pub profiles: BTreeMap<&'static str, Offer>,
}

type Tried = Result<(), String>;

/// Tries everything. Call it in a process with one thread.
pub fn probe() -> io::Result<Findings> {
    let zygote = Zygote::start()?;
    let root = privileges::is_root();
    let mut layers: BTreeMap<&'static str, Layer> = all()
        .into_iter()
        .chain(root.then(|| ("idmapped_mounts", idmapped())))
        .map(|(name, tried)| {
            let layer = Layer {
                works: tried.is_ok(),
                detail: tried.err(),
            };
            (name, layer)
        })
        .collect();
    layers.insert("cgroup", control_group());
    let profiles = [
        ("limits", Profile::Limits, Layout::Auto),
        ("floor", Profile::Standard, Layout::Floor),
        ("standard", Profile::Standard, Layout::Auto),
        ("strict", Profile::Strict, Layout::Auto),
    ];
    Ok(Findings {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        root,
        executable: std::env::current_exe().unwrap_or_default(),
        landlock: landlock::version(),
        layers,
        profiles: profiles
            .map(|(name, profile, layout)| (name, offer(&zygote, profile, layout)))
            .into(),
    })
}

fn all() -> Vec<(&'static str, Tried)> {
    use libc::{CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS};
    let nothing = || Ok(());
    vec![
        ("no_new_privs", in_child(0, privileges::no_new_privileges)),
        ("subreaper", in_child(0, tree::become_subreaper)),
        (
            "memfd_seal",
            in_child(0, || memfd::sealed("dativo-probe", b"x").map(drop)),
        ),
        ("pidfd", in_child(0, pidfd)),
        ("landlock", in_child(0, fence)),
        ("seccomp", in_child(0, filter)),
        ("seccomp_notify", in_child(0, listener)),
        ("user_namespace", in_child(CLONE_NEWUSER, nothing)),
        ("mount_namespace", in_child(CLONE_NEWUSER | CLONE_NEWNS, mounts)),
        ("pid_namespace", in_child(CLONE_NEWUSER | CLONE_NEWPID, first_process)),
        (
            "proc_mount",
            in_child(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID, || {
                mount::procfs().map(drop).map_err(Into::into)
            }),
        ),
        ("network_namespace", in_child(CLONE_NEWUSER | CLONE_NEWNET, listeners)),
        ("ipc_namespace", in_child(CLONE_NEWUSER | CLONE_NEWIPC, nothing)),
        ("uts_namespace", in_child(CLONE_NEWUSER | CLONE_NEWUTS, nothing)),
        ("cgroup_namespace", in_child(CLONE_NEWUSER | CLONE_NEWCGROUP, nothing)),
    ]
}

/// Runs an attempt in a child of its own, in new namespaces: it cannot be taken back.
fn in_child(flags: libc::c_int, attempt: impl FnOnce() -> io::Result<()>) -> Tried {
    let text = |e: io::Error| e.to_string();
    let (gate_in, gate_out) = pipes::pipe(0).map_err(text)?;
    let (said_in, said_out) = pipes::pipe(0).map_err(text)?;
    // SAFETY: this process has one thread; without a stack the call is a fork into new namespaces.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) } as libc::pid_t;
    if pid < 0 {
        return Err(io::Error::last_os_error().to_string());
    }
    if pid == 0 {
        drop((gate_out, said_in));
        let open = File::from(gate_in).read(&mut [0u8; 1]).is_ok_and(|count| count == 1);
        let outcome = if open { attempt() } else { Ok(()) };
        let said = outcome.err().map_or_else(|| "+".to_string(), |e| format!("-{e}"));
        // Nobody but the parent is there to hear of it.
        let _ = File::from(said_out).write_all(said.as_bytes());
        super::exit(0)
    }
    drop((gate_in, said_out));
    let uid = privileges::is_root().then(|| privileges::plugin_uid(std::process::id()));
    let mapped = match flags & libc::CLONE_NEWUSER {
        0 => Ok(()),
        _ => map_users(pid, uid),
    };
    let mut said = String::new();
    let heard = mapped
        .map_err(|e| format!("it cannot be given a user: {e}"))
        .and_then(|()| File::from(gate_out).write_all(b"g").map_err(text))
        .and_then(|()| File::from(said_in).read_to_string(&mut said).map_err(text));
    supervisor::end(pid);
    heard?;
    match said.split_at_checked(1) {
        Some(("+", _)) => Ok(()),
        Some((_, reason)) => Err(reason.to_string()),
        None => Err("it ended the process that tried it".into()),
    }
}

fn pidfd() -> io::Result<()> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    // A signal that is ignored by default.
    Ok(pidfd_send_signal(own, Signal::CONT)?)
}

fn fence() -> io::Result<()> {
    if landlock::version() == 0 {
        return Err(io::Error::other("not in this kernel, or not in its lsm= list"));
    }
    privileges::no_new_privileges()?;
    landlock::Fence::new(true)?.read(Path::new("/usr"))?.close()
}

fn filter() -> io::Result<()> {
    privileges::no_new_privileges()?;
    seccomp::install(Needs {
        namespaces: false,
        tcp: true,
        udp: false,
        unix: false,
    })
}

fn listener() -> io::Result<()> {
    privileges::no_new_privileges()?;
    seccomp::notify(&[libc::SYS_connect]).map(drop)
}

fn mounts() -> io::Result<()> {
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    let space = mount::tmpfs(4096, 16, 0o755, None)?;
    mount::set_attributes(&space, mount::Grant::Read.attributes(), None, false)?;
    let place = places::SYSTEM.iter().find(|place| Path::new(place).is_dir());
    mount::clone(Path::new(place.unwrap_or(&"/")))?;
    Ok(())
}

fn first_process() -> io::Result<()> {
    match getpid().as_raw_nonzero().get() {
        1 => Ok(()),
        number => Err(io::Error::other(format!("the first process has the number {number}"))),
    }
}

/// What a list of hosts needs: an interface, addresses, low ports.
fn listeners() -> io::Result<()> {
    let rules = Rules::parse(&["dativo.invalid:443".to_string()]).map_err(io::Error::other)?;
    broker::prepare(&rules).map(drop)
}

/// Root's plugins run under a user of their own; files keep their owners' rights only where mounts can be mapped.
fn idmapped() -> Tried {
    let path = std::env::current_exe().unwrap_or_default();
    let place = path.parent().unwrap_or(Path::new("/"));
    let tried = || -> io::Result<()> {
        let map = mapping((0, 0), privileges::plugin_uid(std::process::id()))?;
        let cloned = mount::clone(place)?;
        mount::set_attributes(&cloned, mount::Grant::Read.attributes(), Some(&map), true)
    };
    tried().map_err(|e| format!("{}: {e}", place.display()))
}

/// Whether a child's whole tree can be bounded by a control group, as a run would make one.
fn control_group() -> Layer {
    let name = format!("probe-{}", std::process::id());
    match Group::create(&name, Some(64 << 20), Some(64)) {
        Ok(group) => Layer {
            works: group.bounds_memory(),
            detail: Some(match (group.bounds_memory(), group.bounds_processes()) {
                (true, true) => "memory and processes".into(),
                (true, false) => "memory alone".into(),
                _ => "processes alone, no memory controller".into(),
            }),
        },
        Err(reason) => Layer {
            works: false,
            detail: Some(reason),
        },
    }
}
