//! The last steps before the plugin's program: what this process gives up, in an order in which each step is still
//! allowed, and exec.

use super::privileges as give_up;
use super::seccomp::{self, Needs};
use super::{landlock, Refusal};
use crate::limits::Limit;
use crate::pipes;
use crate::policy::{Network, Policy, Profile, SCRATCH_PARTS};
use crate::status::{send, Holding, Word};
use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The program's file: as given when it holds a `/`, else the first executable of that name in the plugin's own PATH.
pub(crate) fn find(policy: &Policy) -> Result<PathBuf, Refusal> {
    let name = policy.argv.first().map(String::as_str).unwrap_or_default();
    let missing = || Refusal::of_program(format!("cannot run {name}: no such file"));
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let path = policy
        .env
        .iter()
        .rev()
        .find(|(key, _)| key == "PATH")
        .map(|(_, value)| value.as_str());
    let executable = |file: &PathBuf| file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok();
    let mut places = std::env::split_paths(path.unwrap_or_default())
        .filter(|dir| dir.is_absolute() && !name.is_empty())
        .map(|dir| dir.join(name));
    places.find(executable).ok_or_else(missing)
}

/// Without a fence: this process becomes the plugin.
pub(crate) fn run_here(
    policy: &Policy,
    status: &OwnedFd,
    files: &[OwnedFd],
    program: &Path,
    (guarantees, missing): (Vec<String>, Vec<String>),
) -> Refusal {
    let exec = match report(policy, status, files, Holding::None, guarantees, missing) {
        Ok(exec) => exec,
        Err(refusal) => return refusal,
    };
    let Err(refusal) = enter(policy, program, Holding::None, None, None, &mut || {});
    // It closes with this process, when the refusal has been told.
    std::mem::forget(exec);
    refusal
}

/// Fills the scratch directory and tells what holds: on the machine's own root there is nothing more to prepare. What it
/// gives back is to be open until the program runs.
pub(crate) fn report(
    policy: &Policy,
    status: &OwnedFd,
    files: &[OwnedFd],
    layout: Holding,
    guarantees: Vec<String>,
    missing: Vec<String>,
) -> Result<OwnedFd, Refusal> {
    let place = policy.confinement.scratch.display();
    let make = |part: &&str| {
        DirBuilder::new()
            .mode(0o700)
            .create(policy.confinement.scratch.join(part))
    };
    let made = SCRATCH_PARTS.iter().try_for_each(make);
    let scratch = made
        .and_then(|()| fill_scratch(policy, files, None))
        .and_then(|()| File::open(&policy.confinement.scratch))
        .map_err(|e| Refusal::of_sandbox(format!("cannot fill {place}: {e}")))?;
    let word = Word::Confined {
        layout,
        guarantees,
        missing,
    };
    let told = pipes::pipe(0).and_then(|(exec_in, exec_out)| {
        send(status, &word, &[scratch.as_fd(), exec_in.as_fd()])?;
        Ok(exec_out)
    });
    told.map_err(|e| Refusal::of_sandbox(format!("cannot report: {e}")))
}

/// Puts the policy's files into the scratch directory.
pub(crate) fn fill_scratch(policy: &Policy, files: &[OwnedFd], owner: Option<u32>) -> io::Result<()> {
    let scratch = policy.confinement.scratch.as_path();
    let own = |path: &Path| owner.map_or(Ok(()), |id| std::os::unix::fs::lchown(path, Some(id), Some(id)));
    for (name, content) in policy.files.iter().zip(files) {
        let path = scratch.join("files").join(name);
        let mut to = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let mut from = File::from(content.try_clone()?);
        from.rewind()?;
        io::copy(&mut from, &mut to)?;
        own(&path)?;
    }
    Ok(())
}

/// Gives up everything that the profile takes away, waits for the word, and runs the program. Comes back only with the
/// reason why not.
pub(crate) fn enter(
    policy: &Policy,
    program: &Path,
    holding: Holding,
    uid: Option<u32>,
    observer: Option<&OwnedFd>,
    wait: &mut dyn FnMut(),
) -> Result<Infallible, Refusal> {
    let profile = policy.confinement.profile;
    let fenced = profile >= Profile::Standard;
    let sandbox = |what: &str, e: io::Error| Refusal::of_sandbox(format!("{what}: {e}"));
    if profile >= Profile::Limits {
        set_limits(policy, holding)?;
        give_up::step_back(policy.confinement.nice, policy.confinement.ionice)
            .map_err(|e| sandbox("cannot lower the priority", e))?;
    }
    if fenced {
        give_up::leave_keyring();
        if uid.is_some() {
            give_up::drop_groups().map_err(|e| sandbox("cannot leave the groups", e))?;
        }
        give_up::drop_bounding_set();
        if let Some(uid) = uid {
            give_up::become_user(uid).map_err(|e| sandbox("cannot change the user", e))?;
        }
        give_up::drop_capabilities().map_err(|e| sandbox("cannot drop capabilities", e))?;
    }
    if profile >= Profile::Limits {
        give_up::no_new_privileges().map_err(|e| sandbox("cannot set no_new_privs", e))?;
    }
    // A change of user takes this away, so it is asked for again (I8).
    give_up::die_with_parent().map_err(|e| sandbox("cannot tie it to its parent", e))?;
    if let Some(cwd) = &policy.cwd {
        rustix::process::chdir(cwd.as_path()).map_err(|e| {
            Refusal::of_program(format!(
                "cannot enter the directory {}: {}",
                cwd.display(),
                io::Error::from(e)
            ))
        })?;
    }
    if fenced && landlock::version() > 0 {
        let fence = match holding {
            Holding::Namespaces => landlock::inside(&policy.confinement),
            _ => landlock::outside(policy, program),
        };
        fence
            .and_then(landlock::Fence::close)
            .map_err(|e| sandbox("cannot close the Landlock fence", e))?;
    }
    keep_open(&policy.keep).map_err(|e| sandbox("cannot close descriptors", e))?;
    let ready = Ready::new(policy, program, holding).map_err(|e| sandbox("cannot prepare its arguments", e))?;
    unblock_signals();
    if let Some(observer) = observer {
        super::observe::begin(observer).map_err(|e| sandbox("cannot be observed", e))?;
    }
    if fenced {
        let hosts = matches!(policy.confinement.network, Network::Hosts(_));
        let any = policy.confinement.network == Network::Any;
        seccomp::install(Needs {
            namespaces: holding == Holding::Namespaces,
            tcp: hosts || any,
            udp: any,
            unix: !policy.confinement.unix.is_empty(),
        })
        .map_err(|e| sandbox("cannot install the system call filter", e))?;
    }
    wait();
    Err(ready.exec(program))
}

/// Marks every descriptor from 3 on to be closed at exec, but for these.
fn keep_open(keep: &[i32]) -> io::Result<()> {
    // SAFETY: close_range and fcntl take numbers only; descriptors that are not open are skipped.
    unsafe {
        let flags = libc::CLOSE_RANGE_CLOEXEC;
        if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) != 0 {
            return Err(io::Error::last_os_error());
        }
        for fd in keep {
            if libc::fcntl(*fd, libc::F_SETFD, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

fn set_limits(policy: &Policy, holding: Holding) -> Result<(), Refusal> {
    let named = policy
        .rlimits
        .iter()
        .filter_map(|(name, value)| Some((Limit::by_name(name)?, *value)));
    // Without a user namespace the processes of the whole user would count.
    let mut limits: Vec<(Limit, u64)> = named
        .filter(|(limit, _)| *limit != Limit::Nproc || holding == Holding::Namespaces)
        .collect();
    if !limits.iter().any(|(limit, _)| *limit == Limit::Core) {
        limits.push((Limit::Core, 0));
    }
    give_up::limit(&limits)
        .map_err(|(limit, e)| Refusal::of_sandbox(format!("cannot set the limit {}: {e}", limit.name())))
}

fn unblock_signals() {
    // SAFETY: an all-zero set is valid storage, emptied before it is used; a null old set is allowed.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Arguments and environment as exec wants them.
struct Ready {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Ready {
    fn new(policy: &Policy, program: &Path, holding: Holding) -> io::Result<Ready> {
        let text = |s: &str| CString::new(s).map_err(io::Error::from);
        let mut env: Vec<CString> = policy
            .env
            .iter()
            .map(|(key, value)| text(&format!("{key}={value}")))
            .collect::<io::Result<_>>()?;
        if holding == Holding::Floor && matches!(policy.confinement.network, Network::Hosts(_)) {
            // The C library then asks for names over TCP.
            env.push(text("RES_OPTIONS=use-vc")?);
        }
        Ok(Ready {
            program: CString::new(program.as_os_str().as_bytes())?,
            argv: policy.argv.iter().map(|a| text(a)).collect::<io::Result<_>>()?,
            env,
        })
    }

    fn exec(&self, program: &Path) -> Refusal {
        let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
            list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        // SAFETY: all strings and both null-terminated lists live until the call returns, which it does only on failure.
        unsafe { libc::execve(self.program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        let error = io::Error::last_os_error();
        let shown = program.display();
        Refusal::of_program(match error.kind() {
            io::ErrorKind::NotFound if program.exists() => {
                let interpreter = interpreter_of(program).unwrap_or_else(|| "its interpreter".into());
                format!("cannot run {shown}: the interpreter in its first line, {interpreter}, does not exist or is not granted")
            }
            io::ErrorKind::NotFound => format!("cannot run {shown}: no such file"),
            _ => format!("cannot run {shown}: {error}"),
        })
    }
}

fn interpreter_of(program: &Path) -> Option<String> {
    let mut head = [0u8; 256];
    let count = File::open(program).ok()?.read(&mut head).ok()?;
    let line = head[..count].strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let word = line.trim_ascii().split(|b| *b == b' ').next()?;
    Some(OsStr::from_bytes(word).to_string_lossy().into_owned())
}
