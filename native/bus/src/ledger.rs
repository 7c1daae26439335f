//! The STATEs on their way through the target: which were forwarded, which it has read, which it confirmed.
//!
//! I1: a bookmark exists only when the target printed a value equal to a STATE that was forwarded and whose bytes it
//! had read by then; every record before that STATE was delivered before it, and the books of both edges agree on them
//! ([`crate::tally`]). I4: it never moves backwards.

use crate::tally::Sum;
use singer_protocol::state::{fingerprint, Fingerprint, Shape};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// How many STATEs are remembered. Confirming an older one is ignored as foreign: the old bookmark stays.
pub const REMEMBERED: usize = 65_536;
/// How many bytes of the taps' own texts are kept for bookmarks.
pub const KEPT_TEXT: usize = 8 << 20;

#[derive(Debug)]
struct Sent {
    hash: u128,
    end: u64,
    records: u64,
    text: Option<Box<[u8]>>,
    previous: u64,
    /// All that was accepted before it.
    accepted: Sum,
    /// What was accepted since the STATE before, by stream.
    since: Vec<(u32, Sum)>,
}

/// What a line that the target printed means.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not JSON: a log line.
    Log,
    /// It counts: a new bookmark.
    Bookmark {
        /// The value to persist, as the tap wrote it if that was kept.
        value: Vec<u8>,
        /// Records delivered before that STATE.
        records: u64,
        /// Which STATE, from 1.
        seq: u64,
        /// The books of the streams that had records since the bookmark before: all of the run before that STATE.
        books: Vec<(u32, Sum)>,
    },
    /// It would count, but the books of the two edges differ: accepted, handed over.
    Unbalanced(Sum, Sum),
    /// A STATE that is confirmed already, or older than that.
    Repeat,
    /// It does not count: `foreign`, `empty` or `unread`.
    Ignored(&'static str),
}

/// The book of STATEs of one target.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: VecDeque<Sent>,
    forwarded: u64,
    latest: HashMap<u128, u64>,
    kept: usize,
    untexted: u64,
    confirmed: u64,
    covered: u64,
    bookmarks: u64,
    printed: u64,
    last_message: u64,
    last_is_object: bool,
    last_records: u64,
    /// What was accepted, of all streams, and of those that had records since the last STATE.
    accepted: Sum,
    since: BTreeMap<u32, Sum>,
    /// By stream, up to the last bookmark.
    books: HashMap<u32, Sum>,
    /// For each STATE that was handed over in full: what was handed over before it. The last is that of `handed_count`.
    handed: VecDeque<Sum>,
    handed_count: u64,
    /// The last STATE that is worth going on from.
    newest: Option<Box<[u8]>>,
    confirmed_end: u64,
}

impl Ledger {
    /// Notes a STATE that goes to the target: its value's bytes, the offset behind it in what the target reads, the
    /// records before it, and the number of the message.
    pub fn forward(&mut self, value: &[u8], print: Fingerprint, end: u64, records: u64, message: u64) {
        self.forwarded += 1;
        self.last_message = message;
        self.last_is_object = print.shape == Shape::Object;
        self.last_records = records;
        let previous = self.latest.insert(print.hash, self.forwarded).unwrap_or(0);
        let text = (value.len() <= KEPT_TEXT).then(|| value.into());
        self.kept += if text.is_some() { value.len() } else { 0 };
        if print.shape == Shape::Object {
            self.newest = Some(value.into());
        }
        self.sent.push_back(Sent {
            hash: print.hash,
            end,
            records,
            text,
            previous,
            accepted: self.accepted,
            since: std::mem::take(&mut self.since).into_iter().collect(),
        });
        self.forget();
    }

    /// A record of that stream was accepted.
    pub fn accept(&mut self, stream: u32, hash: u128) {
        self.accept_all(stream, Sum { records: 1, hash });
    }

    /// Records of that stream were accepted.
    pub fn accept_all(&mut self, stream: u32, sum: Sum) {
        self.accepted.plus(sum);
        self.since.entry(stream).or_default().plus(sum);
    }

    /// The next STATE was handed over in full, after records of that sum.
    pub fn handed(&mut self, before: Sum) {
        self.handed_count += 1;
        self.handed.push_back(before);
        if self.handed.len() > REMEMBERED {
            self.handed.pop_front();
        }
    }

    /// The newest STATE that is worth going on from.
    pub fn newest(&self) -> Option<&[u8]> {
        self.newest.as_deref()
    }

    /// Up to where the last bookmark covers what the target reads.
    pub fn confirmed_end(&self) -> u64 {
        self.confirmed_end
    }

    /// Judges a line that the target printed, when it has read `consumed` bytes of its input.
    pub fn answer(&mut self, line: &[u8], consumed: u64) -> Answer {
        let Ok(print) = fingerprint(line) else {
            return Answer::Log;
        };
        match print.shape {
            Shape::Null => return Answer::Ignored("empty"),
            Shape::EmptyObject => {
                self.printed += 1;
                return Answer::Ignored("empty");
            }
            Shape::Other => return Answer::Ignored("foreign"),
            Shape::Object => self.printed += 1,
        }
        let first = self.first();
        let mut seq = self.latest.get(&print.hash).copied().unwrap_or(0);
        let mut unread = false;
        while seq >= first && seq > self.confirmed {
            let Some(sent) = self.sent.get((seq - first) as usize) else {
                break;
            };
            if sent.end <= consumed && seq <= self.handed_count {
                return self.confirm(seq, line);
            }
            unread = true;
            seq = sent.previous;
        }
        match seq {
            0 if unread => Answer::Ignored("unread"),
            0 => Answer::Ignored("foreign"),
            _ => Answer::Repeat,
        }
    }

    /// Whether the target has read the STATE of that number.
    pub fn was_read(&self, seq: u64, consumed: u64) -> bool {
        let index = seq.checked_sub(self.first());
        let sent = index.and_then(|index| self.sent.get(index as usize));
        sent.is_some_and(|sent| sent.end <= consumed && seq <= self.handed_count)
    }

    /// The target has confirmed all STATEs up to that number, the last time with `said`: a number not above it unless others were missing, and the text of
    /// that STATE. None if that makes no bookmark.
    pub fn acknowledge(&mut self, seq: u64, said: (u64, &[u8])) -> Option<Answer> {
        self.printed += 1;
        let index = seq.checked_sub(self.first());
        let known = index
            .and_then(|index| self.sent.get(index as usize))
            .is_some_and(|sent| sent.text.is_some());
        // Of a STATE whose text is not kept any more, only what the target itself printed is known.
        let seq = if known || seq <= said.0 { seq } else { said.0 };
        (seq > self.confirmed && (known || seq == said.0)).then(|| self.confirm(seq, said.1))
    }

    /// What a value means that the target prints and that is not waited for.
    pub fn past(&mut self, line: &[u8]) -> Answer {
        self.printed += 1;
        match fingerprint(line)
            .ok()
            .filter(|print| self.latest.contains_key(&print.hash))
        {
            Some(_) => Answer::Repeat,
            None => Answer::Ignored("foreign"),
        }
    }

    /// The target printed a STATE that is none that was forwarded.
    pub fn printed_other(&mut self) {
        self.printed += 1;
    }

    /// STATEs forwarded.
    pub fn forwarded(&self) -> u64 {
        self.forwarded
    }

    /// Bookmarks made.
    pub fn bookmarks(&self) -> u64 {
        self.bookmarks
    }

    /// Records that the last bookmark covers.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// Records before the last STATE forwarded.
    pub fn last_records(&self) -> u64 {
        self.last_records
    }

    /// Whether the last bookmark is the last STATE.
    pub fn complete(&self) -> bool {
        self.forwarded > 0 && self.confirmed == self.forwarded
    }

    /// Whether the target has printed any STATE (a JSON object), even one that does not count.
    pub fn answered(&self) -> bool {
        self.printed > 0
    }

    /// Whether the target owes a STATE: the last of `messages` was one worth confirming, and it printed none at all.
    pub fn owed(&self, messages: u64) -> bool {
        self.forwarded > 0 && self.last_message == messages && self.last_is_object && !self.answered()
    }

    fn first(&self) -> u64 {
        self.forwarded + 1 - self.sent.len() as u64
    }

    /// What was handed over before a STATE.
    fn handed_before(&self, seq: u64) -> Option<Sum> {
        let back = self.handed_count.checked_sub(seq)?;
        let index = self.handed.len().checked_sub(1 + back as usize)?;
        self.handed.get(index).copied()
    }

    fn confirm(&mut self, seq: u64, line: &[u8]) -> Answer {
        let first = self.first();
        let handed = self.handed_before(seq);
        let (mut value, mut records) = (None, 0);
        if let Some(sent) = self.sent.get_mut((seq - first) as usize) {
            if let Some(handed) = handed.filter(|sum| *sum != sent.accepted) {
                return Answer::Unbalanced(sent.accepted, handed);
            }
            (value, records) = (sent.text.take(), sent.records);
            self.confirmed_end = sent.end + 1;
        }
        let books = self.settle(seq);
        self.kept -= value.as_ref().map_or(0, |v| v.len());
        self.confirmed = seq;
        self.covered = records;
        self.bookmarks += 1;
        self.drop_texts_to(seq);
        Answer::Bookmark {
            value: value.map_or_else(|| line.trim_ascii().to_vec(), Vec::from),
            records,
            seq,
            books,
        }
    }

    /// Enters all up to a STATE into the books; what changed.
    fn settle(&mut self, seq: u64) -> Vec<(u32, Sum)> {
        let first = self.first();
        let from = (self.confirmed + 1).max(first);
        let mut changed = BTreeMap::new();
        for number in from..=seq {
            let Some(sent) = self.sent.get_mut((number - first) as usize) else {
                continue;
            };
            for (stream, sum) in std::mem::take(&mut sent.since) {
                let book = self.books.entry(stream).or_default();
                book.plus(sum);
                changed.insert(stream, *book);
            }
        }
        changed.into_iter().collect()
    }

    /// Gives up the texts of all STATEs up to `seq`.
    fn drop_texts_to(&mut self, seq: u64) {
        let first = self.first();
        for number in self.untexted.max(first)..=seq {
            if let Some(text) = self.sent.get_mut((number - first) as usize).and_then(|s| s.text.take()) {
                self.kept -= text.len();
            }
        }
        self.untexted = self.untexted.max(seq + 1);
    }

    /// I10: bounded in number and in bytes, oldest first.
    fn forget(&mut self) {
        while self.kept > KEPT_TEXT {
            self.drop_texts_to(self.untexted.max(self.first()));
        }
        while self.sent.len() > REMEMBERED {
            let seq = self.first();
            if let Some(old) = self.sent.pop_front() {
                if let Some(next) = self.sent.front_mut() {
                    next.since.extend(old.since);
                }
                self.kept -= old.text.map_or(0, |t| t.len());
                if self.latest.get(&old.hash) == Some(&seq) {
                    self.latest.remove(&old.hash);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(values: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        for (i, value) in values.iter().enumerate() {
            let n = i as u64 + 1;
            ledger.forward(
                value.as_bytes(),
                fingerprint(value.as_bytes()).unwrap(),
                n * 100,
                n * 10,
                n,
            );
            ledger.handed(Sum::default());
        }
        ledger
    }

    fn seq(answer: Answer) -> u64 {
        match answer {
            Answer::Bookmark { seq, .. } => seq,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_echo_counts_with_the_taps_own_bytes() {
        let mut ledger = ledger(&[r#"{"b": 1.0, "a":"\u0041"}"#]);
        let answer = ledger.answer(br#" {"a":"A","b":1.0} "#, 100);
        assert_eq!(
            answer,
            Answer::Bookmark {
                value: br#"{"b": 1.0, "a":"\u0041"}"#.to_vec(),
                records: 10,
                seq: 1,
                books: Vec::new()
            }
        );
        assert!(ledger.complete());
        assert_eq!(ledger.answer(br#"{"a":"A","b":1.0}"#, 100), Answer::Repeat);
    }

    #[test]
    fn what_the_target_has_not_read_cannot_be_confirmed() {
        let mut ledger = ledger(&[r#"{"a":1}"#, r#"{"a":2}"#]);
        assert_eq!(ledger.answer(br#"{"a":2}"#, 199), Answer::Ignored("unread"));
        assert_eq!(seq(ledger.answer(br#"{"a":2}"#, 200)), 2);
    }

    #[test]
    fn never_backwards() {
        let mut ledger = ledger(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
        assert_eq!(seq(ledger.answer(br#"{"a":2}"#, 300)), 2);
        assert_eq!(ledger.answer(br#"{"a":1}"#, 300), Answer::Repeat);
        assert_eq!(seq(ledger.answer(br#"{"a":3}"#, 300)), 3);
        assert_eq!((ledger.covered(), ledger.bookmarks()), (30, 2));
    }

    #[test]
    fn a_value_sent_twice_is_the_newest_that_was_read() {
        let mut ledger = ledger(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":1}"#]);
        assert_eq!(seq(ledger.answer(br#"{"a":1}"#, 150)), 1);
        assert_eq!(ledger.answer(br#"{"a":1}"#, 150), Answer::Repeat);
        assert_eq!(seq(ledger.answer(br#"{"a":1}"#, 300)), 3);
    }

    #[test]
    fn foreign_empty_and_log_lines() {
        let mut ledger = ledger(&[r#"{"a":1}"#]);
        assert!(ledger.owed(1) && !ledger.owed(2));
        for (line, why) in [("42", "foreign"), ("[1,2]", "foreign"), ("null", "empty")] {
            assert_eq!(ledger.answer(line.as_bytes(), 100), Answer::Ignored(why));
        }
        assert!(ledger.owed(1), "numbers and lists are no STATE");
        assert_eq!(ledger.answer(b"INFO hello", 100), Answer::Log);
        assert_eq!(ledger.answer(b"{}", 100), Answer::Ignored("empty"));
        assert!(!ledger.owed(1));
        assert_eq!(ledger.answer(br#"{"x":1}"#, 100), Answer::Ignored("foreign"));
    }

    #[test]
    fn a_bookmark_needs_books_that_balance() {
        let mut ledger = Ledger::default();
        let forward = |ledger: &mut Ledger, n: u64| {
            let value = format!("{{\"a\":{n}}}");
            ledger.forward(value.as_bytes(), fingerprint(value.as_bytes()).unwrap(), n, n, n);
        };
        let sum = |records, hash| Sum { records, hash };
        ledger.accept(3, 5);
        forward(&mut ledger, 1);
        ledger.accept(3, 6);
        ledger.accept(4, u128::MAX);
        forward(&mut ledger, 2);
        assert_eq!(
            ledger.answer(br#"{"a":1}"#, 9),
            Answer::Ignored("unread"),
            "not handed over"
        );
        ledger.handed(sum(1, 5));
        let books = |answer| match answer {
            Answer::Bookmark { books, .. } => books,
            other => panic!("{other:?}"),
        };
        assert_eq!(books(ledger.answer(br#"{"a":1}"#, 9)), [(3, sum(1, 5))]);
        ledger.handed(sum(2, 10));
        assert_eq!(
            ledger.answer(br#"{"a":2}"#, 9),
            Answer::Unbalanced(sum(3, 10), sum(2, 10))
        );
        forward(&mut ledger, 3);
        ledger.handed(sum(3, 10));
        assert_eq!(
            books(ledger.answer(br#"{"a":3}"#, 9)),
            [(3, sum(2, 11)), (4, sum(1, u128::MAX))]
        );
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let mut ledger = Ledger::default();
        let total = REMEMBERED as u64 + 1000;
        for n in 1..=total {
            let value = format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(200));
            ledger.forward(value.as_bytes(), fingerprint(value.as_bytes()).unwrap(), n, n, n);
            ledger.handed(Sum::default());
        }
        assert_eq!(ledger.sent.len(), REMEMBERED);
        assert_eq!(ledger.latest.len(), REMEMBERED);
        assert!(ledger.kept <= KEPT_TEXT);
        let old = format!("{{\"n\":1,\"pad\":\"{}\"}}", "x".repeat(200));
        assert_eq!(ledger.answer(old.as_bytes(), total), Answer::Ignored("foreign"));
        let untexted = format!("{{\"pad\":\"{}\",\"n\":2000}}", "x".repeat(200));
        assert!(
            matches!(ledger.answer(untexted.as_bytes(), total), Answer::Bookmark { value, seq: 2000, .. }
            if value == untexted.as_bytes())
        );
        assert_eq!(
            ledger.kept,
            ledger
                .sent
                .iter()
                .filter_map(|s| s.text.as_ref())
                .map(|t| t.len())
                .sum::<usize>()
        );
    }
}
