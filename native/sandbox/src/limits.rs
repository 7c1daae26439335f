//! The resource limits that a plan may name, and this process's own peak memory.

/// A limit that `setrlimit` knows, by the name that a plan uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Address space, bytes. Breaks runtimes that reserve far more than they use; prefer `Data`.
    As,
    /// Core dump size, bytes.
    Core,
    /// CPU time, seconds.
    Cpu,
    /// Data segment and private writable mappings, bytes.
    Data,
    /// Size of a written file, bytes.
    Fsize,
    /// Locked memory, bytes.
    Memlock,
    /// Highest file descriptor plus one.
    Nofile,
    /// Processes of the user (not enforced for root).
    Nproc,
    /// Stack, bytes.
    Stack,
}

/// Every limit with its name, in the order of the plan's schema.
pub const NAMES: [(&str, Limit); 9] = [
    ("as", Limit::As),
    ("core", Limit::Core),
    ("cpu", Limit::Cpu),
    ("data", Limit::Data),
    ("fsize", Limit::Fsize),
    ("memlock", Limit::Memlock),
    ("nofile", Limit::Nofile),
    ("nproc", Limit::Nproc),
    ("stack", Limit::Stack),
];

impl Limit {
    /// The limit of that name, if there is one.
    pub fn by_name(name: &str) -> Option<Limit> {
        NAMES.iter().find(|(n, _)| *n == name).map(|(_, limit)| *limit)
    }

    /// The name that plans use.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, limit)| *limit == self)
            .map_or("?", |(name, _)| name)
    }

    pub(crate) fn resource(self) -> libc::__rlimit_resource_t {
        match self {
            Limit::As => libc::RLIMIT_AS,
            Limit::Core => libc::RLIMIT_CORE,
            Limit::Cpu => libc::RLIMIT_CPU,
            Limit::Data => libc::RLIMIT_DATA,
            Limit::Fsize => libc::RLIMIT_FSIZE,
            Limit::Memlock => libc::RLIMIT_MEMLOCK,
            Limit::Nofile => libc::RLIMIT_NOFILE,
            Limit::Nproc => libc::RLIMIT_NPROC,
            Limit::Stack => libc::RLIMIT_STACK,
        }
    }
}

/// This process's peak resident memory in KiB. `getrusage` would count what ran here before `exec` as well.
pub fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (name, limit) in NAMES {
            assert_eq!(Limit::by_name(name), Some(limit));
            assert_eq!(limit.name(), name);
        }
        assert_eq!(Limit::by_name("niceness"), None);
    }

    #[test]
    fn peak_memory_is_known() {
        assert!(peak_rss_kb() > 100);
    }
}
