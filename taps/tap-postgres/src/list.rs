//! Arrays in their binary form, as JSON: dimensions become nested arrays, NULL elements null. The server's to_json writes the same
//! values; this saves it the work.

use crate::numeric::{self, Read};
use crate::shape::Element;
use crate::texts;

/// Appends an array. None: it is no array, or an element is not of that type.
pub fn write(out: &mut Vec<u8>, bytes: &[u8], element: Element) -> Option<()> {
    let mut rest = Parts { bytes };
    let (dimensions, _has_null, _type) = (rest.int()?, rest.int()?, rest.int()?);
    let mut lengths = Vec::with_capacity(2);
    for _ in 0..dimensions {
        lengths.push(usize::try_from(rest.int()?).ok()?);
        rest.int()?; // where it counts from, which JSON has no word for
    }
    match lengths.is_empty() {
        true => out.extend_from_slice(b"[]"),
        false => dimension(out, &mut rest, &lengths, element)?,
    }
    rest.bytes.is_empty().then_some(())
}

fn dimension(out: &mut Vec<u8>, rest: &mut Parts<'_>, lengths: &[usize], element: Element) -> Option<()> {
    let Some((length, inner)) = lengths.split_first() else {
        return match rest.int()? {
            -1 => {
                out.extend_from_slice(b"null");
                Some(())
            }
            size => value(out, rest.take(usize::try_from(size).ok()?)?, element),
        };
    };
    out.push(b'[');
    for n in 0..*length {
        if n > 0 {
            out.push(b',');
        }
        dimension(out, rest, inner, element)?;
    }
    out.push(b']');
    Some(())
}

fn value(out: &mut Vec<u8>, bytes: &[u8], element: Element) -> Option<()> {
    match element {
        Element::Bool => out.extend_from_slice(match bytes {
            [0] => b"false",
            [_] => b"true",
            _ => return None,
        }),
        Element::Int2 => number(out, i16::from_be_bytes(bytes.try_into().ok()?))?,
        Element::Int4 => number(out, i32::from_be_bytes(bytes.try_into().ok()?))?,
        Element::Int8 => number(out, i64::from_be_bytes(bytes.try_into().ok()?))?,
        Element::Float4 => {
            let float = f32::from_be_bytes(bytes.try_into().ok()?);
            match float.is_finite() {
                true => number(out, float)?,
                false => other(out, float.into()),
            }
        }
        Element::Float8 => {
            let float = f64::from_be_bytes(bytes.try_into().ok()?);
            match float.is_finite() {
                true => number(out, float)?,
                false => other(out, float),
            }
        }
        Element::Numeric => match numeric::read(bytes) {
            Read::Number(number) => number.write(out),
            Read::Other(name) => texts::json_string(out, name.as_bytes()),
            Read::Broken => return None,
        },
        Element::Text => texts::json_string(out, bytes),
        Element::Uuid => {
            out.push(b'"');
            texts::uuid(out, bytes.try_into().ok()?);
            out.push(b'"');
        }
    }
    Some(())
}

fn number<T: serde::Serialize>(out: &mut Vec<u8>, value: T) -> Option<()> {
    serde_json::to_writer(out, &value).ok()
}

/// As to_json has it.
fn other(out: &mut Vec<u8>, float: f64) {
    out.extend_from_slice(match float {
        float if float.is_nan() => b"\"NaN\"",
        float if float > 0.0 => b"\"Infinity\"",
        _ => b"\"-Infinity\"",
    });
}

struct Parts<'a> {
    bytes: &'a [u8],
}

impl<'a> Parts<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(part)
    }

    fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(lengths: &[i32], elements: &[Option<&[u8]>]) -> Vec<u8> {
        let mut bytes: Vec<u8> = [lengths.len() as i32, 1, 23]
            .iter()
            .flat_map(|n| n.to_be_bytes())
            .collect();
        for length in lengths {
            bytes.extend(length.to_be_bytes());
            bytes.extend((-5_i32).to_be_bytes());
        }
        for element in elements {
            bytes.extend(element.map_or(-1, |e| e.len() as i32).to_be_bytes());
            bytes.extend(element.unwrap_or_default());
        }
        bytes
    }

    fn text(bytes: &[u8], element: Element) -> Option<String> {
        let mut out = Vec::new();
        write(&mut out, bytes, element)?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn dimensions_nulls_and_elements() {
        let one = 1_i32.to_be_bytes();
        let two = (-2_i32).to_be_bytes();
        assert_eq!(text(&array(&[], &[]), Element::Int4).unwrap(), "[]");
        let ints = array(&[2, 2], &[Some(&one), None, Some(&two), Some(&one)]);
        assert_eq!(text(&ints, Element::Int4).unwrap(), "[[1,null],[-2,1]]");
        let texts = array(&[3], &[Some(b"a\"b"), Some(b""), None]);
        assert_eq!(text(&texts, Element::Text).unwrap(), "[\"a\\\"b\",\"\",null]");
        let floats = array(
            &[3],
            &[
                Some(&1.5_f64.to_be_bytes()),
                Some(&f64::NAN.to_be_bytes()),
                Some(&1e300_f64.to_be_bytes()),
            ],
        );
        assert_eq!(text(&floats, Element::Float8).unwrap(), "[1.5,\"NaN\",1e+300]");
        assert_eq!(
            text(&array(&[1], &[Some(&0.1_f32.to_be_bytes())]), Element::Float4).unwrap(),
            "[0.1]"
        );
        assert_eq!(
            text(&array(&[2], &[Some(&[1]), Some(&[0])]), Element::Bool).unwrap(),
            "[true,false]"
        );
    }

    #[test]
    fn what_is_no_array_is_refused() {
        let one = 1_i32.to_be_bytes();
        let whole = array(&[2], &[Some(&one), Some(&one)]);
        for end in 0..whole.len() {
            assert_eq!(text(&whole[..end], Element::Int4), None, "{end}");
        }
        assert_eq!(text(&[whole.as_slice(), b"x"].concat(), Element::Int4), None);
        assert_eq!(text(&whole, Element::Int8), None);
    }
}
