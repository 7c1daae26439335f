//! Files without a name: sealed memory that a child reads through `/proc/self/fd/N`.

use rustix::fs::{fcntl_add_seals, memfd_create, MemfdFlags, SealFlags};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

/// A read-only file holding `content`, named `name` only in `/proc/PID/maps`; nobody can change it afterwards (I13).
pub fn sealed(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let base = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // NOEXEC_SEAL needs Linux 6.3: it also forbids running the file as a program.
    let fd = memfd_create(name, base | MemfdFlags::NOEXEC_SEAL).or_else(|_| memfd_create(name, base))?;
    let mut file = File::from(fd);
    file.write_all(content)?;
    let fd = OwnedFd::from(file);
    fcntl_add_seals(
        &fd,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsRawFd;

    #[test]
    fn readable_again_and_again_but_never_writable() {
        let fd = sealed("config", b"{\"a\":1}").unwrap();
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        for _ in 0..2 {
            let mut text = String::new();
            File::open(&path).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "{\"a\":1}");
        }
        let refused = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut f| f.write_all(b"x"));
        assert!(refused.is_err());
    }
}
