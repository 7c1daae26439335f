//! Starting one plugin process from a [`Spec`].

use crate::child::{run, Prepared};
use crate::limits::Limit;
use crate::{pipes, Pid};
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use crate::child::Stage;

/// Everything a new process gets. What is not listed here it does not have (I6).
#[derive(Debug)]
pub struct Spec<'a> {
    /// Program and arguments. A program without `/` is looked up in this environment's PATH.
    pub argv: &'a [OsString],
    /// The whole environment.
    pub env: &'a [(OsString, OsString)],
    /// Its directory; the bus's own when absent.
    pub cwd: Option<&'a Path>,
    /// What becomes 0, 1 and 2. Each must be numbered 3 or more ([`pipes::above_stdio`]).
    pub stdio: [BorrowedFd<'a>; 3],
    /// Further descriptors, kept at the number they have here (3 or more).
    pub keep: &'a [BorrowedFd<'a>],
    /// Limits, soft and hard alike; a wish above the hard limit in force becomes that limit.
    pub limits: &'a [(Limit, u64)],
}

/// Why a process could not be started.
#[derive(Debug)]
pub struct SpawnError {
    /// What could not be run or entered.
    pub path: PathBuf,
    /// The step that failed.
    pub stage: Stage,
    /// The limit, when that was the step.
    pub limit: Option<Limit>,
    /// The system's reason.
    pub source: io::Error,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let missing = self.source.kind() == io::ErrorKind::NotFound;
        match self.stage {
            Stage::Exec if missing && self.path.exists() => {
                write!(f, "cannot run {path}: the interpreter in its first line does not exist")
            }
            Stage::Exec if missing => write!(f, "cannot run {path}: no such file"),
            Stage::Exec => write!(f, "cannot run {path}: {}", self.source),
            Stage::Directory => write!(f, "cannot enter the directory {path}: {}", self.source),
            Stage::Limit => {
                write!(
                    f,
                    "cannot set the limit {}: {}",
                    self.limit.map_or("?", Limit::name),
                    self.source
                )
            }
            stage => write!(f, "cannot start {path} ({stage:?}): {}", self.source),
        }
    }
}

impl std::error::Error for SpawnError {}

/// Starts the process; it leads its own session and process group, so its pid is also its group's id.
pub fn spawn(spec: &Spec<'_>) -> Result<Pid, SpawnError> {
    let name = spec.argv.first().cloned().unwrap_or_default();
    let at = |stage: Stage, source: io::Error| SpawnError {
        path: PathBuf::from(&name),
        stage,
        limit: None,
        source,
    };
    let before = |source: io::Error| at(Stage::Descriptors, source);

    let program = resolve(&name, spec.env).map_err(|e| at(Stage::Exec, e))?;
    let argv = strings(spec.argv.iter().map(OsString::as_os_str)).map_err(|e| at(Stage::Exec, e))?;
    let pairs: Vec<OsString> = spec
        .env
        .iter()
        .map(|(key, value)| [key, OsStr::new("="), value].into_iter().collect())
        .collect();
    let env = strings(pairs.iter().map(OsString::as_os_str)).map_err(|e| at(Stage::Exec, e))?;
    let stdio = spec.stdio.map(|fd| fd.as_raw_fd());
    let keep: Vec<RawFd> = spec.keep.iter().map(AsRawFd::as_raw_fd).collect();
    if stdio.iter().chain(&keep).any(|fd| *fd < 3) {
        return Err(before(io::ErrorKind::InvalidInput.into()));
    }
    let cwd = spec
        .cwd
        .map(|path| CString::new(path.as_os_str().as_bytes()))
        .transpose();
    let cwd = cwd.map_err(|e| at(Stage::Directory, e.into()))?;
    let (report_in, report_out) = pipes::pipe(0).map_err(before)?;

    let prepared = Prepared {
        program: CString::new(program.as_os_str().as_bytes()).map_err(|e| at(Stage::Exec, e.into()))?,
        argv: pointers(&argv),
        envp: pointers(&env),
        cwd,
        stdio,
        keep,
        limits: spec
            .limits
            .iter()
            .map(|(limit, value)| (limit.resource(), clamp(*limit, *value)))
            .collect(),
        // SAFETY: getpid only returns a number.
        parent: unsafe { libc::getpid() },
        report: report_out.as_raw_fd(),
    };
    // SAFETY: the child runs only `run`, which makes async-signal-safe calls on memory prepared above, then execs or exits.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: this is the forked child, and `prepared` with all it points to lives until exec or exit.
        unsafe { run(&prepared) }
    }
    if pid < 0 {
        return Err(before(io::Error::last_os_error()));
    }
    drop(report_out);
    let mut message = Vec::new();
    // Ends when exec closes the child's end; a child killed before that gives an empty report and its exit is reaped.
    std::fs::File::from(report_in)
        .read_to_end(&mut message)
        .map_err(before)?;
    if let [stage, detail, e0, e1, e2, e3] = message[..] {
        // SAFETY: waits for the child that just reported its failure and exits at once; a null status is allowed.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        let stage = Stage::from_byte(stage).unwrap_or(Stage::Exec);
        let path = match (stage, spec.cwd) {
            (Stage::Directory, Some(cwd)) => cwd.to_path_buf(),
            (Stage::Exec, _) => program,
            _ => PathBuf::from(&name),
        };
        let limit = spec
            .limits
            .get(usize::from(detail))
            .map(|(limit, _)| *limit)
            .filter(|_| stage == Stage::Limit);
        let source = io::Error::from_raw_os_error(i32::from_ne_bytes([e0, e1, e2, e3]));
        return Err(SpawnError {
            path,
            stage,
            limit,
            source,
        });
    }
    Pid::from_raw(pid).ok_or_else(|| before(io::ErrorKind::Other.into()))
}

/// The program's file: as given when it holds a `/`, else the first executable of that name in the child's own PATH.
fn resolve(name: &OsStr, env: &[(OsString, OsString)]) -> io::Result<PathBuf> {
    if name.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if name.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(name));
    }
    let path = env
        .iter()
        .rev()
        .find(|(key, _)| key == "PATH")
        .map(|(_, value)| value.clone())
        .unwrap_or_default();
    let executable = |file: &PathBuf| file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok();
    let mut places = std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name));
    places.find(executable).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn strings<'a>(items: impl Iterator<Item = &'a OsStr>) -> io::Result<Vec<CString>> {
    items
        .map(|item| CString::new(item.as_bytes()).map_err(io::Error::from))
        .collect()
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}

fn clamp(limit: Limit, value: u64) -> libc::rlimit {
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the pointer is to a live local of the type that getrlimit fills in; on failure the default above stays.
    unsafe { libc::getrlimit(limit.resource(), &mut now) };
    let value = value.min(now.rlim_max);
    libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    }
}
