//! The columns of a record batch, each as the array that it is.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array, Int64Array,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field};
use singer_plugin::columns::kind::Kind;

use crate::sql_type::Type;

/// One column of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// boolean
    Bool(&'a BooleanArray),
    /// integer
    Int(&'a Int64Array),
    /// number
    Float(&'a Float64Array),
    /// decimal of up to 38 digits
    Decimal(&'a Decimal128Array),
    /// decimal of up to 76 digits
    Long(&'a Decimal256Array),
    /// string
    Text(&'a StringArray),
    /// date
    Date(&'a Date32Array),
    /// time
    Time(&'a Time64MicrosecondArray),
    /// date-time
    Timestamp(&'a TimestampMicrosecondArray),
    /// base64
    Binary(&'a BinaryArray),
    /// JSON text
    Json(&'a StringArray),
}

impl<'a> Source<'a> {
    /// A field's array, and what the field holds; none where it is none of section 7's.
    pub fn of(field: &Field, array: &'a dyn Array) -> Option<(Kind, Source<'a>)> {
        let kind = Kind::of_field(field)?;
        let source = match &kind {
            Kind::Boolean => Source::Bool(array.as_boolean_opt()?),
            Kind::Integer => Source::Int(array.as_primitive_opt::<Int64Type>()?),
            Kind::Number => Source::Float(array.as_primitive_opt::<Float64Type>()?),
            Kind::Decimal { .. } => match array.data_type() {
                DataType::Decimal128(..) => Source::Decimal(array.as_primitive_opt::<Decimal128Type>()?),
                _ => Source::Long(array.as_primitive_opt::<Decimal256Type>()?),
            },
            Kind::Text => Source::Text(array.as_string_opt()?),
            Kind::Date => Source::Date(array.as_primitive_opt::<Date32Type>()?),
            Kind::Time => Source::Time(array.as_primitive_opt::<Time64MicrosecondType>()?),
            Kind::Timestamp => Source::Timestamp(array.as_primitive_opt::<TimestampMicrosecondType>()?),
            Kind::Binary => Source::Binary(array.as_binary_opt()?),
            Kind::Json => Source::Json(array.as_string_opt()?),
        };
        Some((kind, source))
    }

    /// The array, whatever it is.
    pub fn array(&self) -> &'a dyn Array {
        match *self {
            Source::Bool(array) => array,
            Source::Int(array) => array,
            Source::Float(array) => array,
            Source::Decimal(array) => array,
            Source::Long(array) => array,
            Source::Text(array) | Source::Json(array) => array,
            Source::Date(array) => array,
            Source::Time(array) => array,
            Source::Timestamp(array) => array,
            Source::Binary(array) => array,
        }
    }

    /// The type that its values have when they are staged.
    pub fn staged(&self) -> Type {
        match self {
            Source::Bool(_) => Type::Bool,
            Source::Int(_) => Type::Int8,
            Source::Float(_) => Type::Float8,
            Source::Decimal(_) | Source::Long(_) => Type::Numeric(None),
            Source::Text(_) | Source::Json(_) => Type::Text,
            Source::Date(_) => Type::Date,
            Source::Time(_) => Type::Time,
            Source::Timestamp(_) => Type::Timestamp,
            Source::Binary(_) => Type::Bytea,
        }
    }

    /// A value, for a message about its row.
    pub fn shown(&self, row: usize) -> String {
        let text = match self {
            array if array.array().is_null(row) => "null".into(),
            Source::Bool(array) => array.value(row).to_string(),
            Source::Int(array) => array.value(row).to_string(),
            Source::Float(array) => array.value(row).to_string(),
            Source::Decimal(array) => array.value_as_string(row),
            Source::Long(array) => array.value_as_string(row),
            Source::Text(array) => format!("{:?}", array.value(row)),
            Source::Json(array) => array.value(row).into(),
            Source::Date(array) => array.value_as_date(row).map(|day| day.to_string()).unwrap_or_default(),
            Source::Time(array) => array
                .value_as_time(row)
                .map(|time| time.to_string())
                .unwrap_or_default(),
            Source::Timestamp(array) => array
                .value_as_datetime(row)
                .map(|time| time.to_string())
                .unwrap_or_default(),
            Source::Binary(_) => "(bytes)".into(),
        };
        match text.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}
