//! A prefix of an object store: each commit adds objects, and a manifest says which objects count.
//!
//! Objects cannot be added to. What comes between two commits goes to new objects, `STREAM/JOB-NUMBER.ENDING`, which become visible
//! when they are whole; they count once `_dativo/JOB.json` names them, together with the STATE they belong to. The manifest is put
//! only over the version that was read, so that a second writer of the job is refused by the service. Objects that no manifest
//! names are left by a run that was cut off, and removed by the next one.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use flate2::Compression;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::part::BUFFER;
use super::store::Manner;
use super::Format;
use crate::error::{PluginError, Result};
use crate::files::{Address, Condition, Files, Upload};
use crate::name::safe;

/// All objects that are being written hold at most about this much (I10); then the largest is closed.
const OPEN: usize = 64 << 20;
/// At the first STATE after this many bytes there is a commit.
const COMMIT: u64 = 64 << 20;
/// Digits of a commit's number in names.
const NUMBER: usize = 8;
/// When the input is quiet, a STATE that has nothing behind it waits no longer for its commit.
const QUIET: Duration = Duration::from_secs(60);

/// What the manifest says of one object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its name below the prefix.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Its columns, if it has some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// What is committed for one job.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// The last STATE value, as it came.
    pub value: Option<Box<RawValue>>,
    /// How many commits there were.
    pub commits: u64,
    /// The objects of each stream, in order.
    pub streams: BTreeMap<String, Vec<Entry>>,
    /// Objects that were replaced and must be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drops: Vec<String>,
    /// The run that wrote last came to its end.
    #[serde(default)]
    pub complete: bool,
    /// That run's name, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Manifest {
    /// Of a job, with its version; none when there is none.
    pub fn read(files: &Files, path: &Address, job: &str) -> Result<Option<(Manifest, String)>> {
        let at = place(path, job);
        let Some((bytes, version)) = files.document(&at)? else {
            return Ok(None);
        };
        let manifest = serde_json::from_slice(&bytes).map_err(|e| {
            PluginError::config(
                "state.invalid",
                format!("{at} is damaged: line {}, column {}", e.line(), e.column()),
            )
            .hint("restore it, or write to another prefix")
        })?;
        Ok(Some((manifest, version)))
    }
}

fn place(path: &Address, job: &str) -> Address {
    path.join(&format!("_dativo/{}.json", safe(job.as_bytes())))
}

#[derive(Debug)]
enum Sink {
    Plain(Upload),
    Gzip(Box<GzEncoder<Upload>>),
}

/// An object that is being written.
#[derive(Debug)]
struct Open {
    entry: Entry,
    sink: Option<Sink>,
    buffer: Vec<u8>,
    bytes: usize,
}

#[derive(Debug)]
struct Target {
    stream: Vec<u8>,
    stem: String,
    columns: Vec<String>,
    /// Its objects of other runs are to be replaced.
    replaces: bool,
    open: Option<Open>,
    /// Objects that are whole and wait for the commit.
    whole: Vec<Entry>,
}

/// Everything one run writes.
#[derive(Debug)]
pub struct Bucket {
    files: Files,
    path: Address,
    job: String,
    manifest: Manifest,
    version: Option<String>,
    manner: Manner,
    targets: Vec<Target>,
    by_stream: HashMap<Vec<u8>, usize>,
    last: usize,
    /// Bytes since the last commit, and objects in this one.
    bytes: u64,
    objects: u64,
    open: usize,
    /// Records came since the last STATE.
    behind: bool,
    since: Instant,
}

impl Bucket {
    /// Open a prefix for a job and remove what no manifest names.
    pub fn open(files: Files, path: Address, job: &str, manner: Manner) -> Result<Self> {
        let (manifest, version) = match Manifest::read(&files, &path, job)? {
            Some((manifest, version)) => (manifest, Some(version)),
            None => (Manifest::default(), None),
        };
        let goes_on = !manifest.complete && !manifest.streams.is_empty();
        if manner.overwrite && goes_on {
            eprintln!("note: the last run of this job was interrupted: its objects are continued, not overwritten");
        }
        let mut bucket = Bucket {
            files,
            path,
            job: job.into(),
            manifest,
            version,
            manner: Manner {
                overwrite: manner.overwrite && !goes_on,
                ..manner
            },
            targets: Vec::new(),
            by_stream: HashMap::new(),
            last: usize::MAX,
            bytes: 0,
            objects: 0,
            open: 0,
            behind: false,
            since: Instant::now(),
        };
        bucket.tidy()?;
        Ok(bucket)
    }

    /// Remove objects of this job that do not count.
    fn tidy(&mut self) -> Result<()> {
        for name in &self.manifest.drops {
            self.files.delete(&self.path.join(name))?;
        }
        let mine = format!("/{}-", safe(self.job.as_bytes()));
        let root = self.path.to_string();
        let known: Vec<&str> = self
            .manifest
            .streams
            .values()
            .flatten()
            .map(|e| e.name.as_str())
            .collect();
        for found in self.files.list(&self.path)? {
            let full = found.address.to_string();
            let name = full[root.len().min(full.len())..].trim_start_matches('/');
            let number = name
                .split_once(&mine)
                .and_then(|(_, rest)| rest.get(..NUMBER)?.parse::<u64>().ok());
            if number.is_some_and(|n| n > self.manifest.commits) && !known.contains(&name) {
                self.files.delete(&found.address)?;
            }
        }
        Ok(())
    }

    /// Add one record to its stream's object.
    pub fn append(&mut self, format: &mut impl Format, stream: &[u8], record: &[u8]) -> Result<()> {
        let same = self
            .targets
            .get(self.last)
            .is_some_and(|target| target.stream == stream);
        let at = match (same, self.by_stream.get(stream)) {
            (true, _) => self.last,
            (false, Some(at)) => *at,
            (false, None) => self.add(format, stream)?,
        };
        self.last = at;
        self.behind = true;
        loop {
            if self.targets[at].open.is_none() {
                self.begin(format, at)?;
            }
            let Some(open) = self.targets[at].open.as_mut() else {
                continue;
            };
            if format.write(at, record, &mut open.buffer)? {
                open.entry.rows += 1;
                break;
            }
            self.close(at)?;
            self.targets[at].columns = format.open(at, stream, &self.targets[at].columns)?;
        }
        if self.targets[at]
            .open
            .as_ref()
            .is_some_and(|open| open.buffer.len() >= BUFFER)
        {
            self.write(at)?;
        }
        Ok(())
    }

    fn add(&mut self, format: &mut impl Format, stream: &[u8]) -> Result<usize> {
        let at = self.targets.len();
        let stem = safe(stream);
        let held = match self.manner.overwrite {
            true => None,
            false => self.manifest.streams.get(&stem).and_then(|all| all.last()),
        };
        let columns = format.open(at, stream, held.map_or(&[], |entry| entry.columns.as_slice()))?;
        self.targets.push(Target {
            stream: stream.into(),
            stem,
            columns,
            replaces: self.manner.overwrite,
            open: None,
            whole: Vec::new(),
        });
        self.by_stream.insert(stream.into(), at);
        Ok(at)
    }

    fn begin(&mut self, format: &impl Format, at: usize) -> Result<()> {
        self.objects += 1;
        let target = &mut self.targets[at];
        let zip = if self.manner.gzip { ".gz" } else { "" };
        let (job, number) = (safe(self.job.as_bytes()), self.manifest.commits + 1);
        let name = format!(
            "{}/{job}-{number:0NUMBER$}-{}{}{zip}",
            target.stem,
            self.objects,
            format.ending()
        );
        let mut buffer = Vec::new();
        format.head(&target.columns, &mut buffer);
        target.open = Some(Open {
            entry: Entry {
                name,
                rows: 0,
                columns: target.columns.clone(),
            },
            sink: None,
            buffer,
            bytes: 0,
        });
        Ok(())
    }

    fn write(&mut self, at: usize) -> Result<()> {
        let Some(open) = self.targets[at].open.as_mut() else {
            return Ok(());
        };
        let address = self.path.join(&open.entry.name);
        let sink = match &mut open.sink {
            Some(sink) => sink,
            none => {
                let upload = self.files.create(&address)?;
                none.insert(match self.manner.gzip {
                    false => Sink::Plain(upload),
                    true => Sink::Gzip(Box::new(GzEncoder::new(upload, Compression::default()))),
                })
            }
        };
        let written = match sink {
            Sink::Plain(upload) => upload.write_all(&open.buffer),
            Sink::Gzip(encoder) => encoder.write_all(&open.buffer),
        };
        written.map_err(|e| crate::files::read::explain(&address, &e))?;
        open.bytes += open.buffer.len();
        self.bytes += open.buffer.len() as u64;
        self.open += open.buffer.len();
        open.buffer.clear();
        // An upload holds back a few parts: of many streams that is too much.
        if self.open > OPEN && self.targets.iter().filter(|t| t.open.is_some()).count() > 2 {
            let size = |t: &Target| t.open.as_ref().map_or(0, |open| open.bytes);
            if let Some(largest) = (0..self.targets.len()).max_by_key(|at| size(&self.targets[*at])) {
                self.close(largest)?;
            }
        }
        Ok(())
    }

    /// An object is whole; one without rows never was.
    fn close(&mut self, at: usize) -> Result<()> {
        if self.targets[at].open.as_ref().is_some_and(|open| open.entry.rows > 0) {
            self.write(at)?;
        }
        let Some(open) = self.targets[at].open.take() else {
            return Ok(());
        };
        self.open = self.open.saturating_sub(open.bytes);
        let address = self.path.join(&open.entry.name);
        match open.sink {
            None => return Ok(()),
            Some(Sink::Plain(upload)) => upload.finish()?,
            Some(Sink::Gzip(encoder)) => encoder
                .finish()
                .map_err(|e| crate::files::read::explain(&address, &e))?
                .finish()?,
        }
        self.targets[at].whole.push(open.entry);
        Ok(())
    }

    /// A STATE stands here.
    pub fn mark(&mut self) {
        self.behind = false;
    }

    /// The STATE that stands here is to be committed now.
    pub fn is_due(&self, quiet: bool) -> bool {
        !self.behind && (self.bytes >= COMMIT || (quiet && self.since.elapsed() >= QUIET))
    }

    /// No record came since the last STATE.
    pub fn is_marked(&self) -> bool {
        !self.behind
    }

    /// Make everything so far count, together with the STATE value that stands here.
    ///
    /// I1: objects first, then the manifest; only when this returns may the STATE be printed.
    pub fn commit(&mut self, value: Option<&[u8]>, complete: bool) -> Result<()> {
        (0..self.targets.len()).try_for_each(|at| self.close(at))?;
        let mut next = self.manifest.clone();
        if let Some(value) = value {
            next.value = serde_json::from_slice::<Box<RawValue>>(value).ok();
        }
        next.complete = complete;
        next.run = std::env::var("DATIVO_RUN").ok().or(next.run);
        next.commits += 1;
        next.drops.clear();
        for target in self.targets.iter_mut().filter(|target| !target.whole.is_empty()) {
            let all = next.streams.entry(target.stem.clone()).or_default();
            // The stream's first objects of this run take the place of those before.
            if std::mem::take(&mut target.replaces) {
                next.drops.extend(all.drain(..).map(|entry| entry.name));
            }
            all.append(&mut target.whole);
        }
        let bytes = serde_json::to_vec(&next).map_err(|e| PluginError::data("data.bad_message", e.to_string()))?;
        let at = place(&self.path, &self.job);
        let condition = self.version.as_deref().map_or(Condition::New, Condition::Same);
        self.version = match self.files.put(&at, &bytes, condition)? {
            Some(version) => Some(version),
            // It was put, and the answer was lost; or somebody else's is there.
            None => match self.files.document(&at)? {
                Some((there, version)) if there == bytes => Some(version),
                _ => return Err(busy(&self.job, &self.path)),
            },
        };
        self.manifest = next;
        for name in &self.manifest.drops {
            self.files.delete(&self.path.join(name))?;
        }
        (self.bytes, self.objects, self.since) = (0, 0, Instant::now());
        Ok(())
    }
}

fn busy(job: &str, path: &Address) -> PluginError {
    PluginError {
        code: "job.busy",
        message: format!("another target has written the job {job:?} into {path} meanwhile"),
        hint: Some("wait for it to end, then run it again: it goes on at the bookmark".into()),
        exit: 5,
    }
}
