//! Numbers as their decimal digits: no float rounds a bound, however large or fine the number is.

use serde_json::{Number, Value};
use std::cmp::Ordering;

/// A decimal number: `0.d1d2… × 10^point`, without zeros at either end of its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    /// Reads a JSON number.
    pub fn parse(text: &[u8]) -> Decimal {
        let (mut digits, mut point, mut fraction) = (Vec::with_capacity(text.len()), 0_i64, false);
        let mut rest = text.iter();
        let negative = text.first() == Some(&b'-');
        while let Some(byte) = rest.next() {
            match byte {
                b'0'..=b'9' => {
                    let leading = digits.is_empty() && *byte == b'0';
                    if !leading {
                        digits.push(byte - b'0');
                    }
                    point += match (fraction, leading) {
                        (false, false) => 1,
                        (true, true) => -1,
                        _ => 0,
                    };
                }
                b'.' => fraction = true,
                b'e' | b'E' => {
                    point = point.saturating_add(exponent(rest.as_slice()));
                    break;
                }
                _ => {}
            }
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let zero = digits.is_empty();
        Decimal {
            negative: negative && !zero,
            point: if zero { 0 } else { point },
            digits,
        }
    }

    /// Whether it has no fraction, as 1.0 and 1e3 have none.
    pub fn is_integer(&self) -> bool {
        self.digits.len() as i64 <= self.point || self.digits.is_empty()
    }

    fn to_i64(&self) -> Option<i64> {
        let zeros = usize::try_from(self.point).ok()?.checked_sub(self.digits.len())?;
        let digits = self.digits.iter().copied().chain(std::iter::repeat_n(0, zeros.min(20)));
        let sign = if self.negative { -1 } else { 1 };
        digits
            .map(i64::from)
            .try_fold(0_i64, |sum, digit| sum.checked_mul(10)?.checked_add(sign * digit))
    }

    /// Whether it is so many times `unit`; `None` when `unit` has more digits than this can divide by.
    pub fn is_multiple_of(&self, unit: &Decimal) -> Option<bool> {
        if self.digits.is_empty() {
            return Some(true);
        }
        let divisor = unit
            .digits
            .iter()
            .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(*digit)))?;
        if divisor == 0 {
            return None;
        }
        let last = |number: &Decimal| number.point.saturating_sub(number.digits.len() as i64);
        let Ok(mut shift) = u64::try_from(last(self).saturating_sub(last(unit))) else {
            // Its last digit is not 0, so no power of ten divides it.
            return Some(false);
        };
        let divisor = u128::from(divisor);
        let mut left = self
            .digits
            .iter()
            .fold(0_u128, |sum, digit| (sum * 10 + u128::from(*digit)) % divisor);
        let mut power = 10 % divisor;
        while shift > 0 {
            if shift & 1 == 1 {
                left = left * power % divisor;
            }
            power = power * power % divisor;
            shift >>= 1;
        }
        Some(left == 0)
    }

    fn size(&self, other: &Decimal) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self
                .point
                .cmp(&other.point)
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.size(other),
            (true, true) => other.size(self),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The value with `1.0` and `1e3` as 1 and 1000, where 64 bits hold them: in a list of types crate jsonschema takes no
/// number with a fraction for an integer.
pub(super) fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) if !number.is_i64() && !number.is_u64() => {
            let whole = Decimal::parse(number.to_string().as_bytes()).to_i64();
            whole.map_or(Value::Number(number), |whole| Value::Number(Number::from(whole)))
        }
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| (key, whole_numbers(value)))
            .collect(),
        other => other,
    }
}

/// The digits of an exponent; one without end is as large as any.
fn exponent(text: &[u8]) -> i64 {
    let negative = text.first() == Some(&b'-');
    let most = 1_i64 << 60;
    let size = text.iter().filter(|b| b.is_ascii_digit()).fold(0_i64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(most)
    });
    if negative {
        -size
    } else {
        size
    }
}

/// An integer of at most 18 digits, as nearly all are.
pub fn small(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits
        .iter()
        .fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(if digits.len() < text.len() { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes())
    }

    #[test]
    fn order_is_exact() {
        let rising = [
            "-1e400",
            "-9007199254740993",
            "-9007199254740992",
            "-1.5",
            "0",
            "1e-400",
            "0.1",
            "0.10000000000000000001",
            "1",
            "9007199254740992",
            "9007199254740993",
            "1e400",
            "1e99999999999999999999999",
        ];
        for pair in rising.windows(2) {
            assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
        }
        for (one, other) in [("1", "1.0"), ("100", "1e2"), ("0", "-0.0e7"), ("0.5", "5E-1")] {
            assert_eq!(decimal(one), decimal(other));
        }
    }

    #[test]
    fn integers_and_multiples() {
        for (text, whole) in [
            ("1.0", true),
            ("1e3", true),
            ("1.5", false),
            ("15e-1", false),
            ("0.0", true),
        ] {
            assert_eq!(decimal(text).is_integer(), whole, "{text}");
        }
        for (text, unit, fits) in [
            ("0.3", "0.1", Some(true)),
            ("4.35", "0.01", Some(true)),
            ("4.355", "0.01", Some(false)),
            ("1e300", "7", Some(false)),
            ("7e300", "7", Some(true)),
            ("9007199254740993", "2", Some(false)),
            ("9007199254740993", "3", Some(true)),
            ("0", "5", Some(true)),
            ("5", "1e1", Some(false)),
            ("50", "1e1", Some(true)),
            ("1", "123456789012345678901", None),
        ] {
            assert_eq!(decimal(text).is_multiple_of(&decimal(unit)), fits, "{text} {unit}");
        }
    }

    #[test]
    fn small_integers() {
        assert_eq!(small(b"-12"), Some(-12));
        assert_eq!(small(b"999999999999999999"), Some(999_999_999_999_999_999));
        assert_eq!(small(b"1000000000000000000"), None);
        assert_eq!(small(b"1.0"), None);
    }
}
