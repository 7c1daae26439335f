//! What goes to a destination, and what its words confirm.
//!
//! A destination flushes stream by stream, and some (those made with PyAirbyte) confirm nothing but states of single streams. So a STATE goes as one
//! state for each stream that had records since the one before, and counts when all of them, and all before them, have come back. The value goes as a
//! text in them: the readers of the CDK make floats of long numbers, and what comes back is to be what was sent.

use super::message::{member, object, text, Span};
use super::remarks::Remarks;
use super::translate::{head, tail};
use super::{message, Airbyte, Stream};
use crate::ledger::REMEMBERED;
use serde_json::{json, Value};
use singer_protocol::error::Fault;
use singer_protocol::json::{peek, value};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::xxh3_128;

/// Where a state holds the STATE's value.
const HELD: &str = "singer";
/// The least number of states of one stream that are remembered.
const FEWEST: usize = 16;

/// A state that is to come back.
#[derive(Debug)]
struct Waiting {
    /// The first STATE that it stands for, by number, and the last.
    from: u64,
    seq: u64,
    hash: u128,
}

/// One stream of the destination's catalog.
#[derive(Debug)]
struct Addressee {
    /// Its name in Singer.
    stream: String,
    /// How a RECORD begins, up to its data.
    head: Vec<u8>,
    descriptor: Value,
    /// Had records since the last STATE.
    fresh: bool,
    waiting: VecDeque<Waiting>,
}

/// What is written to one destination.
#[derive(Debug)]
pub struct Outbound {
    streams: Vec<Addressee>,
    /// By name in Singer.
    index: HashMap<String, usize>,
    /// By the relay's number of the stream.
    routed: HashMap<usize, usize>,
    /// The stream of the last record.
    last: usize,
    /// The last STATE that was sent, by number.
    sent: u64,
    /// What it says beside that.
    pub remarks: Remarks,
    /// It passed over what it was given.
    pub distrusted: bool,
}

impl Outbound {
    /// To the destination of that name.
    pub fn new(name: &str, spec: &Airbyte) -> Outbound {
        let names = |(at, one): (usize, &Stream)| {
            let all = one.also.iter().chain([&one.stream]).cloned();
            all.map(|name| (name, at)).collect::<Vec<_>>()
        };
        Outbound {
            streams: spec.streams.iter().map(Addressee::of).collect(),
            index: spec.streams.iter().enumerate().flat_map(names).collect(),
            routed: HashMap::new(),
            last: 0,
            sent: 0,
            remarks: Remarks::of(name),
            distrusted: false,
        }
    }

    /// It was started again, and knows nothing of what its forerunner said.
    pub fn again(&mut self) {
        self.distrusted = false;
        self.remarks.again();
    }

    /// A SCHEMA of the stream with the relay's number. Whether the catalog has it.
    pub fn declare(&mut self, routed: usize, name: &str) -> bool {
        let known = self.index.get(name).copied();
        known.is_some_and(|at| {
            self.routed.insert(routed, at);
            true
        })
    }

    /// The RECORD (without newline) for one whose line and record are these. None for a stream that is not in the catalog. A fault: it is no JSON that a
    /// destination would read.
    pub fn record(&mut self, routed: usize, line: &[u8], record: Span) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some(at) = self.routed.get(&routed).copied() else {
            return Ok(None);
        };
        let data = &line[record];
        if let Some(why) = unreadable(data) {
            return Err(why);
        }
        let addressee = &mut self.streams[at];
        (addressee.fresh, self.last) = (true, at);
        let mut own = Vec::with_capacity(addressee.head.len() + data.len() + 40);
        own.extend_from_slice(&addressee.head);
        own.extend_from_slice(data);
        own.extend_from_slice(format!(r#","emitted_at":{}}}}}"#, emitted_at(line)).as_bytes());
        Ok(Some(own))
    }

    /// The states (without newlines) for the STATE of that number.
    pub fn states(&mut self, given: &[u8], seq: u64) -> Vec<Vec<u8>> {
        let held = String::from_utf8_lossy(given);
        let hash = xxh3_128(held.as_bytes());
        let most = (REMEMBERED / self.streams.len().max(1)).max(FEWEST);
        self.sent = seq;
        let fresh: BTreeSet<usize> = (0..self.streams.len()).filter(|at| self.streams[*at].fresh).collect();
        // Without new records any stream can say it.
        let chosen = if fresh.is_empty() {
            BTreeSet::from([self.last])
        } else {
            fresh
        };
        let mut lines = Vec::new();
        for at in chosen {
            let Some(addressee) = self.streams.get_mut(at) else {
                continue;
            };
            addressee.fresh = false;
            addressee.waiting.push_back(Waiting { from: seq, seq, hash });
            if addressee.waiting.len() > most {
                // The next one of the stream covers it, from where it did (I10).
                let from = addressee.waiting.pop_front().map_or(seq, |oldest| oldest.from);
                if let Some(next) = addressee.waiting.front_mut() {
                    next.from = from;
                }
            }
            let stream = json!({"stream_descriptor": addressee.descriptor, "stream_state": {HELD: held}});
            lines.push(
                json!({"type": "STATE", "state": {"type": "STREAM", "stream": stream}})
                    .to_string()
                    .into_bytes(),
            );
        }
        lines
    }

    /// What tells it, at the end of a source that ended well, that each stream is whole.
    pub fn complete(&self) -> Vec<Vec<u8>> {
        let now = now();
        let line = |addressee: &Addressee| {
            let status = json!({"stream_descriptor": addressee.descriptor, "status": "COMPLETE"});
            let trace = json!({"type": "STREAM_STATUS", "emitted_at": now, "stream_status": status});
            json!({"type": "TRACE", "trace": trace}).to_string().into_bytes()
        };
        self.streams.iter().map(line).collect()
    }

    /// A state that it printed: its stream, and the value that it holds. None if it is none of ours.
    pub fn named(&self, state: &[u8]) -> Option<(usize, String)> {
        let own = member(state, "stream").filter(|_| text(state, "type").as_deref() == Some("STREAM"))?;
        Some((self.described(own)?, text(member(own, "stream_state")?, HELD)?))
    }

    /// The Singer name of the stream that a part of a message is about.
    pub fn stream_of(&self, part: &[u8]) -> Option<String> {
        Some(self.streams[self.described(part)?].stream.clone())
    }

    fn described(&self, part: &[u8]) -> Option<usize> {
        let descriptor = member(part, "stream_descriptor")?;
        let space = text(descriptor, "namespace").filter(|space| !space.is_empty());
        self.find(&text(descriptor, "name")?, space.as_deref())
    }

    fn find(&self, name: &str, space: Option<&str>) -> Option<usize> {
        let is = |one: &Addressee| {
            one.descriptor["name"] == name && one.descriptor.get("namespace").and_then(Value::as_str) == space
        };
        self.streams.iter().position(is)
    }

    /// The number of the STATE that a stream's state is of, if that is waited for.
    pub fn awaited(&self, stream: usize, held: &str) -> Option<u64> {
        let hash = xxh3_128(held.as_bytes());
        let found = self.streams.get(stream)?.waiting.iter().find(|one| one.hash == hash)?;
        Some(found.seq)
    }

    /// A stream's states up to that of the STATE with this number have come back. Up to which STATE all have.
    pub fn confirm(&mut self, stream: usize, seq: u64) -> u64 {
        if let Some(addressee) = self.streams.get_mut(stream) {
            while addressee.waiting.front().is_some_and(|one| one.seq <= seq) {
                addressee.waiting.pop_front();
            }
        }
        let first = self
            .streams
            .iter()
            .filter_map(|one| Some(one.waiting.front()?.from))
            .min();
        first.map_or(self.sent, |first| first - 1)
    }

    /// The Singer line (with a newline) that one of its RECORDs was made of.
    pub fn singer(&self, line: &[u8]) -> Option<Vec<u8>> {
        let message::Message::Record(record) = message::read(line) else {
            return None;
        };
        let name = record.stream?.to_str_lossy().into_owned();
        let space = record.namespace.map(|space| space.to_str_lossy().into_owned());
        let mut own = head(&self.streams[self.find(&name, space.as_deref())?].stream);
        tail(line, &record, &mut own);
        Some(own)
    }
}

impl Addressee {
    fn of(stream: &Stream) -> Addressee {
        let mut descriptor = json!({"name": stream.name});
        let mut space = String::new();
        if let Some(name) = stream.namespace.as_ref().filter(|name| !name.is_empty()) {
            descriptor["namespace"] = json!(name);
            space = format!(r#","namespace":{}"#, json!(name));
        }
        let name = json!(stream.name);
        Addressee {
            stream: stream.stream.clone(),
            head: format!(r#"{{"type":"RECORD","record":{{"stream":{name}{space},"data":"#).into_bytes(),
            descriptor,
            fresh: false,
            waiting: VecDeque::new(),
        }
    }
}

/// Why a destination would pass a record over: the readers of the CDK (orjson, airbyte-cdk 7.39) log that they cannot read a line, and go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

fn unreadable(data: &[u8]) -> Option<Unreadable> {
    let mut nonstandard = 0;
    if value(data, 0, &mut nonstandard).is_ok() && nonstandard > 0 {
        return Some(Unreadable("NaN or Infinity, which a destination does not read"));
    }
    half_a_character(data).then_some(Unreadable(
        "half of a surrogate pair, which a destination does not read",
    ))
}

/// Whether a text in it holds one half of a surrogate pair.
fn half_a_character(data: &[u8]) -> bool {
    let unit = |at: usize| {
        let digits = data.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &data[at.min(data.len())..]) {
        at += found;
        at += match unit(at) {
            None => 2,
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => return true,
            Some(_) => 6,
        };
    }
    false
}

/// When a record was read, in milliseconds since 1970: what its message says, else now.
fn emitted_at(line: &[u8]) -> u64 {
    let mut stamp = None;
    let found: Result<usize, Fault> = object(line, singer_protocol::json::blank(line, 0), &mut |key, at| {
        let end = value(line, at, &mut 0)?;
        if key.is(b"time_extracted") {
            stamp = (peek(line, at) == b'"').then_some(at + 1..end - 1);
        }
        Ok(end)
    });
    let said = found
        .ok()
        .and(stamp)
        .and_then(|span| moment(std::str::from_utf8(&line[span]).ok()?));
    said.unwrap_or_else(now)
}

fn now() -> u64 {
    millis(SystemTime::now())
}

fn millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// A moment as RFC 3339 writes it, with any offset.
fn moment(text: &str) -> Option<u64> {
    let (local, offset) = match text.get(text.len().checked_sub(6)?..)?.as_bytes() {
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()) => {
            let two = |tens: &u8, ones: &u8| u64::from(tens - b'0') * 10 + u64::from(ones - b'0');
            let seconds = Duration::from_secs(two(h1, h2) * 3600 + two(m1, m2) * 60);
            (&text[..text.len() - 6], Some((*sign == b'-', seconds)))
        }
        _ => (text, None),
    };
    let local = humantime::parse_rfc3339_weak(local).ok()?;
    let at = match offset {
        None => local,
        Some((true, seconds)) => local.checked_add(seconds)?,
        Some((false, seconds)) => local.checked_sub(seconds)?,
    };
    Some(millis(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(names: &[&str]) -> Outbound {
        let streams: Vec<Value> = names.iter().map(|name| json!({"name": name, "stream": name})).collect();
        let spec: Airbyte = serde_json::from_value(json!({"streams": streams})).unwrap();
        let mut found = Outbound::new("d", &spec);
        for (number, name) in names.iter().enumerate() {
            assert!(found.declare(number, name));
        }
        found
    }

    fn send(to: &mut Outbound, routed: usize) {
        let line = br#"{"type":"RECORD","stream":"a","record":{"x":1}}"#;
        assert!(to.record(routed, line, 39..46).unwrap().is_some());
    }

    #[test]
    fn a_state_counts_when_every_stream_before_it_has_said_so() {
        let mut to = outbound(&["a", "b"]);
        send(&mut to, 0);
        send(&mut to, 1);
        assert_eq!(to.states(b"{\"n\":1}", 1).len(), 2);
        send(&mut to, 1);
        assert_eq!(to.states(b"{\"n\":2}", 2).len(), 1);
        assert_eq!(
            to.states(b"{\"n\":3}", 3).len(),
            1,
            "no records: the last stream says it"
        );
        assert_eq!(to.awaited(1, "{\"n\":3}"), Some(3));
        assert_eq!(to.awaited(0, "{\"n\":2}"), None);
        assert_eq!(to.confirm(1, 3), 0, "the first stream has said nothing");
        assert_eq!(to.confirm(0, 1), 3);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_nothing_is_confirmed_by_that() {
        let mut to = outbound(&["a", "b"]);
        send(&mut to, 1);
        to.states(b"0", 1);
        for seq in 2..=REMEMBERED as u64 + 100 {
            send(&mut to, 0);
            to.states(seq.to_string().as_bytes(), seq);
        }
        let held: usize = to.streams.iter().map(|one| one.waiting.len()).sum();
        assert!(held <= REMEMBERED);
        let last = to.sent;
        assert_eq!(to.confirm(1, 1), 1, "the oldest of the other stream is still open");
        assert_eq!(to.awaited(0, "5"), None);
        assert_eq!(to.confirm(0, last), last);
    }

    #[test]
    fn moments() {
        assert_eq!(moment("2026-11-23T04:15:31.741Z"), Some(1_795_407_331_741));
        assert_eq!(moment("2026-11-23T04:15:31.741000+00:00"), Some(1_795_407_331_741));
        assert_eq!(moment("2026-11-23T05:45:31.741+01:30"), Some(1_795_407_331_741));
        assert_eq!(moment("2026-11-22T23:15:31.741-05:00"), Some(1_795_407_331_741));
        for none in [
            "",
            "x",
            "yesterday",
            "2026-11-23T04:15:31+0é:00",
            "2026-13-23T04:15:31Z",
        ] {
            assert_eq!(moment(none), None, "{none}");
        }
    }

    #[test]
    fn halves() {
        for (data, half) in [
            (r#"{"a":"\ud83d\ude00"}"#, false),
            (r#"{"a":"\ud83d"}"#, true),
            (r#"{"a":"\ude00\ud83d"}"#, true),
            (r#"{"a":"\\ud83d"}"#, false),
            (r#"{"a":"\\\ud83d"}"#, true),
            (r#"{"a":"\u00e9\n"}"#, false),
        ] {
            assert_eq!(half_a_character(data.as_bytes()), half, "{data}");
        }
        assert!(unreadable(br#"{"a":NaN}"#).is_some() && unreadable(br#"{"a":"NaN"}"#).is_none());
    }
}
