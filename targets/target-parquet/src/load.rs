//! What comes: rows into open files, by stream, version and folder; commits.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use singer_plugin::files::{Files, Upload};
use singer_plugin::name::safe;
use singer_plugin::reader::End;
use singer_plugin::settings::Config;
use singer_plugin::sink::{self, Declared, Opened, Sink, Slice};
use singer_plugin::{Load, PluginError, Result, Stored};

use crate::manifest::Entry;
use crate::partition::{split, By};
use crate::settings::Settings;
use crate::shape::Shape;
use crate::store::{self, Store};
use crate::writer::Open;

/// Memory of all open files together (I10): beyond it the largest one's row group ends.
const MEMORY: usize = 64 << 20;
/// Files open at once: a plan may allow as few as 1024 of everything.
const OPEN: usize = 128;
/// Uploads to an object store that wait for their commit: each holds memory. Beyond it the first one ends.
const UNFINISHED: usize = 8;
/// Rows of a batch of a file that a BATCH names.
const ROWS: usize = 16_384;

/// Load everything that comes.
pub fn load(load: Load) -> Result<End> {
    let settings = Settings::of(&load.config)?;
    let store = Store::open(Files::of(&load.config), &settings.folder, &load.job)?;
    let pace = settings.pace;
    let mut tables = Tables::new(settings, store);
    let ended = sink::run(load, pace, &mut tables);
    tables.close();
    ended
}

/// The STATE value stored for a job, if the data it speaks of is still there.
pub fn bookmark(config: &Config, job: &str) -> Result<Stored> {
    let settings = Settings::of(config)?;
    store::bookmark(&Files::of(config), &settings.folder, job)
}

/// Which file a row goes into.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    stream: String,
    version: Option<i64>,
    /// The folder, and a slash.
    folder: String,
}

struct Stream {
    folder: String,
    shape: Shape,
    by: Vec<By>,
    /// The last ACTIVATE_VERSION that is not committed yet.
    active: Option<i64>,
}

/// All streams.
struct Tables {
    settings: Settings,
    store: Store,
    streams: HashMap<String, Stream>,
    open: HashMap<Place, Open>,
    /// Files that are whole and not committed yet; with their upload where its end would show them.
    whole: Vec<(Entry, Option<Upload>)>,
    memory: usize,
    ticks: u64,
}

impl Tables {
    fn new(settings: Settings, store: Store) -> Self {
        Tables {
            settings,
            store,
            streams: HashMap::new(),
            open: HashMap::new(),
            whole: Vec::new(),
            memory: 0,
            ticks: 0,
        }
    }

    /// What is not committed goes away with its files.
    fn close(self) {
        drop(self.open);
        for (entry, _) in self.whole.iter().filter(|(_, upload)| upload.is_none()) {
            // What cannot be removed now is removed by the next start.
            let _ = self.store.discard(entry);
        }
        self.store.close();
    }

    fn end_file(&mut self, place: &Place) -> Result<()> {
        let Some(open) = self.open.remove(place) else {
            return Ok(());
        };
        self.memory -= open.memory;
        let (entry, upload) = open.close()?;
        // Nobody sees a new file here, and its descriptor is free then.
        let upload = match self.settings.folder.local() {
            Some(_) => upload.finish().map(|()| None)?,
            None => Some(upload),
        };
        self.whole.push((entry, upload));
        if self.whole.iter().filter(|(_, upload)| upload.is_some()).count() > UNFINISHED {
            let first = self.whole.iter_mut().find_map(|(_, upload)| upload.take());
            first.map_or(Ok(()), Upload::finish)?;
        }
        Ok(())
    }

    fn end_files(&mut self, which: impl Fn(&Place) -> bool) -> Result<()> {
        let mut places: Vec<_> = self.open.keys().filter(|place| which(place)).cloned().collect();
        places.sort_by_key(|place| self.open.get(place).map_or(0, |open| open.used));
        places.iter().try_for_each(|place| self.end_file(place))
    }

    fn write(&mut self, place: Place, batch: &RecordBatch) -> Result<()> {
        self.ticks += 1;
        if !self.open.contains_key(&place) {
            if self.open.len() >= OPEN {
                let oldest = self
                    .open
                    .iter()
                    .min_by_key(|(_, open)| open.used)
                    .map(|(place, _)| place.clone());
                oldest.map_or(Ok(()), |place| self.end_file(&place))?;
            }
            let (path, upload) = self.store.create(place.folder.trim_end_matches('/'))?;
            let entry = Entry {
                path,
                stream: place.stream.clone(),
                version: place.version,
                rows: 0,
                bytes: 0,
            };
            let open = Open::start(&self.settings, entry, upload, &batch.schema())?;
            self.open.insert(place.clone(), open);
        }
        if let Some(open) = self.open.get_mut(&place) {
            let before = open.memory;
            open.used = self.ticks;
            let written = open.write(batch);
            self.memory = self.memory + open.memory - before;
            written?;
            if open.size() >= self.settings.file_bytes {
                self.end_file(&place)?;
            }
        }
        while self.memory > MEMORY {
            let Some(open) = self.open.values_mut().max_by_key(|open| open.memory) else {
                break;
            };
            let before = open.memory;
            open.flush()?;
            self.memory = self.memory + open.memory - before;
            if open.memory >= before {
                break;
            }
        }
        Ok(())
    }
}

/// I9: which stream, and what about it.
fn refused(stream: &str, what: &dyn std::fmt::Display) -> PluginError {
    PluginError::data("data.rejected", format!("stream {stream:?}: {what}"))
}

impl Sink for Tables {
    fn declare(&mut self, declared: &Declared) -> Result<()> {
        let name = &declared.stream;
        if !self.streams.contains_key(name) {
            let mut folder = safe(name.as_bytes());
            if let Some(rest) = folder.strip_prefix('_') {
                // Readers of tables leave out what begins with an underscore.
                folder = format!("%5F{rest}");
            }
            let stream = Stream {
                folder,
                shape: Shape::default(),
                by: self.settings.partition_by(name),
                active: None,
            };
            self.streams.insert(name.clone(), stream);
        }
        let Some(stream) = self.streams.get_mut(name) else {
            return Ok(());
        };
        let changed = stream.shape.declare(&declared.schema);
        for by in &stream.by {
            by.check(stream.shape.schema()).map_err(|what| {
                PluginError::config(
                    "config.invalid",
                    format!("target-parquet: partition_by: stream {name:?}: {what}"),
                )
                .hint("as an object, partition_by takes columns for each stream")
            })?;
        }
        match changed {
            true => self.end_files(|place| place.stream == *name),
            false => Ok(()),
        }
    }

    fn load(&mut self, slice: &Slice<'_>) -> Result<()> {
        let name = slice.stream;
        let unknown = || refused(name, &"its rows came before its SCHEMA");
        let stream = self.streams.get_mut(name).ok_or_else(unknown)?;
        let (batch, changed) = stream.shape.fit(slice.batch).map_err(|e| refused(name, &e))?;
        if batch.num_columns() == 0 && batch.num_rows() > 0 {
            return Err(refused(
                name,
                &"a record has no value, and its SCHEMA no property: there is no row",
            ));
        }
        let parts = split(&batch, &stream.by).map_err(|e| refused(name, &e))?;
        let folder = stream.folder.clone();
        if changed {
            self.end_files(|place| place.stream == name)?;
        }
        for (part, rows) in parts {
            let place = Place {
                stream: name.into(),
                version: slice.version,
                folder: format!("{folder}/{part}"),
            };
            self.write(place, &rows)?;
        }
        Ok(())
    }

    fn activate(&mut self, stream: &str, version: i64) -> Result<()> {
        // Rows without a version were never versioned and stay.
        let old = |found: Option<i64>| found.is_some_and(|found| found != version);
        self.open.retain(|place, open| {
            let stays = place.stream != stream || !old(place.version);
            if !stays {
                self.memory -= open.memory;
            }
            stays
        });
        let whole = std::mem::take(&mut self.whole);
        let is_gone = |whole: &(Entry, Option<Upload>)| whole.0.stream == stream && old(whole.0.version);
        let (gone, stay): (Vec<_>, Vec<_>) = whole.into_iter().partition(is_gone);
        self.whole = stay;
        for (entry, _) in gone.iter().filter(|(_, upload)| upload.is_none()) {
            self.store.discard(entry)?;
        }
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.active = Some(version);
        }
        Ok(())
    }

    fn commit(&mut self, state: Option<&[u8]>, _last: bool) -> Result<()> {
        self.end_files(|_| true)?;
        let added = std::mem::take(&mut self.whole);
        let replaced: Vec<String> = match self.settings.overwrite {
            true => added.iter().map(|(entry, _)| entry.stream.clone()).collect(),
            false => Vec::new(),
        };
        let streams = &self.streams;
        let drops = |entry: &Entry| {
            let active = streams.get(&entry.stream).and_then(|stream| stream.active);
            let old = matches!((active, entry.version), (Some(active), Some(found)) if active != found);
            old || replaced.contains(&entry.stream)
        };
        self.store.commit(added, drops, state)?;
        self.streams.values_mut().for_each(|stream| stream.active = None);
        Ok(())
    }

    fn open(&mut self, format: &str, path: &Path) -> Result<Option<Opened>> {
        if format != "parquet" {
            return Ok(None);
        }
        let name = path.display().to_string();
        let told = move |what: &dyn std::fmt::Display| {
            PluginError::data(
                "data.bad_message",
                format!("the BATCH file {name} cannot be read: {what}"),
            )
        };
        let file = File::open(path).map_err(|e| told(&e))?;
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.with_batch_size(ROWS).build());
        let reader = reader.map_err(|e| told(&e))?;
        Ok(Some(Box::new(reader.map(move |batch| batch.map_err(|e| told(&e))))))
    }
}
