//! Mounts as descriptors: cloned or made, restricted, and only then attached somewhere.

use rustix::fs::CWD;
use rustix::mount::{
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, open_tree, FsMountFlags, FsOpenFlags, MountAttrFlags,
    OpenTreeFlags,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A mount that was cloned before the namespaces were made, and where it belongs.
pub(crate) struct Prepared {
    /// Where it belongs.
    pub at: PathBuf,
    /// The mount.
    pub mount: OwnedFd,
}

/// How much a mount is restricted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Read and run.
    Read,
    /// Read and write; no programs.
    Write,
    /// Read and write, programs too: scratch space.
    Scratch,
}

impl Grant {
    pub(crate) fn attributes(self) -> u64 {
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let more = match self {
            Grant::Read => MountAttrFlags::MOUNT_ATTR_RDONLY,
            Grant::Write => MountAttrFlags::MOUNT_ATTR_NOEXEC,
            Grant::Scratch => MountAttrFlags::empty(),
        };
        u64::from((flags | more).bits())
    }
}

/// Clones a mount with all below it.
pub(crate) fn clone(path: &Path) -> rustix::io::Result<OwnedFd> {
    open_tree(
        CWD,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE,
    )
}

/// Changes what a cloned mount allows: attributes to set, and a user namespace to map owners by.
pub(crate) fn set_attributes(mount: &OwnedFd, set: u64, mapping: Option<&OwnedFd>, recursive: bool) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    const IDMAP: u64 = 0x0010_0000;
    let attr = MountAttr {
        set: set | mapping.map_or(0, |_| IDMAP),
        clear: 0,
        propagation: 0,
        userns: mapping.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: an open descriptor, an empty path, and a structure of the size that is given, alive until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &attr as *const MountAttr,
            std::mem::size_of::<MountAttr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// An empty file system in memory, not attached anywhere.
pub(crate) fn tmpfs(size: u64, inodes: u64, mode: u32, owner: Option<(u32, u32)>) -> rustix::io::Result<OwnedFd> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(fs.as_fd(), "size", size.to_string())?;
    fsconfig_set_string(fs.as_fd(), "nr_inodes", inodes.to_string())?;
    fsconfig_set_string(fs.as_fd(), "mode", format!("{mode:o}"))?;
    if let Some((uid, gid)) = owner {
        fsconfig_set_string(fs.as_fd(), "uid", uid.to_string())?;
        fsconfig_set_string(fs.as_fd(), "gid", gid.to_string())?;
    }
    fsconfig_create(fs.as_fd())?;
    fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// The processes of this PID namespace, not attached anywhere.
pub(crate) fn procfs() -> rustix::io::Result<OwnedFd> {
    let fs = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(fs.as_fd())?;
    let flags =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
}
