//! Instants and dates as tills, spreadsheets and services write them: epochs, RFC 3339, RFC 2822, `YYYYMMDD`, Japanese
//! eras, and business hours that go on past midnight.

use std::borrow::Cow;

use jiff::SignedDuration;
use jiff::civil::{Date, Time};
use jiff::fmt::rfc2822;
use jiff::tz::{Offset, TimeZone};
use musubi_core::time::Timestamp;
use musubi_schema::{parse_time, render_time};
use unicode_normalization::{UnicodeNormalization as _, is_nfkc};

/// A zone in which times without an offset are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// The zone of a name (`Asia/Tokyo`) or an offset (`+09:00`). Tokyo has had no other offset since 1951 and needs no
    /// database; other names are looked up in the system's.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "Asia/Tokyo" | "JST" => Some(Self(TimeZone::fixed(jiff::tz::offset(9)))),
            "UTC" | "Z" => Some(Self(TimeZone::UTC)),
            offset if offset.starts_with(['+', '-']) => fixed(offset).map(|offset| Self(TimeZone::fixed(offset))),
            other => TimeZone::get(other).ok().map(Self),
        }
    }

    fn instant(&self, date: Date, second: i64, nanosecond: i32) -> Option<i128> {
        let midnight = date.to_datetime(Time::midnight());
        let local = midnight.checked_add(SignedDuration::new(second, nanosecond)).ok()?;
        local.to_zoned(self.0.clone()).ok().map(|zoned| zoned.timestamp().as_nanosecond())
    }
}

/// `±HH:MM` or `±HHMM`.
fn fixed(text: &str) -> Option<Offset> {
    let (sign, digits) = text.split_at_checked(1)?;
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2).filter(|(_, minutes)| minutes.len() == 2)?;
    let seconds = hours.parse::<i32>().ok()? * 3_600 + minutes.parse::<i32>().ok()? * 60;
    Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()
}

/// An instant in RFC 3339 and UTC.
pub(crate) fn render(instant: Timestamp) -> String {
    let mut out = Vec::with_capacity(27);
    render_time(instant, &mut out);
    String::from_utf8(out).expect("an instant is written in ASCII")
}

fn of_nanoseconds(nanoseconds: i128) -> Option<Timestamp> {
    let micros = i64::try_from(nanoseconds.div_euclid(1_000)).ok()?;
    let instant = Timestamp::from_micros(micros);
    // The years that the schema takes; the text is the one way to ask it.
    jiff::Timestamp::from_microsecond(micros).ok().and_then(|_| parse_time(&render(instant)))
}

/// The instant of a number since 1970, in the unit that its size tells: up to 11 digits are seconds, up to 14
/// milliseconds, up to 17 microseconds, more nanoseconds. Seconds may have a fraction.
pub(crate) fn of_number(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i128 = whole.parse().ok()?;
    let unit: i128 = match whole.trim_start_matches('-').len() {
        0..=11 => 1_000_000_000,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    let rest = match unit {
        1_000_000_000 if !fraction.is_empty() => nanoseconds_of(fraction)?,
        _ => 0,
    };
    of_nanoseconds(number.checked_mul(unit)?.checked_add(if whole.starts_with('-') { -rest } else { rest })?)
}

/// The digits behind a point, as nanoseconds.
fn nanoseconds_of(fraction: &str) -> Option<i128> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = &fraction[..fraction.len().min(9)];
    let scale = 10_i128.pow(u32::try_from(9 - digits.len()).ok()?);
    digits.parse::<i128>().ok()?.checked_mul(scale)
}

/// The instant that a text names; in the zone, where it has no offset.
pub(crate) fn of_text(text: &str, zone: &Zone) -> Option<Timestamp> {
    const LONGEST: usize = 80;
    if let Some(instant) = parse_time(text) {
        return Some(instant);
    }
    if text.len() > LONGEST {
        return None;
    }
    let text = plain(text);
    let text = text.trim();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    parse_time(text)
        .or_else(|| of_local(text, zone))
        .or_else(|| (digits && text.len() >= 9).then(|| of_number(text)).flatten())
        .or_else(|| of_offset(text))
        .or_else(|| rfc2822::parse(text).ok().and_then(|zoned| of_nanoseconds(zoned.timestamp().as_nanosecond())))
}

/// A text in NFKC: full-width digits and signs are ASCII's.
fn plain(text: &str) -> Cow<'_, str> {
    if is_nfkc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfkc().collect()) }
}

/// A date, a time and an offset without its colon: `2026-04-01T10:00:00.000+0900`.
fn of_offset(text: &str) -> Option<Timestamp> {
    let at = text.rfind(['+', '-', 'Z']).filter(|at| *at >= 10)?;
    let (local, offset) = text.split_at(at);
    let zone = if offset == "Z" { Zone(TimeZone::UTC) } else { Zone(TimeZone::fixed(fixed(offset)?)) };
    of_local(local.trim_end(), &zone)
}

/// A date with or without a time of day, in a zone.
fn of_local(text: &str, zone: &Zone) -> Option<Timestamp> {
    let (date, rest) = date(text)?;
    let rest = rest.trim_start_matches(['T', 't', ' ']);
    let rest = rest.trim_start_matches(weekday);
    let (second, nanosecond) = if rest.trim().is_empty() { (0, 0) } else { time_of_day(rest.trim())? };
    of_nanoseconds(zone.instant(date, second, nanosecond)?)
}

/// What stands between a date and a time in spreadsheets: `(水)`.
fn weekday(c: char) -> bool {
    matches!(c, '(' | ')' | '月' | '火' | '水' | '木' | '金' | '土' | '日' | ' ')
}

/// Seconds since the midnight at which the business day began, and nanoseconds. Hours run to 47: 25:30 is half past one
/// of the next morning.
pub(crate) fn time_of_day(text: &str) -> Option<(i64, i32)> {
    let kanji = text.replace(['時', '分'], ":").replace('秒', "");
    let text = kanji.trim_end_matches(':');
    let parts: Vec<&str> = match text.len() {
        4 | 6 if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            [text.get(..2), text.get(2..4), text.get(4..6)].into_iter().flatten().collect()
        }
        _ => text.split(':').collect(),
    };
    let (seconds, fraction) = parts.get(2).map_or(("0", ""), |part| part.split_once('.').unwrap_or((part, "")));
    let number = |text: &str, most: i64| {
        let short = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| short && *number <= most)
    };
    let (hours, minutes) = (number(parts.first()?, 47)?, parts.get(1).map_or(Some(0), |text| number(text, 59))?);
    let nanoseconds = if fraction.is_empty() { 0 } else { i32::try_from(nanoseconds_of(fraction)?).ok()? };
    let known = parts.len() <= 3 && (parts.len() > 1 || kanji.contains(':'));
    known.then_some((hours * 3_600 + minutes * 60 + number(seconds, 60)?.min(59), nanoseconds))
}

/// The date at the start of a text, and what stands behind it.
pub(crate) fn date(text: &str) -> Option<(Date, &str)> {
    era(text).or_else(|| compact(text)).or_else(|| {
        let (year, rest) = digits(text, 4)?;
        if year < 1_000 {
            return None;
        }
        month_and_day(year, rest)
    })
}

/// `20260401`.
fn compact(text: &str) -> Option<(Date, &str)> {
    let (head, rest) = text.split_at_checked(8)?;
    if !head.bytes().all(|byte| byte.is_ascii_digit())
        || (rest.starts_with(|c: char| c.is_ascii_digit()) && rest.len() != 6)
    {
        return None;
    }
    Some((calendar(head[..4].parse().ok()?, head[4..6].parse().ok()?, head[6..].parse().ok()?)?, rest))
}

/// A Japanese era.
struct Era {
    name: &'static str,
    short: char,
    letter: char,
    /// The year before its first.
    before: i64,
    /// The day on which it began.
    began: (i16, i8, i8),
}

impl Era {
    const fn new(name: &'static str, short: char, letter: char, began: (i16, i8, i8)) -> Self {
        Self { name, short, letter, before: began.0 as i64 - 1, began }
    }

    /// What stands behind the era's name, letter or sign.
    fn strip<'a>(&self, text: &'a str) -> Option<&'a str> {
        let rest = text.strip_prefix(self.name).or_else(|| text.strip_prefix(self.short));
        rest.or_else(|| text.strip_prefix([self.letter, self.letter.to_ascii_lowercase()]))
    }
}

/// The eras since 1868.
const ERAS: [Era; 5] = [
    Era::new("令和", '令', 'R', (2019, 5, 1)),
    Era::new("平成", '平', 'H', (1989, 1, 8)),
    Era::new("昭和", '昭', 'S', (1926, 12, 25)),
    Era::new("大正", '大', 'T', (1912, 7, 30)),
    Era::new("明治", '明', 'M', (1868, 1, 25)),
];

/// `令和6年4月1日`, `R6.4.1`, `H31/4/30`, `令和元年5月1日`. Offices go on writing an era that has ended (`平成31年6月`), so its
/// end is not looked at; a day before its beginning is no date.
fn era(text: &str) -> Option<(Date, &str)> {
    let (era, rest) = ERAS.iter().find_map(|era| Some((era, era.strip(text)?.trim_start())))?;
    let (year, rest) = match rest.strip_prefix('元') {
        Some(rest) => (1, rest),
        None => digits(rest, 2)?,
    };
    let found = month_and_day(era.before + year, rest).filter(|_| year > 0)?;
    (found.0 >= Date::new(era.began.0, era.began.1, era.began.2).ok()?).then_some(found)
}

/// `-4-1`, `/04/01`, `.4.1`, `年4月1日`, and what stands behind it.
fn month_and_day(year: i64, text: &str) -> Option<(Date, &str)> {
    let rest = text.trim_start_matches(' ');
    let sign = rest.chars().next().filter(|c| matches!(c, '-' | '/' | '.' | '年'))?;
    let (month, rest) = digits(rest[sign.len_utf8()..].trim_start(), 2)?;
    let middle = if sign == '年' { '月' } else { sign };
    let (day, rest) = digits(rest.trim_start().strip_prefix(middle)?.trim_start(), 2)?;
    let rest = if sign == '年' { rest.trim_start().strip_prefix('日')? } else { rest };
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((calendar(year, month, day)?, rest))
}

fn calendar(year: i64, month: i64, day: i64) -> Option<Date> {
    Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
}

/// A number of at least one digit and at most `most`, and what stands behind it.
fn digits(text: &str, most: usize) -> Option<(i64, &str)> {
    let end = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

/// A date in ISO 8601, from any form that [`date`] reads and nothing behind it.
pub(crate) fn iso_date(text: &str) -> Option<String> {
    let text = plain(text);
    let (date, rest) = date(text.trim())?;
    rest.trim_matches(weekday).is_empty().then(|| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let tokyo = Zone::named("Asia/Tokyo").expect("a zone");
        of_text(text, &tokyo).map_or_else(|| "none".into(), render)
    }

    #[test]
    fn every_way_in_which_an_instant_is_written_is_read() {
        let cases = [
            ("2026-04-01T10:00:00+09:00", "2026-04-01T01:00:00Z"),
            ("2026-04-01T10:00:00.123+0900", "2026-04-01T01:00:00.123000Z"),
            ("2026-04-01 10:00:00", "2026-04-01T01:00:00Z"),
            ("2026/4/1 9:05", "2026-04-01T00:05:00Z"),
            ("2026年4月1日(水) 10時05分", "2026-04-01T01:05:00Z"),
            ("２０２６／０４／０１　１０：００", "2026-04-01T01:00:00Z"),
            ("20260401", "2026-03-31T15:00:00Z"),
            ("20260401100000", "2026-04-01T01:00:00Z"),
            ("20260401 2530", "2026-04-01T16:30:00Z"),
            ("2026-04-01 25:30:10", "2026-04-01T16:30:10Z"),
            ("令和8年4月1日", "2026-03-31T15:00:00Z"),
            ("R8.4.1 10:00", "2026-04-01T01:00:00Z"),
            ("令和元年5月1日", "2019-04-30T15:00:00Z"),
            ("H31/4/30", "2019-04-29T15:00:00Z"),
            ("昭和64年1月7日", "1989-01-06T15:00:00Z"),
            ("Mon, 16 Aug 2010 03:45:01 +0000", "2010-08-16T03:45:01Z"),
            ("1767323045", "2026-01-02T03:04:05Z"),
            ("1767323045678", "2026-01-02T03:04:05.678000Z"),
            ("1767323045.5", "2026-01-02T03:04:05.500000Z"),
        ];
        for (text, instant) in cases {
            assert_eq!(read(text), instant, "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in
            ["", "yesterday", "2026-13-01", "2026-04-31", "令和0年1月1日", "R1.4.30", "48:00", "2026-04-01 10:60", "99"]
        {
            assert_eq!(read(text), "none", "{text}");
        }
    }

    #[test]
    fn a_date_alone_is_iso() {
        for (text, date) in [("R6.4.1", "2024-04-01"), ("19800229", "1980-02-29"), ("昭和55年2月29日", "1980-02-29")]
        {
            assert_eq!(iso_date(text).as_deref(), Some(date));
        }
        assert_eq!(iso_date("2026-04-01 10:00"), None);
    }
}
