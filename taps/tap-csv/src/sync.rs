//! A CSV file's rows as RECORDs.

use std::io::Write;

use csv::ByteRecord;
use singer_plugin::message::{record_start, RECORD_END};
use singer_plugin::texts::mark::Place;
use singer_plugin::texts::run::{File, Format, Reading, Run};
use singer_plugin::texts::source::Facts;
use singer_plugin::Result;

use crate::rows::Rows;
use crate::settings::Settings;
use crate::table::{is_null, look, Cells, Table};
use crate::texts;

impl Format for Settings {
    const ENDINGS: &'static [&'static str] = &[".csv", ".tsv", ".txt", ".tab"];
    const ROW: &'static str = "row";
    type Typed = Cells;
    /// For each of the file's fields, which column of the table it is.
    type Layout = Vec<usize>;
    type Rows = Rows;

    fn look(&self, facts: &Facts, table: &mut Table, budget: &mut u64) -> Result<(Place, Vec<usize>)> {
        look(self, facts, table, budget)
    }

    fn reads_empty(&self, stream: &str) -> bool {
        eprintln!("warning: stream {stream:?} has no columns: its files are empty");
        false
    }

    fn begin(&self, file: &File<Vec<usize>>) -> Result<Rows> {
        let mut rows = Rows::open(&file.facts, self)?;
        if file.start != Place::default() {
            rows.next(&mut ByteRecord::new())?; // the header, checked when the file was looked at
        }
        Ok(rows)
    }

    fn resume(&self, file: &File<Vec<usize>>, from: Place) -> Result<Option<Rows>> {
        Rows::resume(&file.facts, self, from)
    }

    fn send<W: Write>(
        &self,
        run: &mut Run<'_, W>,
        table: &mut Table,
        file: &File<Vec<usize>>,
        mut rows: Rows,
        reading: &mut Reading,
    ) -> Result<Place> {
        let layout = Layout::of(table, file, self);
        let mut row = ByteRecord::new();
        while rows.next(&mut row)? {
            if row.len() != layout.width {
                let what = format!("{} fields where the header has {}", row.len(), layout.width);
                return Err(rows
                    .error(&row, "data.bad_source", &what)
                    .hint("check `delimiter` and `quote`, or mend the row"));
            }
            if !row.as_slice().is_ascii() {
                check_text(&rows, &row)?;
            }
            self.row(run, table, &layout, &rows, &row)?;
            run.sent(&table.stream, reading, || rows.place())?;
        }
        Ok(rows.place())
    }
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
    fn of(table: &Table, file: &File<Vec<usize>>, settings: &Settings) -> Self {
        let mut cells = Vec::new();
        let key = |name: &str, first: bool| {
            let mut key = if first { vec![] } else { vec![b','] };
            texts::string(&mut key, name.as_bytes());
            key.push(b':');
            key
        };
        for (field, column) in file.layout.iter().enumerate() {
            if table.columns[*column].selected {
                cells.push((field, *column, key(&table.columns[*column].name, cells.is_empty())));
            }
        }
        let metadata = table.source_of(&file.facts.found.address.to_string());
        let metadata = metadata.map(|mut before| {
            if !cells.is_empty() {
                before.insert(0, b',');
            }
            before
        });
        let longest_null = settings.null_values.iter().map(Vec::len).max().unwrap_or(0);
        let mut start = record_start(&table.stream);
        start.push(b'{');
        Layout {
            start,
            cells,
            width: file.layout.len(),
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
            let cells = &table.columns[*column].typed;
            let fits = if cells.fixed {
                cells.kind.write_fixed(out, text)
            } else {
                cells.kind.write(out, text)
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

impl Settings {
    fn row<W: Write>(
        &self,
        run: &mut Run<'_, W>,
        table: &mut Table,
        layout: &Layout,
        rows: &Rows,
        row: &ByteRecord,
    ) -> Result<()> {
        let line = if layout.metadata.is_some() { rows.line(row) } else { 0 };
        loop {
            let out = run.out.buffer();
            let at = out.len();
            let Err(field) = layout.write(out, row, table, &self.null_values, line) else {
                break;
            };
            out.truncate(at);
            let Some((_, at, _)) = layout.cells.iter().find(|cell| cell.0 == field) else {
                break;
            };
            let column = &mut table.columns[*at];
            let kind = column.typed.kind;
            if column.typed.fixed {
                let (name, kind) = (&column.name, kind.name());
                let what = format!("column {name:?} is not of type {kind}, as `types` says");
                return Err(rows
                    .error(row, "data.bad_source", &what)
                    .hint("take the column out of `types`, or mend the row"));
            }
            column.typed.kind = kind.widened(&row[field]);
            run.widened(table, *at)?;
        }
        run.out.settle()
    }
}

#[cold]
fn check_text(rows: &Rows, row: &ByteRecord) -> Result<()> {
    match row.iter().position(|field| std::str::from_utf8(field).is_err()) {
        None => Ok(()),
        Some(field) => Err(rows
            .error(row, "data.invalid_utf8", &format!("field {} is not UTF-8", field + 1))
            .hint("set `encoding` to the file's encoding, such as windows-1252")),
    }
}
