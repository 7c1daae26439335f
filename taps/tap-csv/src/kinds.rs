//! What a column's texts are, and one text as JSON.
//!
//! Inference only ever moves up: nothing seen < boolean | integer < wide integer < number | date | date-time < string.
//! A text is a number only if it is one as JSON writes it, so that it can be sent unchanged: `007`, `+1` and `.5` are
//! strings, and so is what a double would round.

use serde_json::{json, Value};

use crate::texts::{boolean, date, date_time, integer, moment, number, string, tidy, WIDE_DIGITS};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_texts() {
        let same = [
            (Kind::Integer, "0 1 -5 9223372036854775807 -9223372036854775808 123456789012345678"),
            (Kind::Wide, "9223372036854775808 18446744073709551615 99999999999999999999999999999999999999"),
            (Kind::Number, "1.5 -0.25 1.10 1e+05 1e3 48.053808600000004 -72.886806000000007 1.0E3 1e-5 0.1 123456789.123456 0.30000000000000004 -0.0 -0"),
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
