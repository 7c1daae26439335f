//! Landlock: which files this process and its children may still open, and whom they may signal.

use super::places;
use crate::policy::{Confinement, Network, Policy};
use ::landlock::{
    Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope, ABI,
};
use std::io;
use std::path::Path;

/// The newest set of rights that this code was written for; an older kernel keeps the part that it knows.
const KNOWN: ABI = ABI::V7;

/// The version that the kernel offers; 0 is none.
pub(crate) fn version() -> i32 {
    const VERSION: libc::c_uint = 1;
    const CREATE_RULESET: libc::c_long = 444;
    // SAFETY: no ruleset is given, only its version asked for.
    let found = unsafe { libc::syscall(CREATE_RULESET, std::ptr::null::<u8>(), 0usize, VERSION) };
    i32::try_from(found).unwrap_or(0).max(0)
}

/// A ruleset being made.
pub(crate) struct Fence {
    rules: RulesetCreated,
}

impl Fence {
    /// Nothing is allowed yet. With `ports` TCP is fenced too.
    pub(crate) fn new(ports: bool) -> io::Result<Fence> {
        let best = || Ruleset::default().set_compatibility(CompatLevel::BestEffort);
        let mut rules = best()
            .handle_access(AccessFs::from_all(KNOWN))
            .map_err(io::Error::other)?;
        if ports {
            rules = rules
                .handle_access(AccessNet::from_all(KNOWN))
                .map_err(io::Error::other)?;
        }
        if version() >= 6 {
            rules = rules.scope(Scope::from_all(KNOWN)).map_err(io::Error::other)?;
        }
        let rules = rules.create().map_err(io::Error::other)?;
        Ok(Fence { rules })
    }

    /// Reading and running below a path; one that is not there is passed over.
    pub(crate) fn read(self, path: &Path) -> io::Result<Fence> {
        self.allow(path, AccessFs::from_read(KNOWN))
    }

    /// Everything below a path, but for talking to devices.
    pub(crate) fn write(self, path: &Path) -> io::Result<Fence> {
        self.allow(
            path,
            AccessFs::from_all(KNOWN) & !(AccessFs::IoctlDev | AccessFs::MakeBlock | AccessFs::MakeChar),
        )
    }

    /// Reading and writing a device.
    pub(crate) fn device(self, path: &Path) -> io::Result<Fence> {
        self.allow(path, AccessFs::ReadFile | AccessFs::WriteFile)
    }

    /// Connecting to a TCP port.
    pub(crate) fn port(mut self, port: u16) -> io::Result<Fence> {
        let rule = NetPort::new(port, AccessNet::ConnectTcp);
        self.rules = self.rules.add_rule(rule).map_err(io::Error::other)?;
        Ok(self)
    }

    /// From here on this process is fenced. no_new_privs must be set.
    pub(crate) fn close(self) -> io::Result<()> {
        self.rules.restrict_self().map(drop).map_err(io::Error::other)
    }

    fn allow(mut self, path: &Path, access: BitFlags<AccessFs>) -> io::Result<Fence> {
        // What cannot be opened even as a path needs no rule.
        let Ok(fd) = PathFd::new(path) else { return Ok(self) };
        let access = match path.is_dir() {
            true => access,
            false => access & AccessFs::from_file(KNOWN),
        };
        let rule = PathBeneath::new(fd, access).set_compatibility(CompatLevel::BestEffort);
        self.rules = self.rules.add_rule(rule).map_err(io::Error::other)?;
        Ok(self)
    }
}

/// The fence inside a root of its own: what is mounted is there to be read, the rest is by what may be written.
pub(crate) fn inside(confinement: &Confinement) -> io::Result<Fence> {
    let mut fence = Fence::new(false)?.read(Path::new("/"))?;
    for place in ["/tmp", "/dev/shm"] {
        fence = fence.write(Path::new(place))?;
    }
    // Nothing is there but the devices that are granted to all.
    common(fence.device(Path::new("/dev"))?, confinement)
}

/// The fence on the machine's own root.
pub(crate) fn outside(policy: &Policy, program: &Path) -> io::Result<Fence> {
    let confinement = &policy.confinement;
    let mut fence = Fence::new(confinement.network != Network::Any)?;
    if let Network::Hosts(hosts) = &confinement.network {
        // Names are asked for over TCP: UDP is not fenced by Landlock and therefore not to be had.
        for port in hosts
            .iter()
            .filter_map(|h| h.rsplit_once(':')?.1.parse().ok())
            .chain([53])
        {
            fence = fence.port(port)?;
        }
    }
    let own = format!("/proc/{}", std::process::id());
    let system = [
        places::SYSTEM,
        places::SHARED,
        places::COPIED,
        places::NAMES,
        places::PROC,
    ]
    .concat();
    for place in system.into_iter().chain([own.as_str()]) {
        fence = fence.read(Path::new(place))?;
    }
    for device in places::DEVICES.iter().chain(&["/dev/random"]) {
        fence = fence.device(Path::new(device))?;
    }
    common(fence.read(program)?, confinement)
}

fn common(mut fence: Fence, confinement: &Confinement) -> io::Result<Fence> {
    for path in &confinement.read {
        fence = fence.read(path)?;
    }
    for path in confinement.write.iter().chain([&confinement.scratch]) {
        fence = fence.write(path)?;
    }
    for path in &confinement.unix {
        fence = fence.write(path)?;
    }
    Ok(fence)
}
