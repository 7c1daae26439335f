//! COPY's binary stream, taken apart into rows and gathered into record batches.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use singer_plugin::{PluginError, Result};

use crate::cells::{Cells, Odd, Room};
use crate::column::Column;
use crate::settings::Nonfinite;

/// What every stream begins with.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// A batch is full when so much of the stream is in it.
const BATCH_BYTES: usize = 6 << 20;
/// So many bytes of a value are shown in a message.
const SHOWN: usize = 80;

/// What is to be read, by any number of lanes.
#[derive(Debug)]
pub struct Plan {
    /// The stream, for messages.
    pub stream: String,
    /// The columns, in the order of the statement.
    pub columns: Vec<Column>,
    /// Places of the key's columns.
    pub key: Vec<usize>,
    /// What to do with values that JSON has not.
    pub nonfinite: Nonfinite,
    /// The most rows of a batch.
    pub batch_rows: usize,
    arrow: SchemaRef,
}

impl Plan {
    /// For columns of a stream.
    pub fn new(stream: &str, columns: Vec<Column>, key: &[String], nonfinite: Nonfinite, batch_rows: usize) -> Plan {
        let arrow = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        let key = key
            .iter()
            .filter_map(|name| columns.iter().position(|column| column.name == *name));
        Plan {
            stream: stream.into(),
            key: key.collect(),
            columns,
            nonfinite,
            batch_rows,
            arrow,
        }
    }
}

/// A stream's rows.
#[derive(Debug)]
pub struct Rows<'a> {
    plan: &'a Plan,
    cells: Vec<Cells>,
    rooms: Vec<Room>,
    rows: usize,
    bytes: usize,
    before: u64,
    carry: Vec<u8>,
    begun: bool,
    ended: bool,
}

impl<'a> Rows<'a> {
    /// No rows yet.
    pub fn new(plan: &'a Plan) -> Rows<'a> {
        let rooms = vec![Room::default(); plan.columns.len()];
        Rows {
            cells: cells(plan, &rooms),
            plan,
            rooms,
            rows: 0,
            bytes: 0,
            before: 0,
            carry: Vec::new(),
            begun: false,
            ended: false,
        }
    }

    /// Takes a piece of the stream. Whether a batch is full.
    pub fn feed(&mut self, piece: &[u8]) -> Result<bool> {
        self.bytes += piece.len();
        if self.carry.is_empty() {
            let used = self.take(piece)?;
            self.carry.extend_from_slice(&piece[used..]);
        } else {
            let mut carry = std::mem::take(&mut self.carry);
            carry.extend_from_slice(piece);
            let used = self.take(&carry)?;
            carry.drain(..used);
            self.carry = carry;
        }
        Ok(self.rows >= self.plan.batch_rows || self.bytes >= BATCH_BYTES)
    }

    /// The stream has ended: whether it was whole.
    pub fn end(&self) -> Result<()> {
        match self.ended && self.carry.is_empty() {
            true => Ok(()),
            false => Err(self.broken("the stream of rows ended half way")),
        }
    }

    /// The rows gathered so far, if there are any.
    pub fn batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        for (room, cells) in self.rooms.iter_mut().zip(&self.cells) {
            *room = Room {
                rows: self.rows,
                bytes: cells.text_bytes(),
            };
        }
        let full = std::mem::replace(&mut self.cells, cells(self.plan, &self.rooms));
        let mut arrays = Vec::with_capacity(full.len());
        for ((cells, field), column) in full.into_iter().zip(self.plan.arrow.fields()).zip(&self.plan.columns) {
            arrays.push(cells.finish(field.data_type()).map_err(|row| {
                let row = self.before + row as u64 + 1;
                let message = format!(
                    "stream {:?}, row {row}, column {:?}: the text is not UTF-8",
                    self.plan.stream, column.name
                );
                PluginError::data("data.invalid_utf8", message)
                    .hint("the database's encoding is SQL_ASCII: mend the text, or leave the column out")
            })?);
        }
        self.before += self.rows as u64;
        (self.rows, self.bytes) = (0, 0);
        let batch = RecordBatch::try_new(Arc::clone(&self.plan.arrow), arrays);
        batch.map(Some).map_err(|e| self.broken(&e.to_string()))
    }

    /// Takes what is whole of the bytes; how many that were.
    fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut at = 0;
        if !self.begun {
            let Some(length) = header(bytes).map_err(|()| self.broken("it is no COPY in binary form"))? else {
                return Ok(0);
            };
            (self.begun, at) = (true, length);
        }
        loop {
            match whole(&bytes[at..], self.plan.columns.len()) {
                Whole::Row(length) => {
                    self.row(&bytes[at + 2..at + length])?;
                    at += length;
                }
                Whole::Not => return Ok(at),
                Whole::End => {
                    self.ended = true;
                    return Ok(at + 2);
                }
                Whole::Broken => return Err(self.broken("a row has other columns than were asked for")),
            }
        }
    }

    #[inline]
    fn row(&mut self, mut fields: &[u8]) -> Result<()> {
        let mut trouble = None;
        for (place, cells) in self.cells.iter_mut().enumerate() {
            // `whole` saw to it that all of this is there.
            let Some((length, rest)) = fields.split_first_chunk::<4>() else {
                break;
            };
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                cells.push_null();
                fields = rest;
                continue;
            };
            let (value, rest) = rest.split_at(length);
            fields = rest;
            if let Err(odd) = cells.push(value) {
                if odd == Odd::Broken || self.plan.nonfinite != Nonfinite::Null {
                    trouble.get_or_insert((place, odd));
                }
            }
        }
        self.rows += 1;
        match trouble {
            None => Ok(()),
            Some((place, odd)) => Err(self.refused(place, odd)),
        }
    }

    /// A value that cannot be sent, with the key of its row, which was gathered with it.
    #[cold]
    fn refused(&self, place: usize, odd: Odd) -> PluginError {
        let column = &self.plan.columns[place];
        let key = self.plan.key.iter().map(|key| {
            let mut value = self.cells[*key].last().unwrap_or_else(|| "?".into());
            if let Some((end, _)) = value.char_indices().nth(SHOWN) {
                value.truncate(end);
            }
            format!("{} {value}", self.plan.columns[*key].name)
        });
        let mut row = key.collect::<Vec<_>>().join(", ");
        if row.is_empty() {
            row = format!("{} of this statement", self.before + self.rows as u64);
        }
        let place = format!(
            "stream {:?}, row {row}, column {:?} ({})",
            self.plan.stream, column.name, column.sql_type
        );
        match odd {
            Odd::Other(what) => {
                let message = format!("{place}: {what} has no form in JSON Schema");
                PluginError::data("data.bad_source", message)
                    .hint("set `nonfinite` to null or text, mend the row, or leave the column out")
            }
            Odd::Broken => PluginError::data("data.bad_source", format!("{place}: its value cannot be read"))
                .hint("report it to the plugin's author; to go on, leave the column out"),
        }
    }

    fn broken(&self, what: &str) -> PluginError {
        let message = format!("stream {:?}: {what}", self.plan.stream);
        PluginError {
            exit: 1,
            ..PluginError::data("database.failed", message)
        }
    }
}

fn cells(plan: &Plan, rooms: &[Room]) -> Vec<Cells> {
    let columns = plan.columns.iter().zip(rooms);
    columns.map(|(column, room)| Cells::new(column.shape, *room)).collect()
}

/// The length of the stream's header, once it is there.
fn header(bytes: &[u8]) -> std::result::Result<Option<usize>, ()> {
    let known = SIGNATURE.len().min(bytes.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(());
    }
    let Some(extension) = bytes.get(15..19) else {
        return Ok(None);
    };
    let length = extension
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    Ok(Some(19 + length).filter(|end| *end <= bytes.len()))
}

enum Whole {
    Row(usize),
    Not,
    End,
    Broken,
}

/// How long the row at the beginning is, if it is there as a whole.
#[inline]
fn whole(bytes: &[u8], columns: usize) -> Whole {
    let Some((count, _)) = bytes.split_first_chunk::<2>() else {
        return Whole::Not;
    };
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        return Whole::End;
    }
    if usize::try_from(count) != Ok(columns) {
        return Whole::Broken;
    }
    let mut at = 2;
    for _ in 0..columns {
        let Some((length, _)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<4>()) else {
            return Whole::Not;
        };
        at += 4 + usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
    }
    match at <= bytes.len() {
        true => Whole::Row(at),
        false => Whole::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    fn plan(nonfinite: Nonfinite) -> Plan {
        let column = |name: &str, shape| Column {
            name: name.into(),
            sql_type: "real".into(),
            shape,
            nullable: true,
        };
        let columns = vec![
            column("x", Shape::Float4),
            column("t", Shape::Text),
            column("id", Shape::Int4),
        ];
        Plan::new("s", columns, &["id".into(), "t".into()], nonfinite, 100)
    }

    fn stream(rows: &[(f32, Option<&str>, i32)]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 2, 7, 7]);
        let field = |bytes: &mut Vec<u8>, value: Option<&[u8]>| {
            bytes.extend(value.map_or(-1, |v| v.len() as i32).to_be_bytes());
            bytes.extend(value.unwrap_or_default());
        };
        for (x, t, id) in rows {
            bytes.extend(3_i16.to_be_bytes());
            field(&mut bytes, Some(&x.to_be_bytes()));
            field(&mut bytes, t.map(str::as_bytes));
            field(&mut bytes, Some(&id.to_be_bytes()));
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    #[test]
    fn rows_may_be_cut_anywhere() {
        let plan = plan(Nonfinite::Fail);
        let all: Vec<_> = (0..5).map(|n| (n as f32, (n % 2 == 0).then_some("text"), n)).collect();
        let bytes = stream(&all);
        let read = |size: usize| {
            let mut rows = Rows::new(&plan);
            for piece in bytes.chunks(size) {
                assert!(rows.end().is_err());
                rows.feed(piece).unwrap();
            }
            rows.end().unwrap();
            rows.batch().unwrap().unwrap()
        };
        let whole = read(bytes.len());
        assert_eq!(whole.num_rows(), 5);
        assert_eq!(
            whole.column(2).as_primitive::<Int64Type>().values()[..],
            [0, 1, 2, 3, 4]
        );
        for size in 1..40 {
            assert_eq!(read(size), whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_value_that_has_no_json_is_told_with_its_key() {
        let bytes = stream(&[(1.0, Some("a"), 1), (f32::INFINITY, Some("b"), 2)]);
        let refusing = plan(Nonfinite::Fail);
        let error = Rows::new(&refusing).feed(&bytes).unwrap_err();
        assert_eq!((error.code, error.exit), ("data.bad_source", 4));
        assert_eq!(
            error.message,
            "stream \"s\", row id 2, t b, column \"x\" (real): Infinity has no form in JSON Schema"
        );
        let lenient = plan(Nonfinite::Null);
        let mut rows = Rows::new(&lenient);
        rows.feed(&bytes).unwrap();
        assert_eq!(rows.batch().unwrap().unwrap().column(0).null_count(), 1);
    }

    #[test]
    fn what_is_no_stream_of_such_rows_is_refused() {
        let plan = plan(Nonfinite::Fail);
        assert_eq!(Rows::new(&plan).feed(b"no").unwrap_err().code, "database.failed");
        let mut bytes = stream(&[]);
        let end = bytes.len();
        bytes.splice(end - 2.., 2_i16.to_be_bytes());
        assert_eq!(Rows::new(&plan).feed(&bytes).unwrap_err().code, "database.failed");
        let mut rows = Rows::new(&plan);
        rows.feed(&stream(&[])).unwrap();
        assert_eq!((rows.end(), rows.batch().unwrap()), (Ok(()), None));
    }
}
