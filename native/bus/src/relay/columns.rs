//! Rows as columns on a hop whose receiver speaks Arrow: RECORDs that are gathered, BATCHes that pass, files that go.

use super::Relay;
use crate::check::Judged;
use crate::journal::Journal;
use crate::route::fault;
use crate::spool::{Spool, Spooled};
use crate::tally::{Entry, Sum};
use crate::transcode::{Kept, Leaving, Piece, Transcode};
use crate::verdict::Failure;
use arrow_array::RecordBatch;
use serde_json::{Map, Value};
use singer_protocol::columns::lines::Lines;
use singer_protocol::columns::spool;
use singer_protocol::envelope::{self, Envelope};
use singer_protocol::error::{Code, Fault};
use singer_protocol::framing::Line;
use singer_protocol::state::fingerprint;
use std::io;
use std::path::PathBuf;
use std::time::Instant;
use xxhash_rust::xxh3::xxh3_128;

/// The part of a hop that knows of columns.
#[derive(Debug)]
pub struct Columns {
    pub(super) gathered: Transcode,
    pub(crate) spooled: Spooled,
    /// Bytes of the files that BATCHes named.
    came: u64,
    /// Nothing came since then, and all that lies in the spool was given back.
    still: Option<Instant>,
}

impl Columns {
    /// `room`: bytes that may lie in the spool.
    pub fn new(spool: Box<dyn Spool>, room: u64) -> Columns {
        Columns {
            gathered: Transcode::default(),
            spooled: Spooled::new(spool, room),
            came: 0,
            still: None,
        }
    }
}

/// What a BATCH of Arrow files says.
struct Files {
    paths: Vec<PathBuf>,
    version: Option<i64>,
}

impl Files {
    /// None where the BATCH has another format.
    fn of(line: &[u8]) -> Option<Files> {
        let message: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let format = message.get("encoding")?.get("format")?.as_str()?;
        let names = message.get("manifest")?.as_array().filter(|_| format == "arrow")?;
        let paths = names.iter().map(|name| spool::path_of(name.as_str()?));
        Some(Files {
            paths: paths.collect::<Option<_>>()?,
            version: message.get("version").and_then(Value::as_i64),
        })
    }
}

impl Relay {
    /// The same, where the receiver speaks Arrow.
    pub fn with_columns(mut self, columns: Option<Columns>) -> Relay {
        if columns.is_some() {
            self.router = self.router.with_every_byte();
        }
        Relay { columns, ..self }
    }

    /// Whether records become columns here.
    pub(super) fn gathers(&self) -> bool {
        self.columns.is_some()
    }

    /// A record that passed: the line that was judged last. Whether it is in columns now; else it goes on as it came.
    pub(super) fn gather(&mut self, line: &Line) -> Result<bool, Fault> {
        let stream = self.router.last_stream() as usize;
        let Some(columns) = &mut self.columns else {
            return Ok(false);
        };
        let bytes = self.framer.slice(line.span());
        let span = match self.router.record_span() {
            Some(span) => span,
            None => envelope::scan(bytes)?.record.unwrap_or(0..0),
        };
        let (version, hash) = (version(bytes, &span)?, xxh3_128(bytes));
        let pushed = match columns.gathered.push(stream, &bytes[span.clone()], version, hash) {
            Ok(true) if columns.gathered.heavy() => self.emit(),
            Ok(true) => Ok(()),
            Ok(false) => {
                let record = bytes[span].to_vec();
                self.push(stream, &record, version, hash)
            }
            Err(fault) => Err(fault),
        };
        let held = self.or_as_it_came(pushed)?;
        if held {
            self.skip();
        }
        Ok(held)
    }

    /// The same of a line of our own making.
    pub(super) fn gather_own(&mut self, line: &[u8]) -> Result<bool, Fault> {
        let span = envelope::scan(line)?.record.unwrap_or(0..0);
        let version = version(line, &span)?;
        let pushed = self.push(self.router.last_stream() as usize, &line[span], version, xxh3_128(line));
        self.or_as_it_came(pushed)
    }

    /// Whether columns took a record. One that none can hold goes as a RECORD, behind what is gathered: a receiver that
    /// speaks Arrow reads those, too.
    fn or_as_it_came(&mut self, pushed: Result<(), Fault>) -> Result<bool, Fault> {
        match pushed {
            Ok(()) => Ok(true),
            Err(fault) if fault.code == Code::Schema => self.emit().map(|()| false),
            Err(fault) => Err(fault),
        }
    }

    fn push(&mut self, stream: usize, record: &[u8], version: Option<i64>, hash: u128) -> Result<(), Fault> {
        let mut tries = 0;
        while let Some(columns) = &mut self.columns {
            if columns.gathered.push(stream, record, version, hash)? {
                break;
            }
            tries += 1;
            if tries > 2 {
                return Err(fault(Code::BadMessage, "a record that fits no column"));
            }
            self.emit()?;
        }
        if self.columns.as_ref().is_some_and(|columns| columns.gathered.heavy()) {
            self.emit()?;
        }
        Ok(())
    }

    /// A STATE that has rows before it which have not left waits with them. Whether it does.
    pub(super) fn hold_state(&mut self, line: &Line) -> Result<bool, Fault> {
        let Some(columns) = self.columns.as_mut().filter(|columns| !columns.gathered.is_empty()) else {
            return Ok(false);
        };
        columns.gathered.mark(Kept {
            line: self.framer.slice(line.span()).to_vec(),
            records: self.router.records,
            messages: self.router.messages,
        });
        Ok(true)
    }

    /// A SCHEMA goes on to the receiver: what is gathered leaves before it.
    pub(super) fn declare_columns(&mut self, stream: usize, line: &[u8]) -> Result<(), Fault> {
        self.emit()?;
        let found = envelope::scan(line)?.schema.unwrap_or(0..0);
        let schema = serde_json::from_slice(&line[found]).unwrap_or(Value::Null);
        if let Some(columns) = &mut self.columns {
            columns.gathered.declare(stream, &schema);
        }
        Ok(())
    }

    /// Everything that is gathered leaves.
    pub fn emit(&mut self) -> Result<(), Fault> {
        let Some(columns) = self.columns.as_mut().filter(|columns| !columns.gathered.is_empty()) else {
            return Ok(());
        };
        for leaving in columns.gathered.take() {
            match leaving {
                Leaving::Rows(piece) => self.emit_rows(&piece)?,
                Leaving::State(kept) => self.emit_state(kept)?,
            }
        }
        Ok(())
    }

    fn emit_rows(&mut self, piece: &Piece) -> Result<(), Fault> {
        let name = self.name_for_receiver(piece.stream as usize).to_vec();
        let Some(columns) = &mut self.columns else {
            return Ok(());
        };
        let (path, size) = match columns.spooled.folder().seal(&piece.batch) {
            Ok(sealed) => sealed,
            Err(e) => return Err(self.spool_failed(&e)),
        };
        let mut line = b"{\"type\":\"BATCH\",\"stream\":\"".to_vec();
        line.extend_from_slice(&name);
        line.extend_from_slice(b"\",\"encoding\":{\"format\":\"arrow\"},\"manifest\":[");
        line.extend_from_slice(Value::from(spool::uri_of(&path)).to_string().as_bytes());
        line.push(b']');
        if let Some(version) = piece.version {
            line.extend_from_slice(format!(",\"version\":{version}").as_bytes());
        }
        if piece.partial {
            line.extend_from_slice(b",\"partial\":true");
        }
        line.push(b'}');
        self.ledger.accept_all(piece.stream, piece.sum);
        self.outlet.send(line.clone(), Entry::Batch(piece.sum));
        columns.spooled.lay(self.outlet.accepted(), &line, vec![path], size);
        Ok(())
    }

    fn emit_state(&mut self, kept: Kept) -> Result<(), Fault> {
        let found = envelope::scan(&kept.line)?.value.unwrap_or(0..0);
        let print = fingerprint(&kept.line[found.clone()])?;
        let end = self.outlet.accepted() + kept.line.len() as u64;
        self.ledger
            .forward(&kept.line[found], print, end, kept.records, kept.messages);
        self.outlet.send(kept.line, Entry::State);
        Ok(())
    }

    fn spool_failed(&mut self, e: &io::Error) -> Fault {
        let full = matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let code = if full { "env.disk_full" } else { "env.output" };
        let message = format!("rows cannot be put into the spool: {e}");
        self.failure = Some(Failure::run(code, message).setting("limits.spool"));
        fault(Code::BadMessage, "the spool cannot be written")
    }

    /// A BATCH whose files may be handed over. Whether it is to go on as it came; else its rows went another way.
    pub(super) fn batch(
        &mut self,
        stream: usize,
        line: &Line,
        journal: &mut Journal,
    ) -> Result<Option<(Vec<PathBuf>, u64, Sum)>, Fault> {
        self.emit()?;
        let bytes = self.framer.slice(line.span()).to_vec();
        let Some(files) = Files::of(&bytes).filter(|_| self.edge) else {
            return Ok(Some((Vec::new(), 0, Sum::default())));
        };
        let (mut batches, mut size, mut hash) = (Vec::new(), 0, 0u128);
        for path in &files.paths {
            let read = spool::read(path).and_then(|read| Ok((read, std::fs::metadata(path)?.len())));
            let (read, length) = read.map_err(|e| {
                self.detail = Some(format!("{}: {e}", path.display()));
                fault(Code::BadMessage, "a file of a BATCH cannot be read")
            })?;
            size += length;
            hash = hash.wrapping_add(xxh3_128(path.as_os_str().as_encoded_bytes()));
            batches.extend(read);
        }
        if let Some(columns) = &mut self.columns {
            columns.came += size;
        }
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        if batches.iter().all(|batch| self.router.checks.proven(stream, batch)) {
            self.router.count_rows(stream, rows, size);
            let sum = Sum { records: rows, hash };
            self.ledger.accept_all(stream as u32, sum);
            return Ok(Some((files.paths, size, sum)));
        }
        for batch in &batches {
            self.row_by_row(stream, line, &files, batch, journal)?;
        }
        self.emit()?;
        if let Some(columns) = &mut self.columns {
            for path in &files.paths {
                if columns.spooled.folder().holds(path) {
                    columns.spooled.folder().remove(path);
                }
            }
        }
        Ok(None)
    }

    /// Rows that are not all good go the way of records.
    fn row_by_row(
        &mut self,
        stream: usize,
        line: &Line,
        files: &Files,
        batch: &RecordBatch,
        journal: &mut Journal,
    ) -> Result<(), Fault> {
        let schema = self.router.checks.line(stream).and_then(|line| {
            let span = envelope::scan(line).ok()?.schema?;
            serde_json::from_slice(&line[span]).ok()
        });
        let lines = Lines::new(batch.schema_ref(), &schema.unwrap_or(Value::Null)).with_words();
        let mut before = b"{\"type\":\"RECORD\",\"stream\":\"".to_vec();
        before.extend_from_slice(self.router.stream_raw(stream));
        before.extend_from_slice(b"\",\"record\":");
        let after = files
            .version
            .map_or_else(|| "}".to_string(), |version| format!(",\"version\":{version}}}"));
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            text.clear();
            if let Err(unwritable) = lines.write(batch, row..row + 1, &before, after.as_bytes(), &mut text) {
                self.detail = Some(format!("column {}: {}", unwritable.column, unwritable.reason));
                return Err(fault(Code::BadMessage, "a row of a BATCH is no record"));
            }
            let span = before.len()..text.len() - after.len();
            match self.router.checks.record(stream, &text, span.start, span.end) {
                Judged::Good => {}
                Judged::Instead(own) => {
                    text = own;
                }
                Judged::Bad(breach) => {
                    self.reject_line(line, &text, stream, &breach, journal)?;
                    continue;
                }
                Judged::Unjudged(failure) => return self.unjudged(line, stream, failure),
            }
            self.router.count_rows(stream, 1, text.len() as u64 + 1);
            let span = envelope::scan(&text)?.record.unwrap_or(0..0);
            let hash = xxh3_128(&text);
            let pushed = self.push(stream, &text[span], files.version, hash);
            if !self.or_as_it_came(pushed)? {
                self.ledger.accept(stream as u32, hash);
                self.outlet.send(std::mem::take(&mut text), Entry::Record);
            }
        }
        Ok(())
    }

    /// Whether a line that the receiver printed gives a BATCH back.
    pub fn give_back(&mut self, line: &[u8]) -> bool {
        let given = self
            .columns
            .as_mut()
            .is_some_and(|columns| columns.spooled.give_back(line));
        if given {
            self.relieve(self.outlet.spill.is_none());
        }
        given
    }

    fn relieve(&mut self, all: bool) {
        let gone = self.columns.as_mut().and_then(|columns| columns.spooled.relieve(all));
        if let (Some(offset), Some(spill)) = (gone, &mut self.outlet.spill) {
            spill.forget(offset);
        }
    }

    /// When something is to be done if nothing more comes.
    pub(super) fn quiet_at(&self) -> Option<Instant> {
        let columns = self.columns.as_ref()?;
        let still = columns.still.filter(|_| columns.spooled.all_given_back());
        let still = still.map(|since| since + crate::transcode::QUIET);
        columns.gathered.due().into_iter().chain(still).min()
    }

    /// Nothing came for a while: what is gathered leaves, and what the receiver has given back makes room for a file that
    /// may be larger than what is left.
    pub(super) fn be_quiet(&mut self, now: Instant) -> Result<(), Fault> {
        let Some(columns) = &mut self.columns else {
            return Ok(());
        };
        if columns.gathered.due().is_some_and(|due| due <= now) {
            self.emit()?;
        }
        let Some(columns) = &mut self.columns else {
            return Ok(());
        };
        if columns
            .still
            .is_some_and(|since| since + crate::transcode::QUIET <= now)
            && columns.spooled.all_given_back()
        {
            columns.still = None;
            self.relieve(true);
        }
        Ok(())
    }

    /// Something came.
    pub(super) fn touch(&mut self) {
        if let Some(columns) = &mut self.columns {
            let now = Instant::now();
            columns.gathered.touch(now);
            columns.still = Some(now);
        }
    }

    /// Bytes of files that came with BATCHes, and of those that went with them.
    pub(super) fn file_bytes(&self) -> (u64, u64) {
        let of = |columns: &Columns| (columns.came, columns.spooled.laid());
        self.columns.as_ref().map_or((0, 0), of)
    }

    /// Whether the spool has no room.
    pub(super) fn spool_full(&self) -> bool {
        self.columns.as_ref().is_some_and(|columns| columns.spooled.full())
    }

    /// The writer starts again: what it had sealed and not told of goes.
    pub(super) fn clear_spool(&mut self) {
        if let Some(columns) = &mut self.columns {
            columns.spooled.clear();
        }
    }
}

/// The version of a record, wherever it stands in its line.
fn version(line: &[u8], record: &std::ops::Range<usize>) -> Result<Option<i64>, Fault> {
    let named = |part: &[u8]| memchr::memmem::find(part, b"\"version\"").is_some() || part.contains(&b'\\');
    if !named(&line[..record.start]) && !named(&line[record.end..]) {
        return Ok(None);
    }
    let found: Envelope<'_> = envelope::scan(line)?;
    let text = found.version.and_then(|span| std::str::from_utf8(&line[span]).ok());
    Ok(text.and_then(|text| text.parse().ok()))
}
