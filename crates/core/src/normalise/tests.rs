//! What the normalisers make of what people write, and the laws that they keep.

use std::collections::BTreeMap;

use phonenumber::metadata::DATABASE;
use proptest::prelude::*;

use super::*;

const JAPAN: Normaliser = Normaliser::Phone(Region::JAPAN);

fn all() -> [Normaliser; 10] {
    let abroad = Normaliser::Phone("IT".parse().expect("Italy has telephones"));
    [
        Normaliser::Exact,
        Normaliser::Text,
        Normaliser::Email,
        JAPAN,
        abroad,
        Normaliser::Digits,
        Normaliser::Card(CheckDigit::Jan),
        Normaliser::Card(CheckDigit::Luhn),
        Normaliser::Uuid,
        Normaliser::Sha256,
    ]
}

fn named(name: &str) -> Normaliser {
    match name {
        "phone" => JAPAN,
        "email" => Normaliser::Email,
        "text" => Normaliser::Text,
        "exact" => Normaliser::Exact,
        "digits" => Normaliser::Digits,
        "card" => Normaliser::Card(CheckDigit::None),
        "jan" => Normaliser::Card(CheckDigit::Jan),
        "luhn" => Normaliser::Card(CheckDigit::Luhn),
        "uuid" => Normaliser::Uuid,
        "sha256" => Normaliser::Sha256,
        other => panic!("no normaliser `{other}`"),
    }
}

#[test]
fn every_spelling_of_the_fixture_has_its_normal_form() {
    let fixture = include_str!("../../tests/fixtures/normalisation.toml");
    let fixture: BTreeMap<String, BTreeMap<String, String>> = toml::from_str(fixture).expect("the fixture is TOML");
    for (normaliser, spellings) in &fixture {
        for (from, is) in spellings {
            let expected = Some(is.as_str()).filter(|is| !is.is_empty());
            assert_eq!(named(normaliser).normalise(from).as_deref(), expected, "{normaliser} {from:?}");
        }
    }
}

#[test]
fn what_is_in_its_one_spelling_is_not_copied() {
    let cases = [
        (Normaliser::Email, "taro@example.jp"),
        (JAPAN, "+819012345678"),
        (JAPAN, "+390612345678"),
        (Normaliser::Digits, "4901234567894"),
        (Normaliser::Text, "ヤマダ"),
        (Normaliser::Exact, " c1 "),
    ];
    for (normaliser, value) in cases {
        assert!(matches!(normaliser.normalise(value), Some(Cow::Borrowed(_))), "{value}");
    }
}

#[test]
fn a_well_known_name_has_its_normaliser() {
    let cases = [
        ("email", Normaliser::Email),
        ("phone", JAPAN),
        ("tel", JAPAN),
        ("loyalty_card", Normaliser::Digits),
        ("user_id", Normaliser::Text),
        ("line_user_id", Normaliser::Text),
        ("cookie", Normaliser::Exact),
        ("idfa", Normaliser::Uuid),
        ("email_sha256", Normaliser::Sha256),
        ("anything", Normaliser::Text),
    ];
    for (name, expected) in cases {
        assert_eq!(Normaliser::for_namespace(name), expected, "{name}");
    }
}

#[test]
fn normalising_twice_is_once_for_every_character() {
    for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        for value in [format!("{c}"), format!("1{c}a"), format!("a{c}b@x{c}y.jp")] {
            for normaliser in all() {
                holds_twice(normaliser, &value);
            }
        }
    }
}

fn holds_twice(normaliser: Normaliser, value: &str) {
    if let Some(once) = normaliser.normalise(value) {
        assert!(!once.is_empty());
        assert_eq!(normaliser.normalise(&once).as_deref(), Some(once.as_ref()), "{normaliser:?} {value:?}");
    }
}

/// The example numbers that the metadata gives for each kind of number in each country, in E.164.
fn examples() -> Vec<String> {
    let of_region = |metadata: &phonenumber::Metadata| {
        let all = metadata.descriptors();
        let kinds = [all.fixed_line(), all.mobile(), all.toll_free(), all.voip(), all.uan(), all.premium_rate()];
        let numbers = kinds.into_iter().flatten().filter_map(|kind| kind.example()).map(str::to_owned);
        let code = metadata.country_code();
        numbers.map(|national| format!("+{code}{national}")).collect::<Vec<_>>()
    };
    DATABASE.iter().flat_map(of_region).collect()
}

#[test]
fn the_numbers_of_every_country_are_kept_and_no_others() {
    let examples = examples();
    assert!(examples.len() > 800, "found only {}", examples.len());
    let longer = examples.iter().map(|number| format!("{number}7"));
    let shorter = examples.iter().map(|number| number[..number.len() - 1].to_owned());
    for number in longer.chain(shorter).chain(examples.iter().cloned()) {
        // The library takes a trunk prefix off even where the number starts with the same digit (+7 800 …): what it
        // says of another number says nothing of this one. Japan's are held to the wider rule, by the test below.
        let read = phonenumber::parse(None, &number).ok();
        let same = read.filter(|read| format!("+{}{}", read.code().value(), read.national()) == number);
        let Some(read) = same.filter(|_| !number.starts_with("+81")) else { continue };
        // It also looks only at how a number starts where its length is right for another kind of number (+84 1992000
        // with one digit more), so we keep fewer.
        let kept = JAPAN.normalise(&number);
        assert!(kept.as_deref() != Some(number.as_str()) || read.is_valid(), "{number} {kept:?}");
    }
    let lost: Vec<&String> = examples.iter().filter(|number| JAPAN.normalise(number).is_none()).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn the_short_way_for_japan_is_the_long_way() {
    let mut dice: u64 = 1;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    for round in 0..40_000 {
        let length = [8, 9, 9, 10, 10, 11][usize::try_from(roll(6)).expect("below 6")];
        let mut national: String =
            (0..length).map(|_| char::from(b'0' + u8::try_from(roll(10)).expect("a digit"))).collect();
        if round % 5 == 0 {
            national.replace_range(length - 6.., "000000");
        }
        let spellings = [format!("+81{national}"), format!("0{national}"), national];
        for dialled in spellings {
            let long = phone::the_long_way(&dialled, Region::JAPAN);
            assert_eq!(JAPAN.normalise(&dialled).as_deref(), long.as_deref(), "{dialled}");
        }
    }
}

#[test]
fn a_region_is_one_with_telephones() {
    assert_eq!("JP".parse(), Ok(Region::JAPAN));
    for code in ["", "jp", "XX", "001", "日本"] {
        assert_eq!(code.parse::<Region>(), Err(phone::UnknownRegion), "{code}");
    }
}

proptest! {
    #[test]
    fn normalising_twice_is_once(value in any::<String>()) {
        all().into_iter().for_each(|normaliser| holds_twice(normaliser, &value));
    }

    #[test]
    fn normalising_twice_is_once_for_what_looks_like_a_number(value in "[+＋]{0,2}[0-9０-９ー() .\\-]{0,24}") {
        all().into_iter().for_each(|normaliser| holds_twice(normaliser, &value));
    }

    #[test]
    fn normalising_twice_is_once_for_what_looks_like_an_address(
        value in "[a-zA-Zα-ωΑ-Ωßſﬁ\".+ ]{1,8}[@＠][a-zA-Zあ-んßéİ.。．_\\-]{1,12}(\\.|xn--)[a-z]{0,6}\\.?",
    ) {
        all().into_iter().for_each(|normaliser| holds_twice(normaliser, &value));
    }

    #[test]
    fn a_trunk_zero_and_hyphens_change_no_number(national in "[6-9]0[1-9][0-9]{7}") {
        let spellings = [
            format!("0{national}"),
            format!("0{}-{}-{}", &national[..2], &national[2..6], &national[6..]),
            format!("+81 (0){national}"),
            format!("81{national}"),
            national.clone(),
        ];
        let expected = format!("+81{national}");
        for spelling in spellings {
            let normal = JAPAN.normalise(&spelling);
            prop_assert_eq!(normal.as_deref(), Some(expected.as_str()));
        }
    }

    #[test]
    fn the_short_way_for_an_address_is_the_long_way(address in "[a-c0-1.+]{1,4}@[a-cxn0-1.\\-_]{1,10}") {
        if email::is_plain(&address) {
            prop_assert_eq!(email::spell(&address), Some(address));
        }
    }
}
