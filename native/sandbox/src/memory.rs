//! What /proc says about the memory and the descriptors of one process. Each answer is empty for one that is gone.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;

/// A process with more descriptors than this is not searched for memory files to the end.
const MOST_LINKS: usize = 4096;

/// What /proc/PID/status says of memory, in bytes.
#[derive(Default)]
pub(crate) struct Status {
    pub anonymous: u64,
    pub shared: u64,
    pub swapped: u64,
    /// The first process of a PID namespace.
    pub is_init: bool,
}

impl Status {
    /// All zero for a process that is gone.
    pub(crate) fn of(pid: i32) -> Status {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mut status = Status::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            match name {
                "RssAnon" => status.anonymous = kilobytes(value),
                "RssShmem" => status.shared = kilobytes(value),
                "VmSwap" => status.swapped = kilobytes(value),
                "NSpid" => {
                    let mut numbers = value.split_whitespace();
                    status.is_init = numbers.clone().count() > 1 && numbers.next_back() == Some("1");
                }
                _ => {}
            }
        }
        status
    }
}

fn kilobytes(value: &str) -> u64 {
    value
        .split_whitespace()
        .next()
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// Its share of the pages that it has together with others. None where that cannot be read; 0 for who is gone.
pub(crate) fn proportional(pid: i32) -> Option<u64> {
    let text = match std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => text,
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) || e.kind() == std::io::ErrorKind::NotFound => return Some(0),
        Err(_) => return None,
    };
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map(kilobytes);
    Some(field("Pss_Anon:")? + field("Pss_Shmem:")? + field("SwapPss:").unwrap_or(0))
}

/// Open descriptors of a process; 0 where they cannot be seen.
pub(crate) fn count_files(pid: i32) -> u64 {
    let path = format!("/proc/{pid}/fd");
    // Since Linux 6.2 the directory's size is their number.
    match std::fs::metadata(&path).map_or(0, |m| m.size()) {
        0 => std::fs::read_dir(path).map_or(0, |entries| entries.count() as u64),
        count => count,
    }
}

/// Adds the memory files that a process holds, by inode: many descriptors of one count once.
pub(crate) fn held_memory(pid: i32, held: &mut HashMap<(u64, u64), u64>) {
    let mut visited = HashSet::new();
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    for entry in entries.take(MOST_LINKS) {
        let path = entry.path();
        let Ok(target) = std::fs::read_link(&path) else {
            continue;
        };
        if !target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") {
            continue;
        }
        if let Ok(about) = std::fs::metadata(&path) {
            if visited.insert((about.dev(), about.ino())) {
                held.insert((about.dev(), about.ino()), about.blocks() * 512);
            }
        }
    }
}
