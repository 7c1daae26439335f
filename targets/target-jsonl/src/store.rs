//! The files: buffered writing, and the commit that makes them and the sidecar agree.
//!
//! A file's life: its bytes gather in a buffer, go to the file, and count when a commit covers them. A file that did not
//! exist, or is overwritten, is written in a folder of new files and moved into place by its first commit, which is told
//! in the sidecar first: a crash in between is finished by the next start.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use singer_plugin::{PluginError, Result};

use crate::name::safe;
use crate::sidecar::{foreign, sync_folder, Job, Sidecar};

/// One stream's buffer is written when it holds this much.
const BUFFER: usize = 128 * 1024;
/// All streams' buffers together (I10).
const ALL_BUFFERS: usize = 32 * 1024 * 1024;
/// Files open at once: a plan may allow as few as 1024 of everything.
const OPEN: usize = 256;

#[derive(Debug)]
struct Sink {
    name: String,
    /// In the folder of new files.
    fresh: bool,
    file: Option<File>,
    buffer: Vec<u8>,
    /// Bytes so far, the buffer's included.
    length: u64,
    /// Bytes up to the last STATE.
    marked: u64,
    /// Bytes that are committed.
    committed: u64,
    unsynced: bool,
}

/// Everything one run writes.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    new: PathBuf,
    sidecar: Sidecar,
    job: Job,
    overwrite: bool,
    sinks: Vec<Sink>,
    by_stream: HashMap<Vec<u8>, usize>,
    open: usize,
    gathered: usize,
}

impl Store {
    /// Open a folder for a job and bring its files to what is committed.
    pub fn open(folder: &Path, job_name: &str, overwrite: bool) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| PluginError::io("cannot make", folder, &e))?;
        let sidecar = Sidecar::open(folder, job_name)?;
        let job = sidecar.mine()?;
        let new = folder.join(format!(".dativo-new-{}", safe(job_name.as_bytes())));
        // A run that was cut off goes on where it was committed: overwriting now would lose what it wrote.
        let goes_on = !job.complete && !job.files.is_empty();
        if overwrite && goes_on {
            eprintln!("note: the last run of this job was interrupted: its files are continued, not overwritten");
        }
        let mut store = Store {
            folder: folder.into(),
            new,
            sidecar,
            job,
            overwrite: overwrite && !goes_on,
            sinks: Vec::new(),
            by_stream: HashMap::new(),
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

    /// Move committed new files into place. What is already there was moved before a crash.
    fn finish_swaps(&mut self) -> Result<()> {
        if self.job.swaps.is_empty() {
            return Ok(());
        }
        for name in &self.job.swaps {
            let from = self.new.join(name);
            if from.exists() {
                fs::rename(&from, self.folder.join(name)).map_err(|e| PluginError::io("cannot move", &from, &e))?;
            }
        }
        sync_folder(&self.folder)?;
        self.job.swaps.clear();
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

    /// Add one record to its stream's file, byte for byte (I3).
    pub fn append(&mut self, stream: &[u8], record: &[u8]) -> Result<()> {
        let at = match self.by_stream.get(stream) {
            Some(at) => *at,
            None => self.add(stream)?,
        };
        let sink = &mut self.sinks[at];
        sink.buffer.extend_from_slice(record);
        sink.buffer.push(b'\n');
        sink.length += record.len() as u64 + 1;
        self.gathered += record.len() + 1;
        if sink.buffer.len() >= BUFFER {
            self.write(at)?;
        }
        if self.gathered >= ALL_BUFFERS {
            (0..self.sinks.len()).try_for_each(|at| self.write(at))?;
        }
        Ok(())
    }

    fn add(&mut self, stream: &[u8]) -> Result<usize> {
        let name = format!("{}.jsonl", safe(stream));
        if let Some(other) = self.sidecar.owner(&name)? {
            return Err(foreign(&name, &other));
        }
        let path = self.folder.join(&name);
        let known = self.job.files.get(&name).copied();
        let fresh = self.overwrite || !path.exists();
        let length = match (fresh, known) {
            (true, _) => 0,
            (false, Some(committed)) => committed,
            (false, None) => self.adopt(&name, &path)?,
        };
        if fresh {
            fs::create_dir_all(&self.new).map_err(|e| PluginError::io("cannot make", &self.new, &e))?;
        }
        let (buffer, committed) = (Vec::new(), length);
        self.sinks.push(Sink {
            name,
            fresh,
            file: None,
            buffer,
            length,
            marked: length,
            committed,
            unsynced: false,
        });
        self.by_stream.insert(stream.into(), self.sinks.len() - 1);
        Ok(self.sinks.len() - 1)
    }

    /// A file that nobody committed: what is in it now stays, and is written down before anything is added to it.
    fn adopt(&mut self, name: &str, path: &Path) -> Result<u64> {
        let bytes = fs::read(path).map_err(|e| PluginError::io("cannot read", path, &e))?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            let message = format!(
                "{} does not end in a newline, so nothing can be added to it",
                path.display()
            );
            return Err(
                PluginError::config("config.invalid", message).hint("mend it, move it away, or set mode: overwrite")
            );
        }
        self.job.files.insert(name.into(), bytes.len() as u64);
        self.sidecar.write(&self.job)?;
        Ok(bytes.len() as u64)
    }

    fn path(&self, sink: &Sink) -> PathBuf {
        if sink.fresh {
            self.new.join(&sink.name)
        } else {
            self.folder.join(&sink.name)
        }
    }

    /// Write a sink's buffer to its file.
    fn write(&mut self, at: usize) -> Result<()> {
        if self.sinks[at].buffer.is_empty() {
            return Ok(());
        }
        let path = self.path(&self.sinks[at]);
        let failed = |e: std::io::Error| PluginError::io("cannot write", &path, &e);
        if self.sinks[at].file.is_none() {
            if self.open >= OPEN {
                self.close_all()?;
            }
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .map_err(failed)?;
            self.sinks[at].file = Some(file);
            self.open += 1;
        }
        let sink = &mut self.sinks[at];
        sink.unsynced = true;
        let written = sink.file.as_mut().map_or(Ok(()), |file| file.write_all(&sink.buffer));
        self.gathered -= sink.buffer.len();
        sink.buffer.clear();
        if self.gathered > ALL_BUFFERS / 2 {
            sink.buffer.shrink_to(0);
        }
        written.map_err(failed)
    }

    fn sync(&mut self, at: usize) -> Result<()> {
        self.write(at)?;
        let path = self.path(&self.sinks[at]);
        let sink = &mut self.sinks[at];
        if !sink.unsynced {
            return Ok(());
        }
        let file = match &sink.file {
            Some(file) => file.sync_data(),
            None => File::open(&path).and_then(|file| file.sync_data()),
        };
        file.map_err(|e| PluginError::io("cannot sync", &path, &e))?;
        sink.unsynced = false;
        Ok(())
    }

    fn close_all(&mut self) -> Result<()> {
        for at in 0..self.sinks.len() {
            if self.sinks[at].file.is_some() {
                self.sync(at)?;
                self.sinks[at].file = None;
            }
        }
        self.open = 0;
        Ok(())
    }

    /// A STATE stands here: everything before it belongs to it.
    pub fn mark(&mut self) {
        for sink in &mut self.sinks {
            sink.marked = sink.length;
        }
    }

    /// Make everything up to the last mark durable, together with the STATE value that stood there.
    ///
    /// I1: data first, then the sidecar; only when this returns may the STATE be printed.
    pub fn commit(&mut self, value: Option<&[u8]>, complete: bool) -> Result<()> {
        for at in 0..self.sinks.len() {
            if self.sinks[at].marked > self.sinks[at].committed {
                self.sync(at)?;
            }
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
        for sink in self.sinks.iter().filter(|sink| sink.marked > sink.committed) {
            next.files.insert(sink.name.clone(), sink.marked);
            if sink.fresh {
                next.swaps.push(sink.name.clone());
            }
        }
        self.sidecar.write(&next)?;
        self.job = next;
        for sink in self.sinks.iter_mut().filter(|sink| sink.marked > sink.committed) {
            sink.committed = sink.marked;
            sink.fresh = false; // the open file moves with its name
        }
        self.finish_swaps()
    }

    /// Take back what no commit covers, as far as that can be done now; the next start does the rest.
    pub fn take_back(&mut self) {
        for at in 0..self.sinks.len() {
            let path = self.path(&self.sinks[at]);
            let sink = &self.sinks[at];
            if sink.fresh {
                let _ = fs::remove_file(&path);
            } else if sink.length > sink.committed {
                let _ = OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_len(sink.committed));
            }
        }
        let _ = fs::remove_dir(&self.new);
    }

    /// The run is over and all is committed.
    pub fn end(self) {
        let _ = fs::remove_dir(&self.new);
    }
}
