//! Files, and the commit that makes them count.
//!
//! A new file is written in `_dativo/JOB.new`, where no reader looks. A commit makes the new files durable, then replaces the manifest in
//! one step, then moves the files into place and removes those that it dropped: a crash in between is finished by the next start, and
//! what no manifest names is cleared away. An object store cannot move: there a file has its place from the moment it is
//! finished, which its commit does just before the manifest.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{flock, FlockOperation};
use singer_plugin::files::write::sync_folder;
use singer_plugin::files::{Address, Condition, Files, Upload};
use singer_plugin::name::safe;
use singer_plugin::{PluginError, Result};

use crate::manifest::{Entry, Manifest, FOLDER};

/// Everything that one job has in a folder.
#[derive(Debug)]
pub struct Store {
    files: Files,
    folder: Address,
    manifest: Manifest,
    /// The manifest's version; none before the first.
    version: Option<String>,
    /// The job's lock. It is gone when this process is.
    _running: Option<File>,
}

impl Store {
    /// Open a folder for a job: finish what its last commit began, and clear away what no commit covers.
    pub fn open(files: Files, folder: &Address, job: &str) -> Result<Self> {
        let running = folder.local().map(|path| lock(path, job)).transpose()?;
        let (mut manifest, version) = match Manifest::read(&files, folder, job)? {
            Some((manifest, version)) => (manifest, Some(version)),
            None => (Manifest::default(), None),
        };
        manifest.job = job.into();
        let mut store = Store {
            files,
            folder: folder.clone(),
            manifest,
            version,
            _running: running,
        };
        store.finish()?;
        store.clear()?;
        let run = safe(run_name().as_bytes());
        if store.manifest.run != run {
            (store.manifest.run, store.manifest.next) = (run, 1);
        }
        if folder.local().is_none() {
            // What this run leaves behind when it dies is found by the run's name.
            store.write(&store.manifest.clone())?;
        }
        Ok(store)
    }

    fn new_folder(&self) -> Option<PathBuf> {
        let name = format!("{FOLDER}/{}.new", safe(self.manifest.job.as_bytes()));
        Some(self.folder.local()?.join(name))
    }

    /// Begin a file in a stream's folder.
    pub fn create(&mut self, folder: &str) -> Result<(String, Upload)> {
        let name = format!("part-{}-{}.parquet", self.manifest.run, self.manifest.next);
        self.manifest.next += 1;
        let path = format!("{folder}/{name}");
        let at = match self.new_folder() {
            Some(new) => Address::Local(new.join(name)),
            None => self.folder.join(&path),
        };
        Ok((path, self.files.create(&at)?))
    }

    /// Add files, drop those that are not to stay, and keep the STATE value, all in one step. I1: data first, then the manifest;
    /// only when this returns may the STATE be printed.
    pub fn commit(
        &mut self,
        added: Vec<(Entry, Option<Upload>)>,
        drops: impl Fn(&Entry) -> bool,
        value: Option<&[u8]>,
    ) -> Result<()> {
        let mut next = self.manifest.clone();
        let (dropped, stay): (Vec<_>, Vec<_>) = next.files.into_iter().partition(|entry| drops(entry));
        next.files = stay;
        next.removed = dropped.into_iter().map(|entry| entry.path).collect();
        if let Some(value) = value {
            next.value = serde_json::from_slice(value).ok();
        }
        for (entry, upload) in added {
            upload.map_or(Ok(()), Upload::finish)?;
            if self.folder.local().is_some() {
                next.moves.push(entry.clone());
            }
            next.files.push(entry);
        }
        self.write(&next)?;
        self.manifest = next;
        self.finish()
    }

    /// Take away a finished file that comes to no commit.
    pub fn discard(&self, entry: &Entry) -> Result<()> {
        let at = match self.new_folder() {
            Some(new) => Address::Local(new.join(entry.name())),
            None => self.folder.join(&entry.path),
        };
        self.files.delete(&at)
    }

    fn write(&mut self, manifest: &Manifest) -> Result<()> {
        let at = Manifest::address(&self.folder, &manifest.job);
        let condition = match (self.folder.local(), &self.version) {
            (Some(_), _) => Condition::None, // the lock is held
            (None, Some(version)) => Condition::Same(version),
            (None, None) => Condition::New,
        };
        let bytes = serde_json::to_vec(manifest)
            .map_err(|e| PluginError::data("data.bad_message", format!("the STATE is not JSON: {e}")))?;
        match self.files.put(&at, &bytes, condition)? {
            Some(version) => {
                self.version = Some(version);
                Ok(())
            }
            None => Err(busy(&self.folder, &manifest.job)), // I5
        }
    }

    /// Do what the manifest says is still to be done. What is done already is no error.
    fn finish(&mut self) -> Result<()> {
        if let (Some(root), Some(new)) = (self.folder.local(), self.new_folder()) {
            let mut touched = BTreeSet::new();
            for entry in &self.manifest.moves {
                let (from, to) = (new.join(entry.name()), root.join(&entry.path));
                if !from.exists() {
                    continue;
                }
                let folder = to.parent().unwrap_or(root);
                fs::create_dir_all(folder).map_err(|e| PluginError::io("cannot make", folder, &e))?;
                fs::rename(&from, &to).map_err(|e| PluginError::io("cannot move", &from, &e))?;
                touched.extend(
                    folder
                        .ancestors()
                        .take_while(|p| p.starts_with(root))
                        .map(Path::to_path_buf),
                );
            }
            touched.iter().try_for_each(|folder| sync_folder(folder))?;
        }
        for path in &self.manifest.removed {
            self.files.delete(&self.folder.join(path))?;
        }
        // Not written now: doing it again does no harm.
        self.manifest.moves.clear();
        self.manifest.removed.clear();
        Ok(())
    }

    /// Clear away what a run left that came to no commit.
    fn clear(&mut self) -> Result<()> {
        if let Some(new) = self.new_folder() {
            return match fs::remove_dir_all(&new) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(PluginError::io("cannot remove", &new, &e)),
                _ => Ok(()),
            };
        }
        let left = format!("part-{}-", self.manifest.run);
        if self.manifest.run.is_empty() {
            return Ok(());
        }
        let committed: BTreeSet<String> = self
            .manifest
            .files
            .iter()
            .map(|entry| self.folder.join(&entry.path).to_string())
            .collect();
        for found in self.files.list(&self.folder)? {
            if found.address.name().starts_with(&left) && !committed.contains(&found.address.to_string()) {
                self.files.delete(&found.address)?;
            }
        }
        Ok(())
    }

    /// The run is over: leave no empty folder behind.
    pub fn close(self) {
        if let Some(new) = self.new_folder() {
            let _ = fs::remove_dir(new);
        }
    }
}

/// The STATE value of a job, unless all of its data is gone.
pub fn bookmark(files: &Files, folder: &Address, job: &str) -> Result<Option<Vec<u8>>> {
    let Some((manifest, _)) = Manifest::read(files, folder, job)? else {
        return Ok(None);
    };
    let new = format!("{FOLDER}/{}.new", safe(job.as_bytes()));
    let mut lost = Vec::new();
    for entry in &manifest.files {
        let there = files.look(&folder.join(&entry.path))?.is_some()
            || files.look(&folder.join(&format!("{new}/{}", entry.name())))?.is_some();
        if !there {
            lost.push(&entry.path);
        }
    }
    if let Some(first) = lost.first() {
        let all = lost.len() == manifest.files.len();
        let then = if all { ": the bookmark is not given" } else { "" };
        eprintln!(
            "warning: {} of {} committed files are gone, such as {first}{then}",
            lost.len(),
            manifest.files.len()
        );
        if all {
            return Ok(None);
        }
    }
    Ok(manifest.value.map(|value| value.get().as_bytes().to_vec()))
}

/// The run's name, or one of its own where nobody gave one.
fn run_name() -> String {
    let given = std::env::var("DATIVO_RUN").ok().filter(|run| !run.is_empty());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{:x}-{:x}", now.as_micros(), std::process::id())
    })
}

fn busy(folder: &Address, job: &str) -> PluginError {
    PluginError {
        code: "job.busy",
        message: format!("another target-parquet writes the job {job:?} into {folder}"),
        hint: Some("wait for it to end".into()),
        exit: 5,
    }
}

fn lock(folder: &Path, job: &str) -> Result<File> {
    let own = folder.join(FOLDER);
    fs::create_dir_all(&own).map_err(|e| PluginError::io("cannot make", &own, &e))?;
    let path = own.join(format!("{}.lock", safe(job.as_bytes())));
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(|e| PluginError::io("cannot write", &path, &e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(busy(&Address::Local(folder.into()), job)),
    }
}
