//! What a hop's router has counted, as it is told.

use crate::event::{Account, Streams};
use crate::policy::BatchPolicy;
use crate::route::Router;
use crate::tally::Sum;
use singer_protocol::text::Text;
use std::collections::BTreeMap;

impl Router {
    /// Whether the rows of a BATCH go on as records.
    pub fn expands(&self) -> bool {
        self.policy.batch == BatchPolicy::Expand
    }

    /// Records of a stream that passed: how many, and how many bytes they took.
    pub fn count_rows(&mut self, index: usize, rows: u64, size: u64) {
        self.records += rows;
        if let Some(stream) = self.streams.get_mut(index) {
            stream.totals.records += rows;
            stream.totals.bytes += size;
        }
    }

    /// A stream's name as it stood in its first SCHEMA, between the quotes.
    pub fn stream_raw(&self, index: usize) -> &[u8] {
        self.streams.get(index).map_or(b"", |s| &s.raw)
    }

    /// Records of one stream.
    pub fn records_of(&self, index: usize) -> u64 {
        self.streams.get(index).map_or(0, |s| s.totals.records)
    }

    /// The index of a stream that is known.
    pub fn index_of(&self, name: &Text<'_>) -> Option<usize> {
        self.index.get(name.bytes().as_ref()).copied()
    }

    /// A record that was counted is not delivered after all.
    pub fn take_back(&mut self, stream: usize, bytes: u64) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.totals.records -= 1;
            // What was counted is the line as it came, which may be shorter.
            stream.totals.bytes = stream.totals.bytes.saturating_sub(bytes);
            self.taken_back += 1;
        }
    }

    /// Records that are delivered, of all streams.
    pub fn delivered(&self) -> u64 {
        self.records - self.taken_back
    }

    /// Books by the name of their stream.
    pub fn named(&self, books: Vec<(u32, Sum)>) -> BTreeMap<String, Account> {
        let mut named = BTreeMap::new();
        for (stream, sum) in books {
            // Names that differ only in what is not Unicode look the same to people: see totals.
            let known: &mut Sum = named.entry(self.stream_name(stream as usize).to_string()).or_default();
            known.plus(sum);
        }
        named.into_iter().map(|(name, sum)| (name, sum.into())).collect()
    }

    /// Totals by stream.
    pub fn totals(&self) -> Streams<'_> {
        let mut totals = Streams::new();
        for stream in &self.streams {
            // Names that differ only in what is not Unicode look the same to people; their totals are added up.
            let sum = totals.entry(&stream.name).or_default();
            sum.records += stream.totals.records;
            sum.bytes += stream.totals.bytes;
        }
        totals
    }
}
