//! One line judged and counted: which stream it belongs to, whether its SCHEMA came first, whether policy lets it pass.

use crate::check::breach::Breach;
use crate::check::scan::{self, Found};
use crate::check::schema::Node;
use crate::check::{Checks, Judged};
use crate::event::StreamTotals;
use crate::junk::JunkCounts;
use crate::plan::{BatchPolicy, CheckPolicy, JunkPolicy, Policy};
use crate::verdict::Failure;
use singer_protocol::envelope::{self, Envelope, Kind};
use singer_protocol::error::{Code, Fault};
use singer_protocol::line::{inspect, Check, Junk, Line};
use singer_protocol::state::fingerprint;
use singer_protocol::text::Text;
use std::collections::HashMap;
use std::ops::Range;

/// More streams, or more bytes of their names, are not kept track of (I10).
const MOST_STREAMS: usize = 100_000;
const MOST_NAMES: usize = 16 << 20;
/// A record line that has more than this before its record, beside the stream's name, is not recognised by it.
const PREFIX: usize = 256;

/// What a line turned out to be. Ranges are within the line.
#[derive(Debug, PartialEq, Eq)]
pub enum Routed {
    /// A record: counted, to be forwarded.
    Record,
    /// A STATE; its value.
    State(Range<usize>),
    /// A SCHEMA.
    Schema(SchemaSeen),
    /// A BATCH of the stream with this index: its files are still to be judged.
    Batch(usize),
    /// ACTIVATE_VERSION of the stream with this index.
    Activate(usize),
    /// A record whose columns were changed as a policy says: counted, and this line is to be forwarded in its place.
    Rewritten(Vec<u8>),
    /// A record of the stream with this index that breaks its SCHEMA: not counted, not to be forwarded.
    Rejected(usize, Box<Breach>),
    /// A record of that stream that nobody could judge: the run fails.
    Unjudged(usize, Box<Failure>),
    /// Not a message: counted, to be dropped; whether it is among the first of its kind.
    Junk(Junk, bool),
}

/// A SCHEMA message.
#[derive(Debug, PartialEq, Eq)]
pub struct SchemaSeen {
    /// The stream's index ([`Router::stream_name`]).
    pub stream: usize,
    /// The span of `schema`.
    pub schema: Range<usize>,
    /// The span of `key_properties`.
    pub keys: Option<Range<usize>>,
    /// Not the first of its stream.
    pub changed: bool,
    /// Neither the first nor different from the one before.
    pub repeated: bool,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) raw: Vec<u8>,
    /// The bytes of the last record line up to its record's bracket: the next one mostly begins the same.
    prefix: Vec<u8>,
    pub(crate) totals: StreamTotals,
    schema: Option<(u128, u128)>,
}

/// The counters of one hop.
#[derive(Debug)]
pub struct Router {
    check: Check,
    pub(crate) policy: Policy,
    pub(crate) streams: Vec<Stream>,
    pub(crate) index: HashMap<Vec<u8>, usize>,
    last: usize,
    /// Where the last record stands in its line, if that is known.
    span: Option<Range<usize>>,
    /// Bytes of all names.
    named: usize,
    /// Lines that were not messages.
    pub junk: JunkCounts,
    /// Records of all streams that passed.
    pub records: u64,
    /// Those of them that the receiver could not load.
    pub(crate) taken_back: u64,
    /// Messages of all kinds.
    pub messages: u64,
    /// Bare NaN and Infinity.
    pub nonstandard: u64,
    /// The streams' SCHEMAs.
    pub checks: Checks,
}

impl Router {
    /// A router with these policies.
    pub fn new(policy: &Policy) -> Router {
        let check = match policy.check {
            CheckPolicy::Json => Check::Json,
            CheckPolicy::Envelope => Check::Envelope,
        };
        let (junk, policy) = (JunkCounts::default(), policy.clone());
        let (streams, index) = (Vec::new(), HashMap::new());
        Router {
            check,
            policy,
            streams,
            index,
            last: 0,
            span: None,
            named: 0,
            junk,
            records: 0,
            taken_back: 0,
            messages: 0,
            nonstandard: 0,
            checks: Checks::default(),
        }
    }

    /// The same, where records are checked.
    pub fn with_checks(self, checks: Checks) -> Router {
        let check = if checks.on() { Check::Json } else { self.check };
        Router { check, checks, ..self }
    }

    /// The same, where records become columns: every byte of them is looked at.
    pub fn with_every_byte(self) -> Router {
        Router {
            check: Check::Json,
            ..self
        }
    }

    /// Judges one line. `size` is what it counts for, newline included; `utf8`: its bytes are known to be UTF-8.
    pub fn route(&mut self, line: &[u8], size: u64, utf8: bool) -> Result<Routed, Fault> {
        if utf8 && self.check == Check::Envelope {
            if let Some(stream) = self.streams.get_mut(self.last) {
                // The fast path: same stream, same spelling as the record before, and it ends as an object does.
                if !stream.prefix.is_empty() && line.starts_with(&stream.prefix) && ends_object(line) {
                    stream.totals.records += 1;
                    stream.totals.bytes += size;
                    self.records += 1;
                    self.messages += 1;
                    return Ok(Routed::Record);
                }
            }
        }
        if self.checks.on() {
            self.turn(line);
        }
        if let Some(routed) = self
            .checks
            .plain(self.last)
            .and_then(|node| self.glance(line, node, utf8))
        {
            self.nonstandard += routed.nonstandard;
            self.span = Some(routed.start..routed.end);
            return Ok(match routed.breach {
                Some(breach) => Routed::Rejected(self.last, Box::new(breach)),
                None => {
                    self.count(self.last, size);
                    Routed::Record
                }
            });
        }
        self.judge(line, size, self.check)
    }

    /// Streams may take turns: of a line that begins like none of the last stream's, the stream is looked up.
    #[inline(always)]
    fn turn(&mut self, line: &[u8]) {
        let last = self.streams.get(self.last);
        if last.is_some_and(|stream| !stream.prefix.is_empty() && line.starts_with(&stream.prefix)) {
            return;
        }
        let head = envelope::head(line).ok().filter(|head| head.partial);
        let name = head.and_then(|head| head.stream);
        if let Some(index) = name.and_then(|name| self.index.get(name.bytes().as_ref())) {
            self.last = *index;
        }
    }

    /// One pass over a record that is spelled as the one before it; none if it is not, or is no JSON.
    #[inline(always)]
    fn glance(&self, line: &[u8], node: &Node, utf8: bool) -> Option<Found> {
        let prefix = &self.streams.get(self.last)?.prefix;
        if !utf8 || prefix.is_empty() || !line.starts_with(prefix) {
            return None;
        }
        let mut found = scan::record(line, prefix.len() - 1, node).ok()?;
        found.nonstandard += envelope::tail(line, found.end).ok()??;
        Some(found)
    }

    fn count(&mut self, index: usize, size: u64) {
        self.messages += 1;
        self.count_rows(index, 1, size);
    }

    /// Where the record stands in the line that was judged last.
    pub fn record_span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }

    /// Judges a stream's last line that has no newline: every byte is checked, for it may have been cut anywhere.
    pub fn route_last(&mut self, line: &[u8], size: u64) -> Result<Routed, Fault> {
        self.judge(line, size, Check::Json)
    }

    /// A byte order mark before the first line.
    pub fn bom(&mut self) -> Result<bool, Fault> {
        self.drop_junk(Junk::Bom)
    }

    /// A stream's name for people.
    pub fn stream_name(&self, index: usize) -> &str {
        self.streams.get(index).map_or("", |s| &s.name)
    }

    /// The index of the stream of the last record.
    pub fn last_stream(&self) -> u32 {
        self.last as u32
    }

    fn judge(&mut self, line: &[u8], size: u64, check: Check) -> Result<Routed, Fault> {
        let envelope = match inspect(line, check)? {
            Line::Junk(kind) => return Ok(Routed::Junk(kind, self.drop_junk(kind)?)),
            Line::Message {
                envelope,
                nonstandard_numbers,
            } => {
                self.nonstandard += nonstandard_numbers;
                envelope
            }
        };
        let routed = match (envelope.kind, &envelope.stream) {
            (Kind::State, _) => Routed::State(envelope.value.clone().unwrap_or(0..0)),
            (Kind::Schema, Some(stream)) => self.schema(line, &envelope, stream)?,
            (Kind::Record, Some(stream)) => {
                let index = self.known(stream)?;
                return Ok(self.record(index, line, &envelope, size));
            }
            (Kind::Batch, _) if self.policy.batch == BatchPolicy::Refuse => {
                return Err(fault(
                    Code::BatchRefused,
                    "a BATCH message, and the receiver cannot load those",
                ));
            }
            (kind, Some(stream)) => {
                let index = self.known(stream)?;
                match kind {
                    Kind::Batch => Routed::Batch(index),
                    _ => Routed::Activate(index),
                }
            }
            (_, None) => return Err(fault(Code::BadMessage, "the message has no stream")),
        };
        self.messages += 1;
        Ok(routed)
    }

    fn record(&mut self, index: usize, line: &[u8], envelope: &Envelope<'_>, size: u64) -> Routed {
        self.last = index;
        self.span = envelope.record.clone().filter(|_| !envelope.partial);
        let judged = match &envelope.record {
            Some(span) if !envelope.partial => self.checks.record(index, line, span.start, span.end),
            _ => Judged::Good,
        };
        self.learn(index, line, envelope);
        match judged {
            Judged::Bad(breach) => return Routed::Rejected(index, Box::new(breach)),
            Judged::Unjudged(failure) => return Routed::Unjudged(index, Box::new(failure)),
            Judged::Good => self.count(index, size),
            Judged::Instead(line) => {
                self.count(index, line.len() as u64 + 1);
                return Routed::Rewritten(line);
            }
        }
        Routed::Record
    }

    /// Remembers how a record's line begins.
    fn learn(&mut self, index: usize, line: &[u8], envelope: &Envelope<'_>) {
        let start = match (&envelope.record, self.check) {
            (Some(span), Check::Envelope) if envelope.partial => span.start + 1,
            (Some(_), Check::Json) if self.checks.plain(index).is_some() => match envelope::head(line) {
                Ok(head) if head.partial => head.record.map_or(0, |span| span.start + 1),
                _ => return,
            },
            _ => return,
        };
        if let Some(stream) = self.streams.get_mut(index) {
            if start <= stream.raw.len() + PREFIX && line.get(..start) != Some(&stream.prefix[..]) {
                stream.prefix = line[..start].to_vec();
            }
        }
    }

    fn schema(&mut self, line: &[u8], envelope: &Envelope<'_>, name: &Text<'_>) -> Result<Routed, Fault> {
        let schema = envelope.schema.clone().unwrap_or(0..0);
        let keys = envelope.key_properties.clone();
        let print = |span: &Range<usize>| fingerprint(&line[span.clone()]).map(|p| p.hash);
        let prints = (print(&schema)?, keys.as_ref().map(print).transpose()?.unwrap_or(0));
        let stream = self.add(name)?;
        let before = self.streams[stream].schema.replace(prints);
        let changed = before.is_some();
        Ok(Routed::Schema(SchemaSeen {
            stream,
            schema,
            keys,
            changed,
            repeated: before == Some(prints),
        }))
    }

    /// The stream's index, or a fault when its SCHEMA has not come.
    fn known(&mut self, name: &Text<'_>) -> Result<usize, Fault> {
        if self.streams.get(self.last).is_some_and(|s| s.raw == name.raw) {
            return Ok(self.last);
        }
        let found = self.index.get(name.bytes().as_ref()).copied();
        found.ok_or_else(|| fault(Code::RecordBeforeSchema, "the message came before its stream's SCHEMA"))
    }

    fn add(&mut self, name: &Text<'_>) -> Result<usize, Fault> {
        if let Some(index) = self.index.get(name.bytes().as_ref()) {
            return Ok(*index);
        }
        self.named += name.raw.len();
        if self.streams.len() == MOST_STREAMS || self.named > MOST_NAMES {
            return Err(fault(Code::BadMessage, "more streams than can be kept track of"));
        }
        let key = name.bytes().into_owned();
        self.index.insert(key, self.streams.len());
        self.streams.push(Stream {
            name: name.to_str_lossy().into_owned(),
            raw: name.raw.to_vec(),
            prefix: Vec::new(),
            totals: StreamTotals::default(),
            schema: None,
        });
        Ok(self.streams.len() - 1)
    }

    fn drop_junk(&mut self, kind: Junk) -> Result<bool, Fault> {
        let told = self.junk.count(kind);
        match self.policy.junk {
            JunkPolicy::Drop => Ok(told),
            JunkPolicy::Fail => Err(fault(
                Code::Junk,
                match kind {
                    Junk::Blank => "a blank line, and junk is not allowed",
                    Junk::Text => "text that is no message, and junk is not allowed",
                    Junk::Array => "an array, and junk is not allowed",
                    Junk::Bom => "a byte order mark, and junk is not allowed",
                    Junk::UnknownType => "a message of unknown type, and junk is not allowed",
                },
            )),
        }
    }
}

/// A fault of a line as a whole.
pub(crate) fn fault(code: Code, reason: &'static str) -> Fault {
    Fault {
        code,
        offset: 0,
        truncated: false,
        reason,
    }
}

fn ends_object(line: &[u8]) -> bool {
    match line.last() {
        Some(b'}') => true,
        Some(b' ' | b'\t' | b'\r') => line.trim_ascii_end().last() == Some(&b'}'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(check: CheckPolicy) -> Router {
        Router::new(&Policy {
            check,
            ..Policy::default()
        })
    }

    fn feed(router: &mut Router, line: &str) -> Result<Routed, &'static str> {
        router
            .route(line.as_bytes(), line.len() as u64 + 1, true)
            .map_err(|f| f.code.as_str())
    }

    const SCHEMA: &str = r#"{"type":"SCHEMA","stream":"t","schema":{"a":1},"key_properties":["a"]}"#;

    #[test]
    fn the_fast_path_counts_as_the_slow_one_does() {
        let lines = [
            r#"{"type":"RECORD","stream":"t","record":{"a":1}}"#,
            r#"{"type":"RECORD","stream":"t","record":{"a":2}}   "#,
            r#"{"stream":"t","record":{"a":2},"type":"RECORD"}"#,
            r#"{"type": "RECORD", "stream": "t", "record": {"a": 3}}"#,
            r#"{"type":"RECORD","stream":"\u0074","record":{"a":2}}"#,
        ];
        let mut totals = Vec::new();
        for check in [CheckPolicy::Json, CheckPolicy::Envelope] {
            let mut router = router(check);
            feed(&mut router, SCHEMA).unwrap();
            for line in lines.iter().chain(&lines) {
                assert_eq!(feed(&mut router, line), Ok(Routed::Record), "{line}");
            }
            totals.push((router.records, router.messages, router.totals()["t"].bytes));
        }
        assert_eq!(totals[0], totals[1]);
        assert_eq!(totals[0].0, 10);
    }

    #[test]
    fn a_cut_record_is_no_record_on_the_fast_path_either() {
        let mut router = router(CheckPolicy::Envelope);
        feed(&mut router, SCHEMA).unwrap();
        feed(&mut router, r#"{"type":"RECORD","stream":"t","record":{"a":1}}"#).unwrap();
        assert_eq!(
            feed(&mut router, r#"{"type":"RECORD","stream":"t","record":{"a":1"#),
            Err("data.invalid_json")
        );
        let cut = br#"{"type":"RECORD","stream":"t","record":{"a":{"b":1}"#;
        assert_eq!(
            router.route_last(cut, 1).unwrap_err().code.as_str(),
            "data.invalid_json"
        );
    }

    #[test]
    fn schemas_first_changed_repeated() {
        let mut router = router(CheckPolicy::Json);
        let record = r#"{"type":"RECORD","stream":"t","record":{}}"#;
        assert_eq!(feed(&mut router, record), Err("data.record_before_schema"));
        let flags = |r: Routed| match r {
            Routed::Schema(s) => (s.changed, s.repeated),
            other => panic!("{other:?}"),
        };
        assert_eq!(flags(feed(&mut router, SCHEMA).unwrap()), (false, false));
        assert_eq!(
            flags(feed(&mut router, &SCHEMA.replace("{\"a\":1}", "{ \"a\" : 1 }")).unwrap()),
            (true, true)
        );
        assert_eq!(
            flags(feed(&mut router, &SCHEMA.replace("[\"a\"]", "[]")).unwrap()),
            (true, false)
        );
        assert_eq!(feed(&mut router, record), Ok(Routed::Record));
        let batch = r#"{"type":"BATCH","stream":"t","encoding":{},"manifest":[]}"#;
        assert_eq!(feed(&mut router, batch), Err("data.batch_refused"));
    }

    #[test]
    fn the_names_of_streams_are_bounded() {
        let mut router = router(CheckPolicy::Json);
        for n in 0..9 {
            let long = SCHEMA.replace("\"t\"", &format!("\"{}{n}\"", "x".repeat(2 << 20)));
            let fed = feed(&mut router, &long);
            assert_eq!(fed.is_ok(), n < 7, "{n}");
        }
        assert!(feed(
            &mut router,
            &SCHEMA.replace("\"t\"", &format!("\"{}0\"", "x".repeat(2 << 20)))
        )
        .is_ok());
    }

    #[test]
    fn junk_is_dropped_or_fails() {
        let mut router = router(CheckPolicy::Json);
        assert_eq!(feed(&mut router, "INFO x"), Ok(Routed::Junk(Junk::Text, true)));
        assert_eq!(
            feed(&mut router, r#"{"type":"LOG"}"#),
            Ok(Routed::Junk(Junk::UnknownType, true))
        );
        assert_eq!(
            feed(&mut router, r#"{"type":"state","value":1}"#),
            Err("data.bad_message")
        );
        let mut strict = Router::new(&Policy {
            junk: JunkPolicy::Fail,
            ..Policy::default()
        });
        assert_eq!(feed(&mut strict, ""), Err("data.junk"));
    }
}
