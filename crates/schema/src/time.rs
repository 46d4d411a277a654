//! Instants as text: RFC 3339 in, RFC 3339 in UTC out.

use musubi_core::time::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// 1900-01-01T00:00:00Z, the first instant taken: earlier ones are clocks that were never set, not customers.
const EARLIEST: i64 = -2_208_988_800 * MICROS_PER_SECOND;

/// 2200-01-01T00:00:00Z, the first instant too late: later ones are "never" in some system's database.
const TOO_LATE: i64 = 7_258_118_400 * MICROS_PER_SECOND;

/// The instant that an RFC 3339 text with an offset names, in the years 1900 to 2199 of UTC; none for anything else.
///
/// What is finer than a microsecond is cut off, towards the past. A leap second is the second before it.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    of_our_centuries(parse_common(text.as_bytes()).or_else(|| parse_any(text))?)
}

/// The instant, where it is in the years 1900 to 2199 of UTC.
pub(crate) fn of_our_centuries(micros: i64) -> Option<Timestamp> {
    (EARLIEST..TOO_LATE).contains(&micros).then(|| Timestamp::from_micros(micros))
}

/// Whatever form jiff takes as an instant, except its annotations in brackets.
fn parse_any(text: &str) -> Option<i64> {
    const LONGEST: usize = 64;
    if text.len() > LONGEST || text.contains('[') {
        return None;
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(instant.as_nanosecond().div_euclid(1_000)).ok()
}

/// The form that nearly every sender uses, `YYYY-MM-DDTHH:MM:SS[.f…](Z|±HH:MM)`; none for anything else.
fn parse_common(text: &[u8]) -> Option<i64> {
    let (fixed, rest) = text.split_first_chunk::<19>()?;
    if [fixed[4], fixed[7], fixed[10], fixed[13], fixed[16]] != *b"--T::" {
        return None;
    }
    let year = two(fixed[0], fixed[1])? * 100 + two(fixed[2], fixed[3])?;
    let (month, day) = (two(fixed[5], fixed[6])?, two(fixed[8], fixed[9])?);
    let (hour, minute, second) = (two(fixed[11], fixed[12])?, two(fixed[14], fixed[15])?, two(fixed[17], fixed[18])?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, offset) = fraction(rest)?;
    let seconds = days_before(year, month, day) * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second;
    Some((seconds - offset_seconds(offset)?) * MICROS_PER_SECOND + micros)
}

/// The number of two digits.
fn two(tens: u8, ones: u8) -> Option<i64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// Microseconds, and what follows them. At most nine digits, as in jiff.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    if !(1..=9).contains(&length) {
        return None;
    }
    let digit = |place| digits[..length].get(place).map_or(0, |byte| i64::from(byte - b'0'));
    Some(((0..6).fold(0, |sum, place| sum * 10 + digit(place)), &digits[length..]))
}

/// Seconds east of UTC.
fn offset_seconds(text: &[u8]) -> Option<i64> {
    match text {
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), hours, more, b':', minutes, rest] => {
            let (hours, minutes) = (two(*hours, *more)?, two(*minutes, *rest)?);
            let seconds = hours * 3_600 + minutes * 60;
            (hours <= 23 && minutes <= 59).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, years counted from March so that the leap day is last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date that is so many days after 1970-01-01: the inverse of [`days_before`].
fn date_after(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Appends an instant as RFC 3339 in UTC, with six decimal places where there is anything below the second.
///
/// Years beyond 9999 or before 0, which no touchpoint has, are written in ISO 8601's expanded form.
pub fn render_time(time: Timestamp, out: &mut Vec<u8>) {
    let (seconds, micros) =
        (time.as_micros().div_euclid(MICROS_PER_SECOND), time.as_micros().rem_euclid(MICROS_PER_SECOND));
    let (year, month, day) = date_after(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    if (0..=9_999).contains(&year) {
        out.extend_from_slice(&pair(year / 100));
        out.extend_from_slice(&pair(year % 100));
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        digits(year.abs(), 6, out);
    }
    let mut rest = *b"-00-00T00:00:00";
    for (place, part) in [(1, month), (4, day), (7, second / 3_600), (10, second / 60 % 60), (13, second % 60)] {
        rest[place..place + 2].copy_from_slice(&pair(part));
    }
    out.extend_from_slice(&rest);
    if micros > 0 {
        out.push(b'.');
        digits(micros, 6, out);
    }
    out.push(b'Z');
}

/// A number below 100 in two digits.
const fn pair(number: i64) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// The last `places` digits of a number that is not negative.
fn digits(number: i64, places: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + places, b'0');
    let mut rest = number;
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
#[path = "time/tests.rs"]
mod tests;
