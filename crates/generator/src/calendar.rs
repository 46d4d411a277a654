//! When things happen: an opening instant, a span of days, busy evenings and weekends, and how instants are written.

use crate::json;

/// One second in milliseconds.
pub(crate) const SECOND: i64 = 1_000;
/// One minute in milliseconds.
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// One hour in milliseconds.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// One day in milliseconds.
pub(crate) const DAY: i64 = 24 * HOUR;
/// Tokyo is ahead of UTC by this much, all year.
const TOKYO: i64 = 9 * HOUR;
/// 2026-04-01T00:00:00+09:00, a Wednesday: the first instant of every stream, in milliseconds since 1970.
pub(crate) const OPENING: i64 = 20_544 * DAY - TOKYO;
/// How busy each hour of the day is. Shops open at ten; browsing peaks at lunch and between eight and eleven at night.
const HOURS: [u64; 24] = [14, 8, 4, 2, 2, 3, 7, 16, 24, 28, 38, 44, 58, 50, 46, 46, 48, 52, 60, 68, 78, 82, 66, 34];
/// How busy each day of the week is, from Wednesday, in tenths of a common weekday.
const DAYS: [u64; 7] = [10, 10, 11, 15, 14, 9, 9];
/// Finer than any weight above, so that instants inside an hour are spread and not rounded.
const FINE: u64 = 1_000_000;

/// In which offset a source writes its instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// `Z`.
    Utc,
    /// `+09:00`.
    Tokyo,
}

/// Turns progress through the stream into instants that never go back.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    days: u64,
    hour: u64,
    spent: u64,
    whole: u64,
}

impl Calendar {
    /// A calendar over this many days from the opening.
    pub(crate) fn new(days: u64) -> Self {
        Self { days, hour: 0, spent: 0, whole: (0..days * 24).map(weight).sum() }
    }

    /// The instant at `done` of `all`, in milliseconds since 1970. `done` may not fall between calls.
    pub(crate) fn at(&mut self, done: u64, all: u64) -> i64 {
        let target = u128::from(done) * u128::from(self.whole) / u128::from(all.max(1));
        let target = u64::try_from(target).unwrap_or(self.whole).min(self.whole - 1);
        while target >= self.spent + weight(self.hour) && self.hour + 1 < self.days * 24 {
            self.spent += weight(self.hour);
            self.hour += 1;
        }
        let inside = (target - self.spent) * HOUR.cast_unsigned() / weight(self.hour);
        OPENING + self.hour.cast_signed() * HOUR + inside.cast_signed()
    }
}

/// How busy the hour is that lies this many hours after the opening.
fn weight(hour: u64) -> u64 {
    let day = usize::try_from(hour / 24 % 7).expect("below seven");
    let of_day = usize::try_from(hour % 24).expect("below twenty-four");
    HOURS[of_day] * DAYS[day] * FINE
}

/// The next time that it is two in the morning in Tokyo, when tills send their day.
pub(crate) fn next_night(instant: i64) -> i64 {
    let local = instant + TOKYO - 2 * HOUR;
    (local.div_euclid(DAY) + 1) * DAY - TOKYO + 2 * HOUR
}

/// Writes an instant by RFC 3339 with milliseconds, without quotes.
pub(crate) fn write(out: &mut Vec<u8>, instant: i64, zone: Zone) {
    let local = if zone == Zone::Tokyo { instant + TOKYO } else { instant };
    let (year, month, day) = civil(local.div_euclid(DAY));
    let of_day = local.rem_euclid(DAY).cast_unsigned();
    json::padded(out, year.cast_unsigned(), 4);
    for (separator, part) in [
        (b'-', month.cast_unsigned()),
        (b'-', day.cast_unsigned()),
        (b'T', of_day / 3_600_000),
        (b':', of_day / 60_000 % 60),
        (b':', of_day / 1_000 % 60),
    ] {
        out.push(separator);
        json::padded(out, part, 2);
    }
    out.push(b'.');
    json::padded(out, of_day % 1_000, 3);
    out.extend_from_slice(if zone == Zone::Tokyo { b"+09:00" } else { b"Z" });
}

/// Year, month and day of a day counted from 1970-01-01, by Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(instant: i64, zone: Zone) -> String {
        let mut out = Vec::new();
        write(&mut out, instant, zone);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn the_opening_is_the_first_of_april_in_tokyo() {
        assert_eq!(written(OPENING, Zone::Tokyo), "2026-04-01T00:00:00.000+09:00");
        assert_eq!(written(OPENING, Zone::Utc), "2026-03-31T15:00:00.000Z");
        assert_eq!(written(0, Zone::Utc), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(OPENING - 31 * DAY, Zone::Tokyo), "2026-03-01T00:00:00.000+09:00");
    }

    #[test]
    fn the_calendar_runs_forward_and_ends_inside_its_span() {
        let mut calendar = Calendar::new(7);
        let instants: Vec<i64> = (0..=1_000).map(|done| calendar.at(done, 1_000)).collect();
        assert!(instants.is_sorted());
        assert_eq!(instants[0], OPENING);
        assert!(instants[1_000] < OPENING + 7 * DAY);
        assert!(instants[1_000] > OPENING + 7 * DAY - HOUR);
    }

    #[test]
    fn the_night_of_an_evening_is_the_same_night() {
        assert_eq!(written(next_night(OPENING + 20 * HOUR), Zone::Tokyo), "2026-04-02T02:00:00.000+09:00");
        assert_eq!(written(next_night(OPENING + HOUR), Zone::Tokyo), "2026-04-01T02:00:00.000+09:00");
    }
}
