//! A BATCH whose receiver takes none: the rows of its files go on as RECORDs, as many at a time as the receiver takes.
//!
//! Both shapes of the message are known: the Meltano SDK's (`encoding` and `manifest`; its files hold bare records) and
//! PipelineWise's (`filepath` and `format`). Files of lines are read, plain or with gzip; whatever else ends the run
//! before a row is lost (I9).

use super::{Relay, TURN};
use crate::adapt::Changes;
use crate::journal::Journal;
use crate::route::{fault, Routed};

use crate::tally::Entry;
use crate::verdict::Failure;
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use singer_protocol::columns::spool;
use singer_protocol::envelope::{self, Kind};
use singer_protocol::error::{Code, Fault};
use singer_protocol::framing::Line;
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Instant;
use xxhash_rust::xxh3::xxh3_128;

/// Bytes that are read from a file at a time.
const BUFFER: usize = 64 << 10;

/// A BATCH whose files are being read.
pub struct Expansion {
    /// The message's line.
    line: Line,
    stream: usize,
    /// What stands before and behind each record.
    around: (Vec<u8>, Vec<u8>),
    files: VecDeque<PathBuf>,
    gzip: bool,
    reader: Option<Box<dyn BufRead>>,
    /// The number of the line in the file, from 1.
    row: u64,
}

impl fmt::Debug for Expansion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expansion({:?}, row {})", self.files, self.row)
    }
}

/// Where the rows of a BATCH lie.
struct Files {
    paths: VecDeque<PathBuf>,
    gzip: bool,
}

impl Files {
    /// An error says why they cannot be read here.
    fn of(message: &Map<String, Value>) -> Result<Files, String> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_ascii_lowercase);
        let encoding = message.get("encoding").and_then(Value::as_object).unwrap_or(message);
        let format = text(encoding.get("format")).unwrap_or_else(|| "jsonl".into());
        let compression = text(encoding.get("compression")).unwrap_or_else(|| "none".into());
        let gzip = match compression.as_str() {
            "none" | "" => false,
            "gzip" | "gz" => true,
            other => return Err(format!("compression {other}")),
        };
        if format != "jsonl" {
            return Err(format!("format {format}"));
        }
        let names: Vec<&Value> = match message.get("manifest").or_else(|| message.get("filepath")) {
            Some(Value::Array(names)) => names.iter().collect(),
            Some(name) => vec![name],
            None => Vec::new(),
        };
        let path = |name: &&Value| name.as_str().and_then(spool::path_of);
        let found: Option<VecDeque<PathBuf>> = names.iter().map(path).collect();
        match found {
            Some(paths) => Ok(Files { paths, gzip }),
            None => Err("files that are not on this machine".into()),
        }
    }
}

impl Relay {
    /// Begins to read the files of a BATCH: what comes behind it waits.
    pub(super) fn begin_expansion(&mut self, stream: usize, line: &Line, journal: &mut Journal) -> Result<(), Fault> {
        let bytes = self.framer.slice(line.span());
        let message: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
        let files = Files::of(&message).map_err(|why| {
            self.detail = Some(format!("its files are {why}, which the bus does not read"));
            fault(Code::BatchRefused, "a BATCH that the receiver cannot load")
        })?;
        let member = |key: &str| {
            message
                .get(key)
                .map_or_else(String::new, |value| format!(",\"{key}\":{value}"))
        };
        let mut before = b"{\"type\":\"RECORD\",\"stream\":\"".to_vec();
        before.extend_from_slice(self.router.stream_raw(stream));
        before.extend_from_slice(b"\",\"record\":");
        let after = format!("{}{}}}", member("version"), member("time_extracted")).into_bytes();
        if let Some(receiver) = &self.receiver {
            let changes = Changes::from([("batch", files.paths.len() as u64)]);
            receiver.tell(self.router.stream_name(stream), None, &changes, journal);
        }
        self.expansion = Some(Expansion {
            line: *line,
            stream,
            around: (before, after),
            files: files.paths,
            gzip: files.gzip,
            reader: None,
            row: 0,
        });
        Ok(())
    }

    /// Goes on with what was begun: until all files are read, the receiver has enough, or others want their turn.
    pub(super) fn go_on_expanding(&mut self, journal: &mut Journal) -> Option<Failure> {
        let since = Instant::now();
        while let Some(mut expansion) = self.expansion.take() {
            let line = expansion.line;
            let done = self.expand(&mut expansion, since, journal);
            match done {
                Ok(true) => self.skip(),
                Ok(false) => {
                    self.expansion = Some(expansion);
                    return None;
                }
                Err(fault) => {
                    if self.detail.is_none() {
                        self.detail = Some(format!("row {} of a file of a BATCH", expansion.row));
                    }
                    return Some(self.stop(&fault, &line));
                }
            }
        }
        None
    }

    fn expand(&mut self, expansion: &mut Expansion, since: Instant, journal: &mut Journal) -> Result<bool, Fault> {
        let mut row = Vec::new();
        while self.outlet.hungry() && !self.spool_full() {
            if since.elapsed() > TURN {
                self.resting = true;
                return Ok(false);
            }
            if !self.next_row(expansion, &mut row)? {
                return Ok(true);
            }
            let bare = row.trim_ascii();
            if bare.is_empty() {
                continue;
            }
            // PipelineWise's files may hold whole messages.
            let message = envelope::scan(bare).ok().filter(|found| found.kind == Kind::Record);
            let record = message.and_then(|found| found.record).map_or(bare, |span| &bare[span]);
            let mut text = expansion.around.0.clone();
            text.extend_from_slice(record);
            text.extend_from_slice(&expansion.around.1);
            self.take_row(expansion, text, journal)?;
        }
        Ok(false)
    }

    /// The next line of the files. `false`: there is none.
    fn next_row(&mut self, expansion: &mut Expansion, row: &mut Vec<u8>) -> Result<bool, Fault> {
        row.clear();
        loop {
            let Some(reader) = &mut expansion.reader else {
                let Some(path) = expansion.files.pop_front() else {
                    return Ok(false);
                };
                let opened = match &self.gate {
                    Some(gate) => gate.open(&path),
                    None => File::open(&path),
                };
                let opened = opened.map_err(|e| self.unreadable(&e, Some(&path)))?;
                expansion.reader = Some(match expansion.gzip {
                    true => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(opened))),
                    false => Box::new(BufReader::with_capacity(BUFFER, opened)),
                });
                continue;
            };
            let most = self.max_line as u64 + 1;
            let read = reader.take(most).read_until(b'\n', row);
            let count = read.map_err(|e| self.unreadable(&e, None))?;
            if count as u64 == most && row.last() != Some(&b'\n') {
                return Err(fault(
                    Code::LineTooLong,
                    "a row of a BATCH is longer than a line may be",
                ));
            }
            if count > 0 {
                expansion.row += 1;
                return Ok(true);
            }
            (expansion.reader, expansion.row) = (None, 0);
        }
    }

    fn unreadable(&mut self, error: &io::Error, path: Option<&PathBuf>) -> Fault {
        let which = path.map_or_else(String::new, |path| format!("{}: ", path.display()));
        self.detail = Some(format!("{which}{error}"));
        fault(Code::BadMessage, "a file of a BATCH cannot be read")
    }

    /// A row goes the way of a record.
    fn take_row(&mut self, expansion: &Expansion, text: Vec<u8>, journal: &mut Journal) -> Result<(), Fault> {
        let own = match self.router.route(&text, text.len() as u64 + 1, false)? {
            Routed::Record => text,
            Routed::Rewritten(own) => own,
            Routed::Rejected(stream, breach) => {
                return self.reject_line(&expansion.line, &text, stream, &breach, journal);
            }
            Routed::Unjudged(stream, failure) => return self.unjudged(&expansion.line, stream, *failure),
            _ => return Err(fault(Code::BadMessage, "a row of a BATCH is no record")),
        };
        if self.gathers() && self.gather_own(&own)? {
            return Ok(());
        }
        let own = self.dress(&expansion.line, Some(&own), journal)?.unwrap_or(own);
        if self.edge {
            self.ledger.accept(expansion.stream as u32, xxh3_128(&own));
        }
        self.outlet.send(own, Entry::Record);
        Ok(())
    }
}
