//! What one text is: the grammars of integers, numbers, days and moments, and a text as a JSON string.
//!
//! [`crate::kinds`] asks; nothing here knows of columns. A number passes only when it can be sent as it is written.

use singer_plugin::texts::spelling::scientific;
pub use singer_plugin::texts::spelling::{date, date_time};
use singer_plugin::wire_json;

use crate::kinds::Kind;

/// One more than the largest wide integer has 38 digits.
pub const WIDE_DIGITS: usize = 38;

/// An integer as JSON writes it: Integer, Wide, or String when it has more digits than either.
#[inline]
pub fn integer(text: &[u8]) -> Option<Kind> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [b'0'] => digits.len() == text.len(), // -0 would lose its sign
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    match digits.len() {
        _ if !plain => None,
        1..=18 => Some(Kind::Integer),
        19 if std::str::from_utf8(text).is_ok_and(|t| t.parse::<i64>().is_ok()) => Some(Kind::Integer),
        19..=WIDE_DIGITS => Some(Kind::Wide),
        _ => Some(Kind::String),
    }
}

/// A JSON number that a double holds with all its digits. R writes a thousand as `1e3`; `12E5` is taken for a code.
#[inline]
pub fn number(text: &[u8]) -> bool {
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let digits = |rest: &mut &[u8]| {
        let n = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        *rest = &rest[n..];
        n
    };
    let zero = rest.first() == Some(&b'0');
    let whole = digits(&mut rest);
    if whole == 0 || (zero && whole > 1) {
        return false;
    }
    let mut places = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = fraction;
        places = digits(&mut rest);
        if places == 0 {
            return false;
        }
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let signed = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-"));
        if places == 0 && signed.is_none() && text.contains(&b'E') {
            return false;
        }
        rest = signed.unwrap_or(exponent);
        if digits(&mut rest) == 0 {
            return false;
        }
        return rest.is_empty() && exact(text);
    }
    rest.is_empty() && (whole + places <= 15 || exact(text))
}

/// Whether the nearest double has the same digits: all that are written, so what was printed from a double always does.
fn exact(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let (Ok(double), Some(written)) = (text.parse::<f64>(), scientific(text)) else {
        return false;
    };
    let places = written.0.len().saturating_sub(1);
    double.is_finite() && places < 40 && scientific(&format!("{double:.places$e}")) == Some(written)
}

/// A number in a spelling that JSON lacks (`007`, `+1`, `.5`, `5.`), in JSON's.
pub fn tidy(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && places.is_empty() {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if places.is_empty() { "" } else { "." };
    let tidied = format!("{sign}{whole}{point}{places}{exponent}").into_bytes();
    wire_json::check_standard(&tidied).is_ok().then_some(tidied)
}

#[inline]
pub fn boolean(text: &[u8]) -> Option<&'static [u8]> {
    match text {
        b"true" | b"True" | b"TRUE" => Some(b"true"),
        b"false" | b"False" | b"FALSE" => Some(b"false"),
        _ => None,
    }
}

/// A checked date or moment as JSON, with the `T` of RFC 3339.
pub fn moment(out: &mut Vec<u8>, text: &[u8], zone: &[u8]) {
    out.push(b'"');
    let at = out.len();
    out.extend_from_slice(text);
    if let Some(between) = out.get_mut(at + 10) {
        *between = b'T';
    }
    out.extend_from_slice(zone);
    out.push(b'"');
}

/// What each byte needs in a JSON string: 0 nothing, `u` six characters, else the letter of its escape.
static ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0A] = b'n';
    table[0x0C] = b'f';
    table[0x0D] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Append UTF-8 text as a JSON string.
#[inline]
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut done = 0;
    for (at, byte) in text.iter().enumerate() {
        let escape = ESCAPES[*byte as usize];
        if escape != 0 {
            out.extend_from_slice(&text[done..at]);
            done = at + 1;
            match escape {
                b'u' => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                letter => out.extend_from_slice(&[b'\\', letter]),
            }
        }
    }
    out.extend_from_slice(&text[done..]);
    out.push(b'"');
}
