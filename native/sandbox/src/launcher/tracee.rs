//! What a system call that waits for its answer names, read from the memory of its process.

use super::calls::{uses, Kind};
use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

const LONGEST_PATH: usize = 4096;

/// What a call names.
pub(crate) enum What {
    Path(PathBuf),
    Address(SocketAddr),
}

/// All that a call names.
pub(crate) fn uses_of(call: &libc::seccomp_notif) -> Vec<(Kind, What)> {
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
