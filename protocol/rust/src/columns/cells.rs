//! The values of one Arrow array, written as JSON one at a time.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{
    Array, ArrowPrimitiveType, BooleanArray, FixedSizeBinaryArray, GenericByteArray, GenericByteViewArray,
};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::{DataType, TimeUnit};

use super::lines::Form;
use super::nested;
use super::spelling::{self, Why};
use crate::json;

/// How values are appended to a line. A row that is asked for is there, and is not null.
pub(crate) trait Cell {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why>;
}

/// An array and its nulls.
pub(crate) struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    cell: Box<dyn Cell + 'a>,
}

impl<'a> Cells<'a> {
    /// Looks at an array once, so that each of its values costs little. `rows`: which of them will be asked for, where it is known.
    pub(crate) fn open(array: &'a dyn Array, form: &'a Form, rows: Option<&Range<usize>>) -> Result<Self, Why> {
        Ok(Cells {
            nulls: array.nulls(),
            cell: open(array, form, rows)?,
        })
    }

    #[inline]
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    #[inline]
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        self.cell.write(row, out)
    }
}

type Opened<'a> = Result<Box<dyn Cell + 'a>, Why>;

fn open<'a>(array: &'a dyn Array, form: &'a Form, rows: Option<&Range<usize>>) -> Opened<'a> {
    let text = !form.numbers;
    Ok(match array.data_type() {
        DataType::Null => Box::new(Nothing),
        DataType::Boolean => Box::new(array.as_boolean()),
        DataType::Int8 => Box::new(Int::<Int8Type>::of(array)),
        DataType::Int16 => Box::new(Int::<Int16Type>::of(array)),
        DataType::Int32 => Box::new(Int::<Int32Type>::of(array)),
        DataType::Int64 => Box::new(Int::<Int64Type>::of(array)),
        DataType::UInt8 => Box::new(Int::<UInt8Type>::of(array)),
        DataType::UInt16 => Box::new(Int::<UInt16Type>::of(array)),
        DataType::UInt32 => Box::new(Int::<UInt32Type>::of(array)),
        DataType::UInt64 => Box::new(Int::<UInt64Type>::of(array)),
        DataType::Float16 | DataType::Float32 | DataType::Float64 if form.words => words(array),
        DataType::Float16 => {
            let values = array.as_primitive::<Float16Type>().values();
            Box::new(By(values, |v, out| spelling::float(f32::from(v), out)))
        }
        DataType::Float32 => Box::new(By(array.as_primitive::<Float32Type>().values(), spelling::float::<f32>)),
        DataType::Float64 => Box::new(By(array.as_primitive::<Float64Type>().values(), spelling::float::<f64>)),
        DataType::Decimal32(_, scale) => {
            let values = array.as_primitive::<Decimal32Type>().values();
            Box::new(Digits(values, *scale, text, |v, to| {
                spelling::digits(i128::from(v), to)
            }))
        }
        DataType::Decimal64(_, scale) => {
            let values = array.as_primitive::<Decimal64Type>().values();
            Box::new(Digits(values, *scale, text, |v, to| {
                spelling::digits(i128::from(v), to)
            }))
        }
        DataType::Decimal128(_, scale) => Box::new(Digits(
            array.as_primitive::<Decimal128Type>().values(),
            *scale,
            text,
            spelling::digits,
        )),
        DataType::Decimal256(_, scale) => Box::new(Digits(
            array.as_primitive::<Decimal256Type>().values(),
            *scale,
            text,
            spelling::digits_256,
        )),
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>().values();
            Box::new(By(values, |v, out| {
                quoted(out, |out| spelling::date(i64::from(v), out))
            }))
        }
        DataType::Date64 => {
            let values = array.as_primitive::<Date64Type>().values();
            Box::new(By(values, |v: i64, out| match v.rem_euclid(86_400_000) {
                0 => quoted(out, |out| spelling::date(v.div_euclid(86_400_000), out)),
                _ => Err("a date with a time of day"),
            }))
        }
        DataType::Time32(TimeUnit::Second) => time(array.as_primitive::<Time32SecondType>().values(), 0),
        DataType::Time32(_) => time(array.as_primitive::<Time32MillisecondType>().values(), 3),
        DataType::Time64(TimeUnit::Microsecond) => time(array.as_primitive::<Time64MicrosecondType>().values(), 6),
        DataType::Time64(_) => time(array.as_primitive::<Time64NanosecondType>().values(), 9),
        DataType::Timestamp(unit, _) => Box::new(Moment {
            values: match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
            },
            places: places(unit),
            put: spelling::timestamp,
        }),
        DataType::Duration(unit) => Box::new(Moment {
            values: match unit {
                TimeUnit::Second => array.as_primitive::<DurationSecondType>().values(),
                TimeUnit::Millisecond => array.as_primitive::<DurationMillisecondType>().values(),
                TimeUnit::Microsecond => array.as_primitive::<DurationMicrosecondType>().values(),
                TimeUnit::Nanosecond => array.as_primitive::<DurationNanosecondType>().values(),
            },
            places: places(unit),
            put: spelling::duration,
        }),
        DataType::Utf8 => strings(array.as_string::<i32>(), form, rows),
        DataType::LargeUtf8 => strings(array.as_string::<i64>(), form, rows),
        DataType::Utf8View if form.json => Box::new(Raw(array.as_string_view())),
        DataType::Utf8View => Box::new(Escaped(array.as_string_view())),
        DataType::Binary => Box::new(Base64(array.as_binary::<i32>())),
        DataType::LargeBinary => Box::new(Base64(array.as_binary::<i64>())),
        DataType::BinaryView => Box::new(Base64(array.as_binary_view())),
        DataType::FixedSizeBinary(_) => Box::new(Base64(array.as_fixed_size_binary())),
        _ => return nested::open(array, form),
    })
}

/// Floats of which some may be none.
fn words(array: &dyn Array) -> Box<dyn Cell + '_> {
    match array.data_type() {
        DataType::Float16 => Box::new(By(array.as_primitive::<Float16Type>().values(), |v, out| {
            spelling::float_or_word(f32::from(v), out)
        })),
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            Box::new(By(values, spelling::float_or_word::<f32>))
        }
        _ => {
            let values = array.as_primitive::<Float64Type>().values();
            Box::new(By(values, spelling::float_or_word::<f64>))
        }
    }
}

fn places(unit: &TimeUnit) -> u32 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn quoted(out: &mut Vec<u8>, inside: impl FnOnce(&mut Vec<u8>) -> Result<(), Why>) -> Result<(), Why> {
    out.push(b'"');
    inside(out)?;
    out.push(b'"');
    Ok(())
}

fn time<'a, N: Copy + Into<i64>>(values: &'a [N], places: u32) -> Box<dyn Cell + 'a> {
    Box::new(Clock { values, places })
}

fn strings<'a, T: ByteArrayType>(
    array: &'a GenericByteArray<T>,
    form: &Form,
    rows: Option<&Range<usize>>,
) -> Box<dyn Cell + 'a> {
    if form.json {
        return Box::new(Raw(array));
    }
    // One look at all the bytes of a column, and most columns need none at their values.
    let plain = rows.is_some_and(|rows| {
        let offsets = array.value_offsets();
        let bounds = (offsets.get(rows.start), offsets.get(rows.end));
        let (Some(from), Some(to)) = bounds else { return false };
        spelling::is_plain(&array.value_data()[from.as_usize()..to.as_usize()])
    });
    match plain {
        true => Box::new(Plain(array)),
        false => Box::new(Escaped(array)),
    }
}

struct Nothing;

impl Cell for Nothing {
    fn write(&self, _: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        out.extend_from_slice(b"null");
        Ok(())
    }
}

impl Cell for &BooleanArray {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        out.extend_from_slice(if self.value(row) { b"true" } else { b"false" });
        Ok(())
    }
}

struct Int<'a, T: ArrowPrimitiveType>(&'a [T::Native]);

impl<'a, T: ArrowPrimitiveType> Int<'a, T> {
    fn of(array: &'a dyn Array) -> Self {
        Int(array.as_primitive::<T>().values())
    }
}

impl<T: ArrowPrimitiveType> Cell for Int<'_, T>
where
    T::Native: itoa::Integer,
{
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        out.extend_from_slice(itoa::Buffer::new().format(self.0[row]).as_bytes());
        Ok(())
    }
}

/// Values that a function writes.
struct By<'a, N, F: Fn(N, &mut Vec<u8>) -> Result<(), Why>>(&'a [N], F);

impl<N: Copy, F: Fn(N, &mut Vec<u8>) -> Result<(), Why>> Cell for By<'_, N, F> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        (self.1)(self.0[row], out)
    }
}

/// Decimals: the values, their scale, whether as strings, and how their digits are found.
struct Digits<'a, N, F: Fn(N, &mut spelling::Digits)>(&'a [N], i8, bool, F);

impl<N: Copy, F: Fn(N, &mut spelling::Digits)> Cell for Digits<'_, N, F> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        let mut digits = spelling::Digits::default();
        (self.3)(self.0[row], &mut digits);
        if self.2 {
            out.push(b'"');
        }
        digits.write(self.1, out);
        if self.2 {
            out.push(b'"');
        }
        Ok(())
    }
}

/// Times of day, with so many digits behind the second.
struct Clock<'a, N> {
    values: &'a [N],
    places: u32,
}

impl<N: Copy + Into<i64>> Cell for Clock<'_, N> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        quoted(out, |out| spelling::time(self.values[row].into(), self.places, out))
    }
}

/// Instants or spans, with so many digits behind the second.
struct Moment<'a> {
    values: &'a [i64],
    places: u32,
    put: fn(i64, u32, &mut Vec<u8>) -> Result<(), Why>,
}

impl Cell for Moment<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        quoted(out, |out| (self.put)(self.values[row], self.places, out))
    }
}

/// Arrays whose values are bytes.
pub(crate) trait Bytes {
    fn bytes(&self, row: usize) -> &[u8];
}

impl<T: ByteArrayType> Bytes for &GenericByteArray<T> {
    #[inline]
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row).as_ref()
    }
}

impl<T: ByteViewType> Bytes for &GenericByteViewArray<T> {
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row).as_ref()
    }
}

impl Bytes for &FixedSizeBinaryArray {
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row)
    }
}

/// Strings that hold nothing to be escaped.
struct Plain<A>(A);

impl<A: Bytes> Cell for Plain<A> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        out.push(b'"');
        out.extend_from_slice(self.0.bytes(row));
        out.push(b'"');
        Ok(())
    }
}

/// Strings.
struct Escaped<A>(A);

impl<A: Bytes> Cell for Escaped<A> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        out.push(b'"');
        spelling::escaped(self.0.bytes(row), out);
        out.push(b'"');
        Ok(())
    }
}

/// JSON texts, as they are; but a line break between their tokens would end the line.
struct Raw<A>(A);

impl<A: Bytes> Cell for Raw<A> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        let text = self.0.bytes(row);
        json::check(text).map_err(|_| "not JSON, though its column says so")?;
        let start = out.len();
        out.extend_from_slice(text);
        if memchr::memchr(b'\n', text).is_some() {
            let breaks = out[start..].iter_mut().filter(|byte| **byte == b'\n');
            breaks.for_each(|byte| *byte = b' ');
        }
        Ok(())
    }
}

/// Bytes.
struct Base64<A>(A);

impl<A: Bytes> Cell for Base64<A> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        quoted(out, |out| spelling::base64(self.0.bytes(row), out))
    }
}
