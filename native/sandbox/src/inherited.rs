//! Descriptors that the caller of this program passed in, taken over one by one and at most once.

use crate::pipes::above_stdio;
use rustix::io::{fcntl_getfd, fcntl_setfd, FdFlags};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The descriptors that were open when the program began and that nobody has taken yet.
#[derive(Debug)]
pub struct Inherited {
    open: BTreeSet<RawFd>,
}

impl Inherited {
    /// Takes stock. Call it first in `main`: what is opened later belongs to whoever opened it.
    pub fn at_start() -> io::Result<Inherited> {
        let listing: BTreeSet<RawFd> = std::fs::read_dir("/proc/self/fd")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        // The listing's own descriptor is in the list; it is closed again by now.
        // SAFETY: the borrow lasts for one fcntl, which refuses a number that is not open.
        let still_open = |fd: &RawFd| fcntl_getfd(unsafe { BorrowedFd::borrow_raw(*fd) }).is_ok();
        Ok(Inherited {
            open: listing.into_iter().filter(still_open).collect(),
        })
    }

    /// Takes descriptor `fd` over. 0, 1 and 2 are moved away and replaced by /dev/null, so that dropping the result
    /// really closes the stranger's pipe while the numbers stay in use.
    pub fn take(&mut self, fd: RawFd) -> io::Result<OwnedFd> {
        if !self.open.remove(&fd) {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        if fd > 2 {
            // SAFETY: it was open at the start, nobody in this program opened it, and `remove` lets it be taken once.
            let owned = unsafe { OwnedFd::from_raw_fd(fd) };
            fcntl_setfd(&owned, FdFlags::CLOEXEC)?;
            return Ok(owned);
        }
        // SAFETY: 0, 1 and 2 are open for the program's whole life; the runtime sees to that.
        let standard = unsafe { BorrowedFd::borrow_raw(fd) };
        let moved = above_stdio(rustix::io::fcntl_dupfd_cloexec(standard, 3)?)?;
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        // SAFETY: plain numbers; the standard descriptor keeps its number and now is /dev/null.
        if unsafe { libc::dup2(null.as_fd().as_raw_fd(), fd) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_taken_once_and_only_if_it_was_there() {
        let passed = std::mem::ManuallyDrop::new(std::fs::File::open("/dev/null").unwrap());
        let number = passed.as_raw_fd();
        let mut inherited = Inherited {
            open: BTreeSet::from([number]),
        };
        assert_eq!(inherited.take(number).unwrap().as_raw_fd(), number);
        assert!(inherited.take(number).is_err());
        assert!(inherited.take(999_999).is_err());
    }

    #[test]
    fn stock_is_taken_of_the_standard_descriptors() {
        let inherited = Inherited::at_start().unwrap();
        assert!(inherited.open.contains(&0) && inherited.open.contains(&2));
    }
}
