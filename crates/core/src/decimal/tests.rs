//! What holds of every decimal number.

use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a number")
}

/// Numbers near every edge of the small form, and far beyond it.
fn numbers() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        (any::<i64>(), 0u8..=18).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).expect("at most 18")),
        (-1000i64..1000, 0u8..=3).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).expect("at most 18")),
        "-?[0-9]{1,20}\\.[0-9]{0,20}".prop_map(|text| decimal(&text)),
        "-?[1-9]{1,19}0{0,3}e-?[0-9]".prop_map(|text| decimal(&text)),
    ]
}

#[test]
fn one_number_has_one_form() {
    for (spellings, shown) in [
        (vec!["1.5", "1.50", "15e-1", "+1.5", "0.15E1", "0000000000000000000000001.5"], "1.5"),
        (vec!["0", "-0", "0.000", "0e999999999999999999999", ".0", "0."], "0"),
        (vec!["12800", "12800.0", "128e2", "1.28e+4"], "12800"),
        (vec!["1e18", "1000000000000000000", "1000000000000000000.00000"], "1000000000000000000"),
        (vec!["9223372036854775808", "9223372036854775.808e3"], "9223372036854775808"),
        (vec!["-0.0000000000000000001", "-1e-19"], "-0.0000000000000000001"),
    ] {
        for spelling in spellings {
            assert_eq!(decimal(spelling), decimal(shown), "{spelling}");
            assert_eq!(decimal(spelling).to_string(), shown, "{spelling}");
        }
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for text in
        ["", "-", ".", "..", "1..2", "1.2.3", "NaN", "inf", "1e", "e5", "1e+", "1_000", " 1", "0x10", "--1", "١"]
    {
        assert_eq!(text.parse::<Decimal>(), Err(InvalidDecimal::NotANumber), "{text:?}");
    }
    for text in ["1e999999999", "1e-999999999", "1e99999999999999999999999", "1e41", "1e-41"] {
        assert_eq!(text.parse::<Decimal>(), Err(InvalidDecimal::ExponentOutOfRange), "{text}");
    }
    assert_eq!("1".repeat(41).parse::<Decimal>(), Err(InvalidDecimal::TooManyDigits));
    assert!("1".repeat(40).parse::<Decimal>().is_ok());
}

#[test]
fn parts_that_no_number_has_are_refused() {
    let parts = [
        Parts::Small { mantissa: 1, scale: 19 },
        Parts::Large { mantissa: vec![1; 65], scale: 0 },
        Parts::Large { mantissa: vec![1], scale: i64::MIN + 1 },
        Parts::Large { mantissa: vec![1], scale: 129 },
    ];
    for parts in parts {
        assert_eq!(Decimal::from_parts(&parts), Err(InvalidDecimal::InvalidParts), "{parts:?}");
    }
}

proptest! {
    #[test]
    fn a_number_survives_its_text_and_its_parts(number in numbers()) {
        prop_assert_eq!(&decimal(&number.to_string()), &number);
        prop_assert_eq!(&Decimal::from_parts(&number.to_parts()).expect("its parts"), &number);
    }

    #[test]
    fn numbers_add_and_compare_as_arbitrary_precision_does(left in numbers(), right in numbers()) {
        prop_assert_eq!((&left + &right).to_large(), left.to_large() + right.to_large());
        prop_assert_eq!(left.cmp(&right), left.to_large().cmp(&right.to_large()));
        prop_assert_eq!(left == right, left.to_large() == right.to_large());
    }

    #[test]
    fn the_order_of_a_sum_decides_nothing(mut terms in prop::collection::vec(numbers(), 0..20)) {
        let sum = |terms: &[Decimal]| terms.iter().fold(Decimal::ZERO, |sum, term| &sum + term);
        let forwards = sum(&terms);
        terms.reverse();
        prop_assert_eq!(&sum(&terms), &forwards);
        terms.sort();
        prop_assert_eq!(sum(&terms), forwards);
    }

    #[test]
    fn a_number_has_one_set_of_parts(number in numbers(), zeros in 0i64..30) {
        let long = number.to_large();
        let scale = long.fractional_digit_count() + zeros;
        let padded = Decimal::large(long.with_scale(scale));
        prop_assert_eq!(padded.to_parts(), number.to_parts());
        prop_assert_eq!(padded, number);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,12}|[-+0-9.eE]{0,12}") {
        let _ = text.parse::<Decimal>();
    }
}
