//! What holds of every profile, under every policy.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use proptest::prelude::*;

use super::samples::{effects, fold, policies, policy, rule};
use super::{Profile, Recent, apply, diff, view};
use crate::policy::{Function, Policy};
use crate::time::Timestamp;
use crate::touchpoint::Effect;
use crate::value::Value;

/// A policy, some effects, and the same effects in another order.
fn histories() -> impl Strategy<Value = (Policy, Vec<Effect>, Vec<Effect>)> {
    let orders = effects().prop_flat_map(|effects| (Just(effects.clone()), Just(effects).prop_shuffle()));
    (policies(), orders).prop_map(|(policy, (effects, shuffled))| (policy, effects, shuffled))
}

fn merged(left: &Profile, right: &Profile, policy: &Policy) -> Profile {
    let mut merged = left.clone();
    merged.merge(right, policy);
    merged
}

fn digest(profile: &Profile) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    profile.digest(&mut hasher);
    hasher.finalize()
}

/// Both ends of a cut that lies somewhere in a list.
fn cut(effects: &[Effect], place: prop::sample::Index) -> (&[Effect], &[Effect]) {
    effects.split_at(place.index(effects.len() + 1))
}

/// The profile with one part, each in its turn, taken from another.
fn grafts(profile: &Profile, other: &Profile) -> [Profile; 8] {
    let (graft, other) = (profile.clone(), other.clone());
    let bare = |recent: &Recent| {
        let (parts, bytes) = (recent.parts(), recent.bytes());
        // Up to the count of the properties, which here is one byte, and then none.
        let texts = &bytes[..bytes.len() - parts.properties.0.len() - 1];
        Recent::from_bytes(&[texts, &[0]].concat()).expect("a touchpoint without properties")
    };
    [
        Profile { recent: profile.recent.iter().map(bare).collect(), ..graft.clone() },
        Profile { traits: other.traits, ..graft.clone() },
        Profile { computed: other.computed, ..graft.clone() },
        Profile { recent: other.recent, ..graft.clone() },
        Profile { consent: other.consent, ..graft.clone() },
        Profile { households: other.households, ..graft.clone() },
        Profile { accounts: other.accounts, ..graft.clone() },
        Profile { channels: other.channels, ..graft },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_order_of_touchpoints_decides_nothing((policy, effects, shuffled) in histories()) {
        prop_assert_eq!(fold(&effects, &policy), fold(&shuffled, &policy));
    }

    #[test]
    fn a_merge_is_the_fold_of_the_union((policy, effects, shuffled) in histories(), place: prop::sample::Index) {
        let (left, right) = cut(&shuffled, place);
        prop_assert_eq!(merged(&fold(left, &policy), &fold(right, &policy), &policy), fold(&effects, &policy));
    }

    #[test]
    fn merges_commute_and_associate(
        (policy, effects, _) in histories(),
        [first, second] in any::<[prop::sample::Index; 2]>(),
    ) {
        let (left, rest) = cut(&effects, first);
        let (middle, right) = cut(rest, second);
        let [a, b, c] = [left, middle, right].map(|part| fold(part, &policy));
        prop_assert_eq!(merged(&a, &b, &policy), merged(&b, &a, &policy));
        let ab_c = merged(&merged(&a, &b, &policy), &c, &policy);
        prop_assert_eq!(ab_c, merged(&a, &merged(&b, &c, &policy), &policy));
        prop_assert_eq!(merged(&a, &Profile::default(), &policy), a);
    }

    #[test]
    fn a_diff_leads_from_one_view_to_the_other(
        (policy, effects, _) in histories(),
        [first, second] in any::<[prop::sample::Index; 2]>(),
    ) {
        let [before, after] = [first, second].map(|place| fold(cut(&effects, place).0, &policy));
        let changes = diff(&before, &after);
        let mut seen = view(&before);
        apply(&mut seen, &changes);
        prop_assert_eq!(&seen, &view(&after));
        prop_assert!(changes.is_sorted_by(|left, right| left.field < right.field));
        prop_assert!(changes.iter().all(|change| change.before != change.after));
        prop_assert_eq!(changes.is_empty(), view(&before) == view(&after));
    }

    #[test]
    fn what_is_taken_in_is_told_as_a_diff_would(
        (policy, effects, _) in histories(),
        [first, second] in any::<[prop::sample::Index; 2]>(),
    ) {
        let (before, rest) = cut(&effects, first);
        let more = cut(rest, second).0;
        let before = fold(before, &policy);
        let mut after = before.clone();
        let told = after.take_in(more, &policy);
        prop_assert_eq!(&told, &diff(&before, &after));
        let mut folded = before;
        more.iter().for_each(|effect| folded.observe(effect, &policy));
        prop_assert_eq!(after, folded);
    }

    #[test]
    fn a_view_is_sorted_and_names_each_field_once((policy, effects, _) in histories()) {
        let seen = view(&fold(&effects, &policy));
        prop_assert!(seen.is_sorted_by(|(left, _), (right, _)| left < right));
        prop_assert_eq!(seen.is_empty(), effects.is_empty());
    }

    #[test]
    fn digests_are_equal_exactly_where_views_are(
        (policy, effects, shuffled) in histories(),
        one in any::<prop::sample::Index>(),
    ) {
        let profile = fold(&effects, &policy);
        prop_assert_eq!(digest(&profile), digest(&fold(&shuffled, &policy)));
        let without = shuffled.iter().take(one.index(shuffled.len() + 1));
        let other = fold(without, &policy);
        prop_assert_eq!(digest(&profile) == digest(&other), view(&profile) == view(&other));
        let mut hollow = profile.clone();
        hollow.traits.retain(|entry| entry.value().is_some());
        hollow.consent.iter_mut().for_each(|consent| consent.time = Timestamp::from_micros(9));
        prop_assert_eq!(digest(&hollow), digest(&profile));
        prop_assert_eq!(view(&hollow), view(&profile));
    }

    #[test]
    fn a_digest_sees_every_part_that_a_view_shows((policy, effects, _) in histories(), place: prop::sample::Index) {
        let (left, right) = cut(&effects, place);
        let [profile, other] = [left, right].map(|part| fold(part, &policy));
        for graft in grafts(&profile, &other) {
            prop_assert_eq!(digest(&graft) == digest(&profile), view(&graft) == view(&profile), "{:?}", graft);
        }
    }

    #[test]
    fn a_sum_is_exact(
        amounts in prop::collection::vec("-?[0-9]{1,20}(\\.[0-9]{0,20})?", 1..12),
        template in effects().prop_filter_map("one effect", |effects| effects.into_iter().next()),
    ) {
        let policy = policy(Vec::new(), vec![rule("spent", Function::Sum, "total", "", true)], 0, "");
        let mut profile = Profile::default();
        for (place, amount) in amounts.iter().enumerate() {
            let properties = vec![("total".into(), Value::text(amount))];
            let event_id: Arc<str> = place.to_string().into();
            profile.observe(&Effect { event_id, properties, ..template.clone() }, &policy);
        }
        let exact: BigDecimal = amounts.iter().map(|text| text.parse::<BigDecimal>().expect("a number")).sum();
        let shown = profile.computed[0].overall.value().to_string();
        prop_assert_eq!(shown.parse::<BigDecimal>().expect("a number"), exact);
    }
}
