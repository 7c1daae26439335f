//! Discovery, and the run itself: SCHEMA, RECORD, STATE.

use std::collections::HashSet;
use std::io::Write;

use singer_plugin::catalog::Catalog;
use singer_plugin::message::{record_start, RECORD_END};
use singer_plugin::settings::Config;
use singer_plugin::texts::keys::all_there;
use singer_plugin::texts::mark::{Mark, State, Verdict};
use singer_plugin::texts::source::Facts;
use singer_plugin::texts::streams;
use singer_plugin::writer::Writer;
use singer_plugin::{Result, Sync};

use crate::columns::without;
use crate::lines::{Line, Lines, Place};
use crate::settings::Settings;
use crate::table::{catalog, Table, SOURCE_FILE, SOURCE_LINE};

/// What a stream's name lacks of its file's.
const ENDINGS: &[&str] = &[".jsonl", ".ndjson", ".json", ".log", ".txt"];
/// With more files than this in a bookmark a STATE at every file's end would be most of the output.
const MANY_FILES: usize = 100;

fn tables(settings: &Settings, wanted: impl Fn(&str) -> bool) -> Result<Vec<Table>> {
    let streams = streams::by_stream(&settings.storage, &settings.files, &settings.stream, ENDINGS)?;
    settings.wanted.check("tap-jsonl", streams.keys().map(String::as_str))?;
    let mut tables = Vec::new();
    for (stream, found) in streams.into_iter().filter(|(stream, _)| wanted(stream)) {
        let table = Table::look(settings, &stream, found)?;
        if table.is_empty() && settings.sample_rows > 0 {
            eprintln!("warning: stream {stream:?} has no records: its files are empty");
        }
        tables.push(table);
    }
    Ok(tables)
}

/// The catalog of all streams.
pub fn discover(config: &Config) -> Result<Catalog> {
    let mut tables = tables(&Settings::of(config)?, |_| true)?;
    tables.retain(|table| !table.is_empty());
    Ok(catalog(&tables))
}

/// Read what is selected and not read yet.
pub fn sync<W: Write>(sync: Sync<'_, W>) -> Result<()> {
    let settings = Settings::of(&sync.config)?;
    let chosen: Vec<_> = sync.catalog.streams.iter().filter(|s| s.is_selected()).collect();
    let tables = tables(&settings, |name| chosen.iter().any(|s| s.tap_stream_id == name))?;
    all_there(&chosen, tables.iter().map(|t| t.stream.as_str()))?;
    let mut run = Run {
        settings,
        state: State::of(sync.state)?,
        out: sync.out,
        since: 0,
        unsaid: true,
    };
    for mut table in tables {
        if let Some(chosen) = chosen.iter().find(|s| s.tap_stream_id == table.stream) {
            table.choose(chosen)?;
        }
        run.stream(&mut table)?;
    }
    match run.unsaid {
        true => run.emit(),
        false => Ok(()),
    }
}

struct Run<'a, W: Write> {
    settings: Settings,
    state: State,
    out: &'a mut Writer<W>,
    since: u64,
    /// The state differs from the last STATE sent.
    unsaid: bool,
}

/// How a stream's lines become RECORDs.
struct Layout {
    start: Vec<u8>,
    dropped: HashSet<Vec<u8>>,
    /// What stands before the line number, with the file's path.
    metadata: Option<Vec<u8>>,
}

impl Layout {
    fn write(&self, out: &mut Vec<u8>, record: &[u8], line: u64) {
        out.extend_from_slice(&self.start);
        match self.dropped.is_empty() {
            true => out.extend_from_slice(record),
            false => without(&self.dropped, record, out),
        }
        if let Some(before) = &self.metadata {
            out.pop(); // the closing bracket
            while out.last().is_some_and(u8::is_ascii_whitespace) {
                out.pop();
            }
            if out.last() != Some(&b'{') {
                out.push(b',');
            }
            out.extend_from_slice(before);
            out.extend_from_slice(line.to_string().as_bytes());
            out.push(b'}');
        }
        out.extend_from_slice(RECORD_END);
    }
}

impl<W: Write> Run<'_, W> {
    fn stream(&mut self, table: &mut Table) -> Result<()> {
        table.settle(&mut self.state);
        self.unsaid = true;
        // Of a stream that has no record nothing is known that a destination could be made of.
        if !table.is_empty() || self.settings.sample_rows == 0 {
            self.out.schema(&table.message())?;
        }
        for facts in &table.files {
            self.file(table, facts)?;
        }
        Ok(())
    }

    /// The lines that are new, and the mark to count on from.
    fn open(&self, table: &Table, facts: &Facts, key: &str) -> Result<Option<(Lines, Mark)>> {
        let old = self.state.mark(&table.stream, key)?;
        let mut mark = Mark::start(facts);
        match (Mark::judge(old.as_ref(), facts), old) {
            (Verdict::Finished, _) => return Ok(None),
            (Verdict::GoOn, Some(old)) => {
                let from = Place {
                    bytes: old.bytes,
                    lines: old.lines,
                };
                if let Some(lines) = Lines::resume(facts, &self.settings, from)? {
                    (mark.rows, mark.lines, mark.bytes) = (old.rows, old.lines, old.bytes);
                    return Ok(Some((lines, mark)));
                }
                eprintln!("warning: the last line of {key} that was read has changed: it is read again from its start");
            }
            (Verdict::Replaced, _) => {
                eprintln!("warning: {key} is not the file that was read before: it is read again from its start");
            }
            _ => {}
        }
        Ok(Some((Lines::open(facts, &self.settings)?, mark)))
    }

    fn file(&mut self, table: &Table, facts: &Facts) -> Result<()> {
        let key = facts.found.address.to_string();
        let Some((mut lines, mut mark)) = self.open(table, facts, &key)? else {
            return Ok(());
        };
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let before = || format!("{}:{},{}:", text(SOURCE_FILE), text(&key), text(SOURCE_LINE)).into_bytes();
        let layout = Layout {
            start: record_start(&table.stream),
            dropped: table.dropped(),
            metadata: self.settings.metadata.then(before),
        };
        let mut skipped = 0_u64;
        while let Some(line) = lines.next()? {
            match line {
                Line::Object(from, to) => {
                    layout.write(self.out.buffer(), lines.bytes(from, to), lines.place().lines);
                    self.out.settle()?;
                    mark.rows += 1;
                    self.since += 1;
                }
                Line::Blank => continue,
                Line::Bad(code, why) => {
                    let hint = match code {
                        "data.invalid_utf8" => "set `encoding` to the file's encoding, or on_bad_line: skip",
                        "data.line_too_long" => "raise `max_line`, or set on_bad_line: skip",
                        _ => "mend the line, or set on_bad_line: skip",
                    };
                    self.bad(&mut skipped, lines.error(code, why).hint(hint))?;
                }
                Line::Unfinished => {
                    self.bad(&mut skipped, lines.unfinished())?;
                    break;
                }
            }
            if self.since >= self.settings.state_every {
                self.note(table, &key, &mut mark, lines.place());
                self.emit()?;
            }
        }
        if skipped > 0 {
            eprintln!("warning: {key}: {skipped} bad lines were left out");
        }
        mark.done = true;
        self.note(table, &key, &mut mark, lines.place());
        match self.since > 0 && self.state.file_count(&table.stream) <= MANY_FILES {
            true => self.emit(),
            false => Ok(()),
        }
    }

    /// A bad line ends the run, or is counted; the first of a file is told.
    fn bad(&self, skipped: &mut u64, error: singer_plugin::PluginError) -> Result<()> {
        if !self.settings.skip {
            return Err(error);
        }
        *skipped += 1;
        if *skipped == 1 {
            eprintln!("warning: left out: {}", error.message);
        }
        Ok(())
    }

    fn note(&mut self, table: &Table, key: &str, mark: &mut Mark, place: Place) {
        (mark.bytes, mark.lines) = (place.bytes, place.lines);
        self.state.set_mark(&table.stream, key, mark);
        self.unsaid = true;
    }

    fn emit(&mut self) -> Result<()> {
        self.since = 0;
        self.unsaid = false;
        self.out.state(self.state.value())
    }
}
