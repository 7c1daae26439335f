//! The files: buffered writing, and the commit that makes them and the sidecar agree.
//!
//! A file's life: its bytes gather in a buffer, go to the file, and count when a commit covers them. A file that did not
//! exist, or is overwritten, is written in a folder of new files and moved into place by its first commit, which is told
//! in the sidecar first: a crash in between is finished by the next start.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::part::{Part, ALL_BUFFERS, BUFFER};
use super::sidecar::{foreign, sync_folder, Job, Sidecar};
use super::Format;
use crate::error::{PluginError, Result};
use crate::name::{part_of, parts, safe};

/// Files open at once: a plan may allow as few as 1024 of everything.
const OPEN: usize = 256;

/// How files are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// New files take the place of those that are there.
    pub overwrite: bool,
    /// They are compressed.
    pub gzip: bool,
}

/// A stream, and the file that its records go to.
#[derive(Debug)]
struct Target {
    stream: Vec<u8>,
    part: usize,
}

/// Everything one run writes.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    new: PathBuf,
    sidecar: Sidecar,
    job: Job,
    manner: Manner,
    targets: Vec<Target>,
    by_stream: HashMap<Vec<u8>, usize>,
    /// The stream of the last record.
    last: usize,
    /// Files of this run, those that a stream has left behind too.
    parts: Vec<Part>,
    open: usize,
    gathered: usize,
}

impl Store {
    /// Open a folder for a job and bring its files to what is committed.
    pub fn open(folder: &Path, job_name: &str, manner: Manner) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| PluginError::io("cannot make", folder, &e))?;
        let sidecar = Sidecar::open(folder, job_name)?;
        let job = sidecar.mine()?;
        let new = folder.join(format!(".dativo-new-{}", safe(job_name.as_bytes())));
        // A run that was cut off goes on where it was committed: overwriting now would lose what it wrote.
        let goes_on = !job.complete && !job.files.is_empty();
        if manner.overwrite && goes_on {
            eprintln!("note: the last run of this job was interrupted: its files are continued, not overwritten");
        }
        let mut store = Store {
            folder: folder.into(),
            new,
            sidecar,
            job,
            manner: Manner {
                overwrite: manner.overwrite && !goes_on,
                ..manner
            },
            targets: Vec::new(),
            by_stream: HashMap::new(),
            last: usize::MAX,
            parts: Vec::new(),
            open: 0,
            gathered: 0,
        };
        store.finish_swaps()?;
        if store.new.exists() {
            fs::remove_dir_all(&store.new).map_err(|e| PluginError::io("cannot remove", &store.new, &e))?;
        }
        store.cut_back()?;
        Ok(store)
    }

    /// Move committed new files into place, and remove those that they replace. What is already there was moved before a crash.
    fn finish_swaps(&mut self) -> Result<()> {
        if self.job.swaps.is_empty() && self.job.drops.is_empty() {
            return Ok(());
        }
        for name in &self.job.swaps {
            let from = self.new.join(name);
            if from.exists() {
                fs::rename(&from, self.folder.join(name)).map_err(|e| PluginError::io("cannot move", &from, &e))?;
            }
        }
        for name in &self.job.drops {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(PluginError::io("cannot remove", &path, &e))
                }
                _ => {}
            }
        }
        sync_folder(&self.folder)?;
        self.job.swaps.clear();
        self.job.drops.clear();
        self.sidecar.write(&self.job)
    }

    /// Cut files back to what is committed: what a killed run left behind it comes again.
    fn cut_back(&mut self) -> Result<()> {
        for (name, committed) in &mut self.job.files {
            let path = self.folder.join(name);
            let length = fs::metadata(&path).map(|m| m.len()).unwrap_or(0);
            if length > *committed {
                let cut = OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .and_then(|f| f.set_len(*committed).and_then(|()| f.sync_all()));
                cut.map_err(|e| PluginError::io("cannot cut back", &path, &e))?;
            } else if length < *committed {
                eprintln!(
                    "warning: {} has {length} bytes but {committed} were committed: something removed data",
                    path.display()
                );
                *committed = length;
            }
        }
        Ok(())
    }

    /// Add one record to its stream's file.
    pub fn append(&mut self, format: &mut impl Format, stream: &[u8], record: &[u8]) -> Result<()> {
        let same = self
            .targets
            .get(self.last)
            .is_some_and(|target| target.stream == stream);
        let target = match same {
            true => self.last,
            false => match self.by_stream.get(stream) {
                Some(target) => *target,
                None => self.add(format, stream)?,
            },
        };
        self.last = target;
        let mut at = self.targets[target].part;
        let mut before = self.parts[at].buffer.len();
        while !format.write(target, record, &mut self.parts[at].buffer)? {
            at = self.next(format, target)?;
            before = self.parts[at].buffer.len();
        }
        let part = &mut self.parts[at];
        part.empty = false;
        self.gathered += part.buffer.len() - before;
        if part.buffer.len() >= BUFFER {
            self.write(at)?;
        }
        if self.gathered >= ALL_BUFFERS {
            (0..self.parts.len()).try_for_each(|at| self.write(at))?;
        }
        Ok(())
    }

    fn ending(&self, format: &impl Format) -> String {
        format!("{}{}", format.ending(), if self.manner.gzip { ".gz" } else { "" })
    }

    /// A stream's first record in this run.
    fn add(&mut self, format: &mut impl Format, stream: &[u8]) -> Result<usize> {
        let (stem, ending) = (safe(stream), self.ending(format));
        let first = part_of(&stem, 1, &ending);
        let newest = parts(self.job.files.keys(), &stem, &ending)
            .last()
            .map(|(_, name)| (*name).clone());
        let name = match self.manner.overwrite {
            true => first.clone(),
            false => newest.unwrap_or(first.clone()),
        };
        for name in [&name, &first] {
            if let Some(other) = self.sidecar.owner(name)? {
                return Err(foreign(name, &other));
            }
        }
        let path = self.folder.join(&name);
        let fresh = self.manner.overwrite || !path.exists();
        let target = self.targets.len();
        let part = match (fresh, self.job.files.get(&name).copied()) {
            (true, _) => None,
            (false, Some(committed)) => Some(committed),
            (false, None) => Some(self.adopt(format, &name, &path)?),
        };
        let held = match part {
            Some(_) => self.job.columns.get(&name).cloned().unwrap_or_default(),
            None => Vec::new(),
        };
        let columns = format.open(target, stream, &held)?;
        self.targets.push(Target {
            stream: stream.into(),
            part: self.parts.len(),
        });
        self.by_stream.insert(stream.into(), target);
        match part {
            Some(committed) if columns == held => self.parts.push(Part::of(name, committed, columns)),
            Some(_) => self.begin(format, target, self.after(&stem, &ending), columns)?,
            None => {
                let old = parts(self.job.files.keys(), &stem, &ending).into_iter();
                let replaces = old.map(|(_, old)| old.clone()).filter(|old| *old != name).collect();
                self.begin(format, target, name, columns)?;
                if self.manner.overwrite {
                    self.parts[self.targets[target].part].replaces = replaces;
                }
            }
        }
        Ok(target)
    }

    /// The name of a stream's next file.
    fn after(&self, stem: &str, ending: &str) -> String {
        let known = self.job.files.keys().chain(self.parts.iter().map(|part| &part.name));
        let last = parts(known, stem, ending).last().map_or(1, |(number, _)| *number);
        part_of(stem, last + 1, ending)
    }

    /// A file of other columns for a stream.
    fn next(&mut self, format: &mut impl Format, target: usize) -> Result<usize> {
        let stream = self.targets[target].stream.clone();
        let at = self.targets[target].part;
        let columns = format.open(target, &stream, &self.parts[at].columns)?;
        if self.parts[at].empty {
            let part = &mut self.parts[at];
            self.gathered -= part.buffer.len();
            part.start(format, columns);
            self.gathered += part.buffer.len();
            return Ok(at);
        }
        let name = self.after(&safe(&stream), &self.ending(format));
        self.begin(format, target, name, columns)?;
        Ok(self.targets[target].part)
    }

    /// A new file.
    fn begin(&mut self, format: &impl Format, target: usize, name: String, columns: Vec<String>) -> Result<()> {
        fs::create_dir_all(&self.new).map_err(|e| PluginError::io("cannot make", &self.new, &e))?;
        let mut part = Part::of(name, 0, Vec::new());
        part.start(format, columns);
        self.gathered += part.buffer.len();
        self.targets[target].part = self.parts.len();
        self.parts.push(part);
        Ok(())
    }

    /// A file that nobody committed: what is in it now stays, and is written down before anything is added to it.
    fn adopt(&mut self, format: &impl Format, name: &str, path: &Path) -> Result<u64> {
        let refused = |why: &str| {
            PluginError::config("config.invalid", format!("{} {why}", path.display()))
                .hint("mend it, move it away, or set mode: overwrite")
        };
        if self.manner.gzip {
            return Err(refused("is not this job's, so nothing can be added to it"));
        }
        let bytes = fs::read(path).map_err(|e| PluginError::io("cannot read", path, &e))?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            return Err(refused("does not end in a newline, so nothing can be added to it"));
        }
        let columns = format.columns(path)?;
        if !columns.is_empty() {
            self.job.columns.insert(name.into(), columns);
        }
        self.job.files.insert(name.into(), bytes.len() as u64);
        self.sidecar.write(&self.job)?;
        Ok(bytes.len() as u64)
    }

    fn path(&self, part: &Part) -> PathBuf {
        if part.fresh {
            self.new.join(&part.name)
        } else {
            self.folder.join(&part.name)
        }
    }

    /// Write a file's buffer.
    fn write(&mut self, at: usize) -> Result<()> {
        if self.parts[at].buffer.is_empty() {
            return Ok(());
        }
        if self.parts[at].file.is_none() {
            if self.open >= OPEN {
                self.close_all()?;
            }
            self.open += 1;
        }
        let path = self.path(&self.parts[at]);
        let part = &mut self.parts[at];
        self.gathered -= part.buffer.len().min(self.gathered);
        let written = part.write(&path, self.manner.gzip);
        if self.gathered > ALL_BUFFERS / 2 {
            part.buffer.shrink_to(0);
        }
        written.map_err(|e| PluginError::io("cannot write", &path, &e))
    }

    fn sync(&mut self, at: usize) -> Result<()> {
        self.write(at)?;
        let path = self.path(&self.parts[at]);
        let synced = self.parts[at].sync(&path);
        synced.map_err(|e| PluginError::io("cannot sync", &path, &e))
    }

    fn close_all(&mut self) -> Result<()> {
        for at in 0..self.parts.len() {
            if self.parts[at].file.is_some() {
                self.sync(at)?;
                self.parts[at].file = None;
            }
        }
        self.open = 0;
        Ok(())
    }

    /// A STATE stands here: everything before it belongs to it.
    pub fn mark(&mut self) {
        self.parts.iter_mut().for_each(Part::mark);
    }

    /// Make everything up to the last mark durable, together with the STATE value that stood there.
    ///
    /// I1: data first, then the sidecar; only when this returns may the STATE be printed.
    pub fn commit(&mut self, value: Option<&[u8]>, complete: bool) -> Result<()> {
        let waiting: Vec<usize> = (0..self.parts.len()).filter(|at| self.parts[*at].waits()).collect();
        for at in &waiting {
            self.sync(*at)?;
        }
        if self.new.exists() {
            sync_folder(&self.new)?;
        }
        let mut next = self.job.clone();
        if let Some(value) = value {
            next.value = serde_json::from_slice::<Box<RawValue>>(value).ok();
        }
        next.complete = complete;
        next.run = std::env::var("DATIVO_RUN").ok().or(next.run);
        for part in waiting.iter().map(|at| &self.parts[*at]) {
            if part.fresh {
                next.swaps.push(part.name.clone());
                for old in part
                    .replaces
                    .iter()
                    .filter(|old| !self.parts.iter().any(|p| p.name == **old))
                {
                    next.files.remove(old);
                    next.columns.remove(old);
                    next.drops.push(old.clone());
                }
            }
            next.files.insert(part.name.clone(), part.marked);
            match part.columns.is_empty() {
                true => next.columns.remove(&part.name),
                false => next.columns.insert(part.name.clone(), part.columns.clone()),
            };
        }
        self.sidecar.write(&next)?;
        self.job = next;
        for at in waiting {
            let part = &mut self.parts[at];
            part.committed = part.marked;
            part.fresh = false; // the open file moves with its name
        }
        self.finish_swaps()
    }

    /// Take back what no commit covers, as far as that can be done now; the next start does the rest.
    pub fn take_back(&mut self) {
        for part in &self.parts {
            let path = self.path(part);
            if part.fresh {
                let _ = fs::remove_file(&path);
            } else if part.length > part.committed {
                let _ = OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_len(part.committed));
            }
        }
        let _ = fs::remove_dir(&self.new);
    }

    /// The run is over and all is committed.
    pub fn end(self) {
        let _ = fs::remove_dir(&self.new);
    }
}
