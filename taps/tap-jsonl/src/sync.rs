//! A JSON Lines file's lines as RECORDs.

use std::collections::HashSet;
use std::io::Write;

use singer_plugin::message::{record_start, RECORD_END};
use singer_plugin::texts::mark::Place;
use singer_plugin::texts::run::{File, Format, Reading, Run};
use singer_plugin::texts::source::Facts;
use singer_plugin::{PluginError, Result};

use crate::columns::without;
use crate::lines::{Line, Lines};
use crate::settings::Settings;
use crate::table::{dropped, look, Table, Values};

impl Format for Settings {
    const ENDINGS: &'static [&'static str] = &[".jsonl", ".ndjson", ".json", ".log", ".txt"];
    const ROW: &'static str = "line";
    type Typed = Values;
    type Layout = ();
    type Rows = Lines;

    fn look(&self, facts: &Facts, table: &mut Table, budget: &mut u64) -> Result<(Place, ())> {
        look(self, facts, table, budget)?;
        Ok((Place::default(), ()))
    }

    fn reads_empty(&self, stream: &str) -> bool {
        if self.shared.sample_rows > 0 {
            eprintln!("warning: stream {stream:?} has no records: its files are empty");
        }
        true
    }

    fn begin(&self, file: &File<()>) -> Result<Lines> {
        Lines::open(&file.facts, self)
    }

    fn resume(&self, file: &File<()>, from: Place) -> Result<Option<Lines>> {
        Lines::resume(&file.facts, self, from)
    }

    fn send<W: Write>(
        &self,
        run: &mut Run<'_, W>,
        table: &mut Table,
        _file: &File<()>,
        mut lines: Lines,
        reading: &mut Reading,
    ) -> Result<Place> {
        let layout = Layout {
            start: record_start(&table.stream),
            dropped: dropped(table),
            metadata: table.source_of(&reading.key),
        };
        let mut skipped = 0_u64;
        while let Some(line) = lines.next()? {
            match line {
                Line::Object(from, to) => {
                    layout.write(run.out.buffer(), lines.bytes(from, to), lines.place().lines);
                    run.out.settle()?;
                    run.sent(&table.stream, reading, || lines.place())?;
                }
                Line::Blank => {}
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
        }
        if skipped > 0 {
            eprintln!("warning: {}: {skipped} bad lines were left out", reading.key);
        }
        Ok(lines.place())
    }
}

impl Settings {
    /// A bad line ends the run, or is counted; the first of a file is told.
    fn bad(&self, skipped: &mut u64, error: PluginError) -> Result<()> {
        if !self.skip {
            return Err(error);
        }
        *skipped += 1;
        if *skipped == 1 {
            eprintln!("warning: left out: {}", error.message);
        }
        Ok(())
    }
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
