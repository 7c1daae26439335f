//! The launcher: a process of its own between the bus and a plugin, which builds the fence and goes inside.
//!
//! It is forked from the [`crate::zygote`], so it holds no other plugin's secrets. It has read a [`Policy`] and either
//! becomes the plugin (profiles `off` and `limits`), or starts it behind Landlock and seccomp ([`floor`]),
//! or makes namespaces, stays outside as supervisor and broker ([`supervisor`]), and lets an init process inside start
//! the plugin ([`namespaces`], [`root`]). What holds is reported before the plugin's program runs, and a profile that
//! cannot be kept ends here (I7): nothing of the plugin has run then.
//!
//! Who may import it: [`crate::zygote`].

mod bpf;
pub mod calls;
mod floor;
mod grants;
mod landlock;
mod mount;
mod namespaces;
pub mod observe;
mod offers;
mod places;
mod plugin;
mod privileges;
pub mod probe;
mod promise;
mod root;
mod seccomp;
mod supervisor;
mod tracee;

use crate::policy::{Layout, Policy, Profile};
use crate::status::{send, Holding, Word};
use std::os::fd::OwnedFd;

/// What a launcher exits with that started nothing.
const REFUSED: i32 = 125;

/// Why nothing was started.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The sandbox is why, and not the program.
    pub sandbox: bool,
    /// What happened, for people.
    pub message: String,
}

impl Refusal {
    pub(crate) fn of_sandbox(message: impl Into<String>) -> Refusal {
        Refusal {
            sandbox: true,
            message: message.into(),
        }
    }

    pub(crate) fn of_program(message: impl Into<String>) -> Refusal {
        Refusal {
            sandbox: false,
            message: message.into(),
        }
    }
}

/// Acts on a policy. Never returns: this process becomes the plugin, or its supervisor, or ends. `files` hold the content
/// of the policy's files.
pub(crate) fn run(policy: Policy, status: OwnedFd, files: Vec<OwnedFd>) -> ! {
    let refusal = launch(&policy, &status, &files);
    let word = Word::Failed {
        sandbox: refusal.sandbox,
        message: refusal.message,
    };
    // A bus that is gone needs no report.
    let _ = send(&status, &word, None);
    exit(REFUSED)
}

/// Ends this process without any clean-up of Rust's.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Starts the plugin; comes back only when that was not possible.
fn launch(policy: &Policy, status: &OwnedFd, files: &[OwnedFd]) -> Refusal {
    let confinement = &policy.confinement;
    for group in &confinement.groups {
        if let Err(e) = std::fs::write(group, "0") {
            return Refusal::of_sandbox(format!("cannot join the control group {}: {e}", group.display()));
        }
    }
    let program = match plugin::find(policy) {
        Ok(program) => program,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = observe::refused(confinement) {
        return refusal;
    }
    if confinement.profile <= Profile::Limits {
        return plugin::run_here(
            policy,
            status,
            files,
            &program,
            promise::of(confinement, Holding::None, ""),
        );
    }
    let reason = match confinement.layout {
        Layout::Floor => "not wanted".to_string(),
        Layout::Auto | Layout::Namespaces => match namespaces::start(policy, status, files, &program) {
            Ok(never) => match never {},
            Err(namespaces::Obstacle::Program(refusal)) => return refusal,
            Err(namespaces::Obstacle::Machine(reason)) => reason,
        },
    };
    let needs = confinement.profile == Profile::Strict || confinement.layout == Layout::Namespaces;
    if needs || confinement.observe {
        let who = if needs { "strict" } else { "observing" };
        return Refusal::of_sandbox(format!(
            "{who} needs namespaces of its own, and they cannot be had: {reason}"
        ));
    }
    if let Err(refusal) = promise::floor_holds(confinement) {
        return refusal;
    }
    let promised = promise::of(confinement, Holding::Floor, &reason);
    floor::start(policy, status, files, &program, promised)
}
