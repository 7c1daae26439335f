//! Which guarantees of SPEC.md, section 12 a layout gives, and what is missing, in words.

use super::{landlock, privileges, Refusal};
use crate::policy::{Confinement, Network, Profile};
use crate::status::Holding;

/// The guarantees that hold, and what is missing. `why` says why there are no namespaces.
pub(crate) fn of(confinement: &Confinement, holding: Holding, why: &str) -> (Vec<String>, Vec<String>) {
    let mut given: Vec<&str> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    if confinement.profile >= Profile::Limits {
        given.extend(["rlimits", "no_new_privs", "no_core"]);
    }
    if confinement.profile >= Profile::Standard {
        given.extend(["files", "processes", "secrets", "ipc", "terminal", "kernel"]);
        match (&confinement.network, holding) {
            (Network::Any, _) => missing.push("network: any is granted, this machine's own services included".into()),
            (Network::Hosts(_), Holding::Floor) => missing.push("network: by port only, any host".into()),
            _ => given.push("network"),
        }
    }
    match holding {
        Holding::None => {}
        Holding::Namespaces => given.extend(["root", "tmp", "scratch", "kill_all"]),
        Holding::Floor => {
            missing.push(format!("root, tmp, kill_all, scratch: no namespaces ({why})"));
            missing.push("files: their existence and size can be seen".into());
            if !confinement.hide.is_empty() {
                missing.push("files: nothing can be hidden inside a granted folder".into());
            }
            if !confinement.unix.is_empty() {
                missing.push("ipc: with one local socket granted, others can be reached".into());
            }
            if privileges::is_root() {
                missing.push("uid: it stays root's, without any capability".into());
            }
            if landlock::version() < 6 {
                missing.push("processes: those of the same user can be signalled".into());
            }
        }
    }
    (given.into_iter().map(String::from).collect(), missing)
}

/// Whether the floor keeps `standard` on this kernel (I7).
pub(crate) fn floor_holds(confinement: &Confinement) -> Result<(), Refusal> {
    match (landlock::version(), &confinement.network) {
        (0, _) => Err(Refusal::of_sandbox(
            "standard needs namespaces or Landlock, and this kernel gives neither",
        )),
        (..4, Network::Hosts(_)) => Err(Refusal::of_sandbox(
            "without namespaces, a list of hosts needs Landlock 4 (Linux 6.7), which this kernel lacks",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Layout;
    use std::path::PathBuf;

    fn confinement(profile: Profile, network: Network) -> Confinement {
        Confinement {
            profile,
            layout: Layout::Auto,
            read: Vec::new(),
            write: Vec::new(),
            hide: Vec::new(),
            network,
            unix: Vec::new(),
            shm: 0,
            scratch_size: 0,
            scratch: PathBuf::from("/x"),
            nice: 0,
            ionice: None,
            groups: Vec::new(),
            observe: false,
        }
    }

    #[test]
    fn more_is_promised_from_profile_to_profile() {
        let given = |profile, holding| of(&confinement(profile, Network::None), holding, "").0.len();
        let off = given(Profile::Off, Holding::None);
        let limits = given(Profile::Limits, Holding::None);
        let floor = given(Profile::Standard, Holding::Floor);
        let strict = given(Profile::Strict, Holding::Namespaces);
        assert!(off == 0 && off < limits && limits < floor && floor < strict);
    }

    #[test]
    fn an_open_network_is_no_guarantee() {
        let (given, missing) = of(&confinement(Profile::Strict, Network::Any), Holding::Namespaces, "");
        assert!(!given.contains(&"network".to_string()) && missing.iter().any(|m| m.starts_with("network: any")));
    }
}
