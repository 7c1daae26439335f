//! What a column's texts are, and one text as JSON.
//!
//! Inference only ever moves up: nothing seen < boolean | integer < wide integer < number | date | date-time < string.
//! A text is a number only if it is one as JSON writes it, so that it can be sent unchanged: `007`, `+1` and `.5` are
//! strings, and so is what a double would round.

use serde_json::{json, Value};
use singer_plugin::wire_json;

/// A column's kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// No value seen yet: a string, unless one comes.
    #[default]
    Unseen,
    /// true or false.
    Boolean,
    /// An integer of 64 bits.
    Integer,
    /// An integer of at most 38 digits.
    Wide,
    /// A JSON number that a double holds.
    Number,
    /// A day.
    Date,
    /// A moment with its offset from UTC.
    DateTime,
    /// Anything.
    String,
}

/// One more than the largest wide integer has 38 digits.
const WIDE_DIGITS: usize = 38;

impl Kind {
    /// The kind that settings and bookmarks call by this name.
    pub fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "string" => Kind::String,
            "integer" => Kind::Integer,
            "wide-integer" => Kind::Wide,
            "number" => Kind::Number,
            "boolean" => Kind::Boolean,
            "date" => Kind::Date,
            "date-time" => Kind::DateTime,
            _ => return None,
        })
    }

    /// Its name in settings and bookmarks.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Unseen | Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Wide => "wide-integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Date => "date",
            Kind::DateTime => "date-time",
        }
    }

    /// Its JSON Schema; null is always allowed.
    pub fn schema(self) -> Value {
        match self {
            Kind::Unseen | Kind::String => json!({"type": ["null", "string"]}),
            Kind::Boolean => json!({"type": ["null", "boolean"]}),
            Kind::Integer => json!({"type": ["null", "integer"]}),
            Kind::Wide => {
                let most = "9".repeat(WIDE_DIGITS);
                let bound = |text: String| serde_json::from_str::<Value>(&text).unwrap_or_default();
                json!({"type": ["null", "integer"], "minimum": bound(format!("-{most}")), "maximum": bound(most)})
            }
            Kind::Number => json!({"type": ["null", "number"]}),
            Kind::Date => json!({"type": ["null", "string"], "format": "date"}),
            Kind::DateTime => json!({"type": ["null", "string"], "format": "date-time"}),
        }
    }

    /// The narrowest kind of one text that is not null.
    pub fn of(text: &[u8]) -> Kind {
        match text.first() {
            Some(b'0'..=b'9' | b'-') => match integer(text) {
                Some(kind) => kind,
                None if number(text) => Kind::Number,
                None if date(text) => Kind::Date,
                None if date_time(text, true) => Kind::DateTime,
                None => Kind::String,
            },
            _ if boolean(text).is_some() => Kind::Boolean,
            _ => Kind::String,
        }
    }

    /// The narrowest kind that both fit.
    pub fn join(self, other: Kind) -> Kind {
        use Kind::{Integer, Number, String, Unseen, Wide};
        match (self, other) {
            (one, other) if one == other => one,
            (Unseen, kind) | (kind, Unseen) => kind,
            (Integer, Wide) | (Wide, Integer) => Wide,
            (Integer, Number) | (Number, Integer) => Number,
            _ => String,
        }
    }

    /// The kind of a column of this kind once `text`, which did not fit it, has come: always a wider one.
    pub fn widened(self, text: &[u8]) -> Kind {
        match self.join(Kind::of(text)) {
            same if same == self => Kind::String,
            wider => wider,
        }
    }

    /// Append `text` as JSON of this kind; false, and nothing appended, when it does not fit.
    #[inline]
    pub fn write(self, out: &mut Vec<u8>, text: &[u8]) -> bool {
        let fits = match self {
            Kind::String => {
                string(out, text);
                return true;
            }
            Kind::Integer => integer(text) == Some(Kind::Integer),
            Kind::Wide => integer(text).is_some_and(|kind| kind != Kind::String),
            Kind::Number => number(text),
            Kind::Boolean => match boolean(text) {
                Some(word) => {
                    out.extend_from_slice(word);
                    return true;
                }
                None => false,
            },
            Kind::Date | Kind::DateTime => {
                let fits = if self == Kind::Date {
                    date(text)
                } else {
                    date_time(text, true)
                };
                if fits {
                    moment(out, text, b"");
                }
                return fits;
            }
            Kind::Unseen => false,
        };
        if fits {
            out.extend_from_slice(text);
        }
        fits
    }

    /// The same for a column whose type the user fixed: spellings that only need tidying are tidied, digit for digit.
    pub fn write_fixed(self, out: &mut Vec<u8>, text: &[u8]) -> bool {
        if self.write(out, text) {
            return true;
        }
        match self {
            Kind::Integer | Kind::Wide | Kind::Number => match tidy(text) {
                Some(tidied) if self == Kind::Number || !tidied.iter().any(|b| matches!(b, b'.' | b'e' | b'E')) => {
                    out.extend_from_slice(&tidied);
                    true
                }
                _ => false,
            },
            Kind::Boolean => {
                let word: &[u8] = match text.to_ascii_lowercase().as_slice() {
                    b"1" | b"t" | b"y" | b"yes" | b"on" => b"true",
                    b"0" | b"f" | b"n" | b"no" | b"off" => b"false",
                    _ => return false,
                };
                out.extend_from_slice(word);
                true
            }
            // A moment that does not say its offset is taken as UTC.
            Kind::DateTime if date_time(text, false) => {
                moment(out, text, b"Z");
                true
            }
            Kind::DateTime if date(text) => {
                moment(out, text, b"T00:00:00Z");
                true
            }
            _ => false,
        }
    }
}

/// An integer as JSON writes it: Integer, Wide, or String when it has more digits than either.
#[inline]
fn integer(text: &[u8]) -> Option<Kind> {
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

/// A JSON number that a double holds with all its digits. `12E5` is taken for a code, not for 1200000.
#[inline]
fn number(text: &[u8]) -> bool {
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
        if places == 0 && signed.is_none() {
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

/// Whether the nearest double prints the same digits.
fn exact(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let Ok(double) = text.parse::<f64>() else { return false };
    double.is_finite() && scientific(text) == scientific(&format!("{double:e}"))
}

/// Sign, digits without zeros at either end, and the exponent of the first of them.
fn scientific(text: &str) -> Option<(bool, String, i64)> {
    let lower = text.to_ascii_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let (whole, places) = mantissa
        .trim_start_matches('-')
        .split_once('.')
        .unwrap_or((mantissa.trim_start_matches('-'), ""));
    let all = format!("{whole}{places}");
    let digits = all.trim_start_matches('0');
    if digits.is_empty() {
        return Some((text.starts_with('-'), String::new(), 0));
    }
    let first = whole.len() as i64 - (all.len() - digits.len()) as i64;
    Some((
        text.starts_with('-'),
        digits.trim_end_matches('0').into(),
        exponent.parse::<i64>().ok()? + first,
    ))
}

/// A number in a spelling that JSON lacks (`007`, `+1`, `.5`, `5.`), in JSON's.
fn tidy(text: &[u8]) -> Option<Vec<u8>> {
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
fn boolean(text: &[u8]) -> Option<&'static [u8]> {
    match text {
        b"true" | b"True" | b"TRUE" => Some(b"true"),
        b"false" | b"False" | b"FALSE" => Some(b"false"),
        _ => None,
    }
}

/// The number in `text` when it is all digits.
#[inline]
fn count(text: &[u8]) -> Option<u32> {
    text.iter()
        .try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// `YYYY-MM-DD`, a day of the calendar.
fn date(text: &[u8]) -> bool {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (count(&text[..4]), count(&text[5..7]), count(&text[8..])) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

/// A date, `T` or a space, `HH:MM:SS`, perhaps a fraction; then `Z` or `±HH:MM`, which must be there (`zoned`) or must not.
fn date_time(text: &[u8], zoned: bool) -> bool {
    if text.len() < 19
        || !date(&text[..10])
        || !matches!(text[10], b'T' | b't' | b' ')
        || text[13] != b':'
        || text[16] != b':'
    {
        return false;
    }
    let (hour, minute, second) = (count(&text[11..13]), count(&text[14..16]), count(&text[17..19]));
    if !(hour.is_some_and(|h| h < 24) && minute.is_some_and(|m| m < 60) && second.is_some_and(|s| s < 60)) {
        return false;
    }
    let mut rest = &text[19..];
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return false;
        }
        rest = &fraction[digits..];
    }
    match rest {
        [] => !zoned,
        [b'Z' | b'z'] => zoned,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            zoned && count(&[*h1, *h2]).is_some_and(|h| h < 24) && count(&[*m1, *m2]).is_some_and(|m| m < 60)
        }
        _ => false,
    }
}

/// A checked date or moment as JSON, with the `T` of RFC 3339.
fn moment(out: &mut Vec<u8>, text: &[u8], zone: &[u8]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_texts() {
        let same = [
            (Kind::Integer, "0 1 -5 9223372036854775807 -9223372036854775808 123456789012345678"),
            (Kind::Wide, "9223372036854775808 18446744073709551615 99999999999999999999999999999999999999"),
            (Kind::Number, "1.5 -0.25 1.10 1e+05 1.0E3 1e-5 0.1 123456789.123456 0.30000000000000004 -0.0 -0"),
            (Kind::Date, "2013-01-31 2024-02-29"),
            (Kind::DateTime, "2013-01-01T10:00:00Z 2013-01-01T10:00:00.123456+05:30"),
            (Kind::Boolean, "true False"),
            (Kind::String, "007 +1 .5 5. 1E5 12E5 1e999 NaN inf 0x10 1_000 2023-02-29 2013-13-01 24:00:00 - -- 1-2 T 2013-01-01T10:00:00"),
            (Kind::String, "100000000000000000000000000000000000000 12345678901234567.89 0.12345678901234567890"),
        ];
        for (kind, texts) in same {
            for text in texts.split(' ') {
                assert_eq!(Kind::of(text.as_bytes()), kind, "{text}");
            }
        }
        assert_eq!(Kind::of(b"2013-01-01 10:00:00+00:00"), Kind::DateTime);
        assert_eq!(Kind::of(b" 1"), Kind::String);
    }

    #[test]
    fn a_column_only_widens() {
        let all = [
            Kind::Unseen,
            Kind::Boolean,
            Kind::Integer,
            Kind::Wide,
            Kind::Number,
            Kind::Date,
            Kind::DateTime,
            Kind::String,
        ];
        let texts = [
            "true",
            "1",
            "99999999999999999999",
            "1.5",
            "2013-01-01",
            "2013-01-01T10:00:00Z",
            "x",
            "007",
            "12345678901234567.89",
        ];
        for kind in all {
            for text in texts {
                let mut column = kind;
                let mut steps = 0;
                let mut out = Vec::new();
                while !column.write(&mut out, text.as_bytes()) {
                    let wider = column.widened(text.as_bytes());
                    assert_ne!(wider, column);
                    assert!(out.is_empty());
                    (column, steps) = (wider, steps + 1);
                }
                assert!(steps <= 2, "{kind:?} {text}");
                assert!(serde_json::from_slice::<Value>(&out).is_ok());
            }
        }
        assert_eq!(Kind::Integer.join(Kind::Number), Kind::Number);
        assert_eq!(Kind::Date.join(Kind::DateTime), Kind::String);
    }

    #[test]
    fn texts_as_json() {
        let json = |kind: Kind, text: &str| {
            let mut out = Vec::new();
            kind.write_fixed(&mut out, text.as_bytes())
                .then(|| String::from_utf8(out).unwrap())
        };
        assert_eq!(json(Kind::String, "a\"\\\u{1}\té").unwrap(), r#""a\"\\\u0001\té""#);
        assert_eq!(json(Kind::Number, "1.10").unwrap(), "1.10");
        assert_eq!(json(Kind::Integer, "+007").unwrap(), "7");
        assert_eq!(json(Kind::Integer, "1.5"), None);
        assert_eq!(json(Kind::Integer, "x"), None);
        assert_eq!(json(Kind::Number, "-.5").unwrap(), "-0.5");
        assert_eq!(
            json(Kind::Number, "12345678901234567.89").unwrap(),
            "12345678901234567.89"
        );
        assert_eq!(json(Kind::Boolean, "yes").unwrap(), "true");
        assert_eq!(
            json(Kind::DateTime, "2013-01-01 10:00:00").unwrap(),
            r#""2013-01-01T10:00:00Z""#
        );
        assert_eq!(json(Kind::DateTime, "2013-01-01").unwrap(), r#""2013-01-01T00:00:00Z""#);
    }
}
