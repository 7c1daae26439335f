//! What a plugin is granted, as restricted mounts; for root's plugins with their owners mapped.
//!
//! A plugin of root runs as a user of its own, to whom nothing belongs. So each granted path is mounted with its owner
//! shown as that user: what the plugin creates there belongs, outside, to whom the path belongs.

use super::mount::{clone, set_attributes, Grant, Prepared};
use super::{exit, places, supervisor, Refusal};
use crate::pipes;
use crate::policy::Confinement;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is granted, as restricted mounts. With `uid` the owner of each path is that user inside; `None` when something that
/// it may change is on a file system that cannot show it so.
pub(crate) fn grants(
    confinement: &Confinement,
    program: &Path,
    uid: Option<u32>,
) -> Result<Option<Vec<Prepared>>, Refusal> {
    let mut maps: BTreeMap<(u32, u32), Option<OwnedFd>> = BTreeMap::new();
    let mut found = Vec::new();
    let program = program.to_path_buf();
    // A program of the system's is there anyway.
    let own = (!places::SYSTEM.iter().any(|place| program.starts_with(place))).then_some(&program);
    let reads = confinement.read.iter().chain(own).map(|p| (p, Grant::Read));
    let writes = confinement
        .write
        .iter()
        .chain(&confinement.unix)
        .map(|p| (p, Grant::Write));
    for (path, grant) in reads.chain(writes) {
        let mount = match clone(path) {
            Ok(mount) => mount,
            // What cannot be found or entered cannot be read either.
            Err(_) if grant == Grant::Read => continue,
            Err(e) => {
                let message = format!("cannot grant {}: {}", path.display(), io::Error::from(e));
                return Err(Refusal::of_sandbox(message));
            }
        };
        let mapping = uid.and_then(|uid| {
            let owner = std::fs::metadata(path).map(|m| (m.uid(), m.gid())).ok()?;
            maps.entry(owner).or_insert_with(|| mapping(owner, uid).ok()).as_ref()
        });
        let attributes = grant.attributes();
        if set_attributes(&mount, attributes, mapping, true).is_err() {
            if mapping.is_some() && grant == Grant::Write {
                return Ok(None);
            }
            // Read as it is: what others may read.
            set_attributes(&mount, attributes, None, true)
                .map_err(|e| Refusal::of_sandbox(format!("cannot restrict {}: {e}", path.display())))?;
        }
        found.push(Prepared {
            at: path.clone(),
            mount,
        });
    }
    Ok(Some(found))
}

/// A user namespace in which `owner` outside is `uid` inside, for mapping a mount's owners.
pub(super) fn mapping((user, group): (u32, u32), uid: u32) -> io::Result<OwnedFd> {
    let (gate_in, gate_out) = pipes::pipe(0)?;
    let flags = libc::CLONE_NEWUSER | libc::SIGCHLD;
    // SAFETY: this process has one thread; the child waits for the pipe's end and ends.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } as libc::pid_t;
    if pid == 0 {
        drop(gate_out);
        let _ = File::from(gate_in).read(&mut [0u8; 1]);
        exit(0)
    }
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let made = std::fs::write(format!("/proc/{pid}/uid_map"), format!("{user} {uid} 1\n"))
        .and_then(|()| std::fs::write(format!("/proc/{pid}/gid_map"), format!("{group} {uid} 1\n")))
        .and_then(|()| File::open(format!("/proc/{pid}/ns/user")));
    drop(gate_out);
    supervisor::collect(pid);
    Ok(made?.into())
}
