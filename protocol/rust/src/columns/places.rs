//! How many digits a decimal has, from whatever a SCHEMA says of it (SPEC.md, section 7).

use std::collections::BTreeMap;

use serde_json::Value;

use super::kind::Kind;

/// Digits in all, and behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    precision: u64,
    scale: u64,
}

type Words<'a> = BTreeMap<&'a str, &'a Value>;

impl Places {
    /// A decimal that says so, in one of the spellings in use.
    pub(crate) fn declared(words: &Words<'_>) -> Option<Places> {
        let inside = |key: &str| {
            let place = words.get(key)?.as_object()?;
            Places::pair(place.get("precision"), place.get("scale"))
        };
        inside("x-singer.decimal")
            .or_else(|| inside("decimal"))
            .or_else(|| Places::pair(words.get("precision").copied(), words.get("scale").copied()))
            .or_else(|| {
                let format = words.get("format")?.as_str()?;
                if !matches!(format, "singer.decimal" | "x-singer.decimal") {
                    return None;
                }
                let text = words.get("additionalProperties")?.get("scale_precision")?.as_str()?;
                let inner = text.strip_prefix('(')?.strip_suffix(')')?;
                let (precision, scale) = inner.split_once(',')?;
                let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
                Some(Places::new(precision, scale))
            })
    }

    /// A number with `multipleOf` has that many places; its bounds tell the digits before the point.
    pub(crate) fn bounded(words: &Words<'_>) -> Option<Places> {
        let step = Amount::of(words.get("multipleOf")?)?;
        if step.negative || step.digits.is_empty() {
            return None;
        }
        let scale = u64::try_from(-step.exponent).unwrap_or(0);
        let bounds = bounds(words);
        let whole = bounds.iter().map(|(limit, strict)| limit.whole_digits(*strict)).max();
        // Without both bounds nothing is known: as many digits as the widest decimal has.
        let precision = match whole {
            Some(whole) if bounds.len() > 1 => whole.saturating_add(scale),
            _ if scale <= 38 => 38,
            _ => 76,
        };
        Some(Places::new(precision, scale))
    }

    /// An integer whose bounds leave 64 bits.
    pub(crate) fn whole(words: &Words<'_>) -> Option<Places> {
        let bounds = bounds(words);
        if bounds.iter().all(|(limit, _)| limit.fits_64_bits()) {
            return None;
        }
        let digits = bounds.iter().map(|(limit, _)| limit.whole_digits(false)).max()?;
        Some(Places::new(if digits <= 38 { 38 } else { digits.max(76) }, 0))
    }

    /// The kind of a decimal; beyond 76 digits Arrow has none.
    pub(crate) fn kind(self, text: bool) -> Kind {
        match (u8::try_from(self.precision), i8::try_from(self.scale)) {
            (Ok(precision), Ok(scale)) if precision <= 76 => Kind::Decimal { precision, scale, text },
            _ if text => Kind::Text,
            _ => Kind::Json,
        }
    }

    fn new(precision: u64, scale: u64) -> Places {
        Places {
            precision: precision.max(scale).max(1),
            scale,
        }
    }

    fn pair(precision: Option<&Value>, scale: Option<&Value>) -> Option<Places> {
        let count = |value: &Value| match value {
            Value::Number(n) if n.as_str().bytes().all(|b| b.is_ascii_digit()) => Some(n.as_u64().unwrap_or(u64::MAX)),
            _ => None,
        };
        let precision = count(precision?).filter(|p| *p > 0)?;
        let scale = match scale {
            Some(scale) => count(scale)?,
            None => 0,
        };
        Some(Places::new(precision, scale))
    }
}

/// Lower and upper bounds, each with whether it is exclusive; draft 4 says so with a boolean.
fn bounds(words: &Words<'_>) -> Vec<(Amount, bool)> {
    let mut found = Vec::new();
    for (inclusive, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        let (limit, strict) = (words.get(inclusive), words.get(exclusive));
        if let Some(limit) = limit.and_then(|v| Amount::of(v)) {
            found.push((limit, strict.is_some_and(|v| **v == Value::Bool(true))));
        }
        if let Some(other) = strict.and_then(|v| Amount::of(v)) {
            found.push((other, true));
        }
    }
    found
}

/// A number of a SCHEMA: `digits` without zeros at either end, times ten to the `exponent`.
struct Amount {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Amount {
    fn of(value: &Value) -> Option<Amount> {
        let Value::Number(number) = value else {
            return None;
        };
        let text = number.as_str();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let kept = all.trim_end_matches('0');
        let exponent = i64::from(exponent) - fraction.len() as i64 + (all.len() - kept.len()) as i64;
        let digits = kept.trim_start_matches('0').to_owned();
        Some(Amount {
            negative,
            exponent: if digits.is_empty() { 0 } else { exponent },
            digits,
        })
    }

    /// Digits before the point of numbers up to this one.
    fn whole_digits(&self, exclusive: bool) -> u64 {
        let count = self.digits.len() as i64 + self.exponent;
        let reached = if exclusive && self.digits == "1" {
            count - 1
        } else {
            count
        };
        if self.digits.is_empty() {
            0
        } else {
            u64::try_from(reached).unwrap_or(0)
        }
    }

    fn fits_64_bits(&self) -> bool {
        if self.whole_digits(false) > 19 {
            return false;
        }
        let mut value: i128 = 0;
        for digit in self
            .digits
            .bytes()
            .chain(std::iter::repeat_n(b'0', self.exponent.max(0) as usize))
        {
            value = value.saturating_mul(10).saturating_add(i128::from(digit - b'0'));
        }
        if self.exponent < 0 {
            // What is behind the point only matters at the very ends, and there it is outside.
            let places = u32::try_from(-self.exponent).unwrap_or(u32::MAX);
            let Some(power) = 10_i128.checked_pow(places.min(38)) else {
                return true;
            };
            value = value / power + i128::from(value % power != 0);
        }
        let value = if self.negative { -value } else { value };
        i64::try_from(value).is_ok()
    }
}
