//! The root of a fenced plugin: an empty tmpfs with what it may see mounted into it, and nothing else.
//!
//! Made by the init process in its new mount namespace, with the calls that handle mounts as descriptors: a mount is
//! cloned, restricted, then attached, so there is no moment at which it can be reached unrestricted.

use super::mount::{clone, procfs, set_attributes, tmpfs, Grant, Prepared};
use super::places;
use crate::policy::{Confinement, Network, SCRATCH_PARTS};
use rustix::fs::{fstat, mkdirat, openat2, symlinkat, FileType, Mode, OFlags, ResolveFlags, CWD};
use rustix::io::Errno;
use rustix::mount::{
    mount_change, move_mount, open_tree, unmount, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

/// Where the new root is attached for the moment before it becomes the root. Any directory does.
const STEP: &str = "/tmp";
/// A file of /etc that is larger is not what it should be.
const LARGEST_COPY: usize = 64 << 10;

/// What went wrong, and where.
pub(crate) type Failure = (String, io::Error);

fn at<T, E: Into<io::Error>>(what: impl AsRef<Path>, result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|e| (what.as_ref().display().to_string(), e.into()))
}

/// The root while it is being filled.
struct Root {
    fd: OwnedFd,
}

/// Builds the root and makes it this process's. `owner` owns the scratch space; `hosts` is the hosts file.
pub(crate) fn enter(
    confinement: &Confinement,
    prepared: Vec<Prepared>,
    owner: (u32, u32),
    hosts: &str,
    cwd: Option<&Path>,
) -> Result<OwnedFd, Failure> {
    at(
        "/",
        mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE),
    )?;
    let system = system_mounts();
    let null = Path::new("/dev/null");
    let root = Root {
        fd: at("/", tmpfs(8 << 20, 16_384, 0o755, None))?,
    };
    // Masks are cloned while the machine's /dev/null can still be seen.
    let hidden = confinement.hide.iter().filter(|p| p.exists());
    let masks: Vec<(PathBuf, Option<OwnedFd>)> = hidden
        .map(|p| Ok((p.clone(), if p.is_dir() { None } else { Some(at(p, clone(null))?) })))
        .collect::<Result<_, Failure>>()?;
    let proc_masks: Vec<(PathBuf, OwnedFd)> = places::MASKED
        .iter()
        .map(|name| Path::new("/proc").join(name))
        .filter(|p| p.exists())
        .map(|p| at(&p, clone(null)).map(|mount| (p.clone(), mount)))
        .collect::<Result<_, Failure>>()?;
    let mut files = name_files(confinement, owner, hosts);
    files.extend_from_slice(copies());

    let below = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    at(STEP, move_mount(&root.fd, "", CWD, STEP, below))?;
    root.fill(&files)?;
    for (place, mount) in system {
        match mount {
            Place::Link(target) => root.link(place, &target)?,
            Place::Mount(mount) => root.attach(Path::new(place), mount, Grant::Read)?,
        }
    }
    for device in places::DEVICES {
        root.device(Path::new(device))?;
    }
    for (link, target) in places::LINKS {
        root.link(link, Path::new(target))?;
    }
    let shm = at("/dev/shm", tmpfs(confinement.shm.max(4096), 65_536, 0o1777, None))?;
    root.attach(Path::new("/dev/shm"), shm, Grant::Scratch)?;
    let scratch = root.scratch(confinement, owner)?;
    let mut prepared = prepared;
    // Outer ones first: what is inside is then mounted on top.
    prepared.sort_by_key(|p| p.at.components().count());
    let covered = prepared.iter().any(|p| confinement.scratch.starts_with(&p.at));
    for one in prepared {
        root.attach_as_is(&one.at, &one.mount)?;
    }
    if covered {
        // A grant that it lies in was mounted over it.
        let path = &confinement.scratch;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        root.attach_as_is(path, &at(path, open_tree(&scratch, "", flags))?)?;
    }
    for (path, mask) in masks {
        match mask {
            Some(mount) => root.attach(&path, mount, Grant::Read)?,
            None => root.attach(&path, at(&path, tmpfs(4096, 1, 0o555, None))?, Grant::Read)?,
        }
    }
    if let Some(cwd) = cwd {
        // It is entered, whatever is or is not granted of it.
        root.place(cwd, true)?;
    }
    let proc = at("/proc", procfs())?;
    root.attach(Path::new("/proc"), proc, Grant::Scratch)?;
    for (path, mount) in proc_masks {
        root.attach(&path, mount, Grant::Read)?;
    }
    root.become_root()?;
    Ok(scratch)
}

enum Place {
    Link(PathBuf),
    Mount(OwnedFd),
}

fn system_mounts() -> Vec<(&'static str, Place)> {
    let mut found = Vec::new();
    for place in places::SYSTEM.iter().chain(places::SHARED) {
        let path = Path::new(place);
        let linked = path.parent() == Some(Path::new("/"));
        match std::fs::read_link(path) {
            Ok(target) if linked => found.push((*place, Place::Link(target))),
            // What is not there, or cannot be reached by this user, the plugin does without.
            _ => found.extend(clone(path).ok().map(|mount| (*place, Place::Mount(mount)))),
        }
    }
    found
}

/// Files of the root: path and content.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// Copies of the machine's own, cheaper than a mount each; the zygote has read them for all launchers.
pub(crate) fn copies() -> &'static [(PathBuf, Vec<u8>)] {
    static COPIES: OnceLock<Files> = OnceLock::new();
    COPIES.get_or_init(read_copies)
}

fn read_copies() -> Files {
    let copy = |path: &&str| Some((PathBuf::from(path), std::fs::read(path).ok()?));
    places::COPIED
        .iter()
        .filter_map(copy)
        .filter(|(_, content)| content.len() <= LARGEST_COPY)
        .collect()
}

/// The files that names are looked up in.
fn name_files(confinement: &Confinement, (uid, gid): (u32, u32), hosts: &str) -> Files {
    let home = confinement.scratch.join("home");
    let home = home.display();
    let nobody = "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n";
    let mut passwd = format!("root:x:0:0:root:/:/usr/sbin/nologin\n{nobody}");
    let mut group = String::from("root:x:0:\nnogroup:x:65534:\n");
    if uid != 0 {
        passwd += &format!("plugin:x:{uid}:{gid}:plugin:{home}:/bin/sh\n");
    }
    if gid != 0 {
        group += &format!("plugin:x:{gid}:\n");
    }
    let mut files = vec![
        ("/etc/passwd".into(), passwd.into()),
        ("/etc/group".into(), group.into()),
    ];
    if confinement.network == Network::Any {
        let names = places::NAMES
            .iter()
            .filter(|path| !matches!(**path, "/etc/passwd" | "/etc/group"));
        files.extend(names.filter_map(|path| Some((path.into(), std::fs::read(path).ok()?))));
    } else {
        let switch = "passwd: files\ngroup: files\nhosts: files dns\n";
        let resolver = "nameserver 127.0.0.1\noptions use-vc timeout:1 attempts:1\n";
        files.push(("/etc/hosts".into(), hosts.into()));
        files.push(("/etc/nsswitch.conf".into(), switch.into()));
        files.push(("/etc/resolv.conf".into(), resolver.into()));
    }
    files
}

impl Root {
    fn fill(&self, files: &Files) -> Result<(), Failure> {
        for place in [
            "dev",
            "etc",
            "etc/ssl",
            "etc/pki",
            "etc/pki/tls",
            "proc",
            "tmp",
            "sys",
            "var",
        ] {
            at(place, mkdirat(&self.fd, place, Mode::from_raw_mode(0o755)))?;
        }
        for (path, content) in files {
            let mut file = File::from(self.open(path, OFlags::CREATE | OFlags::WRONLY)?);
            at(path, file.write_all(content))?;
        }
        Ok(())
    }

    /// Opens a path below the root, whatever links it holds.
    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Failure> {
        let inside = path.strip_prefix("/").unwrap_or(path);
        let inside = if inside.as_os_str().is_empty() {
            Path::new(".")
        } else {
            inside
        };
        let mode = if flags.contains(OFlags::CREATE) { 0o644 } else { 0 };
        let mode = Mode::from_raw_mode(mode);
        at(
            path,
            openat2(&self.fd, inside, flags | OFlags::CLOEXEC, mode, ResolveFlags::IN_ROOT),
        )
    }

    /// A place to mount on: made where it is missing, with the directories above it.
    fn place(&self, path: &Path, directory: bool) -> Result<OwnedFd, Failure> {
        match self.open(path, OFlags::PATH) {
            Err((_, e)) if e.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {}
            found => return found,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return self.open(path, OFlags::PATH);
        };
        let above = self.place(parent, true)?;
        let made = match directory {
            true => mkdirat(&above, name, Mode::from_raw_mode(0o755)),
            false => openat2(
                &above,
                name,
                OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC,
                Mode::from_raw_mode(0o644),
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            )
            .map(drop),
        };
        at(path, made)?;
        self.open(path, OFlags::PATH)
    }

    fn attach(&self, path: &Path, mount: OwnedFd, grant: Grant) -> Result<(), Failure> {
        at(path, set_attributes(&mount, grant.attributes(), None, true))?;
        self.attach_as_is(path, &mount)
    }

    fn attach_as_is(&self, path: &Path, mount: &OwnedFd) -> Result<(), Failure> {
        let kind = FileType::from_raw_mode(at(path, fstat(mount))?.st_mode);
        let directory = kind == FileType::Directory;
        let place = self.place(path, directory)?;
        let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        at(path, move_mount(mount, "", &place, "", both))
    }

    fn device(&self, path: &Path) -> Result<(), Failure> {
        let mount = at(path, clone(path))?;
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        at(path, set_attributes(&mount, u64::from(flags.bits()), None, false))?;
        self.attach_as_is(path, &mount)
    }

    fn link(&self, path: &str, target: &Path) -> Result<(), Failure> {
        at(path, symlinkat(target, &self.fd, path.trim_start_matches('/')))
    }

    /// The scratch space, at its own path and as /tmp; gives back its descriptor.
    fn scratch(&self, confinement: &Confinement, owner: (u32, u32)) -> Result<OwnedFd, Failure> {
        let path = &confinement.scratch;
        let space = at(path, tmpfs(confinement.scratch_size, 65_536, 0o1777, Some(owner)))?;
        let kept = at(path, space.try_clone())?;
        at(path, set_attributes(&space, Grant::Scratch.attributes(), None, false))?;
        let inside = path.strip_prefix("/tmp").ok();
        let both = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        let mounted_at = if inside.is_some() {
            Path::new("/tmp")
        } else {
            path.as_path()
        };
        let place = self.place(mounted_at, true)?;
        at(path, move_mount(&space, "", &place, "", both))?;
        let home = self.place(path, true)?;
        for part in SCRATCH_PARTS {
            at(path, mkdirat(&home, part, Mode::from_raw_mode(0o700)))?;
            at(path, chown(&home, part, owner))?;
        }
        if inside.is_none() {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            let tmp = at("/tmp", open_tree(&home, "tmp", flags))?;
            self.attach_as_is(Path::new("/tmp"), &tmp)?;
        } else {
            at(path, chown_way(&kept, path.strip_prefix("/tmp").unwrap_or(path), owner))?;
        }
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn become_root(&self) -> Result<(), Failure> {
        at("/", rustix::process::fchdir(&self.fd))?;
        at("/", rustix::process::pivot_root(".", "."))?;
        at("/", unmount(".", UnmountFlags::DETACH))?;
        at("/", rustix::process::chdir("/"))?;
        let flags =
            MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        at("/", set_attributes(&self.fd, u64::from(flags.bits()), None, false))
    }
}

fn chown(dir: &OwnedFd, name: &str, (uid, gid): (u32, u32)) -> rustix::io::Result<()> {
    use rustix::fs::{chownat, AtFlags, Gid, Uid};
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// Every directory on the way belongs to the owner, so that it can be entered whatever its mode.
fn chown_way(dir: &OwnedFd, path: &Path, owner: (u32, u32)) -> rustix::io::Result<()> {
    let mut way = PathBuf::new();
    for part in path.components() {
        if let Component::Normal(name) = part {
            way.push(name);
            let text: &OsStr = way.as_os_str();
            chown(dir, std::str::from_utf8(text.as_bytes()).unwrap_or("."), owner)?;
        }
    }
    Ok(())
}
