//! Watching which paths and addresses a plugin tries, so that `dativo learn` can say what it needs.
//!
//! Each such call waits while the launcher outside reads what it names and lets it go on: the fence decides about it as
//! always. What is read here may change before the kernel reads it again, so it is worth a proposal and never a
//! permission (I6).

use super::calls::{watched, Kind};
use super::seccomp;
use super::tracee::{uses_of, What};
use super::{places, Refusal};
use crate::policy::{Confinement, Layout, Profile};
use crate::status::{receive_fds, send, send_fds, Word};
use rustix::event::{poll, PollFd, PollFlags};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::time::Duration;

/// How many different uses are told (I10).
const MOST: usize = 10_000;
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
        let public = below(places::SYSTEM) || below(places::SHARED) || below(places::COPIED) || below(places::NAMES);
        let own = path.starts_with("/proc") || path.starts_with(&self.scratch) || path.starts_with("/dev/fd");
        let granted = || self.granted.iter().any(|place| path.starts_with(place));
        let every = own || below(places::DEVICES) || (public && kind != Kind::Write);
        !every && (kind != Kind::Look || !granted())
    }

    /// Passes on what is waiting.
    fn tell(&mut self) {
        for access in self.waiting.drain(..) {
            // A bus that is gone has no use for it.
            let _ = send(&self.status, &Word::Access(access), &[]);
        }
    }
}
