//! Which texts are days and moments, and what a number's text says.

/// Digits without zeros at either end, and the exponent of the first of them.
pub fn scientific(text: &str) -> Option<(String, i64)> {
    let lower = text.to_ascii_lowercase();
    let (mantissa, exponent) = lower
        .trim_start_matches('-')
        .split_once('e')
        .unwrap_or((lower.trim_start_matches('-'), "0"));
    let (whole, places) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{places}");
    let digits = all.trim_start_matches('0');
    if digits.is_empty() {
        return Some((String::new(), 0));
    }
    let first = whole.len() as i64 - (all.len() - digits.len()) as i64;
    Some((
        digits.trim_end_matches('0').into(),
        exponent.parse::<i64>().ok()? + first,
    ))
}

/// The number in `text` when it is all digits.
#[inline]
fn count(text: &[u8]) -> Option<u32> {
    text.iter()
        .try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// `YYYY-MM-DD`, a day of the calendar.
#[inline]
pub fn date(text: &[u8]) -> bool {
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
#[inline]
pub fn date_time(text: &[u8], zoned: bool) -> bool {
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
