//! One file: its footer, and the rows of its row groups.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::ProjectionMask;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use singer_plugin::files::{read::explain, Address, Files, Found, Ranges};
use singer_plugin::{PluginError, Result};
use xxhash_rust::xxh3::xxh3_64;

/// Most rows of a batch, and most bytes of one, about (I10).
const BATCH_ROWS: u64 = 65_536;
const BATCH_BYTES: u64 = 16 << 20;
/// An object is read in windows: this large, and so many are kept, as the pages of a row group's columns are read in turn.
const WINDOW: usize = 1 << 20;
const WINDOWS: usize = 48;
/// Of a file's end, by which it is known again. The footer names the place and the statistics of every column.
const TAIL: u64 = 4096;

/// Where a file's bytes come from.
#[derive(Clone)]
enum Input {
    Local(Arc<File>),
    Object(Arc<Windows>),
}

struct Windows {
    ranges: Ranges,
    kept: Mutex<Vec<(u64, Bytes)>>,
}

impl Windows {
    fn get(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let within = |from: u64, bytes: &Bytes| from <= start && start + length as u64 <= from + bytes.len() as u64;
        let at = match kept.iter().position(|(from, bytes)| within(*from, bytes)) {
            Some(at) => at,
            None => {
                let rest = self.ranges.size().saturating_sub(start);
                let wanted = (length.max(WINDOW) as u64).min(rest).max(length as u64) as usize;
                let window = self.ranges.read_at(start, wanted)?;
                if kept.len() >= WINDOWS {
                    kept.remove(0);
                }
                kept.push((start, window));
                kept.len() - 1
            }
        };
        let (from, bytes) = &kept[at];
        let offset = (start - from) as usize;
        Ok(bytes.slice(offset..offset + length))
    }
}

/// An object's bytes from a place on.
struct From {
    windows: Arc<Windows>,
    at: u64,
}

impl Read for From {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = self.windows.ranges.size().saturating_sub(self.at);
        let length = (out.len() as u64).min(rest) as usize;
        let bytes = self.windows.get(self.at, length)?;
        out[..length].copy_from_slice(&bytes);
        self.at += length as u64;
        Ok(length)
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Input::Local(file) => file.len(),
            Input::Object(windows) => windows.ranges.size(),
        }
    }
}

impl ChunkReader for Input {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        match self {
            Input::Local(file) => Ok(Box::new(file.get_read(start)?)),
            Input::Object(windows) => Ok(Box::new(From {
                windows: Arc::clone(windows),
                at: start,
            })),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Input::Local(file) => file.get_bytes(start, length),
            Input::Object(windows) => Ok(windows.get(start, length)?),
        }
    }
}

/// An open file.
pub struct Source {
    address: Address,
    input: Input,
    /// Its footer.
    pub metadata: ArrowReaderMetadata,
    /// What it is known by: changes when its content does.
    pub tail: String,
}

impl Source {
    /// Open a file and read its footer.
    pub fn open(files: &Files, found: &Found) -> Result<Self> {
        let input = match &found.address {
            Address::Local(path) => {
                let file = File::open(path).map_err(|e| PluginError::io("cannot read", path, &e))?;
                Input::Local(Arc::new(file))
            }
            Address::Object(_) => Input::Object(Arc::new(Windows {
                ranges: files.ranges(found)?,
                kept: Mutex::default(),
            })),
        };
        let told = |e: &ParquetError| unread(&found.address, e);
        let length = found.size.min(TAIL);
        let tail = input
            .get_bytes(found.size - length, length as usize)
            .map_err(|e| told(&e))?;
        let metadata = ArrowReaderMetadata::load(&input, ArrowReaderOptions::new()).map_err(|e| told(&e))?;
        Ok(Source {
            address: found.address.clone(),
            input,
            metadata,
            tail: format!("{:x}-{:016x}", found.size, xxh3_64(&tail)),
        })
    }

    /// How many row groups there are.
    pub fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// The rows of a row group, of the columns that are wanted.
    pub fn rows(&self, group: usize, wanted: &dyn Fn(&str) -> bool) -> Result<ParquetRecordBatchReader> {
        let fields = self.metadata.schema().fields().iter().enumerate();
        let roots: Vec<_> = fields
            .filter(|(_, field)| wanted(field.name()))
            .map(|(at, _)| at)
            .collect();
        let schema = self.metadata.parquet_schema();
        let about = self.metadata.metadata().row_group(group);
        let columns = about.columns().iter().enumerate();
        let taken = columns.filter(|(at, _)| roots.contains(&schema.get_column_root_idx(*at)));
        // What a dictionary stands for is larger than it, and some writers say how much.
        let sizes = taken.map(|(_, column)| {
            column
                .uncompressed_size()
                .max(column.unencoded_byte_array_data_bytes().unwrap_or(0))
        });
        let bytes: u64 = sizes.map(|size| size.max(0) as u64).sum();
        let row = bytes / (about.num_rows().max(1) as u64) + 1;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.input.clone(), self.metadata.clone())
            .with_projection(ProjectionMask::roots(schema, roots))
            .with_row_groups(vec![group])
            .with_batch_size((BATCH_BYTES / row).clamp(1, BATCH_ROWS) as usize);
        builder.build().map_err(|e| unread(&self.address, &e))
    }

    /// An error about this file's rows.
    pub fn told(&self, error: &ArrowError) -> PluginError {
        match error {
            ArrowError::ExternalError(inner) => match inner.downcast_ref::<ParquetError>() {
                Some(error) => unread(&self.address, error),
                None => unread(&self.address, &ParquetError::General(inner.to_string())),
            },
            other => unread(&self.address, &ParquetError::General(other.to_string())),
        }
    }
}

fn unread(address: &Address, error: &ParquetError) -> PluginError {
    if let ParquetError::External(inner) = error {
        if let Some(failed) = inner.downcast_ref::<io::Error>() {
            return explain(address, failed);
        }
    }
    PluginError::data("data.bad_source", format!("{address} cannot be read: {error}"))
        .hint("take it out of `files`, or write it anew")
}
