//! Which Arrow type a property has (SPEC.md, section 7). What a property says is found by [`super::schema`].

use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use serde_json::Value;

pub use super::property::property;
use super::schema::Resolver;

/// The name in `ARROW:extension:name` of fields whose values are JSON texts.
pub const JSON: &str = "arrow.json";

/// The key of an extension's name in a field's metadata.
const EXTENSION: &str = "ARROW:extension:name";

/// The most digits that a decimal of 128 bits has for certain.
const DIGITS_128: u8 = 38;

/// What a column of a record batch holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `bool`.
    Boolean,
    /// `int64`.
    Integer,
    /// `float64`.
    Number,
    /// `decimal128` up to 38 digits, `decimal256` up to 76; `text`: a record holds its digits as a string, not as a number.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: i8,
        /// A string in the record.
        text: bool,
    },
    /// `string`.
    Text,
    /// `date32`.
    Date,
    /// `time64[us]`.
    Time,
    /// `timestamp[us, UTC]`.
    Timestamp,
    /// `binary`; base64 in a record.
    Binary,
    /// `string` with the extension `arrow.json`.
    Json,
}

impl Kind {
    /// The kind of a property, by its SCHEMA. `root` is the SCHEMA as a whole, for references within it.
    pub fn of(property: &Value, root: &Value) -> Kind {
        Resolver::new(root).meaning(property).kind
    }

    /// Whether the SCHEMA lets a property be null; where it says nothing, it does.
    pub fn nullable(property: &Value, root: &Value) -> bool {
        Resolver::new(root).meaning(property).nullable
    }

    /// Whether a record holds its values as strings.
    pub fn is_text(&self) -> bool {
        match self {
            Kind::Text | Kind::Date | Kind::Time | Kind::Timestamp | Kind::Binary => true,
            Kind::Decimal { text, .. } => *text,
            Kind::Boolean | Kind::Integer | Kind::Number | Kind::Json => false,
        }
    }

    /// The Arrow type.
    pub fn arrow(&self) -> DataType {
        match *self {
            Kind::Boolean => DataType::Boolean,
            Kind::Integer => DataType::Int64,
            Kind::Number => DataType::Float64,
            Kind::Decimal { precision, scale, .. } if precision <= DIGITS_128 => DataType::Decimal128(precision, scale),
            Kind::Decimal { precision, scale, .. } => DataType::Decimal256(precision, scale),
            Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Date => DataType::Date32,
            Kind::Time => DataType::Time64(TimeUnit::Microsecond),
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            Kind::Binary => DataType::Binary,
        }
    }

    /// A nullable field of that name, with the extension's name where it is JSON.
    pub fn field(&self, name: &str) -> Field {
        let field = Field::new(name, self.arrow(), true);
        match self {
            Kind::Json => field.with_metadata([(EXTENSION.to_owned(), JSON.to_owned())]),
            _ => field,
        }
    }

    /// What a field of a file is, or none where it is none of these (lists, structs, narrower integers …: all of them can be
    /// written as records, and [`crate::columns::lines`] does).
    pub fn of_field(field: &Field) -> Option<Kind> {
        Some(match field.data_type() {
            DataType::Boolean => Kind::Boolean,
            DataType::Int64 => Kind::Integer,
            DataType::Float64 => Kind::Number,
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => Kind::Decimal {
                precision: *precision,
                scale: *scale,
                text: true,
            },
            DataType::Utf8 if is_json(field) => Kind::Json,
            DataType::Utf8 => Kind::Text,
            DataType::Date32 => Kind::Date,
            DataType::Time64(TimeUnit::Microsecond) => Kind::Time,
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => Kind::Timestamp,
            DataType::Binary => Kind::Binary,
            _ => return None,
        })
    }
}

/// Whether a field's values are JSON texts.
pub(crate) fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION).is_some_and(|name| name == JSON)
}
