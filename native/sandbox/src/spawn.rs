//! Starting one plugin process from a [`Spec`], through the launcher.

use crate::limits::Limit;
use crate::policy::{Confinement, Policy};
use crate::status::{receive, Holding, Word};
use crate::zygote::Zygote;
use crate::{memfd, Pid};
use rustix::net::{socketpair, AddressFamily, SocketFlags, SocketType};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
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
    /// One that came while it was waited for something else.
    first: Option<Word>,
}

impl Reports {
    /// The next connection that was told, without waiting. `Ok(None)`: nothing more will come.
    pub fn take(&mut self) -> io::Result<Option<Told>> {
        let word = match self.first.take() {
            Some(word) => word,
            None => match receive(&self.socket, false) {
                Ok(Some((word, _))) => word,
                Ok(None) => return Ok(None),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Some(Told::Nothing)),
                Err(e) => return Err(e),
            },
        };
        Ok(Some(match word {
            Word::Connection(report) => Told::Connection(report),
            Word::Access(access) => Told::Access(access),
            Word::Confined { .. } | Word::Failed { .. } => Told::Nothing,
        }))
    }
}

impl AsFd for Reports {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What [`Reports::take`] found.
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
    begin(zygote, spec)?.confirmed()
}

/// A process whose launcher is at work. Dropped before it is confirmed, it is killed.
#[derive(Debug)]
pub struct Starting {
    pid: Pid,
    /// `None`: it was confirmed.
    socket: Option<OwnedFd>,
}

impl Starting {
    /// Waits until its program runs, or until it is known why it does not.
    pub fn confirmed(mut self) -> Result<Spawned, SpawnError> {
        let socket = self.socket.take().ok_or_else(lost)?;
        confirmed(self.pid, socket).inspect_err(|_| self.end())
    }

    /// It reported its failure, or died, and ends at once; or nobody wants it any more.
    fn end(&self) {
        crate::tree::kill_child(self.pid);
        // SAFETY: waits for the child that was started; a null status is allowed.
        unsafe { libc::waitpid(self.pid.as_raw_nonzero().get(), std::ptr::null_mut(), 0) };
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if self.socket.is_some() {
            self.end();
        }
    }
}

/// Starts the process. Several can be begun before the first is waited for: confining one takes a while.
pub fn begin(zygote: &Zygote, spec: &Spec<'_>) -> Result<Starting, SpawnError> {
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
    Ok(Starting {
        pid,
        socket: Some(ours),
    })
}

fn lost() -> SpawnError {
    SpawnError {
        sandbox: true,
        message: "its launcher ended before it had started anything".into(),
    }
}

/// Waits until the program runs, or until the launcher says why it does not.
fn confirmed(pid: Pid, socket: OwnedFd) -> Result<Spawned, SpawnError> {
    let failed = |sandbox: bool, message: String| SpawnError { sandbox, message };
    let (layout, guarantees, missing, fds) = match receive(&socket, true)? {
        Some((
            Word::Confined {
                layout,
                guarantees,
                missing,
            },
            fds,
        )) => (layout, guarantees, missing, fds),
        Some((Word::Failed { sandbox, message }, _)) => return Err(failed(sandbox, message)),
        _ => return Err(lost()),
    };
    let mut fds = fds.into_iter();
    let (scratch, exec) = (fds.next(), fds.next().ok_or_else(lost)?);
    // Closed by exec, or by the end of who could not.
    File::from(exec).read_to_end(&mut Vec::new())?;
    let first = match receive(&socket, false) {
        Ok(Some((Word::Failed { sandbox, message }, _))) => return Err(failed(sandbox, message)),
        Ok(Some((word, _))) => Some(word),
        Ok(None) => None,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
        Err(e) => return Err(e.into()),
    };
    Ok(Spawned {
        pid,
        layout,
        guarantees,
        missing,
        scratch,
        reports: Reports { socket, first },
    })
}
