//! CSV rows with their place in the file.

use std::cell::Cell;
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use csv::ByteRecord;
use singer_plugin::files::Address;
use singer_plugin::texts::mark::Place;
use singer_plugin::texts::shared::Text;
use singer_plugin::texts::source::{self, explain, Facts, Meter};
use singer_plugin::texts::streams::plain_name;
use singer_plugin::{PluginError, Result};

use crate::settings::{Header, Settings};

/// Reads one file's rows.
pub struct Rows {
    at: Address,
    csv: csv::Reader<Box<dyn Read>>,
    meter: Meter,
    /// The file's lines end in CRLF.
    crlf: Rc<Cell<bool>>,
    from: Place,
}

/// Whether a file's name says that tabs are between its fields.
fn is_tabbed(at: &Address) -> bool {
    let name = plain_name(at);
    name.ends_with(".tsv") || name.ends_with(".tab")
}

/// Looks at the first line's end on its way through.
struct Endings {
    inner: Box<dyn Read>,
    crlf: Rc<Cell<bool>>,
    seen: bool,
}

impl Read for Endings {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        if !self.seen {
            // The LF of a CRLF may be all that is left of the line that a resumed file begins with.
            let from = usize::from(out[..n].first() == Some(&b'\n'));
            if let Some(at) = memchr::memchr(b'\n', &out[from..n]) {
                self.seen = true;
                self.crlf.set(at > 0 && out[from + at - 1] == b'\r');
            }
        }
        Ok(n)
    }
}

impl Rows {
    /// The rows of a file from its beginning.
    pub fn open(facts: &Facts, settings: &Settings) -> Result<Self> {
        let start = Place::default();
        match settings.shared.text(facts, start)? {
            Some(text) => Ok(Rows::over(&facts.found.address, text.read, settings, text.meter, start)),
            None => unreachable!("nothing comes before the beginning"),
        }
    }

    /// The rows of a file from a place where a row ended; none when the row before it has grown since.
    pub fn resume(facts: &Facts, settings: &Settings, from: Place) -> Result<Option<Self>> {
        let Some(Text { read, before, meter }) = settings.shared.text(facts, from)? else {
            return Ok(None);
        };
        let mut text = read;
        if !matches!(before, Some(b'\n' | b'\r')) {
            let mut next = [0];
            if text
                .read(&mut next)
                .map_err(|e| explain(&facts.found.address, Some(from.lines + 1), &e))?
                == 1
            {
                if !matches!(next, [b'\n' | b'\r']) {
                    return Ok(None);
                }
                text = Box::new(Cursor::new(next).chain(text));
            }
        }
        Ok(Some(Rows::over(&facts.found.address, text, settings, meter, from)))
    }

    fn over(at: &Address, text: Box<dyn Read>, settings: &Settings, meter: Meter, from: Place) -> Self {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).buffer_capacity(256 * 1024);
        builder.delimiter(settings.delimiter.unwrap_or(if is_tabbed(at) { b'\t' } else { b',' }));
        match settings.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        let crlf = Rc::new(Cell::new(false));
        let text: Box<dyn Read> = Box::new(Endings {
            inner: text,
            crlf: Rc::clone(&crlf),
            seen: false,
        });
        Rows {
            at: at.clone(),
            csv: builder.from_reader(text),
            meter,
            from,
            crlf,
        }
    }

    /// The next row; false at the end.
    #[inline]
    pub fn next(&mut self, row: &mut ByteRecord) -> Result<bool> {
        self.meter.set(0);
        self.csv.read_byte_record(row).map_err(|e| self.failed(e))
    }

    fn failed(&self, error: csv::Error) -> PluginError {
        let line = self.from.lines + self.csv.position().line();
        let error = match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("{other:?}")),
        };
        explain(&self.at, Some(line), &error)
    }

    /// The line that the row just read begins on. The CSV reader tells where it began to look for the row, which is
    /// before blank lines and before the LF of a CRLF; counted back from the row's end it is exact but for a last row
    /// that has no newline. Neither is ever too large.
    pub fn line(&self, row: &ByteRecord) -> u64 {
        let inside = memchr::memchr_iter(b'\n', row.as_slice()).count() as u64;
        let after = self.csv.position().line() - u64::from(!self.crlf.get());
        self.from.lines
            + row
                .position()
                .map_or(1, csv::Position::line)
                .max(after.saturating_sub(inside))
    }

    /// The place behind the last row.
    pub fn place(&self) -> Place {
        let at = self.csv.position();
        Place {
            bytes: self.from.bytes + at.byte(),
            lines: self.from.lines + at.line() - 1,
        }
    }

    /// An error about a row, with its place.
    pub fn error(&self, row: &ByteRecord, code: &'static str, what: &str) -> PluginError {
        PluginError::data(code, format!("{} line {}: {what}", self.at, self.line(row)))
    }

    /// The column names, read from the first row where that has them.
    pub fn header(&mut self, settings: &Settings) -> Result<Vec<String>> {
        let mut row = ByteRecord::new();
        let names: Vec<String> = match &settings.header {
            Header::Names(names) => names.clone(),
            Header::First(false) => {
                // Nothing but the number of fields is used; the row is read again as data.
                self.next(&mut row)?;
                (1..=row.len()).map(|n| format!("column_{n}")).collect()
            }
            Header::First(true) => {
                self.next(&mut row)?;
                self.check_delimiter(&row, settings)?;
                let mut names = Vec::with_capacity(row.len());
                for (n, field) in row.iter().enumerate() {
                    let name = std::str::from_utf8(field).map_err(|_| {
                        explain(&self.at, Some(1), &io::Error::other(source::Trouble::Encoding("UTF-8")))
                    })?;
                    names.push(if name.is_empty() {
                        format!("column_{}", n + 1)
                    } else {
                        name.to_string()
                    });
                }
                names
            }
        };
        let twice = names.iter().enumerate().find(|(n, name)| names[..*n].contains(name));
        match twice {
            Some((_, name)) => Err(self
                .error(&row, "data.bad_source", &format!("the column {name:?} comes twice"))
                .hint("name the columns yourself with `header: [...]`")),
            None => Ok(names),
        }
    }

    /// One column whose name holds another usual delimiter: the wrong one is set.
    fn check_delimiter(&self, row: &ByteRecord, settings: &Settings) -> Result<()> {
        let other = [b';', b'\t', b'|', b',']
            .into_iter()
            .find(|byte| row.len() == 1 && row[0].contains(byte));
        match (other, settings.delimiter) {
            (Some(other), None) => {
                let other = if other == b'\t' {
                    r"\t".into()
                } else {
                    char::from(other).to_string()
                };
                let message = format!("{} line 1: the header is a single column that holds {other:?}", self.at);
                Err(PluginError::config("config.invalid", message).hint(format!("set `delimiter` to {other:?}")))
            }
            _ => Ok(()),
        }
    }
}
