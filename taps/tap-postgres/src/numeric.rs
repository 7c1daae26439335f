//! numeric in its binary form: groups of four digits, as an integer of a decimal's scale or as the text of its digits.

use arrow_buffer::i256;

/// A value of numeric. Its digits stay where they came.
#[derive(Clone, Copy, Debug)]
pub struct Numeric<'a> {
    groups: &'a [u8],
    /// The power of 10000 of the first group.
    weight: i32,
    negative: bool,
    /// Digits behind the point.
    scale: usize,
}

/// What was read.
#[derive(Clone, Copy, Debug)]
pub enum Read<'a> {
    /// A number.
    Number(Numeric<'a>),
    /// NaN, Infinity or -Infinity.
    Other(&'static str),
    /// No numeric at all.
    Broken,
}

const GROUP: i128 = 10_000;

/// Reads the binary form.
#[inline]
pub fn read(bytes: &[u8]) -> Read<'_> {
    let [c0, c1, w0, w1, s0, s1, d0, d1, groups @ ..] = bytes else {
        return Read::Broken;
    };
    if groups.len() != 2 * usize::from(u16::from_be_bytes([*c0, *c1])) {
        return Read::Broken;
    }
    let negative = match u16::from_be_bytes([*s0, *s1]) {
        0 => false,
        0x4000 => true,
        0xC000 => return Read::Other("NaN"),
        0xD000 => return Read::Other("Infinity"),
        0xF000 => return Read::Other("-Infinity"),
        _ => return Read::Broken,
    };
    Read::Number(Numeric {
        groups,
        weight: i16::from_be_bytes([*w0, *w1]).into(),
        negative,
        scale: u16::from_be_bytes([*d0, *d1]).into(),
    })
}

impl Numeric<'_> {
    fn groups(&self) -> impl DoubleEndedIterator<Item = u16> + '_ {
        self.groups
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// How many decimal digits must be added behind the last group, or taken off it, to get an integer of that scale.
    fn shift(&self, scale: u8) -> i32 {
        let count = (self.groups.len() / 2) as i32;
        4 * (self.weight - count + 1) + i32::from(scale)
    }

    /// Its value times 10 to the power of `scale`; none where that is no integer of 128 bits.
    #[inline]
    pub fn scaled(&self, scale: u8) -> Option<i128> {
        if self.groups.is_empty() {
            return Some(0);
        }
        let shift = self.shift(scale);
        let (last, before) = (self.groups().next_back()?, self.groups.len() / 2 - 1);
        let mut value: i128 = match before <= 4 {
            // Sixteen digits fit a machine word.
            true => self
                .groups()
                .take(before)
                .fold(0_i64, |v, group| v * 10_000 + i64::from(group))
                .into(),
            false => {
                let mut value = 0_i128;
                for group in self.groups().take(before) {
                    value = value.checked_mul(GROUP)?.checked_add(group.into())?;
                }
                value
            }
        };
        match u32::try_from(shift) {
            Ok(shift) => {
                value = value.checked_mul(GROUP)?.checked_add(last.into())?;
                value = value.checked_mul(10_i128.checked_pow(shift)?)?;
            }
            // The last group ends in zeros that are no digits of the number.
            Err(_) if shift > -4 => {
                let cut = 10_i128.pow(shift.unsigned_abs());
                if i128::from(last) % cut != 0 {
                    return None;
                }
                value = value.checked_mul(GROUP / cut)?.checked_add(i128::from(last) / cut)?;
            }
            Err(_) => return None,
        }
        Some(if self.negative { -value } else { value })
    }

    /// The same with 256 bits.
    pub fn scaled_wide(&self, scale: u8) -> Option<i256> {
        let of = |n: i128| i256::from_i128(n);
        let power = |n: u32| of(10).checked_pow(n);
        let Some(last) = self.groups().next_back() else {
            return Some(i256::ZERO);
        };
        let mut value = i256::ZERO;
        for group in self.groups().take(self.groups.len() / 2 - 1) {
            value = value.checked_mul(of(GROUP))?.checked_add(of(group.into()))?;
        }
        let shift = self.shift(scale);
        match u32::try_from(shift) {
            Ok(shift) => {
                value = value.checked_mul(of(GROUP))?.checked_add(of(last.into()))?;
                value = value.checked_mul(power(shift)?)?;
            }
            Err(_) if shift > -4 => {
                let cut = 10_i128.pow(shift.unsigned_abs());
                if i128::from(last) % cut != 0 {
                    return None;
                }
                value = value
                    .checked_mul(of(GROUP / cut))?
                    .checked_add(of(i128::from(last) / cut))?;
            }
            Err(_) => return None,
        }
        Some(if self.negative { value.wrapping_neg() } else { value })
    }

    /// The digits as PostgreSQL writes them.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        let group = |power: i32| {
            let at = usize::try_from(self.weight - power).ok()?;
            let pair = self.groups.get(2 * at..2 * at + 2)?;
            Some(u16::from_be_bytes([pair[0], pair[1]]))
        };
        let digits = |group: Option<u16>| {
            let group = group.unwrap_or(0);
            [group / 1000, group / 100 % 10, group / 10 % 10, group % 10].map(|digit| b'0' + digit as u8)
        };
        let start = out.len();
        for power in (0..=self.weight.max(0)).rev() {
            let text = digits(group(power));
            let zeros = match out.len() == start {
                true => text.iter().take(3).take_while(|digit| **digit == b'0').count(),
                false => 0,
            };
            out.extend_from_slice(&text[zeros..]);
        }
        if self.scale == 0 {
            return;
        }
        out.push(b'.');
        let end = out.len() + self.scale;
        for power in 1.. {
            if out.len() >= end {
                break;
            }
            out.extend_from_slice(&digits(group(-power)));
        }
        out.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The binary form of a number, made the slow way.
    fn binary(text: &str) -> Vec<u8> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let padded = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let mut weight = whole.len() as i16 / 4 - 1;
        let all = whole + &padded;
        let mut groups: Vec<u16> = (0..all.len() / 4)
            .map(|n| all[4 * n..4 * n + 4].parse().unwrap())
            .collect();
        while groups.last() == Some(&0) {
            groups.pop();
        }
        while groups.first() == Some(&0) {
            groups.remove(0);
            weight -= 1;
        }
        let head = [
            groups.len() as u16,
            weight as u16,
            if negative { 0x4000 } else { 0 },
            fraction.len() as u16,
        ];
        head.iter().chain(&groups).flat_map(|part| part.to_be_bytes()).collect()
    }

    #[test]
    fn digits_stay() {
        let ones = "9".repeat(38);
        let texts = [
            "0",
            "0.00",
            "1",
            "-1",
            "10000",
            "12345.6789",
            "0.0001",
            "-0.00000001",
            "1000000000000",
            "99999999.99990000",
            "0.1000",
            "12340000.5",
            "100000000000000000000.00000000000000000001",
            &ones,
            "3.14159265358979323846",
        ];
        for text in texts {
            let bytes = binary(text);
            let Read::Number(number) = read(&bytes) else {
                panic!("{text}")
            };
            let mut out = Vec::new();
            number.write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn decimals_are_exact_or_none() {
        let scaled = |text: &str, scale: u8| {
            let bytes = binary(text);
            let Read::Number(number) = read(&bytes) else {
                panic!("{text}")
            };
            let (narrow, wide) = (number.scaled(scale), number.scaled_wide(scale));
            if let Some(narrow) = narrow {
                assert_eq!(wide, Some(i256::from_i128(narrow)));
            }
            (narrow, wide.map(|wide| wide.to_string()))
        };
        assert_eq!(scaled("12.34", 2).0, Some(1234));
        assert_eq!(scaled("-12.3", 4).0, Some(-123_000));
        assert_eq!(scaled("0.00", 2).0, Some(0));
        assert_eq!(scaled("120000", 0).0, Some(120_000));
        assert_eq!(scaled("12.345", 2).0, None);
        assert_eq!(scaled("0.00001", 2).0, None);
        let largest = "9".repeat(38);
        assert_eq!(scaled(&largest, 0).0, Some(10_i128.pow(38) - 1));
        let extreme = format!("-{}.{}", "9".repeat(18), "9".repeat(20));
        assert_eq!(scaled(&extreme, 20).0, Some(1 - 10_i128.pow(38)));
        let extreme = format!("{}.{}", "9".repeat(37), "9");
        assert_eq!(scaled(&extreme, 1).0, Some(10_i128.pow(38) - 1));
        assert_eq!(scaled(&"9".repeat(39), 0).0, None);
        let wide = format!("-{}.{}", "9".repeat(56), "9".repeat(20));
        assert_eq!(scaled(&wide, 20), (None, Some(format!("-{}", "9".repeat(76)))));
    }

    #[test]
    fn what_is_no_number_is_told() {
        let head = |sign: u16| {
            [0_u16, 0, sign, 0]
                .iter()
                .flat_map(|part| part.to_be_bytes())
                .collect::<Vec<_>>()
        };
        assert!(matches!(read(&head(0xC000)), Read::Other("NaN")));
        assert!(matches!(read(&head(0xD000)), Read::Other("Infinity")));
        assert!(matches!(read(&head(0xF000)), Read::Other("-Infinity")));
        assert!(matches!(read(&head(1)), Read::Broken));
        assert!(matches!(read(&head(0)[..7]), Read::Broken));
        assert!(matches!(read(&[0, 1, 0, 0, 0, 0, 0, 0]), Read::Broken));
    }
}
