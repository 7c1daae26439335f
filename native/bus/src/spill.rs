//! The spill: every line for the last receiver since its last bookmark, so that one that dies can be started again
//! without reading the source again.
//!
//! A log of bytes with three marks, all of them offsets in what the receiver reads: `confirmed` <= `cursor` <= end. Lines
//! are appended at the end, delivered from the cursor, and forgotten once a bookmark covers them. They lie in segments of
//! whole lines, the newest in memory, older ones on a [`Shelf`], each with a checksum that is looked at when it comes
//! back. What is delivered already is kept only as far as the bounds allow: beyond them the interval is given up, and a
//! receiver that dies then cannot be started again in place. What is not delivered is never given up: then the spill is
//! full, and nothing more is read (I10).

use crate::shelf::{Place, Segment, Shelf};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64 as checksum;

/// A segment is sealed at about this size; a longer line has one of its own.
const SEGMENT: usize = 1 << 20;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes in memory, a segment more or less.
    pub memory: usize,
    /// Bytes on the shelf.
    pub disk: u64,
    /// How long delivered lines wait for their bookmark.
    pub age: Duration,
}

/// The log. A shelf that fails is used no more: memory is all there is then.
pub struct Spill {
    bounds: Bounds,
    shelf: Option<Box<dyn Shelf>>,
    segments: VecDeque<Segment>,
    tail: Vec<u8>,
    tail_start: u64,
    spare: Option<Vec<u8>>,
    in_memory: usize,
    on_shelf: u64,
    confirmed: u64,
    cursor: u64,
    /// From here on everything is still there.
    kept_from: u64,
    /// Delivered lines are not kept until the next bookmark.
    given_up: bool,
    /// The shelved segment that the cursor is in.
    window: Option<(u64, Vec<u8>)>,
    broken: Option<String>,
}

impl std::fmt::Debug for Spill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spill({}..{}..{})", self.confirmed, self.cursor, self.end())
    }
}

impl Spill {
    /// An empty log.
    pub fn new(bounds: Bounds, shelf: Option<Box<dyn Shelf>>) -> Spill {
        Spill {
            bounds,
            shelf,
            segments: VecDeque::new(),
            tail: Vec::new(),
            tail_start: 0,
            spare: None,
            in_memory: 0,
            on_shelf: 0,
            confirmed: 0,
            cursor: 0,
            kept_from: 0,
            given_up: false,
            window: None,
            broken: None,
        }
    }

    /// Behind the last line.
    pub fn end(&self) -> u64 {
        self.tail_start + self.tail.len() as u64
    }

    /// Up to where it was delivered.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Appends a line; its newline is added.
    pub fn push(&mut self, line: &[u8]) {
        if !self.tail.is_empty() && self.tail.len() + line.len() >= SEGMENT {
            self.seal();
        }
        self.tail.extend_from_slice(line);
        self.tail.push(b'\n');
    }

    /// The next bytes to deliver: whole lines from the cursor to the end of its segment.
    pub fn pending(&self) -> &[u8] {
        let at = self.cursor;
        if at >= self.tail_start {
            return &self.tail[(at - self.tail_start) as usize..];
        }
        if let Some((start, bytes)) = &self.window {
            if (*start..*start + bytes.len() as u64).contains(&at) {
                return &bytes[(at - start) as usize..];
            }
        }
        match self.segment(at).map(|index| &self.segments[index]) {
            Some(Segment {
                start,
                place: Place::Memory(bytes),
                ..
            }) => &bytes[(at - start) as usize..],
            _ => &[],
        }
    }

    /// So many of the [`Spill::pending`] bytes were delivered.
    pub fn advance(&mut self, count: usize) {
        self.cursor = (self.cursor + count as u64).min(self.end());
        self.open_window();
        if self.given_up {
            self.kept_from = self.cursor;
            self.drop_to(self.cursor);
        }
    }

    /// Whether a receiver can be given everything from this offset on.
    pub fn covers(&self, offset: u64) -> bool {
        offset >= self.kept_from && offset <= self.end() && self.broken.is_none()
    }

    /// Delivers from an earlier offset again, which must be covered.
    pub fn rewind(&mut self, offset: u64) {
        self.cursor = offset.max(self.kept_from);
        self.window = None;
        self.open_window();
    }

    /// A bookmark covers everything before this offset.
    pub fn confirm(&mut self, offset: u64) {
        self.confirmed = self.confirmed.max(offset);
        if self.given_up {
            self.given_up = false;
            self.kept_from = self.cursor;
        }
        self.kept_from = self.kept_from.max(self.confirmed.min(self.cursor));
        self.drop_to(self.kept_from);
    }

    /// What is before this offset cannot be given again, whatever is kept of it.
    pub fn forget(&mut self, offset: u64) {
        self.kept_from = self.kept_from.max(offset.min(self.cursor));
        self.drop_to(self.kept_from);
    }

    /// Whether it takes no more before something is delivered.
    pub fn full(&self) -> bool {
        let waiting = self.end() - self.cursor;
        let shelf = if self.shelf.is_some() { self.bounds.disk } else { 0 };
        waiting >= self.bounds.memory as u64 + shelf
    }

    /// What has gone wrong with what was kept; then nothing more can be delivered.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// The first beginning of a line that is not before this offset; the end where there is none.
    pub fn line_from(&mut self, offset: u64) -> u64 {
        if offset <= self.kept_from || offset >= self.end() {
            return offset.clamp(self.kept_from, self.end());
        }
        let at = offset - 1; // a line that begins right at the offset has its newline before it
        self.with_bytes(at, |start, bytes| {
            let from = (at - start) as usize;
            let found = memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |n| from + n + 1);
            start + found as u64
        })
        .unwrap_or(offset)
    }

    /// The line that begins at this offset, without its newline.
    pub fn line_at(&mut self, offset: u64) -> Vec<u8> {
        self.with_bytes(offset, |start, bytes| {
            let rest = &bytes[(offset - start) as usize..];
            rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())].to_vec()
        })
        .unwrap_or_default()
    }

    fn with_bytes<T>(&mut self, at: u64, use_bytes: impl FnOnce(u64, &[u8]) -> T) -> Option<T> {
        if at >= self.tail_start {
            return Some(use_bytes(self.tail_start, &self.tail));
        }
        let index = self.segment(at)?;
        let start = self.segments[index].start;
        if let Place::Memory(bytes) = &self.segments[index].place {
            return Some(use_bytes(start, bytes));
        }
        let bytes = self.fetch(index)?;
        Some(use_bytes(start, &bytes))
    }

    fn segment(&self, at: u64) -> Option<usize> {
        let index = self.segments.partition_point(|s| s.end() <= at);
        (index < self.segments.len() && self.segments[index].start <= at).then_some(index)
    }

    fn seal(&mut self) {
        let next = self.spare.take().unwrap_or_default();
        let bytes = std::mem::replace(&mut self.tail, next);
        let length = bytes.len();
        self.segments.push_back(Segment {
            start: self.tail_start,
            length,
            sum: checksum(&bytes),
            sealed: Instant::now(),
            place: Place::Memory(bytes),
        });
        self.tail_start += length as u64;
        self.in_memory += length;
        self.relieve();
    }

    /// Keeps memory, shelf and age within their bounds.
    fn relieve(&mut self) {
        let aged = |s: &Segment| s.sealed.elapsed() > self.bounds.age;
        if self.segments.front().is_some_and(aged) {
            self.give_up();
        }
        while self.in_memory > self.bounds.memory {
            let cursor = self.cursor;
            let movable = |s: &Segment| matches!(s.place, Place::Memory(_)) && !(s.start..s.end()).contains(&cursor);
            let Some(index) = self.segments.iter().position(movable) else {
                return;
            };
            let delivered = self.segments[index].end() <= cursor;
            if !self.shelve(index) {
                if !delivered {
                    return; // full: see `Spill::full`
                }
                self.give_up();
            }
        }
    }

    /// Moves a segment from memory to the shelf. `false`: there is no room for it.
    fn shelve(&mut self, index: usize) -> bool {
        let segment = &mut self.segments[index];
        let (Some(shelf), Place::Memory(bytes)) = (&mut self.shelf, &mut segment.place) else {
            return false;
        };
        if self.on_shelf + segment.length as u64 > self.bounds.disk {
            return false;
        }
        match shelf.put(bytes) {
            Ok(ticket) => {
                let mut bytes = std::mem::take(bytes);
                segment.place = Place::Shelf(ticket);
                self.in_memory -= segment.length;
                self.on_shelf += segment.length as u64;
                bytes.clear();
                self.spare = (bytes.capacity() <= SEGMENT * 2).then_some(bytes);
                true
            }
            Err(_) => false, // a full disk: what is delivered need not be kept
        }
    }

    /// Forgets what is delivered: until the next bookmark a receiver cannot be started again in place.
    fn give_up(&mut self) {
        self.given_up = true;
        self.kept_from = self.cursor;
        self.drop_to(self.cursor);
    }

    fn drop_to(&mut self, offset: u64) {
        while self.segments.front().is_some_and(|s| s.end() <= offset) {
            let Some(segment) = self.segments.pop_front() else {
                return;
            };
            match segment.place {
                Place::Memory(mut bytes) => {
                    self.in_memory -= segment.length;
                    bytes.clear();
                    self.spare = (bytes.capacity() <= SEGMENT * 2).then_some(bytes);
                }
                Place::Shelf(ticket) => {
                    self.on_shelf -= segment.length as u64;
                    if let Some(shelf) = &mut self.shelf {
                        shelf.free(ticket);
                    }
                }
            }
        }
    }

    /// Brings back the shelved segment that the cursor is in.
    fn open_window(&mut self) {
        let at = self.cursor;
        if at >= self.tail_start || self.broken.is_some() {
            self.window = None;
            return;
        }
        if let Some((start, bytes)) = &self.window {
            if (*start..*start + bytes.len() as u64).contains(&at) {
                return;
            }
        }
        self.window = None;
        let Some(index) = self.segment(at) else { return };
        if matches!(self.segments[index].place, Place::Shelf(_)) {
            let start = self.segments[index].start;
            self.window = self.fetch(index).map(|bytes| (start, bytes));
        }
    }

    fn fetch(&mut self, index: usize) -> Option<Vec<u8>> {
        let segment = &self.segments[index];
        let (Place::Shelf(ticket), Some(shelf)) = (&segment.place, &mut self.shelf) else {
            return None;
        };
        match shelf.get(*ticket, segment.length) {
            Ok(bytes) if checksum(&bytes) == segment.sum => Some(bytes),
            Ok(_) => {
                self.broken = Some("its checksum is wrong".into());
                None
            }
            Err(e) => {
                self.broken = Some(e.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::io;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Board(Rc<RefCell<BTreeMap<u64, Vec<u8>>>>);

    impl Shelf for Board {
        fn put(&mut self, bytes: &[u8]) -> io::Result<u64> {
            let mut all = self.0.borrow_mut();
            let ticket = all.keys().last().map_or(0, |n| n + 1);
            all.insert(ticket, bytes.to_vec());
            Ok(ticket)
        }

        fn get(&mut self, ticket: u64, _: usize) -> io::Result<Vec<u8>> {
            self.0
                .borrow()
                .get(&ticket)
                .cloned()
                .ok_or(io::ErrorKind::NotFound.into())
        }

        fn free(&mut self, ticket: u64) {
            self.0.borrow_mut().remove(&ticket);
        }
    }

    fn line(number: u64) -> Vec<u8> {
        format!("{number:>9}{}", "x".repeat(990)).into_bytes()
    }

    fn spill(memory: usize, disk: u64) -> (Spill, Board) {
        let board = Board::default();
        let age = Duration::from_secs(3600);
        let bounds = Bounds { memory, disk, age };
        (Spill::new(bounds, Some(Box::new(board.clone()))), board)
    }

    fn deliver(spill: &mut Spill, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !spill.pending().is_empty() && out.len() < most {
            let count = spill.pending().len().min(77_777);
            out.extend_from_slice(&spill.pending()[..count]);
            spill.advance(count);
        }
        out
    }

    #[test]
    fn what_was_delivered_comes_again_from_memory_and_shelf() {
        let (mut spill, board) = spill(2 << 20, 1 << 30);
        let mut all = Vec::new();
        for number in 0..9_000 {
            spill.push(&line(number));
            all.extend_from_slice(&line(number));
            all.push(b'\n');
            if number % 100 == 0 {
                deliver(&mut spill, usize::MAX);
            }
        }
        assert!(board.0.borrow().len() >= 6);
        assert!(spill.in_memory <= 3 << 20);
        deliver(&mut spill, usize::MAX);
        for from in [0, 1000, 5_000_000, 8_999_000] {
            assert!(spill.covers(from));
            spill.rewind(from);
            assert!(deliver(&mut spill, usize::MAX) == all[from as usize..], "{from}");
        }
        assert_eq!(spill.line_from(5_000_000), 5_000_000);
        assert_eq!(spill.line_from(5_000_001), 5_001_000);
        assert_eq!(spill.line_at(5_000_000), line(5_000));
        spill.confirm(8_000_000);
        assert!(!spill.covers(7_999_999) && spill.covers(8_000_000));
        assert!(board.0.borrow().len() <= 1);
    }

    #[test]
    fn a_backlog_is_bounded_and_never_given_up() {
        let (mut spill, _) = spill(1 << 20, 4 << 20);
        let mut pushed = 0;
        while !spill.full() {
            spill.push(&line(pushed));
            pushed += 1;
        }
        assert!((4_500..6_000).contains(&pushed), "{pushed}");
        assert!(spill.covers(0));
        assert_eq!(deliver(&mut spill, usize::MAX).len() as u64, pushed * 1000);
    }

    #[test]
    fn a_long_interval_is_given_up_and_the_next_is_kept_again() {
        let (mut spill, board) = spill(1 << 20, 2 << 20);
        for number in 0..9_000 {
            spill.push(&line(number));
            deliver(&mut spill, usize::MAX);
        }
        assert!(!spill.covers(0) && board.0.borrow().is_empty());
        assert!(spill.in_memory <= 2 << 20);
        spill.confirm(8_900_000);
        let kept = spill.cursor();
        spill.push(&line(1));
        deliver(&mut spill, usize::MAX);
        assert!(spill.covers(kept) && !spill.covers(8_900_000));
    }

    #[test]
    fn a_damaged_segment_is_not_delivered() {
        let (mut spill, board) = spill(1 << 20, 1 << 30);
        for number in 0..4_000 {
            spill.push(&line(number));
            deliver(&mut spill, usize::MAX);
        }
        board.0.borrow_mut().values_mut().next().unwrap()[5] ^= 1;
        spill.rewind(0);
        assert!(spill.pending().is_empty());
        assert!(spill.broken().unwrap().contains("checksum"));
    }

    #[test]
    fn too_old_is_given_up() {
        let age = Duration::ZERO;
        let mut spill = Spill::new(
            Bounds {
                memory: 8 << 20,
                disk: 0,
                age,
            },
            None,
        );
        for number in 0..4_000 {
            spill.push(&line(number));
            deliver(&mut spill, usize::MAX);
        }
        assert!(!spill.covers(0) && spill.in_memory <= 2 << 20);
    }
}
