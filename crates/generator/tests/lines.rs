//! What the lines are: canonical touchpoints, the same for the same options, with trouble at about the rates stated.

use std::collections::{HashMap, HashSet};

use musubi_generator::{Generator, Line, Options, Shape};
use serde_json::Value;

const SHAPES: [Shape; 3] = [Shape::Retail, Shape::B2b, Shape::Hostile];

fn lines(mut generator: Generator) -> Vec<(Line, Vec<u8>)> {
    let mut line = Vec::new();
    std::iter::from_fn(|| generator.write_next(&mut line).map(|kind| (kind, line.clone()))).collect()
}

fn stream(shape: Shape, persons: u64, touchpoints: u64) -> Vec<(Line, Vec<u8>)> {
    lines(Generator::new(Options::new(persons, touchpoints, 42, shape)))
}

/// The touchpoints among lines, parsed, with their truth where it was told.
fn parsed(lines: &[(Line, Vec<u8>)]) -> Vec<(&Line, Value)> {
    let good = lines.iter().filter(|(kind, _)| *kind != Line::Malformed);
    good.map(|(kind, line)| (kind, serde_json::from_slice(line).expect("a touchpoint is JSON"))).collect()
}

fn text<'a>(touchpoint: &'a Value, name: &str) -> &'a str {
    touchpoint[name].as_str().unwrap_or_else(|| panic!("`{name}` is missing in {touchpoint}"))
}

fn identifiers(touchpoint: &Value) -> Vec<(&str, &str)> {
    let all = touchpoint["identifiers"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|identifier| (text(identifier, "namespace"), text(identifier, "value"))).collect()
}

/// FNV-1a over every line and its truth: enough to notice a changed byte.
fn digest(lines: &[(Line, Vec<u8>)]) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    for (kind, line) in lines {
        for byte in line.iter().chain(format!("{kind:?}\n").as_bytes()) {
            digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    digest
}

#[test]
fn equal_options_give_the_bytes_they_always_gave() {
    let digests = SHAPES.map(|shape| format!("{shape} {:016x}", digest(&stream(shape, 300, 3_000))));
    assert_eq!(digests, ["retail 04f28bfa13478c9d", "b2b 9a2c56015c9bf47c", "hostile 2547c356c086d636"]);
    assert_eq!(format!("{:016x}", digest(&lines(Generator::demo(1)))), "2837b23dbcdf8202");
}

#[test]
fn another_seed_is_another_stream() {
    let of_seed = |seed| digest(&lines(Generator::new(Options::new(100, 500, seed, Shape::Retail))));
    assert_ne!(of_seed(1), of_seed(2));
}

#[test]
fn a_stream_has_exactly_the_touchpoints_asked_for_and_ends() {
    for shape in SHAPES {
        for (persons, touchpoints) in [(0, 10), (1, 1), (1, 500), (7, 0), (5_000, 300)] {
            let lines = stream(shape, persons, touchpoints);
            let first = lines.iter().filter(|(kind, _)| matches!(kind, Line::Touchpoint(_))).count();
            assert_eq!(first as u64, touchpoints, "{shape} of {persons}");
        }
    }
}

#[test]
fn every_touchpoint_has_the_fields_of_the_contract_and_no_others() {
    let known: HashSet<&str> = [
        "source",
        "event_id",
        "channel",
        "type",
        "occurred_at",
        "received_at",
        "identifiers",
        "traits",
        "properties",
        "consent",
        "context",
    ]
    .into();
    for shape in SHAPES {
        let lines = stream(shape, 1_000, 8_000);
        for (kind, touchpoint) in parsed(&lines) {
            for name in ["source", "event_id", "channel", "type", "occurred_at"] {
                assert!(!text(&touchpoint, name).is_empty());
            }
            assert!(!identifiers(&touchpoint).is_empty(), "{touchpoint}");
            assert!(touchpoint["traits"].is_object() && touchpoint["properties"].is_object());
            let fields = touchpoint.as_object().expect("a touchpoint is an object");
            assert!(fields.keys().all(|name| known.contains(name.as_str())), "{touchpoint}");
            if let Line::Touchpoint(truth) = kind {
                assert_eq!(
                    (truth.source, truth.event_id.as_str()),
                    (text(&touchpoint, "source"), text(&touchpoint, "event_id"))
                );
            }
        }
    }
}

#[test]
fn an_event_id_names_one_touchpoint_and_its_copies_come_after_it() {
    for shape in SHAPES {
        let lines = stream(shape, 1_000, 8_000);
        let mut first: HashMap<(String, String), &[u8]> = HashMap::new();
        let (mut same, mut other) = (0, 0);
        for ((kind, touchpoint), line) in
            parsed(&lines).into_iter().zip(lines.iter().filter(|line| line.0 != Line::Malformed))
        {
            let event = (text(&touchpoint, "source").to_owned(), text(&touchpoint, "event_id").to_owned());
            match kind {
                Line::Touchpoint(_) => assert!(first.insert(event, &line.1).is_none()),
                Line::Duplicate if first.get(&event) == Some(&line.1.as_slice()) => same += 1,
                Line::Duplicate => {
                    assert!(first.contains_key(&event));
                    other += 1;
                }
                Line::Malformed => unreachable!("filtered out"),
            }
        }
        assert!(same > 50, "{shape}: {same} copies");
        assert_eq!(other > 0, shape == Shape::Hostile, "{shape}: {other} conflicting copies");
    }
}

#[test]
fn conflicting_copies_differ_in_what_they_say_and_not_in_who() {
    let lines = stream(Shape::Hostile, 1_000, 8_000);
    let mut first = HashMap::new();
    for (kind, touchpoint) in parsed(&lines) {
        let event = (text(&touchpoint, "source").to_owned(), text(&touchpoint, "event_id").to_owned());
        if matches!(kind, Line::Touchpoint(_)) {
            first.insert(event, touchpoint["identifiers"].clone());
        } else {
            assert_eq!(first.get(&event), Some(&touchpoint["identifiers"]));
        }
    }
}

#[test]
fn only_a_hostile_stream_has_lines_that_are_no_touchpoints_unless_asked() {
    let broken = |lines: Vec<(Line, Vec<u8>)>| lines.iter().filter(|(kind, _)| *kind == Line::Malformed).count();
    assert_eq!(broken(stream(Shape::Retail, 500, 5_000)), 0);
    assert_eq!(broken(stream(Shape::B2b, 500, 5_000)), 0);
    assert!((20..100).contains(&broken(stream(Shape::Hostile, 500, 5_000))));
    let asked = Options { malformed: 0.1, ..Options::new(500, 5_000, 42, Shape::Retail) };
    let lines = lines(Generator::new(asked));
    assert!(lines.iter().all(|(_, line)| !line.contains(&b'\n')), "a broken line is still one line");
    assert!((400..600).contains(&broken(lines)));
}

#[test]
fn the_order_is_roughly_that_of_receipt() {
    let lines = stream(Shape::Retail, 2_000, 20_000);
    let received: Vec<String> = parsed(&lines)
        .iter()
        .filter(|(kind, _)| matches!(kind, Line::Touchpoint(_)))
        .filter_map(|(_, touchpoint)| touchpoint["received_at"].as_str().map(str::to_owned))
        .collect();
    let backwards = received.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!(backwards * 20 < received.len(), "{backwards} of {}", received.len());
}

#[test]
fn a_retail_stream_has_what_a_retailer_sees_at_about_the_stated_rates() {
    let lines = stream(Shape::Retail, 10_000, 60_000);
    let touchpoints = parsed(&lines);
    let part = |fits: &dyn Fn(&Line, &Value) -> bool| {
        touchpoints.iter().filter(|(kind, touchpoint)| fits(kind, touchpoint)).count() as f64 / touchpoints.len() as f64
    };
    let channels: HashSet<&str> = touchpoints.iter().map(|(_, touchpoint)| text(touchpoint, "channel")).collect();
    assert!(channels.len() >= 10, "{channels:?}");
    let about = |name: &str, found: f64, low: f64, high: f64| assert!((low..high).contains(&found), "{name}: {found}");
    about("duplicates", part(&|kind, _| *kind == Line::Duplicate), 0.012, 0.018);
    let nobody = |kind: &Line, _: &Value| matches!(kind, Line::Touchpoint(truth) if truth.person.is_none());
    about("of nobody", part(&nobody), 0.001, 0.02);
    let instant = |touchpoint: &Value, name: &str| touchpoint[name].as_str().map(utc);
    let ahead = |_: &Line, touchpoint: &Value| {
        instant(touchpoint, "received_at").is_some_and(|received| instant(touchpoint, "occurred_at") > Some(received))
    };
    about("fast clocks", part(&ahead), 0.002, 0.006);
    let late = |_: &Line, touchpoint: &Value| {
        let occurred = instant(touchpoint, "occurred_at").unwrap_or(0);
        instant(touchpoint, "received_at").is_some_and(|received| received > occurred + 3_600)
    };
    about("late", part(&late), 0.02, 0.12);
    let anonymous = |_: &Line, touchpoint: &Value| {
        identifiers(touchpoint).iter().all(|(namespace, _)| matches!(*namespace, "cookie" | "device_id"))
    };
    about("anonymous", part(&anonymous), 0.2, 0.6);
}

/// Seconds since the beginning of 2026, for instants of that year.
fn utc(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("an instant is made of numbers");
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let month = usize::try_from(number(5..7) - 1).expect("a month");
    let days = BEFORE[month] + number(8..10) - 1;
    let local = ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19);
    if text.ends_with('Z') { local } else { local - 9 * 3_600 }
}

#[test]
fn activity_follows_a_power_law_and_everybody_appears() {
    let mut count: HashMap<u64, u32> = HashMap::new();
    for (kind, _) in stream(Shape::Retail, 10_000, 60_000) {
        if let Line::Touchpoint(truth) = kind
            && let Some(person) = truth.person
        {
            *count.entry(person).or_default() += 1;
        }
    }
    assert!(count.len() > 9_900, "{}", count.len());
    let mut counts: Vec<u32> = count.into_values().collect();
    counts.sort_unstable();
    let (median, most) = (counts[counts.len() / 2], counts[counts.len() - 1]);
    assert!(most > 20 * median, "{median} {most}");
}

#[test]
fn terminals_are_touched_by_many_and_tablets_by_a_household() {
    let lines = stream(Shape::Retail, 20_000, 120_000);
    let mut cards: HashMap<String, HashSet<String>> = HashMap::new();
    let mut users: HashMap<String, HashSet<String>> = HashMap::new();
    for (_, touchpoint) in parsed(&lines) {
        let all = identifiers(&touchpoint);
        let of =
            |wanted: &str| all.iter().find(|(namespace, _)| *namespace == wanted).map(|(_, value)| (*value).to_owned());
        if let (Some(card), Some(device)) = (of("loyalty_card"), of("device_id")) {
            cards.entry(device).or_default().insert(card);
        }
        if let (Some(user), Some(cookie)) = (of("user_id"), of("cookie")) {
            users.entry(cookie).or_default().insert(user);
        }
    }
    let busiest = cards.values().map(HashSet::len).max().unwrap_or(0);
    assert!(busiest > 50, "{busiest} cards at one terminal");
    let tablets = users.values().filter(|users| users.len() > 1).count();
    assert!(tablets > 50, "{tablets} cookies with two accounts");
    assert!(users.values().all(|users| users.len() <= 5), "nobody but a household shares a cookie");
}

#[test]
fn a_hostile_stream_has_every_kind_of_trouble() {
    let lines = stream(Shape::Hostile, 5_000, 40_000);
    let touchpoints = parsed(&lines);
    type Test<'a> = &'a dyn Fn(&[(&str, &str)]) -> bool;
    let count = |fits: Test<'_>| touchpoints.iter().filter(|(_, touchpoint)| fits(&identifiers(touchpoint))).count();
    let of = |all: &[(&str, &str)], wanted: &str| all.iter().filter(|(namespace, _)| *namespace == wanted).count();
    assert!(count(&|all| of(all, "loyalty_card") > 1) > 5, "two cards on one receipt");
    assert!(count(&|all| all.len() >= 33) > 5, "overfull");
    assert!(count(&|all| of(all, "fax_number") > 0) > 100, "unknown namespaces");
    assert!(count(&|all| all.iter().any(|(_, value)| value.starts_with("mb1.hub"))) > 100, "hubs");
    assert!(count(&|all| all.iter().any(|(_, value)| *value == "null")) > 20, "blocked values");
}

#[test]
fn contacts_of_a_company_share_its_switchboard_and_belong_to_its_account() {
    let lines = stream(Shape::B2b, 5_000, 40_000);
    let mut people: HashMap<String, HashSet<u64>> = HashMap::new();
    let mut accounts = HashSet::new();
    for (kind, touchpoint) in parsed(&lines) {
        if let Some(account) = touchpoint["context"]["account"].as_str() {
            accounts.insert(account.to_owned());
        }
        for (namespace, value) in identifiers(&touchpoint) {
            if let (Line::Touchpoint(truth), true) = (kind, namespace == "email" && value.starts_with("info@")) {
                people.entry(value.to_owned()).or_default().extend(truth.person);
            }
        }
    }
    assert!(accounts.len() > 100, "{} accounts", accounts.len());
    assert!(people.values().any(|people| people.len() > 2), "an address of several contacts");
}

#[test]
fn the_demonstration_shows_every_scene_whatever_the_seed() {
    for seed in 0..40 {
        let lines = lines(Generator::demo(seed));
        assert!(lines.iter().any(|(kind, _)| *kind == Line::Duplicate), "a duplicate");
        let touchpoints = parsed(&lines);
        assert!((400..450).contains(&touchpoints.len()));
        let mut browsed = HashSet::new();
        let mut users: HashMap<String, HashSet<String>> = HashMap::new();
        let (mut recognised, mut late, mut terminal) = (0, 0, 0);
        for (_, touchpoint) in &touchpoints {
            let all = identifiers(touchpoint);
            let cookie = all.iter().find(|(namespace, _)| *namespace == "cookie").map(|(_, value)| (*value).to_owned());
            let user = all.iter().find(|(namespace, _)| *namespace == "user_id").map(|(_, value)| (*value).to_owned());
            late += usize::from(text(touchpoint, "source") == "sapporo-pos");
            terminal += usize::from(text(touchpoint, "source") == "store-terminals");
            match (cookie, user) {
                (Some(cookie), Some(user)) => {
                    recognised += usize::from(browsed.remove(&cookie));
                    users.entry(cookie).or_default().insert(user);
                }
                (Some(cookie), None) => drop(browsed.insert(cookie)),
                _ => {}
            }
        }
        assert!(recognised > 0 && late > 0 && terminal > 0, "seed {seed}: {recognised} {late} {terminal}");
        assert!(users.values().any(|users| users.len() > 1), "seed {seed}: a shared tablet");
    }
}
