//! The spill's shelf: unlinked files, so that nothing is left of them whatever becomes of the bus.

use dativo_bus_engine::shelf::Shelf;
use rustix::fs::{open, Mode, OFlags};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file takes this much before the next one is begun, and is closed when all in it is freed.
const FILE: u64 = 64 << 20;

struct Part {
    /// The ticket of its first byte.
    start: u64,
    file: File,
    length: u64,
    used: u64,
}

/// Segments in files of a directory.
pub struct Files {
    directory: PathBuf,
    parts: VecDeque<Part>,
    /// Lengths of what is put, by ticket.
    lengths: VecDeque<(u64, u64)>,
}

impl Files {
    /// On this directory's file system; the directory is made, for its owner alone, where there is none.
    pub fn within(directory: &Path) -> io::Result<Files> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(directory)?;
        let files = Files {
            directory: directory.into(),
            parts: VecDeque::new(),
            lengths: VecDeque::new(),
        };
        files.fresh()?; // whether it can be done is known before the first line
        Ok(files)
    }

    fn fresh(&self) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        match open(&self.directory, flags | OFlags::TMPFILE, mode) {
            Ok(fd) => Ok(fd.into()),
            Err(_) => {
                // A file system without nameless files.
                let path = self.directory.join(format!(".spill-{}", std::process::id()));
                let fd = open(&path, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
                std::fs::remove_file(&path)?;
                Ok(fd.into())
            }
        }
    }
}

impl Shelf for Files {
    fn put(&mut self, bytes: &[u8]) -> io::Result<u64> {
        if self.parts.back().is_none_or(|part| part.length >= FILE) {
            let start = self.parts.back().map_or(0, |part| part.start + part.length);
            self.parts.push_back(Part {
                start,
                file: self.fresh()?,
                length: 0,
                used: 0,
            });
        }
        let Some(part) = self.parts.back_mut() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        part.file.write_all_at(bytes, part.length)?;
        let ticket = part.start + part.length;
        part.length += bytes.len() as u64;
        part.used += bytes.len() as u64;
        self.lengths.push_back((ticket, bytes.len() as u64));
        Ok(ticket)
    }

    fn get(&mut self, ticket: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let part = self.parts.iter().rev().find(|part| part.start <= ticket);
        let part = part.ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        part.file.read_exact_at(&mut bytes, ticket - part.start)?;
        Ok(bytes)
    }

    fn free(&mut self, ticket: u64) {
        let Some(at) = self.lengths.iter().position(|(known, _)| *known == ticket) else {
            return;
        };
        let Some((_, length)) = self.lengths.remove(at) else {
            return;
        };
        if let Some(part) = self.parts.iter_mut().rev().find(|part| part.start <= ticket) {
            part.used -= length;
        }
        // The last one is still written to.
        while self.parts.len() > 1 && self.parts.front().is_some_and(|part| part.used == 0) {
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_come_back_and_files_go() {
        let place = std::env::temp_dir().join(format!("dativo-shelf-{}", std::process::id()));
        let mut shelf = Files::within(&place.join("a/b")).unwrap();
        let block = vec![7u8; 20 << 20];
        let tickets: Vec<u64> = (0..8).map(|_| shelf.put(&block).unwrap()).collect();
        assert_eq!(shelf.parts.len(), 2);
        assert!(tickets.iter().all(|t| shelf.get(*t, block.len()).unwrap() == block));
        tickets[..5].iter().for_each(|t| shelf.free(*t));
        assert_eq!(shelf.parts.len(), 1);
        assert!(shelf.get(tickets[7], block.len()).unwrap() == block);
        assert_eq!(std::fs::read_dir(place.join("a/b")).unwrap().count(), 0);
        std::fs::remove_dir_all(place).unwrap();
    }
}
