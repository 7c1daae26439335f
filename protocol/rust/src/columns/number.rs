//! Integers and floats, read from JSON text without losing a digit: what would not come back is not taken.

use super::digits::Places;
use crate::json::{self, peek};

/// A number's text, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanned {
    pub(crate) negative: bool,
    /// Its digits as a whole number, up to the 19 that fit; more of them, and it is not to be used.
    pub(crate) mantissa: u64,
    /// Digits in all, without zeros in front.
    pub(crate) count: usize,
    /// Power of ten that the mantissa is to be multiplied with.
    pub(crate) exponent: i64,
    pub(crate) end: usize,
}

/// Digits that `u64` holds, whatever they are.
pub(crate) const MOST: usize = 19;

/// Takes the number at `at` apart; none where there is none.
#[inline]
pub(crate) fn scan(s: &[u8], mut at: usize) -> Option<Scanned> {
    let negative = peek(s, at) == b'-';
    at += usize::from(negative);
    let (mut mantissa, mut count, mut exponent) = (0_u64, 0, 0_i64);
    let start = at;
    let mut digits = |at: &mut usize| {
        let from = *at;
        loop {
            let digit = peek(s, *at).wrapping_sub(b'0');
            if digit > 9 {
                return *at - from;
            }
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += usize::from(count > 0 || digit > 0);
            *at += 1;
        }
    };
    digits(&mut at);
    if at == start {
        return None;
    }
    if peek(s, at) == b'.' {
        at += 1;
        exponent = -(digits(&mut at) as i64);
    }
    if matches!(peek(s, at), b'e' | b'E') {
        at += 1;
        let down = peek(s, at) == b'-';
        at += usize::from(matches!(peek(s, at), b'-' | b'+'));
        let mut power = 0_i64;
        while peek(s, at).is_ascii_digit() {
            power = (power * 10 + i64::from(peek(s, at) - b'0')).min(1 << 40);
            at += 1;
        }
        exponent += if down { -power } else { power };
    }
    Some(Scanned {
        negative,
        mantissa,
        count,
        exponent,
        end: at,
    })
}

/// An integer of 64 bits and the offset behind it; `1.0` and `1e3` are integers too.
#[inline]
pub(crate) fn integer(s: &[u8], at: usize) -> Option<(i64, usize)> {
    let negative = peek(s, at) == b'-';
    let start = at + usize::from(negative);
    let (mut value, mut end) = (0_i64, start);
    loop {
        let digit = peek(s, end).wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        end += 1;
    }
    let odd = end - start > 18 || end == start || matches!(peek(s, end), b'.' | b'e' | b'E');
    match odd {
        true => long_integer(s, at),
        false => Some((if negative { -value } else { value }, end)),
    }
}

#[cold]
fn long_integer(s: &[u8], at: usize) -> Option<(i64, usize)> {
    let places = Places {
        precision: 19,
        scale: 0,
        text: false,
    };
    let (value, end) = places.number(s, at)?;
    Some((i64::try_from(value).ok()?, end))
}

/// Powers of ten that a float has exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A float that gives the number back, and the offset behind it. The bare words `NaN` and `Infinity` are floats.
#[inline]
pub(crate) fn float(s: &[u8], at: usize) -> Option<(f64, usize)> {
    let Some(found) = scan(s, at) else {
        return word(s, at);
    };
    let power = found.exponent.unsigned_abs() as usize;
    // Up to 15 digits come back from any float, and one operation on exact numbers rounds correctly.
    if found.count <= 15 && power < POWERS.len() {
        let whole = found.mantissa as f64;
        let value = match found.exponent < 0 {
            true => whole / POWERS[power],
            false => whole * POWERS[power],
        };
        return Some((if found.negative { -value } else { value }, found.end));
    }
    Some((long_float(&s[at..found.end], found)?, found.end))
}

#[inline(never)]
fn long_float(text: &[u8], found: Scanned) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    if !value.is_finite() {
        return None;
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(value).as_bytes();
    if text == shortest {
        return Some(value);
    }
    let same = match scan(shortest, 0) {
        Some(other) if found.count <= MOST => trimmed(found) == trimmed(other),
        _ => significant(text) == significant(shortest),
    };
    same.then_some(value)
}

/// Mantissa and exponent, without zeros at the mantissa's end.
fn trimmed(found: Scanned) -> (u64, i64) {
    let (mut mantissa, mut exponent) = (found.mantissa, found.exponent);
    if mantissa == 0 {
        return (0, 0);
    }
    while mantissa % 10 == 0 {
        mantissa /= 10;
        exponent += 1;
    }
    (mantissa, exponent)
}

/// The digits of a number without zeros at either end, and the power of ten of the last of them.
fn significant(text: &[u8]) -> Option<(Vec<u8>, i64)> {
    let found = scan(text, 0)?;
    let mantissa = text.split(|b| matches!(b, b'e' | b'E')).next()?;
    let all: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
    let from = all.iter().position(|digit| *digit != b'0').unwrap_or(all.len());
    let to = all
        .iter()
        .rposition(|digit| *digit != b'0')
        .map_or(from, |last| last + 1);
    let exponent = if from == to {
        0
    } else {
        found.exponent + (all.len() - to) as i64
    };
    Some((all[from..to].to_vec(), exponent))
}

#[cold]
fn word(s: &[u8], at: usize) -> Option<(f64, usize)> {
    let words: [(&'static [u8], f64); 3] = [
        (b"NaN", f64::NAN),
        (b"Infinity", f64::INFINITY),
        (b"-Infinity", f64::NEG_INFINITY),
    ];
    words
        .iter()
        .find_map(|(name, value)| Some((*value, json::literal(s, at, name).ok()?)))
}
