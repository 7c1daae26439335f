//! Rows from a replication key's bookmark on.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, Scalar};
use arrow_ord::cmp::{gt, gt_eq, lt};
use arrow_ord::sort::{sort_to_indices, SortOptions};
use arrow_schema::{ArrowError, Field, Schema};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use serde_json::{json, Value};
use singer_plugin::columns::kind::{property, Kind};
use singer_plugin::columns::lines::Lines;
use singer_plugin::columns::rows::Rows;
use singer_plugin::plain::plain;
use singer_plugin::{PluginError, Result};

use crate::source::Source;

/// One stream's replication key.
#[derive(Clone, Debug)]
pub struct Since {
    column: String,
    /// Rows from this value on are wanted, and rows without a value only where there is none.
    from: Option<Value>,
    /// The largest value that came.
    pub reached: Option<Value>,
}

impl Since {
    /// With the values of a bookmark.
    pub fn new(column: &str, from: Option<Value>, reached: Option<Value>) -> Self {
        Since {
            column: column.into(),
            from,
            reached,
        }
    }

    fn odd(&self, what: &str) -> PluginError {
        let message = format!("the replication key {:?}: {what}", self.column);
        PluginError::config("config.invalid", message)
            .hint("choose a column of integers, decimals, texts, dates or times")
    }

    /// The rows that are wanted, of a batch in kinds.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let Some(column) = batch.column_by_name(&self.column) else {
            return Ok(batch.slice(0, if self.from.is_some() { 0 } else { batch.num_rows() }));
        };
        let schema = batch.schema();
        let field = schema
            .field_with_name(&self.column)
            .map_err(|e| self.odd(&e.to_string()))?;
        match Kind::of_field(field) {
            Some(Kind::Json | Kind::Binary | Kind::Boolean | Kind::Number) | None => {
                return Err(self.odd(&format!("{} has no order that holds every value", field.data_type())));
            }
            Some(_) => {}
        }
        let compared = |e: ArrowError| self.odd(&e.to_string());
        let rows = match &self.from {
            Some(from) => {
                let wanted = gt_eq(column, &Scalar::new(self.array(from, field)?)).map_err(compared)?;
                filter_record_batch(batch, &known(&wanted)).map_err(compared)?
            }
            None => batch.clone(),
        };
        let last_first = SortOptions {
            descending: true,
            nulls_first: false,
        };
        let values = rows.column_by_name(&self.column).unwrap_or(column);
        let largest = sort_to_indices(values, Some(last_first), Some(1)).map_err(compared)?;
        if let Some(at) = largest
            .values()
            .first()
            .map(|at| *at as usize)
            .filter(|at| values.is_valid(*at))
        {
            let largest = values.slice(at, 1);
            let is_larger = match &self.reached {
                Some(reached) => gt(&largest, &Scalar::new(self.array(reached, field)?))
                    .map_err(compared)?
                    .value(0),
                None => true,
            };
            if is_larger {
                self.reached = Some(self.value(&largest, field)?);
            }
        }
        Ok(rows)
    }

    /// Whether a row group may hold rows that are wanted, by its statistics.
    pub fn may_hold(&self, source: &Source, group: usize) -> bool {
        let Some(from) = &self.from else { return true };
        let is_below = || {
            let (schema, parquet) = (source.metadata.schema(), source.metadata.parquet_schema());
            let statistics = StatisticsConverter::try_new(&self.column, schema, parquet).ok()?;
            let largest = statistics
                .row_group_maxes([source.metadata.metadata().row_group(group)])
                .ok()?;
            let field = statistics.arrow_field().clone().with_name("c");
            let batch =
                RecordBatch::try_new(Arc::new(Schema::new(vec![field.with_nullable(true)])), vec![largest]).ok()?;
            let largest = plain(&batch).ok()?.into_iter().next()?;
            let from = self.array(from, largest.schema().field(0)).ok()?;
            let below = lt(largest.column(0), &Scalar::new(from)).ok()?;
            Some(below.is_valid(0) && below.value(0))
        };
        !is_below().unwrap_or(false)
    }

    /// A value of the bookmark as a column of one row, of a field's type.
    fn array(&self, value: &Value, field: &Field) -> Result<ArrayRef> {
        let wrong = || {
            let what = format!(
                "the bookmark of the replication key {:?} is no {}",
                self.column,
                field.data_type()
            );
            PluginError::config("state.invalid", what).hint("clear it: the stream is then read from its start")
        };
        let mut rows = Rows::new(&json!({"properties": {"c": property(field)}}));
        rows.push(json!({"c": value}).to_string().as_bytes())
            .map_err(|_| wrong())?;
        let batch = rows.take();
        match batch.columns() {
            [one] if one.data_type() == field.data_type() && one.is_valid(0) => Ok(Arc::clone(one)),
            _ => Err(wrong()),
        }
    }

    /// The one value of a column, as a record has it.
    fn value(&self, column: &ArrayRef, field: &Field) -> Result<Value> {
        let field = field.clone().with_name("c").with_nullable(true);
        let schema = Arc::new(Schema::new(vec![field]));
        let lines = Lines::new(&schema, &json!({"properties": {"c": property(schema.field(0))}}));
        let batch = RecordBatch::try_new(schema, vec![Arc::clone(column)]).map_err(|e| self.odd(&e.to_string()))?;
        let mut text = Vec::new();
        lines
            .write(&batch, 0..1, b"", b"", &mut text)
            .map_err(|found| self.odd(&found.reason))?;
        let mut record: Value = serde_json::from_slice(&text).map_err(|e| self.odd(&e.to_string()))?;
        Ok(record["c"].take())
    }
}

/// Null is not wanted: nothing says that it is new.
fn known(wanted: &BooleanArray) -> BooleanArray {
    wanted.iter().map(|row| Some(row == Some(true))).collect()
}
