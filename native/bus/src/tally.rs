//! The books of one edge: how many records, and an order-independent hash of them.
//!
//! They are kept twice: where a line is accepted from its writer, and, from the bytes alone, where they are handed to the
//! last receiver. A bookmark is told only when both agree on everything before its STATE (SPEC.md, section 6).

use std::collections::VecDeque;
use xxhash_rust::xxh3::{xxh3_128, Xxh3};

/// A count and the sum of hashes, modulo 2^128: the same for the same records in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub records: u64,
    /// The sum of their hashes.
    pub hash: u128,
}

impl Sum {
    /// With one more.
    pub fn add(&mut self, hash: u128) {
        self.records += 1;
        self.hash = self.hash.wrapping_add(hash);
    }

    /// With all of the other.
    pub fn plus(&mut self, other: Sum) {
        self.records += other.records;
        self.hash = self.hash.wrapping_add(other.hash);
    }

    /// Without those of the other.
    pub fn minus(self, other: Sum) -> Sum {
        Sum {
            records: self.records - other.records,
            hash: self.hash.wrapping_sub(other.hash),
        }
    }
}

/// What a line is for the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record.
    Record,
    /// A BATCH: its rows, and what they are in the books.
    Batch(Sum),
    /// A STATE.
    State,
    /// Anything else.
    Other,
}

/// The books at the receiver's edge: made from the bytes that it was given.
#[derive(Default)]
pub struct Tally {
    /// What was accepted and not handed over in full, in order.
    expected: VecDeque<Entry>,
    /// Of all streams.
    total: Sum,
    partial: Option<Box<Xxh3>>,
    /// Everything before this offset is in the books.
    upto: u64,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tally({:?} up to {})", self.total, self.upto)
    }
}

impl Tally {
    /// A line was accepted.
    pub fn expect(&mut self, entry: Entry) {
        self.expected.push_back(entry);
    }

    /// These bytes were handed over, from this offset on; each STATE among them is told with the sum before it. What was
    /// handed over before counts once.
    pub fn handed(&mut self, from: u64, bytes: &[u8], mut state: impl FnMut(Sum)) {
        let known = self.upto.saturating_sub(from).min(bytes.len() as u64) as usize;
        let mut rest = &bytes[known..];
        self.upto = self.upto.max(from + bytes.len() as u64);
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let line = &rest[..at];
            rest = &rest[at + 1..];
            let hash = match self.partial.take() {
                None => xxh3_128(line),
                Some(mut hasher) => {
                    hasher.update(line);
                    hasher.digest128()
                }
            };
            match self.expected.pop_front() {
                Some(Entry::Record) => self.total.add(hash),
                Some(Entry::Batch(sum)) => self.total.plus(sum),
                Some(Entry::State) => state(self.total),
                Some(Entry::Other) | None => {}
            }
        }
        if !rest.is_empty() {
            self.partial.get_or_insert_with(|| Box::new(Xxh3::new())).update(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(lines: &[&str]) -> Sum {
        let mut sum = Sum::default();
        lines.iter().for_each(|line| sum.add(xxh3_128(line.as_bytes())));
        sum
    }

    #[test]
    fn the_books_are_the_same_however_the_bytes_are_cut() {
        let text = b"{\"r\":1}\n{\"s\":0}\n{\"r\":22}\n{\"x\":0}\n{\"s\":1}\n";
        for size in 1..text.len() {
            let mut tally = Tally::default();
            for entry in [Entry::Record, Entry::State, Entry::Record, Entry::Other, Entry::State] {
                tally.expect(entry);
            }
            let mut states = Vec::new();
            let mut at = 0;
            for chunk in text.chunks(size) {
                tally.handed(at, chunk, |sum| states.push(sum));
                at += chunk.len() as u64;
            }
            tally.handed(0, text, |_| panic!("counted twice"));
            assert_eq!(
                states,
                [sum(&["{\"r\":1}"]), sum(&["{\"r\":22}", "{\"r\":1}"])],
                "{size}"
            );
        }
    }
}
