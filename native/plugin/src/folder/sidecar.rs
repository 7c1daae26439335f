//! `.dativo-state.json`: what is committed, per job. Replaced as a whole: written beside, synced, renamed, folder synced.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{flock, FlockOperation};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{PluginError, Result};
pub use crate::files::write::sync_folder;
use crate::name::safe;

const FILE: &str = ".dativo-state.json";

/// What is committed for one job.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Job {
    /// The last STATE value, as it came.
    pub value: Option<Box<RawValue>>,
    /// Committed bytes of each file.
    pub files: BTreeMap<String, u64>,
    /// Files that are committed in the folder of new files and must be moved into place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub swaps: Vec<String>,
    /// Columns of the files that have some.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, Vec<String>>,
    /// Files that were overwritten by fewer ones and must be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drops: Vec<String>,
    /// The run that wrote last came to its end.
    #[serde(default)]
    pub complete: bool,
    /// That run's name, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// All jobs of a folder.
pub type Jobs = BTreeMap<String, Job>;

/// The sidecar of one folder, for one job.
#[derive(Debug)]
pub struct Sidecar {
    folder: PathBuf,
    job: String,
    _running: File,
}

impl Sidecar {
    /// Take the job's lock in this folder. It is gone when this process is.
    pub fn open(folder: &Path, job: &str) -> Result<Self> {
        let path = folder.join(format!(".dativo-{}.lock", safe(job.as_bytes())));
        let running = lock_file(&path)?;
        if flock(&running, FlockOperation::NonBlockingLockExclusive).is_err() {
            let message = format!("another target writes the job {job:?} into {}", folder.display());
            return Err(PluginError {
                code: "job.busy",
                message,
                hint: Some("wait for it to end".into()),
                exit: 5,
            });
        }
        Ok(Sidecar {
            folder: folder.into(),
            job: job.into(),
            _running: running,
        })
    }

    /// What all jobs have committed.
    pub fn read(folder: &Path) -> Result<Jobs> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Jobs::new()),
            Err(e) => return Err(PluginError::io("cannot read", &path, &e)),
        };
        serde_json::from_slice(&bytes).map_err(|e| {
            let message = format!(
                "{} is damaged: line {}, column {}",
                path.display(),
                e.line(),
                e.column()
            );
            PluginError::config("state.invalid", message).hint("restore it, or move the folder away and run in full")
        })
    }

    /// What this job has committed.
    pub fn mine(&self) -> Result<Job> {
        Ok(Sidecar::read(&self.folder)?.remove(&self.job).unwrap_or_default())
    }

    /// The other job that a file belongs to.
    pub fn owner(&self, file: &str) -> Result<Option<String>> {
        let jobs = Sidecar::read(&self.folder)?;
        Ok(jobs
            .into_iter()
            .find(|(name, job)| *name != self.job && job.files.contains_key(file))
            .map(|(name, _)| name))
    }

    /// Replace what this job has committed; other jobs' entries stay. When this returns it is durable (I2).
    pub fn write(&self, mine: &Job) -> Result<()> {
        let lock = lock_file(&self.folder.join(".dativo-state.lock"))?;
        let failed = |path: &Path, e: io::Error| PluginError::io("cannot write", path, &e);
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed(&self.folder, e.into()))?;
        let mut jobs = Sidecar::read(&self.folder)?;
        for file in mine.files.keys() {
            if let Some((other, _)) = jobs
                .iter()
                .find(|(name, job)| **name != self.job && job.files.contains_key(file))
            {
                return Err(foreign(file, other));
            }
        }
        jobs.insert(self.job.clone(), mine.clone());
        let next = self.folder.join(".dativo-state.new");
        let written = File::create(&next).and_then(|mut file| {
            file.write_all(serde_json::to_string(&jobs)?.as_bytes())?;
            file.sync_all()
        });
        if let Err(e) = written {
            let _ = fs::remove_file(&next);
            return Err(failed(&next, e));
        }
        fs::rename(&next, self.folder.join(FILE)).map_err(|e| failed(&next, e))?;
        sync_folder(&self.folder)
    }
}

/// The error of a file that another job owns.
pub fn foreign(file: &str, other: &str) -> PluginError {
    PluginError::config(
        "config.invalid",
        format!("the file {file:?} belongs to the job {other:?}"),
    )
    .hint("give this job a `path` of its own")
}

fn lock_file(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    opened.map_err(|e| PluginError::io("cannot write", path, &e))
}
