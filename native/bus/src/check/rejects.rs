//! What is not delivered: counted by stream, told, and set aside in the dead-letter file (I9).
//!
//! One book for all hops of a run. A dead-letter file is a Singer file: the SCHEMA as the tap sent it, then the records as
//! they came, each with one more member that says why it is there. A line that is no message is kept as base64.

use crate::journal::Journal;
use crate::plan::Plan;
use crate::policy::BadRecord;
use crate::verdict::Failure;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::SystemTime;

/// How many of each stream are told one by one.
pub const TOLD: u64 = 20;
/// A percentage means nothing before so many records have come.
const SAMPLE: u64 = 1_000;
/// Names that are counted apart; further ones that no SCHEMA introduced are counted together (I10).
const MOST_STREAMS: usize = 100_000;

/// Where dead letters go.
pub trait Letterbox: fmt::Debug {
    /// Takes whole lines, which may wait in memory for a while.
    fn put(&mut self, lines: &[u8]) -> io::Result<()>;
    /// Makes all that was taken durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The book, as hops share it.
pub type Book = Rc<RefCell<Rejects>>;

/// One line that is not delivered.
#[derive(Debug)]
pub struct Rejected<'a> {
    /// Who wrote it.
    pub child: &'a str,
    /// Its stream, if that is known.
    pub stream: Option<&'a str>,
    /// The rule that it breaks.
    pub rule: &'a str,
    /// Where in the record, as a JSON Pointer.
    pub path: &'a str,
    /// Why, in words that may be shown.
    pub reason: &'a str,
    /// Which row of its stream it is, from 1; none if it is no record.
    pub row: Option<u64>,
    /// The number of its line, from 1.
    pub line: u64,
    /// The offset of its first byte.
    pub offset: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// It is a RECORD.
    pub record: bool,
    /// Its stream's SCHEMA line.
    pub schema: Option<&'a [u8]>,
    /// Records that came so far, of all streams, this one included.
    pub received: u64,
    /// The code if it fails the run.
    pub code: &'static str,
}

#[derive(Serialize)]
struct Why<'a> {
    run: &'a str,
    reason: &'a str,
    rule: &'a str,
    path: &'a str,
    line: u64,
    offset: u64,
    child: &'a str,
    at: String,
}

/// What was not delivered so far.
#[derive(Debug)]
pub struct Rejects {
    policy: BadRecord,
    most_rows: Option<u64>,
    most_percent: Option<f64>,
    run: String,
    letterbox: Option<Box<dyn Letterbox>>,
    counts: BTreeMap<String, u64>,
    total: u64,
    /// The first one, in words.
    first: String,
    /// Streams whose SCHEMA stands in the file.
    introduced: HashSet<String>,
    /// Letters were taken and are not durable.
    owed: bool,
}

impl Rejects {
    /// The book of a run.
    pub fn new(plan: &Plan, letterbox: Option<Box<dyn Letterbox>>) -> Book {
        Rc::new(RefCell::new(Rejects {
            policy: plan.policy.on_bad_record,
            most_rows: plan.policy.bad_rows,
            most_percent: plan.policy.bad_percent,
            run: plan.run.clone(),
            letterbox,
            counts: BTreeMap::new(),
            total: 0,
            first: String::new(),
            introduced: HashSet::new(),
            owed: false,
        }))
    }

    /// Whether a line that cannot be used fails the run by itself.
    pub fn fails(&self) -> bool {
        self.policy == BadRecord::Fail
    }

    /// Counts by stream; under the empty name what belongs to none.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of a stream.
    pub fn of_name(&self, stream: &str) -> u64 {
        self.counts.get(stream).copied().unwrap_or(0)
    }

    /// How many of a stream, and of those whose stream is not known.
    pub fn of(&self, stream: &str) -> u64 {
        self.of_name(stream) + if stream.is_empty() { 0 } else { self.of_name("") }
    }

    /// The stream has another SCHEMA: it is written again before the next letter.
    pub fn renew(&mut self, stream: &str) {
        self.introduced.remove(stream);
    }

    /// Takes what is not delivered. A failure ends the run.
    pub fn reject(&mut self, bad: &Rejected<'_>, journal: &mut Journal) -> Result<(), Failure> {
        let mut name = bad.stream.unwrap_or("");
        if self.counts.len() >= MOST_STREAMS && !self.counts.contains_key(name) {
            name = "";
        }
        let count = self.counts.entry(name.to_string()).or_default();
        *count += 1;
        let of_stream = *count;
        self.total += 1;
        if self.first.is_empty() {
            let row = bad.row.map_or(format!("line {}", grouped(bad.line)), |row| {
                format!("row {}", grouped(row))
            });
            self.first = format!("first: {row}, {}", bad.reason);
        }
        if of_stream <= TOLD {
            journal.reject(bad);
        }
        if self.policy == BadRecord::Quarantine {
            self.keep(bad).map_err(|e| unwritten(&e))?;
        }
        match self.over(bad.received) {
            Some(limit) => {
                let stream = journal.shown(bad.stream.unwrap_or("no stream").as_bytes(), false);
                Err(self.failure(bad, &stream, of_stream, &limit))
            }
            None => Ok(()),
        }
    }

    /// At the end of the stream, when so many records have come: whether too many were bad.
    pub fn judge(&self, received: u64) -> Option<Failure> {
        let limit = self.too_large_a_share(received)?;
        let message = format!(
            "{} of {} records were bad, {limit} · {}",
            grouped(self.total),
            grouped(received),
            self.first
        );
        Some(Failure::run("data.schema", message).setting("policy.bad_percent"))
    }

    /// Makes every letter durable. Call it before a bookmark that covers one is told (I9).
    pub fn sync(&mut self) -> Result<(), Failure> {
        match self.letterbox.as_mut().filter(|_| self.owed) {
            None => Ok(()),
            Some(letterbox) => {
                self.owed = false;
                letterbox.sync().map_err(|e| unwritten(&e))
            }
        }
    }

    fn over(&self, received: u64) -> Option<String> {
        if self.policy == BadRecord::Fail {
            return Some(String::new());
        }
        let rows = self.most_rows.filter(|most| self.total > *most);
        let rows = rows.map(|most| format!("more than {} are not set aside", grouped(most)));
        rows.or_else(|| self.too_large_a_share(received).filter(|_| received >= SAMPLE))
    }

    fn too_large_a_share(&self, received: u64) -> Option<String> {
        let most = self
            .most_percent
            .filter(|_| self.policy != BadRecord::Fail && self.total > 0)?;
        (self.total as f64 * 100.0 > most * received as f64).then(|| format!("more than {most} %"))
    }

    fn failure(&self, bad: &Rejected<'_>, stream: &str, of_stream: u64, limit: &str) -> Failure {
        let (records, verb) = match of_stream {
            1 => ("1 record".to_string(), "breaks its"),
            many => (format!("{} records", grouped(many)), "break their"),
        };
        let limit = if limit.is_empty() {
            String::new()
        } else {
            format!(", {limit}")
        };
        let message = match bad.code {
            "data.schema" => format!("{records} of {stream} {verb} schema{limit} · {}", self.first),
            _ => format!("{}: line {}: {}{limit}", bad.child, bad.line, bad.reason),
        };
        Failure {
            stream: bad.stream.map(Into::into),
            line: Some(bad.line),
            offset: Some(bad.offset),
            ..Failure::of(bad.code, bad.child, message).setting("policy.on_bad_record")
        }
    }

    fn keep(&mut self, bad: &Rejected<'_>) -> io::Result<()> {
        let Some(letterbox) = &mut self.letterbox else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        self.owed = true;
        let mut lines = Vec::with_capacity(bad.bytes.len() + 256);
        let schema = bad.schema.filter(|_| bad.record);
        if let (Some(schema), Some(stream)) = (schema, bad.stream) {
            if self.introduced.insert(stream.to_string()) {
                lines.extend_from_slice(schema);
                lines.push(b'\n');
            }
        }
        let body = bad.bytes.trim_ascii_end();
        match body.strip_suffix(b"}").filter(|_| bad.record) {
            Some(open) => lines.extend_from_slice(open),
            None => {
                lines.extend_from_slice(br#"{"type":"DEAD_LETTER","stream":"#);
                serde_json::to_writer(&mut lines, &bad.stream)?;
                lines.extend_from_slice(b",\"raw\":\"");
                lines.extend_from_slice(STANDARD.encode(bad.bytes).as_bytes());
                lines.push(b'"');
            }
        }
        lines.extend_from_slice(b",\"dead_letter\":");
        let why = Why {
            run: &self.run,
            reason: bad.reason,
            rule: bad.rule,
            path: bad.path,
            line: bad.line,
            offset: bad.offset,
            child: bad.child,
            at: humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
        };
        serde_json::to_writer(&mut lines, &why)?;
        lines.extend_from_slice(b"}\n");
        letterbox.put(&lines)
    }
}

/// I9: what can neither be delivered nor be set aside fails the run.
fn unwritten(error: &io::Error) -> Failure {
    let code = match error.raw_os_error() {
        Some(27 | 28 | 122) => "env.disk_full",
        Some(30) => "env.read_only",
        Some(1 | 13) => "env.permission",
        _ => "env.output",
    };
    Failure::run(code, format!("the dead-letter file cannot be written: {error}")).setting("dead_letters.path")
}

/// A number with commas between the thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands() {
        assert_eq!(
            [0, 999, 1_000, 88_213, 1_000_000].map(grouped).join(" "),
            "0 999 1,000 88,213 1,000,000"
        );
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = io::Error::from_raw_os_error(28);
        assert_eq!(unwritten(&full).reason, "env.disk_full");
    }
}
