//! The values of one column, taken from their binary form straight into the buffers of an Arrow array.

use std::io::Write;
use std::sync::Arc;

use arrow_array::types::{Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type};
use arrow_array::types::{Time64MicrosecondType, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::{i256, BooleanBufferBuilder, NullBuffer, NullBufferBuilder, ScalarBuffer};
use arrow_schema::DataType;

use crate::compact;
use crate::list;
use crate::moment;
use crate::numeric::{self, Read};
use crate::shape::{Element, Shape};
use crate::texts::{self, Texts};

/// Why a value is not in the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// It is one that the column's type in JSON has not.
    Other(&'static str),
    /// Its bytes are none of its type's.
    Broken,
}

/// The values gathered so far.
#[derive(Debug)]
pub struct Cells {
    values: Values,
    nulls: NullBufferBuilder,
    digits: Vec<u8>,
}

#[derive(Debug)]
enum Values {
    Bool(BooleanBufferBuilder),
    Int2(Vec<i64>),
    Int4(Vec<i64>),
    Int8(Vec<i64>),
    Oid(Vec<i64>),
    Float4(Vec<f64>),
    Float8(Vec<f64>),
    Decimal(Vec<i128>, u8),
    Wide(Vec<i256>, u8),
    Date(Vec<i32>),
    Time(Vec<i64>),
    Stamp(Vec<i64>),
    Digits(Texts),
    Text(Texts),
    Uuid(Texts),
    Bytea(Texts),
    Json(Texts),
    Jsonb(Texts),
    List(Texts, Element),
}

/// How much a batch before held, and so most likely the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    /// Rows.
    pub rows: usize,
    /// Bytes of texts.
    pub bytes: usize,
}

macro_rules! fixed {
    ($bytes:expr, $type:ty) => {
        match <[u8; std::mem::size_of::<$type>()]>::try_from($bytes) {
            Ok(bytes) => <$type>::from_be_bytes(bytes),
            Err(_) => return Err(Odd::Broken),
        }
    };
}

impl Cells {
    /// No values yet.
    pub fn new(shape: Shape, room: Room) -> Cells {
        let rows = room.rows;
        let texts = || Texts::with_capacity(rows, room.bytes + room.bytes / 8);
        let values = match shape {
            Shape::Bool => Values::Bool(BooleanBufferBuilder::new(rows)),
            Shape::Int2 => Values::Int2(Vec::with_capacity(rows)),
            Shape::Int4 => Values::Int4(Vec::with_capacity(rows)),
            Shape::Int8 => Values::Int8(Vec::with_capacity(rows)),
            Shape::Oid => Values::Oid(Vec::with_capacity(rows)),
            Shape::Float4 => Values::Float4(Vec::with_capacity(rows)),
            Shape::Float8 => Values::Float8(Vec::with_capacity(rows)),
            Shape::Decimal { precision, scale } if precision <= 38 => Values::Decimal(Vec::with_capacity(rows), scale),
            Shape::Decimal { scale, .. } => Values::Wide(Vec::with_capacity(rows), scale),
            Shape::Date => Values::Date(Vec::with_capacity(rows)),
            Shape::Time => Values::Time(Vec::with_capacity(rows)),
            Shape::Stamp => Values::Stamp(Vec::with_capacity(rows)),
            Shape::Digits => Values::Digits(texts()),
            Shape::Text | Shape::Cast => Values::Text(texts()),
            Shape::Uuid => Values::Uuid(texts()),
            Shape::Bytea => Values::Bytea(texts()),
            Shape::Json | Shape::CastList | Shape::CastRow => Values::Json(texts()),
            Shape::Jsonb => Values::Jsonb(texts()),
            Shape::List(element) => Values::List(texts(), element),
        };
        Cells {
            values,
            nulls: NullBufferBuilder::new(rows),
            digits: Vec::new(),
        }
    }

    /// Adds a value. Where there is an error null was added in its place.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Odd> {
        match self.value(bytes) {
            Ok(()) => {
                self.nulls.append_non_null();
                Ok(())
            }
            Err(odd) => {
                self.push_null();
                Err(odd)
            }
        }
    }

    #[inline]
    fn value(&mut self, bytes: &[u8]) -> Result<(), Odd> {
        let ended = |ended: Option<()>| ended.ok_or(Odd::Broken);
        match &mut self.values {
            Values::Bool(values) => values.append(fixed!(bytes, u8) != 0),
            Values::Int2(values) => values.push(fixed!(bytes, i16).into()),
            Values::Int4(values) => values.push(fixed!(bytes, i32).into()),
            Values::Int8(values) => values.push(fixed!(bytes, i64)),
            Values::Oid(values) => values.push(fixed!(bytes, u32).into()),
            Values::Float8(values) => values.push(finite(fixed!(bytes, f64))?),
            Values::Float4(values) => values.push(shortest(fixed!(bytes, f32), &mut self.digits)?),
            Values::Decimal(values, scale) => match numeric::read(bytes) {
                Read::Number(number) => values.push(number.scaled(*scale).ok_or(Odd::Broken)?),
                other => return Err(odd(&other)),
            },
            Values::Wide(values, scale) => match numeric::read(bytes) {
                Read::Number(number) => values.push(number.scaled_wide(*scale).ok_or(Odd::Broken)?),
                other => return Err(odd(&other)),
            },
            Values::Digits(values) => match numeric::read(bytes) {
                Read::Number(number) => {
                    number.write(values.open());
                    ended(values.end())?;
                }
                other => return Err(odd(&other)),
            },
            Values::Date(values) => values.push(moment::date(fixed!(bytes, i32)).map_err(Odd::Other)?),
            Values::Time(values) => values.push(moment::time(fixed!(bytes, i64)).map_err(Odd::Other)?),
            Values::Stamp(values) => values.push(moment::stamp(fixed!(bytes, i64)).map_err(Odd::Other)?),
            Values::Text(values) | Values::Bytea(values) => ended(values.push(bytes))?,
            Values::Uuid(values) => {
                let bytes: &[u8; 16] = bytes.try_into().map_err(|_| Odd::Broken)?;
                texts::uuid(values.open(), bytes);
                ended(values.end())?;
            }
            Values::Json(values) => {
                compact::json(values.open(), bytes);
                ended(values.end())?;
            }
            Values::Jsonb(values) => match bytes {
                [1, text @ ..] => ended(values.push(text))?,
                _ => return Err(Odd::Broken),
            },
            Values::List(values, element) => {
                list::write(values.open(), bytes, *element).ok_or(Odd::Broken)?;
                ended(values.end())?;
            }
        }
        Ok(())
    }

    /// Adds null.
    #[inline]
    pub fn push_null(&mut self) {
        self.nulls.append_null();
        match &mut self.values {
            Values::Bool(values) => values.append(false),
            Values::Int2(values)
            | Values::Int4(values)
            | Values::Int8(values)
            | Values::Oid(values)
            | Values::Time(values)
            | Values::Stamp(values) => values.push(0),
            Values::Float4(values) | Values::Float8(values) => values.push(0.0),
            Values::Decimal(values, _) => values.push(0),
            Values::Wide(values, _) => values.push(i256::ZERO),
            Values::Date(values) => values.push(0),
            Values::Digits(values)
            | Values::Text(values)
            | Values::Uuid(values)
            | Values::Bytea(values)
            | Values::Json(values)
            | Values::Jsonb(values)
            | Values::List(values, _) => {
                values.forget();
                // A value of no bytes always has room.
                let _ = values.end();
            }
        }
    }

    /// Bytes of texts.
    pub fn text_bytes(&self) -> usize {
        match &self.values {
            Values::Digits(values)
            | Values::Text(values)
            | Values::Uuid(values)
            | Values::Bytea(values)
            | Values::Json(values)
            | Values::Jsonb(values)
            | Values::List(values, _) => values.bytes(),
            _ => 0,
        }
    }

    /// The values as an array of that type, or the row whose text is not UTF-8.
    pub fn finish(mut self, data_type: &DataType) -> Result<ArrayRef, usize> {
        let nulls = self.nulls.finish();
        Ok(match self.values {
            Values::Bool(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int2(values) | Values::Int4(values) | Values::Int8(values) | Values::Oid(values) => {
                array::<Int64Type>(values, nulls, data_type)
            }
            Values::Float4(values) | Values::Float8(values) => array::<Float64Type>(values, nulls, data_type),
            Values::Decimal(values, _) => array::<Decimal128Type>(values, nulls, data_type),
            Values::Wide(values, _) => array::<Decimal256Type>(values, nulls, data_type),
            Values::Date(values) => array::<Date32Type>(values, nulls, data_type),
            Values::Time(values) => array::<Time64MicrosecondType>(values, nulls, data_type),
            Values::Stamp(values) => array::<TimestampMicrosecondType>(values, nulls, data_type),
            Values::Bytea(values) => values.binaries(nulls),
            Values::Digits(values)
            | Values::Text(values)
            | Values::Uuid(values)
            | Values::Json(values)
            | Values::Jsonb(values)
            | Values::List(values, _) => values.strings(nulls)?,
        })
    }

    /// The last value as a text for messages; none when it is null.
    pub fn last(&self) -> Option<String> {
        if self.nulls.as_slice().is_some() && !self.nulls.is_valid(self.nulls.len().checked_sub(1)?) {
            return None;
        }
        match &self.values {
            Values::Int2(values) | Values::Int4(values) | Values::Int8(values) | Values::Oid(values) => {
                values.last().map(i64::to_string)
            }
            Values::Text(values) | Values::Uuid(values) | Values::Digits(values) => {
                Some(String::from_utf8_lossy(values.last()).into_owned())
            }
            _ => None,
        }
    }
}

fn array<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>, data_type: &DataType) -> ArrayRef {
    let made = PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls);
    match made.data_type() == data_type {
        true => Arc::new(made),
        // A decimal's precision and scale, a timestamp's zone.
        false => Arc::new(made.with_data_type(data_type.clone())),
    }
}

fn odd(read: &Read<'_>) -> Odd {
    match read {
        Read::Other(name) => Odd::Other(name),
        _ => Odd::Broken,
    }
}

#[inline]
fn finite(float: f64) -> Result<f64, Odd> {
    match float {
        _ if float.is_finite() => Ok(float),
        _ if float.is_nan() => Err(Odd::Other("NaN")),
        _ if float > 0.0 => Err(Odd::Other("Infinity")),
        _ => Err(Odd::Other("-Infinity")),
    }
}

/// The double whose shortest digits are those of the float: 0.1 stays 0.1.
fn shortest(float: f32, digits: &mut Vec<u8>) -> Result<f64, Odd> {
    let wide = finite(float.into())?;
    // Whole numbers up to 2^24 have the same digits in both.
    if wide.fract() == 0.0 && wide.abs() <= 16_777_216.0 {
        return Ok(wide);
    }
    digits.clear();
    let _ = write!(digits, "{float:e}");
    let parsed = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
    parsed.ok_or(Odd::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use singer_plugin::columns::kind::Kind;

    #[test]
    fn a_float_keeps_its_digits() {
        let mut cells = Cells::new(Shape::Float4, Room::default());
        for float in [0.1_f32, 16_777_217.0, 3.402_823_5e38, 1e-45, -0.0, 7.0] {
            cells.push(&float.to_be_bytes()).unwrap();
        }
        assert_eq!(cells.push(&f32::NAN.to_be_bytes()), Err(Odd::Other("NaN")));
        assert_eq!(
            cells.push(&f32::NEG_INFINITY.to_be_bytes()),
            Err(Odd::Other("-Infinity"))
        );
        let array = cells.finish(&DataType::Float64).unwrap();
        let values = array.as_primitive::<Float64Type>();
        assert_eq!(
            values.values()[..6],
            [0.1, 16_777_216.0, 3.402_823_5e38, 1e-45, -0.0, 7.0]
        );
        assert!(values.value(4).is_sign_negative());
        assert_eq!(
            (values.is_null(5), values.is_null(6), values.is_null(7)),
            (false, true, true)
        );
    }

    #[test]
    fn nulls_and_broken_values_keep_their_place() {
        let mut cells = Cells::new(Shape::Text, Room::default());
        cells.push(b"a").unwrap();
        cells.push_null();
        assert_eq!(cells.last(), None);
        cells.push(b"b").unwrap();
        assert_eq!((cells.last().as_deref(), cells.text_bytes()), (Some("b"), 2));
        let array = cells.finish(&DataType::Utf8).unwrap();
        assert_eq!(
            array.as_string::<i32>().iter().collect::<Vec<_>>(),
            [Some("a"), None, Some("b")]
        );
        let shape = Shape::Decimal { precision: 6, scale: 2 };
        let mut cells = Cells::new(shape, Room::default());
        cells.push(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 5]).unwrap();
        assert_eq!(cells.push(&[0, 1]), Err(Odd::Broken));
        let array = cells.finish(&shape.kind().arrow()).unwrap();
        assert_eq!(
            (array.data_type(), array.null_count()),
            (&Kind::arrow(&shape.kind()), 1)
        );
        assert_eq!(array.as_primitive::<Decimal128Type>().value(0), 500);
        let mut cells = Cells::new(Shape::Jsonb, Room::default());
        assert_eq!(cells.push(b"\x02{}"), Err(Odd::Broken));
        cells.push(b"\x01{}").unwrap();
        assert_eq!(cells.finish(&DataType::Utf8).unwrap().as_string::<i32>().value(1), "{}");
    }
}
