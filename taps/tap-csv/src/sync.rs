//! Discovery, and the run itself: SCHEMA, RECORD, STATE.

use std::io::Write;

use csv::ByteRecord;
use singer_plugin::catalog::Catalog;
use singer_plugin::message::{record_start, RECORD_END};
use singer_plugin::settings::Config;
use singer_plugin::texts::keys;
use singer_plugin::texts::mark::{Mark, State, Verdict};
use singer_plugin::texts::streams;
use singer_plugin::writer::Writer;
use singer_plugin::{Result, Sync};

use crate::rows::{Place, Rows};
use crate::settings::Settings;
use crate::table::{catalog, is_null, File, Table, SOURCE_FILE, SOURCE_LINE};
use crate::texts;

/// What a stream's name lacks of its file's.
const ENDINGS: &[&str] = &[".csv", ".tsv", ".txt", ".tab"];
/// With more files than this in a bookmark a STATE at every file's end would be most of the output.
const MANY_FILES: usize = 100;

fn tables(settings: &Settings, wanted: impl Fn(&str) -> bool) -> Result<Vec<Table>> {
    let streams = streams::by_stream(&settings.storage, &settings.files, &settings.stream, ENDINGS)?;
    settings.wanted.check("tap-csv", streams.keys().map(String::as_str))?;
    let mut tables = Vec::new();
    for (stream, found) in streams.into_iter().filter(|(stream, _)| wanted(stream)) {
        let table = Table::look(settings, &stream, found)?;
        match table.columns.is_empty() {
            true => eprintln!("warning: stream {stream:?} has no columns: its files are empty"),
            false => tables.push(table),
        }
    }
    Ok(tables)
}

/// The catalog of all streams.
pub fn discover(config: &Config) -> Result<Catalog> {
    Ok(catalog(&tables(&Settings::of(config)?, |_| true)?))
}

/// Read what is selected and not read yet.
pub fn sync<W: Write>(sync: Sync<'_, W>) -> Result<()> {
    let settings = Settings::of(&sync.config)?;
    let chosen: Vec<_> = sync.catalog.streams.iter().filter(|s| s.is_selected()).collect();
    let tables = tables(&settings, |name| chosen.iter().any(|s| s.tap_stream_id == name))?;
    keys::all_there(&chosen, tables.iter().map(|t| t.stream.as_str()))?;
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

/// One file's way into the table's records.
struct Layout {
    start: Vec<u8>,
    /// Field of the row, column of the table, and what stands before the value.
    cells: Vec<(usize, usize, Vec<u8>)>,
    width: usize,
    longest_null: usize,
    /// What stands before the line number, with the file's path.
    metadata: Option<Vec<u8>>,
}

impl Layout {
    fn of(table: &Table, file: &File, settings: &Settings) -> Self {
        let mut cells = Vec::new();
        let key = |name: &str, first: bool| {
            let mut key = if first { vec![] } else { vec![b','] };
            texts::string(&mut key, name.as_bytes());
            key.push(b':');
            key
        };
        for (field, column) in file.fields.iter().enumerate() {
            if table.columns[*column].selected {
                cells.push((field, *column, key(&table.columns[*column].name, cells.is_empty())));
            }
        }
        let metadata = settings.metadata.then(|| {
            let mut text = key(SOURCE_FILE, cells.is_empty());
            texts::string(&mut text, file.facts.found.address.to_string().as_bytes());
            text.extend(key(SOURCE_LINE, false));
            text
        });
        let longest_null = settings.null_values.iter().map(Vec::len).max().unwrap_or(0);
        let mut start = record_start(&table.stream);
        start.push(b'{');
        Layout {
            start,
            cells,
            width: file.fields.len(),
            longest_null,
            metadata,
        }
    }

    /// Append the record of a row; the cell that does not fit its column, if one does not.
    #[inline]
    fn write(
        &self,
        out: &mut Vec<u8>,
        row: &ByteRecord,
        table: &Table,
        nulls: &[Vec<u8>],
        line: u64,
    ) -> std::result::Result<(), usize> {
        out.extend_from_slice(&self.start);
        for (field, column, key) in &self.cells {
            out.extend_from_slice(key);
            let text = &row[*field];
            if text.len() <= self.longest_null && is_null(nulls, text) {
                out.extend_from_slice(b"null");
                continue;
            }
            let column = &table.columns[*column];
            let fits = if column.fixed {
                column.kind.write_fixed(out, text)
            } else {
                column.kind.write(out, text)
            };
            if !fits {
                return Err(*field);
            }
        }
        if let Some(before) = &self.metadata {
            out.extend_from_slice(before);
            out.extend_from_slice(line.to_string().as_bytes());
        }
        out.push(b'}');
        out.extend_from_slice(RECORD_END);
        Ok(())
    }
}

impl<W: Write> Run<'_, W> {
    fn stream(&mut self, table: &mut Table) -> Result<()> {
        table.settle(&mut self.state);
        self.unsaid = true;
        self.out.schema(&table.message())?;
        for file in table.files.clone() {
            self.file(table, &file)?;
        }
        Ok(())
    }

    /// The rows that are new, and the mark to count on from.
    fn open(&self, table: &Table, file: &File, key: &str) -> Result<Option<(Rows, Mark)>> {
        let old = self.state.mark(&table.stream, key)?;
        let mut mark = Mark {
            lines: file.start.lines,
            bytes: file.start.bytes,
            ..Mark::start(&file.facts)
        };
        match (Mark::judge(old.as_ref(), &file.facts), old) {
            (Verdict::Finished, _) => return Ok(None),
            (Verdict::GoOn, Some(old)) => {
                let from = Place {
                    bytes: old.bytes,
                    lines: old.lines,
                };
                if let Some(rows) = Rows::resume(&file.facts, &self.settings, from)? {
                    (mark.rows, mark.lines, mark.bytes) = (old.rows, old.lines, old.bytes);
                    return Ok(Some((rows, mark)));
                }
                eprintln!(
                    "warning: the last row of {} that was read has changed: it is read again from its start",
                    file.facts.found.address
                );
            }
            (Verdict::Replaced, _) => {
                eprintln!(
                    "warning: {} is not the file that was read before: it is read again from its start",
                    file.facts.found.address
                );
            }
            _ => {}
        }
        let mut rows = Rows::open(&file.facts, &self.settings)?;
        if file.start != Place::default() {
            rows.next(&mut ByteRecord::new())?; // the header, checked when the file was looked at
        }
        Ok(Some((rows, mark)))
    }

    fn file(&mut self, table: &mut Table, file: &File) -> Result<()> {
        let key = file.facts.found.address.to_string();
        let Some((mut rows, mut mark)) = self.open(table, file, &key)? else {
            return Ok(());
        };
        let layout = Layout::of(table, file, &self.settings);
        let mut row = ByteRecord::new();
        while rows.next(&mut row)? {
            if row.len() != layout.width {
                let what = format!("{} fields where the header has {}", row.len(), layout.width);
                return Err(rows
                    .error(&row, "data.bad_source", &what)
                    .hint("check `delimiter` and `quote`, or mend the row"));
            }
            if !row.as_slice().is_ascii() {
                self.check_text(&rows, &row)?;
            }
            self.row(table, &layout, &rows, &row)?;
            mark.rows += 1;
            self.since += 1;
            if self.since >= self.settings.state_every {
                self.mark(table, &key, &mut mark, &rows)?;
            }
        }
        mark.done = true;
        self.note(table, &key, &mut mark, &rows);
        match self.since > 0 && self.state.file_count(&table.stream) <= MANY_FILES {
            true => self.emit(),
            false => Ok(()),
        }
    }

    fn row(&mut self, table: &mut Table, layout: &Layout, rows: &Rows, row: &ByteRecord) -> Result<()> {
        let line = if layout.metadata.is_some() { rows.line(row) } else { 0 };
        loop {
            let out = self.out.buffer();
            let at = out.len();
            let Err(field) = layout.write(out, row, table, &self.settings.null_values, line) else {
                break;
            };
            out.truncate(at);
            let Some((_, column, _)) = layout.cells.iter().find(|cell| cell.0 == field) else {
                break;
            };
            let column = &mut table.columns[*column];
            if column.fixed {
                let what = format!(
                    "column {:?} is not of type {}, as `types` says",
                    column.name,
                    column.kind.name()
                );
                return Err(rows
                    .error(row, "data.bad_source", &what)
                    .hint("take the column out of `types`, or mend the row"));
            }
            // The column widens, and its stream's SCHEMA comes again before the row that needs it.
            column.kind = column.kind.widened(&row[field]);
            self.state
                .set_column(&table.stream, &column.name, column.kind.name().into());
            let schema = table.message();
            self.out.schema(&schema)?;
        }
        self.out.settle()
    }

    #[cold]
    fn check_text(&self, rows: &Rows, row: &ByteRecord) -> Result<()> {
        match row.iter().position(|field| std::str::from_utf8(field).is_err()) {
            None => Ok(()),
            Some(field) => Err(rows
                .error(row, "data.invalid_utf8", &format!("field {} is not UTF-8", field + 1))
                .hint("set `encoding` to the file's encoding, such as windows-1252")),
        }
    }

    fn note(&mut self, table: &Table, key: &str, mark: &mut Mark, rows: &Rows) {
        let place = rows.place();
        (mark.bytes, mark.lines) = (place.bytes, place.lines);
        self.state.set_mark(&table.stream, key, mark);
        self.unsaid = true;
    }

    fn mark(&mut self, table: &Table, key: &str, mark: &mut Mark, rows: &Rows) -> Result<()> {
        self.note(table, key, mark, rows);
        self.emit()
    }

    fn emit(&mut self) -> Result<()> {
        self.since = 0;
        self.unsaid = false;
        self.out.state(self.state.value())
    }
}
