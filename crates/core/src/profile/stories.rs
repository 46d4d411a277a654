//! Stories: one line a touchpoint, and the profile that comes of them.

use std::fmt::Write;

use expect_test::{Expect, expect};

use super::samples::{effect, fold, policy, rule, trait_rule};
use super::{Profile, diff, view};
use crate::policy::{Function, Policy, Survivorship};

/// A shop's policy, with one trait or computed trait of each kind.
fn shop() -> Policy {
    let traits = vec![
        trait_rule("name", Survivorship::SourcePriority, "crm till"),
        trait_rule("joined", Survivorship::Oldest, ""),
        trait_rule("size", Survivorship::Max, ""),
        trait_rule("youngest", Survivorship::Min, ""),
        trait_rule("likes", Survivorship::Union, ""),
        trait_rule("city", Survivorship::Newest, "crm till"),
    ];
    let computed = vec![
        rule("orders", Function::Count, "", "order", true),
        rule("spent", Function::Sum, "total", "order", true),
        rule("points", Function::Sum, "points", "", false),
        rule("dearest", Function::Max, "total.amount", "order", false),
        rule("first_day", Function::Min, "day", "", false),
        rule("first_page", Function::First, "page", "", false),
        rule("last_page", Function::Last, "page", "", false),
        rule("pages", Function::Distinct, "page", "", false),
        rule("trail", Function::LastN(2), "page", "", false),
    ];
    policy(traits, computed, 2, "page")
}

fn profile(story: &str) -> Profile {
    let effects: Vec<_> = story.lines().map(str::trim).filter(|line| !line.is_empty()).map(effect).collect();
    fold(&effects, &shop())
}

/// The profile's fields that begin with one of these words.
fn check(story: &str, words: &[&str], expected: Expect) {
    let mut shown = String::new();
    for (field, value) in view(&profile(story)) {
        if words.iter().any(|word| field.starts_with(word)) {
            writeln!(shown, "{field} {value}").expect("a string takes all");
        }
    }
    expected.assert_eq(&shown);
}

fn check_diff(before: &str, after: &str, expected: Expect) {
    let mut shown = String::new();
    for change in diff(&profile(before), &profile(after)) {
        let value = |shown: Option<super::Shown>| shown.map_or("nothing".into(), |shown| shown.value().to_string());
        writeln!(shown, "{}: {} -> {}", change.field, value(change.before), value(change.after))
            .expect("a string takes all");
    }
    expected.assert_eq(&shown);
}

#[test]
fn a_first_visit_shows_everything_it_said() {
    check(
        "10 web w-1 ec view city=Kyoto .page=/hats .secret=1 +mail @house #shop-ltd",
        &[""],
        expect![[r#"
        accounts {"shop-ltd":{"first_seen":10,"last_seen":10}}
        channels.ec {"first_seen":10,"last_seen":10,"touchpoints":1}
        computed.first_page "/hats"
        computed.last_page "/hats"
        computed.pages ["/hats"]
        computed.trail ["/hats"]
        consent.mail true
        first_seen 10
        households {"house":{"first_seen":10,"last_seen":10}}
        last_seen 10
        recent [{"channel":"ec","event_id":"w-1","properties":{"page":"/hats"},"source":"web","time":10,"type":"view"}]
        traits.city "Kyoto"
    "#]],
    );
}

#[test]
fn the_newest_city_survives_and_a_tie_goes_to_the_stronger_source() {
    check(
        "1 web 1 ec view city=Kyoto\n 9 web 2 ec view city=Osaka\n 5 web 3 ec view city=Nara",
        &["traits"],
        expect![[r#"
            traits.city "Osaka"
        "#]],
    );
    check(
        "9 till 9 ec view city=Kyoto\n 9 crm 1 ec view city=Osaka\n 9 web 5 ec view city=Nara",
        &["traits"],
        expect![[r#"
            traits.city "Osaka"
        "#]],
    );
    check(
        "9 web 1 ec view city=Kyoto\n 9 app 2 ec view city=Osaka",
        &["traits"],
        expect![[r#"
        traits.city "Osaka"
    "#]],
    );
}

#[test]
fn a_null_removes_what_is_older_and_not_what_is_newer() {
    check("5 web 2 ec view city=null\n 1 web 1 ec view city=Kyoto", &["traits"], expect![[""]]);
    check(
        "5 web 2 ec view city=null\n 6 web 1 ec view city=Kyoto",
        &["traits"],
        expect![[r#"
        traits.city "Kyoto"
    "#]],
    );
}

#[test]
fn the_strongest_source_keeps_the_name_however_old_its_word() {
    check(
        "1 crm 1 sales note name=Hanako\n 9 till 2 store order name=H\n 8 web 3 ec view name=hana",
        &["traits"],
        expect![[r#"
            traits.name "Hanako"
        "#]],
    );
}

#[test]
fn oldest_max_min_and_union_keep_what_they_say() {
    check(
        "1 web 1 ec view joined=2024 size=9 youngest=12 likes=tea
         2 web 2 ec view joined=2025 size=10 youngest=7 likes=[\"hats\",null,\"tea\"]
         3 web 3 ec view size=null youngest=null likes=null",
        &["traits"],
        expect![[r#"
            traits.joined 2024
            traits.likes ["hats","tea"]
            traits.size 10
            traits.youngest 7
        "#]],
    );
}

#[test]
fn money_is_summed_exactly_and_currency_by_currency() {
    check(
        "1 till 1 store order .total={\"amount\":\"0.10\",\"currency\":\"EUR\"}
         2 till 2 store order .total={\"amount\":0.20,\"currency\":\"EUR\"} .points=3
         3 shop 3 ec order .total={\"amount\":\"12800\",\"currency\":\"JPY\"} .points=4
         4 shop 4 ec order .total={\"amount\":\"lots\",\"currency\":\"JPY\"}
         5 shop 5 ec view .total={\"amount\":\"7\",\"currency\":\"JPY\"}",
        &["computed"],
        expect![[r#"
            computed.dearest {"EUR":"0.2","JPY":"12800"}
            computed.orders 4
            computed.orders.ec 2
            computed.orders.store 2
            computed.points 7
            computed.spent {"EUR":"0.3","JPY":"12800"}
            computed.spent.ec {"JPY":"12800"}
            computed.spent.store {"EUR":"0.3"}
        "#]],
    );
}

#[test]
fn money_without_a_currency_is_a_plain_number() {
    check(
        "1 till 1 store order .total={\"amount\":\"5\",\"currency\":\"\"}\n 2 till 2 store order .total=2.5",
        &["computed.spent"],
        expect![[r#"
            computed.spent 7.5
            computed.spent.store 7.5
        "#]],
    );
}

#[test]
fn an_amount_beside_its_currency_is_money_too() {
    check(
        "1 till 1 store order .total={\"amount\":5,\"currency\":\"EUR\"}
         2 till 2 store order .total={\"amount\":9}",
        &["computed.dearest", "computed.spent "],
        expect![[r#"
            computed.dearest {"":9,"EUR":"5"}
        "#]],
    );
}

#[test]
fn pages_are_remembered_first_last_distinct_and_newest() {
    check(
        "3 web 3 ec view .page=/cart .day=2026-04-03
         1 web 1 ec view .page=/hats .day=2026-04-01
         4 web 4 ec view .page=/hats
         2 web 2 ec view .page=/shoes",
        &["computed", "recent"],
        expect![[r#"
            computed.first_day "2026-04-01"
            computed.first_page "/hats"
            computed.last_page "/hats"
            computed.pages ["/cart","/hats","/shoes"]
            computed.trail ["/hats","/cart"]
            recent [{"channel":"ec","event_id":"4","properties":{"page":"/hats"},"source":"web","time":4,"type":"view"},{"channel":"ec","event_id":"3","properties":{"page":"/cart"},"source":"web","time":3,"type":"view"}]
        "#]],
    );
}

#[test]
fn of_two_words_on_consent_at_one_time_the_refusal_counts() {
    check(
        "5 web 1 ec view -mail +sms\n 5 app 2 ec view +mail\n 1 app 3 ec view -sms",
        &["consent"],
        expect![[r#"
        consent.mail false
        consent.sms true
    "#]],
    );
}

#[test]
fn a_diff_names_what_an_order_changed() {
    let before = "1 web 1 ec view city=Kyoto .page=/hats";
    check_diff(
        before,
        &format!("{before}\n 2 till 2 store order city=null .total=5 -mail"),
        expect![[r#"
            channels.store: nothing -> {"first_seen":2,"last_seen":2,"touchpoints":1}
            computed.orders: nothing -> 1
            computed.orders.store: nothing -> 1
            computed.spent: nothing -> 5
            computed.spent.store: nothing -> 5
            consent.mail: nothing -> false
            last_seen: 1 -> 2
            recent: nothing -> [{"channel":"store","event_id":"2","properties":{},"source":"till","time":2,"type":"order"}]
            traits.city: "Kyoto" -> nothing
        "#]],
    );
}

#[test]
fn nothing_changed_is_an_empty_diff() {
    let story = "1 web 1 ec view city=Kyoto .page=/hats";
    check_diff(story, story, expect![[""]]);
    check("", &[""], expect![[""]]);
}
