//! What files a BATCH may name: the grants of the children on its way, each held open so that nobody can move it.

use dativo_bus_engine::batch::{Gate, Place};
use dativo_bus_engine::plan::{Plan, Profile, Sandbox};
use dativo_bus_engine::wiring::{End, Hop};
use rustix::fs::{fstat, open, openat2, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The places that a hop's BATCH files may be in.
#[derive(Debug)]
pub struct Grants {
    roots: Vec<(PathBuf, OwnedFd)>,
}

impl Grants {
    /// For a hop of the plan: what the tap and the mappers before it may write. A stream that comes from elsewhere may
    /// name what its receiver may read or write anyway. None where nobody is confined: there is nothing to keep in.
    pub fn of(plan: &Plan, hop: Hop) -> Option<Grants> {
        let (children, received) = match (hop.from, hop.to) {
            (End::Child(writer), _) if plan.source.is_none() => (&plan.children[..=writer], false),
            (_, End::Child(reader)) => (&plan.children[..=reader], true),
            (End::Child(writer), _) => (&plan.children[..=writer], true),
            _ => return None,
        };
        let fenced = |s: &Sandbox| !matches!(s.profile, Profile::Off | Profile::Limits);
        let granted = |s: &Sandbox| !s.write.is_empty() || received && !s.read.is_empty();
        if !children.iter().any(|c| fenced(&c.sandbox) || granted(&c.sandbox)) {
            return None;
        }
        let mut roots = Vec::new();
        for child in children {
            let read = child.sandbox.read.iter().filter(|_| received);
            for path in child.sandbox.write.iter().chain(read) {
                let opened = || open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok();
                // By the name it was granted by, and by the one it has without symbolic links. What does not exist
                // grants nothing.
                let real = path.canonicalize().ok().filter(|real| real != path);
                roots.extend(opened().map(|fd| (path.clone(), fd)));
                roots.extend(real.zip(opened()));
            }
        }
        Some(Grants { roots })
    }
}

impl Grants {
    /// The file that a path leads to below each root that it is below, by no symbolic link.
    fn found<'a>(&'a self, path: &'a Path, how: OFlags) -> impl Iterator<Item = Result<OwnedFd, Errno>> + 'a {
        let below = move |(root, fd): &'a (PathBuf, OwnedFd)| {
            let rest = path.strip_prefix(root).ok()?;
            let strict = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            Some(match rest.as_os_str().is_empty() {
                // The root is a file itself: the one that was granted, whatever has its name now.
                true => open(format!("/proc/self/fd/{}", fd.as_raw_fd()), how, Mode::empty()),
                false => openat2(fd, rest, how, Mode::empty(), strict),
            })
        };
        self.roots.iter().filter_map(below)
    }
}

fn regular(fd: &OwnedFd) -> Result<bool, Errno> {
    // A pipe or a device would hold its reader up.
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::RegularFile)
}

impl Gate for Grants {
    fn place(&self, path: &Path) -> Place {
        let mut place = Place::Outside;
        for found in self.found(path, OFlags::PATH | OFlags::CLOEXEC) {
            match found.and_then(|fd| regular(&fd)) {
                Ok(true) => return Place::Inside,
                Err(Errno::NOENT) => place = Place::Missing,
                // Also where the kernel cannot say: then it is refused (I7).
                Ok(_) | Err(_) => {}
            }
        }
        place
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let how = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut last = Errno::ACCESS;
        for found in self.found(path, how) {
            match found.and_then(|fd| Ok((regular(&fd)?, fd))) {
                Ok((true, fd)) => return Ok(File::from(fd)),
                Ok((false, _)) => {}
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dativo_bus_engine::wiring;

    fn plan(place: &Path, profile: &str) -> Plan {
        let spool = place.join("spool");
        let text = serde_json::json!({
            "plan": 1, "run": "r", "job": "j", "run_dir": "/x", "children": [
                {"name": "a", "role": "tap", "argv": ["x"], "sandbox": {"profile": profile, "write": [spool], "read": [place]}},
                {"name": "b", "role": "target", "argv": ["x"], "sandbox": {"read": [place]}},
            ],
        });
        Plan::parse(text.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn only_plain_files_within() {
        let place = std::env::temp_dir().join(format!("dativo-handover-{}", std::process::id()));
        let spool = place.join("spool");
        std::fs::create_dir_all(spool.join("sub")).unwrap();
        for file in ["secret", "spool/one", "spool/sub/two"] {
            std::fs::write(place.join(file), "x").unwrap();
        }
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, spool.join(name)).unwrap();
        link(&place.join("secret"), "link");
        link(&place, "up");
        link(Path::new("one"), "harmless");
        let plan = plan(&place, "standard");
        let grants = Grants::of(&plan, wiring::hops(&plan)[0]).unwrap();
        let at = |name: &str| grants.place(&spool.join(name));
        assert_eq!((at("one"), at("sub/two")), (Place::Inside, Place::Inside));
        assert_eq!((at("none"), at("sub/none")), (Place::Missing, Place::Missing));
        for name in ["link", "up/secret", "harmless", "sub", "", "../secret", "one/x"] {
            assert_eq!(at(name), Place::Outside, "{name}");
        }
        assert_eq!(grants.place(&place.join("secret")), Place::Outside);
        // Between the look and the opening a file may have become something else.
        assert!(grants.open(&spool.join("one")).is_ok());
        for name in ["link", "up/secret", "harmless", "sub", "none"] {
            assert!(grants.open(&spool.join(name)).is_err(), "{name}");
        }
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn without_a_fence_there_is_nothing_to_keep_in() {
        let mut plan = plan(Path::new("/tmp"), "limits");
        let hop = wiring::hops(&plan)[0];
        assert!(Grants::of(&plan, hop).is_some());
        plan.children[0].sandbox.write.clear();
        assert!(Grants::of(&plan, hop).is_none());
    }
}
