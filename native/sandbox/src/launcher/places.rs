//! The places of every machine that a plugin may use whatever it is granted: programs, libraries, certificates, devices.
//!
//! What it needs beyond them (its own environment, an interpreter elsewhere) the control plane grants.

/// Programs and libraries. Some are symbolic links into /usr and stay that.
pub(crate) const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"];

/// Folders and larger files of /etc and /sys that libraries read and that tell nothing about anybody.
pub(crate) const SHARED: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/mime.types",
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/crypto-policies",
    "/etc/alternatives",
    "/sys/devices/system/cpu",
];

/// Small files of the same kind. A plugin with a root of its own gets copies.
pub(crate) const COPIED: &[&str] = &[
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/localtime",
    "/etc/services",
    "/etc/os-release",
];

/// What names are looked up in. A plugin with a root of its own gets its own.
pub(crate) const NAMES: &[&str] = &[
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
];

/// Devices without a secret and without an effect.
pub(crate) const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"];

/// Links of /dev.
pub(crate) const LINKS: &[(&str, &str)] = &[
    // The two are the same since Linux 5.6.
    ("dev/random", "urandom"),
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
];

/// Parts of /proc that any user may read and that speak of others; an empty file stands in their place. What only root
/// may read (kcore, kmsg, timer_list, …) no plugin may.
pub(crate) const MASKED: &[&str] = &["keys", "key-users"];

/// Parts of /proc and /sys that libraries read, for a plugin that has no /proc of its own.
pub(crate) const PROC: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/version",
    "/proc/filesystems",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/random/uuid",
    "/proc/sys/kernel/random/boot_id",
    // Databases look up their share of the memory there, and take a refusal for an error.
    "/sys/fs/cgroup",
];
