//! Which profiles can be kept on this machine: a program is started under each.

use super::supervisor;
use crate::policy::{Confinement, Layout, Network, Profile};
use crate::spawn::{spawn, Spec};
use crate::Zygote;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// One profile: whether a program could be started under it.
#[derive(Debug, Serialize)]
pub struct Offer {
    /// It could.
    pub available: bool,
    /// Which layers held it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<&'static str>,
    /// What is not promised although the profile is kept, each with its reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Starts this very program under the profile: what a plugin would get, or why it would not be started.
pub(crate) fn offer(zygote: &Zygote, profile: Profile, layout: Layout) -> Offer {
    match started(zygote, profile, layout) {
        Ok((layout, missing)) => Offer {
            available: true,
            layout: Some(layout),
            missing,
            reason: None,
        },
        Err(reason) => Offer {
            available: false,
            layout: None,
            missing: Vec::new(),
            reason: Some(reason),
        },
    }
}

fn started(zygote: &Zygote, profile: Profile, layout: Layout) -> Result<(&'static str, Vec<String>), String> {
    let text = |e: io::Error| e.to_string();
    let null = File::options().read(true).write(true).open("/dev/null").map_err(text)?;
    let own = std::env::current_exe().map_err(text)?.to_string_lossy().into_owned();
    let scratch = Scratch::new().map_err(text)?;
    let spec = Spec {
        argv: &[own, "--version".into()],
        env: &[],
        cwd: Some(Path::new("/")),
        stdio: [null.as_fd(); 3],
        keep: &[],
        limits: &[],
        files: &[],
        confinement: Confinement {
            profile,
            layout,
            read: Vec::new(),
            write: Vec::new(),
            hide: Vec::new(),
            network: Network::None,
            unix: Vec::new(),
            shm: 1 << 20,
            scratch_size: 1 << 20,
            scratch: scratch.path.clone(),
            nice: 0,
            ionice: None,
            groups: Vec::new(),
            observe: false,
        },
    };
    let process = spawn(zygote, &spec).map_err(|e| e.message)?;
    match supervisor::collect(process.pid.as_raw_nonzero().get()) {
        0 => Ok((process.layout.name(), process.missing)),
        status => Err(format!(
            "a program that was started under it ended with status {status}"
        )),
    }
}

/// An empty directory that is removed again.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> io::Result<Scratch> {
        use std::os::unix::fs::DirBuilderExt;
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for number in 0..100 {
            let path = std::env::temp_dir().join(format!("dativo-probe-{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Scratch { path }),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It holds nothing but empty directories of ours; what cannot be removed is left to whoever cleans /tmp.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
