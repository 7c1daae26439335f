//! Dates, times of day and instants, read from text; what microseconds or the years 1 to 9999 do not have is not taken.

use super::spelling::DAY;

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// Two digits.
#[inline]
fn two(text: &[u8], at: usize) -> Option<i64> {
    let (high, low) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
    (high <= 9 && low <= 9).then(|| i64::from(high * 10 + low))
}

/// A day of `YYYY-MM-DD`, counted from 1970-01-01.
#[inline]
fn day(text: &[u8]) -> Option<i64> {
    let text: &[u8; 10] = text.first_chunk()?;
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (two(text, 0)? * 100 + two(text, 2)?, two(text, 5)?, two(text, 8)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let last = *days.get(usize::try_from(month - 1).ok()?)?;
    if year == 0 || day == 0 || day > last {
        return None;
    }
    // See Howard Hinnant, chrono-compatible low-level date algorithms: years begin in March, eras have 400 years.
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Microseconds of `HH:MM:SS` and what is behind the second; also the text behind it.
#[inline]
fn of_day(text: &[u8]) -> Option<(i64, &[u8])> {
    if *text.get(2)? != b':' || *text.get(5)? != b':' {
        return None;
    }
    let (hour, minute, second) = (two(text, 0)?, two(text, 3)?, two(text, 6)?);
    // A leap second would become the one after it.
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let whole = (hour * 3600 + minute * 60 + second) * SECOND;
    let rest = &text[8..];
    let Some(b'.') = rest.first() else {
        return Some((whole, rest));
    };
    let (mut part, mut unit, mut at) = (0, SECOND, 1);
    while let Some(digit @ b'0'..=b'9') = rest.get(at) {
        if unit > 1 {
            unit /= 10;
            part += i64::from(digit - b'0') * unit;
        } else if *digit != b'0' {
            return None;
        }
        at += 1;
    }
    (at > 1).then(|| (whole + part, &rest[at..]))
}

/// A date.
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    (text.len() == 10).then_some(())?;
    i32::try_from(day(text)?).ok()
}

/// A time of day without a zone.
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    let (value, rest) = of_day(text)?;
    rest.is_empty().then_some(value)
}

/// An instant in microseconds since 1970; without an offset it is UTC.
#[inline]
pub(crate) fn timestamp(text: &[u8]) -> Option<i64> {
    let day = day(text)?;
    if !matches!(text.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let (time, zone) = of_day(&text[11..])?;
    let value = day * DAY * SECOND + time - offset(zone)? * SECOND;
    let years = (super::spelling::FIRST_DAY * DAY * SECOND)..((super::spelling::LAST_DAY + 1) * DAY * SECOND);
    years.contains(&value).then_some(value)
}

/// Seconds east of Greenwich: nothing, `Z`, `+HH:MM`, `+HHMM` or `+HH`.
#[inline]
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hour, minute) = match rest.len() {
        2 => (two(rest, 0)?, 0),
        4 => (two(rest, 0)?, two(rest, 2)?),
        5 if rest[2] == b':' => (two(rest, 0)?, two(rest, 3)?),
        _ => return None,
    };
    (hour <= 23 && minute <= 59).then_some(sign * (hour * 3600 + minute * 60))
}
