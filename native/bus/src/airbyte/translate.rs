//! One line of a source after another: the Singer lines that it stands for, and what it says beside them.

use super::message::{member, read, text, Message, Record};
use super::remarks::Remarks;
use super::states::{Said, States};
use super::{Airbyte, Stream};
use crate::check::columns;
use crate::event::Event;
use crate::journal::Journal;
use crate::verdict::Failure;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

/// The end of the year 9999, in milliseconds.
const LAST: u64 = 253_402_300_799_999;

/// What is known of a stream while it is read.
#[derive(Debug)]
struct Reading {
    stream: Stream,
    /// Its SCHEMA went out.
    declared: bool,
    /// Records since the last STATE that counts them.
    since: u64,
    /// What its source said last about how far it is.
    status: Option<Status>,
    /// How the Singer line begins, up to the record.
    head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Open,
    Complete,
    Incomplete,
}

/// Translates what one source writes.
#[derive(Debug)]
pub struct Translator {
    writer: String,
    streams: Vec<Reading>,
    index: HashMap<(Vec<u8>, Vec<u8>), usize>,
    last: usize,
    states: States,
    /// Records of streams that are not in the catalog.
    strangers: u64,
    remarks: Remarks,
}

impl Translator {
    /// For the source of that name.
    pub fn new(writer: &str, spec: &Airbyte) -> Translator {
        let mut translator = Translator {
            writer: writer.to_string(),
            streams: Vec::new(),
            index: HashMap::new(),
            last: 0,
            states: States::of(spec.state.as_deref()),
            strangers: 0,
            remarks: Remarks::of(writer),
        };
        for stream in &spec.streams {
            let space = stream.namespace.clone().unwrap_or_default();
            let key = (space.into_bytes(), stream.name.clone().into_bytes());
            translator.index.insert(key, translator.streams.len());
            translator.streams.push(Reading {
                head: head(&stream.stream),
                stream: stream.clone(),
                declared: false,
                since: 0,
                status: None,
            });
        }
        translator
    }

    /// The source's config as it wants to have it from now on, once.
    pub fn renewed(&mut self) -> Option<Vec<u8>> {
        self.remarks.renewed()
    }

    /// Appends what a line (without its newline) stands for. `whole`: it had a newline.
    pub fn line(&mut self, line: &[u8], whole: bool, out: &mut Vec<u8>, journal: &mut Journal) -> Result<(), Failure> {
        match read(line) {
            Message::Record(record) => self.record(line, &record, out),
            Message::State(span) => return self.state(&line[span], line, out),
            Message::Log(span) => self.remarks.log(&line[span], journal),
            Message::Trace(span) if self.remarks.readable(&line[span.clone()], journal) => {
                self.trace(&line[span], journal);
            }
            Message::Control(span) => self.remarks.control(&line[span], journal),
            Message::Answer | Message::Trace(_) => {}
            Message::Hollow => hollow(line, out),
            Message::Strange => {
                out.extend_from_slice(line);
                if whole {
                    out.push(b'\n');
                }
            }
        }
        Ok(())
    }

    /// What is to be held against a source that exited with 0 (I11).
    pub fn verdict(&self) -> Option<Failure> {
        let name = &self.writer;
        if let Some(failure) = self.remarks.verdict() {
            return Some(failure);
        }
        let open = self
            .streams
            .iter()
            .find(|one| matches!(one.status, Some(Status::Open | Status::Incomplete)))?;
        let stream = &open.stream.stream;
        let message = format!("{name} exited with 0, but did not read {stream:?} to its end");
        let mut failure = Failure::of("plugin.exited", name, message);
        failure.stream = Some(stream.as_str().into());
        Some(failure)
    }

    fn record(&mut self, line: &[u8], record: &Record<'_>, out: &mut Vec<u8>) {
        let Some(index) = self.find(record) else {
            // Without a SCHEMA: what is to become of it is for the relay to say.
            let name = record
                .stream
                .map_or(String::new(), |name| name.to_str_lossy().into_owned());
            self.strangers += 1;
            out.extend_from_slice(&head(&name));
            return tail(line, record, out);
        };
        let reading = &mut self.streams[index];
        if !reading.declared {
            reading.declared = true;
            out.extend_from_slice(&reading.stream.schema_line());
        }
        reading.since += 1;
        let start = out.len();
        out.extend_from_slice(&reading.head);
        let data = out.len() - start;
        tail(line, record, out);
        let end = data + record.data.len();
        if let Some(own) = columns::without(&out[start..], data, end, &reading.stream.without) {
            out.truncate(start);
            out.extend_from_slice(&own);
        }
    }

    fn find(&mut self, record: &Record<'_>) -> Option<usize> {
        let name = record.stream?;
        let is = |stream: &Stream| {
            name.is(stream.name.as_bytes())
                && match (&record.namespace, &stream.namespace) {
                    (Some(given), Some(own)) => given.is(own.as_bytes()),
                    (None, own) => own.as_ref().is_none_or(String::is_empty),
                    (Some(_), None) => false,
                }
        };
        if self.streams.get(self.last).is_some_and(|reading| is(&reading.stream)) {
            return Some(self.last);
        }
        let space = record.namespace.map_or(Vec::new(), |space| space.bytes().into_owned());
        self.last = *self.index.get(&(space, name.bytes().into_owned()))?;
        Some(self.last)
    }

    /// The index of a stream, by name and namespace.
    fn known(&self, name: &str, namespace: Option<&str>) -> Option<usize> {
        let key = (
            namespace.unwrap_or_default().as_bytes().to_vec(),
            name.as_bytes().to_vec(),
        );
        self.index.get(&key).copied()
    }

    fn state(&mut self, state: &[u8], line: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let (streams, index) = (&self.streams, &self.index);
        let named = |name: &str, namespace: Option<&str>| {
            let key = (
                namespace.unwrap_or_default().as_bytes().to_vec(),
                name.as_bytes().to_vec(),
            );
            match index.get(&key) {
                Some(known) => streams[*known].stream.stream.clone(),
                None => namespace.map_or(name.to_string(), |space| format!("{space}-{name}")),
            }
        };
        let Some(said) = self.states.take(state, &named) else {
            hollow(line, out);
            return Ok(());
        };
        let (came, stream) = match said {
            Said::Stream(name, namespace) => match self.known(&name, namespace.as_deref()) {
                Some(known) => {
                    let reading = &mut self.streams[known];
                    (std::mem::take(&mut reading.since), Some(reading.stream.stream.clone()))
                }
                None => (0, Some(name)),
            },
            Said::All => {
                let each = self
                    .streams
                    .iter_mut()
                    .map(|reading| std::mem::take(&mut reading.since));
                (each.sum::<u64>() + std::mem::take(&mut self.strangers), None)
            }
        };
        if let Some(told) = counted(state).filter(|told| *told != came as f64) {
            let of = stream.as_ref().map_or(String::new(), |name| format!(" of {name:?}"));
            let text = format!(
                "{} counted {told} records{of} up to a STATE, and {came} came",
                self.writer
            );
            let mut failure = Failure::of("data.record_count", &self.writer, text);
            failure.stream = stream.map(Into::into);
            return Err(failure);
        }
        self.states.line(out);
        Ok(())
    }

    fn trace(&mut self, trace: &[u8], journal: &mut Journal) {
        let of = |part: &[u8]| {
            let found = member(part, "stream_descriptor")?;
            Some((
                text(found, "name")?,
                text(found, "namespace").filter(|space| !space.is_empty()),
            ))
        };
        match text(trace, "type").as_deref() {
            Some("ERROR") => {
                let Some(error) = member(trace, "error") else { return };
                let known = of(error).and_then(|(name, space)| self.known(&name, space.as_deref()));
                let stream = known.map(|known| self.streams[known].stream.stream.as_str());
                self.remarks.error(error, stream, journal);
            }
            Some("STREAM_STATUS") => {
                let Some((status, (name, space))) =
                    member(trace, "stream_status").and_then(|one| Some((text(one, "status")?, of(one)?)))
                else {
                    return;
                };
                let Some(known) = self.known(&name, space.as_deref()) else {
                    return;
                };
                let reading = &mut self.streams[known];
                reading.status = match status.as_str() {
                    "COMPLETE" => Some(Status::Complete),
                    "INCOMPLETE" => Some(Status::Incomplete),
                    "STARTED" | "RUNNING" => Some(Status::Open),
                    _ => return,
                };
                let status = status.as_str();
                let stream = reading.stream.stream.as_str();
                journal.remark(
                    &self.writer,
                    &Event::StreamStatus {
                        child: &self.writer,
                        stream,
                        status,
                    },
                );
            }
            Some("ESTIMATE") => {
                let Some(estimate) = member(trace, "estimate") else {
                    return;
                };
                let number = |name| {
                    let digits = std::str::from_utf8(member(estimate, name)?).ok()?;
                    digits
                        .parse::<f64>()
                        .ok()
                        .filter(|n| (0.0..1e18).contains(n))
                        .map(|n| n as u64)
                };
                let space = text(estimate, "namespace").filter(|space| !space.is_empty());
                let known = text(estimate, "name").and_then(|name| self.known(&name, space.as_deref()));
                let event = Event::Estimate {
                    child: &self.writer,
                    stream: known.map(|known| self.streams[known].stream.stream.as_str()),
                    records: number("row_estimate"),
                    bytes: number("byte_estimate"),
                };
                journal.remark(&self.writer, &event);
            }
            _ => {}
        }
    }
}

/// How the Singer line of a stream's record begins.
pub(crate) fn head(stream: &str) -> Vec<u8> {
    format!(
        r#"{{"type":"RECORD","stream":{},"record":"#,
        serde_json::Value::from(stream)
    )
    .into_bytes()
}

/// The rest of it: the record as it came, and when it was read.
pub(crate) fn tail(line: &[u8], record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&line[record.data.clone()]);
    let digits = record
        .emitted_at
        .clone()
        .and_then(|span| std::str::from_utf8(&line[span]).ok());
    let millis = digits.and_then(|digits| {
        digits
            .parse::<u64>()
            .ok()
            .or_else(|| digits.parse::<f64>().ok().map(|n| n as u64))
    });
    if let Some(millis) = millis.filter(|millis| (1..=LAST).contains(millis)) {
        let at = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis));
        out.extend_from_slice(format!(r#","time_extracted":"{at}""#).as_bytes());
    }
    out.extend_from_slice(b"}\n");
}

/// A message that lacks its content, as a Singer message that lacks it: it is judged like one, and its bytes are in its dead letter.
fn hollow(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"type":"RECORD","airbyte":"#);
    out.extend_from_slice(line);
    out.extend_from_slice(b"}\n");
}

/// How many records the source says that it sent since the STATE before.
fn counted(state: &[u8]) -> Option<f64> {
    let digits = member(member(state, "sourceStats")?, "recordCount")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
