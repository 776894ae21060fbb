//! Times as text: RFC 3339 in UTC, written without the general formatter.
//!
//! A usage event holds a handful of times and is written twice a request, and each answer's head has one; the formatter of `chrono` takes longer
//! for each of them than a decision takes. What is written here reads back as the same time anywhere.

use std::fmt;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde::Serializer;

/// Longest text: `2026-11-25T02:09:27.123456789Z`.
const LONGEST: usize = 30;

/// Digits of a whole second: `2026-11-25T02:09:27`.
const SECONDS: usize = 19;

/// A time that shows as RFC 3339: to the second where it is whole, else to the microsecond or nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339(pub DateTime<Utc>);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LONGEST];
        match write(self.0, &mut text).and_then(|length| std::str::from_utf8(text.get(..length)?).ok()) {
            Some(text) => f.write_str(text),
            // A year that is not four digits.
            None => fmt::Debug::fmt(&self.0, f),
        }
    }
}

/// Writes a time as a string of a serialised form (`serialize_with`).
///
/// # Errors
/// The serializer's own.
pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = [0; LONGEST];
    match write(*time, &mut text).and_then(|length| std::str::from_utf8(text.get(..length)?).ok()) {
        Some(text) => serializer.serialize_str(text),
        None => serializer.collect_str(&Rfc3339(*time)),
    }
}

/// Writes the text and answers its length; `None` where the year is not four digits.
fn write(time: DateTime<Utc>, text: &mut [u8; LONGEST]) -> Option<usize> {
    let year = u32::try_from(time.year()).ok().filter(|year| *year <= 9999)?;
    let (days, clock) = (time.date_naive(), time.time());
    // A leap second is kept as the nanoseconds beyond the second before it.
    let nanos = clock.nanosecond().min(999_999_999);
    let template = b"0000-00-00T00:00:00";
    text.get_mut(..SECONDS)?.copy_from_slice(template);
    let places =
        [(0, 4, year), (5, 2, days.month()), (8, 2, days.day()), (11, 2, clock.hour()), (14, 2, clock.minute()), (17, 2, clock.second())];
    for (at, digits, number) in places {
        put(text, at, digits, number)?;
    }
    let end = match nanos {
        0 => SECONDS,
        _ if nanos.is_multiple_of(1000) => {
            *text.get_mut(SECONDS)? = b'.';
            put(text, 20, 6, nanos.checked_div(1000)?)?;
            26
        }
        _ => {
            *text.get_mut(SECONDS)? = b'.';
            put(text, 20, 9, nanos)?;
            29
        }
    };
    *text.get_mut(end)? = b'Z';
    end.checked_add(1)
}

/// Puts `number` at `at` with exactly so many digits.
fn put(text: &mut [u8; LONGEST], at: usize, digits: usize, mut number: u32) -> Option<()> {
    let places = text.get_mut(at..at.checked_add(digits)?)?;
    for place in places.iter_mut().rev() {
        let digit = u8::try_from(number.checked_rem(10)?).ok()?;
        *place = b'0'.checked_add(digit)?;
        number = number.checked_div(10)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_have_as_many_decimals_as_they_need() {
        for text in ["2026-11-25T02:09:27Z", "0001-01-01T00:00:00Z", "2026-02-28T23:59:59.000001Z", "9999-12-31T23:59:59.123456789Z"] {
            let time: DateTime<Utc> = text.parse().unwrap();
            assert_eq!(Rfc3339(time).to_string(), text);
        }
    }

    #[test]
    fn a_year_beyond_four_digits_is_still_a_time() {
        for time in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
            assert_eq!(Rfc3339(time).to_string().parse::<DateTime<Utc>>().unwrap(), time);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same_time(seconds in -62_135_596_800_i64..253_402_300_800, nanos in 0_u32..1_000_000_000) {
            let time = DateTime::<Utc>::from_timestamp(seconds, nanos).unwrap();
            let written = Rfc3339(time).to_string();
            prop_assert_eq!(written.parse::<DateTime<Utc>>().unwrap(), time);
        }
    }
}
