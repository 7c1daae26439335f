//! The parts of the spill ([`crate::spill`]): segments of whole lines, and the shelf that some of them lie on.

use std::io;
use std::time::Instant;

/// Where segments go that memory has no room for. Freed in the order in which they were put.
pub trait Shelf {
    /// Stores the bytes; a ticket to get them back with.
    fn put(&mut self, bytes: &[u8]) -> io::Result<u64>;
    /// Reads them back.
    fn get(&mut self, ticket: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Forgets them.
    fn free(&mut self, ticket: u64);
}

/// Where a segment is.
#[derive(Debug)]
pub enum Place {
    /// In memory.
    Memory(Vec<u8>),
    /// On the shelf, by its ticket.
    Shelf(u64),
}

/// Some whole lines.
#[derive(Debug)]
pub struct Segment {
    /// The offset of its first byte.
    pub start: u64,
    /// Bytes.
    pub length: usize,
    /// Their checksum.
    pub sum: u64,
    /// When the last of its lines came.
    pub sealed: Instant,
    /// Where they are.
    pub place: Place,
}

impl Segment {
    /// The offset behind its last byte.
    pub fn end(&self) -> u64 {
        self.start + self.length as u64
    }
}
