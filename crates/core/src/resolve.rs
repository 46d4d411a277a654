//! Resolution: applying the policy to one cluster's evidence. A constrained Kruskal over its links.

use std::cmp::Ordering;

use petgraph::unionfind::UnionFind;

use crate::cluster::{Cluster, Member};
use crate::identifier::NamespaceId;
use crate::policy::{Conflict, Policy};
use crate::time::Timestamp;

/// Why a link does not join its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Together they would have more values of this namespace than one person may.
    Limit(NamespaceId),
    /// One end is shared by too many to tell anyone.
    Shared,
    /// An operator said that these two, or two that this link would bring together, are not one.
    Unlink,
    /// One end is blocked.
    Blocked,
}

impl Reason {
    /// The reason in words: `limit user_id`, `shared`, `unlink`, `blocked`.
    pub fn describe(self, policy: &Policy) -> String {
        match self {
            Self::Limit(namespace) => format!("limit {}", policy.namespace(namespace).name),
            Self::Shared => "shared".to_owned(),
            Self::Unlink => "unlink".to_owned(),
            Self::Blocked => "blocked".to_owned(),
        }
    }
}

/// A link that joins nobody, kept because it is what *explain* shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The member at the stronger end.
    pub stronger: u32,
    /// The member at the weaker end.
    pub weaker: u32,
    /// Why.
    pub reason: Reason,
}

/// A pair of identifiers with its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The member at the stronger end: by namespace, then by text.
    pub stronger: u32,
    /// The member at the weaker end.
    pub weaker: u32,
    /// The earliest event time at which the pair was seen.
    pub first: Timestamp,
    /// The latest.
    pub last: Timestamp,
    /// How many distinct touchpoints named both.
    pub count: u64,
}

/// What the policy makes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// For each person her anchor; in the order of the anchors' indexes.
    pub anchors: Vec<u32>,
    /// For each member the person it belongs to: an index into `anchors`. None where it is nobody here.
    pub person: Vec<Option<u32>>,
    /// For each member whether it is shared.
    pub shared: Vec<bool>,
    /// The links that join nobody, sorted by the text of their ends.
    pub refusals: Vec<Refusal>,
    /// Whether no rule had anything to say: everything here is one person.
    pub plain: bool,
}

/// What the policy makes of a cluster, in the form that costs least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No rule had anything to say: everything here is one person, with this anchor.
    Plain(u32),
    /// Anything else.
    Full(Resolution),
}

/// Decides who is who in a cluster, as [`resolve`] does, and spells nothing out where everything is one person.
pub fn decide(cluster: &Cluster, policy: &Policy) -> Decision {
    let members = (0..).take(cluster.members.len());
    match members.min_by(|a, b| seniority(cluster, policy, *a, *b)) {
        Some(anchor) if breaks_no_rule(cluster, policy) => Decision::Plain(anchor),
        Some(_) | None => Decision::Full(resolve_fully(cluster, policy)),
    }
}

impl Decision {
    /// It spelled out for each member of its cluster.
    pub fn resolution(&self, cluster: &Cluster) -> Resolution {
        match self {
            Self::Plain(anchor) => one_person(cluster, *anchor),
            Self::Full(resolution) => resolution.clone(),
        }
    }
}

/// Decides who is who in a cluster, from its evidence and the policy alone.
///
/// Gives the same answer as [`resolve_fully`]; clusters that break no rule, which are nearly all, are decided by
/// counting.
pub fn resolve(cluster: &Cluster, policy: &Policy) -> Resolution {
    decide(cluster, policy).resolution(cluster)
}

/// Whether everything in the cluster is one person because no limit, no shared identifier and no word of an operator
/// can come into play. May be false where resolution would find one person all the same.
fn breaks_no_rule(cluster: &Cluster, policy: &Policy) -> bool {
    let neighbours = cluster.members.len().saturating_sub(1);
    let ruled = |member: &Member| {
        let namespace = policy.namespace(member.identifier.namespace());
        member.is_live() && neighbours <= namespace.max_links as usize
    };
    cluster.decrees.is_empty()
        && cluster.members.iter().all(ruled)
        && keeps_limits(cluster, policy)
        && is_connected(cluster)
}

/// Whether all members together are no more of any namespace than one person may have.
fn keeps_limits(cluster: &Cluster, policy: &Policy) -> bool {
    let mut counts = Counts::default();
    for member in &cluster.members {
        if policy.namespace(member.identifier.namespace()).max_per_person.is_some() {
            counts.add(member.identifier.namespace());
        }
    }
    let within = |limit: Option<u32>, count: u32| limit.is_none_or(|limit| count <= limit);
    counts.0.iter().all(|(namespace, count)| within(policy.namespace(*namespace).max_per_person, *count))
}

fn is_connected(cluster: &Cluster) -> bool {
    // A signature names each member once; one that names all of them is the common case, with the newest at the end.
    if cluster.signatures.iter().rev().any(|signature| signature.members.len() == cluster.members.len()) {
        return true;
    }
    let mut sets = UnionFind::<u32>::new(cluster.members.len());
    let joined = cluster
        .signatures
        .iter()
        .flat_map(|signature| signature.members.windows(2))
        .filter(|pair| sets.union(pair[0], pair[1]))
        .count();
    joined + 1 == cluster.members.len()
}

fn one_person(cluster: &Cluster, anchor: u32) -> Resolution {
    let members = cluster.members.len();
    Resolution {
        anchors: vec![anchor],
        person: vec![Some(0); members],
        shared: vec![false; members],
        refusals: Vec::new(),
        plain: true,
    }
}

/// The order of seniority: unique namespaces first, then the earliest first seen, then the text.
pub fn seniority(cluster: &Cluster, policy: &Policy, a: u32, b: u32) -> Ordering {
    let rank = |member: &Member| {
        let first = member.seen.map(|(first, _)| first);
        (!policy.namespace(member.identifier.namespace()).unique, first)
    };
    let (a, b) = (cluster.member(a), cluster.member(b));
    rank(a).cmp(&rank(b)).then_with(|| a.identifier.cmp(&b.identifier))
}

/// The links of a cluster: every pair of every signature, once, sorted by their ends.
pub fn links(cluster: &Cluster) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for signature in &cluster.signatures {
        for (place, a) in signature.members.iter().enumerate() {
            for b in &signature.members[place + 1..] {
                let (stronger, weaker) = by_strength(cluster, *a, *b);
                let (first, last) = (signature.first.0, signature.last.0);
                links.push(Link { stronger, weaker, first, last, count: signature.count });
            }
        }
    }
    links.sort_unstable_by_key(|link| (link.stronger, link.weaker));
    links.dedup_by(|next, link| {
        let same = (next.stronger, next.weaker) == (link.stronger, link.weaker);
        if same {
            link.first = link.first.min(next.first);
            link.last = link.last.max(next.last);
            link.count += next.count;
        }
        same
    });
    links
}

fn by_strength(cluster: &Cluster, a: u32, b: u32) -> (u32, u32) {
    let rank = |member: u32| {
        let identifier = &cluster.member(member).identifier;
        (identifier.namespace(), identifier)
    };
    if rank(a) <= rank(b) { (a, b) } else { (b, a) }
}

/// Decides who is who by taking every link in its order. The reference that the quick path must agree with.
pub fn resolve_fully(cluster: &Cluster, policy: &Policy) -> Resolution {
    let mut kruskal = Kruskal::new(cluster, policy);
    let (linked, unlinked) = decreed_pairs(cluster);
    kruskal.apart = unlinked;
    let mut links = links(cluster);
    links.retain(|link| !kruskal.is_set_aside(link));
    let shared = find_shared(cluster, policy, &links);
    links.retain(|link| {
        let joins = !shared[link.stronger as usize] && !shared[link.weaker as usize];
        if !joins {
            kruskal.refuse(link.stronger, link.weaker, Reason::Shared);
        }
        joins
    });
    for (a, b) in linked {
        kruskal.take_decreed(a, b, &shared);
    }
    links.sort_unstable_by(|a, b| precedence(cluster, policy, a, b));
    #[cfg(feature = "sabotage")]
    if crate::sabotage::is(crate::sabotage::Bug::HashOrder) {
        links = in_hash_order(cluster, policy, &links);
    }
    for link in &links {
        kruskal.take(link.stronger, link.weaker);
    }
    kruskal.finish(shared)
}

type Pairs = Vec<(u32, u32)>;

/// The pairs that operators linked and those they unlinked, in the order of their texts.
fn decreed_pairs(cluster: &Cluster) -> (Pairs, Pairs) {
    let mut linked = Vec::new();
    let mut unlinked = Vec::new();
    for decree in &cluster.decrees {
        let [Some(a), Some(b)] = decree.pair.each_ref().map(|identifier| cluster.find(identifier.key())) else {
            continue;
        };
        let ends = by_strength(cluster, a, b);
        if decree.linked { linked.push(ends) } else { unlinked.push(ends) }
    }
    (linked, unlinked)
}

/// Which members are shared: linked to too many values of a unique namespace, or to too many identifiers at all.
fn find_shared(cluster: &Cluster, policy: &Policy, links: &[Link]) -> Vec<bool> {
    let mut neighbours: Vec<Counts> = vec![Counts::default(); cluster.members.len()];
    for link in links {
        neighbours[link.stronger as usize].add(cluster.member(link.weaker).identifier.namespace());
        neighbours[link.weaker as usize].add(cluster.member(link.stronger).identifier.namespace());
    }
    let is_shared = |(member, neighbours): (&Member, &Counts)| {
        let namespace = policy.namespace(member.identifier.namespace());
        let owners = neighbours.0.iter().filter(|(namespace, _)| policy.namespace(*namespace).unique);
        member.foreign
            || neighbours.total() > u64::from(namespace.max_links)
            || namespace.shared_after.is_some_and(|limit| owners.map(|(_, count)| *count).max() > Some(limit))
    };
    cluster.members.iter().zip(&neighbours).map(is_shared).collect()
}

/// The order in which links are taken: by layer, then by time as the layer's namespace says, then by text.
fn precedence(cluster: &Cluster, policy: &Policy, a: &Link, b: &Link) -> Ordering {
    precedence_but_for_ties(cluster, policy, a, b)
        .then_with(|| by_text(cluster, (a.stronger, a.weaker), (b.stronger, b.weaker)))
}

fn precedence_but_for_ties(cluster: &Cluster, policy: &Policy, a: &Link, b: &Link) -> Ordering {
    let layer = |link: &Link| cluster.member(link.weaker).identifier.namespace();
    layer(a).cmp(&layer(b)).then_with(|| match policy.namespace(layer(a)).conflict {
        Conflict::Newest => b.last.cmp(&a.last),
        Conflict::Oldest => a.first.cmp(&b.first),
    })
}

/// Links as a planted bug takes them: gathered in a set, and by its order where layer and time are the same.
#[cfg(feature = "sabotage")]
#[allow(clippy::disallowed_types, reason = "it is the bug")]
fn in_hash_order(cluster: &Cluster, policy: &Policy, links: &[Link]) -> Vec<Link> {
    let ends: std::collections::HashSet<(u32, u32)> = links.iter().map(|link| (link.stronger, link.weaker)).collect();
    let found = |ends: &(u32, u32)| links.iter().find(|link| (link.stronger, link.weaker) == *ends).copied();
    let mut links: Vec<Link> = ends.iter().filter_map(found).collect();
    links.sort_by(|a, b| precedence_but_for_ties(cluster, policy, a, b));
    links
}

fn by_text(cluster: &Cluster, a: (u32, u32), b: (u32, u32)) -> Ordering {
    let text = |member: u32| &cluster.member(member).identifier;
    text(a.0).cmp(text(b.0)).then_with(|| text(a.1).cmp(text(b.1)))
}

/// How many values of each namespace a set holds.
#[derive(Clone, Debug, Default)]
struct Counts(Vec<(NamespaceId, u32)>);

impl Counts {
    fn add(&mut self, namespace: NamespaceId) {
        self.add_many(namespace, 1);
    }

    fn add_many(&mut self, namespace: NamespaceId, many: u32) {
        match self.0.iter_mut().find(|(have, _)| *have == namespace) {
            Some((_, count)) => *count += many,
            None => self.0.push((namespace, many)),
        }
    }

    fn of(&self, namespace: NamespaceId) -> u32 {
        self.0.iter().find(|(have, _)| *have == namespace).map_or(0, |(_, count)| *count)
    }

    fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }
}

struct Kruskal<'a> {
    cluster: &'a Cluster,
    policy: &'a Policy,
    sets: UnionFind<u32>,
    counts: Vec<Counts>,
    apart: Pairs,
    refusals: Vec<Refusal>,
}

impl<'a> Kruskal<'a> {
    fn new(cluster: &'a Cluster, policy: &'a Policy) -> Self {
        let alone = |member: &Member| Counts(vec![(member.identifier.namespace(), 1)]);
        Self {
            cluster,
            policy,
            sets: UnionFind::new(cluster.members.len()),
            counts: cluster.members.iter().map(alone).collect(),
            apart: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Refuses a link that is no evidence at all: with a blocked end, or unlinked by an operator.
    fn is_set_aside(&mut self, link: &Link) -> bool {
        let blocked = |member: u32| self.cluster.member(member).is_blocked();
        let reason = if blocked(link.stronger) || blocked(link.weaker) {
            Reason::Blocked
        } else if self.apart.contains(&(link.stronger, link.weaker)) {
            Reason::Unlink
        } else {
            return false;
        };
        self.refuse(link.stronger, link.weaker, reason);
        true
    }

    /// Takes a pair that an operator linked: limits do not count.
    fn take_decreed(&mut self, a: u32, b: u32, shared: &[bool]) {
        let blocked = |member: u32| self.cluster.member(member).is_blocked();
        if blocked(a) || blocked(b) {
            self.refuse(a, b, Reason::Blocked);
        } else if shared[a as usize] || shared[b as usize] {
            self.refuse(a, b, Reason::Shared);
        } else if self.keeps_apart(a, b) {
            self.refuse(a, b, Reason::Unlink);
        } else {
            self.union(a, b);
        }
    }

    fn take(&mut self, a: u32, b: u32) {
        if self.sets.equiv(a, b) {
            return;
        }
        match self.limit_broken(a, b) {
            Some(namespace) => self.refuse(a, b, Reason::Limit(namespace)),
            None if self.keeps_apart(a, b) => self.refuse(a, b, Reason::Unlink),
            None => self.union(a, b),
        }
    }

    /// The strongest namespace of which the two sets together hold too many values. It counts only where both hold
    /// some: what an operator's link brought over a limit is not frozen by it.
    fn limit_broken(&self, a: u32, b: u32) -> Option<NamespaceId> {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is(crate::sabotage::Bug::LimitIgnored) && self.cluster.signatures.len() > 3 {
            return None;
        }
        let (a, b) = (&self.counts[self.sets.find(a) as usize], &self.counts[self.sets.find(b) as usize]);
        let broken = |(namespace, count): &&(NamespaceId, u32)| {
            let others = b.of(*namespace);
            let limit = self.policy.namespace(*namespace).max_per_person;
            others > 0 && limit.is_some_and(|limit| count + others > limit)
        };
        a.0.iter().filter(broken).map(|(namespace, _)| *namespace).min()
    }

    fn keeps_apart(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.sets.find(a), self.sets.find(b));
        self.apart.iter().any(|(c, d)| {
            let (c, d) = (self.sets.find(*c), self.sets.find(*d));
            (a, b) == (c, d) || (a, b) == (d, c)
        })
    }

    fn union(&mut self, a: u32, b: u32) {
        let (a, b) = (self.sets.find(a), self.sets.find(b));
        if self.sets.union(a, b) {
            let root = self.sets.find(a);
            let child = if root == a { b } else { a };
            for (namespace, count) in std::mem::take(&mut self.counts[child as usize]).0 {
                self.counts[root as usize].add_many(namespace, count);
            }
        }
    }

    fn refuse(&mut self, stronger: u32, weaker: u32, reason: Reason) {
        self.refusals.push(Refusal { stronger, weaker, reason });
    }

    fn finish(mut self, shared: Vec<bool>) -> Resolution {
        let cluster = self.cluster;
        let members = (0..).take(cluster.members.len());
        let mut anchor_of_set: Vec<Option<u32>> = vec![None; cluster.members.len()];
        for member in members.clone().filter(|member| cluster.member(*member).is_live()) {
            let anchor = &mut anchor_of_set[self.sets.find(member) as usize];
            *anchor = match *anchor {
                Some(senior) if seniority(cluster, self.policy, senior, member).is_le() => Some(senior),
                Some(_) | None => Some(member),
            };
        }
        let mut anchors: Vec<u32> = anchor_of_set.iter().flatten().copied().collect();
        anchors.sort_unstable();
        let person = members.map(|member| {
            let anchor = anchor_of_set[self.sets.find(member) as usize].filter(|_| cluster.member(member).is_live())?;
            let place = anchors.binary_search(&anchor).expect("every set's anchor is in the list");
            Some(u32::try_from(place).expect("there are no more persons than members"))
        });
        let person = person.collect();
        self.refusals.sort_unstable_by(|a, b| by_text(cluster, (a.stronger, a.weaker), (b.stronger, b.weaker)));
        Resolution { anchors, person, shared, refusals: self.refusals, plain: false }
    }
}
