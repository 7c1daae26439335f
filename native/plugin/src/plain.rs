//! Batches of any Arrow types, as batches whose fields are all one of [`Kind`].
//!
//! What a kind holds exactly and fast is cast; everything else goes the way of the records ([`Lines`], then [`Rows`]), so that it is the
//! same on both encodings. Guards I9: no value is changed, and one that no record can hold is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{new_null_array, Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{cast_with_options, CastOptions};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde_json::{json, Value};
use singer_protocol::columns::kind::{property, Kind};
use singer_protocol::columns::lines::{Lines, Unwritable};
use singer_protocol::columns::rows::{Pushed, Rows};

/// Rows that are written as records at a time.
const STEP: usize = 1024;

/// A column in parts: where each ends, its field and its values.
type Parts = Vec<(usize, Field, ArrayRef)>;

/// The same rows in kinds. More than one batch comes of it where a column widens on the way.
///
/// # Errors
/// A value that no record can hold.
pub fn plain(batch: &RecordBatch) -> Result<Vec<RecordBatch>, Unwritable> {
    let schema = batch.schema();
    if schema.fields().iter().all(|field| Kind::of_field(field).is_some()) {
        return Ok(vec![batch.clone()]);
    }
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let parts = match Kind::of_field(field) {
            Some(_) => vec![(batch.num_rows(), field.as_ref().clone(), Arc::clone(column))],
            None => match cast(field, column) {
                Some((field, column)) => vec![(batch.num_rows(), field, column)],
                None => rewritten(field, column)?,
            },
        };
        columns.push(parts);
    }
    let ends: BTreeSet<usize> = columns.iter().flatten().map(|part| part.0).collect();
    let mut start = 0;
    let mut batches = Vec::with_capacity(ends.len());
    for end in ends {
        let parts = columns.iter().filter_map(|parts| {
            let at = parts.iter().position(|part| part.0 > start)?;
            let first = if at == 0 { 0 } else { parts[at - 1].0 };
            Some((parts[at].1.clone(), parts[at].2.slice(start - first, end - start)))
        });
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = parts.unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(end - start));
        let made = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options);
        batches.push(made.map_err(|e| unwritable(start, "", &e.to_string()))?);
        start = end;
    }
    Ok(batches)
}

fn unwritable(row: usize, column: &str, reason: &str) -> Unwritable {
    Unwritable {
        row,
        column: column.into(),
        reason: reason.into(),
    }
}

/// A column in its kind's type, where casting changes no value.
fn cast(field: &Field, column: &ArrayRef) -> Option<(Field, ArrayRef)> {
    if let DataType::Dictionary(_, values) = field.data_type() {
        let inner = Field::new(field.name(), values.as_ref().clone(), true);
        let column = exact(column, values)?;
        return match Kind::of_field(&inner) {
            Some(kind) => Some((kind.field(field.name()), column)),
            None => cast(&inner, &column),
        };
    }
    let kind = Kind::of(&property(field), &Value::Null);
    let to = kind.arrow();
    let fits = match (field.data_type(), &to) {
        (DataType::Null, _) => {
            let nulls = new_null_array(&DataType::Utf8, column.len());
            return Some((Kind::Json.field(field.name()), nulls));
        }
        (from, DataType::Int64 | DataType::Decimal128(_, 0)) if from.is_integer() => true,
        (DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8) => kind == Kind::Text,
        (DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_), DataType::Binary) => true,
        (DataType::Timestamp(from, _), DataType::Timestamp(..)) => *from != TimeUnit::Nanosecond,
        (DataType::Time32(_), DataType::Time64(_)) => true,
        (DataType::Decimal32(p, s) | DataType::Decimal64(p, s), DataType::Decimal128(to_p, to_s)) => {
            p <= to_p && s == to_s
        }
        _ => false,
    };
    match fits {
        true => Some((kind.field(field.name()), exact(column, &to)?)),
        false => None,
    }
}

/// None if a value does not fit. A timestamp without a zone is in UTC (SPEC.md, section 7), and one of another zone is the same moment.
fn exact(column: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let column = match column.data_type() {
        DataType::Timestamp(unit, _) => {
            let utc = DataType::Timestamp(*unit, Some("UTC".into()));
            let data = column.to_data().into_builder().data_type(utc).build().ok()?;
            arrow_array::make_array(data)
        }
        _ => Arc::clone(column),
    };
    cast_with_options(&column, to, &options).ok()
}

/// A column by way of its records.
fn rewritten(field: &Field, column: &ArrayRef) -> Result<Parts, Unwritable> {
    // Under a name that means nothing to anybody.
    let neutral = Field::new("c", field.data_type().clone(), true).with_metadata(field.metadata().clone());
    let schema = json!({"properties": {"c": property(&neutral)}});
    let arrow = Arc::new(Schema::new(vec![neutral]));
    let told = |row: usize, reason: &str| unwritable(row, field.name(), reason);
    let batch = RecordBatch::try_new(Arc::clone(&arrow), vec![Arc::clone(column)]);
    let batch = batch.map_err(|e| told(0, &e.to_string()))?;
    let lines = Lines::new(&arrow, &schema);
    let mut rows = Rows::new(&schema);
    let mut parts = Parts::new();
    let mut text = Vec::new();
    let mut done = 0;
    let mut take = |rows: &mut Rows, end: usize| {
        let taken = rows.take();
        if let (Some(found), [values]) = (taken.schema().fields().first(), taken.columns()) {
            parts.push((end, found.as_ref().clone().with_name(field.name()), Arc::clone(values)));
        }
    };
    for start in (0..column.len()).step_by(STEP) {
        text.clear();
        lines
            .write(&batch, start..column.len().min(start + STEP), b"", b"\n", &mut text)
            .map_err(|found| told(found.row, &found.reason))?;
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let push = |rows: &mut Rows| rows.push(line).map_err(|fault| told(done, fault.reason));
            if push(&mut rows)? == Pushed::TakeFirst {
                take(&mut rows, done);
                push(&mut rows)?;
            }
            done += 1;
        }
    }
    take(&mut rows, done);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::{
        DictionaryArray, Float32Array, Int16Array, LargeStringArray, NullArray, StringArray, TimestampMillisecondArray,
        TimestampNanosecondArray, UInt64Array,
    };

    use super::*;

    fn records(batch: &RecordBatch) -> Vec<Value> {
        let mut out = Vec::new();
        let schema = json!({"properties": {"large": {"type": ["null", "integer"]}}});
        let lines = Lines::new(&batch.schema(), &schema);
        lines.write(batch, 0..batch.num_rows(), b"", b"\n", &mut out).unwrap();
        let lines = out.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    #[test]
    fn other_types_become_kinds_and_keep_their_values() {
        let mut list = ListBuilder::new(Int32Builder::new());
        list.append_value([Some(1), None]);
        list.append_null();
        let dictionary: DictionaryArray<Int32Type> = vec![Some("a"), None].into_iter().collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("small", Arc::new(Int16Array::from(vec![Some(-5), None]))),
            ("large", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            ("float", Arc::new(Float32Array::from(vec![Some(1.5), None]))),
            ("text", Arc::new(LargeStringArray::from(vec![Some("é"), None]))),
            (
                "moment",
                Arc::new(TimestampMillisecondArray::from(vec![Some(1), None]).with_timezone("+02:00")),
            ),
            ("naive", Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None]))),
            ("choice", Arc::new(dictionary)),
            ("list", Arc::new(list.finish())),
            ("nothing", Arc::new(NullArray::new(2))),
            ("same", Arc::new(StringArray::from(vec![Some("x"), None]))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let made = plain(&batch).unwrap();
        assert_eq!(made.len(), 1);
        let schema = made[0].schema();
        let kinds: Vec<_> = schema.fields().iter().map(|f| Kind::of_field(f).unwrap()).collect();
        let large = Kind::Decimal {
            precision: 38,
            scale: 0,
            text: false,
        };
        assert_eq!(kinds[0], Kind::Integer);
        assert!(kinds[1].arrow() == large.arrow(), "{:?}", kinds[1]);
        let rest = [
            Kind::Number,
            Kind::Text,
            Kind::Timestamp,
            Kind::Timestamp,
            Kind::Text,
            Kind::Json,
            Kind::Json,
            Kind::Text,
        ];
        assert_eq!(kinds[2..], rest);
        assert_eq!(records(&made[0]), records(&batch));
    }

    #[test]
    fn a_column_that_widens_gives_several_batches() {
        let exact = 1_700_000_000_000_000_000;
        let moments = TimestampNanosecondArray::from(vec![Some(exact), None, Some(exact + 1), Some(exact)]);
        let numbers = Int16Array::from(vec![1, 2, 3, 4]);
        let columns: Vec<(&str, ArrayRef)> = vec![("at", Arc::new(moments)), ("n", Arc::new(numbers))];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let made = plain(&batch).unwrap();
        assert_eq!(made.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(Kind::of_field(made[0].schema().field(0)), Some(Kind::Timestamp));
        assert_eq!(Kind::of_field(made[1].schema().field(0)), Some(Kind::Text));
        let all: Vec<_> = made.iter().flat_map(records).collect();
        assert_eq!(all[2]["at"], records(&batch)[2]["at"]);
        assert_eq!(
            all.iter().map(|r| r["n"].as_i64().unwrap()).collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
    }
}
