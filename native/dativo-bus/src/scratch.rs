//! How full a child's scratch space is: a file system of its own, or a directory among others that has to be walked.

use rustix::fs::fstatfs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Less room than this is none: what a failed write leaves over.
const CRUMBS: u64 = 128 << 10;
/// A directory with more entries than this counts as full: nobody needs so many, and walking them takes too long.
const MOST_ENTRIES: usize = 200_000;

/// Whether nothing more fits in, by its own bound of `limit` bytes or because the file system is full.
pub fn full(directory: impl AsFd, limit: u64) -> bool {
    let Ok(about) = fstatfs(&directory) else { return false };
    let block = u64::try_from(about.f_bsize).unwrap_or(4096);
    let room = about.f_bavail.saturating_mul(block);
    room < CRUMBS || about.f_files > 0 && about.f_ffree == 0 || over(directory, limit.saturating_sub(CRUMBS))
}

/// Whether it holds more than `limit` bytes. A file system that is no larger than that sees to it by itself.
pub fn over(directory: impl AsFd, limit: u64) -> bool {
    let Ok(about) = fstatfs(&directory) else { return false };
    let block = u64::try_from(about.f_bsize).unwrap_or(4096);
    if about.f_blocks > 0 && about.f_blocks.saturating_mul(block) <= limit.saturating_add(limit / 8 + CRUMBS) {
        return false;
    }
    used(directory, limit) > limit
}

/// Bytes of all files below, until `enough` was found. Symbolic links are not followed.
fn used(directory: impl AsFd, enough: u64) -> u64 {
    let mut waiting = vec![PathBuf::from(format!(
        "/proc/self/fd/{}",
        directory.as_fd().as_raw_fd()
    ))];
    let (mut total, mut entries) = (0u64, 0);
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            entries += 1;
            if total > enough || entries > MOST_ENTRIES {
                return total.max(enough.saturating_add(1));
            }
            // Gone by now; a DirEntry's metadata is that of a link itself.
            let Ok(about) = entry.metadata() else { continue };
            total += about.blocks() * 512;
            if about.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_directory_among_others_is_walked() {
        let path = std::env::temp_dir().join(format!("dativo-scratch-{}", std::process::id()));
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/one"), vec![b'x'; 600_000]).unwrap();
        std::fs::write(path.join("two"), vec![b'x'; 600_000]).unwrap();
        std::os::unix::fs::symlink("/", path.join("root")).unwrap();
        let fd = File::open(&path).unwrap();
        assert!(over(&fd, 1 << 20) && full(&fd, 1 << 20));
        assert!(!over(&fd, 2 << 20) && !full(&fd, 2 << 20));
        std::fs::remove_dir_all(path).unwrap();
    }
}
