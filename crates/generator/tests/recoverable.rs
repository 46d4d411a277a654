//! How much of a stream can be put together again: a small stand-in for a policy, scored against the truth.
//!
//! The stand-in follows the rules of Musubi's own resolution in their simplest form: junk blocked, identifiers that
//! meet too many accounts or cards shared, links taken strongest layer first and newest first, one account and one card
//! a person. It is here so that the generator's promise about recall stands on its own.

use std::collections::{HashMap, HashSet};

use musubi_generator::{Generator, Line, Options, Score, Scorer, Shape};
use serde_json::Value;

/// Strongest first.
const NAMESPACES: [&str; 8] =
    ["user_id", "loyalty_card", "crm_id", "line_user_id", "email", "phone", "device_id", "cookie"];
/// The first so many are unique.
const UNIQUE: usize = 4;
/// An identifier that meets more values of one unique namespace than this is shared.
const SHARED_AFTER: usize = 5;
const BLOCKED: [&str; 16] = [
    "test@example.com",
    "noreply@example.com",
    "aaa@aaa.aaa",
    "null",
    "shop@musubi-store.example",
    "guest",
    "none@none",
    "0000000000",
    "00000000000",
    "09000000000",
    "1234567890",
    "0335710001",
    "0120000111",
    "anonymous",
    "undefined",
    "0",
];

type Identifier = (usize, String);

fn normalised(namespace: &str, value: &str) -> Option<Identifier> {
    let layer = NAMESPACES.iter().position(|name| *name == namespace)?;
    let value = match namespace {
        "phone" => national(value)?,
        "email" => value.to_lowercase(),
        _ => value.to_owned(),
    };
    (!BLOCKED.contains(&value.as_str())).then_some((layer, value))
}

fn national(value: &str) -> Option<String> {
    let digits: String = value
        .chars()
        .filter_map(|c| match c {
            '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')),
            _ => c.is_ascii_digit().then_some(c),
        })
        .collect();
    let digits = digits.strip_prefix("81").map_or(digits.clone(), |rest| format!("0{rest}"));
    (digits.len() >= 10 && digits.starts_with('0')).then_some(digits)
}

#[derive(Default)]
struct Resolution {
    numbers: HashMap<Identifier, usize>,
    layers: Vec<usize>,
    links: HashMap<(usize, usize), usize>,
    touchpoints: Vec<(String, Vec<usize>)>,
}

impl Resolution {
    fn number(&mut self, identifier: Identifier) -> usize {
        let next = self.layers.len();
        let layer = identifier.0;
        let number = *self.numbers.entry(identifier).or_insert(next);
        if number == next {
            self.layers.push(layer);
        }
        number
    }

    fn add(&mut self, truth: String, identifiers: Vec<Identifier>, time: usize) {
        let mut numbers: Vec<usize> = identifiers.into_iter().map(|identifier| self.number(identifier)).collect();
        numbers.sort_by_key(|&number| self.layers[number]);
        for (index, &a) in numbers.iter().enumerate() {
            for &b in &numbers[index + 1..] {
                self.links.insert((a.min(b), a.max(b)), time);
            }
        }
        self.touchpoints.push((truth, numbers));
    }

    fn shared(&self) -> HashSet<usize> {
        let mut met: HashMap<(usize, usize), HashSet<usize>> = HashMap::new();
        for &(a, b) in self.links.keys() {
            for (from, to) in [(a, b), (b, a)] {
                if self.layers[to] < UNIQUE {
                    met.entry((from, self.layers[to])).or_default().insert(to);
                }
            }
        }
        let beyond = |(_, values): &(&(usize, usize), &HashSet<usize>)| values.len() > SHARED_AFTER;
        met.iter().filter(beyond).map(|((number, _), _)| *number).collect()
    }

    fn score(self) -> Score {
        let shared = self.shared();
        let mut links: Vec<((usize, usize), usize)> = self.links.iter().map(|(&link, &time)| (link, time)).collect();
        links.retain(|((a, b), _)| !shared.contains(a) && !shared.contains(b));
        links.sort_by_key(|&((a, b), time)| (self.layers[a].max(self.layers[b]), std::cmp::Reverse(time), a, b));
        let mut parents: Vec<usize> = (0..self.layers.len()).collect();
        let mut held: Vec<u8> = self.layers.iter().map(|&layer| if layer < UNIQUE { 1 << layer } else { 0 }).collect();
        for ((a, b), _) in links {
            let (a, b) = (root(&mut parents, a), root(&mut parents, b));
            if a != b && held[a] & held[b] == 0 {
                parents[a] = b;
                held[b] |= held[a];
            }
        }
        let mut scorer = Scorer::new();
        for (truth, numbers) in &self.touchpoints {
            match numbers.iter().find(|number| !shared.contains(number)).or(numbers.first()) {
                Some(&number) => scorer.add(truth, &root(&mut parents, number).to_string()),
                None => scorer.add_alone(truth),
            }
        }
        scorer.finish()
    }
}

fn root(parents: &mut [usize], mut node: usize) -> usize {
    while parents[node] != node {
        parents[node] = parents[parents[node]];
        node = parents[node];
    }
    node
}

fn score(persons: u64, touchpoints: u64, seed: u64, shape: Shape) -> Score {
    let mut generator = Generator::new(Options::new(persons, touchpoints, seed, shape));
    let mut resolution = Resolution::default();
    let mut line = Vec::new();
    let mut time = 0;
    while let Some(kind) = generator.write_next(&mut line) {
        time += 1;
        let Line::Touchpoint(truth) = kind else { continue };
        let touchpoint: Value = serde_json::from_slice(&line).expect("a touchpoint is JSON");
        let all = touchpoint["identifiers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |identifier: &Value, name: &str| identifier[name].as_str().unwrap_or("").to_owned();
        let good = all.iter().filter_map(|one| normalised(&text(one, "namespace"), &text(one, "value"))).collect();
        if let Some(person) = truth.person_name() {
            resolution.add(person, good, time);
        }
    }
    resolution.score()
}

#[test]
fn a_good_policy_puts_nearly_every_retail_customer_together_again() {
    for seed in [1, 2] {
        let score = score(20_000, 100_000, seed, Shape::Retail);
        assert!(score.precision >= 0.996, "{score:?}");
        assert!(score.recall >= 0.978, "{score:?}");
    }
}

#[test]
fn a_hostile_stream_is_harder_than_an_orderly_one() {
    let hostile = score(5_000, 25_000, 1, Shape::Hostile);
    assert!(hostile.recall < 0.97 && hostile.f1 < score(5_000, 25_000, 1, Shape::Retail).f1, "{hostile:?}");
}
