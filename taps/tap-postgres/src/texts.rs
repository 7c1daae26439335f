//! Values of one column whose bytes differ in length, one behind the other.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The values gathered so far.
#[derive(Debug)]
pub struct Texts {
    ends: Vec<i32>,
    values: Vec<u8>,
}

impl Texts {
    /// Room for so many values with so many bytes.
    pub fn with_capacity(rows: usize, bytes: usize) -> Texts {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        let values = Vec::with_capacity(bytes);
        Texts { ends, values }
    }

    /// Where the next value is written; [`Texts::end`] ends it.
    #[inline]
    pub fn open(&mut self) -> &mut Vec<u8> {
        &mut self.values
    }

    /// The value that was written is whole. None when there is no more room.
    #[inline]
    pub fn end(&mut self) -> Option<()> {
        self.ends.push(i32::try_from(self.values.len()).ok()?);
        Some(())
    }

    /// A value.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Option<()> {
        self.values.extend_from_slice(bytes);
        self.end()
    }

    /// What was written since the last value's end is not wanted.
    pub fn forget(&mut self) {
        let end = self.ends.last().copied().unwrap_or(0);
        self.values.truncate(end as usize);
    }

    /// Bytes of the values.
    pub fn bytes(&self) -> usize {
        self.values.len()
    }

    /// The last value.
    pub fn last(&self) -> &[u8] {
        let start = self.ends.iter().rev().nth(1).copied().unwrap_or(0);
        &self.values[start as usize..]
    }

    /// The values as strings, or the row whose value is not UTF-8.
    pub fn strings(self, nulls: Option<NullBuffer>) -> Result<ArrayRef, usize> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let values = Buffer::from_vec(self.values);
        match StringArray::try_new(offsets.clone(), values.clone(), nulls) {
            Ok(array) => Ok(Arc::new(array)),
            Err(_) => Err(offsets
                .windows(2)
                .position(|pair| std::str::from_utf8(&values[pair[0] as usize..pair[1] as usize]).is_err())
                .unwrap_or(0)),
        }
    }

    /// The values as bytes.
    pub fn binaries(self, nulls: Option<NullBuffer>) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        Arc::new(BinaryArray::new(offsets, Buffer::from_vec(self.values), nulls))
    }
}

/// Appends a uuid's text.
#[inline]
pub fn uuid(out: &mut Vec<u8>, bytes: &[u8; 16]) {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.extend_from_slice(&text);
}

/// Appends a JSON string.
pub fn json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=31 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;

    #[test]
    fn values_one_behind_the_other() {
        let mut texts = Texts::with_capacity(0, 0);
        texts.push(b"a").unwrap();
        texts.open().extend_from_slice(b"half");
        texts.forget();
        texts.end().unwrap();
        uuid(texts.open(), &[0xab; 16]);
        texts.end().unwrap();
        assert_eq!(texts.last(), b"abababab-abab-abab-abab-abababababab");
        texts.push("\u{e9}".as_bytes()).unwrap();
        let array = texts.strings(None).unwrap();
        let array = array.as_any().downcast_ref::<StringArray>().unwrap();
        let found: Vec<_> = (0..4).map(|row| array.value(row)).collect();
        assert_eq!(found, ["a", "", "abababab-abab-abab-abab-abababababab", "\u{e9}"]);
        let mut broken = Texts::with_capacity(0, 0);
        broken.push("\u{e9}".as_bytes()).unwrap();
        broken.push(b"\xff").unwrap();
        assert_eq!(broken.strings(None).unwrap_err(), 1);
    }

    #[test]
    fn json_strings() {
        let mut out = Vec::new();
        json_string(&mut out, "a\"\\\n\u{1}\u{1f600}".as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"\\\\\\n\\u0001\u{1f600}\"");
    }
}
