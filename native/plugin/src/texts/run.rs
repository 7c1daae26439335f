//! What all taps of text files do alike: find the streams, tell the catalog, send what is new, note how far that came.
//!
//! A tap is a [`Format`]: its settings, how it looks at a file and how it sends one.

use std::io::Write;
use std::process::ExitCode;

use super::keys::{self, all_there};
use super::mark::{Mark, Place, State, Verdict};
use super::shared::Settings;
use super::source::Facts;
use super::streams;
use super::table::{Table, Typed};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::files::{Found, NETWORK};
use crate::settings::Config;
use crate::writer::Writer;
use crate::{Kind, Needs, Plugin, Sync};

/// With more files than this in a bookmark a STATE at every file's end would be most of the output.
const MANY_FILES: usize = 100;

/// A format of text files: a tap's settings, and what it does by them.
pub trait Format: Settings {
    /// What a stream's name lacks of its file's, as `.csv`.
    const ENDINGS: &'static [&'static str];
    /// What warnings call a row.
    const ROW: &'static str;
    /// What is known of a column's values.
    type Typed: Typed;
    /// What is known of a file, beside [`File`].
    type Layout;
    /// Reads a file's rows.
    type Rows;

    /// Look at one of a stream's files, by as many rows as `budget` has left: add its columns to the table, and say where its first
    /// row of data is.
    fn look(&self, facts: &Facts, table: &mut Table<Self::Typed>, budget: &mut u64) -> Result<(Place, Self::Layout)>;
    /// Warn that no file of a stream has a column; whether it can be read all the same.
    fn reads_empty(&self, stream: &str) -> bool;

    /// The rows of a file from its first on.
    fn begin(&self, file: &File<Self::Layout>) -> Result<Self::Rows>;
    /// The rows of a file from a place where one ended; none when the row before it has grown since.
    fn resume(&self, file: &File<Self::Layout>, from: Place) -> Result<Option<Self::Rows>>;
    /// Send all rows, each told to [`Run::sent`]; the place behind the last.
    fn send<W: Write>(
        &self,
        run: &mut Run<'_, W>,
        table: &mut Table<Self::Typed>,
        file: &File<Self::Layout>,
        rows: Self::Rows,
        reading: &mut Reading,
    ) -> Result<Place>;
}

/// One of a stream's files.
#[derive(Clone, Debug)]
pub struct File<L> {
    /// Where it is, size and head, as they were when it was looked at.
    pub facts: Facts,
    /// Where its first row of data is.
    pub start: Place,
    /// What only the format knows.
    pub layout: L,
}

/// A stream and its files, sorted by path.
struct Stream<F: Format> {
    table: Table<F::Typed>,
    files: Vec<File<F::Layout>>,
}

impl<F: Format> Stream<F> {
    fn look(format: &F, name: &str, found: Vec<Found>) -> Result<Self> {
        let shared = format.shared();
        let mut table = Table::new(name, shared.metadata);
        let mut files = Vec::new();
        let mut budget = shared.sample_rows;
        for one in found {
            let facts = Facts::of(&shared.storage, &one.address)?;
            let (start, layout) = format.look(&facts, &mut table, &mut budget)?;
            files.push(File { facts, start, layout });
        }
        table.want(F::TAP, &shared.wanted)?;
        Ok(Stream { table, files })
    }
}

fn look<F: Format>(format: &F, wanted: impl Fn(&str) -> bool) -> Result<Vec<Stream<F>>> {
    let shared = format.shared();
    let found = streams::by_stream(&shared.storage, &shared.files, &shared.stream, F::ENDINGS)?;
    shared.wanted.check(F::TAP, found.keys().map(String::as_str))?;
    let mut streams = Vec::new();
    for (name, found) in found.into_iter().filter(|(name, _)| wanted(name)) {
        let stream = Stream::look(format, &name, found)?;
        if !stream.table.is_empty() || format.reads_empty(&name) {
            streams.push(stream);
        }
    }
    Ok(streams)
}

/// A tap's whole `main`.
pub fn main<F: Format>(version: &'static str, description: &'static str) -> ExitCode {
    let mut settings = keys::settings();
    settings.extend(F::declare());
    let plugin = Plugin {
        name: F::TAP,
        version,
        description,
        kind: Kind::Tap,
        capabilities: &[],
        settings,
        needs: Needs {
            read: &["{config:files}"],
            network: NETWORK,
            ..Needs::default()
        },
    };
    plugin.run_tap(discover::<F>, sync::<F, _>)
}

/// The catalog of all streams that have columns.
fn discover<F: Format>(config: &Config) -> Result<Catalog> {
    let streams = look(&F::of(config)?, |_| true)?;
    let tables = streams.iter().map(|stream| &stream.table);
    Ok(Catalog {
        streams: tables.filter(|table| !table.is_empty()).map(Table::entry).collect(),
    })
}

/// Read what is selected and not read yet.
fn sync<F: Format, W: Write>(sync: Sync<'_, W>) -> Result<()> {
    let format = F::of(&sync.config)?;
    let chosen: Vec<_> = sync.catalog.streams.iter().filter(|s| s.is_selected()).collect();
    let streams = look(&format, |name| chosen.iter().any(|s| s.tap_stream_id == name))?;
    all_there(&chosen, streams.iter().map(|s| s.table.stream.as_str()))?;
    let mut run = Run {
        out: sync.out,
        state: State::of(sync.state)?,
        state_every: format.shared().state_every,
        since: 0,
        unsaid: true,
    };
    for mut stream in streams {
        if let Some(chosen) = chosen.iter().find(|s| s.tap_stream_id == stream.table.stream) {
            stream.table.choose(chosen)?;
        }
        run.stream(&format, &mut stream)?;
    }
    match run.unsaid {
        true => run.emit(),
        false => Ok(()),
    }
}

/// A run under way.
pub struct Run<'a, W: Write> {
    /// Where messages go.
    pub out: &'a mut Writer<W>,
    state: State,
    state_every: u64,
    /// Rows since the last STATE.
    since: u64,
    /// The state differs from the last STATE sent.
    unsaid: bool,
}

/// How far the file that is being read was read.
#[derive(Debug)]
pub struct Reading {
    /// The file's address.
    pub key: String,
    mark: Mark,
}

impl<W: Write> Run<'_, W> {
    fn stream<F: Format>(&mut self, format: &F, stream: &mut Stream<F>) -> Result<()> {
        let table = &mut stream.table;
        table.settle(&mut self.state);
        self.unsaid = true;
        // Of a stream that has no row nothing is known that a destination could be made of.
        if !table.is_empty() || format.shared().sample_rows == 0 {
            self.out.schema(&table.message())?;
        }
        stream
            .files
            .iter()
            .try_for_each(|file| self.file(format, &mut stream.table, file))
    }

    fn file<F: Format>(&mut self, format: &F, table: &mut Table<F::Typed>, file: &File<F::Layout>) -> Result<()> {
        let key = file.facts.found.address.to_string();
        let Some((rows, mark)) = self.open(format, &table.stream, file, &key)? else {
            return Ok(());
        };
        let mut reading = Reading { key, mark };
        let end = format.send(self, table, file, rows, &mut reading)?;
        reading.mark.done = true;
        self.note(&table.stream, &mut reading, end);
        match self.since > 0 && self.state.file_count(&table.stream) <= MANY_FILES {
            true => self.emit(),
            false => Ok(()),
        }
    }

    /// The rows that are new, and the mark to count on from.
    fn open<F: Format>(
        &self,
        format: &F,
        stream: &str,
        file: &File<F::Layout>,
        key: &str,
    ) -> Result<Option<(F::Rows, Mark)>> {
        let old = self.state.mark(stream, key)?;
        let mut mark = Mark::start(&file.facts);
        mark.go_to(file.start);
        match (Mark::judge(old.as_ref(), &file.facts), old) {
            (Verdict::Finished, _) => return Ok(None),
            (Verdict::GoOn, Some(old)) => {
                if let Some(rows) = format.resume(file, old.place())? {
                    mark.rows = old.rows;
                    mark.go_to(old.place());
                    return Ok(Some((rows, mark)));
                }
                let row = F::ROW;
                eprintln!(
                    "warning: the last {row} of {key} that was read has changed: it is read again from its start"
                );
            }
            (Verdict::Replaced, _) => {
                eprintln!("warning: {key} is not the file that was read before: it is read again from its start");
            }
            _ => {}
        }
        Ok(Some((format.begin(file)?, mark)))
    }

    /// A row was sent: count it, and send a STATE when one is due, with the place behind that row.
    #[inline]
    pub fn sent(&mut self, stream: &str, reading: &mut Reading, place: impl FnOnce() -> Place) -> Result<()> {
        reading.mark.rows += 1;
        self.since += 1;
        match self.since >= self.state_every {
            true => {
                self.note(stream, reading, place());
                self.emit()
            }
            false => Ok(()),
        }
    }

    /// A column has widened: its stream's SCHEMA comes again before the row that needs it.
    pub fn widened<T: Typed>(&mut self, table: &Table<T>, column: usize) -> Result<()> {
        let column = &table.columns[column];
        self.state.set_column(&table.stream, &column.name, column.typed.note());
        self.out.schema(&table.message())
    }

    fn note(&mut self, stream: &str, reading: &mut Reading, place: Place) {
        reading.mark.go_to(place);
        self.state.set_mark(stream, &reading.key, &reading.mark);
        self.unsaid = true;
    }

    fn emit(&mut self) -> Result<()> {
        self.since = 0;
        self.unsaid = false;
        self.out.state(self.state.value())
    }
}
