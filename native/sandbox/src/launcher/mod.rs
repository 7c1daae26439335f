//! The launcher: a process of its own between the bus and a plugin, which builds the fence and goes inside.
//!
//! The bus runs its own executable again with `--launch N`: a fresh process that holds no other plugin's secrets. It
//! reads a [`Policy`] from descriptor N, then either becomes the plugin (profiles `off` and `limits`, layout `floor`)
//! or makes namespaces, stays outside as supervisor and broker ([`supervisor`]), and lets an init process inside start
//! the plugin ([`namespaces`], [`root`]). What holds is reported before the plugin's program runs, and a profile that
//! cannot be kept ends here (I7): nothing of the plugin has run then.
//!
//! Who may import it: the executable's `main`, through [`main`].

mod bpf;
mod landlock;
mod namespaces;
mod places;
mod plugin;
mod privileges;
pub mod probe;
mod promise;
mod root;
mod seccomp;
mod supervisor;

use crate::policy::{Layout, Policy, Profile};
use crate::status::{send, Holding, Word};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

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

/// Reads the policy from a descriptor and acts on it. Never returns: it becomes the plugin, or its supervisor, or ends.
pub fn main(policy: RawFd) -> ! {
    // SAFETY: the bus passed this descriptor to this process for this purpose; nothing else here knows it.
    let file = unsafe { File::from_raw_fd(policy) };
    let Ok(policy) = read(file) else { exit(REFUSED) };
    // SAFETY: as above; the policy names the socket that the bus opened for it.
    let status = unsafe { OwnedFd::from_raw_fd(policy.status) };
    let refusal = launch(&policy, &status);
    let word = Word::Failed {
        sandbox: refusal.sandbox,
        message: refusal.message,
    };
    // A bus that is gone needs no report.
    let _ = send(&status, &word, None);
    exit(REFUSED)
}

fn read(mut file: File) -> io::Result<Policy> {
    use std::io::Seek;
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Ends this process without any clean-up of Rust's.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Starts the plugin; comes back only when that was not possible.
fn launch(policy: &Policy, status: &OwnedFd) -> Refusal {
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
    if confinement.profile <= Profile::Limits {
        let (guarantees, missing) = promise::of(confinement, Holding::None, "");
        return plugin::run_here(policy, status, &program, Holding::None, guarantees, missing);
    }
    let reason = match confinement.layout {
        Layout::Floor => "not wanted".to_string(),
        Layout::Auto | Layout::Namespaces => match namespaces::start(policy, status, &program) {
            Ok(never) => match never {},
            Err(namespaces::Obstacle::Program(refusal)) => return refusal,
            Err(namespaces::Obstacle::Machine(reason)) => reason,
        },
    };
    if confinement.profile == Profile::Strict || confinement.layout == Layout::Namespaces {
        return Refusal::of_sandbox(format!(
            "strict needs namespaces of its own, and they cannot be had: {reason}"
        ));
    }
    if let Err(refusal) = promise::floor_holds(confinement) {
        return refusal;
    }
    let (guarantees, missing) = promise::of(confinement, Holding::Floor, &reason);
    plugin::run_here(policy, status, &program, Holding::Floor, guarantees, missing)
}
