//! `--tape-info`: what a tape holds, as one JSON document.

use crate::play::{breaks_off, open, reader};
use dativo_bus_engine::tape::{Header, Part};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use singer_protocol::envelope::{self, Kind};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Names of streams that are counted one by one (I10).
const MOST_STREAMS: usize = 100_000;

#[derive(Default, Serialize)]
struct Info {
    #[serde(flatten)]
    header: Option<Header>,
    /// Recordings in the file: one for each attempt.
    attempts: u64,
    /// Records of the tap's side, by stream.
    streams: BTreeMap<String, u64>,
    records: u64,
    states: u64,
    /// Bytes of the tap's side.
    bytes: u64,
    seconds: f64,
    /// Lines of stderr, by child.
    logged: BTreeMap<String, u64>,
    /// The last bookmark of the run.
    bookmark: Option<Box<RawValue>>,
    verdict: Option<String>,
    reason: Option<String>,
    child: Option<String>,
    message: Option<String>,
    /// Whether the recording goes to the end of the run.
    complete: bool,
}

#[derive(Deserialize)]
struct Told {
    event: String,
    value: Option<Box<RawValue>>,
    verdict: Option<String>,
    reason: Option<String>,
    child: Option<String>,
    message: Option<String>,
}

/// Prints it.
pub fn print(path: &Path) -> io::Result<()> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let mut reader = reader(open(path)?)?;
    let (mut info, mut held) = (Info::default(), Vec::new());
    loop {
        match reader.next_part() {
            Ok(Some(Part::Header(header))) => {
                info.attempts += 1;
                info.complete = false;
                info.header = Some(header);
                held.clear();
            }
            Ok(Some(Part::Bytes(part))) => {
                info.seconds = part.t as f64 / 1e6;
                match part.channel.split_once('.') {
                    Some(("in", "0")) => info.stream(&mut held, reader.bytes()),
                    Some(("stderr", child)) => *info.logged.entry(child.to_string()).or_default() += 1,
                    None if part.channel == "event" => info.event(reader.bytes()),
                    _ => {}
                }
            }
            Ok(Some(Part::Same(part))) => info.seconds = part.t as f64 / 1e6,
            Ok(None) => break,
            Err(e) if breaks_off(&e) && info.attempts > 0 => {
                info.complete = false;
                break;
            }
            Err(e) => return Err(named(e)),
        }
    }
    if info.attempts == 0 {
        return Err(named(io::Error::new(io::ErrorKind::InvalidData, "it is empty")));
    }
    info.line(&held);
    let mut text = serde_json::to_vec(&info)?;
    text.push(b'\n');
    io::stdout().lock().write_all(&text)
}

impl Info {
    fn stream(&mut self, held: &mut Vec<u8>, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if bytes.is_empty() {
            self.line(held);
            held.clear();
        }
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            if held.is_empty() && line.ends_with(b"\n") {
                self.line(line);
                continue;
            }
            held.extend_from_slice(line);
            if line.ends_with(b"\n") {
                self.line(held);
                held.clear();
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        let Ok(found) = envelope::head(line) else { return };
        match found.kind {
            Kind::Record => self.records += 1,
            Kind::State => self.states += 1,
            Kind::Schema => {}
            _ => return,
        }
        let Some(stream) = found.stream else { return };
        let name = stream.to_str_lossy();
        let number = u64::from(found.kind == Kind::Record);
        if let Some(count) = self.streams.get_mut(name.as_ref()) {
            *count += number;
        } else if self.streams.len() < MOST_STREAMS {
            self.streams.insert(name.into_owned(), number);
        }
    }

    fn event(&mut self, line: &[u8]) {
        let Ok(told) = serde_json::from_slice::<Told>(line) else {
            return;
        };
        match told.event.as_str() {
            "bookmark" => self.bookmark = told.value,
            "end" => {
                self.complete = true;
                (self.verdict, self.reason, self.child) = (told.verdict, told.reason, told.child);
                self.message = told.message.filter(|m| !m.is_empty());
            }
            _ => {}
        }
    }
}
