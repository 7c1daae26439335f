//! The part of a plan that says how a child is confined: profile, grants, bounds of its process tree (I6).

use serde::de::{self, Deserializer};
use serde::Deserialize;
use std::path::{Component, Path, PathBuf};

/// What is promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Nothing but what every child has: its own descriptors, environment and session.
    Off,
    /// Limits, no new privileges, no core dumps.
    Limits,
    /// Fenced, by namespaces where they work, else by Landlock and seccomp.
    #[default]
    Standard,
    /// Fenced by all layers, or not started.
    Strict,
}

impl Profile {
    /// The name in plans and events.
    pub const fn name(self) -> &'static str {
        match self {
            Profile::Off => "off",
            Profile::Limits => "limits",
            Profile::Standard => "standard",
            Profile::Strict => "strict",
        }
    }
}

/// Which layers to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// The best that works here and keeps the profile.
    #[default]
    Auto,
    /// Namespaces or nothing.
    Namespaces,
    /// Landlock and seccomp alone, as where namespaces do not work.
    Floor,
}

/// What a child may reach over the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Nothing.
    #[default]
    None,
    /// All that this machine reaches.
    Any,
    /// These, as `HOST:PORT`.
    Hosts(Vec<String>),
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Network, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape {
            Word(String),
            Hosts(Vec<String>),
        }
        match Shape::deserialize(from)? {
            Shape::Word(word) if word == "none" => Ok(Network::None),
            Shape::Word(word) if word == "any" => Ok(Network::Any),
            Shape::Word(word) => Err(de::Error::unknown_variant(
                &word,
                &["none", "any", "a list of HOST:PORT"],
            )),
            Shape::Hosts(hosts) => Ok(Network::Hosts(hosts)),
        }
    }
}

/// How a child is confined, and what it may reach beyond its own environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// What is promised.
    pub profile: Profile,
    /// Which layers to use.
    pub layout: Layout,
    /// What it may read, with all below.
    pub read: Vec<PathBuf>,
    /// What it may change, with all below.
    pub write: Vec<PathBuf>,
    /// What stays out of reach within those.
    pub hide: Vec<PathBuf>,
    /// Whom it may reach.
    pub network: Network,
    /// Sockets, or directories of sockets.
    pub unix: Vec<PathBuf>,
    /// Bytes of /dev/shm.
    pub shm: u64,
    /// Bytes of /tmp and HOME.
    pub scratch: u64,
    /// Whether what it tries is told in `access` events.
    pub observe: bool,
}

impl Default for Sandbox {
    fn default() -> Self {
        Sandbox {
            profile: Profile::default(),
            layout: Layout::default(),
            read: Vec::new(),
            write: Vec::new(),
            hide: Vec::new(),
            network: Network::default(),
            unix: Vec::new(),
            shm: 64 << 20,
            scratch: 256 << 20,
            observe: false,
        }
    }
}

impl Sandbox {
    /// What cannot be used in it, if anything.
    pub(crate) fn wrong(&self) -> Option<String> {
        let paths = self.read.iter().chain(&self.write).chain(&self.hide).chain(&self.unix);
        for path in paths {
            if !plain(path) {
                return Some(format!("{} is not an absolute path without . and ..", path.display()));
            }
        }
        if let Some(path) = self.write.iter().find(|p| p.parent().is_none()) {
            return Some(format!("{} cannot be written as a whole", path.display()));
        }
        if self.scratch < 64 << 10 {
            return Some("scratch must be at least 64 KiB".into());
        }
        if let Network::Hosts(hosts) = &self.network {
            let wrong = hosts.iter().find(|text| {
                let parts = text.rsplit_once(':');
                parts.is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err() || port == "0")
            });
            return wrong.map(|text| format!("{text:?} is not HOST:PORT"));
        }
        None
    }
}

fn plain(path: &Path) -> bool {
    let inside = |c: Component<'_>| matches!(c, Component::RootDir | Component::Normal(_));
    path.is_absolute() && path.components().all(inside) && !path.as_os_str().as_encoded_bytes().contains(&0)
}

/// Bounds of a child's whole process tree; `None` is none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChildLimits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processes at a time.
    pub processes: Option<u64>,
    /// CPU seconds.
    pub cpu: Option<f64>,
    /// Seconds from start to end.
    pub wall: Option<f64>,
    /// Seconds without a complete line although one could be written.
    pub idle: Option<f64>,
    /// Added to the niceness.
    pub nice: u8,
    /// The I/O class.
    pub ionice: Option<IoClass>,
}

/// An I/O class that a child may be put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IoClass {
    /// Only when nobody else wants the disk.
    Idle,
    /// As everybody, last in line.
    BestEffort,
}

impl ChildLimits {
    pub(crate) fn wrong(&self) -> Option<&'static str> {
        let times = [self.cpu, self.wall, self.idle];
        if times.iter().flatten().any(|s| !(f64::MIN_POSITIVE..=1e9).contains(s)) {
            return Some("cpu, wall and idle are seconds, more than 0");
        }
        match self {
            ChildLimits { memory: Some(m), .. } if *m < 1 << 20 => Some("memory must be at least 1 MiB"),
            ChildLimits { processes: Some(0), .. } => Some("processes must be at least 1"),
            ChildLimits { nice: 20.., .. } => Some("nice is from 0 to 19"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(text: &str) -> Sandbox {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn absent_is_standard_with_nothing_granted() {
        let found = sandbox("{}");
        assert_eq!(
            (found.profile, found.network.clone()),
            (Profile::Standard, Network::None)
        );
        assert!(found.read.is_empty() && found.write.is_empty() && found.wrong().is_none());
    }

    #[test]
    fn the_network_is_a_word_or_a_list() {
        assert_eq!(sandbox(r#"{"network":"any"}"#).network, Network::Any);
        assert!(sandbox(r#"{"network":["db:5432","*.x.y:443","[::1]:1"]}"#)
            .wrong()
            .is_none());
        for text in [
            r#"{"network":["db"]}"#,
            r#"{"network":["db:0"]}"#,
            r#"{"network":[":1"]}"#,
        ] {
            assert!(sandbox(text).wrong().is_some(), "{text}");
        }
        assert!(serde_json::from_str::<Sandbox>(r#"{"network":"all"}"#).is_err());
    }

    #[test]
    fn paths_lead_nowhere_else() {
        for path in ["x", "/a/../b", "/a/./../b"] {
            assert!(
                sandbox(&format!(r#"{{"read":["{path}"]}}"#)).wrong().is_some(),
                "{path}"
            );
        }
        assert!(sandbox(r#"{"write":["/"]}"#).wrong().is_some());
        assert!(sandbox(r#"{"write":["/a/b"]}"#).wrong().is_none());
    }
}
