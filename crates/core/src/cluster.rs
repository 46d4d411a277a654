//! Clusters: the evidence of a connected set of identifiers, held together in one place.
//!
//! A cluster is only a container. It says what was seen together; who is who inside it is [`crate::resolve`]'s word.

use std::sync::Arc;

use crate::change::{Cause, Position};
use crate::identifier::{Identifier, IdentifierKey, hashed};
use crate::person::PersonId;
use crate::profile::Profile;
use crate::tight;
use crate::time::Timestamp;
use crate::touchpoint::{Effect, EventKey, EventRef};

/// The set of identifiers of a touchpoint, as one name: the sum of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureKey(pub [u8; 16]);

hashed!(SignatureKey);

impl SignatureKey {
    /// The name of a set of identifiers, whatever their order. Keys are keyed hashes, so their sum is as good as one.
    pub fn of<'a>(identifiers: impl IntoIterator<Item = &'a Identifier>) -> Self {
        let sum = identifiers
            .into_iter()
            .fold(0_u128, |sum, identifier| sum.wrapping_add(u128::from_be_bytes(identifier.key().0)));
        Self(sum.to_be_bytes())
    }
}

/// What an operator said of blocking an identifier: the newest word stands, and at one instant a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// When it was said.
    pub at: Timestamp,
    /// Whether the identifier is blocked.
    pub blocked: bool,
}

/// What the owner of an identifier knows of it beside its root, and tells whoever claims it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Touchpoints received at or before this instant are forgotten.
    pub erased_at: Option<Timestamp>,
    /// The operator's newest word on blocking it.
    pub block: Option<Block>,
}

impl Standing {
    /// Both standings in one: the latest erasure and the newest word.
    pub fn join(self, other: Self) -> Self {
        Self { erased_at: self.erased_at.max(other.erased_at), block: self.block.max(other.block) }
    }

    /// Whether a touchpoint received at this instant is forgotten.
    pub fn forgets(&self, received: Timestamp) -> bool {
        self.erased_at.is_some_and(|erased| received <= erased)
    }
}

/// One identifier of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The identifier.
    pub identifier: Identifier,
    /// The earliest and the latest event time of the evidence that names it; none where no evidence does.
    pub seen: Option<(Timestamp, Timestamp)>,
    /// What its owner knows of it.
    pub standing: Standing,
    /// Whether it is shared and lives in another cluster: it is evidence here, and nobody.
    pub foreign: bool,
    /// Whether it was shared when the persons were last published.
    pub shared: bool,
    /// Whether its owner was last told that it is shared.
    pub told: bool,
    /// The person it belongs to, as last published: an index into [`Cluster::persons`].
    pub person: Option<u32>,
    /// The version last published of the person id that derives from it; 0 where none ever was.
    pub version: u64,
    /// Where the person id that derives from it leads, as last published; none while it leads nowhere or is live.
    pub redirect: Option<PersonId>,
}

impl Member {
    /// A member that no evidence names yet.
    pub fn new(identifier: Identifier, standing: Standing) -> Self {
        Self {
            identifier,
            seen: None,
            standing,
            foreign: false,
            shared: false,
            told: false,
            person: None,
            version: 0,
            redirect: None,
        }
    }

    /// The person id that derives from this identifier.
    pub fn person_id(&self) -> PersonId {
        PersonId::of(self.identifier.key())
    }

    /// Whether an operator blocked it.
    pub fn is_blocked(&self) -> bool {
        self.standing.block.is_some_and(|block| block.blocked)
    }

    /// Whether resolution may make it (part of) a person.
    pub fn is_live(&self) -> bool {
        self.seen.is_some() && !self.foreign && !self.is_blocked()
    }

    /// Widens the span in which it was seen; true where its first sight moved.
    fn see(&mut self, first: Timestamp, last: Timestamp) -> bool {
        let before = self.seen;
        let (had_first, had_last) = before.unwrap_or((first, last));
        self.seen = Some((had_first.min(first), had_last.max(last)));
        before.is_none_or(|(had, _)| first < had)
    }
}

/// The evidence of all touchpoints with one distinct set of identifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its name.
    pub key: SignatureKey,
    /// The identifiers: indexes into [`Cluster::members`], strongest first.
    pub members: Box<[u32]>,
    /// How many distinct touchpoints; 0 where their effects were sent to another cluster, in which its strongest
    /// identifier lives.
    pub count: u64,
    /// The oldest touchpoint and its event time.
    pub first: (Timestamp, EventRef),
    /// The newest touchpoint and its event time.
    pub last: (Timestamp, EventRef),
    /// When the latest of them was received.
    pub received: Timestamp,
    /// The sources, sorted.
    pub sources: Vec<Arc<str>>,
}

impl Signature {
    /// The evidence of one touchpoint.
    pub fn new(key: SignatureKey, members: Box<[u32]>, effect: &Effect) -> Self {
        let seen = (effect.time, effect.event());
        let sources = vec![Arc::clone(&effect.source)];
        Self { key, members, count: 1, first: seen.clone(), last: seen, received: effect.received, sources }
    }

    /// Adds one touchpoint with the same identifiers.
    pub fn observe(&mut self, effect: &Effect) {
        self.count += 1;
        self.received = self.received.max(effect.received);
        let order = |seen: &(Timestamp, EventRef)| {
            (effect.time, &effect.source, &effect.event_id).cmp(&(seen.0, &seen.1.source, &seen.1.event_id))
        };
        if order(&self.first).is_lt() {
            self.first = (effect.time, effect.event());
        }
        if order(&self.last).is_gt() {
            self.last = (effect.time, effect.event());
        }
        if let Err(place) = self.sources.binary_search(&effect.source) {
            self.sources.insert(place, Arc::clone(&effect.source));
        }
    }

    /// Adds the evidence of disjoint touchpoints with the same identifiers.
    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.received = self.received.max(other.received);
        self.first = self.first.clone().min(other.first.clone());
        self.last = self.last.clone().max(other.last.clone());
        for source in &other.sources {
            if let Err(place) = self.sources.binary_search(source) {
                self.sources.insert(place, Arc::clone(source));
            }
        }
    }
}

/// An operator's word on two identifiers. The newest word on a pair stands; at one instant an `unlink` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decree {
    /// The pair, sorted by text.
    pub pair: [Identifier; 2],
    /// When it was said.
    pub at: Timestamp,
    /// `true` links, `false` unlinks.
    pub linked: bool,
    /// Which directive said it, and where.
    pub cause: Cause,
}

impl Decree {
    fn supersedes(&self, other: &Self) -> bool {
        (self.at, !self.linked, &self.cause.event) > (other.at, !other.linked, &other.cause.event)
    }
}

/// A touchpoint on its way to its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Its identifiers, strongest first.
    pub identifiers: Vec<Identifier>,
    /// What it does to a profile. In a box, because it is handed on a few times.
    pub effect: Box<Effect>,
    /// The key of its event.
    pub event: EventKey,
    /// Where it stood.
    pub position: Position,
}

/// A person as last published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The member whose identifier gives the person its id.
    pub anchor: u32,
    /// The fold of the effects of its touchpoints.
    pub profile: Profile,
}

/// A connected set of identifiers with the evidence that connects them and the persons last published from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The identifiers, in the order in which they came.
    pub members: Vec<Member>,
    /// The evidence, in the order in which it came.
    pub signatures: Vec<Signature>,
    /// What operators said of pairs.
    pub decrees: Vec<Decree>,
    /// The persons, as last published.
    pub persons: Vec<Person>,
    /// The versions of the person ids of identifiers that were forgotten here, should they come back: sorted by key.
    pub retired: Vec<(IdentifierKey, u64)>,
    /// Touchpoints that wait until every identifier they name is known to belong here.
    pub held: Vec<Observation>,
    /// Clusters that are arriving in pieces: the junior's root, and how many pieces are still to come. A piece that
    /// overtakes the others counts below zero.
    pub arriving: Vec<(IdentifierKey, i64)>,
    /// Whether it broke no rule when it was last resolved: everything in it is one person.
    pub plain: bool,
    /// Whether evidence was added that the published persons do not show yet.
    pub stale: bool,
    /// Whether it waits for its turn to be resolved because it is too large to be resolved at every step.
    pub queued: bool,
}

impl Cluster {
    /// The index of a member.
    pub fn find(&self, key: IdentifierKey) -> Option<u32> {
        let index = self.members.iter().position(|member| member.identifier.key() == key)?;
        Some(index_of(index))
    }

    /// The index of a signature.
    pub fn find_signature(&self, key: SignatureKey) -> Option<usize> {
        self.signatures.iter().position(|signature| signature.key == key)
    }

    /// The member at an index.
    pub fn member(&self, index: u32) -> &Member {
        &self.members[index as usize]
    }

    /// Adds a member, or joins what is known of it with what is said now.
    pub fn admit(&mut self, identifier: &Identifier, standing: Standing, foreign: bool) -> u32 {
        let index = self.find(identifier.key()).unwrap_or_else(|| {
            let mut member = Member::new(identifier.clone(), standing);
            member.version = self.take_retired(identifier.key());
            tight::push(&mut self.members, member);
            index_of(self.members.len() - 1)
        });
        let member = &mut self.members[index as usize];
        member.standing = member.standing.join(standing);
        member.foreign = foreign;
        index
    }

    fn take_retired(&mut self, key: IdentifierKey) -> u64 {
        let place = self.retired.binary_search_by_key(&key, |(key, _)| *key);
        place.map_or(0, |place| self.retired.remove(place).1)
    }

    fn retire(&mut self, key: IdentifierKey, version: u64) {
        match self.retired.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(place) => self.retired[place].1 = self.retired[place].1.max(version),
            Err(place) => self.retired.insert(place, (key, version)),
        }
    }

    /// Adds a touchpoint to the evidence. Every identifier must be a member. Returns the index of its signature and
    /// whether the shape of the cluster moved: a new signature, or a member seen earlier than ever.
    pub fn observe(&mut self, observation: &Observation) -> (usize, bool) {
        let effect = &observation.effect;
        let key = SignatureKey::of(&observation.identifiers);
        let (index, mut moved) = match self.find_signature(key) {
            Some(index) => {
                self.signatures[index].observe(effect);
                (index, false)
            }
            None => {
                let members = observation
                    .identifiers
                    .iter()
                    .map(|identifier| self.find(identifier.key()).expect("an observation's identifiers are members"))
                    .collect();
                tight::push(&mut self.signatures, Signature::new(key, members, effect));
                (self.signatures.len() - 1, true)
            }
        };
        for member in &self.signatures[index].members {
            moved |= self.members[*member as usize].see(effect.time, effect.time);
        }
        (index, moved)
    }

    /// Adds an operator's word on two members. An older word on the same pair is dropped.
    pub fn decree(&mut self, decree: Decree) {
        match self.decrees.iter_mut().find(|have| have.pair == decree.pair) {
            Some(have) if decree.supersedes(have) => *have = decree,
            Some(_) => {}
            None => {
                let place = self.decrees.partition_point(|have| have.pair < decree.pair);
                self.decrees.insert(place, decree);
            }
        }
        self.review_sightings();
    }

    /// Takes over all of another cluster: its members, evidence, decrees, persons and what it holds. Returns where
    /// each of the other's signatures now stands, and whether effects of one signature had been folded by both.
    pub fn absorb(&mut self, other: Cluster) -> (Vec<usize>, bool) {
        let persons = index_of(self.persons.len());
        let renumbered: Vec<u32> = other.members.iter().map(|member| self.absorb_member(member, persons)).collect();
        self.persons.extend(
            other
                .persons
                .into_iter()
                .map(|person| Person { anchor: renumbered[person.anchor as usize], profile: person.profile }),
        );
        let counted = |cluster: &Self, signature: &Signature| {
            cluster.find_signature(signature.key).is_some_and(|place| cluster.signatures[place].count > 0)
        };
        let twofold = other.signatures.iter().any(|signature| signature.count > 0 && counted(self, signature));
        let places =
            other.signatures.into_iter().map(|signature| self.absorb_signature(signature, &renumbered)).collect();
        for decree in other.decrees {
            self.decree(decree);
        }
        if !self.decrees.is_empty() {
            self.review_sightings();
        }
        self.held.extend(other.held);
        for (key, version) in other.retired {
            match self.find(key) {
                Some(member) => {
                    let member = &mut self.members[member as usize];
                    member.version = member.version.max(version);
                }
                None => self.retire(key, version),
            }
        }
        for (root, pieces) in other.arriving {
            self.await_pieces(root, pieces);
        }
        self.stale |= other.stale;
        self.plain = false;
        (places, twofold)
    }

    fn absorb_member(&mut self, other: &Member, persons: u32) -> u32 {
        let index = match self.find(other.identifier.key()) {
            Some(index) => index,
            None => {
                let mut member = Member::new(other.identifier.clone(), other.standing);
                member.foreign = true;
                member.version = self.take_retired(other.identifier.key());
                tight::push(&mut self.members, member);
                index_of(self.members.len() - 1)
            }
        };
        let member = &mut self.members[index as usize];
        member.standing = member.standing.join(other.standing);
        member.foreign &= other.foreign;
        member.shared |= other.shared;
        member.told |= other.told;
        // Published by both: neither word is known to be the last one, so it will be said anew.
        member.person = match (member.person, other.person) {
            (Some(_), Some(_)) => None,
            (mine, theirs) => mine.or(theirs.map(|person| person + persons)),
        };
        member.version = member.version.max(other.version);
        member.redirect = member.redirect.or(other.redirect);
        if let Some((first, last)) = other.seen {
            member.see(first, last);
        }
        index
    }

    fn absorb_signature(&mut self, mut signature: Signature, renumbered: &[u32]) -> usize {
        match self.find_signature(signature.key) {
            Some(place) => {
                self.signatures[place].join(&signature);
                place
            }
            None => {
                for member in &mut signature.members {
                    *member = renumbered[*member as usize];
                }
                tight::push(&mut self.signatures, signature);
                self.signatures.len() - 1
            }
        }
    }

    /// Notes that `pieces` more pieces of a junior cluster are expected (or, below zero, have come).
    pub fn await_pieces(&mut self, root: IdentifierKey, pieces: i64) {
        match self.arriving.iter().position(|(have, _)| *have == root) {
            Some(place) => {
                self.arriving[place].1 += pieces;
                if self.arriving[place].1 == 0 {
                    self.arriving.swap_remove(place);
                }
            }
            None if pieces != 0 => self.arriving.push((root, pieces)),
            None => {}
        }
    }

    /// The member that the effect of a signature goes to: the strongest that is nobody's shared device; where all are
    /// shared, the strongest that lives here. None where every identifier is blocked or lives elsewhere.
    pub fn beneficiary(&self, signature: &Signature, shared: impl Fn(u32) -> bool) -> Option<u32> {
        let mut live = signature.members.iter().copied().filter(|member| self.member(*member).is_live());
        let strongest = live.next()?;
        if !shared(strongest) {
            return Some(strongest);
        }
        Some(live.find(|member| !shared(*member)).unwrap_or(strongest))
    }

    /// Where the effect of a signature belongs if not here: the place, in the signature, of its strongest identifier that
    /// is not blocked, where every such identifier is shared and that one lives in another cluster.
    pub fn stray(&self, signature: &Signature, shared: impl Fn(u32) -> bool) -> Option<usize> {
        let mut candidates =
            signature.members.iter().enumerate().filter(|(_, member)| !self.member(**member).is_blocked());
        let (strongest, member) = candidates.next()?;
        let all_shared = shared(*member) && candidates.all(|(_, member)| shared(*member));
        (all_shared && self.member(*member).foreign).then_some(strongest)
    }

    /// Looks again at when each member was seen, from the evidence that is left.
    pub fn review_sightings(&mut self) {
        for member in &mut self.members {
            member.seen = None;
        }
        for signature in &self.signatures {
            for member in &signature.members {
                self.members[*member as usize].see(signature.first.0, signature.last.0);
            }
        }
        for decree in self.decrees.iter().filter(|decree| decree.linked) {
            for identifier in &decree.pair {
                let found = self.members.iter_mut().find(|member| member.identifier == *identifier);
                if let Some(member) = found {
                    member.see(decree.at, decree.at);
                }
            }
        }
    }

    /// Drops the members that no evidence names, except those that something still waits for. Of each only a keyed hash
    /// and the version of its person id are kept.
    pub fn drop_unseen(&mut self) {
        let kept = |member: &Member, cluster: &Self| {
            member.seen.is_some()
                || cluster.held.iter().any(|held| held.identifiers.contains(&member.identifier))
                || cluster.decrees.iter().any(|decree| decree.pair.contains(&member.identifier))
        };
        if self.members.iter().all(|member| kept(member, self)) {
            return;
        }
        let keep: Vec<bool> = self.members.iter().map(|member| kept(member, self)).collect();
        let mut renumbered = Vec::with_capacity(keep.len());
        let mut next = 0;
        for kept in &keep {
            renumbered.push(next);
            next += u32::from(*kept);
        }
        for signature in &mut self.signatures {
            for member in &mut signature.members {
                *member = renumbered[*member as usize];
            }
        }
        for person in &mut self.persons {
            person.anchor = renumbered[person.anchor as usize];
        }
        for (member, keep) in std::mem::take(&mut self.members).into_iter().zip(keep) {
            if keep {
                self.members.push(member);
            } else if member.version > 0 {
                self.retire(member.identifier.key(), member.version);
            }
        }
    }
}

fn index_of(length: usize) -> u32 {
    u32::try_from(length).expect("a cluster has fewer than four thousand million parts")
}
