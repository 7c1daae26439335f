//! One open file.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use singer_plugin::files::Upload;
use singer_plugin::{PluginError, Result};

use crate::manifest::Entry;
use crate::settings::Settings;

/// A row group ends when its pages take this much memory (I10).
const ROW_GROUP_BYTES: usize = 48 << 20;

/// Where a file's bytes go; the writer of Parquet owns one half, [`Open`] the other.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Out>>);

#[derive(Debug)]
struct Out {
    upload: Option<Upload>,
    bytes: u64,
    /// The first failure, as it was: Parquet's own errors may keep its text alone.
    failed: Option<PluginError>,
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Out) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|out| {
            let Some(upload) = &mut out.upload else {
                return Err(io::ErrorKind::WriteZero.into());
            };
            let written = upload.write(bytes).inspect_err(|e| {
                let carried = e.get_ref().and_then(|inner| inner.downcast_ref::<PluginError>());
                let told = || PluginError::io("cannot write", "a Parquet file".as_ref(), e);
                out.failed = Some(carried.cloned().unwrap_or_else(told));
            })?;
            out.bytes += written as u64;
            Ok(written)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that rows are added to.
pub struct Open {
    entry: Entry,
    writer: ArrowWriter<Shared>,
    out: Shared,
    /// Memory of what is not written yet.
    pub memory: usize,
    /// When it was last used, by the counter of its owner.
    pub used: u64,
}

impl Open {
    /// Begin a file with these columns.
    pub fn start(settings: &Settings, entry: Entry, upload: Upload, schema: &SchemaRef) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_created_by(concat!("target-parquet ", env!("CARGO_PKG_VERSION")).into())
            .set_compression(settings.compression)
            .set_max_row_group_row_count(Some(settings.row_group_rows))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        let out = Shared(Arc::new(Mutex::new(Out {
            upload: Some(upload),
            bytes: 0,
            failed: None,
        })));
        let writer = ArrowWriter::try_new(out.clone(), Arc::clone(schema), Some(properties));
        let writer = writer.map_err(|e| told(&out, &entry, &e))?;
        Ok(Open {
            entry,
            writer,
            out,
            memory: 0,
            used: 0,
        })
    }

    /// Add rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let written = self.writer.write(batch);
        written.map_err(|e| told(&self.out, &self.entry, &e))?;
        self.entry.rows += batch.num_rows() as u64;
        self.memory = self.writer.memory_size();
        Ok(())
    }

    /// How large the file would be if it ended now.
    pub fn size(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// End the row group.
    pub fn flush(&mut self) -> Result<()> {
        let flushed = self.writer.flush();
        self.memory = self.writer.memory_size();
        flushed.map_err(|e| told(&self.out, &self.entry, &e))
    }

    /// End the file.
    pub fn close(mut self) -> Result<(Entry, Upload)> {
        let finished = self.writer.finish();
        finished.map_err(|e| told(&self.out, &self.entry, &e))?;
        let (upload, bytes) = self.out.with(|out| (out.upload.take(), out.bytes));
        self.entry.bytes = bytes;
        let gone = || PluginError::environment("env.output", format!("{} was closed twice", self.entry.path));
        Ok((self.entry.clone(), upload.ok_or_else(gone)?))
    }
}

fn told(out: &Shared, entry: &Entry, error: &ParquetError) -> PluginError {
    let path = &entry.path;
    match out.with(|out| out.failed.take()) {
        Some(mut failed) => {
            failed.message = format!("{path}: {}", failed.message);
            failed
        }
        None => PluginError::data("data.rejected", format!("stream {:?}: {path}: {error}", entry.stream)),
    }
}
