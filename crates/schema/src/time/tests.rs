//! Instants: the fast path is jiff's, and what is rendered reads back.

use proptest::prelude::*;

use super::*;

fn rendered(micros: i64) -> String {
    let mut out = Vec::new();
    render_time(Timestamp::from_micros(micros), &mut out);
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn one_instant_has_many_spellings() {
    let instant = parse_time("2026-04-01T01:00:00Z");
    assert_eq!(instant, Some(Timestamp::from_micros(1_775_005_200_000_000)));
    for spelling in ["2026-04-01T10:00:00+09:00", "2026-04-01T01:00:00.000Z", "2026-04-01t01:00:00z"] {
        assert_eq!(parse_time(spelling), instant, "{spelling}");
    }
}

#[test]
fn what_is_no_instant_with_an_offset_in_our_centuries_is_refused() {
    for text in [
        "",
        "2026-04-01",
        "2026-04-01T10:00:00",
        "2026-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-04-01T25:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1899-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "2026-04-01T10:00:00+09:00[Asia/Tokyo]",
        "2026-04-01T10:00:00.Z",
        "yesterday",
    ] {
        assert_eq!(parse_time(text), None, "{text}");
    }
}

#[test]
fn micros_are_written_only_where_needed() {
    assert_eq!(rendered(0), "1970-01-01T00:00:00Z");
    assert_eq!(rendered(-1), "1969-12-31T23:59:59.999999Z");
    assert_eq!(rendered(1_775_005_200_500_000), "2026-04-01T01:00:00.500000Z");
    assert_eq!(rendered(i64::MAX), "+294247-01-10T04:00:54.775807Z");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_fast_path_agrees_with_jiff(
        (year, month, day) in (0u32..=9_999, 0u32..=13, 0u32..=32),
        (hour, minute, second) in (0u32..=25, 0u32..=61, 0u32..=59),
        fraction in "(\\.[0-9]{0,10})?",
        offset in "Z|[+-]([01][0-9]|2[0-5]):[0-6][0-9]",
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}");
        if let Some(micros) = parse_common(text.as_bytes()) {
            prop_assert_eq!(Some(micros), parse_any(&text), "{}", text);
        }
    }

    #[test]
    fn an_instant_of_our_centuries_is_written_as_jiff_reads_it(micros in EARLIEST..TOO_LATE) {
        let text = rendered(micros);
        prop_assert_eq!(parse_common(text.as_bytes()), Some(micros));
        prop_assert_eq!(parse_any(&text), Some(micros));
        prop_assert_eq!(parse_time(&text), Some(Timestamp::from_micros(micros)));
    }
}
