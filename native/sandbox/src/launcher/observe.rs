//! Watching which paths and addresses a plugin tries, so that `dativo learn` can say what it needs.
//!
//! Each such call waits while the launcher outside reads what it names and lets it go on: the fence decides about it as
//! always. What is read here may change before the kernel reads it again, so it is worth a proposal and never a
//! permission (I6).

use super::calls::{uses, watched, Kind};
use super::seccomp;
use super::{places, Refusal};
use crate::policy::{Confinement, Layout, Profile};
use crate::status::{receive_fds, send, send_fds, Word};
use rustix::event::{poll, PollFd, PollFlags};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::time::Duration;

/// How many different uses are told (I10).
const MOST: usize = 10_000;
const LONGEST_PATH: usize = 4096;
const RECEIVE: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const STILL_VALID: libc::c_ulong = 0x4008_2102;

/// Something that a plugin tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Access {
    /// What it tried.
    pub kind: Kind,
    /// With which path, or `HOST:PORT`.
    pub what: String,
    /// Whether the path exists on this machine, outside; not said of addresses.
    pub exists: Option<bool>,
}

/// Why these grants cannot be observed, if so.
pub(crate) fn refused(confinement: &Confinement) -> Option<Refusal> {
    let fenced = confinement.profile >= Profile::Standard && confinement.layout != Layout::Floor;
    (confinement.observe && !fenced)
        .then(|| Refusal::of_sandbox("a plugin can be observed only in namespaces: profile standard or strict"))
}

/// In the plugin's process: from here on its calls are told to whoever reads the channel's other end.
pub(crate) fn begin(channel: &OwnedFd) -> io::Result<()> {
    let listener = seccomp::notify(&watched())?;
    send_fds(channel, &[listener])
}

/// Outside: what watches.
pub(crate) struct Observer {
    ended: Receiver<()>,
    started: Arc<AtomicBool>,
}

impl Observer {
    /// Waits for the plugin's word on the channel and answers from then on, in a thread of its own.
    pub(crate) fn start(
        channel: OwnedFd,
        status: &OwnedFd,
        confinement: &Confinement,
        hosts: &str,
    ) -> io::Result<Observer> {
        let (tell, ended) = self::channel();
        let started = Arc::new(AtomicBool::new(false));
        let mut witness = Witness {
            status: status.try_clone()?,
            scratch: confinement.scratch.clone(),
            granted: confinement.read.iter().chain(&confinement.write).cloned().collect(),
            hosts: named(hosts),
            seen: HashSet::new(),
            waiting: Vec::new(),
            started: started.clone(),
        };
        std::thread::Builder::new().name("observer".into()).spawn(move || {
            // A channel that closes without a listener is a plugin that was not started.
            if let Some(listener) = receive_fds(&channel).ok().and_then(|fds| fds.into_iter().next()) {
                witness.watch(&listener);
            }
            witness.tell();
            drop(tell);
        })?;
        Ok(Observer { ended, started })
    }

    /// The bus knows that the program runs: now it can be told of it.
    pub(crate) fn started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Waits until all is told, after the plugin's end.
    pub(crate) fn settle(&self, patience: Duration) {
        // Either way nothing more will come.
        let _ = self.ended.recv_timeout(patience);
    }
}

/// The names that addresses inside stand for.
fn named(hosts: &str) -> BTreeMap<String, String> {
    let lines = hosts.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(address, name)| (address.to_string(), name.to_string()))
        .collect()
}

struct Witness {
    status: OwnedFd,
    scratch: PathBuf,
    granted: Vec<PathBuf>,
    hosts: BTreeMap<String, String>,
    seen: HashSet<(Kind, String)>,
    waiting: Vec<Access>,
    started: Arc<AtomicBool>,
}

impl Witness {
    fn watch(&mut self, listener: &OwnedFd) {
        loop {
            let mut fds = [PollFd::new(listener, PollFlags::IN)];
            if poll(&mut fds, None).is_err() {
                continue;
            }
            let happened = fds[0].revents();
            if happened.contains(PollFlags::IN) {
                self.answer(listener);
            } else if happened.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                return;
            }
        }
    }

    fn answer(&mut self, listener: &OwnedFd) {
        // SAFETY: all zeroes is a valid value of this plain structure, and what the kernel asks for.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the listener is open; the structure has the size that the request's number names.
        if unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE as _, &mut call) } != 0 {
            return; // it was killed meanwhile
        }
        let found = uses_of(&call);
        let id = call.id;
        // SAFETY: reads one number. A process that is gone may have left its number to another, which was read then.
        let valid = unsafe { libc::ioctl(listener.as_raw_fd(), STILL_VALID as _, &id) } == 0;
        let response = libc::seccomp_notif_resp {
            id,
            val: 0,
            error: 0,
            flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as _,
        };
        // SAFETY: as above; an answer to a process that is gone is refused, which changes nothing.
        unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &response) };
        if valid {
            found.into_iter().for_each(|(kind, what)| self.note(kind, what));
        }
        if self.started.load(Ordering::Acquire) {
            self.tell();
        }
    }

    fn note(&mut self, kind: Kind, what: What) {
        let (what, exists) = match what {
            What::Path(path) if self.is_news(kind, &path) => {
                let exists = std::fs::symlink_metadata(&path).is_ok();
                (path.to_string_lossy().into_owned(), Some(exists))
            }
            What::Path(_) => return,
            What::Address(address) => {
                let host = self.hosts.get(&address.ip().to_string());
                let what = host.map_or_else(|| address.to_string(), |host| format!("{host}:{}", address.port()));
                (what, None)
            }
        };
        if self.seen.len() < MOST && self.seen.insert((kind, what.clone())) {
            self.waiting.push(Access { kind, what, exists });
        }
    }

    /// What every plugin may use, and what it may look at because it was granted, is no news.
    fn is_news(&self, kind: Kind, path: &Path) -> bool {
        let below = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
        let public = below(places::SYSTEM)
            || below(places::SHARED)
            || below(places::COPIED)
            || below(places::NAMES)
            || below(places::DEVICES);
        let own = path.starts_with("/proc") || path.starts_with(&self.scratch) || path.starts_with("/dev/fd");
        let granted = || self.granted.iter().any(|place| path.starts_with(place));
        !own && !(public && kind != Kind::Write) && !below(places::DEVICES) && !(kind == Kind::Look && granted())
    }

    /// Passes on what is waiting.
    fn tell(&mut self) {
        for access in self.waiting.drain(..) {
            // A bus that is gone has no use for it.
            let _ = send(&self.status, &Word::Access(access), None);
        }
    }
}

/// What a call names.
enum What {
    Path(PathBuf),
    Address(SocketAddr),
}

fn uses_of(call: &libc::seccomp_notif) -> Vec<(Kind, What)> {
    let proc = PathBuf::from(format!("/proc/{}", call.pid));
    let Ok(memory) = File::open(proc.join("mem")) else {
        return Vec::new();
    };
    let (number, arguments) = (libc::c_long::from(call.data.nr), &call.data.args);
    if number == libc::SYS_connect {
        let length = (arguments[2] as usize).min(128);
        let address = read(&memory, arguments[1], length);
        return address_of(&address, &proc)
            .map(|what| (Kind::Connect, what))
            .into_iter()
            .collect();
    }
    let flags = |pointer| <[u8; 8]>::try_from(read(&memory, pointer, 8)).map_or(0, u64::from_ne_bytes);
    uses(number, arguments, flags)
        .into_iter()
        .filter_map(|one| {
            let mut text = read(&memory, arguments[one.path], LONGEST_PATH);
            text.truncate(text.iter().position(|byte| *byte == 0)?);
            let from = one.from.map(|index| arguments[index] as libc::c_int);
            Some((one.kind, What::Path(absolute(&proc, from, &text)?)))
        })
        .collect()
}

/// Up to so many bytes of a process's memory; what is not there is left out.
fn read(memory: &File, pointer: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let count = memory.read_at(&mut bytes, pointer).unwrap_or(0);
    bytes.truncate(count);
    bytes
}

/// A path as the process means it, without `.` and `..`; links are not followed.
fn absolute(proc: &Path, from: Option<libc::c_int>, text: &[u8]) -> Option<PathBuf> {
    if text.is_empty() {
        return None; // about the descriptor itself
    }
    let path = Path::new(OsStr::from_bytes(text));
    let base = match from {
        _ if path.is_absolute() => PathBuf::new(),
        None | Some(libc::AT_FDCWD) => std::fs::read_link(proc.join("cwd")).ok()?,
        Some(fd) => std::fs::read_link(proc.join("fd").join(fd.to_string())).ok()?,
    };
    let mut plain = PathBuf::from("/");
    for part in base.join(path).components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
    }
    Some(plain)
}

fn address_of(bytes: &[u8], proc: &Path) -> Option<What> {
    let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    match libc::c_int::from(family) {
        libc::AF_INET => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(What::Address((Ipv4Addr::from(address), port()?).into()))
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(What::Address((Ipv6Addr::from(address), port()?).into()))
        }
        libc::AF_UNIX => {
            // A name that begins with a zero is no path.
            let path = bytes.get(2..)?.split(|byte| *byte == 0).next()?;
            absolute(proc, None, path).map(What::Path)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain() {
        let here = Path::new("/proc/self");
        let of = |text: &str| absolute(here, None, text.as_bytes()).map(|p| p.display().to_string());
        assert_eq!(of("/a/./b/../c").as_deref(), Some("/a/c"));
        assert_eq!(of("/../..").as_deref(), Some("/"));
        assert_eq!(of(""), None);
        let cwd = std::env::current_dir().unwrap();
        assert_eq!(of("x"), Some(cwd.join("x").display().to_string()));
    }

    #[test]
    fn addresses_are_read() {
        let mut bytes = (libc::AF_INET as u16).to_ne_bytes().to_vec();
        bytes.extend([0x15, 0x38, 127, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let Some(What::Address(address)) = address_of(&bytes, Path::new("/")) else {
            panic!("no address")
        };
        assert_eq!(address.to_string(), "127.0.1.1:5432");
        assert!(address_of(&bytes[..5], Path::new("/")).is_none());
    }
}
