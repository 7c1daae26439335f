//! The events on their way out: bounded, never blocking the data.
//!
//! While the reader is slow, log lines are dropped and counted, of bookmarks only the newest waits (I4 makes the older
//! ones worthless), and [`Journal::crowded`] tells the relay to take no more input (I10). Of what a child logs without
//! end, only so much is told (see [`crate::flood`]). Nothing else is ever dropped.
//!
//! It is the only way out, so it is here that text of plugins is made harmless and that secrets are replaced (I13). The
//! values of schemas and bookmarks stay the bytes that came (I3): a bookmark with a piece missing could not be used.

use crate::check::rejects::Rejected;
use crate::event::{encode, Account, Event};
use crate::flood::Bucket;
use crate::neutral::neutral;
use crate::redact::Redactor;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

/// Beyond this many waiting bytes, logs are dropped and bookmarks wait.
const SLOW: usize = 256 << 10;
/// Beyond this many, no more input is taken.
const CROWDED: usize = 4 << 20;
/// Characters of a junk line, and of a STATE that does not count, that are told.
const JUNK: usize = 120;
const STATE: usize = 200;
/// Fields that hold words of Dativo's own or names from the plan.
const OWN_WORDS: [&str; 16] = [
    "event",
    "child",
    "role",
    "run",
    "bus_version",
    "kind",
    "source",
    "why",
    "code",
    "verdict",
    "setting",
    "profile",
    "layout",
    "guarantees",
    "outcome",
    "key_properties",
];

/// A bookmark that waits for a slow reader.
#[derive(Debug)]
struct Waiting {
    value: Vec<u8>,
    records: u64,
    of: u64,
    seq: u64,
    /// Those of the bookmarks that it has replaced as well.
    books: BTreeMap<String, Account>,
}

/// The queue of event lines.
#[derive(Debug, Default)]
pub struct Journal {
    waiting: Vec<u8>,
    sent: usize,
    bookmark: Option<Waiting>,
    dropped: BTreeMap<String, u64>,
    floods: BTreeMap<String, Bucket>,
    redactor: Redactor,
    closed: bool,
}

impl Journal {
    /// A journal that shows none of these values.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Journal, String> {
        Ok(Journal {
            redactor: Redactor::new(secrets)?,
            ..Journal::default()
        })
    }

    /// Queues an event that must arrive.
    pub fn tell(&mut self, event: &Event<'_>) {
        let line = self.line(event, None);
        self.push(&line);
    }

    /// Queues a `schema` event.
    pub fn schema(&mut self, stream: &str, schema: &[u8], key_properties: Option<Vec<String>>, changed: bool) {
        let event = Event::Schema {
            stream,
            key_properties,
            changed,
        };
        let line = self.line(&event, Some(("schema", schema)));
        self.push(&line);
    }

    /// Queues a bookmark with the books that changed; while the reader is slow it replaces the one that still waits.
    pub fn bookmark(&mut self, value: &[u8], records: u64, of: u64, seq: u64, changed: BTreeMap<String, Account>) {
        let mut books = self.bookmark.take().map(|old| old.books).unwrap_or_default();
        books.extend(changed);
        let value = value.to_vec();
        self.bookmark = Some(Waiting {
            value,
            records,
            of,
            seq,
            books,
        });
        self.release_bookmark(SLOW);
    }

    /// Queues an event with a value of a plugin.
    pub fn tell_with(&mut self, event: &Event<'_>, field: &str, value: &[u8]) {
        let line = self.line(event, Some((field, value)));
        self.push(&line);
    }

    /// Queues a line of a child's log (`cut`: the beginning of one), unless the reader is slow or the child tells too
    /// much: then it is counted.
    pub fn log(&mut self, child: &str, source: &str, line: &[u8], cut: bool) {
        if !self.may_log(child, line.len()) {
            return;
        }
        let mut text = self.shown(line, cut);
        if cut {
            text.push('…');
        }
        let dropped = self.dropped.remove(child);
        self.tell(&Event::Log {
            child,
            source,
            text: &text,
            dropped,
        });
    }

    /// Queues an event that a child asked for, unless it asks for too many: a flood of them is one of log lines.
    pub fn remark(&mut self, child: &str, event: &Event<'_>) {
        let line = self.line(event, None);
        if self.may_log(child, line.len()) {
            self.push(&line);
        }
    }

    /// Queues a line that is no message.
    pub fn junk(&mut self, child: &str, kind: &str, line: u64, offset: u64, bytes: &[u8]) {
        let text = self.excerpt(bytes, JUNK);
        self.tell(&Event::Junk {
            child,
            kind,
            line,
            offset,
            text: &text,
        });
    }

    /// Queues a line that is not delivered.
    pub fn reject(&mut self, bad: &Rejected<'_>) {
        self.tell(&Event::Reject {
            child: bad.child,
            stream: bad.stream,
            rule: bad.rule,
            reason: bad.reason,
            path: bad.path,
            line: bad.line,
            offset: bad.offset,
        });
    }

    /// Queues a STATE of a child that does not count. A flood of them is one of log lines.
    pub fn state_ignored(&mut self, child: &str, why: &str, bytes: &[u8]) {
        if self.may_log(child, bytes.len().min(STATE * 4)) {
            let text = self.excerpt(bytes, STATE);
            self.tell(&Event::StateIgnored { why, text: &text });
        }
    }

    /// Text of a plugin as it may be shown: harmless, without secrets. `cut`: it is the beginning of something longer.
    pub fn shown(&self, bytes: &[u8], cut: bool) -> String {
        let whole = if cut { whole_characters(bytes) } else { bytes };
        let text = String::from_utf8_lossy(whole);
        self.redactor.text(&neutral(&text), cut).into_owned()
    }

    /// The beginning of a line: at most so many characters.
    fn excerpt(&self, line: &[u8], chars: usize) -> String {
        let head = &line[..line.len().min(chars * 4)];
        self.shown(head, head.len() < line.len()).chars().take(chars).collect()
    }

    fn may_log(&mut self, child: &str, size: usize) -> bool {
        let now = Instant::now();
        if !self.floods.contains_key(child) {
            self.floods.insert(child.to_string(), Bucket::new(now));
        }
        let told = self.waiting() <= SLOW && self.floods.get_mut(child).is_none_or(|bucket| bucket.take(size, now));
        if !told {
            *self.dropped.entry(child.to_string()).or_default() += 1;
        }
        told
    }

    /// The event as a line, without secrets.
    pub fn line(&self, event: &Event<'_>, raw: Option<(&str, &[u8])>) -> Vec<u8> {
        // Their words come from plugins and from data.
        let strange = matches!(event, Event::Connection { .. } | Event::Reject { .. });
        if self.redactor.is_empty() && !strange {
            return encode(event, SystemTime::now(), raw);
        }
        let Ok(Value::Object(mut fields)) = serde_json::to_value(event) else {
            return encode(event, SystemTime::now(), raw);
        };
        for (name, value) in &mut fields {
            // Why a run ended is a code, why a connection failed or a record was rejected is a text.
            let code = name == "reason" && !strange;
            match value {
                Value::Object(streams) if name == "streams" || name == "rejected" => self.clean_names(streams),
                Value::String(_) | Value::Array(_) if !code && !OWN_WORDS.contains(&name.as_str()) => {
                    self.clean(value, strange);
                }
                _ => {}
            }
        }
        encode(&fields, SystemTime::now(), raw)
    }

    fn clean(&self, value: &mut Value, strange: bool) {
        match value {
            Value::String(text) => {
                let safe = if strange {
                    neutral(text)
                } else {
                    Cow::Borrowed(text.as_str())
                };
                *text = self.redactor.text(&safe, false).into_owned();
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean(item, strange)),
            _ => {}
        }
    }

    /// The names of streams are a plugin's words.
    fn clean_names(&self, streams: &mut Map<String, Value>) {
        for (name, totals) in std::mem::take(streams) {
            let mut name = self.redactor.text(&name, false).into_owned();
            while streams.contains_key(&name) {
                name.push('*');
            }
            streams.insert(name, totals);
        }
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
            if let Some(waiting) = self.bookmark.take() {
                let event = Event::Bookmark {
                    records: waiting.records,
                    of: waiting.of,
                    seq: waiting.seq,
                    streams: &waiting.books,
                };
                let line = self.line(&event, Some(("value", &waiting.value)));
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

/// Without the beginning of a character at its end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    let tail = bytes.iter().rev().take(4).position(|b| b & 0xc0 != 0x80);
    let Some(at) = tail.map(|back| bytes.len() - 1 - back) else {
        return bytes;
    };
    let needed = match bytes[at] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    match at + needed > bytes.len() {
        true => &bytes[..at],
        false => bytes,
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
            journal.log("tap", "stderr", long.as_bytes(), false);
            journal.bookmark(
                format!("{{\"n\":{number}}}").as_bytes(),
                number,
                number,
                number,
                BTreeMap::new(),
            );
        }
        assert!(!journal.crowded());
        let first = drain(&mut journal);
        assert!(first.contains("{\"n\":1}") && first.contains("{\"n\":100}") && !first.contains("{\"n\":90}"));
        assert!(journal.pending().is_empty());
        journal.log("tap", "stderr", b"last", false);
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
        journal.bookmark(b"{}", 1, 1, 1, BTreeMap::new());
        journal.end(&Event::SourceEof {});
        journal.log("t", "stderr", b"late", false);
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

    #[test]
    fn an_excerpt_never_splits_a_character_or_a_secret() {
        let journal = Journal::new(["hunter-22"]).unwrap();
        assert_eq!(journal.excerpt("äöü".as_bytes(), 2), "äö");
        assert_eq!(journal.excerpt(b"\xff!", 5), "\u{fffd}!");
        for pad in 0..30 {
            let line = format!("{}hunter-22", "é".repeat(pad));
            for chars in 1..40 {
                let text = journal.excerpt(line.as_bytes(), chars);
                assert!(!text.contains("hunt"), "{pad} {chars} {text}");
            }
        }
        assert_eq!(whole_characters("aé".as_bytes()), "aé".as_bytes());
        assert_eq!(whole_characters(&"aé".as_bytes()[..2]), b"a");
        assert_eq!(whole_characters(&"🚀".as_bytes()[..3]), b"");
    }

    #[test]
    fn no_event_shows_a_secret() {
        let mut journal = Journal::new(["hunter-22", "12345678"]).unwrap();
        let text = "x hunter-22 12345678";
        journal.log("tap-hunter-22", "stderr", b"\x1b[1mhun\x1b[0mter-22 and hunt", true);
        journal.junk("tap", "text", 12_345_678, 0, text.as_bytes());
        journal.state_ignored("target", "foreign", text.as_bytes());
        journal.tell(&Event::Notice { code: "c", text });
        let connection = Event::Connection {
            child: "tap",
            host: "hunter-22.evil\u{1b}[2J",
            port: Some(1),
            address: None,
            outcome: "denied",
            reason: Some(text),
            sent: None,
            received: None,
        };
        journal.tell(&connection);
        journal.schema(
            "hunter-22",
            br#"{"hunter-22":1}"#,
            Some(vec!["hunter-22".into()]),
            false,
        );
        journal.bookmark(br#"{"a":"hunter-22"}"#, 1, 1, 1, BTreeMap::new());
        let told = drain(&mut journal);
        let lines: Vec<Value> = told.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines[0]["text"], "*** and ***…");
        assert_eq!(lines[0]["child"], "tap-hunter-22", "a name from the plan");
        assert_eq!(
            (&lines[1]["text"], &lines[1]["line"]),
            (&Value::from("x *** ***"), &Value::from(12_345_678))
        );
        assert_eq!(lines[2]["text"], "x *** ***");
        assert_eq!(lines[3]["text"], "x *** ***");
        assert_eq!(
            (&lines[4]["host"], &lines[4]["reason"]),
            (&"***.evil".into(), &"x *** ***".into())
        );
        assert_eq!(lines[5]["stream"], "***");
        assert_eq!(lines[5]["schema"]["hunter-22"], 1, "a schema stays as it came");
        assert_eq!(lines[6]["value"]["a"], "hunter-22", "and so does a bookmark");
    }

    #[test]
    fn a_flood_is_counted() {
        let mut journal = Journal::default();
        let mut told = 0;
        for _ in 0..30_000 {
            journal.log("tap", "stderr", b"x", false);
            journal.state_ignored("tap", "foreign", b"{}");
            told += drain(&mut journal).lines().count();
        }
        assert!((5_000..15_000).contains(&told), "{told}");
        journal.log("target", "stderr", b"y", false);
        assert!(drain(&mut journal).contains("\"text\":\"y\""));
        journal.close_log("tap");
        assert!(drain(&mut journal).contains("\"dropped\":"));
    }
}
