//! The floor: Landlock and seccomp on the machine's own root, where there are no namespaces.
//!
//! The launcher stays as the plugin's parent: what the plugin leaves behind is handed to it, and ended by it when the
//! plugin has ended, and also when the bus is gone (I8). Only who kills both at once gets around it.

use super::supervisor::{self, Next};
use super::{exit, plugin, privileges, Refusal};
use crate::pipes;
use crate::policy::Policy;
use crate::status::{send, Holding, Word};
use crate::tree;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Starts the plugin and supervises it to its end. Comes back only when there is no plugin.
pub(crate) fn start(
    policy: &Policy,
    status: &OwnedFd,
    files: &[OwnedFd],
    program: &Path,
    (guarantees, missing): (Vec<String>, Vec<String>),
) -> Refusal {
    if let Err(refusal) = plugin::report(policy, status, files, Holding::Floor, guarantees, missing) {
        return refusal;
    }
    let failed = |e: std::io::Error| Refusal::of_sandbox(format!("cannot supervise: {e}"));
    supervisor::block_signals();
    let bus = match tree::become_subreaper().and_then(|()| privileges::end_with_parent()) {
        Ok(bus) => bus,
        Err(e) => return failed(e),
    };
    let (exec_in, exec_out) = match pipes::pipe(0) {
        Ok(ends) => ends,
        Err(e) => return failed(e),
    };
    // SAFETY: this process has one thread, so the child may do anything that this one may.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return failed(std::io::Error::last_os_error());
    }
    if pid == 0 {
        drop(exec_in);
        // A process group of its own, which signals are passed on to.
        let _ = rustix::process::setsid();
        let Err(refusal) = plugin::enter(policy, program, Holding::Floor, None, None);
        let word = Word::Failed {
            sandbox: refusal.sandbox,
            message: refusal.message,
        };
        // Both are for a launcher that may be gone.
        let _ = send(status, &word, None);
        let _ = rustix::io::write(&exec_out, b"x");
        exit(125)
    }
    drop(exec_out);
    let signals = match supervisor::settle(exec_in, status, &policy.keep) {
        Ok(signals) => signals,
        Err(e) => return failed(e),
    };
    loop {
        match supervisor::next(&signals, pid) {
            Next::Ended(state) => {
                end_all();
                supervisor::leave_as(state)
            }
            Next::Other => {
                if rustix::process::getppid() != bus {
                    end_all();
                    exit(125)
                }
            }
        }
    }
}

/// Ends and collects everything that descends from this process.
fn end_all() {
    tree::kill_descendants(&[]);
    supervisor::collect_all();
}
