//! What the bus tells the control plane: one JSON object per line, each with `event` and `at`.
//!
//! Field for field `protocol/schemas/event.schema.json`. Values that plugins sent (a schema, a bookmark) are spliced in
//! as the bytes that came (I3): no digit is lost on the way to the state store.

use crate::junk::JunkCounts;
use crate::tally::Sum;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Records and bytes of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamTotals {
    /// RECORD messages.
    pub records: u64,
    /// Their bytes, newlines included.
    pub bytes: u64,
}

/// STATE messages to and from the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StateTotals {
    /// Forwarded.
    pub forwarded: u64,
    /// Confirmed: the number of bookmarks.
    pub confirmed: u64,
}

/// How far the last bookmark reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// Records before the STATE that it confirms.
    pub records: u64,
    /// Records forwarded.
    pub of: u64,
}

/// What the bus itself used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// CPU seconds in user mode.
    pub user_s: f64,
    /// CPU seconds in the kernel.
    pub sys_s: f64,
    /// Peak resident memory.
    pub max_rss_kb: u64,
}

/// The books of one stream ([`crate::tally`]): since the run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// RECORD messages.
    pub records: u64,
    /// The sum of their hashes, 32 hexadecimal digits.
    pub hash: String,
}

impl From<Sum> for Account {
    fn from(sum: Sum) -> Account {
        Account {
            records: sum.records,
            hash: format!("{:032x}", sum.hash),
        }
    }
}

/// Totals by stream name.
pub type Streams<'a> = BTreeMap<&'a str, StreamTotals>;

/// One event. Optional fields that are absent are left out, but for `code`, `signal`, `reason`, `child` and `exists`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs)] // the fields are documented in protocol/schemas/event.schema.json
pub enum Event<'a> {
    Started {
        run: &'a str,
        bus_version: &'a str,
    },
    Spawned {
        child: &'a str,
        role: &'a str,
        pid: i32,
    },
    Confined {
        child: &'a str,
        profile: &'a str,
        layout: &'a str,
        guarantees: &'a [String],
        missing: &'a [String],
    },
    Connection {
        child: &'a str,
        host: &'a str,
        port: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<&'a str>,
        outcome: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sent: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        received: Option<u64>,
    },
    Access {
        child: &'a str,
        kind: &'a str,
        what: &'a str,
        exists: Option<bool>,
    },
    /// Its `schema` is spliced in.
    Schema {
        stream: &'a str,
        key_properties: Option<Vec<String>>,
        changed: bool,
    },
    /// What is changed in what a child reads, how often by rule; and the stream's other name.
    Adapted {
        child: &'a str,
        stream: &'a str,
        #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
        alias: Option<&'a str>,
        changes: &'a BTreeMap<&'static str, u64>,
    },
    Counters {
        streams: Streams<'a>,
        junk: JunkCounts,
        bytes_in: u64,
        bytes_out: u64,
        states: u64,
        records: u64,
        rejected: &'a BTreeMap<String, u64>,
    },
    /// Its `value` is spliced in.
    Bookmark {
        records: u64,
        of: u64,
        seq: u64,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        streams: &'a BTreeMap<String, Account>,
    },
    /// A child ended as it should not have, and may be started again: the control plane's word is awaited. Its `state`, of
    /// a tap the STATE to go on from, is spliced in.
    Lost {
        child: &'a str,
        role: &'a str,
        code: &'a str,
        message: &'a str,
        exit: Option<i32>,
        signal: Option<i32>,
        /// Of a tap: records that came behind that STATE.
        tail: u64,
    },
    /// It was started again.
    Resumed {
        child: &'a str,
        /// Records that are delivered again.
        records: u64,
    },
    StateIgnored {
        why: &'a str,
        text: &'a str,
    },
    Log {
        child: &'a str,
        source: &'a str,
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        dropped: Option<u64>,
    },
    Junk {
        child: &'a str,
        kind: &'a str,
        line: u64,
        offset: u64,
        text: &'a str,
    },
    Reject {
        child: &'a str,
        stream: Option<&'a str>,
        rule: &'a str,
        reason: &'a str,
        path: &'a str,
        line: u64,
        offset: u64,
    },
    /// What a source that speaks the Airbyte protocol says about how far a stream is.
    StreamStatus {
        child: &'a str,
        stream: &'a str,
        status: &'a str,
    },
    /// What such a source expects to send.
    Estimate {
        child: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        stream: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        records: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// An error that such a source told of.
    Trouble {
        child: &'a str,
        kind: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        stream: Option<&'a str>,
    },
    SourceEof {},
    Exited {
        child: &'a str,
        code: Option<i32>,
        signal: Option<i32>,
        user_s: f64,
        sys_s: f64,
        max_rss_kb: u64,
        wall_s: f64,
        peak_kb: u64,
        peak_processes: u64,
    },
    Notice {
        code: &'a str,
        text: &'a str,
    },
    End(End<'a>),
}

/// The verdict; nothing follows it.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)] // as above
pub struct End<'a> {
    pub verdict: &'a str,
    pub reason: Option<&'a str>,
    pub child: Option<&'a str>,
    pub message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<&'a str>,
    pub streams: Streams<'a>,
    pub junk: JunkCounts,
    pub rejected: &'a BTreeMap<String, u64>,
    pub states: StateTotals,
    pub covered: Covered,
    pub last_bookmark_is_last_state: bool,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub wall_s: f64,
    pub bus: Usage,
}

/// The event as a line, stamped with the time, with `raw` as a further field whose value is JSON already.
pub fn encode(event: &impl Serialize, at: SystemTime, raw: Option<(&str, &[u8])>) -> Vec<u8> {
    // Structs of strings and numbers always serialize; an event that did not would still be one line of JSON.
    let mut line = serde_json::to_vec(event).unwrap_or_else(|_| br#"{"event":"notice"}"#.to_vec());
    line.pop();
    if let Some((field, value)) = raw {
        line.extend_from_slice(format!(",\"{field}\":").as_bytes());
        // A value is part of one line, so a raw carriage return is the only white space to tidy.
        line.extend(value.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }));
    }
    let stamp = humantime::format_rfc3339_micros(at);
    line.extend_from_slice(format!(",\"at\":\"{stamp}\"}}\n").as_bytes());
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn at() -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(1_795_000_000_000_001)
    }

    #[test]
    fn an_event_is_one_stamped_line() {
        let event = Event::Log {
            child: "t",
            source: "stderr",
            text: "a\nb",
            dropped: None,
        };
        let line = String::from_utf8(encode(&event, at(), None)).unwrap();
        let expected =
            r#"{"event":"log","child":"t","source":"stderr","text":"a\nb","at":"2026-11-18T11:06:40.000001Z"}"#;
        assert_eq!(line, format!("{expected}\n"));
    }

    #[test]
    fn a_plugins_value_keeps_its_digits() {
        let event = Event::Bookmark {
            records: 1,
            of: 2,
            seq: 3,
            streams: &BTreeMap::new(),
        };
        let value = br#"{"lsn":12345678901234567890.10}"#;
        let line = String::from_utf8(encode(&event, at(), Some(("value", value)))).unwrap();
        assert!(line.contains(r#""seq":3,"value":{"lsn":12345678901234567890.10},"at""#));
    }

    #[test]
    fn an_event_without_fields_is_still_an_object() {
        let line = String::from_utf8(encode(&Event::SourceEof {}, at(), None)).unwrap();
        assert!(line.starts_with(r#"{"event":"source_eof","at":""#));
    }
}
