//! Which rows of a batch go into which folder: `country=DE/created_at_day=2026-11-26`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType, Schema, TimeUnit};
use arrow_select::take::take_record_batch;
use singer_plugin::name::safe;

/// The name that readers of such folders have for null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// How much of a date a folder says: what follows the colon, and how many letters of an ISO 8601 text that is.
const UNITS: [(&str, usize); 4] = [("year", 4), ("month", 7), ("day", 10), ("hour", 13)];

/// One level of folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    column: String,
    /// What of a date or time.
    unit: Option<(&'static str, usize)>,
}

impl By {
    /// A column's name, perhaps with `:day` or the like behind it.
    pub fn of(text: &str) -> By {
        let unit = |name: &str| UNITS.into_iter().find(|unit| unit.0 == name);
        match text
            .rsplit_once(':')
            .and_then(|(column, name)| Some((column, unit(name)?)))
        {
            Some((column, unit)) => By {
                column: column.into(),
                unit: Some(unit),
            },
            None => By {
                column: text.into(),
                unit: None,
            },
        }
    }

    /// What is wrong with it for rows of these columns.
    pub fn check(&self, schema: &Schema) -> Result<(), String> {
        let Ok(field) = schema.field_with_name(&self.column) else {
            return Err(format!("there is no column {:?}", self.column));
        };
        let fits = match (self.unit, field.data_type()) {
            (None, kind) => matches!(
                kind,
                DataType::Utf8 | DataType::Int64 | DataType::Boolean | DataType::Date32 | DataType::Decimal128(..)
            ),
            (Some(("hour", _)), kind) => matches!(kind, DataType::Timestamp(..)),
            (Some(_), kind) => matches!(kind, DataType::Timestamp(..) | DataType::Date32),
        };
        match (fits, self.unit) {
            (true, _) => Ok(()),
            (false, Some((unit, _))) => Err(format!(
                "the column {:?} has no {unit}: it is {}",
                self.column,
                field.data_type()
            )),
            (false, None) => Err(format!(
                "the column {:?} is {}, which makes no folders",
                self.column,
                field.data_type()
            )),
        }
    }

    fn folder(&self) -> String {
        let name = safe(self.column.as_bytes());
        self.unit.map_or(name.clone(), |(unit, _)| format!("{name}_{unit}"))
    }
}

/// The rows of each folder, in their order; the folder's name ends in a slash, or is empty where there are none.
pub fn split(batch: &RecordBatch, by: &[By]) -> Result<Vec<(String, RecordBatch)>, ArrowError> {
    if by.is_empty() {
        return Ok(vec![(String::new(), batch.clone())]);
    }
    let options = FormatOptions::default();
    let columns = by.iter().map(|level| {
        let column = batch.column_by_name(&level.column).map(unzoned);
        column.ok_or_else(|| ArrowError::SchemaError(format!("there is no column {:?}", level.column)))
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
    let mut levels = Vec::with_capacity(by.len());
    for (level, column) in by.iter().zip(&columns) {
        levels.push((column, ArrayFormatter::try_new(column, &options)?, level.unit));
    }
    let mut found: HashMap<String, usize> = HashMap::new();
    let mut rows: Vec<(String, Vec<u32>)> = Vec::new();
    let mut key = String::new();
    for row in 0..batch.num_rows() {
        key.clear();
        for (column, texts, unit) in &levels {
            if column.is_null(row) {
                key.push('\u{1}');
            } else {
                let start = key.len() + 1;
                key.push('\u{0}');
                texts.value(row).write(&mut key)?;
                if let Some((_, letters)) = unit {
                    key.truncate(start + letters);
                }
            }
        }
        let at = match found.get(&key) {
            Some(at) => *at,
            None => {
                let name = folder(
                    by,
                    &levels
                        .iter()
                        .map(|(column, texts, unit)| {
                            let whole = column.is_valid(row).then(|| texts.value(row).to_string());
                            whole.map(|text| {
                                unit.map_or(text.clone(), |(_, letters)| text.chars().take(letters).collect())
                            })
                        })
                        .collect::<Vec<_>>(),
                );
                rows.push((name, Vec::new()));
                found.insert(key.clone(), rows.len() - 1);
                rows.len() - 1
            }
        };
        rows[at].1.push(row as u32);
    }
    let parts = rows
        .into_iter()
        .map(|(name, rows)| match rows.len() == batch.num_rows() {
            true => Ok((name, batch.clone())),
            false => Ok((name, take_record_batch(batch, &UInt32Array::from(rows))?)),
        });
    parts.collect()
}

/// Moments without their zone, which is UTC: the formatter knows no zone by its name.
fn unzoned(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let moments = column.as_primitive::<TimestampMicrosecondType>().clone();
            Arc::new(moments.with_timezone_opt(None::<Arc<str>>))
        }
        _ => Arc::clone(column),
    }
}

/// I12: a value is data; whatever it holds, it is one name.
fn folder(by: &[By], values: &[Option<String>]) -> String {
    let parts = by.iter().zip(values).map(|(level, value)| {
        let value = value.as_ref().map_or(NULL.into(), |value| {
            if value.is_empty() {
                String::new()
            } else {
                safe(value.as_bytes())
            }
        });
        format!("{}={value}/", level.folder())
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn rows(columns: Vec<(&str, ArrayRef)>, by: &[&str]) -> Vec<(String, Vec<i64>)> {
        let count = columns[0].1.len() as i64;
        let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
        let all = columns
            .into_iter()
            .chain([("n", n)])
            .map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(all).unwrap();
        let by: Vec<_> = by.iter().map(|text| By::of(text)).collect();
        assert!(by.iter().all(|by| by.check(&batch.schema()).is_ok()));
        let parts = split(&batch, &by).unwrap();
        let ids = |batch: RecordBatch| {
            batch
                .column_by_name("n")
                .unwrap()
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        };
        parts.into_iter().map(|(name, batch)| (name, ids(batch))).collect()
    }

    #[test]
    fn values_are_names_and_never_paths() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![
            Some("DE"),
            Some("../x=/y"),
            None,
            Some("DE"),
            Some(""),
        ]));
        let expected = [
            ("c=DE/", vec![0, 3]),
            ("c=%2E.%2Fx%3D%2Fy/", vec![1]),
            ("c=__HIVE_DEFAULT_PARTITION__/", vec![2]),
            ("c=/", vec![4]),
        ];
        assert_eq!(
            rows(vec![("c", Arc::clone(&text))], &["c"]),
            expected.map(|(name, ids)| (name.to_string(), ids))
        );
        assert_eq!(rows(vec![("c", text)], &[]), [(String::new(), vec![0, 1, 2, 3, 4])]);
    }

    #[test]
    fn dates_and_times_make_folders_of_their_parts() {
        let hour = 3_600_000_000;
        let moments = TimestampMicrosecondArray::from(vec![Some(0), Some(23 * hour), Some(24 * hour), Some(-1)])
            .with_timezone("UTC");
        let at: ArrayRef = Arc::new(moments);
        let names = |by: &str| {
            rows(vec![("a:t", Arc::clone(&at))], &[by])
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names("a:t:day"),
            [
                "a%3At_day=1970-01-01/",
                "a%3At_day=1970-01-02/",
                "a%3At_day=1969-12-31/"
            ]
        );
        assert_eq!(names("a:t:year"), ["a%3At_year=1970/", "a%3At_year=1969/"]);
        assert_eq!(names("a:t:hour").len(), 4);
        let schema = Schema::new(vec![arrow_schema::Field::new("t", DataType::Float64, true)]);
        assert!(
            By::of("t").check(&schema).is_err()
                && By::of("t:day").check(&schema).is_err()
                && By::of("x").check(&schema).is_err()
        );
    }
}
