//! The values of a column that is being gathered, each type in its own way.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array, Int64Array,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::{i256, BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use super::digits::Places;
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

/// The values of a column, nulls among them as whatever is smallest.
#[derive(Debug)]
pub(crate) enum Values {
    Booleans(BooleanBufferBuilder),
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Decimals(Vec<i128>, Places),
    Decimals256(Vec<i256>, Places),
    Texts(Texts),
    Jsons(Texts),
    Binaries(Texts),
    Dates(Vec<i32>),
    Times(Vec<i64>),
    Timestamps(Vec<i64>),
}

/// Bytes of values, one behind the other, and where each ends.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Texts {
    fn end(&mut self) {
        self.ends.push(self.bytes.len() as i32);
    }

    fn cut(&mut self, rows: usize) {
        self.ends.truncate(rows);
        let kept = self.ends.last().map_or(0, |end| *end as usize);
        self.bytes.truncate(kept);
    }

    /// What is gathered; as much room again is kept for what comes.
    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let rows = self.ends.len();
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        let bytes = fresh(&mut self.bytes);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(bytes))
    }

    /// Adds a string's characters.
    #[inline]
    fn push(&mut self, s: &[u8], at: usize) -> Result<Put, Fault> {
        if peek(s, at) != b'"' {
            return Ok(Put::Misfit(Kind::Json));
        }
        let (end, escaped) = json::text(s, at + 1)?;
        let raw = &s[at + 1..end - 1];
        if !escaped {
            self.bytes.extend_from_slice(raw);
        } else if !text::unescape_into(raw, &mut self.bytes) {
            // Half a surrogate pair has no UTF-8. Its escape has, and is kept as JSON.
            self.cut(self.ends.len());
            return Ok(Put::Misfit(Kind::Json));
        }
        self.end();
        Ok(Put::End(end))
    }

    /// Adds the bytes that a string of base64 stands for; any other spelling of them would not come back.
    fn push_base64(&mut self, s: &[u8], at: usize) -> Result<Put, Fault> {
        if peek(s, at) != b'"' {
            return Ok(Put::Misfit(Kind::Json));
        }
        let (end, escaped) = json::text(s, at + 1)?;
        let raw = &s[at + 1..end - 1];
        let decoded = match escaped {
            false => STANDARD.decode_vec(raw, &mut self.bytes),
            true => STANDARD.decode_vec(text::unescape(raw), &mut self.bytes),
        };
        if decoded.is_err() {
            self.cut(self.ends.len());
            return Ok(Put::Misfit(Kind::Text));
        }
        self.end();
        Ok(Put::End(end))
    }
}

/// The values, and an empty place with as much room.
fn fresh<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len());
    std::mem::replace(values, room)
}

impl Values {
    pub(crate) fn of(kind: &Kind) -> Values {
        match *kind {
            Kind::Boolean => Values::Booleans(BooleanBufferBuilder::new(0)),
            Kind::Integer => Values::Integers(Vec::new()),
            Kind::Number => Values::Numbers(Vec::new()),
            Kind::Decimal { precision, scale, text } => {
                let places = Places { precision, scale, text };
                match precision <= 38 {
                    true => Values::Decimals(Vec::new(), places),
                    false => Values::Decimals256(Vec::new(), places),
                }
            }
            Kind::Text => Values::Texts(Texts::default()),
            Kind::Json => Values::Jsons(Texts::default()),
            Kind::Binary => Values::Binaries(Texts::default()),
            Kind::Date => Values::Dates(Vec::new()),
            Kind::Time => Values::Times(Vec::new()),
            Kind::Timestamp => Values::Timestamps(Vec::new()),
        }
    }

    /// Makes it so many, new ones null.
    pub(crate) fn resize(&mut self, rows: usize) {
        match self {
            Values::Booleans(values) => values.resize(rows),
            Values::Integers(values) | Values::Times(values) | Values::Timestamps(values) => values.resize(rows, 0),
            Values::Numbers(values) => values.resize(rows, 0.0),
            Values::Decimals(values, _) => values.resize(rows, 0),
            Values::Decimals256(values, _) => values.resize(rows, i256::ZERO),
            Values::Dates(values) => values.resize(rows, 0),
            Values::Texts(texts) | Values::Jsons(texts) | Values::Binaries(texts) => {
                if rows < texts.ends.len() {
                    texts.cut(rows);
                } else {
                    texts.ends.resize(rows, texts.bytes.len() as i32);
                }
            }
        }
    }

    /// Bytes that each takes, but for texts.
    pub(crate) fn width(&self) -> usize {
        match self {
            Values::Booleans(_) => 1,
            Values::Dates(_) | Values::Texts(_) | Values::Jsons(_) | Values::Binaries(_) => 4,
            Values::Decimals(..) => 16,
            Values::Decimals256(..) => 32,
            Values::Integers(_) | Values::Numbers(_) | Values::Times(_) | Values::Timestamps(_) => 8,
        }
    }

    /// All of them, as an array.
    pub(crate) fn take(&mut self, kind: &Kind, nulls: Option<NullBuffer>) -> ArrayRef {
        match self {
            Values::Booleans(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Integers(values) => Arc::new(Int64Array::new(fresh(values).into(), nulls)),
            Values::Numbers(values) => Arc::new(Float64Array::new(fresh(values).into(), nulls)),
            Values::Decimals(values, _) => {
                let array = Decimal128Array::new(fresh(values).into(), nulls);
                Arc::new(array.with_data_type(kind.arrow()))
            }
            Values::Decimals256(values, _) => {
                let array = Decimal256Array::new(fresh(values).into(), nulls);
                Arc::new(array.with_data_type(kind.arrow()))
            }
            Values::Texts(texts) | Values::Jsons(texts) => {
                let (offsets, bytes) = texts.take();
                Arc::new(StringArray::try_new(offsets, bytes, nulls).expect("texts, looked at when they came"))
            }
            Values::Binaries(texts) => {
                let (offsets, bytes) = texts.take();
                Arc::new(BinaryArray::new(offsets, bytes, nulls))
            }
            Values::Dates(values) => Arc::new(Date32Array::new(fresh(values).into(), nulls)),
            Values::Times(values) => Arc::new(Time64MicrosecondArray::new(fresh(values).into(), nulls)),
            Values::Timestamps(values) => {
                Arc::new(TimestampMicrosecondArray::new(fresh(values).into(), nulls).with_timezone("UTC"))
            }
        }
    }

    /// Adds the value at `at`, which is not null; on anything but [`Put::End`] nothing is added.
    #[inline]
    pub(crate) fn push(&mut self, s: &[u8], at: usize) -> Result<Put, Fault> {
        match self {
            Values::Integers(values) => Ok(plain(values, number::integer(s, at))),
            Values::Numbers(values) => Ok(plain(values, number::float(s, at))),
            Values::Texts(texts) => texts.push(s, at),
            Values::Timestamps(values) => spelled(values, s, at, clock::timestamp),
            Values::Booleans(values) => {
                let first = peek(s, at);
                let end = match first {
                    b't' => json::literal(s, at, b"true")?,
                    b'f' => json::literal(s, at, b"false")?,
                    _ => return Ok(Put::Misfit(Kind::Json)),
                };
                values.append(first == b't');
                Ok(Put::End(end))
            }
            Values::Jsons(texts) => {
                let end = json::skip(s, at)?;
                texts.bytes.extend_from_slice(&s[at..end]);
                texts.end();
                Ok(Put::End(end))
            }
            Values::Decimals(values, places) if !places.text => Ok(plain(values, places.number(s, at))),
            Values::Decimals256(values, places) if !places.text => Ok(plain(values, places.number_256(s, at))),
            Values::Decimals(values, places) => spelled(values, s, at, |text| places.whole(text)),
            Values::Decimals256(values, places) => spelled(values, s, at, |text| places.whole_256(text)),
            Values::Dates(values) => spelled(values, s, at, clock::date),
            Values::Times(values) => spelled(values, s, at, clock::time),
            Values::Binaries(texts) => texts.push_base64(s, at),
        }
    }
}

/// Adds a number, if it is one that fits.
#[inline]
fn plain<T>(values: &mut Vec<T>, read: Option<(T, usize)>) -> Put {
    match read {
        Some((value, end)) => {
            values.push(value);
            Put::End(end)
        }
        None => Put::Misfit(Kind::Json),
    }
}

/// Adds what a string stands for.
#[inline]
fn spelled<T>(values: &mut Vec<T>, s: &[u8], at: usize, read: impl Fn(&[u8]) -> Option<T>) -> Result<Put, Fault> {
    if peek(s, at) != b'"' {
        return Ok(Put::Misfit(Kind::Json));
    }
    let (end, escaped) = json::text(s, at + 1)?;
    let raw = &s[at + 1..end - 1];
    let value = match escaped {
        false => read(raw),
        true => read(&text::unescape(raw)),
    };
    Ok(match value {
        Some(value) => {
            values.push(value);
            Put::End(end)
        }
        None => Put::Misfit(Kind::Text),
    })
}
