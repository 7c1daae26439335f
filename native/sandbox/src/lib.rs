//! dativo-sandbox: everything that starts, confines and ends a plugin's process on Linux.
//!
//! Where it stands: the bottom of the data plane. `dativo-bus` (the executable) calls it to spawn the children of a
//! plan, to learn how they ended and to kill what they left behind; nothing here knows Singer, plans or events.
//! It is the only crate that may hold `unsafe`, and each such block says why it is sound. The way of a child: the
//! [`zygote`], forked before anything is known, forks a [`launcher`] for it; [`spawn`] hands that a [`policy`] and
//! hears from it over [`status`] what holds; the launcher fences, starts and supervises the plugin, and its [`broker`]
//! carries the connections that are granted. [`usage`] and [`cgroup`] measure and bound the whole tree.
//!
//! Invariants it guards:
//! - I6: a child gets exactly the environment, descriptors, limits and directory of its [`Spec`], nothing inherited;
//! - I7: a promise that cannot be kept here is refused, and nothing of the plugin has run then;
//! - I8: no process outlives the run: parent-death signal, child subreaper, and [`tree`] for what escaped both;
//! - I13: files for a child ([`memfd`]) have no name that another process could open; a launcher knows one plugin's
//!   secrets at the most.
//!
//! Who may import it: `native/dativo-bus`, and tests.

pub mod broker;
pub mod cgroup;
pub mod inherited;
pub mod launcher;
pub mod limits;
pub mod memfd;
mod memory;
pub mod pipes;
pub mod policy;
pub mod reap;
pub mod signals;
pub mod spawn;
pub mod status;
pub mod tree;
pub mod usage;
pub mod zygote;

pub use inherited::Inherited;
pub use limits::Limit;
pub use policy::Confinement;
pub use reap::Exit;
pub use rustix::process::Pid;
pub use spawn::{SpawnError, Spawned, Spec};
pub use zygote::Zygote;
