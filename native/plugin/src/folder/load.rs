//! The run: messages in, commits and STATEs out.

use serde_json::value::RawValue;
use serde_json::Value;

use super::bucket::{Bucket, Manifest};
use super::sidecar::Sidecar;
use super::store::{Manner, Store};
use super::Format;
use crate::envelope::Kind;
use crate::error::Result;
use crate::files::{Address, Files};
use crate::reader::{End, Input, Take};
use crate::settings::Config;
use crate::{Load, Stored};

/// A folder, or a prefix of an object store.
enum Place {
    Folder(Box<Store>),
    Bucket(Box<Bucket>),
}

impl Place {
    #[inline]
    fn append(&mut self, format: &mut impl Format, stream: &[u8], record: &[u8]) -> Result<()> {
        match self {
            Place::Folder(store) => store.append(format, stream, record),
            Place::Bucket(bucket) => bucket.append(format, stream, record),
        }
    }

    fn mark(&mut self) {
        match self {
            Place::Folder(store) => store.mark(),
            Place::Bucket(bucket) => bucket.mark(),
        }
    }

    /// Whether the last STATE is to be committed: a folder does when the input is quiet, a bucket when it is worth an object.
    fn is_due(&self, quiet: bool) -> bool {
        match self {
            Place::Folder(_) => quiet,
            Place::Bucket(bucket) => bucket.is_due(quiet),
        }
    }

    /// Whether the last STATE can be committed at all: in objects nothing may stand behind it.
    fn can_commit(&self) -> bool {
        match self {
            Place::Folder(_) => true,
            Place::Bucket(bucket) => bucket.is_marked(),
        }
    }

    fn commit(&mut self, value: Option<&[u8]>, complete: bool) -> Result<()> {
        match self {
            Place::Folder(store) => store.commit(value, complete),
            Place::Bucket(bucket) => bucket.commit(value, complete),
        }
    }
}

struct Run<F> {
    place: Place,
    format: F,
    /// The last STATE that is not committed yet.
    pending: Option<Vec<u8>>,
}

impl<F: Format> Take for Run<F> {
    fn take(&mut self, input: &Input<'_>) -> Result<()> {
        let stream = || input.envelope.stream.map(|s| s.bytes()).unwrap_or_default();
        match input.kind() {
            Kind::Record => self.place.append(&mut self.format, &stream(), input.payload()),
            Kind::Schema => {
                let schema: Value = serde_json::from_slice(input.payload())
                    .map_err(|_| input.error("data.schema", "the schema cannot be read"))?;
                self.format.declare(&stream(), &schema)
            }
            // An empty state is no bookmark: it is neither kept nor printed, and the one before it stays.
            Kind::State if is_empty(input.payload()) => Ok(()),
            Kind::State => {
                self.place.mark();
                self.pending = Some(input.payload().to_vec());
                self.commit_if(false)
            }
            Kind::Batch => Err(input
                .error("data.batch_refused", "this target cannot load BATCH messages")
                .hint("turn batch_config off in the tap")),
            // Files have no versions.
            _ => Ok(()),
        }
    }

    /// All that was read is taken: the last STATE in it is committed, so that many of them cost one commit.
    fn settle(&mut self) -> Result<()> {
        self.commit_if(true)
    }
}

/// `null` or `{}`.
fn is_empty(value: &[u8]) -> bool {
    value == b"null" || value.iter().filter(|b| !b.is_ascii_whitespace()).eq(b"{}")
}

impl<F: Format> Run<F> {
    fn commit_if(&mut self, quiet: bool) -> Result<()> {
        match self.pending.is_some() && self.place.is_due(quiet) {
            true => self.commit(false),
            false => Ok(()),
        }
    }

    /// Commit the last STATE, and say so.
    fn commit(&mut self, complete: bool) -> Result<()> {
        let value = self.pending.take();
        self.place.commit(value.as_deref(), complete)?;
        value.map_or(Ok(()), |value| Load::confirm(&value))
    }

    /// The input is over before its end: what the last STATE covers is kept.
    fn cut_off(&mut self) -> Result<()> {
        match self.pending.is_some() && self.place.can_commit() {
            true => self.commit(false),
            false => Ok(()),
        }
    }

    fn end(&mut self) -> Result<()> {
        if let Place::Folder(_) = self.place {
            self.commit_if(true)?;
        }
        // Records behind the last STATE are committed too: nothing more comes, and the tap sends them again if it must.
        self.place.mark();
        self.commit(true)
    }
}

/// Load everything that comes.
pub fn load(mut load: Load, format: impl Format) -> Result<End> {
    let manner = Manner {
        overwrite: load.config.text("mode") == "overwrite",
        gzip: load.config.get("gzip").and_then(Value::as_bool).unwrap_or(false),
    };
    let place = match Address::parse(load.config.text("path"))? {
        Address::Local(folder) => Place::Folder(Box::new(Store::open(&folder, &load.job, manner)?)),
        path => Place::Bucket(Box::new(Bucket::open(
            Files::of(&load.config),
            path,
            &load.job,
            manner,
        )?)),
    };
    let mut run = Run {
        place,
        format,
        pending: None,
    };
    let ended = load.reader.each(&mut run);
    let junk: Vec<_> = load
        .reader
        .junk()
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if !junk.is_empty() {
        eprintln!("warning: lines that are no messages were left out: {}", junk.join(", "));
    }
    let result = match ended {
        Ok(End::Eof) => run.end().map(|()| End::Eof),
        Ok(signal) => run.cut_off().map(|()| signal),
        // What was good up to the last STATE stays good; the first error is the one to tell.
        Err(error) => match error.code {
            "env.disk_full" | "env.read_only" | "env.storage" | "job.busy" | "pipe.closed" => Err(error),
            _ => run.cut_off().and(Err(error)),
        },
    };
    match (run.place, &result) {
        (Place::Folder(store), Ok(End::Eof)) => store.end(),
        (Place::Folder(mut store), _) => store.take_back(),
        // Uploads that are not finished are taken back as they are dropped.
        (Place::Bucket(_), _) => {}
    }
    result
}

/// The STATE value stored for a job, if the data it speaks of is still there.
pub fn bookmark(config: &Config, job: &str) -> Result<Stored> {
    let stored = |value: Option<Box<RawValue>>| value.map(|value| value.get().as_bytes().to_vec());
    let folder = match Address::parse(config.text("path"))? {
        Address::Local(folder) => folder,
        path => {
            let found = Manifest::read(&Files::of(config), &path, job)?;
            return Ok(found.and_then(|(manifest, _)| stored(manifest.value)));
        }
    };
    let Some(found) = Sidecar::read(&folder)?.remove(job) else {
        return Ok(None);
    };
    for (name, committed) in found.files.iter().filter(|(name, _)| !found.swaps.contains(name)) {
        let length = std::fs::metadata(folder.join(name)).map(|m| m.len()).unwrap_or(0);
        if length < *committed {
            eprintln!("warning: {name} has {length} bytes but {committed} were committed: the bookmark is not given");
            return Ok(None);
        }
    }
    Ok(stored(found.value))
}
