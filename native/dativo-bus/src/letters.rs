//! The dead-letter file: appended to, readable by its owner only, made when there is a first letter.

use dativo_bus_engine::check::rejects::Letterbox;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Letters wait for this many bytes before they are written.
const BUFFER: usize = 64 << 10;
const O_NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// The file of one run.
#[derive(Debug)]
pub struct Letters {
    path: PathBuf,
    file: Option<File>,
    waiting: Vec<u8>,
}

impl Letters {
    /// Nothing is opened yet.
    pub fn new(path: PathBuf) -> Letters {
        Letters {
            path,
            file: None,
            waiting: Vec::new(),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            let options = options.append(true).create(true).mode(0o600).custom_flags(O_NOFOLLOW);
            self.file = Some(options.open(&self.path)?);
            // The name has to last as well as what is in it.
            if let Some(folder) = self.path.parent() {
                File::open(folder)?.sync_all()?;
            }
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let before = file.metadata()?.len();
        let written = file.write_all(&self.waiting);
        self.waiting.clear();
        // The run fails for that; what was written before stays readable.
        written.inspect_err(|_| drop(file.set_len(before)))
    }
}

impl Letterbox for Letters {
    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(lines);
        match self.waiting.len() >= BUFFER {
            true => self.write(),
            false => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }
}
