//! Laws of the state machine: the same evidence under the same policy gives the same persons, ids and profiles,
//! whatever the order, the copies, the number of partitions, the interleaving of messages and what is cached.

mod mesh;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use mesh::{Arrival, Mesh, oracle};
use musubi_core::change::{Kind, Output, Redirect};
use musubi_core::directive::{Directive, Order};
use musubi_core::policy::Policy;
use musubi_core::profile::{self, Field, Shown};
use musubi_core::resolve::{resolve, resolve_fully};
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;
use musubi_core::value::Value;
use proptest::prelude::*;
use proptest::sample::Index;

const NAMES: [&str; 5] = ["user_id", "loyalty_card", "email_box", "device", "cookie"];

fn policies() -> impl Strategy<Value = Arc<Policy>> {
    let namespace = (
        any::<bool>(),
        proptest::option::of(1_u32..4),
        proptest::option::weighted(0.4, 1_u32..3),
        prop_oneof![3 => Just(1_000_u32), 1 => 2_u32..5],
        any::<bool>(),
    );
    (proptest::collection::vec(namespace, 1..=NAMES.len()), 1_u32..40).prop_map(|(namespaces, max_cluster)| {
        let mut text = String::new();
        for (name, (unique, most, shared_after, max_links, oldest)) in NAMES.iter().zip(namespaces) {
            let _ = writeln!(text, "[[namespace]]\nname = \"{name}\"\nmax_links = {max_links}\nunique = {unique}");
            let _ = writeln!(text, "conflict = \"{}\"", if oldest { "oldest" } else { "newest" });
            if let Some(most) = most.filter(|_| !unique) {
                let _ = writeln!(text, "max_per_person = {most}");
            }
            if let Some(shared_after) = shared_after {
                let _ = writeln!(text, "shared_after = {shared_after}");
            }
        }
        let _ = write!(
            text,
            "[[computed]]\nname = \"visits\"\nfunction = \"count\"\nper_channel = true\n\
             [[computed]]\nname = \"spent\"\nfunction = \"sum\"\nof = \"total\"\n\
             [limits]\nmax_cluster = {max_cluster}\nrecent_touchpoints = 3\n"
        );
        Arc::new(Policy::parse(&text).expect("the drawn policy is one"))
    })
}

fn identifiers(most: usize) -> impl Strategy<Value = Vec<(Arc<str>, Arc<str>)>> {
    let identifier = (0..NAMES.len(), 0_u32..4).prop_map(|(name, value)| {
        let value: Arc<str> = format!("v{value}").into();
        (Arc::from(NAMES[name]), value)
    });
    proptest::collection::vec(identifier, 1..=most)
}

fn touchpoints() -> impl Strategy<Value = Touchpoint> {
    let received = proptest::option::weighted(0.7, 0_i64..40);
    (identifiers(4), 0_i64..30, received, 0_i64..5, 0..3_usize, any::<bool>()).prop_map(
        |(identifiers, occurred_at, received, total, channel, consent)| Touchpoint {
            source: "law".into(),
            event_id: "".into(),
            channel: ["web", "store", "phone"][channel].into(),
            kind: "order_completed".into(),
            occurred_at: Timestamp::from_micros(occurred_at),
            received_at: received.map(Timestamp::from_micros),
            identifiers,
            traits: vec![("name".into(), Value::text(&format!("n{total}")))],
            properties: vec![("total".into(), Value::Number(total.into()))],
            consent: vec![("mail".into(), consent)],
            household: None,
            account: None,
        },
    )
}

fn directives() -> impl Strategy<Value = Directive> {
    (0..6_usize, identifiers(1), identifiers(1), 0_i64..40).prop_map(|(order, a, b, at)| {
        let (a, b) = (a[0].clone(), b[0].clone());
        let order = match order {
            0 => Order::Link([a, b]),
            1 => Order::Unlink([a, b]),
            2 => Order::Block(a),
            3 => Order::Unblock(a),
            _ => Order::Erase(a),
        };
        Directive { source: "ops".into(), directive_id: "".into(), at: Timestamp::from_micros(at), order }
    })
}

fn arrivals(directives_too: bool) -> impl Strategy<Value = Vec<Arrival>> {
    let touchpoint = touchpoints().prop_map(Arrival::Touchpoint);
    let arrival = if directives_too {
        prop_oneof![5 => touchpoint, 1 => directives().prop_map(Arrival::Directive)].boxed()
    } else {
        touchpoint.boxed()
    };
    proptest::collection::vec(arrival, 1..24).prop_map(|mut arrivals| {
        for (number, arrival) in arrivals.iter_mut().enumerate() {
            match arrival {
                Arrival::Touchpoint(touchpoint) => touchpoint.event_id = format!("e{number}").into(),
                Arrival::Directive(directive) => directive.directive_id = format!("d{number}").into(),
            }
        }
        arrivals
    })
}

/// Directives under a policy that does not name their namespaces are nobody's: they are left out.
fn readable(policy: &Policy, arrivals: Vec<Arrival>) -> Vec<Arrival> {
    let known = |(namespace, _): &(Arc<str>, Arc<str>)| policy.find(namespace).is_some();
    let reads = |arrival: &Arrival| match arrival {
        Arrival::Touchpoint(_) => true,
        Arrival::Directive(directive) => match &directive.order {
            Order::Link(pair) | Order::Unlink(pair) => pair.iter().all(known) && pair[0] != pair[1],
            Order::Block(one) | Order::Unblock(one) | Order::Erase(one) | Order::Consent(one, _) => known(one),
        },
    };
    arrivals.into_iter().filter(reads).collect()
}

/// Plays arrivals in a drawn order, some twice, with messages in between in a drawn order, and a store that is now and then
/// some steps behind.
fn play(mesh: &mut Mesh, arrivals: &[Arrival], draws: &[Index]) {
    let mut rest: Vec<(&Arrival, bool)> = arrivals.iter().map(|arrival| (arrival, false)).collect();
    let mut draws = draws.iter().cycle();
    let mut draw = |below: usize| draws.next().map_or(0, |index| index.index(below));
    while !rest.is_empty() {
        let place = draw(rest.len());
        let (arrival, is_copy) = rest[place];
        if is_copy || draw(4) > 0 {
            rest.swap_remove(place);
        } else {
            rest[place].1 = true;
        }
        mesh.keep_back(draw(6));
        mesh.arrive(arrival.clone());
        for _ in 0..draw(4) {
            mesh.hear_one(draw(8));
        }
        if draw(6) == 0 {
            mesh.forget();
        }
    }
    mesh.rest();
}

fn draws() -> impl Strategy<Value = Vec<Index>> {
    proptest::collection::vec(any::<Index>(), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 3_000, max_shrink_time: 15_000, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_copies_nor_partitions_decide_anything(
        policy in policies(), arrivals in arrivals(false), draws in draws(), partitions in 1_u32..9,
    ) {
        let mut mesh = Mesh::new(&policy, partitions);
        play(&mut mesh, &arrivals, &draws);
        check(&mut mesh, &oracle(&policy, &arrivals))?;
    }

    #[test]
    fn directives_are_evidence_like_any_other(
        policy in policies(), arrivals in arrivals(true), draws in draws(), partitions in 1_u32..9,
    ) {
        let arrivals = readable(&policy, arrivals);
        let mut mesh = Mesh::new(&policy, partitions);
        play(&mut mesh, &arrivals, &draws);
        check(&mut mesh, &oracle(&policy, &arrivals))?;
    }

    #[test]
    fn a_touchpoint_that_is_erased_was_never_there(
        policy in policies(), arrivals in arrivals(false), extra in touchpoints(), draws in draws(),
        partitions in 1_u32..5,
    ) {
        let mut extra = extra;
        extra.event_id = "extra".into();
        extra.identifiers.insert(0, (NAMES[0].into(), "forgotten".into()));
        let erase = Directive {
            source: "ops".into(),
            directive_id: "d".into(),
            at: extra.received(),
            order: Order::Erase(extra.identifiers[0].clone()),
        };
        let mut with: Vec<Arrival> = arrivals.clone();
        with.extend([Arrival::Touchpoint(extra), Arrival::Directive(erase)]);
        let mut mesh = Mesh::new(&policy, partitions);
        play(&mut mesh, &with, &draws);
        let found = mesh.picture();
        let wanted = oracle(&policy, &arrivals);
        prop_assert_eq!(&found.profiles, &wanted.profiles);
        prop_assert_eq!(found.fingerprint, wanted.fingerprint);
    }

    #[test]
    fn the_quick_resolution_is_the_full_one(policy in policies(), arrivals in arrivals(true), draws in draws()) {
        let arrivals = readable(&policy, arrivals);
        let mut mesh = Mesh::new(&policy, 1);
        play(&mut mesh, &arrivals, &draws);
        for cluster in mesh.clusters() {
            let (quick, full) = (resolve(&cluster, &policy), resolve_fully(&cluster, &policy));
            prop_assert_eq!(quick.anchors, full.anchors);
            prop_assert_eq!(quick.person, full.person);
            prop_assert_eq!(quick.shared, full.shared);
            prop_assert_eq!(quick.refusals, full.refusals);
        }
    }

    #[test]
    fn what_is_published_in_order_is_what_stands(
        policy in policies(), arrivals in arrivals(true), draws in draws(), partitions in 1_u32..5,
    ) {
        let arrivals = readable(&policy, arrivals);
        let mut mesh = Mesh::new(&policy, partitions);
        play(&mut mesh, &arrivals, &draws);
        let picture = mesh.picture();
        let consumer = Consumer::follow(&mesh.outputs)?;
        let views: BTreeSet<_> = consumer.views.iter().map(|(id, view)| (id.clone(), lines(view))).collect();
        let wanted: BTreeSet<_> = picture
            .profiles
            .iter()
            .map(|(texts, lines)| {
                let first = texts.split(' ').next().expect("a person has an identifier");
                (picture.ids[first].clone(), lines.clone())
            })
            .collect();
        prop_assert_eq!(views, wanted);
        prop_assert_eq!(&consumer.identities, &picture.ids);
        let members: BTreeMap<String, String> = consumer
            .members
            .iter()
            .flat_map(|(id, members)| members.iter().map(|member| (member.clone(), id.clone())))
            .collect();
        prop_assert_eq!(&members, &picture.ids);
        for (from, to) in &consumer.redirects {
            prop_assert!(!consumer.views.contains_key(from), "a redirect leads away from the live id {}", from);
            prop_assert!(consumer.views.contains_key(to), "a redirect leads to {}, which is no more", to);
        }
    }
}

/// How many cases: `PROPTEST_CASES` where it is set.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000)
}

fn check(mesh: &mut Mesh, wanted: &mesh::Picture) -> Result<(), TestCaseError> {
    let found = mesh.picture();
    prop_assert_eq!(&found.quarantined, &wanted.quarantined);
    prop_assert_eq!(&found.persons, &wanted.persons);
    prop_assert_eq!(&found.ids, &wanted.ids);
    prop_assert_eq!(&found.profiles, &wanted.profiles);
    prop_assert_eq!(&found.fingerprint, &wanted.fingerprint);
    Ok(())
}

/// Someone downstream who starts with nothing and believes what is published.
#[derive(Default)]
struct Consumer {
    views: BTreeMap<String, Vec<(Arc<str>, Value)>>,
    members: BTreeMap<String, BTreeSet<String>>,
    identities: BTreeMap<String, String>,
    redirects: BTreeMap<String, String>,
}

impl Consumer {
    fn follow(outputs: &[Output]) -> Result<Self, TestCaseError> {
        let mut consumer = Self::default();
        let mut versions: BTreeMap<String, u64> = BTreeMap::new();
        for output in outputs {
            match output {
                Output::Change(change) => {
                    let id = change.person_id.to_string();
                    let version = versions.entry(id.clone()).or_default();
                    prop_assert_eq!(change.version, *version + 1, "versions of {} rise by one", &id);
                    *version = change.version;
                    let view = consumer.views.entry(id.clone()).or_default();
                    for change in change.fields.iter().filter(|change| change.field != Field::Recent) {
                        let name = change.field.name();
                        let before = view.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone());
                        let told = change.before.as_ref().map(Shown::value);
                        prop_assert_eq!(before, told, "before of {}", &change.field);
                    }
                    profile::apply(view, &change.fields);
                    let members = consumer.members.entry(id.clone()).or_default();
                    members.extend(change.joined.iter().map(|identifier| identifier.text().to_owned()));
                    for identifier in &change.left {
                        members.remove(identifier.text());
                    }
                    if change.into.is_some() || change.kind == Kind::Erased {
                        prop_assert!(consumer.views.remove(&id).is_none_or(|view| view.is_empty()));
                        consumer.members.remove(&id);
                    }
                }
                Output::Profile(snapshot) => {
                    let id = snapshot.person_id.to_string();
                    prop_assert_eq!(
                        lines(&consumer.views[&id]),
                        lines(&profile::view(&snapshot.profile)),
                        "the changes of {} add up to its snapshot",
                        &id
                    );
                }
                Output::Gone(_) => {}
                Output::Identity(identifier, Some(person)) => {
                    consumer.identities.insert(identifier.text().to_owned(), person.to_string());
                }
                Output::Identity(identifier, None) => {
                    consumer.identities.remove(identifier.text());
                }
                Output::Redirect(Redirect { from, to: Some(to), .. }) => {
                    consumer.redirects.insert(from.to_string(), to.to_string());
                }
                Output::Redirect(Redirect { from, to: None, .. }) => {
                    consumer.redirects.remove(&from.to_string());
                }
            }
        }
        Ok(consumer)
    }
}

fn lines(view: &[(Arc<str>, Value)]) -> Vec<String> {
    view.iter().map(|(field, value)| format!("{field} = {value}")).collect()
}
