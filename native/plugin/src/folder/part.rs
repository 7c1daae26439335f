//! One file that is being written: its buffer, and how far it is marked, written and committed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use flate2::Compression;

use super::Format;

/// One file's buffer is written when it holds this much.
pub const BUFFER: usize = 128 * 1024;
/// All files' buffers together (I10).
pub const ALL_BUFFERS: usize = 32 * 1024 * 1024;

/// One file.
#[derive(Debug)]
pub struct Part {
    /// Its name in the folder.
    pub name: String,
    /// Its columns, if it has some.
    pub columns: Vec<String>,
    /// In the folder of new files.
    pub fresh: bool,
    /// Nothing but what it begins with was added yet.
    pub empty: bool,
    /// Files that are removed when it takes its place.
    pub replaces: Vec<String>,
    /// It is open.
    pub file: Option<File>,
    /// What is to be written.
    pub buffer: Vec<u8>,
    /// How much of the buffer stands before the last STATE.
    ahead: usize,
    /// Bytes in the file.
    pub length: u64,
    /// Bytes in the file that stand before the last STATE, once that part of the buffer is written.
    pub marked: u64,
    /// Bytes that are committed.
    pub committed: u64,
    unsynced: bool,
}

impl Part {
    /// A file of which so much is committed.
    pub fn of(name: String, committed: u64, columns: Vec<String>) -> Self {
        Part {
            name,
            columns,
            fresh: false,
            empty: false,
            replaces: Vec::new(),
            file: None,
            buffer: Vec::new(),
            ahead: 0,
            length: committed,
            marked: committed,
            committed,
            unsynced: false,
        }
    }

    /// Make it a new file with these columns.
    pub fn start(&mut self, format: &impl Format, columns: Vec<String>) {
        (self.fresh, self.empty) = (true, true);
        self.buffer.clear();
        format.head(&columns, &mut self.buffer);
        self.columns = columns;
    }

    /// A STATE stands behind all that was added.
    pub fn mark(&mut self) {
        if self.empty {
            return;
        }
        self.ahead = self.buffer.len();
        if self.ahead == 0 {
            self.marked = self.length;
        }
    }

    /// There is something to commit.
    pub fn waits(&self) -> bool {
        self.marked > self.committed || self.ahead > 0
    }

    /// Write the buffer. Compressed, what stands before the STATE and what stands behind it are members of their own, so that the
    /// file can be cut in between.
    pub fn write(&mut self, path: &Path, gzip: bool) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().create(true).append(true).open(path)?);
        }
        self.unsynced = true;
        let ahead = std::mem::take(&mut self.ahead);
        let buffer = std::mem::take(&mut self.buffer);
        let (before, behind) = buffer.split_at(ahead);
        let written = self.add(before, gzip).and_then(|()| {
            if ahead > 0 {
                self.marked = self.length;
            }
            self.add(behind, gzip)
        });
        self.buffer = buffer;
        self.buffer.clear();
        written
    }

    fn add(&mut self, bytes: &[u8], gzip: bool) -> io::Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| !bytes.is_empty()) else {
            return Ok(());
        };
        if !gzip {
            file.write_all(bytes)?;
            self.length += bytes.len() as u64;
            return Ok(());
        }
        let mut member = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::default());
        member.write_all(bytes)?;
        let member = member.finish()?;
        file.write_all(&member)?;
        self.length += member.len() as u64;
        Ok(())
    }

    /// Make what was written durable.
    pub fn sync(&mut self, path: &Path) -> io::Result<()> {
        if self.unsynced {
            match &self.file {
                Some(file) => file.sync_data()?,
                None => File::open(path)?.sync_data()?,
            }
            self.unsynced = false;
        }
        Ok(())
    }
}
