//! The events on their way out: bounded, never blocking the data.
//!
//! While the reader is slow, log lines are dropped and counted, of bookmarks only the newest waits (I4 makes the older
//! ones worthless), and [`Journal::crowded`] tells the relay to take no more input (I10). Nothing else is ever dropped.

use crate::event::{encode, Event};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Beyond this many waiting bytes, logs are dropped and bookmarks wait.
const SLOW: usize = 256 << 10;
/// Beyond this many, no more input is taken.
const CROWDED: usize = 4 << 20;

/// The queue of event lines.
#[derive(Debug, Default)]
pub struct Journal {
    waiting: Vec<u8>,
    sent: usize,
    bookmark: Option<Vec<u8>>,
    dropped: BTreeMap<String, u64>,
    closed: bool,
}

impl Journal {
    /// Queues an event that must arrive.
    pub fn tell(&mut self, event: &Event<'_>) {
        self.push(&encode(event, SystemTime::now(), None));
    }

    /// Queues a `schema` event.
    pub fn schema(&mut self, stream: &str, schema: &[u8], key_properties: Option<Vec<String>>, changed: bool) {
        let event = Event::Schema {
            stream,
            key_properties,
            changed,
        };
        self.push(&encode(&event, SystemTime::now(), Some(("schema", schema))));
    }

    /// Queues a bookmark; while the reader is slow it replaces the one that still waits.
    pub fn bookmark(&mut self, value: &[u8], records: u64, of: u64, seq: u64) {
        let event = Event::Bookmark { records, of, seq };
        self.bookmark = Some(encode(&event, SystemTime::now(), Some(("value", value))));
        self.release_bookmark(SLOW);
    }

    /// Queues a line of a child's log, unless the reader is slow: then it is counted.
    pub fn log(&mut self, child: &str, source: &str, text: &str) {
        if self.waiting() > SLOW {
            *self.dropped.entry(child.to_string()).or_default() += 1;
            return;
        }
        let dropped = self.dropped.remove(child);
        self.tell(&Event::Log {
            child,
            source,
            text,
            dropped,
        });
    }

    /// Says how many log lines of a child were dropped and not told yet. Call it when the child has ended.
    pub fn close_log(&mut self, child: &str) {
        if let Some(count) = self.dropped.remove(child) {
            self.tell(&Event::Log {
                child,
                source: "stderr",
                text: "",
                dropped: Some(count),
            });
        }
    }

    /// Queues the verdict. Later events are ignored: nothing follows it.
    pub fn end(&mut self, event: &Event<'_>) {
        self.release_bookmark(usize::MAX);
        self.tell(event);
        self.closed = true;
    }

    /// What can be written now.
    pub fn pending(&self) -> &[u8] {
        &self.waiting[self.sent..]
    }

    /// That many bytes of [`Journal::pending`] were written.
    pub fn wrote(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.waiting.len() {
            self.sent = 0;
            self.waiting.clear();
            if self.waiting.capacity() > CROWDED {
                self.waiting = Vec::new();
            }
        }
        self.release_bookmark(SLOW);
    }

    /// Bytes that wait for the reader, a held bookmark not counted.
    pub fn waiting(&self) -> usize {
        self.waiting.len() - self.sent
    }

    /// Whether the reader is so slow that no more input should be taken.
    pub fn crowded(&self) -> bool {
        self.waiting() > CROWDED
    }

    fn release_bookmark(&mut self, below: usize) {
        if self.waiting() < below {
            if let Some(line) = self.bookmark.take() {
                self.push(&line);
            }
        }
    }

    fn push(&mut self, line: &[u8]) {
        if self.closed {
            return;
        }
        if self.sent > SLOW {
            self.waiting.drain(..self.sent);
            self.sent = 0;
        }
        self.waiting.extend_from_slice(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(journal: &mut Journal) -> String {
        let mut text = String::new();
        while !journal.pending().is_empty() {
            let part = journal.pending().to_vec();
            text.push_str(&String::from_utf8(part.clone()).unwrap());
            journal.wrote(part.len());
        }
        text
    }

    #[test]
    fn a_slow_reader_loses_logs_and_old_bookmarks_only() {
        let mut journal = Journal::default();
        let long = "x".repeat(10_000);
        for number in 1..=100u64 {
            journal.log("tap", "stderr", &long);
            journal.bookmark(format!("{{\"n\":{number}}}").as_bytes(), number, number, number);
        }
        assert!(!journal.crowded());
        let first = drain(&mut journal);
        assert!(first.contains("{\"n\":1}") && first.contains("{\"n\":100}") && !first.contains("{\"n\":90}"));
        assert!(journal.pending().is_empty());
        journal.log("tap", "stderr", "last");
        let told = first.matches("\"event\":\"log\"").count();
        assert!(drain(&mut journal).contains(&format!("\"dropped\":{}", 100 - told)));
    }

    #[test]
    fn nothing_follows_the_end_and_the_last_bookmark_precedes_it() {
        let mut journal = Journal::default();
        for _ in 0..100 {
            journal.tell(&Event::Notice {
                code: "c",
                text: &"x".repeat(10_000),
            });
        }
        journal.bookmark(b"{}", 1, 1, 1);
        journal.end(&Event::SourceEof {});
        journal.log("t", "stderr", "late");
        let text = drain(&mut journal);
        let last: Vec<&str> = text.lines().rev().take(2).collect();
        assert!(last[0].contains("source_eof") && last[1].contains("bookmark"));
    }

    #[test]
    fn a_crowd_stops_the_input() {
        let mut journal = Journal::default();
        journal.schema("t", &vec![b' '; 5 << 20], None, false);
        assert!(journal.crowded());
    }
}
