//! Which Arrow type a property has.

use arrow_schema::{DataType, Field};
use serde_json::Value;

/// The name in `ARROW:extension:name` of fields whose values are JSON texts.
pub const JSON: &str = "arrow.json";

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
        let _ = (property, root);
        unimplemented!()
    }

    /// The Arrow type.
    pub fn arrow(&self) -> DataType {
        unimplemented!()
    }

    /// A nullable field of that name, with the extension's name where it is JSON.
    pub fn field(&self, name: &str) -> Field {
        let _ = name;
        unimplemented!()
    }

    /// What a field of a file is, or none where it is none of these (lists, structs, narrower integers …: all of them can be
    /// written as records, and [`crate::columns::lines`] does).
    pub fn of_field(field: &Field) -> Option<Kind> {
        let _ = field;
        unimplemented!()
    }
}

/// The JSON Schema of an Arrow field, for taps whose source is Arrow (SPEC.md, section 7, the way back).
pub fn property(field: &Field) -> Value {
    let _ = field;
    unimplemented!()
}
