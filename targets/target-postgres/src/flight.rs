//! The batches of one stream that one COPY takes, kept until the server has taken them all: only at its end it is known
//! whether a key was there already, or which row was refused.

use arrow_array::RecordBatch;
use singer_plugin::batches::memory;
use singer_plugin::PluginError;

use crate::batch::Batch;
use crate::database::Refused;

/// So many batches, and bytes of them, are kept at most (I10).
const MOST: usize = 8;
const MOST_BYTES: usize = 64 << 20;

/// A batch that was given to a COPY.
#[derive(Debug)]
pub struct Kept {
    /// Its rows.
    pub batch: RecordBatch,
    /// Their version.
    pub version: Option<i64>,
}

/// What one COPY has taken.
#[derive(Debug)]
pub struct Flight {
    columns: Vec<String>,
    /// Whether it is undone alone when a key is there already.
    pub undone_alone: bool,
    kept: Vec<Kept>,
    bytes: usize,
}

impl Flight {
    /// A COPY into these columns.
    pub fn new(columns: Vec<String>, undone_alone: bool) -> Flight {
        Flight {
            columns,
            undone_alone,
            kept: Vec::new(),
            bytes: 0,
        }
    }

    /// Whether rows for these columns can be added.
    pub fn takes(&self, columns: &[String]) -> bool {
        self.columns == columns && self.kept.len() < MOST && self.bytes < MOST_BYTES
    }

    /// Rows are about to be added.
    pub fn keep(&mut self, batch: &RecordBatch, version: Option<i64>) {
        self.bytes += memory(batch);
        self.kept.push(Kept {
            batch: batch.clone(),
            version,
        });
    }

    /// All of them, in their order.
    pub fn into_kept(self) -> Vec<Kept> {
        self.kept
    }

    /// Why it was refused, with the row's name. The server counts rows from the begin of the COPY.
    pub fn error(&self, doing: &str, stream: &str, keys: &[String], refused: Refused) -> PluginError {
        let (mut at, mut refused) = (0, refused);
        if let Refused::Value(Some(row), ..) = &mut refused {
            while at + 1 < self.kept.len() && *row >= self.kept[at].batch.num_rows() {
                *row -= self.kept[at].batch.num_rows();
                at += 1;
            }
        }
        let batch = self.kept.get(at).map(|kept| Batch::of(stream, keys, &kept.batch));
        match batch {
            Some(Ok(batch)) => batch.error(doing, refused),
            Some(Err(error)) => error,
            None => PluginError::data("data.rejected", format!("{doing}: {refused:?}")),
        }
    }
}
