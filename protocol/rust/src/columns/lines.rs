//! Record batches written as RECORDs: row by row, each column by its own way of writing ([`super::cells`]), nothing allocated
//! per value. What JSON cannot say stops it (I9).

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Fields, Schema};
use serde_json::Value;

use super::cells::Cells;
use super::kind::{is_json, Kind};
use super::schema::Resolver;
use super::spelling;

/// A batch holds what no record can: the row and the column, and why (NaN, infinity, a timestamp out of range …).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritable {
    /// The row within the batch.
    pub row: usize,
    /// The column's name.
    pub column: String,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for Unwritable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "column {:?}, row {}: {}", self.column, self.row, self.reason)
    }
}

impl std::error::Error for Unwritable {}

/// Writes the rows of batches with one Arrow schema.
#[derive(Debug)]
pub struct Lines {
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// The name as JSON, and a colon.
    lead: Vec<u8>,
    form: Form,
    /// The SCHEMA forbids null: a null is a property that is not there.
    left_out: bool,
}

/// How the values of a field are written, beyond what their Arrow type says.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// They are JSON texts.
    pub(crate) json: bool,
    /// Decimals are numbers, not strings.
    pub(crate) numbers: bool,
    /// NaN and the infinities are written as bare words.
    pub(crate) words: bool,
    /// The fields of a struct, with their names as `lead`; the item of a list; key and value of a map.
    pub(crate) below: Vec<(Vec<u8>, Form)>,
}

impl Lines {
    /// For batches of this Arrow schema and records of this SCHEMA (it says whether a decimal is a string or a number). All
    /// fields are written, nulls as null; but where the SCHEMA does not let a property be null, it is left out.
    pub fn new(arrow: &Schema, schema: &Value) -> Lines {
        let properties = schema.get("properties");
        let column = |field: &Field| {
            let property = properties.and_then(|p| p.get(field.name()));
            Column {
                name: field.name().clone(),
                lead: lead(field.name()),
                form: Form::of(field, property, schema),
                left_out: match property.or_else(|| schema.get("additionalProperties")) {
                    None => false,
                    Some(Value::Bool(allowed)) => !allowed,
                    Some(property) => !Kind::nullable(property, schema),
                },
            }
        };
        Lines {
            columns: arrow.fields().iter().map(|field| column(field)).collect(),
        }
    }

    /// Lets NaN and the infinities be written, as the bare words that a RECORD may have (SPEC.md, section 2).
    pub fn with_words(mut self) -> Lines {
        for column in &mut self.columns {
            column.form.say_words();
        }
        self
    }

    /// Appends to `out`, for each of the rows, `before`, the record as compact JSON, and `after`.
    ///
    /// # Errors
    /// The first value that JSON has no way to write; the rows before it are in `out`, and nothing of its own.
    pub fn write(
        &self,
        batch: &RecordBatch,
        rows: std::ops::Range<usize>,
        before: &[u8],
        after: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        let unwritable = |row: usize, column: &Column, reason: &str| Unwritable {
            row,
            column: column.name.clone(),
            reason: reason.to_owned(),
        };
        let mut cells = Vec::with_capacity(self.columns.len());
        for (column, array) in self.columns.iter().zip(batch.columns()) {
            let opened = Cells::open(array.as_ref(), &column.form, Some(&rows));
            cells.push((column, opened.map_err(|reason| unwritable(rows.start, column, reason))?));
        }
        for row in rows {
            let start = out.len();
            out.extend_from_slice(before);
            out.push(b'{');
            for (column, cells) in &cells {
                if column.left_out && cells.is_null(row) {
                    continue;
                }
                out.extend_from_slice(&column.lead);
                if let Err(reason) = cells.write(row, out) {
                    out.truncate(start);
                    return Err(unwritable(row, column, reason));
                }
                out.push(b',');
            }
            close(out, b'}');
            out.extend_from_slice(after);
        }
        Ok(())
    }
}

/// Closes an object or array whose members each have a comma behind them.
pub(crate) fn close(out: &mut Vec<u8>, bracket: u8) {
    match out.last_mut() {
        Some(last) if *last == b',' => *last = bracket,
        _ => out.push(bracket),
    }
}

fn lead(name: &str) -> Vec<u8> {
    let mut lead = vec![b'"'];
    spelling::escaped(name.as_bytes(), &mut lead);
    lead.extend_from_slice(b"\":");
    lead
}

impl Form {
    fn say_words(&mut self) {
        self.words = true;
        self.below.iter_mut().for_each(|(_, form)| form.say_words());
    }

    fn of(field: &Field, property: Option<&Value>, root: &Value) -> Form {
        let numbers = property.is_some_and(|property| match Kind::of(property, root) {
            Kind::Integer | Kind::Number => true,
            Kind::Decimal { text, .. } => !text,
            _ => false,
        });
        let one = |field: &Field, path: &[&str]| {
            let inner = property.and_then(|property| Resolver::new(root).below(property, path));
            (lead(field.name()), Form::of(field, inner, root))
        };
        let each = |fields: &Fields| fields.iter().map(|f| one(f, &["properties", f.name()])).collect();
        let below = match field.data_type() {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                vec![one(item, &["items"])]
            }
            DataType::Struct(fields) => each(fields),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) => pair.iter().map(|f| one(f, &["additionalProperties"])).collect(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        Form {
            json: is_json(field),
            numbers,
            words: false,
            below,
        }
    }
}
