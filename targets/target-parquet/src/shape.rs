//! The columns of a stream's files: all that came so far, each as wide as it came.
//!
//! A batch is made to fit. What cannot be done without changing a value changes the shape instead, and the next file has it: files of
//! one stream may differ in the types of their columns, as SPEC.md, section 14 says of batches.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{new_null_array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_cast::{cast_with_options, CastOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::Value;
use singer_plugin::columns::kind::Kind;

/// The columns so far.
#[derive(Clone, Debug)]
pub struct Shape {
    schema: SchemaRef,
}

impl Default for Shape {
    fn default() -> Self {
        Shape {
            schema: Arc::new(Schema::empty()),
        }
    }
}

impl Shape {
    /// The Arrow schema of the stream's next file.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A SCHEMA: its properties are columns, whether values come or not. Whether the shape changed.
    pub fn declare(&mut self, schema: &Value) -> bool {
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut fields: Vec<_> = self.schema.fields().iter().cloned().collect();
        let before = fields.len();
        for (name, property) in properties.into_iter().flatten() {
            if self.schema.index_of(name).is_err() {
                fields.push(Arc::new(of_kind(&Kind::of(property, schema), name)));
            }
        }
        let changed = fields.len() > before;
        self.schema = Arc::new(Schema::new(fields));
        changed
    }

    /// The batch with the columns of the shape, and whether the shape changed for it.
    pub fn fit(&mut self, batch: &RecordBatch) -> Result<(RecordBatch, bool), arrow_schema::ArrowError> {
        let mut changed = false;
        if batch.schema() != self.schema {
            changed = self.take_in(batch);
        }
        let given = batch.schema();
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| match given.index_of(field.name()) {
                Ok(at) => exact(batch.column(at), given.field(at), field),
                Err(_) => Some(new_null_array(field.data_type(), batch.num_rows())),
            });
        let columns = columns.collect::<Option<Vec<ArrayRef>>>();
        let columns = columns.ok_or_else(|| arrow_schema::ArrowError::CastError("a column fits no type".into()))?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map(|batch| (batch, changed))
    }

    fn take_in(&mut self, batch: &RecordBatch) -> bool {
        let mut fields: Vec<_> = self.schema.fields().iter().cloned().collect();
        let mut changed = false;
        for (column, field) in batch.columns().iter().zip(batch.schema().fields()) {
            let place = fields.iter().position(|known| known.name() == field.name());
            match place {
                Some(at) if exact(column, field, &fields[at]).is_some() => continue,
                Some(at) => fields[at] = nullable(field),
                None => fields.push(nullable(field)),
            }
            changed = true;
        }
        if changed {
            self.schema = Arc::new(Schema::new(fields));
        }
        changed
    }
}

/// A nullable field. Parquet's writer takes JSON for JSON only where the extension's own metadata is there, empty as it is.
fn of_kind(kind: &Kind, name: &str) -> Field {
    let field = kind.field(name);
    if *kind != Kind::Json {
        return field;
    }
    let mut about = field.metadata().clone();
    about.insert("ARROW:extension:metadata", String::new());
    field.with_metadata(about)
}

/// As the columns of later files may lack values.
fn nullable(field: &Arc<Field>) -> Arc<Field> {
    match Kind::of_field(field) {
        Some(kind) => Arc::new(of_kind(&kind, field.name())),
        None => Arc::new(field.as_ref().clone().with_nullable(true)),
    }
}

/// The column in a file's type, if no value changes.
fn exact(column: &ArrayRef, from: &Field, to: &Field) -> Option<ArrayRef> {
    let json = |field: &Field| Kind::of_field(field) == Some(Kind::Json);
    if from.data_type() == to.data_type() && json(from) == json(to) {
        return Some(Arc::clone(column));
    }
    if column.null_count() == column.len() {
        return Some(new_null_array(to.data_type(), column.len()));
    }
    let exactly = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let cast = |column: &ArrayRef, to: &DataType| cast_with_options(column, to, &exactly).ok();
    let decimal = |kind: &DataType| matches!(kind, DataType::Decimal128(..) | DataType::Decimal256(..));
    match (from.data_type(), to.data_type()) {
        (DataType::Utf8, DataType::Utf8) if json(to) => {
            let texts = column.as_string::<i32>().iter();
            let quoted: StringArray = texts
                .map(|text| text.map(|text| Value::from(text).to_string()))
                .collect();
            Some(Arc::new(quoted))
        }
        (DataType::Int64 | DataType::Boolean, DataType::Utf8) if json(to) => cast(column, &DataType::Utf8),
        (DataType::Int64 | DataType::Date32, DataType::Utf8) if !json(to) => cast(column, &DataType::Utf8),
        (DataType::Int64, target) if decimal(target) => cast(column, target),
        (source, target)
            if (source == &DataType::Int64 || decimal(source)) && (decimal(target) || target == &DataType::Float64) =>
        {
            let there = cast(column, target)?;
            let back = cast(&there, source)?;
            (back.to_data() == column.to_data()).then_some(there)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array, Decimal128Array, Float64Array, Int64Array};
    use serde_json::json;

    use super::*;

    fn batch(name: &str, kind: &Kind, column: impl Array + 'static) -> RecordBatch {
        RecordBatch::try_new(Arc::new(Schema::new(vec![kind.field(name)])), vec![Arc::new(column)]).unwrap()
    }

    fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
        let column = cast_with_options(
            batch.column_by_name(name).unwrap(),
            &DataType::Utf8,
            &CastOptions::default(),
        )
        .unwrap();
        column
            .as_string::<i32>()
            .iter()
            .map(|text| text.map(str::to_owned))
            .collect()
    }

    #[test]
    fn columns_add_up_and_only_widen() {
        let mut shape = Shape::default();
        assert!(shape.declare(&json!({"properties": {"n": {"type": "integer"}, "later": {"type": "string"}}})));
        let (fitted, changed) = shape
            .fit(&batch("n", &Kind::Integer, Int64Array::from(vec![1, 2])))
            .unwrap();
        assert!(!changed && fitted.num_columns() == 2);
        let wide = Kind::Decimal {
            precision: 38,
            scale: 0,
            text: false,
        };
        let huge = Decimal128Array::from(vec![10_i128.pow(30)])
            .with_precision_and_scale(38, 0)
            .unwrap();
        assert!(shape.fit(&batch("n", &wide, huge)).unwrap().1);
        let (fitted, changed) = shape
            .fit(&batch("n", &Kind::Integer, Int64Array::from(vec![Some(7), None])))
            .unwrap();
        assert!(!changed);
        assert_eq!(texts(&fitted, "n"), [Some("7".into()), None]);
        let (fitted, changed) = shape
            .fit(&batch("new", &Kind::Text, StringArray::from(vec!["x"])))
            .unwrap();
        assert!(changed && texts(&fitted, "n") == [None]);
        let names: Vec<_> = shape.schema().fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["n", "later", "new"]);
    }

    #[test]
    fn what_a_cast_would_change_starts_a_new_type() {
        let mut shape = Shape::default();
        shape
            .fit(&batch("x", &Kind::Number, Float64Array::from(vec![0.5])))
            .unwrap();
        let (fitted, changed) = shape
            .fit(&batch("x", &Kind::Integer, Int64Array::from(vec![1 << 52])))
            .unwrap();
        assert!(!changed && fitted.schema().field(0).data_type() == &DataType::Float64);
        let (fitted, changed) = shape
            .fit(&batch("x", &Kind::Integer, Int64Array::from(vec![(1 << 53) + 1])))
            .unwrap();
        assert!(changed);
        assert_eq!(texts(&fitted, "x"), [Some("9007199254740993".into())]);
        assert!(
            shape
                .fit(&batch("x", &Kind::Text, StringArray::from(vec!["a"])))
                .unwrap()
                .1
        );
        assert!(
            !shape
                .fit(&batch("x", &Kind::Integer, Int64Array::from(vec![5])))
                .unwrap()
                .1
        );
    }

    #[test]
    fn texts_in_a_column_of_json_are_json() {
        let mut shape = Shape::default();
        shape
            .fit(&batch("j", &Kind::Json, StringArray::from(vec!["[1]"])))
            .unwrap();
        let (fitted, changed) = shape
            .fit(&batch("j", &Kind::Text, StringArray::from(vec![Some("a\"b"), None])))
            .unwrap();
        assert!(!changed);
        assert_eq!(texts(&fitted, "j"), [Some("\"a\\\"b\"".into()), None]);
        assert!(
            !shape
                .fit(&batch("j", &Kind::Integer, Int64Array::from(vec![5])))
                .unwrap()
                .1
        );
        // And a column of texts never takes JSON as if it were one.
        let mut shape = Shape::default();
        shape
            .fit(&batch("j", &Kind::Text, StringArray::from(vec!["a"])))
            .unwrap();
        assert!(
            shape
                .fit(&batch("j", &Kind::Json, StringArray::from(vec!["[1]"])))
                .unwrap()
                .1
        );
        assert_eq!(Kind::of_field(shape.schema().field(0)), Some(Kind::Json));
    }
}
