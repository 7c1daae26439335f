//! What a stream's columns are: by the headers of its files and a sample of their rows.

use csv::ByteRecord;
use serde_json::Value;
use singer_plugin::texts::mark::Place;
use singer_plugin::texts::source::Facts;
use singer_plugin::texts::table::{self, Typed};
use singer_plugin::Result;

use crate::kinds::Kind;
use crate::rows::Rows;
use crate::settings::{Header, Settings};

/// What a column is sent as.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Its kind.
    pub kind: Kind,
    /// The settings say so: it does not widen.
    pub fixed: bool,
}

/// A stream's columns.
pub type Table = table::Table<Cells>;

impl Typed for Cells {
    fn schema(&self) -> Value {
        self.kind.schema()
    }

    /// What was never seen is a string from now on.
    fn settle(&mut self, noted: Option<&Value>) {
        if !self.fixed {
            let sent = noted.and_then(Value::as_str).and_then(Kind::named);
            self.kind = self.kind.join(sent.unwrap_or_default());
        }
        if self.kind == Kind::Unseen {
            self.kind = Kind::String;
        }
    }

    fn note(&self) -> Value {
        self.kind.name().into()
    }
}

/// Look at a file: for each of its fields which column of the table it is, and where its first row of data is.
pub fn look(settings: &Settings, facts: &Facts, table: &mut Table, budget: &mut u64) -> Result<(Place, Vec<usize>)> {
    let mut rows = Rows::open(facts, settings)?;
    let header = rows.header(settings)?;
    let start = match settings.header {
        Header::First(true) => rows.place(),
        _ => {
            rows = Rows::open(facts, settings)?;
            Place::default()
        }
    };
    let cells = |stream: &str, name: &str| {
        let fixed = settings.types.fixed(stream, name).copied();
        Cells {
            kind: fixed.unwrap_or_default(),
            fixed: fixed.is_some(),
        }
    };
    let fields: Vec<usize> = header.iter().map(|name| table.column(name, cells)).collect();
    *budget -= sample(table, &mut rows, &fields, settings, *budget);
    Ok((start, fields))
}

/// Widen the columns to what the next rows hold; how many rows were read. What is wrong with the file is told when
/// it is read for good, with the rows before it sent.
fn sample(table: &mut Table, rows: &mut Rows, fields: &[usize], settings: &Settings, budget: u64) -> u64 {
    let mut row = ByteRecord::new();
    let mut count = 0;
    while count < budget && rows.next(&mut row).unwrap_or(false) {
        count += 1;
        for (field, text) in fields.iter().zip(row.iter()) {
            let cells = &mut table.columns[*field].typed;
            if !cells.fixed && cells.kind != Kind::String && !is_null(&settings.null_values, text) {
                cells.kind = cells.kind.join(Kind::of(text));
            }
        }
    }
    count
}

/// Whether a text means null.
#[inline]
pub fn is_null(nulls: &[Vec<u8>], text: &[u8]) -> bool {
    nulls.iter().any(|null| null.as_slice() == text)
}
