//! One column of a batch that is being gathered: its values, typed, and which of them are null.

use arrow_array::ArrayRef;
use arrow_buffer::NullBufferBuilder;
use arrow_schema::Field;

use super::kind::Kind;
use super::values::{Put, Values};
use crate::error::Fault;
use crate::json::{self, peek};

/// A column.
#[derive(Debug)]
pub(crate) struct Column {
    name: String,
    kind: Kind,
    /// Its name as records spell it, with the quotes.
    pub(crate) key: Vec<u8>,
    /// The column of the property that comes behind this one.
    pub(crate) next: usize,
    /// All ones where a value's text takes memory of its own, else 0.
    pub(crate) weight: usize,
    values: Values,
    nulls: NullBufferBuilder,
    /// A kind that it will have once what it holds is taken.
    wider: Option<Kind>,
}

impl Column {
    pub(crate) fn new(name: &str, kind: Kind, next: usize) -> Column {
        let mut column = Column {
            name: name.to_owned(),
            // A guess: how the first record spells it is seen when it comes.
            key: format!("\"{name}\"").into_bytes(),
            next,
            weight: 0,
            values: Values::of(&kind),
            nulls: NullBufferBuilder::new(0),
            wider: None,
            kind: Kind::Json,
        };
        column.become_kind(kind);
        column
    }

    fn become_kind(&mut self, kind: Kind) {
        self.values = Values::of(&kind);
        let texts = matches!(kind, Kind::Text | Kind::Json | Kind::Binary);
        self.weight = if texts { usize::MAX } else { 0 };
        self.kind = kind;
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Rows that it has; those behind them are null.
    pub(crate) fn len(&self) -> usize {
        self.nulls.len()
    }

    pub(crate) fn field(&self) -> Field {
        self.kind.field(&self.name)
    }

    /// Bytes that a row takes without its text.
    pub(crate) fn width(&self) -> usize {
        self.values.width()
    }

    /// Makes it so that the next value is that of this row: rows that lacked it are null, an earlier duplicate is dropped.
    #[inline]
    pub(crate) fn seek(&mut self, row: usize) {
        if self.nulls.len() != row {
            self.resize(row);
        }
    }

    #[cold]
    fn resize(&mut self, rows: usize) {
        self.values.resize(rows);
        match rows.checked_sub(self.nulls.len()) {
            Some(missing) => self.nulls.append_n_nulls(missing),
            None => self.nulls.truncate(rows),
        }
    }

    /// Takes rows behind this many away.
    pub(crate) fn cut(&mut self, rows: usize) {
        if self.nulls.len() > rows {
            self.resize(rows);
        }
    }

    /// Takes on a wider kind, at once where nothing is gathered.
    pub(crate) fn widen(&mut self, kind: Kind) -> bool {
        let empty = self.len() == 0;
        if empty {
            self.become_kind(kind);
        } else {
            self.wider = Some(kind);
        }
        empty
    }

    /// What is gathered was taken.
    pub(crate) fn settle(&mut self) {
        self.cut(0);
        if let Some(kind) = self.wider.take() {
            self.become_kind(kind);
        }
    }

    /// The rows, as an array.
    pub(crate) fn take(&mut self, rows: usize) -> ArrayRef {
        self.seek(rows);
        self.values.take(&self.kind, self.nulls.finish())
    }

    /// Adds the value at `at`; on anything but [`Put::End`] the column is as it was.
    #[inline]
    pub(crate) fn push(&mut self, s: &[u8], at: usize) -> Result<Put, Fault> {
        if peek(s, at) == b'n' {
            let end = json::literal(s, at, b"null")?;
            self.values.resize(self.nulls.len() + 1);
            self.nulls.append_null();
            return Ok(Put::End(end));
        }
        let put = self.values.push(s, at)?;
        if let Put::End(_) = put {
            self.nulls.append_non_null();
        }
        Ok(put)
    }
}
