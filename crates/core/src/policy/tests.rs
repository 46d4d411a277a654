//! The policy file: what it means, and what it is told when it means nothing.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::normalise::Region;

fn parse(text: &str) -> Policy {
    Policy::parse(text).expect(text)
}

fn refused(text: &str, expected: Expect) {
    let said = Policy::parse(text).map(|policy| policy.version).expect_err(text).to_string();
    expected.assert_eq(&said);
}

const USER: &str = "[[namespace]]\nname = \"user_id\"\n";

#[test]
fn what_is_left_out_has_its_default() {
    let policy = parse("[[namespace]]\nname = 'user_id'\n[[namespace]]\nname = 'phone'\n");
    let user = &policy.namespaces[0];
    assert_eq!((user.normalise, user.unique, user.max_per_person), (Normaliser::Text, false, None));
    assert_eq!((user.shared_after, user.max_links, user.conflict), (None, 1_000, Conflict::Newest));
    assert!(!user.anonymous);
    assert_eq!(policy.namespaces[1].normalise, Normaliser::Phone(Region::JAPAN));
    let limits = &policy.limits;
    assert_eq!((limits.max_cluster, limits.max_identifiers_per_touchpoint), (10_000, 32));
    assert_eq!((limits.dedup_horizon, limits.recent_touchpoints), (2_592_000_000_000, 10));
    assert!(limits.recent_properties.is_empty() && policy.kept_properties.is_empty());
    assert!(policy.traits.is_empty() && policy.computed.is_empty() && policy.blocked.values().is_empty());
}

#[test]
fn every_key_is_read() {
    let policy = parse(
        r#"
        [[namespace]]
        name = "card"
        normalise = "digits"
        unique = true
        max_per_person = 1
        [[namespace]]
        name = "tel"
        region = "US"
        max_per_person = 5
        shared_after = 3
        max_links = 7
        conflict = "oldest"
        anonymous = true
        [blocked]
        values = ["Null"]
        patterns = ['^0+$']
        [[trait]]
        name = "name"
        survivorship = "source_priority"
        sources = ["crm", "shop"]
        [[trait]]
        name = "age"
        [[computed]]
        name = "last"
        function = "last_n"
        n = 3
        of = "item.id"
        types = ["b", "a", "b"]
        per_channel = true
        [[computed]]
        name = "visits"
        function = "count"
        [limits]
        max_cluster = 5
        max_identifiers_per_touchpoint = 6
        dedup_horizon = "12h"
        recent_touchpoints = 0
        recent_properties = ["total", "item"]
        "#,
    );
    assert_eq!((policy.find("card"), policy.find("tel")), (Some(NamespaceId(0)), Some(NamespaceId(1))));
    let (card, tel) = (&policy.namespaces[0], &policy.namespaces[1]);
    assert_eq!((card.normalise, card.unique, card.max_per_person), (Normaliser::Digits, true, Some(1)));
    assert_eq!(tel.normalise, Normaliser::Phone("US".parse().expect("a region")));
    assert_eq!((tel.max_per_person, tel.shared_after, tel.max_links), (Some(5), Some(3), 7));
    assert_eq!((tel.conflict, tel.anonymous), (Conflict::Oldest, true));
    assert!(policy.blocked.contains("NULL") && policy.blocked.contains("00"));
    assert_eq!(policy.traits[0].name.as_ref(), "age", "sorted by name");
    let name = policy.trait_rule("name").expect("named");
    assert_eq!((name.survivorship, name.sources.len()), (Survivorship::SourcePriority, 2));
    let last = &policy.computed[0];
    assert_eq!((last.function, last.of.as_deref(), last.per_channel), (Function::LastN(3), Some("item.id"), true));
    assert_eq!(last.types, ["a".into(), "b".into()]);
    assert_eq!((policy.limits.max_cluster, policy.limits.max_identifiers_per_touchpoint), (5, 6));
    assert_eq!((policy.limits.dedup_horizon, policy.limits.recent_touchpoints), (43_200_000_000, 0));
    assert_eq!(policy.kept_properties, ["item".into(), "total".into()]);
}

#[test]
fn a_unique_namespace_has_one_value_a_person() {
    assert_eq!(parse("[[namespace]]\nname = 'x'\nunique = true").namespaces[0].max_per_person, Some(1));
    refused(
        "[[namespace]]\nname = 'x'\nunique = true\nmax_per_person = 2",
        expect!["line 4: `max_per_person` of a `unique` namespace: wanted 1, found 2"],
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_what_would_be_known() {
    refused(
        "[[namespace]]\nname = 'x'\n\n# a comment\nuniqe = true",
        expect![
            "line 5: unknown key `uniqe`, wanted one of `name`, `normalise`, `region`, `check_digit`, `hash_of`, `spelling`, `expires`, `unique`, `max_per_person`, `shared_after`, `max_links`, `conflict`, `anonymous`"
        ],
    );
    refused(
        &format!("{USER}[limit]\nmax_cluster = 1"),
        expect!["line 3: unknown key `limit`, wanted one of `namespace`, `blocked`, `trait`, `computed`, `limits`"],
    );
    refused(
        &format!("{USER}[limits]\nmax_clusters = 1"),
        expect![
            "line 4: unknown key `max_clusters`, wanted one of `max_cluster`, `max_identifiers_per_touchpoint`, `dedup_horizon`, `recent_touchpoints`, `recent_properties`"
        ],
    );
    refused(
        &format!("{USER}[blocked]\nvalue = []"),
        expect!["line 4: unknown key `value`, wanted one of `defaults`, `values`, `patterns`"],
    );
    refused(
        &format!("{USER}[[trait]]\nname = 'a'\nrule = 'max'"),
        expect!["line 5: unknown key `rule`, wanted one of `name`, `survivorship`, `sources`"],
    );
    refused(
        &format!("{USER}[[computed]]\nname = 'a'\nfunction = 'count'\nfrom = 'x'"),
        expect!["line 6: unknown key `from`, wanted one of `name`, `function`, `n`, `of`, `types`, `per_channel`"],
    );
}

#[test]
fn a_wrong_type_is_named_with_its_key() {
    refused(
        "[[namespace]]\nname = 'x'\nunique = 'yes'",
        expect![[r#"line 3: `unique`: wanted a boolean, found string "yes""#]],
    );
    refused("[[namespace]]\nname = 5", expect!["line 2: `name`: wanted a string, found integer `5`"]);
    refused(
        "[[namespace]]\nname = 'x'\nmax_links = -1",
        expect!["line 3: `max_links`: wanted a whole number from 0 to 4,294,967,295, found integer `-1`"],
    );
    refused(
        "[[namespace]]\nname = 'x'\nmax_links = 5000000000",
        expect!["line 3: `max_links`: wanted a whole number from 0 to 4,294,967,295, found integer `5000000000`"],
    );
    refused(
        "[[namespace]]\nname = 'x'\nnormalise = 'fax'",
        expect![
            "line 3: `normalise`: unknown value `fax`, wanted one of `exact`, `text`, `email`, `phone`, `digits`, `card`, `uuid`, `sha256`"
        ],
    );
    refused(
        "[[namespace]]\nname = 'x'\nconflict = 'latest'",
        expect!["line 3: `conflict`: unknown value `latest`, wanted `newest` or `oldest`"],
    );
    refused("namespace = 'x'", expect![[r#"line 1: `namespace`: wanted a list, found string "x""#]]);
    refused("namespace = ['x']", expect![[r#"line 1: `namespace`: wanted a table, found string "x""#]]);
    refused(
        &format!("{USER}[blocked]\nvalues = [\n  'a=b',\n  7,\n]"),
        expect!["line 6: `values`: wanted a string, found integer `7`"],
    );
    refused(
        &format!("{USER}[limits]\ndedup_horizon = 30"),
        expect!["line 4: `dedup_horizon`: wanted a string, found integer `30`"],
    );
    refused(&format!("limits = 3\n{USER}"), expect!["line 1: `limits`: wanted a table, found integer `3`"]);
    refused("[[namespace]]\nunique = true", expect!["line 1: missing key `name`"]);
    refused("[[namespace]\nname = 'x'", expect!["line 1: unclosed array table, expected `]`"]);
    refused("[[namespace]]\nname = 'x'\nname = 'y'", expect!["line 3: duplicate key"]);
}

#[test]
fn a_policy_that_could_not_work_is_refused() {
    refused("", expect!["line 1: wanted at least one `[[namespace]]`, found none"]);
    refused("namespace = []", expect!["line 1: wanted at least one `[[namespace]]`, found none"]);
    refused(
        "[[namespace]]\nname = ' '",
        expect![[r#"line 2: `name`: wanted no white space around it and no control characters, found `" "`"#]],
    );
    refused("[[namespace]]\nname = ''", expect!["line 2: `name`: wanted some text, found none"]);
    refused(
        "[[namespace]]\nname = 'a:b'",
        expect!["line 2: `name`: wanted no `:`, which parts a name from a value, found `a:b`"],
    );
    refused(
        "[[namespace]]\nname = ' a'",
        expect![[r#"line 2: `name`: wanted no white space around it and no control characters, found `" a"`"#]],
    );
    refused(
        &format!("[[namespace]]\nname = '{}'", "n".repeat(65)),
        expect!["line 2: `name`: wanted at most 64 bytes, found 65"],
    );
    refused(
        "[[namespace]]\nname = 'a'\n[[namespace]]\nname = 'a'",
        expect!["line 4: namespace `a`: wanted once, found twice"],
    );
    refused(
        "[[namespace]]\nname = 'a'\nshared_after = 0",
        expect!["line 3: `shared_after`: wanted at least 1, found 0"],
    );
    refused(
        "[[namespace]]\nname = 'a'\nmax_per_person = 0",
        expect!["line 3: `max_per_person`: wanted at least 1, found 0"],
    );
    refused("[[namespace]]\nname = 'a'\nmax_links = 0", expect!["line 3: `max_links`: wanted at least 1, found 0"]);
    refused(
        "[[namespace]]\nname = 'a'\nregion = 'JP'",
        expect!["line 3: `region`: wanted only where `normalise` is `phone`"],
    );
    refused(
        "[[namespace]]\nname = 'phone'\nregion = 'jp'",
        expect!["line 3: `region`: wanted the ISO 3166 code of a region with telephones, found `jp`"],
    );
    refused(
        &format!("{USER}[blocked]\npatterns = [\n'^0+$',\n'(']"),
        expect!["line 6: `patterns`: wanted a regular expression, found `(`: unclosed group"],
    );
    refused(
        &format!("{USER}[blocked]\npatterns = ['.*']"),
        expect!["line 4: `patterns`: wanted one that leaves some values, found `.*`"],
    );
    refused(&format!("{USER}[blocked]\nvalues = ['']"), expect!["line 4: `values`: wanted some text, found none"]);
    refused(
        &format!("{USER}[[trait]]\nname = 'a'\n[[trait]]\nname = 'a'"),
        expect!["line 6: trait `a`: wanted once, found twice"],
    );
    refused(
        &format!("{USER}[[trait]]\nname = 'a'\nsources = ['s', 's']"),
        expect!["line 5: source `s`: wanted once, found twice"],
    );
    refused(
        &format!("{USER}[[trait]]\nname = 'a'\nsurvivorship = 'source_priority'"),
        expect!["line 4: trait `a`: `source_priority` wanted `sources`, found none"],
    );
    refused(&format!("{USER}[limits]\nmax_cluster = 0"), expect!["line 4: `max_cluster`: wanted at least 1, found 0"]);
}

#[test]
fn a_check_digit_a_hash_and_a_life_stand_only_where_they_mean_something() {
    refused(
        "[[namespace]]\nname = 'a'\ncheck_digit = 'jan'",
        expect!["line 3: `check_digit`: wanted only where `normalise` is `card`"],
    );
    refused(
        "[[namespace]]\nname = 'a'\nhash_of = 'email'",
        expect!["line 3: `hash_of`: wanted a `spelling` with it, found none"],
    );
    refused(
        "[[namespace]]\nname = 'a'\nspelling = 'meta'",
        expect!["line 3: `spelling`: wanted only where there is `hash_of`"],
    );
    refused(
        "[[namespace]]\nname = 'a'\nhash_of = 'a'\nspelling = 'meta'",
        expect!["line 3: `hash_of`: wanted a namespace of `email` or `phone`, found `a`"],
    );
    refused(
        "[[namespace]]\nname = 'email'\n[[namespace]]\nname = 'a'\nnormalise='text'\nhash_of = 'email'\nspelling = 'meta'",
        expect!["line 6: `hash_of`: wanted only where `normalise` is `sha256`"],
    );
    refused(
        "[[namespace]]\nname = 'a'\nunique = true\nexpires = '1d'",
        expect!["line 4: `expires`: wanted neither `unique` nor `max_per_person` beside it"],
    );
    refused(
        "[[namespace]]\nname = 'email'\nexpires = '1d'",
        expect!["line 3: `expires`: wanted only where `normalise` is `exact` or `text`"],
    );
    refused(
        "[[namespace]]\nname = 'a'\nexpires = '1w'",
        expect!["line 3: `expires`: wanted a span of time such as `30d` or `12h`, found `1w`"],
    );
    refused(
        &format!("{USER}[blocked]\ndefaults = '1999-12'"),
        expect!["line 4: `defaults`: wanted one of `2026-11`, found `1999-12`"],
    );
}

#[test]
fn the_lists_that_come_with_musubi_are_extended_and_never_change() {
    let policy = parse(&format!("{USER}[blocked]\ndefaults = '2026-11'\nvalues = ['03-1111-1111']"));
    assert!(policy.blocked.contains("Guest") && policy.blocked.contains("03-1111-1111"));
    let alone = parse(&format!("{USER}[blocked]\ndefaults = '2026-11'"));
    expect![[r#""#]].assert_eq(&alone.version);
}

/// What Segment, PostHog and Mixpanel let drive no merge, and the callers who withhold their number.
#[test]
fn what_others_let_merge_nobody_is_blocked() {
    let policy = Policy::recommended();
    let junk = [
        "-1, null, anonymous, void, abc123, 0, 000-000, guest, distinctid, distinct_id, id, not_authenticated, email",
        "undefined, true, false, [object Object], NaN, None, none, 'null', \"undefined\"",
        "00000000-0000-0000-0000-000000000000, <nil>, [], anon, lmy47d, n/a, na, nil, unknown, {}",
        "+266696687, +86282452253, +8656696, +2562533, +7378742833, private, withheld, unavailable, 非通知, 公衆電話",
        "表示圏外, ゲスト, 非会員, 未登録, テスト, 9999999999, 1111111111, 1234567890, noreply@shop.jp, test@shop.jp",
    ];
    for value in junk.iter().flat_map(|line| line.split(", ")) {
        assert!(policy.blocked.contains(value), "{value}");
    }
}

#[test]
fn a_computed_trait_says_what_it_folds() {
    let computed = |rest: &str| format!("{USER}[[computed]]\nname = 'a'\n{rest}");
    refused(
        &computed("function = 'sum'"),
        expect!["line 5: computed `a`: wanted `of`, the property that it folds, found none"],
    );
    refused(
        &computed("function = 'last_n'\nof = 'x'"),
        expect!["line 5: computed `a`: `last_n` wanted `n`, found none"],
    );
    refused(&computed("function = 'last_n'\nof = 'x'\nn = 0"), expect!["line 7: `n`: wanted at least 1, found 0"]);
    refused(
        &computed("function = 'max'\nof = 'x'\nn = 2"),
        expect!["line 7: `n`: wanted only where `function` is `last_n`"],
    );
    refused(
        &computed("function = 'max'\nof = 'x..y'"),
        expect!["line 6: `of`: wanted names of properties with a dot between them, found `x..y`"],
    );
    refused(
        &computed("function = 'mean'\nof = 'x'"),
        expect![
            "line 5: `function`: unknown value `mean`, wanted one of `count`, `sum`, `min`, `max`, `first`, `last`, `distinct`, `last_n`"
        ],
    );
    refused(&computed("of = 'x'"), expect!["line 3: missing key `function`"]);
    refused(
        &computed("function = 'count'\n[[computed]]\nname = 'a'\nfunction = 'count'"),
        expect!["line 7: computed `a`: wanted once, found twice"],
    );
}

#[test]
fn a_span_of_time_has_a_number_and_a_unit() {
    let horizon = |text: &str| Policy::parse(&format!("{USER}[limits]\ndedup_horizon = '{text}'"));
    for (text, seconds) in [("30d", 2_592_000), ("12h", 43_200), ("90m", 5_400), ("45s", 45)] {
        assert_eq!(horizon(text).expect(text).limits.dedup_horizon, seconds * 1_000_000, "{text}");
    }
    for text in ["", "d", "30", "30 d", "0d", "-1d", "+1d", "1w", "1日", "99999999999999d"] {
        let said = horizon(text).map(|policy| policy.version).expect_err(text).to_string();
        let expected = "line 4: `dedup_horizon`: wanted a span of time such as `30d` or `12h`, found";
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn more_namespaces_than_16_bits_number_are_refused() {
    let text = |count: usize| -> String { (0..count).map(|n| format!("[[namespace]]\nname = 'n{n}'\n")).collect() };
    assert_eq!(parse(&text(65_535)).find("n65534"), Some(NamespaceId(65_534)));
    refused(&text(65_536), expect!["line 131071: wanted at most 65,535 of `[[namespace]]`, found 65536"]);
}

#[test]
fn the_version_is_of_the_meaning() {
    let plain = parse("[[namespace]]\nname = 'email'\n[[trait]]\nname = 'a'\n[[trait]]\nname = 'b'");
    let same = "# words\nnamespace = [{ name = 'email', normalise = 'email', max_links = 1_000 }]\n\
                [[trait]]\nname = 'b'\n[[trait]]\nname='a'\nsurvivorship='newest'\n[limits]\ndedup_horizon='720h'";
    assert_eq!(plain.version, parse(same).version);
    assert_eq!(plain.version.len(), 16);
    let others = [
        "[[namespace]]\nname = 'email'",
        "[[namespace]]\nname = 'email'\nunique = true",
        "[[namespace]]\nname = 'email'\nmax_per_person = 1",
        "[[namespace]]\nname = 'email'\nshared_after = 1",
        "[[namespace]]\nname = 'email'\nmax_links = 1",
        "[[namespace]]\nname = 'email'\nconflict = 'oldest'",
        "[[namespace]]\nname = 'email'\nanonymous = true",
        "[[namespace]]\nname = 'email'\nnormalise = 'text'",
        "[[namespace]]\nname = 'email'\nnormalise = 'text'\nexpires = '1d'",
        "[[namespace]]\nname = 'email'\nnormalise = 'uuid'",
        "[[namespace]]\nname = 'email'\nnormalise = 'sha256'",
        "[[namespace]]\nname = 'email'\nnormalise = 'card'\ncheck_digit = 'jan'",
        "[[namespace]]\nname = 'email'\nnormalise = 'card'\ncheck_digit = 'luhn'",
        "[[namespace]]\nname = 'email'\n[[namespace]]\nname = 'h'\nhash_of = 'email'\nspelling = 'meta'",
        "[[namespace]]\nname = 'email'\n[[namespace]]\nname = 'h'\nhash_of = 'email'\nspelling = 'google'",
        "[[namespace]]\nname = 'email'\n[[namespace]]\nname = 'h'\nnormalise = 'sha256'",
        "[[namespace]]\nname = 'email'\nnormalise = 'phone'",
        "[[namespace]]\nname = 'email'\nnormalise = 'phone'\nregion = 'US'",
        "[[namespace]]\nname = 'email'\n[blocked]\nvalues = ['x']",
        "[[namespace]]\nname = 'email'\n[blocked]\npatterns = ['x']",
        "[[namespace]]\nname = 'email'\n[limits]\nrecent_properties = ['x']",
        "[[namespace]]\nname = 'email'\n[limits]\nrecent_touchpoints = 1",
        "[[namespace]]\nname = 'email'\n[limits]\nmax_cluster = 1",
        "[[namespace]]\nname = 'email'\n[limits]\nmax_identifiers_per_touchpoint = 1",
        "[[namespace]]\nname = 'email'\n[limits]\ndedup_horizon = '1d'",
        "[[namespace]]\nname = 'email'\n[[trait]]\nname = 'x'",
        "[[namespace]]\nname = 'email'\n[[trait]]\nname = 'x'\nsurvivorship = 'max'",
        "[[namespace]]\nname = 'email'\n[[computed]]\nname = 'x'\nfunction = 'count'",
        "[[namespace]]\nname = 'email'\n[[computed]]\nname = 'x'\nfunction = 'count'\nper_channel = true",
        "[[namespace]]\nname = 'email'\n[[computed]]\nname = 'x'\nfunction = 'count'\ntypes = ['y']",
        "[[namespace]]\nname = 'email'\n[[computed]]\nname = 'x'\nfunction = 'min'\nof = 'y'",
        "[[namespace]]\nname = 'email'\n[[computed]]\nname = 'x'\nfunction = 'last_n'\nn = 1\nof = 'y'",
        "[[namespace]]\nname = 'email'\n[[computed]]\nname = 'x'\nfunction = 'last_n'\nn = 2\nof = 'y'",
    ];
    let mut versions: Vec<Arc<str>> = others.iter().map(|text| parse(text).version).collect();
    versions.push(plain.version);
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), others.len() + 1, "each of these means something else");
}

#[test]
fn the_recommended_policy_blocks_junk_and_lets_people_through() {
    let policy = Policy::recommended();
    assert!(policy.namespace(policy.find("user_id").expect("named")).unique);
    let junk = [
        "NULL",
        "Anonymous",
        "ゲスト",
        "非通知",
        "00000000-0000-0000-0000-000000000000",
        "0000",
        "-",
        "99999999",
        "'guest'",
        "\"null\"",
        "[object Object]",
        "{{ user.id }}",
        "+266696687",
        "test@example.com",
        "Test1@shop.jp",
        "taro@example.com",
        "noreply@shop.jp",
        "+819011111111",
        "+81120123456",
        "1234567890",
        "NaN",
        "なし",
    ];
    for value in junk {
        assert!(policy.blocked.contains(value), "{value}");
    }
    let people = [
        "taro",
        "1001",
        "+81300000001",
        "+81311110001",
        "+819012345678",
        "taro@example.jp",
        "testa@shop.jp",
        "u-1",
        "\"a b\"@example.jp",
        "4901234567894",
        "taro@mail.example",
        "U00000000000000000000000000000001",
        "c1",
        "10",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ];
    for value in people {
        assert!(!policy.blocked.contains(value), "{value}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = Policy::parse(&text);
    }

    #[test]
    fn no_change_of_a_good_file_makes_the_parser_panic(at in any::<prop::sample::Index>(), with in "[\\PC\n]{0,3}") {
        let text = Policy::default_text();
        let mut at = at.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let mut changed = text.to_owned();
        changed.insert_str(at, &with);
        let _ = Policy::parse(&changed);
    }
}
