//! How values are spelled in a record: strings with their escapes, digits, dates and times, base64.

use arrow_buffer::i256;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;

/// Why a value cannot be written: one clause, without data in it.
pub(crate) type Why = &'static str;

/// Days from 1970-01-01 to 0001-01-01 and to 9999-12-31.
pub(crate) const FIRST_DAY: i64 = -719_162;
/// See [`FIRST_DAY`].
pub(crate) const LAST_DAY: i64 = 2_932_896;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// Whether a string can stand between quotes as it is.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    // Without a way out inside of it, this loop is compiled to vector instructions.
    let any = |chunk: &[u8]| chunk.iter().fold(false, |found, byte| found | special(byte));
    let mut chunks = text.chunks_exact(64);
    !chunks.by_ref().any(any) && !any(chunks.remainder())
}

/// Appends a string's inside, escaped where JSON demands it.
pub(crate) fn escaped(mut text: &[u8], out: &mut Vec<u8>) {
    loop {
        let stop = crate::json::stop(text);
        out.extend_from_slice(&text[..stop]);
        let Some(byte) = text.get(stop) else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(control >> 4), hex(*control)]);
            }
        }
        text = &text[stop + 1..];
    }
}

/// Appends bytes as base64.
pub(crate) fn base64(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Why> {
    let start = out.len();
    let length = bytes.len().div_ceil(3).saturating_mul(4);
    out.resize(start + length, 0);
    STANDARD
        .encode_slice(bytes, &mut out[start..])
        .map_err(|_| "too long")?;
    Ok(())
}

/// Appends the shortest text that gives the float back.
pub(crate) fn float<F: zmij::Float + Copy + Into<f64>>(value: F, out: &mut Vec<u8>) -> Result<(), Why> {
    if !value.into().is_finite() {
        return Err("NaN or infinity, which JSON has not");
    }
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    Ok(())
}

/// The same, and NaN and the infinities as the bare words that Python's `json` writes and a RECORD may have.
pub(crate) fn float_or_word<F: zmij::Float + Copy + Into<f64>>(value: F, out: &mut Vec<u8>) -> Result<(), Why> {
    let double: f64 = value.into();
    let word: &[u8] = match double {
        f64::INFINITY => b"Infinity",
        f64::NEG_INFINITY => b"-Infinity",
        _ if double.is_nan() => b"NaN",
        _ => return float(value, out),
    };
    out.extend_from_slice(word);
    Ok(())
}

/// The digits of a whole number, leading zeros left out, and its sign.
pub(crate) struct Digits {
    text: [u8; 80],
    from: usize,
    negative: bool,
}

impl Default for Digits {
    fn default() -> Self {
        Digits {
            text: [b'0'; 80],
            from: 80,
            negative: false,
        }
    }
}

/// The digits of a number of up to 128 bits.
pub(crate) fn digits(value: i128, to: &mut Digits) {
    to.negative = value < 0;
    to.push(value.unsigned_abs());
}

/// The digits of a number of 256 bits, up to 77 of them.
pub(crate) fn digits_256(value: i256, to: &mut Digits) {
    match value.to_i128() {
        Some(small) => digits(small, to),
        None => {
            let half = i256::from_i128(10_i128.pow(38));
            let (high, low) = value.wrapping_div_rem(half);
            let part = |v: i256| v.to_i128().unwrap_or(0).unsigned_abs();
            to.push(part(low));
            to.from = 80 - 38; // the zeros in front of the lower half are digits too
            to.push(part(high));
            to.negative = value.is_negative();
        }
    }
}

impl Digits {
    fn push(&mut self, value: u128) {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(value).as_bytes();
        self.from -= text.len();
        self.text[self.from..self.from + text.len()].copy_from_slice(text);
    }

    /// Appends them with so many behind the point; a scale below zero stands for zeros at the end.
    pub(crate) fn write(&self, scale: i8, out: &mut Vec<u8>) {
        let digits = &self.text[self.from..];
        if self.negative {
            out.push(b'-');
        }
        let places = usize::from(scale.unsigned_abs());
        if scale <= 0 {
            out.extend_from_slice(digits);
            if digits != b"0" {
                out.resize(out.len() + places, b'0');
            }
        } else if digits.len() > places {
            let (whole, fraction) = digits.split_at(digits.len() - places);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        } else {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + places - digits.len(), b'0');
            out.extend_from_slice(digits);
        }
    }
}

/// Two digits.
#[inline]
fn pair(value: i64) -> [u8; 2] {
    let value = value as u8;
    [b'0' + value / 10, b'0' + value % 10]
}

/// Appends `YYYY-MM-DD` of a day counted from 1970-01-01.
pub(crate) fn date(day: i64, out: &mut Vec<u8>) -> Result<(), Why> {
    if !(FIRST_DAY..=LAST_DAY).contains(&day) {
        return Err("a date outside of the years 1 to 9999");
    }
    // Days from 0000-03-01, in eras of 400 years; see Howard Hinnant, chrono-compatible low-level date algorithms.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let ([a, b], [c, d], [e, f], [g, h]) = (pair(year / 100), pair(year % 100), pair(month), pair(day));
    out.extend_from_slice(&[a, b, c, d, b'-', e, f, b'-', g, h]);
    Ok(())
}

/// Appends `HH:MM:SS` and as many digits behind the second as are needed. `places`: how many the number has.
pub(crate) fn time(value: i64, places: u32, out: &mut Vec<u8>) -> Result<(), Why> {
    let unit = 10_i64.pow(places);
    let seconds = value.div_euclid(unit);
    if !(0..DAY).contains(&seconds) {
        return Err("a time of day outside of 00:00 to 24:00");
    }
    let ([a, b], [c, d], [e, f]) = (pair(seconds / 3600), pair(seconds / 60 % 60), pair(seconds % 60));
    out.extend_from_slice(&[a, b, b':', c, d, b':', e, f]);
    fraction(value.rem_euclid(unit), places, out);
    Ok(())
}

fn fraction(value: i64, places: u32, out: &mut Vec<u8>) {
    if value == 0 {
        return;
    }
    let mut text = [b'0'; 10];
    text[0] = b'.';
    let mut rest = value;
    for place in (1..=places as usize).rev() {
        text[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let kept = text[..=places as usize]
        .iter()
        .rposition(|digit| *digit != b'0')
        .unwrap_or(0);
    out.extend_from_slice(&text[..=kept]);
}

/// Appends an instant as `date-time` in UTC.
pub(crate) fn timestamp(value: i64, places: u32, out: &mut Vec<u8>) -> Result<(), Why> {
    let unit = 10_i64.pow(places) * DAY;
    date(value.div_euclid(unit), out).map_err(|_| "a timestamp outside of the years 1 to 9999")?;
    out.push(b'T');
    time(value.rem_euclid(unit), places, out)?;
    out.push(b'Z');
    Ok(())
}

/// Appends a span as the `duration` of ISO 8601, in seconds.
pub(crate) fn duration(value: i64, places: u32, out: &mut Vec<u8>) -> Result<(), Why> {
    if value < 0 {
        out.push(b'-');
    }
    let unit = 10_u64.pow(places);
    out.extend_from_slice(b"PT");
    out.extend_from_slice(itoa::Buffer::new().format(value.unsigned_abs() / unit).as_bytes());
    fraction((value.unsigned_abs() % unit) as i64, places, out);
    out.push(b'S');
    Ok(())
}
