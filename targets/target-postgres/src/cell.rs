//! A batch's columns in the binary form of COPY, value by value and without an allocation each.

use std::ops::Range;

use arrow_array::{Array, StringArray};

use crate::numeric;
use crate::source::Source;

/// 2000-01-01, where PostgreSQL's times begin, in days and in microseconds since 1970.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// What `date` and `timestamptz` can hold, 4714-11-24 BC on, counted from 2000.
const DAYS: Range<i32> = -2_451_545..2_145_031_949;
const MICROS: Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// The form in which a column's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// There are none.
    Null,
    /// boolean
    Bool,
    /// smallint
    Int2,
    /// integer
    Int4,
    /// bigint
    Int8,
    /// real
    Float4,
    /// double precision
    Float8,
    /// numeric
    Numeric,
    /// text, varchar, char, json
    Text,
    /// text: a JSON string without its quotes and escapes, any other JSON as it is
    Unquoted,
    /// uuid
    Uuid,
    /// date
    Date,
    /// time
    Time,
    /// timestamp, timestamptz
    Timestamp,
    /// bytea
    Bytes,
    /// jsonb
    Jsonb,
}

impl Form {
    /// That of a source's own values.
    pub fn staged(source: Source<'_>) -> Form {
        match source {
            Source::Bool(_) => Form::Bool,
            Source::Int(_) => Form::Int8,
            Source::Float(_) => Form::Float8,
            Source::Decimal(_) | Source::Long(_) => Form::Numeric,
            Source::Text(_) => Form::Text,
            Source::Date(_) => Form::Date,
            Source::Time(_) => Form::Time,
            Source::Timestamp(_) => Form::Timestamp,
            Source::Binary(_) => Form::Bytes,
            Source::Json(_) => Form::Unquoted,
        }
    }
}

/// What is written in each row of one column.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    /// A value of the batch.
    Of(Source<'a>, Form),
    /// The same number in every row.
    Number(i64),
    /// The row's place in the batch.
    Row,
}

/// Why a value cannot be written, and in which row.
pub type Unfit = (usize, String);

impl Cell<'_> {
    /// Texts that PostgreSQL cannot hold: looked for in the column as a whole.
    pub fn check(&self) -> Result<(), Unfit> {
        match self {
            Cell::Of(Source::Text(array), _) => no_nul(array),
            _ => Ok(()),
        }
    }

    /// Appends the field of one row: its length and value.
    #[inline]
    pub fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let (source, form) = match self {
            Cell::Of(source, form) => (source, *form),
            Cell::Number(number) => return fixed(out, number.to_be_bytes()),
            Cell::Row => return fixed(out, (row as i64).to_be_bytes()),
        };
        macro_rules! value {
            ($array:expr) => {
                match $array.is_null(row) {
                    true => return null(out),
                    false => $array.value(row),
                }
            };
        }
        match (source, form) {
            (_, Form::Null) => null(out),
            (Source::Text(array), Form::Uuid) => match uuid(value!(array).as_bytes()) {
                Some(bytes) => fixed(out, bytes),
                None => Err((row, "it is no uuid".into())),
            },
            (Source::Text(array), _) => bytes(out, value!(array).as_bytes()),
            (Source::Int(array), Form::Int8) => fixed(out, value!(array).to_be_bytes()),
            (Source::Int(array), Form::Int4) => fixed(out, (value!(array) as i32).to_be_bytes()),
            (Source::Int(array), Form::Int2) => fixed(out, (value!(array) as i16).to_be_bytes()),
            (Source::Int(array), Form::Float8) => fixed(out, (value!(array) as f64).to_be_bytes()),
            (Source::Int(array), Form::Float4) => fixed(out, (value!(array) as f32).to_be_bytes()),
            (Source::Int(array), _) => {
                let number = value!(array);
                numeric::put(out, number < 0, number.unsigned_abs().into(), 0);
                Ok(())
            }
            (Source::Float(array), Form::Float4) => fixed(out, (value!(array) as f32).to_be_bytes()),
            (Source::Float(array), _) => fixed(out, value!(array).to_be_bytes()),
            (Source::Bool(array), _) => fixed(out, [u8::from(value!(array))]),
            (Source::Decimal(array), _) => {
                let number = value!(array);
                numeric::put(out, number < 0, number.unsigned_abs(), array.scale());
                Ok(())
            }
            (Source::Long(array), _) => {
                let text = value!(array).to_string();
                let (negative, digits) = match text.strip_prefix('-') {
                    Some(digits) => (true, digits),
                    None => (false, text.as_str()),
                };
                numeric::put_digits(out, negative, &mut digits.as_bytes().to_vec(), array.scale());
                Ok(())
            }
            (Source::Date(array), _) => {
                let days = value!(array).checked_sub(EPOCH_DAYS).filter(|days| DAYS.contains(days));
                fixed(
                    out,
                    days.ok_or((row, "the date is out of PostgreSQL's range".to_string()))?
                        .to_be_bytes(),
                )
            }
            (Source::Time(array), _) => fixed(out, value!(array).to_be_bytes()),
            (Source::Timestamp(array), _) => {
                let micros = value!(array)
                    .checked_sub(EPOCH_MICROS)
                    .filter(|micros| MICROS.contains(micros));
                fixed(
                    out,
                    micros
                        .ok_or((row, "the time is out of PostgreSQL's range".to_string()))?
                        .to_be_bytes(),
                )
            }
            (Source::Binary(array), _) => bytes(out, value!(array)),
            (Source::Json(array), Form::Jsonb) => {
                let text = value!(array);
                out.extend_from_slice(&(text.len() as i32 + 1).to_be_bytes());
                out.push(1); // the version of jsonb's binary form
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            (Source::Json(array), Form::Unquoted) => match value!(array) {
                text if text.starts_with('"') => match serde_json::from_str::<String>(text) {
                    Ok(plain) if plain.contains('\0') => Err((row, NUL.into())),
                    Ok(plain) => bytes(out, plain.as_bytes()),
                    Err(_) => Err((row, "the text is no valid Unicode".into())),
                },
                text => bytes(out, text.as_bytes()),
            },
            (Source::Json(array), _) => bytes(out, value!(array).as_bytes()),
        }
    }
}

const NUL: &str = "the text has a NUL (0x00), which PostgreSQL cannot hold";

fn null(out: &mut Vec<u8>) -> Result<(), Unfit> {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    Ok(())
}

#[inline]
fn fixed<const N: usize>(out: &mut Vec<u8>, value: [u8; N]) -> Result<(), Unfit> {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&value);
    Ok(())
}

#[inline]
fn bytes(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Unfit> {
    out.extend_from_slice(&(value.len() as i32).to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

fn no_nul(array: &StringArray) -> Result<(), Unfit> {
    let (offsets, data) = (array.value_offsets(), array.value_data());
    let (first, last) = (offsets[0] as usize, offsets[array.len()] as usize);
    if !data[first..last].contains(&0) {
        return Ok(());
    }
    let found = (0..array.len()).find(|&row| array.is_valid(row) && array.value(row).contains('\0'));
    found.map_or(Ok(()), |row| Err((row, NUL.into())))
}

/// The bytes of a uuid in the one spelling that PostgreSQL gives back.
pub fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let (mut bytes, mut at) = ([0_u8; 16], 0);
    for (place, byte) in text.iter().enumerate() {
        let digit = match byte {
            b'-' if matches!(place, 8 | 13 | 18 | 23) => continue,
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        *bytes.get_mut(at / 2)? |= digit << (4 * (1 - at % 2));
        at += 1;
    }
    (at == 32).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Date32Array, TimestampMicrosecondArray};

    #[test]
    fn uuids() {
        let text = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(
            uuid(text.as_bytes()).map(|bytes| bytes[..2].to_vec()),
            Some(vec![0x01, 0x90])
        );
        for wrong in [
            "0190163d8694739baea5966c26f8ad91",
            "0190163d-8694-739b-aea5-966c26f8ad9-",
            "0190163d-8694-739b-aea5-966c26f8ad9G",
            "019-163d-8694-739b-aea5-966c26f8ad91",
        ] {
            assert_eq!(uuid(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn times_out_of_range_are_no_infinity() {
        let times = TimestampMicrosecondArray::from(vec![i64::MIN, i64::MIN + EPOCH_MICROS, 0, i64::MAX]);
        let written = |row| {
            Cell::Of(Source::Timestamp(&times), Form::Timestamp)
                .put(row, &mut vec![])
                .is_ok()
        };
        assert_eq!([0, 1, 2, 3].map(written), [false, false, true, true]);
        let days = Date32Array::from(vec![i32::MIN, i32::MAX, 0]);
        let written = |row| Cell::Of(Source::Date(&days), Form::Date).put(row, &mut vec![]).is_ok();
        assert_eq!([0, 1, 2].map(written), [false, false, true]);
    }

    #[test]
    fn a_nul_is_found_where_it_is() {
        let texts = StringArray::from(vec![Some("a"), None, Some("b\0")]);
        let found = Cell::Of(Source::Text(&texts), Form::Text).check();
        assert_eq!(found.map_err(|(row, _)| row), Err(2));
        assert_eq!(Cell::Of(Source::Text(&texts.slice(0, 2)), Form::Text).check(), Ok(()));
    }
}
