//! Rows on their way into a table: each field of a record batch with its column and the way into it.

use arrow_array::RecordBatch;
use singer_plugin::columns::kind::Kind;
use singer_plugin::{PluginError, Result};

use crate::cell::{Cell, Form};
use crate::database::Refused;
use crate::fit::Fit;
use crate::name;
use crate::source::Source;
use crate::sql_type::Type;

/// One field.
#[derive(Debug)]
pub struct Part<'a> {
    /// The property's name.
    pub property: &'a str,
    /// Its column's.
    pub column: String,
    /// What the field holds.
    pub kind: Kind,
    /// Its values.
    pub source: Source<'a>,
    /// What the column holds.
    pub held: Type,
    /// How they get into it.
    pub fit: Fit,
}

/// All fields of a batch.
#[derive(Debug)]
pub struct Batch<'a> {
    stream: &'a str,
    keys: &'a [String],
    /// How many rows.
    pub rows: usize,
    /// The fields.
    pub parts: Vec<Part<'a>>,
}

impl<'a> Batch<'a> {
    /// The fields of a batch; their columns are still to be found.
    pub fn of(stream: &'a str, keys: &'a [String], batch: &'a RecordBatch) -> Result<Batch<'a>> {
        let mut parts = Vec::with_capacity(batch.num_columns());
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let Some((kind, source)) = Source::of(field, array.as_ref()) else {
                let what = format!(
                    "stream {stream:?}, property {:?}: {} is no type",
                    field.name(),
                    field.data_type()
                );
                return Err(PluginError::data("data.bad_message", what));
            };
            parts.push(Part {
                property: batch.schema_ref().field(parts.len()).name(),
                column: name::column(field.name()),
                held: Type::natural(&kind),
                kind,
                source,
                fit: Fit::Direct(Form::Null),
            });
        }
        let rows = batch.num_rows();
        Ok(Batch {
            stream,
            keys,
            rows,
            parts,
        })
    }

    /// The field of a property.
    pub fn part(&self, property: &str) -> Option<&Part<'a>> {
        self.parts.iter().find(|part| part.property == property)
    }

    /// I9: a row without its key cannot be told from others.
    pub fn check_keys(&self) -> Result<()> {
        for key in self.keys {
            let missing = match self.part(key) {
                None => Some(0).filter(|_| self.rows > 0),
                Some(part) if part.source.array().null_count() == 0 => None,
                Some(part) => (0..self.rows).find(|&row| part.source.array().is_null(row)),
            };
            if let Some(row) = missing {
                return Err(self
                    .rejected(row, key, "a row lacks its key")
                    .hint("report it to the tap's author, or set mode to append"));
            }
        }
        Ok(())
    }

    /// Whether every value is written in its column's own form.
    pub fn is_direct(&self) -> bool {
        self.parts.iter().all(|part| matches!(part.fit, Fit::Direct(_)))
    }

    /// The cells of a row, for its columns.
    pub fn cells(&self) -> Vec<Cell<'a>> {
        let cell = |part: &Part<'a>| match part.fit {
            Fit::Direct(form) | Fit::Convert(form) => Cell::Of(part.source, form),
            Fit::Widen(_) => Cell::Of(part.source, Form::staged(part.source)),
        };
        self.parts.iter().map(cell).collect()
    }

    /// The names of the columns.
    pub fn columns(&self) -> Vec<String> {
        self.parts.iter().map(|part| part.column.clone()).collect()
    }

    /// A refused row as an error that names it.
    pub fn error(&self, doing: &str, refused: Refused) -> PluginError {
        match refused {
            Refused::Failed(error) => error,
            Refused::Duplicate => PluginError::data(
                "data.rejected",
                format!("{doing}: a unique index has such a row already"),
            )
            .hint("see the table's unique indexes"),
            Refused::Value(Some(row), column, why) => {
                let column = column.unwrap_or_else(|| "?".into());
                // A staged column is named by its place.
                let place = column.strip_prefix("c").and_then(|place| place.parse::<usize>().ok());
                let known = self.parts.iter().any(|part| part.column == column);
                let staged = place.filter(|_| !known).and_then(|place| self.parts.get(place));
                let column = staged.map_or(column, |part| part.column.clone());
                self.rejected(row.min(self.rows.saturating_sub(1)), &column, &why)
                    .hint("change the value in the source, or leave the column out in the tap's catalog")
            }
            Refused::Value(None, _, why) => PluginError::data("data.rejected", format!("{doing}: {why}")),
        }
    }

    fn rejected(&self, row: usize, column: &str, why: &str) -> PluginError {
        let keys = self.keys.iter().filter_map(|key| self.part(key));
        let keys: Vec<_> = keys
            .map(|part| format!("{} = {}", part.property, part.source.shown(row)))
            .collect();
        let row = match keys.is_empty() {
            true => format!("row {} of a batch", row + 1),
            false => format!("the row with {}", keys.join(", ")),
        };
        PluginError::data(
            "data.rejected",
            format!("stream {:?}, column {column:?}, {row}: {why}", self.stream),
        )
    }
}
