//! RECORDs of one stream, gathered into record batches: one pass over a record's bytes, each value straight into its column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use serde_json::Value;

use super::column::Column;
use super::kind::Kind;
use super::values::Put;
use crate::error::{Code, Fault};
use crate::json::{self, blank, peek};
use crate::text::Text;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the batch.
    In,
    /// It is not: what was gathered must be taken first, then it is pushed again. (A column is wider from it on, or it is
    /// partial and those before it are not.)
    TakeFirst,
}

/// A property that is not null in the records of deletions (SPEC.md, section 2).
const DELETED: &str = "_sdc_deleted_at";

/// Properties that no SCHEMA has named and that a batch may have; a record with more is refused (I10).
const MOST_UNDECLARED: usize = 10_000;

/// So many of them are remembered when the batch after it has none.
const KEPT_UNDECLARED: usize = 1000;

/// Bytes that a column's offsets can count.
const MOST_BYTES: usize = i32::MAX as usize;

/// The columns of one stream.
#[derive(Debug)]
pub struct Rows {
    /// Those of the SCHEMA first.
    columns: Vec<Column>,
    declared: usize,
    names: HashMap<String, usize>,
    /// The column of the last record's first property.
    first: usize,
    deleted: Option<usize>,
    rows: usize,
    /// Bytes of texts, up to where a record was read.
    text: usize,
    /// Bytes of the rows' texts.
    kept: usize,
    /// Bytes of a row without its texts.
    width: usize,
    /// The columns that each of the rows has, where they are partial.
    partial: Option<Vec<usize>>,
}

/// How far a record was read.
enum Filled {
    /// To its end; whether it stands for a deletion.
    Whole { deletion: bool },
    /// Up to a value that its column cannot hold.
    Misfit { column: usize, wider: Kind },
}

impl Rows {
    /// No rows yet. `schema` is the `schema` of a SCHEMA message.
    pub fn new(schema: &Value) -> Rows {
        let mut rows = Rows {
            columns: Vec::new(),
            declared: 0,
            names: HashMap::new(),
            first: 0,
            deleted: None,
            rows: 0,
            text: 0,
            kept: 0,
            width: 0,
            partial: None,
        };
        for (name, property) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            rows.add(name, Kind::of(property, schema));
        }
        rows.declared = rows.columns.len();
        rows
    }

    /// Adds a record: its JSON object, known to be well-formed and UTF-8. Properties in any order, the last of duplicates
    /// counts, missing ones are null, undeclared ones get an `arrow.json` column.
    ///
    /// # Errors
    /// It is no JSON object after all, or has properties that cannot be columns; it is not in the batch then.
    pub fn push(&mut self, record: &[u8]) -> Result<Pushed, Fault> {
        json::utf8(record)?;
        if record.len() > MOST_BYTES {
            return Err(refused(0, "a record of more bytes than a column can count"));
        }
        if self.rows > 0 && self.text + record.len() > MOST_BYTES {
            return Ok(Pushed::TakeFirst);
        }
        loop {
            match self.fill(record) {
                Ok(Filled::Whole { deletion }) => return Ok(self.keep(deletion)),
                Ok(Filled::Misfit { column, wider }) => {
                    self.undo();
                    if !self.columns[column].widen(wider) {
                        return Ok(Pushed::TakeFirst);
                    }
                    self.weigh();
                }
                Err(fault) => {
                    self.undo();
                    return Err(fault);
                }
            }
        }
    }

    /// How many rows are gathered.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of memory that their values take.
    pub fn bytes(&self) -> usize {
        self.kept + self.rows * self.width
    }

    /// Whether the rows gathered now are partial (SPEC.md, section 14).
    pub fn partial(&self) -> bool {
        self.partial.is_some()
    }

    /// The rows gathered so far, which it then has no more. A column that widened once stays wide.
    pub fn take(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.rows);
        let partial = self.partial.take();
        (self.text, self.kept) = (0, 0);
        if partial.is_none() && self.columns.len() - self.declared > KEPT_UNDECLARED {
            self.forget();
        }
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (index, column) in self.columns.iter_mut().enumerate() {
            if partial.as_ref().is_none_or(|set| set.binary_search(&index).is_ok()) {
                fields.push(column.field());
                arrays.push(column.take(rows));
            }
        }
        self.columns.iter_mut().for_each(Column::settle);
        self.weigh();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .expect("columns of one length, each of its field's type")
    }

    /// Reads a record into the columns, as row number `self.rows`.
    #[inline]
    fn fill(&mut self, s: &[u8]) -> Result<Filled, Fault> {
        let (row, mut deletion) = (self.rows, false);
        let mut at = blank(s, 0);
        if peek(s, at) != b'{' {
            return Err(Fault::json(s, at, "a record is an object"));
        }
        at = blank(s, at + 1);
        let mut before = None;
        if peek(s, at) != b'}' {
            loop {
                let guess = before.map_or(self.first, |column: usize| self.columns[column].next);
                let found = match self.columns.get(guess) {
                    Some(column) if s[at..].starts_with(&column.key) => {
                        at += column.key.len();
                        guess
                    }
                    _ => self.find(s, &mut at, before)?,
                };
                before = Some(found);
                at = blank(s, at);
                if peek(s, at) != b':' {
                    return Err(Fault::json(s, at, "a colon was expected"));
                }
                at = blank(s, at + 1);
                if self.deleted == Some(found) {
                    deletion = peek(s, at) != b'n';
                }
                let column = &mut self.columns[found];
                column.seek(row);
                match column.push(s, at)? {
                    Put::End(end) => {
                        self.text += (end - at) & column.weight;
                        at = blank(s, end);
                    }
                    Put::Misfit(wider) => return Ok(Filled::Misfit { column: found, wider }),
                }
                match peek(s, at) {
                    b',' => at = blank(s, at + 1),
                    b'}' => break,
                    _ => return Err(Fault::json(s, at, "a comma or a closing bracket was expected")),
                }
            }
        }
        match blank(s, at + 1) {
            end if end == s.len() => Ok(Filled::Whole { deletion }),
            end => Err(Fault::json(s, end, "there is more after the value")),
        }
    }

    /// The column of the key at `at`, which moves behind it; a new one where there is none.
    #[cold]
    fn find(&mut self, s: &[u8], at: &mut usize, before: Option<usize>) -> Result<usize, Fault> {
        if peek(s, *at) != b'"' {
            return Err(Fault::json(s, *at, "a key was expected"));
        }
        let (end, escaped) = json::string(s, *at + 1)?;
        let raw = &s[*at + 1..end - 1];
        let name = Text { raw, escaped }.bytes();
        let name = std::str::from_utf8(&name).map_err(|_| refused(*at, "a property's name is no Unicode text"))?;
        let found = match self.names.get(name) {
            Some(found) => *found,
            None if self.columns.len() - self.declared >= MOST_UNDECLARED => {
                return Err(refused(
                    *at,
                    "more properties that the SCHEMA does not have than a batch can",
                ));
            }
            None => self.add(name, Kind::Json),
        };
        // Next time it is looked for here, in this spelling.
        match before {
            Some(before) => self.columns[before].next = found,
            None => self.first = found,
        }
        let key = &mut self.columns[found].key;
        key.clear();
        key.extend_from_slice(&s[*at..end]);
        *at = end;
        Ok(found)
    }

    fn add(&mut self, name: &str, kind: Kind) -> usize {
        let index = self.columns.len();
        self.columns.push(Column::new(name, kind, index + 1));
        self.names.insert(name.to_owned(), index);
        if name == DELETED {
            self.deleted = Some(index);
        }
        self.weigh();
        index
    }

    /// The row that was read is one of the batch, or it cannot be.
    fn keep(&mut self, deletion: bool) -> Pushed {
        let behind = self.rows + 1;
        let lacks = deletion && self.columns[..self.declared].iter().any(|column| column.len() < behind);
        let set = lacks.then(|| {
            let has = |index: &usize| self.columns[*index].len() == behind;
            (0..self.columns.len()).filter(has).collect::<Vec<_>>()
        });
        if self.rows == 0 {
            self.partial = set;
        } else if self.partial != set {
            self.undo();
            return Pushed::TakeFirst;
        }
        self.rows = behind;
        self.kept = self.text;
        Pushed::In
    }

    /// Takes back what was read of a row.
    fn undo(&mut self) {
        self.text = self.kept;
        for column in &mut self.columns {
            column.cut(self.rows);
        }
    }

    /// Forgets undeclared columns that the batch has no row of.
    fn forget(&mut self) {
        let mut index = 0;
        let declared = self.declared;
        self.columns.retain(|column| {
            index += 1;
            index <= declared || column.len() > 0
        });
        self.names = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| (c.name().to_owned(), i))
            .collect();
        self.deleted = self.names.get(DELETED).copied();
        self.first = 0;
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.next = index + 1;
        }
    }

    fn weigh(&mut self) {
        self.width = self.columns.iter().map(Column::width).sum();
    }
}

/// A record that is one, but can be no row.
fn refused(offset: usize, reason: &'static str) -> Fault {
    Fault {
        code: Code::Schema,
        offset,
        truncated: false,
        reason,
    }
}
