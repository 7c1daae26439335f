//! Giving up what a process has beyond the files: limits, priority, keys, capabilities, identity.

use crate::limits::Limit;
use std::io;

/// The first of the uids that plugins of root run under; the launcher's pid is added, so two that live never share one.
const FIRST_UID: u32 = 0x7000_0000;

fn check(result: libc::c_long) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The uid, and gid, of a plugin that root starts.
pub(crate) fn plugin_uid(launcher: u32) -> u32 {
    FIRST_UID + launcher
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Sets limits, soft and hard alike; one above the hard limit in force becomes that limit.
pub(crate) fn limit(limits: &[(Limit, u64)]) -> Result<(), (Limit, io::Error)> {
    for (limit, value) in limits {
        let mut now = libc::rlimit {
            rlim_cur: 0,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: the pointer is to a live local of the type that getrlimit fills in; on failure the default stays.
        unsafe { libc::getrlimit(limit.resource(), &mut now) };
        let value = (*value).min(now.rlim_max);
        let wish = libc::rlimit {
            rlim_cur: value,
            rlim_max: value,
        };
        // SAFETY: the pointer is to a live local.
        check(unsafe { libc::setrlimit(limit.resource(), &wish) }.into()).map_err(|e| (*limit, e))?;
    }
    Ok(())
}

/// Later in line for the processors and the disk, and the first to go when memory is short.
pub(crate) fn step_back(nice: u8, ionice: Option<u8>) -> io::Result<()> {
    if nice > 0 {
        // SAFETY: adds to this process's niceness; -1 is a value as well as an error, so the errno tells.
        unsafe {
            *libc::__errno_location() = 0;
            if libc::nice(libc::c_int::from(nice)) == -1 && *libc::__errno_location() != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    if let Some(class) = ionice {
        const WHO_PROCESS: libc::c_int = 1;
        // SAFETY: plain numbers; the class stands above 13 bits of priority within it.
        check(unsafe {
            libc::syscall(
                libc::SYS_ioprio_set,
                WHO_PROCESS,
                0,
                (libc::c_int::from(class) << 13) | 7,
            )
        })?;
    }
    // A kernel without the file, or one that is told otherwise, only loses a preference.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    Ok(())
}

/// No program that this process starts can gain a privilege.
pub(crate) fn no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// A session keyring of its own, so that the user's keys are not inherited. Where there are no keyrings there is
/// nothing to leave; the calls themselves are refused by the filter.
pub(crate) fn leave_keyring() {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for a new anonymous keyring.
    unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
}

/// Empties the bounding set, as far as this process may.
pub(crate) fn drop_bounding_set() {
    for capability in 0..64 {
        // SAFETY: plain numbers; what is not allowed or does not exist fails without effect.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            break;
        }
    }
}

/// Gives up all capabilities.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let none = [0u32; 6];
    // SAFETY: a null-free ambient reset, then a header and three pairs of masks of the size that version 3 has.
    unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        check(libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()))
    }
}

/// No supplementary group.
pub(crate) fn drop_groups() -> io::Result<()> {
    // SAFETY: an empty list needs no memory.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }.into())
}

/// Becomes this user and group for good.
pub(crate) fn become_user(uid: u32) -> io::Result<()> {
    // SAFETY: plain numbers; raw calls, since this process has one thread.
    unsafe {
        check(libc::syscall(libc::SYS_setresgid, uid, uid, uid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))
    }
}

/// Dies when the parent thread does.
pub(crate) fn die_with_parent() -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }.into())
}

/// Gets SIGTERM, in place of being killed, when the parent thread ends; who the parent is.
pub(crate) fn end_with_parent() -> io::Result<Option<rustix::process::Pid>> {
    let parent = rustix::process::getppid();
    // SAFETY: plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM, 0, 0, 0) }.into())?;
    match rustix::process::getppid() == parent {
        true => Ok(parent),
        false => Err(io::Error::other("the bus is gone")),
    }
}

/// Nobody of the same user may look into this process.
pub(crate) fn be_opaque() {
    // SAFETY: plain numbers; a failure leaves what Landlock and the namespaces keep anyway.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}
