//! What lies in the run's spool: the files that BATCHes name, from when these are handed on until nobody needs them any more
//! (SPEC.md, section 14).
//!
//! A file is needed until its reader has given the BATCH back, and, where the receiver may be started again, until a bookmark
//! covers it. When that takes more than half of the room, the oldest that were given back go at once: a receiver that dies
//! then cannot be started again in place.

use arrow_array::RecordBatch;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// The folder, as the data plane has it.
pub trait Spool: std::fmt::Debug {
    /// Seals a file that holds these rows; its path and its size.
    fn seal(&mut self, batch: &RecordBatch) -> io::Result<(PathBuf, u64)>;
    /// Whether a file of that path lies in it.
    fn holds(&self, path: &Path) -> bool;
    /// Takes a file away. One that is gone already is none the worse.
    fn remove(&mut self, path: &Path);
    /// Takes away what a tap that died has left and told nobody of.
    fn clear(&mut self, known: &dyn Fn(&Path) -> bool);
}

/// The files of one BATCH.
#[derive(Debug)]
struct Lying {
    /// Behind its line, in what the receiver reads.
    end: u64,
    files: Vec<PathBuf>,
    bytes: u64,
    line: u128,
    given_back: bool,
}

/// The files that lie in the spool and were handed on.
#[derive(Debug)]
pub struct Spooled {
    spool: Box<dyn Spool>,
    room: u64,
    lying: VecDeque<Lying>,
    used: u64,
    laid: u64,
}

impl Spooled {
    /// `room`: bytes that may lie there before nothing more is read.
    pub fn new(spool: Box<dyn Spool>, room: u64) -> Spooled {
        Spooled {
            spool,
            room,
            lying: VecDeque::new(),
            used: 0,
            laid: 0,
        }
    }

    /// The folder.
    pub fn folder(&mut self) -> &mut dyn Spool {
        self.spool.as_mut()
    }

    /// A BATCH is handed on: `end` is behind its line. Files elsewhere than in the spool are somebody else's to take away.
    pub fn lay(&mut self, end: u64, line: &[u8], mut files: Vec<PathBuf>, bytes: u64) {
        files.retain(|file| self.spool.holds(file));
        self.used += bytes;
        self.laid += bytes;
        self.lying.push_back(Lying {
            end,
            files,
            bytes,
            line: xxh3_128(line),
            given_back: false,
        });
    }

    /// Bytes of all files that were ever handed on.
    pub fn laid(&self) -> u64 {
        self.laid
    }

    /// Whether no more is to be read for now.
    pub fn full(&self) -> bool {
        self.used >= self.room
    }

    /// Whether a line that the receiver printed gives a BATCH back.
    pub fn give_back(&mut self, line: &[u8]) -> bool {
        let Some(next) = self.lying.iter_mut().find(|one| !one.given_back) else {
            return false;
        };
        let same = next.line == xxh3_128(line);
        next.given_back |= same;
        same
    }

    /// Takes away what may go: all that was given back, or so much that half of the room is free. Up to where nothing can
    /// be replayed any more.
    pub fn relieve(&mut self, all: bool) -> Option<u64> {
        let mut gone = None;
        while self.lying.front().is_some_and(|one| one.given_back) && (all || self.used > self.room / 2) {
            gone = self.drop_first();
        }
        gone
    }

    /// Whether everything that lies there was given back.
    pub fn all_given_back(&self) -> bool {
        !self.lying.is_empty() && self.lying.iter().all(|one| one.given_back)
    }

    /// A bookmark covers everything before this offset.
    pub fn confirm(&mut self, offset: u64) {
        while self
            .lying
            .front()
            .is_some_and(|one| one.given_back && one.end <= offset)
        {
            self.drop_first();
        }
    }

    /// The receiver starts again and is given what lies behind this offset once more.
    pub fn again(&mut self, from: u64) {
        for one in self.lying.iter_mut().filter(|one| one.end > from) {
            one.given_back = false;
        }
        for one in self.lying.iter_mut().filter(|one| one.end <= from) {
            one.given_back = true;
        }
    }

    /// The tap starts again: what it had sealed and not told of goes.
    pub fn clear(&mut self) {
        let Spooled { spool, lying, .. } = self;
        spool.clear(&|path| lying.iter().any(|one| one.files.iter().any(|file| file == path)));
    }

    fn drop_first(&mut self) -> Option<u64> {
        let one = self.lying.pop_front()?;
        self.used -= one.bytes;
        one.files.iter().for_each(|file| self.spool.remove(file));
        Some(one.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Debug, Default)]
    struct Folder(Rc<RefCell<Vec<String>>>);

    impl Spool for Folder {
        fn seal(&mut self, _: &RecordBatch) -> io::Result<(PathBuf, u64)> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn holds(&self, path: &Path) -> bool {
            path.starts_with("/spool")
        }
        fn remove(&mut self, path: &Path) {
            self.0.borrow_mut().push(path.display().to_string());
        }
        fn clear(&mut self, known: &dyn Fn(&Path) -> bool) {
            let gone = ["/spool/1", "/spool/9"].into_iter().filter(|p| !known(Path::new(p)));
            self.0.borrow_mut().extend(gone.map(String::from));
        }
    }

    fn filled() -> (Spooled, Rc<RefCell<Vec<String>>>) {
        let removed = Rc::default();
        let mut spooled = Spooled::new(Box::new(Folder(Rc::clone(&removed))), 100);
        for n in 1..=3u64 {
            let file = PathBuf::from(format!("/spool/{n}"));
            spooled.lay(n * 10, format!("line {n}").as_bytes(), vec![file], 30);
        }
        (spooled, removed)
    }

    #[test]
    fn files_go_when_they_are_given_back_and_covered() {
        let (mut spooled, removed) = filled();
        assert!(!spooled.give_back(b"line 2") && spooled.give_back(b"line 1") && spooled.give_back(b"line 2"));
        spooled.confirm(30);
        assert_eq!(*removed.borrow(), ["/spool/1", "/spool/2"]);
        assert!(!spooled.all_given_back() && spooled.give_back(b"line 3"));
        spooled.confirm(29);
        assert_eq!(removed.borrow().len(), 2);
    }

    #[test]
    fn a_full_spool_gives_up_the_oldest() {
        let (mut spooled, removed) = filled();
        assert_eq!(spooled.relieve(false), None);
        spooled.lay(40, b"line 4", vec!["/elsewhere/4".into()], 30);
        assert!(spooled.full());
        (1..=4).for_each(|n| assert!(spooled.give_back(format!("line {n}").as_bytes())));
        assert_eq!(spooled.relieve(false), Some(30));
        assert!(!spooled.full());
        assert_eq!(spooled.relieve(true), Some(40));
        assert_eq!(removed.borrow().len(), 3, "what lies elsewhere stays");
    }

    #[test]
    fn a_receiver_that_starts_again_gives_back_again() {
        let (mut spooled, removed) = filled();
        (1..=3).for_each(|n| assert!(spooled.give_back(format!("line {n}").as_bytes())));
        spooled.again(10);
        assert!(spooled.give_back(b"line 2") && !spooled.give_back(b"line 2"));
        spooled.clear();
        assert_eq!(*removed.borrow(), ["/spool/9"]);
    }
}
