//! The run's private directory: made 0700, locked while the bus lives, removed at the end.
//!
//! A bus that is SIGKILLed leaves it behind without its lock; the control plane sweeps such directories (I13).

use dativo_bus_engine::verdict::Failure;
use rustix::fs::{flock, FlockOperation};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// An existing run directory; dropping it removes it.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Makes the directory; its parent must exist, it must not.
    pub fn create(path: &Path) -> Result<RunDir, Failure> {
        DirBuilder::new()
            .mode(0o700)
            .create(path)
            .map_err(|e| failure("make the run directory", path, &e))?;
        let made = lock(path).map(|lock| RunDir {
            path: path.to_path_buf(),
            _lock: lock,
        });
        made.map_err(|e| {
            // The directory is ours and empty but for the lock; the error that counts is the first.
            let _ = std::fs::remove_dir_all(path);
            failure("lock the run directory", path, &e)
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in it.
    pub fn directory(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(failure("make", &path, &e)),
            _ => Ok(path),
        }
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.path).is_err() {
            // A plugin may have left directories that it made unreadable.
            open_up(&self.path);
            // What then still cannot be removed is swept by the next run.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path.join("lock"))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn open_up(directory: &Path) {
    // Best effort, see the caller. Symbolic links are not followed: their type is not a directory's.
    let _ = std::fs::set_permissions(directory, Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// What an I/O error in the run directory means for the run.
fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let reason = if full { "env.disk_full" } else { "env.run_dir" };
    Failure::run(reason, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("dativo-run-dir-{}-{name}", std::process::id()))
    }

    #[test]
    fn private_locked_and_gone_at_the_end() {
        let path = place("a");
        let dir = RunDir::create(&path).unwrap();
        let home = dir.directory("0").unwrap();
        let mode = |p: &Path| p.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&home)), (0o700, 0o700));
        let lock = File::open(path.join("lock")).unwrap();
        assert!(flock(&lock, FlockOperation::NonBlockingLockShared).is_err());
        std::fs::set_permissions(&home, Permissions::from_mode(0o000)).unwrap();
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_is_there_is_left_alone() {
        let path = place("b");
        std::fs::create_dir(&path).unwrap();
        assert_eq!(RunDir::create(&path).unwrap_err().reason, "env.run_dir");
        assert!(path.exists());
        std::fs::remove_dir(&path).unwrap();
        assert_eq!(
            RunDir::create(&path.join("no/parent")).unwrap_err().reason,
            "env.run_dir"
        );
    }

    #[test]
    fn a_full_disk_is_called_that() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(failure("write", Path::new("/x"), &full).reason, "env.disk_full");
    }
}
