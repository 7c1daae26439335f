//! Starting one plugin process from a [`Spec`], through the launcher.

use crate::limits::Limit;
use crate::policy::{Confinement, Policy};
use crate::status::{receive, Holding, Word};
use crate::zygote::Zygote;
use crate::{memfd, Pid};
use rustix::net::{socketpair, AddressFamily, SocketFlags, SocketType};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// Everything a new process gets. What is not listed here it does not have (I6).
#[derive(Debug)]
pub struct Spec<'a> {
    /// Program and arguments. A program without `/` is looked up in this environment's PATH.
    pub argv: &'a [String],
    /// The whole environment.
    pub env: &'a [(String, String)],
    /// Its directory; the bus's own when absent.
    pub cwd: Option<&'a Path>,
    /// What becomes 0, 1 and 2.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Further descriptors, kept at the number they have here (3 or more).
    pub keep: &'a [BorrowedFd<'a>],
    /// Limits of each of its processes, soft and hard alike; a wish above the hard limit in force becomes that limit.
    pub limits: &'a [(Limit, u64)],
    /// Files to be put into its scratch directory's `files/`, by name, from memory.
    pub files: &'a [(String, OwnedFd)],
    /// How it is confined.
    pub confinement: Confinement,
}

/// A process that runs.
#[derive(Debug)]
pub struct Spawned {
    /// Its pid, or its supervisor's: it leads a session and a process group, passes signals on, and ends as it ends.
    pub pid: Pid,
    /// Which layers hold it.
    pub layout: Holding,
    /// What is promised, by the names of SPEC.md, section 12.
    pub guarantees: Vec<String>,
    /// What is not, each with its reason.
    pub missing: Vec<String>,
    /// Its scratch directory.
    pub scratch: Option<OwnedFd>,
    /// What its supervisor tells later; hangs up when it has none.
    pub reports: Reports,
}

impl Spawned {
    /// How many processes of ours stand between the bus and the plugin, at the most.
    pub const SUPERVISORS: u64 = 2;

    /// How many stand there now.
    pub fn supervisors(&self) -> u64 {
        match self.layout {
            Holding::Namespaces => Self::SUPERVISORS,
            Holding::Floor => 1,
            Holding::None => 0,
        }
    }
}

/// The launcher's end of the story.
#[derive(Debug)]
pub struct Reports {
    socket: OwnedFd,
}

impl Reports {
    /// The next connection that was told, without waiting. `Ok(None)`: nothing more will come.
    pub fn next(&self) -> io::Result<Option<Told>> {
        match receive(&self.socket, false) {
            Ok(Some((Word::Connection(report), _))) => Ok(Some(Told::Connection(report))),
            Ok(Some((Word::Access(access), _))) => Ok(Some(Told::Access(access))),
            Ok(Some(_)) => Ok(Some(Told::Nothing)),
            Ok(None) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Some(Told::Nothing)),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for Reports {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What [`Reports::next`] found.
#[derive(Debug)]
pub enum Told {
    /// A connection.
    Connection(crate::broker::Report),
    /// Something that it tried.
    Access(crate::launcher::observe::Access),
    /// Nothing now.
    Nothing,
}

/// Why a process could not be started.
#[derive(Debug)]
pub struct SpawnError {
    /// The profile's promise cannot be kept here, and nothing of the plugin has run (I7).
    pub sandbox: bool,
    /// What happened, for people.
    pub message: String,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SpawnError {}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> SpawnError {
        SpawnError {
            sandbox: false,
            message: format!("cannot prepare it: {error}"),
        }
    }
}

/// Starts the process and waits until its program runs, or until it is known why it does not.
pub fn spawn(zygote: &Zygote, spec: &Spec<'_>) -> Result<Spawned, SpawnError> {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(io::Error::from)?;
    let keep: Vec<RawFd> = spec.keep.iter().map(AsRawFd::as_raw_fd).collect();
    if keep.iter().any(|fd| *fd < 3) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    }
    let policy = Policy {
        argv: spec.argv.to_vec(),
        env: spec.env.to_vec(),
        // A directory that is gone is entered by nobody.
        cwd: spec.cwd.map(Path::to_path_buf).or_else(|| std::env::current_dir().ok()),
        keep,
        rlimits: spec
            .limits
            .iter()
            .map(|(limit, value)| (limit.name().to_string(), *value))
            .collect(),
        files: spec.files.iter().map(|(name, _)| name.clone()).collect(),
        confinement: spec.confinement.clone(),
    };
    let text = serde_json::to_vec(&policy).map_err(io::Error::from)?;
    let mut fds = vec![memfd::sealed("dativo-policy", &text)?, theirs];
    for fd in spec.stdio.iter().chain(spec.keep) {
        fds.push(fd.try_clone_to_owned()?);
    }
    for (_, fd) in spec.files {
        fds.push(fd.try_clone()?);
    }
    let pid = zygote.launch(&fds)?;
    drop(fds);
    confirmed(pid, ours).inspect_err(|_| {
        // It reported its failure, or died, and ends at once.
        crate::tree::kill_child(pid);
        // SAFETY: waits for the child that was started above; a null status is allowed.
        unsafe { libc::waitpid(pid.as_raw_nonzero().get(), std::ptr::null_mut(), 0) };
    })
}

/// Reads what the launcher says until the program runs.
fn confirmed(pid: Pid, socket: OwnedFd) -> Result<Spawned, SpawnError> {
    let mut spawned: Option<Spawned> = None;
    loop {
        match (receive(&socket, true)?, &mut spawned) {
            (
                Some((
                    Word::Confined {
                        layout,
                        guarantees,
                        missing,
                    },
                    scratch,
                )),
                _,
            ) => {
                let socket = socket.try_clone()?;
                let reports = Reports { socket };
                spawned = Some(Spawned {
                    pid,
                    layout,
                    guarantees,
                    missing,
                    scratch,
                    reports,
                });
            }
            (Some((Word::Failed { sandbox, message }, _)), _) => return Err(SpawnError { sandbox, message }),
            // Where there is no supervisor, the launcher's end closes when it becomes the program.
            (Some((Word::Started, _)) | None, found @ Some(_)) => match found.take() {
                Some(spawned) => return Ok(spawned),
                None => continue,
            },
            (Some(_), _) => {}
            (None, None) => {
                let message = "its launcher ended before it had started anything".to_string();
                return Err(SpawnError { sandbox: true, message });
            }
        }
    }
}
