//! The system calls that name a file or an address, and what each is about to do with it.

use serde::{Deserialize, Serialize};

/// What is done with a path or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Asks whether it is there, and of which kind.
    Look,
    /// Opens it to read.
    Read,
    /// Opens it to write, makes it, renames it, removes it.
    Write,
    /// Runs it.
    Run,
    /// Connects to it.
    Connect,
}

impl Kind {
    /// The name in events.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Look => "look",
            Kind::Read => "read",
            Kind::Write => "write",
            Kind::Run => "run",
            Kind::Connect => "connect",
        }
    }
}

/// One path of a call: which argument points to it, and which one is the directory that it starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub kind: Kind,
    pub path: usize,
    pub from: Option<usize>,
}

const fn at(kind: Kind, from: usize, path: usize) -> Use {
    let from = Some(from);
    Use { kind, path, from }
}

#[cfg(target_arch = "x86_64")]
const fn here(kind: Kind, path: usize) -> Use {
    Use { kind, path, from: None }
}

/// What opening a file with these flags means.
fn opened(flags: u64) -> Kind {
    let flags = flags as libc::c_int;
    if flags & libc::O_PATH != 0 {
        return Kind::Look;
    }
    match flags & libc::O_ACCMODE == libc::O_RDONLY && flags & (libc::O_CREAT | libc::O_TRUNC) == 0 {
        true => Kind::Read,
        false => Kind::Write,
    }
}

/// The calls that are told of.
#[cfg(target_arch = "x86_64")]
pub(crate) fn watched() -> Vec<libc::c_long> {
    [COMMON, OLD].concat()
}
#[cfg(target_arch = "aarch64")]
pub(crate) fn watched() -> Vec<libc::c_long> {
    COMMON.to_vec()
}

const FACCESSAT2: libc::c_long = 439;

const COMMON: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_symlinkat,
    libc::SYS_linkat,
    libc::SYS_truncate,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    FACCESSAT2,
    libc::SYS_readlinkat,
    libc::SYS_connect,
];

#[cfg(target_arch = "x86_64")]
const OLD: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_unlink,
    libc::SYS_rmdir,
    libc::SYS_rename,
    libc::SYS_symlink,
    libc::SYS_link,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
];

/// The paths of a call. `how` is read only for openat2, whose flags are behind a pointer.
pub(crate) fn uses(number: libc::c_long, arguments: &[u64; 6], how: impl FnOnce(u64) -> u64) -> Vec<Use> {
    use Kind::{Look, Read, Run, Write};
    match number {
        libc::SYS_openat => vec![at(opened(arguments[2]), 0, 1)],
        libc::SYS_openat2 => vec![at(opened(how(arguments[2])), 0, 1)],
        libc::SYS_mkdirat | libc::SYS_mknodat | libc::SYS_unlinkat => vec![at(Write, 0, 1)],
        libc::SYS_renameat | libc::SYS_renameat2 => vec![at(Write, 0, 1), at(Write, 2, 3)],
        libc::SYS_symlinkat => vec![at(Write, 1, 2)],
        libc::SYS_linkat => vec![at(Read, 0, 1), at(Write, 2, 3)],
        libc::SYS_execveat => vec![at(Run, 0, 1)],
        libc::SYS_newfstatat | libc::SYS_statx | libc::SYS_faccessat | FACCESSAT2 | libc::SYS_readlinkat => {
            vec![at(Look, 0, 1)]
        }
        libc::SYS_truncate => vec![Use {
            kind: Write,
            path: 0,
            from: None,
        }],
        libc::SYS_execve => vec![Use {
            kind: Run,
            path: 0,
            from: None,
        }],
        _ => old(number, arguments),
    }
}

#[cfg(target_arch = "x86_64")]
fn old(number: libc::c_long, arguments: &[u64; 6]) -> Vec<Use> {
    use Kind::{Look, Read, Write};
    match number {
        libc::SYS_open => vec![here(opened(arguments[1]), 0)],
        libc::SYS_creat | libc::SYS_mkdir | libc::SYS_mknod | libc::SYS_unlink | libc::SYS_rmdir => {
            vec![here(Write, 0)]
        }
        libc::SYS_rename => vec![here(Write, 0), here(Write, 1)],
        libc::SYS_symlink => vec![here(Write, 1)],
        libc::SYS_link => vec![here(Read, 0), here(Write, 1)],
        libc::SYS_stat | libc::SYS_lstat | libc::SYS_access | libc::SYS_readlink => vec![here(Look, 0)],
        _ => Vec::new(),
    }
}
#[cfg(target_arch = "aarch64")]
fn old(_: libc::c_long, _: &[u64; 6]) -> Vec<Use> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(number: libc::c_long, arguments: [u64; 6]) -> Vec<Kind> {
        let found = uses(number, &arguments, |_| 0);
        found.iter().map(|u| u.kind).collect()
    }

    #[test]
    fn flags_tell_reading_from_writing() {
        let open = |flags: libc::c_int| kinds(libc::SYS_openat, [0, 0, flags as u64, 0, 0, 0]);
        assert_eq!(open(libc::O_RDONLY | libc::O_CLOEXEC), [Kind::Read]);
        assert_eq!(open(libc::O_RDONLY | libc::O_CREAT), [Kind::Write]);
        assert_eq!(open(libc::O_RDWR), [Kind::Write]);
        assert_eq!(open(libc::O_PATH), [Kind::Look]);
    }

    #[test]
    fn every_watched_call_but_connect_has_a_path() {
        for number in watched() {
            assert_eq!(
                kinds(number, [0; 6]).is_empty(),
                number == libc::SYS_connect,
                "{number}"
            );
        }
        assert_eq!(kinds(libc::SYS_renameat2, [0; 6]), [Kind::Write, Kind::Write]);
    }
}
