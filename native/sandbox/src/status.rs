//! What the launcher says to the bus: one JSON datagram each, over a socket pair.

use crate::broker::Report;
use crate::launcher::observe::Access;
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const LONGEST: usize = 64 << 10;

/// Which layers hold a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    /// None.
    None,
    /// Landlock and seccomp.
    Floor,
    /// Namespaces, with Landlock and seccomp inside.
    Namespaces,
}

impl Holding {
    /// The name in events.
    pub const fn name(self) -> &'static str {
        match self {
            Holding::None => "none",
            Holding::Floor => "floor",
            Holding::Namespaces => "namespaces",
        }
    }
}

/// One datagram.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// What holds; the program has not run yet. With it come the scratch directory, and a pipe that ends when the program
    /// runs, or when it is told that it does not.
    Confined {
        /// Which layers.
        layout: Holding,
        /// Names of SPEC.md, section 12.
        guarantees: Vec<String>,
        /// What cannot be promised, each with its reason.
        missing: Vec<String>,
    },
    /// It could not be started.
    Failed {
        /// The sandbox is why, and not the program.
        sandbox: bool,
        /// What happened, for people.
        message: String,
    },
    /// Something on the network.
    Connection(Report),
    /// Something that was tried, while it is observed.
    Access(Access),
}

/// Sends a word, with up to two descriptors.
pub(crate) fn send(socket: impl AsFd, word: &Word, with: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = serde_json::to_vec(word)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !with.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(with));
    }
    sendmsg(socket, &[IoSlice::new(&text)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next word and the descriptors that came with it; `None` when the launcher hung up.
pub(crate) fn receive(socket: impl AsFd, wait: bool) -> io::Result<Option<(Word, Vec<OwnedFd>)>> {
    let mut text = vec![0u8; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = match wait {
        true => RecvFlags::CMSG_CLOEXEC,
        false => RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
    };
    let count = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(&mut text)], &mut ancillary, flags) {
            Ok(message) => break message.bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
    };
    if count == 0 {
        return Ok(None);
    }
    let mut came = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            came.extend(fds);
        }
    }
    Ok(Some((serde_json::from_slice(&text[..count])?, came)))
}

/// Sends descriptors over a socket, any number up to 250.
pub(crate) fn send_fds(socket: impl AsFd, fds: &[OwnedFd]) -> io::Result<()> {
    let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(250))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::Error::other("too many ports"));
    }
    sendmsg(
        socket,
        &[IoSlice::new(&[fds.len() as u8])],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Receives what [`send_fds`] sent; empty when the other side is gone.
pub(crate) fn receive_fds(socket: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut byte = [0u8; 1];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(250))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut found = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            found.extend(fds);
        }
    }
    Ok(found)
}
