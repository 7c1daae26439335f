//! Decimals, digit by digit: what needs more digits than the column has is not taken.

use arrow_buffer::i256;

use super::number::{scan, Scanned, MOST};

/// Digits of a column of decimals in all, and behind the point; whether a record holds them as a string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub(crate) precision: u8,
    pub(crate) scale: i8,
    pub(crate) text: bool,
}

/// Digits that half of an `i256` is made of.
const HALF: usize = 38;

impl Places {
    /// The number at `at`, and the offset behind it.
    #[inline]
    pub(crate) fn number(&self, s: &[u8], at: usize) -> Option<(i128, usize)> {
        let found = scan(s, at)?;
        Some((self.fit(&s[at..found.end], found)?, found.end))
    }

    /// The same in 256 bits.
    pub(crate) fn number_256(&self, s: &[u8], at: usize) -> Option<(i256, usize)> {
        let found = scan(s, at)?;
        Some((self.fit_256(&s[at..found.end], found)?, found.end))
    }

    /// A text that is a number from its beginning to its end, spelled as JSON spells it.
    pub(crate) fn whole(&self, text: &[u8]) -> Option<i128> {
        let found = strict(text)?;
        self.fit(text, found)
    }

    /// The same in 256 bits.
    pub(crate) fn whole_256(&self, text: &[u8]) -> Option<i256> {
        let found = strict(text)?;
        self.fit_256(text, found)
    }

    #[inline]
    fn fit(&self, text: &[u8], found: Scanned) -> Option<i128> {
        if found.count > MOST {
            let digits = self.spread(text, found)?;
            return Some(sign(found, part(&digits)?));
        }
        if found.mantissa == 0 {
            return Some(0);
        }
        let shift = found.exponent + i64::from(self.scale);
        let power = power(usize::try_from(shift.unsigned_abs()).ok()?)?;
        let mantissa = i128::from(found.mantissa);
        let value = match shift < 0 {
            true if mantissa % power != 0 => return None,
            true => mantissa / power,
            false => mantissa.checked_mul(power)?,
        };
        (value < self::power(usize::from(self.precision))?).then(|| sign(found, value))
    }

    fn fit_256(&self, text: &[u8], found: Scanned) -> Option<i256> {
        let digits = self.spread(text, found)?;
        let (high, low) = digits.split_at(digits.len().saturating_sub(HALF));
        let value = i256::from_i128(part(high)?)
            .wrapping_mul(i256::from_i128(10_i128.pow(HALF as u32)))
            .wrapping_add(i256::from_i128(part(low)?));
        Some(if found.negative { value.wrapping_neg() } else { value })
    }

    /// The digits of the value as a whole number of the column's smallest step.
    fn spread(&self, text: &[u8], found: Scanned) -> Option<Vec<u8>> {
        let mantissa = text.split(|b| matches!(b, b'e' | b'E')).next()?;
        let mut digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
        let from = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
        digits.drain(..from);
        if digits.is_empty() {
            return Some(digits);
        }
        let shift = found.exponent + i64::from(self.scale);
        let length = i64::try_from(digits.len()).ok()? + shift;
        if length > i64::from(self.precision) {
            return None;
        }
        let length = usize::try_from(length).ok()?;
        match digits.get(length..) {
            Some(behind) if behind.iter().all(|digit| *digit == b'0') => digits.truncate(length),
            Some(_) => return None,
            None => digits.resize(length, b'0'),
        }
        Some(digits)
    }
}

fn strict(text: &[u8]) -> Option<Scanned> {
    (crate::json::number(text, 0).ok()? == text.len()).then_some(())?;
    scan(text, 0)
}

fn sign(found: Scanned, value: i128) -> i128 {
    if found.negative {
        -value
    } else {
        value
    }
}

fn part(digits: &[u8]) -> Option<i128> {
    digits.iter().try_fold(0_i128, |value, digit| {
        value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
    })
}

/// Powers of ten of 128 bits.
const POWERS: [i128; HALF + 1] = {
    let mut powers = [1; HALF + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

#[inline]
fn power(of: usize) -> Option<i128> {
    POWERS.get(of).copied()
}
