//! Dates and times: PostgreSQL counts from 2000, Arrow from 1970, and JSON Schema's formats know the years 1 to 9999 only.

/// Days from 1970-01-01 to 2000-01-01.
const DAYS: i32 = 10_957;
const DAY: i64 = 86_400_000_000;

/// 0001-01-01 and 9999-12-31, in days since 1970.
const FIRST: i32 = -719_162;
const LAST: i32 = 2_932_896;

/// What stands in the place of a value that the formats do not know.
pub type Other = &'static str;

const BEYOND: Other = "a year that is not 1 to 9999";

/// A date as days since 1970.
#[inline]
pub fn date(days: i32) -> Result<i32, Other> {
    match days {
        i32::MAX => Err("infinity"),
        i32::MIN => Err("-infinity"),
        _ => match days.checked_add(DAYS) {
            Some(days) if (FIRST..=LAST).contains(&days) => Ok(days),
            _ => Err(BEYOND),
        },
    }
}

/// A timestamp as microseconds since 1970.
#[inline]
pub fn stamp(micros: i64) -> Result<i64, Other> {
    match micros {
        i64::MAX => Err("infinity"),
        i64::MIN => Err("-infinity"),
        _ => match micros.checked_add(i64::from(DAYS) * DAY) {
            Some(micros) if (i64::from(FIRST) * DAY..i64::from(LAST + 1) * DAY).contains(&micros) => Ok(micros),
            _ => Err(BEYOND),
        },
    }
}

/// A time of day in microseconds.
#[inline]
pub fn time(micros: i64) -> Result<i64, Other> {
    match (0..DAY).contains(&micros) {
        true => Ok(micros),
        false => Err("24:00:00"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_what_can_be_told() {
        assert_eq!(date(0), Ok(10_957));
        assert_eq!((date(FIRST - DAYS), date(FIRST - DAYS - 1)), (Ok(FIRST), Err(BEYOND)));
        assert_eq!((date(LAST - DAYS), date(LAST - DAYS + 1)), (Ok(LAST), Err(BEYOND)));
        assert_eq!((date(i32::MAX), date(i32::MIN)), (Err("infinity"), Err("-infinity")));
        assert_eq!(date(i32::MAX - 1), Err(BEYOND));
        assert_eq!(stamp(-1), Ok(946_684_799_999_999));
        let end = i64::from(LAST + 1 - DAYS) * DAY;
        assert_eq!((stamp(end - 1), stamp(end)), (Ok(253_402_300_799_999_999), Err(BEYOND)));
        let start = i64::from(FIRST - DAYS) * DAY;
        assert_eq!(
            (stamp(start), stamp(start - 1)),
            (Ok(-62_135_596_800_000_000), Err(BEYOND))
        );
        assert_eq!((stamp(i64::MAX), stamp(i64::MIN)), (Err("infinity"), Err("-infinity")));
        assert_eq!((time(DAY - 1), time(DAY)), (Ok(DAY - 1), Err("24:00:00")));
    }
}
