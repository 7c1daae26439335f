//! What the launcher is told: one document, handed over in sealed memory, read before anything else happens.
//!
//! It holds no secret but those of its own plugin, so that the launcher's memory is worth nothing to anybody else (I13).

use serde::{Deserialize, Serialize};
use std::os::fd::RawFd;
use std::path::PathBuf;

/// What is promised (SPEC.md, section 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Profile {
    /// Nothing beyond descriptors, environment and session.
    Off,
    /// Limits, no new privileges.
    Limits,
    /// Fenced by what works here.
    Standard,
    /// Fenced in full, or refused.
    Strict,
}

/// Which layers may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// The best that works and keeps the profile.
    Auto,
    /// Namespaces or nothing.
    Namespaces,
    /// Landlock and seccomp alone.
    Floor,
}

/// Whom the plugin may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Nobody.
    None,
    /// Everybody whom this machine reaches.
    Any,
    /// These, as `HOST:PORT`.
    Hosts(Vec<String>),
}

/// How a plugin is confined, and what it may reach.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confinement {
    /// What is promised.
    pub profile: Profile,
    /// Which layers.
    pub layout: Layout,
    /// Paths that it may read, with all below.
    pub read: Vec<PathBuf>,
    /// Paths that it may change, with all below.
    pub write: Vec<PathBuf>,
    /// Paths within those that stay out of reach.
    pub hide: Vec<PathBuf>,
    /// Whom it may reach.
    pub network: Network,
    /// Sockets, or directories of sockets.
    pub unix: Vec<PathBuf>,
    /// Bytes of /dev/shm.
    pub shm: u64,
    /// Bytes of /tmp and HOME.
    pub scratch_size: u64,
    /// Its scratch directory, which exists and is empty.
    pub scratch: PathBuf,
    /// Added to its niceness.
    pub nice: u8,
    /// Its I/O class: 2 best effort, 3 idle.
    pub ionice: Option<u8>,
    /// Files to write "0" into: the control groups that it joins.
    pub groups: Vec<PathBuf>,
    /// What it tries is told.
    pub observe: bool,
}

/// The whole document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Its directory; the launcher's own when absent.
    pub cwd: Option<PathBuf>,
    /// Descriptors that it keeps, beside 0, 1 and 2.
    pub keep: Vec<RawFd>,
    /// Limits of each of its processes, by name.
    pub rlimits: Vec<(String, u64)>,
    /// Names of files for `files/` of its scratch directory; their content comes in descriptors beside this document.
    pub files: Vec<String>,
    /// How it is confined.
    pub confinement: Confinement,
}

/// Subdirectories of a scratch directory: for files, for HOME, for TMPDIR.
pub const SCRATCH_PARTS: [&str; 3] = ["files", "home", "tmp"];
