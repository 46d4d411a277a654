//! The known answers of resolution, through the real state machine: every order, every touchpoint twice, and with 1, 3
//! and 8 partitions.

mod mesh;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use mesh::{Arrival, Mesh};
use musubi_core::policy::Policy;
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;
use serde::Deserialize;

const MINUTE: i64 = 60_000_000;
/// 2026-04-01T00:00:00Z.
const START: i64 = 1_775_001_600_000_000;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    namespaces: Vec<toml::Table>,
    touchpoints: Vec<String>,
    persons: BTreeSet<String>,
    #[serde(default)]
    refused: BTreeSet<String>,
    #[serde(default)]
    quarantined: BTreeSet<String>,
}

impl Case {
    fn policy(&self) -> Arc<Policy> {
        let mut text = String::new();
        for namespace in &self.namespaces {
            let _ = write!(text, "[[namespace]]\n{namespace}\n");
        }
        Arc::new(Policy::parse(&text).expect("the case's namespaces are a policy"))
    }

    fn touchpoints(&self) -> Vec<Touchpoint> {
        (1..).zip(&self.touchpoints).map(|(number, line)| touchpoint(number, line)).collect()
    }
}

fn touchpoint(number: i64, line: &str) -> Touchpoint {
    let identifier = |word: &str| {
        let (namespace, value) = word.split_once(':').expect("an identifier is namespace:value");
        (namespace.into(), value.into())
    };
    Touchpoint {
        source: "case".into(),
        event_id: format!("e{number}").into(),
        channel: "web".into(),
        kind: "page_viewed".into(),
        occurred_at: Timestamp::from_micros(START + (number - 1) * MINUTE),
        received_at: None,
        identifiers: line.split(' ').map(identifier).collect(),
        traits: Vec::new(),
        properties: Vec::new(),
        consent: Vec::new(),
        household: None,
        account: None,
    }
}

/// Every order of up to six things, else 500 orders drawn by a small generator of its own.
fn orders(things: usize) -> Vec<Vec<usize>> {
    if things <= 6 {
        let mut orders = vec![vec![]];
        for _ in 0..things {
            orders = orders
                .iter()
                .flat_map(|order: &Vec<usize>| {
                    (0..things).filter(|next| !order.contains(next)).map(|next| [order.as_slice(), &[next]].concat())
                })
                .collect();
        }
        return orders;
    }
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("less than a usize")
    };
    let shuffled = |_| {
        let mut order: Vec<usize> = (0..things).collect();
        (1..things).rev().for_each(|place| order.swap(place, draw(place + 1)));
        order
    };
    (0..500).map(shuffled).collect()
}

#[test]
fn every_case_gives_its_persons_in_every_order() {
    let cases: Cases = toml::from_str(include_str!("identity-cases.toml")).expect("the cases are TOML");
    for case in cases.case {
        let policy = case.policy();
        let touchpoints = case.touchpoints();
        let mut fingerprints = BTreeSet::new();
        for order in orders(touchpoints.len()) {
            for partitions in [1, 3, 8] {
                let mut mesh = Mesh::new(&policy, partitions);
                for (step, place) in order.iter().chain(order.iter().rev()).enumerate() {
                    mesh.arrive(Arrival::Touchpoint(touchpoints[*place].clone()));
                    (0..step % 3).for_each(|pick| {
                        mesh.hear_one(pick);
                    });
                }
                mesh.rest();
                let picture = mesh.picture();
                let context = format!("{}: order {order:?}, {partitions} partitions", case.name);
                assert_eq!(picture.persons, case.persons, "{context}");
                assert_eq!(picture.refused, case.refused, "{context}");
                assert_eq!(picture.quarantined, case.quarantined, "{context}");
                fingerprints.insert(picture.fingerprint);
            }
        }
        assert_eq!(fingerprints.len(), 1, "{}", case.name);
    }
}
