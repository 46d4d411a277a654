//! The group coordinator: members, generations and rebalances of the classic protocol, static members among them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::journal::Fact;
use crate::log::Answer;
use crate::node::{Node, now};
use crate::offsets::Offsets;

/// Where a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// No members.
    #[default]
    Empty,
    /// Members are asked to join again.
    PreparingRebalance,
    /// The leader is asked to assign.
    CompletingRebalance,
    /// Everybody knows their partitions.
    Stable,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// What a journal keeps of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupFact {
    pub(crate) name: String,
    generation: i32,
    kind: String,
    protocol: Option<String>,
    leader: Option<String>,
    members: Vec<MemberFact>,
}

/// What a journal keeps of a member.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct MemberFact {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    session_ms: i64,
    rebalance_ms: i64,
    /// What the member offers, the best first: name, and its subscription.
    protocols: Vec<(String, Vec<u8>)>,
    pub(crate) assignment: Vec<u8>,
}

/// A member, and the request of its that waits for an answer.
#[derive(Debug, Default)]
pub(crate) struct Member {
    pub(crate) fact: MemberFact,
    seen: i64,
    joining: Option<oneshot::Sender<Answer<Joined>>>,
    syncing: Option<oneshot::Sender<Answer<Bytes>>>,
}

impl Member {
    pub(crate) fn subscription(&self, protocol: &str) -> Bytes {
        let found = self.fact.protocols.iter().find(|(name, _)| name == protocol);
        found.map_or_else(Bytes::new, |(_, subscription)| Bytes::copy_from_slice(subscription))
    }

    /// A member whose request waits is alive whatever its heartbeats do.
    fn is_late(&self, now: i64) -> bool {
        self.joining.is_none() && self.syncing.is_none() && self.seen + self.fact.session_ms <= now
    }

    /// Answers what waits with an error.
    fn refuse(&mut self, error: ResponseError) {
        if let Some(joining) = self.joining.take() {
            let _ = joining.send(Err(error));
        }
        if let Some(syncing) = self.syncing.take() {
            let _ = syncing.send(Err(error));
        }
    }
}

/// The answer to a member that joined.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) kind: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member: String,
    /// For the leader: everybody, with instance and subscription.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
    /// The leader need not assign: nothing changed.
    pub(crate) skip: bool,
}

/// A `JoinGroup`, as far as the coordinator cares.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) version: i16,
    pub(crate) member: String,
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    pub(crate) kind: String,
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
    pub(crate) protocols: Vec<(String, Vec<u8>)>,
}

/// Who asks: as every request but `JoinGroup` names a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) member: &'a str,
    pub(crate) instance: Option<&'a str>,
    pub(crate) generation: i32,
}

/// An answer that may have to wait for others.
pub(crate) enum Reply<T> {
    Now(Answer<T>),
    Later(oneshot::Receiver<Answer<T>>),
}

impl<T> Reply<T> {
    /// The answer. A coordinator that goes away while one waits is not available.
    pub(crate) async fn wait(self) -> Answer<T> {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => answer.await.unwrap_or(Err(ResponseError::NotCoordinator)),
        }
    }
}

/// A consumer group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    name: String,
    pub(crate) phase: Phase,
    generation: i32,
    pub(crate) kind: String,
    pub(crate) protocol: Option<String>,
    leader: Option<String>,
    pub(crate) members: BTreeMap<String, Member>,
    /// Ids given out to members that have not come back with them, and until when.
    promised: HashMap<String, i64>,
    /// When the rebalance goes on without those that are missing, in ms since 1970.
    deadline: i64,
    /// Until when the first rebalance waits for more members, in ms since 1970.
    gathers_until: i64,
    pub(crate) offsets: Offsets,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) by_name: BTreeMap<String, Group>,
    next_member: u64,
}

impl Groups {
    /// Those that a journal knows; their members have a session's time to be heard of.
    pub(crate) fn load(facts: &[Fact]) -> Self {
        let mut groups = Self { next_member: u64::try_from(now()).unwrap_or(0) << 16, ..Self::default() };
        for fact in facts.iter().cloned() {
            match fact {
                Fact::Group(fact) => {
                    let group = groups.get(&fact.name);
                    let offsets = std::mem::take(&mut group.offsets);
                    *group = Group { offsets, ..Group::from_fact(fact) };
                }
                Fact::Offset { group, topic, partition, offset } => {
                    groups.get(&group).offsets.take(topic, partition, offset);
                }
                Fact::Pending { group, producer, offsets } => {
                    groups.get(&group).offsets.take_pending(producer, offsets)
                }
                _ => {}
            }
        }
        groups
    }

    /// The group of that name, new if there is none.
    pub(crate) fn get(&mut self, name: &str) -> &mut Group {
        let fresh = || Group { name: name.to_owned(), ..Group::default() };
        self.by_name.entry(name.to_owned()).or_insert_with(fresh)
    }

    /// A group that must be there for a member to be in it.
    pub(crate) fn known(&mut self, name: &str) -> Answer<&mut Group> {
        self.by_name.get_mut(name).ok_or(ResponseError::UnknownMemberId)
    }

    /// `JoinGroup`.
    pub(crate) fn join(&mut self, node: &Node, name: &str, join: Join) -> Reply<Joined> {
        self.next_member += 1;
        let fresh = format!("{}-{:016x}", join.instance.as_deref().unwrap_or(&join.client), self.next_member);
        if !join.member.is_empty() && !self.by_name.contains_key(name) {
            return Reply::Now(Err(ResponseError::UnknownMemberId));
        }
        self.get(name).join(node, join, fresh).unwrap_or_else(|error| Reply::Now(Err(error)))
    }

    /// Lets go of members that are not heard of, and of rebalances that take too long. Called by the timer.
    pub(crate) fn tick(&mut self, node: &Node) {
        for group in self.by_name.values_mut() {
            group.tick(node);
        }
    }
}

impl Group {
    fn from_fact(fact: GroupFact) -> Self {
        let seen = now();
        let members =
            fact.members.into_iter().map(|fact| (fact.id.clone(), Member { fact, seen, ..Member::default() }));
        let members: BTreeMap<_, _> = members.collect();
        Self {
            phase: if members.is_empty() { Phase::Empty } else { Phase::Stable },
            name: fact.name,
            generation: fact.generation,
            kind: fact.kind,
            protocol: fact.protocol,
            leader: fact.leader,
            members,
            ..Self::default()
        }
    }

    fn keep(&self, node: &Node) {
        node.record(self.fact());
    }

    /// Takes the group out of the journal.
    pub(crate) fn forget(&self, node: &Node) {
        node.forget(&self.fact());
    }

    fn fact(&self) -> Fact {
        Fact::Group(GroupFact {
            name: self.name.clone(),
            generation: self.generation,
            kind: self.kind.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.members.values().map(|member| member.fact.clone()).collect(),
        })
    }

    /// The member that a static instance is now.
    fn of_instance(&self, instance: &str) -> Option<String> {
        let found = self.members.values().find(|member| member.fact.instance.as_deref() == Some(instance));
        found.map(|member| member.fact.id.clone())
    }

    /// Whether that is a member, and no other took its instance.
    fn check_member(&self, member: &str, instance: Option<&str>) -> Answer<()> {
        if let Some(instance) = instance {
            let current = self.of_instance(instance).ok_or(ResponseError::UnknownMemberId)?;
            return (current == member).then_some(()).ok_or(ResponseError::FencedInstanceId);
        }
        self.members.contains_key(member).then_some(()).ok_or(ResponseError::UnknownMemberId)
    }

    /// The same, of this generation.
    fn check(&self, who: Who<'_>) -> Answer<()> {
        self.check_member(who.member, who.instance)?;
        (who.generation == self.generation).then_some(()).ok_or(ResponseError::IllegalGeneration)
    }

    /// Whether offsets may be committed. Transactions are not held to the phase (KIP-447).
    pub(crate) fn check_commit(&self, who: Who<'_>, transactional: bool) -> Answer<()> {
        if who.generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        match () {
            () if who.generation >= 0 || !who.member.is_empty() || who.instance.is_some() => self.check(who)?,
            () if !transactional && self.phase != Phase::Empty => return Err(ResponseError::UnknownMemberId),
            () => {}
        }
        let assigning = !transactional && self.phase == Phase::CompletingRebalance;
        (!assigning).then_some(()).ok_or(ResponseError::RebalanceInProgress)
    }

    fn join(&mut self, node: &Node, join: Join, fresh: String) -> Answer<Reply<Joined>> {
        self.check_protocols(&join)?;
        let current = join.instance.as_deref().and_then(|instance| self.of_instance(instance));
        match (&join.instance, join.member.is_empty()) {
            (Some(_), true) => match current {
                Some(old) => Ok(self.replace(node, &old, join, fresh)),
                None => Ok(self.admit(node, join, fresh)),
            },
            (None, true) if join.version >= 4 => {
                self.promised.insert(fresh.clone(), now() + i64::from(join.session_ms));
                // The new id travels in the answer's member field.
                Ok(Reply::Now(Ok(Joined::promise(fresh))))
            }
            (None, true) => Ok(self.admit(node, join, fresh)),
            (None, false) if self.promised.remove(&join.member).is_some() => {
                let id = join.member.clone();
                Ok(self.admit(node, join, id))
            }
            (_, false) => {
                self.check_member(&join.member, join.instance.as_deref())?;
                Ok(self.rejoin(node, join))
            }
        }
    }

    fn check_protocols(&self, join: &Join) -> Answer<()> {
        let others = || self.members.values().filter(|member| member.fact.id != join.member);
        let common = |name: &String| others().all(|other| other.fact.protocols.iter().any(|(known, _)| known == name));
        let fits = !join.protocols.is_empty()
            && !join.kind.is_empty()
            && (self.members.is_empty() || self.kind == join.kind)
            && join.protocols.iter().any(|(name, _)| common(name));
        fits.then_some(()).ok_or(ResponseError::InconsistentGroupProtocol)
    }

    fn admit(&mut self, node: &Node, join: Join, id: String) -> Reply<Joined> {
        let reply = self.enter(join, id);
        self.rebalance(node);
        reply
    }

    /// Makes the member what its request says; its answer waits for the rebalance.
    fn enter(&mut self, join: Join, id: String) -> Reply<Joined> {
        let (sender, receiver) = oneshot::channel();
        self.kind = join.kind;
        let member = self.members.entry(id.clone()).or_default();
        member.fact = MemberFact {
            id,
            instance: join.instance,
            client: join.client,
            host: join.host,
            session_ms: i64::from(join.session_ms),
            rebalance_ms: i64::from(join.rebalance_ms),
            protocols: join.protocols,
            assignment: std::mem::take(&mut member.fact.assignment),
        };
        member.seen = now();
        member.refuse(ResponseError::UnknownMemberId);
        member.joining = Some(sender);
        Reply::Later(receiver)
    }

    /// A static member came back under a new id: the old one is fenced. Nothing moves if it wants what it wanted.
    fn replace(&mut self, node: &Node, old: &str, join: Join, id: String) -> Reply<Joined> {
        let Some(mut member) = self.members.remove(old) else { return self.admit(node, join, id) };
        member.refuse(ResponseError::FencedInstanceId);
        let same = member.fact.protocols == join.protocols;
        member.fact.id.clone_from(&id);
        self.members.insert(id.clone(), member);
        let led = self.leader.as_deref() == Some(old);
        if led {
            self.leader = Some(id.clone());
        }
        let version = join.version;
        let reply = self.enter(join, id.clone());
        if self.phase != Phase::Stable || !same {
            self.rebalance(node);
            return reply;
        }
        self.keep(node);
        let mut joined = self.joined(&id);
        joined.skip = led && version >= 9;
        if led && version < 9 {
            // It must not assign anew, so it is told that the one it was leads.
            (joined.leader, joined.members) = (old.to_owned(), Vec::new());
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = None;
        }
        Reply::Now(Ok(joined))
    }

    fn rejoin(&mut self, node: &Node, join: Join) -> Reply<Joined> {
        let id = join.member.clone();
        let same = self.members.get(&id).is_some_and(|member| member.fact.protocols == join.protocols);
        let leads = self.leader.as_deref() == Some(&*id);
        let settled = match self.phase {
            Phase::Stable => same && !leads,
            Phase::CompletingRebalance => same,
            Phase::Empty | Phase::PreparingRebalance => false,
        };
        if settled {
            if let Some(member) = self.members.get_mut(&id) {
                member.seen = now();
            }
            return Reply::Now(Ok(self.joined(&id)));
        }
        let reply = self.enter(join, id);
        self.rebalance(node);
        reply
    }

    fn joined(&self, id: &str) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let leads = self.leader.as_deref() == Some(id);
        let everybody = self.members.values().filter(|_| leads);
        Joined {
            generation: self.generation,
            kind: self.kind.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member: id.to_owned(),
            members: everybody
                .map(|member| (member.fact.id.clone(), member.fact.instance.clone(), member.subscription(&protocol)))
                .collect(),
            protocol,
            skip: false,
        }
    }

    /// Asks everybody to join again, unless that is under way, and goes on if all have.
    fn rebalance(&mut self, node: &Node) {
        if self.phase != Phase::PreparingRebalance {
            self.prepare(node);
        }
        self.complete_if_all_joined(node);
    }

    fn prepare(&mut self, node: &Node) {
        let delay = if self.phase == Phase::Empty { node.settings.initial_rebalance_delay } else { Duration::ZERO };
        self.gathers_until = now() + i64::try_from(delay.as_millis()).unwrap_or(0);
        self.deadline = self.gathers_until + self.patience();
        for member in self.members.values_mut() {
            if let Some(syncing) = member.syncing.take() {
                let _ = syncing.send(Err(ResponseError::RebalanceInProgress));
            }
        }
        self.phase = Phase::PreparingRebalance;
    }

    /// How long the slowest member may take.
    fn patience(&self) -> i64 {
        self.members.values().map(|member| member.fact.rebalance_ms).max().unwrap_or(0)
    }

    fn complete_if_all_joined(&mut self, node: &Node) {
        let all = self.promised.is_empty() && self.members.values().all(|member| member.joining.is_some());
        if self.phase == Phase::PreparingRebalance && all && self.gathers_until <= now() {
            self.complete_join(node);
        }
    }

    /// Ends the joining: a new generation of those that came. Static members keep their place without coming.
    fn complete_join(&mut self, node: &Node) {
        self.members.retain(|_, member| member.joining.is_some() || member.fact.instance.is_some());
        self.generation += 1;
        let here = |member: &&Member| member.joining.is_some();
        let leads = self.leader.as_ref().and_then(|leader| self.members.get(leader)).filter(here).is_some();
        if !leads {
            self.leader = self.members.values().find(here).map(|member| member.fact.id.clone());
        }
        if self.members.is_empty() {
            (self.phase, self.protocol, self.leader) = (Phase::Empty, None, None);
            return self.keep(node);
        }
        self.phase = Phase::CompletingRebalance;
        self.protocol = self.elect_protocol();
        let ids: Vec<_> = self.members.keys().cloned().collect();
        self.deadline = now() + self.patience();
        for id in ids {
            let joined = self.joined(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.seen = now();
                member.fact.assignment.clear();
                if let Some(joining) = member.joining.take() {
                    let _ = joining.send(Ok(joined));
                }
            }
        }
    }

    /// The protocol that all know and most like best.
    fn elect_protocol(&self) -> Option<String> {
        let knows = |member: &Member, name: &String| member.fact.protocols.iter().any(|(known, _)| known == name);
        let mut votes: BTreeMap<&String, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut offered = member.fact.protocols.iter().map(|(name, _)| name);
            if let Some(best) = offered.find(|name| self.members.values().all(|other| knows(other, name))) {
                *votes.entry(best).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.clone())
    }

    /// `SyncGroup`.
    pub(crate) fn sync(
        &mut self,
        node: &Node,
        who: Who<'_>,
        protocol: Option<(&str, &str)>,
        assignments: Vec<(String, Vec<u8>)>,
    ) -> Answer<Reply<Bytes>> {
        self.check(who)?;
        if protocol.is_some_and(|(kind, name)| kind != self.kind || Some(name) != self.protocol.as_deref()) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        let leads = self.leader.as_deref() == Some(who.member);
        let Some(member) = self.members.get_mut(who.member) else { return Err(ResponseError::UnknownMemberId) };
        member.seen = now();
        match self.phase {
            Phase::Empty => Err(ResponseError::UnknownMemberId),
            Phase::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            Phase::Stable => Ok(Reply::Now(Ok(Bytes::from(member.fact.assignment.clone())))),
            Phase::CompletingRebalance => {
                let (sender, receiver) = oneshot::channel();
                member.syncing = Some(sender);
                if leads {
                    self.assign(node, assignments);
                }
                Ok(Reply::Later(receiver))
            }
        }
    }

    fn assign(&mut self, node: &Node, assignments: Vec<(String, Vec<u8>)>) {
        let mut assignments: HashMap<_, _> = assignments.into_iter().collect();
        for (id, member) in &mut self.members {
            member.fact.assignment = assignments.remove(id).unwrap_or_default();
            if let Some(syncing) = member.syncing.take() {
                member.seen = now();
                let _ = syncing.send(Ok(Bytes::from(member.fact.assignment.clone())));
            }
        }
        self.phase = Phase::Stable;
        self.keep(node);
    }

    /// `Heartbeat`.
    pub(crate) fn heartbeat(&mut self, who: Who<'_>) -> Answer<()> {
        self.check(who)?;
        if let Some(member) = self.members.get_mut(who.member) {
            member.seen = now();
        }
        match self.phase {
            Phase::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// `LeaveGroup`, of one member. A static one may be named by its instance alone.
    pub(crate) fn leave(&mut self, node: &Node, member: &str, instance: Option<&str>) -> Answer<()> {
        let by_instance = instance.filter(|_| member.is_empty()).and_then(|instance| self.of_instance(instance));
        let id = by_instance.unwrap_or_else(|| member.to_owned());
        if self.promised.remove(&id).is_some() {
            self.complete_if_all_joined(node);
            return Ok(());
        }
        self.check_member(&id, instance)?;
        self.remove(node, &BTreeSet::from([id]));
        Ok(())
    }

    fn remove(&mut self, node: &Node, gone: &BTreeSet<String>) {
        for id in gone {
            if let Some(mut member) = self.members.remove(id) {
                member.refuse(ResponseError::UnknownMemberId);
            }
        }
        self.rebalance(node);
    }

    fn tick(&mut self, node: &Node) {
        let now = now();
        self.promised.retain(|_, until| *until > now);
        let late = self.members.values().filter(|member| member.is_late(now));
        let mut gone: BTreeSet<_> = late.map(|member| member.fact.id.clone()).collect();
        if self.phase == Phase::CompletingRebalance && self.deadline <= now {
            let silent = self.members.values().filter(|member| member.syncing.is_none());
            gone.extend(silent.map(|member| member.fact.id.clone()));
        }
        if !gone.is_empty() {
            tracing::info!(group = self.name, ?gone, "members are not heard of");
            self.remove(node, &gone);
        }
        if self.phase == Phase::PreparingRebalance && self.deadline <= now {
            self.complete_join(node);
        } else {
            self.complete_if_all_joined(node);
        }
    }
}

impl Joined {
    /// Tells a member the id to join with.
    fn promise(id: String) -> Self {
        let (kind, protocol, leader) = (String::new(), String::new(), String::new());
        Self { generation: -1, kind, protocol, leader, member: id, members: Vec::new(), skip: false }
    }

    /// Whether this is no more than an id to join with.
    pub(crate) fn is_promise(&self) -> bool {
        self.generation < 0
    }
}
