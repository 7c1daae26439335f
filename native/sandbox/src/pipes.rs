//! Pipes: making them, sizing them, asking what is unread in them, and reading or writing without ever blocking.

use rustix::fs::{fcntl_setfl, fstat, open, FileType, Mode, OFlags};
use rustix::io::{fcntl_dupfd_cloexec, fcntl_setfd, ioctl_fionread, read, write, Errno, FdFlags};
use rustix::pipe::{fcntl_setpipe_size, pipe_with, PipeFlags, PIPE_BUF};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A pipe (read end, write end), both closed on exec, both numbered 3 or more, of about `size` bytes.
///
/// The size is a wish: an unprivileged user over the system's soft limit keeps what the kernel gives.
pub fn pipe(size: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let (reader, writer) = (above_stdio(reader)?, above_stdio(writer)?);
    grow(&writer, size);
    Ok((reader, writer))
}

/// Asks for a pipe of `size` bytes, then for halves of that, never failing: a small pipe is slower, not wrong.
pub fn grow(fd: impl AsFd, size: usize) {
    let mut wish = size;
    while wish > 65_536 {
        match fcntl_setpipe_size(&fd, wish) {
            Err(Errno::PERM | Errno::BUSY) => wish /= 2,
            _ => return,
        }
    }
}

/// The same descriptor, moved to a number of 3 or more so that a child's `dup2` to 0, 1, 2 cannot hit it.
pub fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    Ok(fcntl_dupfd_cloexec(&fd, 3)?)
}

/// Bytes that were written into the pipe and that its reader has not taken yet. Works on either end.
pub fn unread(fd: impl AsFd) -> io::Result<u64> {
    Ok(ioctl_fionread(fd)?)
}

/// A read end of the pipe whose write end is `writer`: it keeps the pipe's content countable after `writer` is closed
/// and after its reader died. Open it only then: while it is open, writing to a dead reader gives no error.
pub fn reopen_reader(writer: impl AsFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", writer.as_fd().as_raw_fd());
    Ok(open(
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Which direction an inherited descriptor is used in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The bus reads it.
    Read,
    /// The bus writes it.
    Write,
}

/// What a read or write without blocking gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// That many bytes.
    Bytes(usize),
    /// Nothing now: poll and come back.
    Later,
    /// Reading: end of file. Writing: the reader is gone.
    Closed,
}

/// A descriptor that is read or written without ever blocking the loop.
///
/// Descriptors that we made get O_NONBLOCK. An inherited one shares its flags with strangers (a shell's pipe, a
/// terminal), so it is reopened through /proc for flags of its own; where that is not possible (a socket, a regular
/// file, another user's pipe) it stays blocking and moves only what a `poll` has promised.
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
    promised: bool,
}

impl Stream {
    /// Takes a descriptor that only this process uses.
    pub fn owned(fd: OwnedFd) -> io::Result<Stream> {
        fcntl_setfl(&fd, rustix::fs::fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
        Ok(Stream { fd, promised: false })
    }

    /// Takes a descriptor inherited from a stranger.
    pub fn inherited(fd: OwnedFd, direction: Direction) -> io::Result<Stream> {
        let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
        if matches!(kind, FileType::Fifo | FileType::CharacterDevice) {
            let access = if direction == Direction::Read {
                OFlags::RDONLY
            } else {
                OFlags::WRONLY
            };
            let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            if let Ok(own) = open(path, flags, Mode::empty()) {
                return Ok(Stream {
                    fd: own,
                    promised: false,
                });
            }
        }
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        let promised = kind != FileType::RegularFile;
        Ok(Stream { fd, promised })
    }

    /// Reads into `buffer`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Moved> {
        loop {
            return match read(&self.fd, &mut *buffer) {
                Ok(0) => Ok(Moved::Closed),
                Ok(n) => Ok(Moved::Bytes(n)),
                Err(Errno::AGAIN) => Ok(Moved::Later),
                Err(Errno::INTR) => continue,
                // A terminal or socket whose other side is gone has ended.
                Err(Errno::IO | Errno::CONNRESET) => Ok(Moved::Closed),
                Err(errno) => Err(errno.into()),
            };
        }
    }

    /// Writes the front of `bytes`. A descriptor that stayed blocking takes at most what its `poll` promised.
    pub fn write(&self, bytes: &[u8]) -> io::Result<Moved> {
        let bytes = if self.promised {
            &bytes[..bytes.len().min(PIPE_BUF)]
        } else {
            bytes
        };
        loop {
            return match write(&self.fd, bytes) {
                Ok(n) => Ok(Moved::Bytes(n)),
                Err(Errno::AGAIN) => Ok(Moved::Later),
                Err(Errno::INTR) => continue,
                Err(Errno::PIPE | Errno::CONNRESET) => Ok(Moved::Closed),
                Err(errno) => Err(errno.into()),
            };
        }
    }

    /// Whether each write needs a `poll` before it (see the type).
    pub fn needs_poll(&self) -> bool {
        self.promised
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_pipe_is_above_stdio_and_countable_after_its_ends_are_gone() {
        let (reader, writer) = pipe(262_144).unwrap();
        assert!(reader.as_raw_fd() > 2 && writer.as_raw_fd() > 2);
        let writer = Stream::owned(writer).unwrap();
        assert_eq!(writer.write(b"hello").unwrap(), Moved::Bytes(5));
        let mut two = [0u8; 2];
        assert_eq!(read(&reader, &mut two).unwrap(), 2);
        let witness = reopen_reader(&writer).unwrap();
        drop((reader, writer));
        assert_eq!(unread(&witness).unwrap(), 3);
    }

    #[test]
    fn a_full_pipe_says_later_and_a_dead_reader_closed() {
        let (reader, writer) = pipe(65_536).unwrap();
        let writer = Stream::owned(writer).unwrap();
        let block = vec![0u8; 1 << 20];
        assert!(matches!(writer.write(&block).unwrap(), Moved::Bytes(n) if n < block.len()));
        assert_eq!(writer.write(&block).unwrap(), Moved::Later);
        drop(reader);
        assert_eq!(writer.write(&block).unwrap(), Moved::Closed);
    }

    #[test]
    fn an_inherited_pipe_keeps_its_flags() {
        let (reader, writer) = pipe(65_536).unwrap();
        let shared = reader.try_clone().unwrap();
        let stream = Stream::inherited(reader, Direction::Read).unwrap();
        let mut buffer = [0u8; 8];
        assert_eq!(stream.read(&mut buffer).unwrap(), Moved::Later);
        assert!(!rustix::fs::fcntl_getfl(&shared).unwrap().contains(OFlags::NONBLOCK));
        drop(writer);
        assert_eq!(stream.read(&mut buffer).unwrap(), Moved::Closed);
    }

    #[test]
    fn a_socket_stays_blocking_and_moves_what_poll_promised() {
        let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
        let writer = Stream::inherited(a.into(), Direction::Write).unwrap();
        assert!(writer.needs_poll());
        assert_eq!(writer.write(&[0u8; 10_000]).unwrap(), Moved::Bytes(PIPE_BUF));
        drop(b);
        assert_eq!(writer.write(b"x").unwrap(), Moved::Closed);
    }
}
