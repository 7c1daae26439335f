//! The run: messages in, commits and STATEs out.

use std::path::Path;

use serde_json::Value;

use super::sidecar::Sidecar;
use super::store::{Manner, Store};
use super::Format;
use crate::envelope::Kind;
use crate::error::Result;
use crate::reader::{End, Input, Take};
use crate::settings::Config;
use crate::{Load, Stored};

struct Run<F> {
    store: Store,
    format: F,
    /// The last STATE that is not committed yet.
    pending: Option<Vec<u8>>,
}

impl<F: Format> Take for Run<F> {
    fn take(&mut self, input: &Input<'_>) -> Result<()> {
        match input.kind() {
            Kind::Record => {
                let stream = input.envelope.stream.map(|s| s.bytes()).unwrap_or_default();
                self.store.append(&mut self.format, &stream, input.payload())
            }
            Kind::Schema => {
                let stream = input.envelope.stream.map(|s| s.bytes()).unwrap_or_default();
                let schema: Value = serde_json::from_slice(input.payload())
                    .map_err(|_| input.error("data.schema", "the schema cannot be read"))?;
                self.format.declare(&stream, &schema)
            }
            // An empty state is no bookmark: it is neither kept nor printed, and the one before it stays.
            Kind::State if is_empty(input.payload()) => Ok(()),
            Kind::State => {
                self.store.mark();
                self.pending = Some(input.payload().to_vec());
                Ok(())
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
        match self.pending.take() {
            Some(value) => {
                self.store.commit(Some(&value), false)?;
                Load::confirm(&value)
            }
            None => Ok(()),
        }
    }
}

/// `null` or `{}`.
fn is_empty(value: &[u8]) -> bool {
    value == b"null" || value.iter().filter(|b| !b.is_ascii_whitespace()).eq(b"{}")
}

impl<F: Format> Run<F> {
    fn end(&mut self) -> Result<()> {
        self.settle()?;
        // Records behind the last STATE are committed too: nothing more comes, and the tap sends them again if it must.
        self.store.mark();
        self.store.commit(None, true)
    }
}

/// Load everything that comes.
pub fn load(mut load: Load, format: impl Format) -> Result<End> {
    let manner = Manner {
        overwrite: load.config.text("mode") == "overwrite",
        gzip: load.config.get("gzip").and_then(Value::as_bool).unwrap_or(false),
    };
    let store = Store::open(Path::new(load.config.text("path")), &load.job, manner)?;
    let mut run = Run {
        store,
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
        Ok(signal) => run.settle().map(|()| signal),
        // What was good up to the last STATE stays good; the first error is the one to tell.
        Err(error) => match error.code {
            "env.disk_full" | "env.read_only" | "pipe.closed" => Err(error),
            _ => run.settle().and(Err(error)),
        },
    };
    match &result {
        Ok(End::Eof) => run.store.end(),
        _ => run.store.take_back(),
    }
    result
}

/// The STATE value stored for a job, if the data it speaks of is still there.
pub fn bookmark(config: &Config, job: &str) -> Result<Stored> {
    let folder = Path::new(config.text("path"));
    let Some(found) = Sidecar::read(folder)?.remove(job) else {
        return Ok(None);
    };
    for (name, committed) in found.files.iter().filter(|(name, _)| !found.swaps.contains(name)) {
        let length = std::fs::metadata(folder.join(name)).map(|m| m.len()).unwrap_or(0);
        if length < *committed {
            eprintln!("warning: {name} has {length} bytes but {committed} were committed: the bookmark is not given");
            return Ok(None);
        }
    }
    Ok(found.value.map(|value| value.get().as_bytes().to_vec()))
}
