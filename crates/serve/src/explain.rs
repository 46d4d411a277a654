//! Why two identifiers are one person, or are not: the path of links between them with its evidence.
//!
//! Pure: clusters and a policy in, an explanation out. The path is the one with the fewest refused links, then the
//! fewest links; so between identifiers of one person none is refused, and between others those that are tell why.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use musubi_core::cluster::{Cluster, Signature};
use musubi_core::identifier::{Identifier, IdentifierKey};
use musubi_core::policy::Policy;
use musubi_core::resolve::{Reason, Refusal, Resolution, links, resolve};
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::EventRef;
use serde::{Deserialize, Serialize};

/// What can be said of two identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They are one person.
    OnePerson,
    /// Evidence connects them, and the policy (or an operator) keeps them apart.
    KeptApart,
    /// No evidence connects them.
    NotConnected,
}

/// Why two identifiers are one person, or are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The verdict.
    pub verdict: Verdict,
    /// The person of each of the two; null where it is nobody (blocked, or forgotten).
    pub persons: [Option<String>; 2],
    /// Identifier, evidence, identifier, …, from the first to the second; empty where they are not connected.
    pub path: Vec<Step>,
    /// The refused links on the path, in a few words each.
    pub refused: Vec<Refused>,
}

/// One thing on the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// An identifier.
    Identifier(Named),
    /// What ties the identifier before it to the one after it.
    Evidence(Evidence),
}

/// An identifier by its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The namespace.
    pub namespace: String,
    /// The normalised value.
    pub value: String,
}

/// What ties two identifiers together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How many distinct touchpoints named both.
    pub touchpoints: u64,
    /// When the first did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    /// When the last did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// The sources that said so, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The first touchpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Event>,
    /// The last touchpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Event>,
    /// The operator's directive that linked (or unlinked) the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directive: Option<Event>,
    /// Why the link joins nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The name of a touchpoint or directive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    /// The source.
    pub source: String,
    /// The source's own name of it.
    pub event_id: String,
}

/// A link that joins nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// `namespace:value` of both ends, as they stand on the path.
    pub link: [String; 2],
    /// Why: `limit NAMESPACE`, `shared`, `unlink` or `blocked`.
    pub reason: String,
}

/// Explains two identifiers from the clusters that they are members of: one cluster, or one each.
pub fn explain(clusters: &[&Cluster], policy: &Policy, a: &Identifier, b: &Identifier) -> Explanation {
    let views: Vec<View<'_>> = clusters.iter().map(|cluster| View::of(cluster, policy)).collect();
    let persons = [a, b].map(|identifier| views.iter().find_map(|view| view.person(identifier)));
    let together = views.iter().any(|view| view.are_one(a, b));
    let shown = persons.map(|person| person.map(|person| person.to_string()));
    let Some(hops) = shortest(&views, together, a.key(), b.key()) else {
        return Explanation { verdict: Verdict::NotConnected, persons: shown, path: Vec::new(), refused: Vec::new() };
    };
    let verdict = if together { Verdict::OnePerson } else { Verdict::KeptApart };
    let (mut path, mut refused) = (vec![Step::Identifier(name(a))], Vec::new());
    for hop in hops {
        let view = &views[hop.edge.view];
        let [from, to] = [hop.from, hop.to].map(|member| &view.cluster.member(member).identifier);
        let reason = hop.edge.refusal.map(|refusal| refusal.reason.describe(policy));
        if let Some(reason) = &reason {
            refused.push(Refused { link: [from, to].map(|end| end.text().to_owned()), reason: reason.clone() });
        }
        path.push(Step::Evidence(Evidence { refused: reason, ..view.evidence(hop.from, hop.to) }));
        path.push(Step::Identifier(name(to)));
    }
    Explanation { verdict, persons: shown, path, refused }
}

fn name(identifier: &Identifier) -> Named {
    Named { namespace: identifier.namespace_name().to_owned(), value: identifier.value().to_owned() }
}

/// A cluster with what the policy makes of it.
struct View<'a> {
    cluster: &'a Cluster,
    resolution: Resolution,
}

impl<'a> View<'a> {
    fn of(cluster: &'a Cluster, policy: &Policy) -> Self {
        Self { cluster, resolution: resolve(cluster, policy) }
    }

    fn index(&self, identifier: &Identifier) -> Option<u32> {
        let member = self.cluster.find(identifier.key())?;
        self.resolution.person[member as usize]
    }

    fn person(&self, identifier: &Identifier) -> Option<musubi_core::person::PersonId> {
        let anchor = self.resolution.anchors[self.index(identifier)? as usize];
        Some(self.cluster.member(anchor).person_id())
    }

    fn are_one(&self, a: &Identifier, b: &Identifier) -> bool {
        self.index(a).is_some_and(|person| self.index(b) == Some(person))
    }

    /// Every tie between two members, once: by evidence, or by an operator's word.
    fn ties(&self) -> BTreeMap<(u32, u32), Option<Refusal>> {
        let mut ties: BTreeMap<(u32, u32), Option<Refusal>> =
            links(self.cluster).iter().map(|link| (pair(link.stronger, link.weaker), None)).collect();
        for decree in &self.cluster.decrees {
            let ends = decree.pair.each_ref().map(|identifier| self.cluster.find(identifier.key()));
            if let [Some(a), Some(b)] = ends {
                // What was never seen together has no link that could be refused, and yet the word is why.
                let unlinked = Refusal { stronger: a, weaker: b, reason: Reason::Unlink };
                ties.insert(pair(a, b), (!decree.linked).then_some(unlinked));
            }
        }
        for refusal in &self.resolution.refusals {
            ties.insert(pair(refusal.stronger, refusal.weaker), Some(*refusal));
        }
        ties
    }

    /// What ties two members together.
    fn evidence(&self, a: u32, b: u32) -> Evidence {
        let both = |signature: &&Signature| signature.members.contains(&a) && signature.members.contains(&b);
        let signatures: Vec<&Signature> = self.cluster.signatures.iter().filter(both).collect();
        let sources: BTreeSet<&str> =
            signatures.iter().flat_map(|signature| signature.sources.iter().map(AsRef::as_ref)).collect();
        let first = signatures.iter().map(|signature| &signature.first).min();
        let last = signatures.iter().map(|signature| &signature.last).max();
        let ends = [a, b].map(|member| &self.cluster.member(member).identifier);
        let decree = self.cluster.decrees.iter().find(|decree| ends.iter().all(|end| decree.pair.contains(end)));
        Evidence {
            touchpoints: signatures.iter().map(|signature| signature.count).sum(),
            first_seen: first.map(|(time, _)| render(*time)),
            last_seen: last.map(|(time, _)| render(*time)),
            sources: sources.into_iter().map(str::to_owned).collect(),
            first: first.map(|(_, event)| Event::of(event)),
            last: last.map(|(_, event)| Event::of(event)),
            directive: decree.map(|decree| Event::of(&decree.cause.event)),
            refused: None,
        }
    }
}

impl Event {
    fn of(event: &EventRef) -> Self {
        Self { source: event.source.as_ref().to_owned(), event_id: event.event_id.as_ref().to_owned() }
    }
}

fn render(time: Timestamp) -> String {
    let mut text = Vec::with_capacity(32);
    musubi_schema::render_time(time, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

const fn pair(a: u32, b: u32) -> (u32, u32) {
    if a <= b { (a, b) } else { (b, a) }
}

/// A tie in one of the views.
#[derive(Clone, Copy)]
struct Edge {
    view: usize,
    refusal: Option<Refusal>,
}

/// One step from a member to another.
#[derive(Clone, Copy)]
struct Hop {
    edge: Edge,
    from: u32,
    to: u32,
}

/// The way with the fewest refused ties, then the fewest ties; `together` allows no refused one. Ways of one cost are
/// told apart by the keys of the identifiers on them, so the answer is always the same.
fn shortest(views: &[View<'_>], together: bool, a: IdentifierKey, b: IdentifierKey) -> Option<Vec<Hop>> {
    let neighbours = neighbours(views, together);
    let mut cost: BTreeMap<IdentifierKey, (u32, u32)> = BTreeMap::from([(a, (0, 0))]);
    let mut came: BTreeMap<IdentifierKey, (IdentifierKey, Hop)> = BTreeMap::new();
    let mut queue = BinaryHeap::from([Reverse(((0, 0), a))]);
    while let Some(Reverse((spent, at))) = queue.pop() {
        if at == b {
            break;
        }
        if cost.get(&at).is_some_and(|best| *best < spent) {
            continue;
        }
        for (to, hop) in neighbours.get(&at).into_iter().flatten() {
            let next = (spent.0 + u32::from(hop.edge.refusal.is_some()), spent.1 + 1);
            if cost.get(to).is_none_or(|best| next < *best) {
                cost.insert(*to, next);
                came.insert(*to, (at, *hop));
                queue.push(Reverse((next, *to)));
            }
        }
    }
    let mut hops = Vec::new();
    let mut at = b;
    while at != a {
        let (from, hop) = came.get(&at)?;
        hops.push(*hop);
        at = *from;
    }
    hops.reverse();
    Some(hops)
}

type Neighbours = BTreeMap<IdentifierKey, Vec<(IdentifierKey, Hop)>>;

fn neighbours(views: &[View<'_>], together: bool) -> Neighbours {
    let mut neighbours = Neighbours::new();
    for (number, view) in views.iter().enumerate() {
        for ((a, b), refusal) in view.ties() {
            if together && refusal.is_some() {
                continue;
            }
            let edge = Edge { view: number, refusal };
            let key = |member: u32| view.cluster.member(member).identifier.key();
            for (from, to) in [(a, b), (b, a)] {
                neighbours.entry(key(from)).or_default().push((key(to), Hop { edge, from, to }));
            }
        }
    }
    neighbours
}
