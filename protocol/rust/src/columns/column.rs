//! One column of a batch that is being gathered: its values, typed, and which of them are null.

use std::sync::Arc;

use arrow_array::types::{Decimal128Type, Decimal256Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, PrimitiveArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::{i256, BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::Field;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use super::kind::Kind;
use super::{clock, number};
use crate::error::Fault;
use crate::json::{self, peek};
use crate::text;

/// What became of a value.
pub(crate) enum Put {
    /// It is in the column; the offset behind it.
    End(usize),
    /// The column cannot hold it, and one of this kind can.
    Misfit(Kind),
}

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
    /// Texts that were counted with [`Column::weight`] since the row began.
    counted: usize,
}

#[derive(Debug)]
enum Values {
    Booleans(BooleanBufferBuilder),
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Decimals(Vec<i128>, number::Places),
    Decimals256(Vec<i256>, number::Places),
    Texts(Texts),
    Jsons(Texts),
    Binaries(Texts),
    Dates(Vec<i32>),
    Times(Vec<i64>),
    Timestamps(Vec<i64>),
}

/// Bytes of values, one behind the other, and where each ends.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
}
