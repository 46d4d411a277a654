//! The mesh protocol: the state machine of a worker's partitions. Messages in; state read and written; messages and
//! outputs out. It reads no clock and knows no log.
//!
//! Unions have no conditions and commute, every message makes a parent more senior or is final, and what a cluster
//! holds is decided by its evidence alone: so the order in which messages come decides nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use musubi_core::change::{Cause, Output, Position};
use musubi_core::cluster::{Block, Cluster, Decree, Observation, SignatureKey, Standing};
use musubi_core::directive::Order;
use musubi_core::forest::{Home, Root};
use musubi_core::identifier::{DeploymentKey, Identifier, IdentifierKey};
use musubi_core::policy::Policy;
use musubi_core::touchpoint::{Effect, EventKey, EventRef, Rejection, Seen};
use musubi_store::{self as store, Reader, Writer};

use crate::memory::{Capacity, Memory};
use crate::message::{Message, Piece};
use crate::transfer;
use crate::work::Work;

/// What a worker hands to its partitions.
#[derive(Clone, Debug)]
pub enum Input {
    /// A touchpoint as the policy reads it, at the owner of its strongest identifier.
    Touchpoint {
        /// The touchpoint.
        observation: Observation,
        /// A digest of its content, to tell a copy from a conflicting one.
        content: u64,
    },
    /// A directive, at the owner of its (first) identifier.
    Directive(Ruling),
    /// A message from another partition.
    Message(Message),
}

/// A directive as the policy reads it.
#[derive(Clone, Debug)]
pub enum Ruling {
    /// A word on a pair.
    Decree(Decree),
    /// A word on one identifier: an erasure or a block.
    Standing(Identifier, Standing, Cause),
    /// Consent, which travels like a touchpoint.
    Consent(Observation),
}

impl Ruling {
    /// Reads a directive under a policy. The error is the identifier that cannot be read.
    pub fn read(
        directive: &musubi_core::directive::Directive,
        policy: &Policy,
        deployment: &DeploymentKey,
        position: Position,
    ) -> Result<Self, String> {
        let event = EventRef { source: Arc::clone(&directive.source), event_id: Arc::clone(&directive.directive_id) };
        let identify = |(namespace, value): &(Arc<str>, Arc<str>)| {
            policy
                .identifier(namespace, value, deployment)
                .map_err(|why| format!("identifier `{namespace}:{value}`: {why}"))
        };
        let cause = Cause { directive: true, event: event.clone(), position: position.clone() };
        let stand = |erased_at, block| Standing { erased_at, block };
        let block = |blocked| Some(Block { at: directive.at, blocked });
        Ok(match &directive.order {
            Order::Link(pair) | Order::Unlink(pair) => {
                let mut pair = [identify(&pair[0])?, identify(&pair[1])?];
                pair.sort();
                let linked = matches!(directive.order, Order::Link(_));
                Self::Decree(Decree { pair, at: directive.at, linked, cause })
            }
            Order::Block(identifier) => Self::Standing(identify(identifier)?, stand(None, block(true)), cause),
            Order::Unblock(identifier) => Self::Standing(identify(identifier)?, stand(None, block(false)), cause),
            Order::Erase(identifier) => Self::Standing(identify(identifier)?, stand(Some(directive.at), None), cause),
            Order::Consent(identifier, consent) => Self::Consent(Observation {
                identifiers: vec![identify(identifier)?],
                event: EventKey::of(&event.source, &event.event_id),
                effect: Box::new(Effect {
                    source: event.source,
                    event_id: event.event_id,
                    channel: "operator".into(),
                    kind: "consent_changed".into(),
                    time: directive.at,
                    received: directive.at,
                    traits: Vec::new(),
                    properties: Vec::new(),
                    consent: consent.clone(),
                    household: None,
                    account: None,
                }),
                position,
            }),
        })
    }

    /// The identifier whose owner takes it in.
    pub fn entry(&self) -> &Identifier {
        match self {
            Self::Decree(decree) => &decree.pair[0],
            Self::Standing(identifier, ..) => identifier,
            Self::Consent(observation) => &observation.identifiers[0],
        }
    }
}

/// What became of a touchpoint at its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is evidence.
    Taken,
    /// It is a copy of one that was seen.
    Duplicate,
    /// It was forgotten before it came.
    Forgotten,
    /// It is set aside.
    Rejected(Rejection),
}

/// Something an operator may want to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The cluster's root.
    pub root: Root,
    /// How many identifiers it holds.
    pub members: usize,
    /// Those with the most neighbours, most first: what glues it together.
    pub glue: Vec<Identifier>,
}

/// All that one step says to the world.
#[derive(Debug, Default)]
pub struct Effects {
    /// Messages, each with the partition it goes to, in the order in which they must be appended.
    pub messages: Vec<(u32, Message)>,
    /// What is said downstream, in order.
    pub outputs: Vec<Output>,
    /// Clusters above `max_cluster` that were resolved.
    pub alerts: Vec<Alert>,
    /// For each touchpoint of the step, in order, what became of it.
    pub verdicts: Vec<Verdict>,
}

/// How a machine works. None of it changes who is who.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How much is remembered between steps.
    pub capacity: Capacity,
    /// Whether the whole state of a person is published beside each change.
    pub snapshots: bool,
    /// Whether clusters above `max_cluster` are resolved at a throttled pace, by a message to themselves. A bounded run,
    /// where nobody waits, does without.
    pub throttle: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { capacity: Capacity::default(), snapshots: true, throttle: true }
    }
}

/// The state machine of the partitions that a worker holds.
pub struct Machine<R> {
    pub(crate) policy: Arc<Policy>,
    pub(crate) partitions: u32,
    pub(crate) memory: Memory<R>,
    pub(crate) effects: Effects,
    local: VecDeque<(u32, Message)>,
    /// The partition whose input is being handled.
    pub(crate) here: u32,
    pub(crate) options: Options,
}

impl<R: Reader> Machine<R> {
    /// A machine for one policy and `partitions` partitions over what `reader` reads.
    pub fn new(policy: Arc<Policy>, partitions: u32, reader: R, options: Options) -> Self {
        Self {
            policy,
            partitions,
            memory: Memory::new(reader, options.capacity),
            effects: Effects::default(),
            local: VecDeque::new(),
            here: 0,
            options,
        }
    }

    /// The reader beneath.
    pub fn reader_mut(&mut self) -> &mut R {
        self.memory.reader_mut()
    }

    /// Takes in a step's inputs, each at the partition it came to, and says what follows. The state that goes with it
    /// is then written by [`Machine::write`]; after an error or a failed commit call [`Machine::forget`].
    pub fn step(&mut self, inputs: Vec<(u32, Input)>) -> Result<Effects, store::Error> {
        self.take_in(inputs)?;
        self.publish()
    }

    /// The first half of a step: takes in the inputs, and publishes nothing yet. Where one worker holds every
    /// partition, it can hand itself the messages of [`Machine::outgoing`] until there are none, and publish once.
    pub fn take_in(&mut self, inputs: Vec<(u32, Input)>) -> Result<(), store::Error> {
        self.prefetch(&inputs)?;
        for (partition, input) in inputs {
            self.take(partition, input)?;
            self.drain()?;
        }
        self.settle()
    }

    /// The messages to other partitions that what was taken in has led to.
    pub fn outgoing(&mut self) -> Vec<(u32, Message)> {
        std::mem::take(&mut self.effects.messages)
    }

    /// The second half of a step: publishes every person that what was taken in has changed.
    pub fn publish(&mut self) -> Result<Effects, store::Error> {
        self.publish_all()?;
        // The next step will say about as much: what it says is gathered without growing and moving.
        let room = self.effects.outputs.len();
        let effects = std::mem::take(&mut self.effects);
        self.effects.outputs.reserve(room);
        Ok(effects)
    }

    /// Hands the state that steps have changed to the writer, whose rows the store must have before the next step.
    pub fn write(&mut self, writer: &mut impl Writer) {
        self.memory.write(writer);
        self.memory.stored();
    }

    /// As [`Machine::write`], where the store will have the rows only together with those of later steps, of which the
    /// last is handed over by [`Machine::write`]. What a step has just touched is written for less than half, because
    /// it is still near the processor.
    pub fn write_ahead(&mut self, writer: &mut impl Writer) {
        self.memory.write(writer);
    }

    /// Forgets all that is in memory and reads it anew when it is asked for.
    pub fn forget(&mut self) {
        self.memory.forget();
        self.local.clear();
        self.effects = Effects::default();
    }

    fn prefetch(&mut self, inputs: &[(u32, Input)]) -> Result<(), store::Error> {
        let (mut events, mut identifiers) = (Vec::with_capacity(inputs.len()), Vec::with_capacity(inputs.len()));
        let mut roots = Vec::new();
        for (partition, input) in inputs {
            match input {
                Input::Touchpoint { observation, .. } => {
                    events.push((*partition, observation.event));
                    identifiers.push((*partition, observation.identifiers[0].key()));
                }
                Input::Directive(ruling) => {
                    if let Ruling::Consent(observation) = ruling {
                        events.push((*partition, observation.event));
                    }
                    identifiers.push((*partition, ruling.entry().key()));
                }
                Input::Message(message) => match message {
                    Message::Observe { root, .. }
                    | Message::Claimed { root, .. }
                    | Message::Shared { root, .. }
                    | Message::Absorb { root, .. }
                    | Message::Stand { root, .. }
                    | Message::Decree { root, .. }
                    | Message::Resolve { root }
                    | Message::Union { junior: root, .. } => roots.push(*root),
                    Message::Claim { identifier, .. } | Message::Share { identifier, .. } => {
                        identifiers.push((*partition, identifier.key()))
                    }
                    Message::Reparent { identifier, .. } => identifiers.push((*partition, *identifier)),
                    Message::Enter { observation, entry, .. } => {
                        identifiers.push((*partition, observation.identifiers[*entry as usize].key()));
                    }
                },
            }
        }
        self.memory.prefetch(events, identifiers, roots)
    }

    /// Handles what was sent to the partition at hand itself, until nothing is left.
    pub(crate) fn drain(&mut self) -> Result<(), store::Error> {
        while let Some((partition, message)) = self.local.pop_front() {
            self.take(partition, Input::Message(message))?;
        }
        Ok(())
    }

    fn take(&mut self, partition: u32, input: Input) -> Result<(), store::Error> {
        self.here = partition;
        match input {
            Input::Touchpoint { observation, content } => {
                let verdict = self.arrive(observation, content)?;
                self.effects.verdicts.push(verdict);
                Ok(())
            }
            Input::Directive(Ruling::Decree(decree)) => self.ordain(decree),
            Input::Directive(Ruling::Standing(identifier, standing, cause)) => self.rule(&identifier, standing, &cause),
            Input::Directive(Ruling::Consent(observation)) => self.arrive(observation, 0).map(|_| ()),
            Input::Message(message) => self.hear(message),
        }
    }

    fn hear(&mut self, message: Message) -> Result<(), store::Error> {
        match message {
            Message::Enter { observation, entry, finally } => self.enter(observation, entry, finally),
            Message::Observe { root, entry, observation } => self.observe(root, entry, observation),
            Message::Claim { identifier, root } => self.claim(identifier, root),
            Message::Claimed { root, identifier, standing } => self.claimed(root, identifier, standing, false),
            Message::Shared { root, identifier, standing } => self.claimed(root, identifier, standing, true),
            Message::Union { senior, junior, claim } => self.union(senior, junior, claim),
            Message::Absorb { root, from, pieces, piece } => self.absorb(root, from, pieces, piece),
            Message::Reparent { identifier, root } => self.reparent(identifier, root),
            Message::Share { identifier, shared } => self.share(identifier, shared),
            Message::Stand { root, identifier, standing, cause } => self.stand(root, identifier, standing, cause),
            Message::Decree { root, decree } => self.decree(root, decree),
            Message::Resolve { root } => self.resolve_now(root),
        }
    }

    /// Sends a message: within the worker's own partition it is handled in the same step, else it goes to the log.
    pub(crate) fn send(&mut self, to: u32, message: Message) {
        #[cfg(feature = "sabotage")]
        if musubi_core::sabotage::strikes(musubi_core::sabotage::Bug::LostMessage, 97) {
            return;
        }
        if to == self.here {
            self.local.push_back((to, message));
        } else {
            self.effects.messages.push((to, message));
        }
    }

    fn owner(&self, identifier: &Identifier) -> u32 {
        identifier.owner(self.partitions)
    }

    /// Takes in a touchpoint at the owner of its strongest identifier, once.
    fn arrive(&mut self, observation: Observation, content: u64) -> Result<Verdict, store::Error> {
        let time = observation.effect.time;
        let number = self.memory.next_arrival();
        if let Some(seen) = self.memory.seen(number)
            && seen.time.distance(time) <= self.policy.limits.dedup_horizon
        {
            let same = seen.content == content;
            return Ok(if same { Verdict::Duplicate } else { Verdict::Rejected(Rejection::ConflictingDuplicate) });
        }
        self.memory.see(number, Seen { content, time });
        let parent = self.memory.parent(self.here, observation.identifiers[0].key())?;
        if parent.standing.forgets(observation.effect.received) {
            return Ok(Verdict::Forgotten);
        }
        self.enter(observation, 0, false)?;
        Ok(Verdict::Taken)
    }

    /// Finds the cluster of a touchpoint's identifier number `entry`, which this partition owns. A shared identifier
    /// passes it on to the next weaker one; where all are shared it comes back to the strongest, `finally`.
    fn enter(&mut self, observation: Observation, entry: u32, finally: bool) -> Result<(), store::Error> {
        let identifier = observation.identifiers[entry as usize].clone();
        let parent = self.memory.parent(self.here, identifier.key())?;
        if parent.standing.forgets(observation.effect.received) {
            return Ok(());
        }
        if parent.shared && !finally {
            let last = observation.identifiers.len() - 1;
            if (entry as usize) < last {
                let owner = self.owner(&observation.identifiers[entry as usize + 1]);
                self.send(owner, Message::Enter { observation, entry: entry + 1, finally: false });
            } else {
                self.send_home(observation, 0);
            }
            return Ok(());
        }
        let root = self.root_of(&identifier)?;
        if root.partition == self.here {
            self.observe(root, entry, observation)
        } else {
            self.send(root.partition, Message::Observe { root, entry, observation });
            Ok(())
        }
    }

    /// Every identifier that counts is shared: the touchpoint stays with the strongest, number `entry`.
    pub(crate) fn send_home(&mut self, observation: Observation, entry: u32) {
        let owner = self.owner(&observation.identifiers[entry as usize]);
        self.send(owner, Message::Enter { observation, entry, finally: true });
    }

    /// The root that an identifier of this partition belongs to. One that nobody claimed becomes a root of its own.
    fn root_of(&mut self, identifier: &Identifier) -> Result<Root, store::Error> {
        let parent = self.memory.parent(self.here, identifier.key())?;
        if let Some(root) = parent.root {
            return Ok(root);
        }
        let root = Root { key: identifier.key(), partition: self.here };
        let parent = self.memory.parent_mut(self.here, identifier.key())?;
        parent.root = Some(root);
        let standing = parent.standing;
        self.claimed(root, identifier.clone(), standing, false)?;
        Ok(root)
    }

    /// Adds a touchpoint to the evidence of a cluster, or holds it until all it names is known to belong here.
    fn observe(&mut self, root: Root, entry: u32, observation: Observation) -> Result<(), store::Error> {
        let cell = self.memory.cluster(root)?;
        let (cluster, work) = match cell.live() {
            Ok(live) => live,
            Err(forward) => {
                let identifier = observation.identifiers[entry as usize].clone();
                let owner = self.owner(&identifier);
                self.send(forward.partition, Message::Observe { root: forward, entry, observation });
                self.send(owner, Message::Reparent { identifier: identifier.key(), root: forward });
                return Ok(());
            }
        };
        // Whoever was seen in this company before has nobody in it that is strange.
        let known = cluster.find_signature(SignatureKey::of(&observation.identifiers));
        if let Some(place) = known {
            let forgets = |member: &u32| cluster.member(*member).standing.forgets(observation.effect.received);
            if cluster.signatures[place].members.iter().any(forgets) {
                return Ok(());
            }
            return self.apply(root, observation);
        }
        if forgets(cluster, &observation) {
            return Ok(());
        }
        let strangers = strangers(cluster, &observation.identifiers);
        if strangers.is_empty() {
            return self.apply(root, observation);
        }
        let waited_for: Vec<Identifier> = strangers
            .into_iter()
            .filter(|identifier| !cluster.held.iter().any(|held| held.identifiers.contains(identifier)))
            .collect();
        cluster.held.push(observation);
        work.changed = true;
        self.claim_all(root, waited_for);
        Ok(())
    }

    fn claim_all(&mut self, root: Root, identifiers: Vec<Identifier>) {
        for identifier in identifiers {
            self.send(self.owner(&identifier), Message::Claim { identifier, root });
        }
    }

    /// Adds a touchpoint, all of whose identifiers are members, to the evidence.
    fn apply(&mut self, root: Root, observation: Observation) -> Result<(), store::Error> {
        let recorded = self.memory.next_record();
        let Ok((cluster, work)) = self.memory.cluster(root)?.live() else {
            unreachable!("evidence is applied to live clusters")
        };
        let (place, moved) = cluster.observe(&observation);
        let signature = cluster.signatures[place].key;
        work.changed = true;
        work.moved |= moved;
        work.resolution = None;
        work.fresh.push((u32::try_from(place).expect("a place among the signatures"), recorded));
        work.last = Some(recorded);
        let Observation { effect, event, position, .. } = observation;
        self.memory.record(root.partition, signature, event, effect, Some(position));
        Ok(())
    }

    /// At the owner of an identifier: another cluster saw it.
    fn claim(&mut self, identifier: Identifier, root: Root) -> Result<(), store::Error> {
        let key = identifier.key();
        let parent = self.memory.parent(self.here, key)?;
        let standing = parent.standing;
        match parent.root {
            Some(home) if home != root && parent.shared => {
                let parent = self.memory.parent_mut(self.here, key)?;
                if let Err(place) = parent.askers.binary_search(&root) {
                    parent.askers.insert(place, root);
                }
                self.send(root.partition, Message::Shared { root, identifier, standing });
            }
            // No answer yet: once the two are one, the cluster that came of it claims again what it still misses.
            Some(home) if home != root => self.unite(root, home, Some((root, identifier, standing))),
            Some(_) => self.send(root.partition, Message::Claimed { root, identifier, standing }),
            None => {
                self.memory.parent_mut(self.here, key)?.root = Some(root);
                self.send(root.partition, Message::Claimed { root, identifier, standing });
            }
        }
        Ok(())
    }

    /// Asks the home of the junior of two roots to give itself up to the senior. A claim that led to it is answered
    /// here if the two turn out to be one already.
    fn unite(&mut self, a: Root, b: Root, claim: Option<(Root, Identifier, Standing)>) {
        let (senior, junior) = (a.min(b), a.max(b));
        if senior != junior {
            self.send(junior.partition, Message::Union { senior, junior, claim });
        } else if let Some((root, identifier, standing)) = claim {
            self.send(root.partition, Message::Claimed { root, identifier, standing });
        }
    }

    /// At the home of a root: an identifier that it claimed is its own, or is shared and lives elsewhere.
    fn claimed(
        &mut self,
        root: Root,
        identifier: Identifier,
        standing: Standing,
        shared: bool,
    ) -> Result<(), store::Error> {
        let cell = self.memory.cluster(root)?;
        let (cluster, work) = match cell.live() {
            Ok(live) => live,
            Err(root) => {
                let message = if shared {
                    Message::Shared { root, identifier, standing }
                } else {
                    Message::Claimed { root, identifier, standing }
                };
                self.send(root.partition, message);
                return Ok(());
            }
        };
        let member = cluster.find(identifier.key());
        let lives_here = member.is_some_and(|member| !cluster.member(member).foreign);
        let before = member.map(|member| cluster.member(member).standing).unwrap_or_default();
        let member = cluster.admit(&identifier, standing, shared && !lives_here);
        work.changed = true;
        work.moved = true;
        work.resolution = None;
        // A foreign identifier that comes home, or news of it, may take evidence away or give it to somebody else.
        work.refold |= cluster.member(member).seen.is_some();
        if standing.erased_at > before.erased_at {
            self.forget_evidence(root, identifier.key())?;
        }
        cluster_review(&mut self.memory, root)?;
        self.release(root)
    }

    /// Applies what was held and waits for nothing any more, and drops what is forgotten.
    fn release(&mut self, root: Root) -> Result<(), store::Error> {
        let Ok((cluster, _)) = self.memory.cluster(root)?.live() else { return Ok(()) };
        if cluster.held.is_empty() {
            return Ok(());
        }
        let mut ready = Vec::new();
        let mut waiting = Vec::new();
        for held in std::mem::take(&mut cluster.held) {
            if forgets(cluster, &held) {
                continue;
            }
            if strangers(cluster, &held.identifiers).is_empty() { ready.push(held) } else { waiting.push(held) }
        }
        cluster.held = waiting;
        for observation in ready {
            self.apply(root, observation)?;
        }
        Ok(())
    }

    /// At the home of the junior of two roots: give the cluster up, or pass the word on to where it went.
    fn union(
        &mut self,
        senior: Root,
        junior: Root,
        claim: Option<(Root, Identifier, Standing)>,
    ) -> Result<(), store::Error> {
        let cell = self.memory.cluster(junior)?;
        if let Err(went) = cell.live() {
            #[cfg(feature = "sabotage")]
            if musubi_core::sabotage::is(musubi_core::sabotage::Bug::StaleRedirect) && went != senior {
                return Ok(());
            }
            self.unite(senior, went, claim);
            return Ok(());
        }
        let work = cell.work.replace(Box::new(Work { changed: true, ..Work::default() })).unwrap_or_default();
        let Home::Live(cluster) = std::mem::replace(&mut cell.home, Home::Forward(senior)) else {
            unreachable!("it was live a moment ago")
        };
        #[cfg(feature = "sabotage")]
        if musubi_core::sabotage::strikes(musubi_core::sabotage::Bug::ForgottenCompression, 7) {
            cell.home = Home::Live(Box::default());
        }
        self.memory.parent_mut(self.here, junior.key)?.root = Some(senior);
        if senior.partition == self.here {
            self.absorb_here(senior, *cluster, *work)
        } else {
            self.send_away(senior, junior, *cluster)
        }
    }

    /// Absorbs a junior of the same partition: nothing is copied, and its effects stay where they are.
    fn absorb_here(&mut self, mut senior: Root, junior: Cluster, mut junior_work: Work) -> Result<(), store::Error> {
        while let Home::Forward(root) = self.memory.cluster(senior)?.home {
            if root.partition != self.here {
                return self.send_away(root, senior, junior);
            }
            senior = root;
        }
        let Ok((cluster, work)) = self.memory.cluster(senior)?.live() else { unreachable!("the loop ends at one") };
        let (places, twofold) = cluster.absorb(junior);
        let place = |place: u32| u32::try_from(places[place as usize]).expect("a place among the signatures");
        work.fresh.extend(junior_work.fresh.iter().map(|(signature, recorded)| (place(*signature), *recorded)));
        work.changed = true;
        work.moved = true;
        work.refold |= junior_work.refold | twofold;
        work.resolution = None;
        work.follow(&mut junior_work);
        self.reclaim(senior)
    }

    /// Sends a cluster to the home of its senior, in pieces of bounded size, with the effects behind its evidence.
    fn send_away(&mut self, senior: Root, junior: Root, cluster: Cluster) -> Result<(), store::Error> {
        let mut effects = Vec::with_capacity(cluster.signatures.len());
        for signature in &cluster.signatures {
            if signature.count == 0 {
                effects.push(Vec::new());
                continue;
            }
            effects.push(self.memory.take_effects(self.here, signature.key)?);
        }
        let pieces = transfer::pieces(cluster, effects);
        let mut count = i64::try_from(pieces.len()).expect("a count of pieces in memory") - 1;
        for piece in pieces {
            let absorb = Message::Absorb { root: senior, from: junior.key, pieces: count, piece: Box::new(piece) };
            #[cfg(feature = "sabotage")]
            if musubi_core::sabotage::strikes(musubi_core::sabotage::Bug::DoubleAbsorb, 5) {
                self.send(senior.partition, absorb.clone());
            }
            self.send(senior.partition, absorb);
            count = -1;
        }
        Ok(())
    }

    /// At the home of a senior: one piece of a junior.
    fn absorb(&mut self, root: Root, from: IdentifierKey, pieces: i64, piece: Box<Piece>) -> Result<(), store::Error> {
        let cell = self.memory.cluster(root)?;
        let (cluster, work) = match cell.live() {
            Ok(live) => live,
            Err(root) => {
                self.send(root.partition, Message::Absorb { root, from, pieces, piece });
                return Ok(());
            }
        };
        let Piece { cluster: mut junior, entries } = *piece;
        junior.stale = true;
        cluster.absorb(junior);
        cluster.await_pieces(from, pieces);
        work.changed = true;
        work.moved = true;
        work.resolution = None;
        for entry in entries {
            self.memory.record(root.partition, entry.signature, entry.event, Box::new(entry.effect), None);
        }
        self.reclaim(root)
    }

    /// After clusters met: erases what either knew to be forgotten, releases what was held, and claims again what is
    /// still waited for, because an answer may have been lost in the meeting.
    fn reclaim(&mut self, root: Root) -> Result<(), store::Error> {
        let Ok((cluster, _)) = self.memory.cluster(root)?.live() else { return Ok(()) };
        let erased: Vec<IdentifierKey> = cluster
            .members
            .iter()
            .filter(|member| member.standing.erased_at.is_some())
            .map(|member| member.identifier.key())
            .collect();
        for key in erased {
            self.forget_evidence(root, key)?;
        }
        self.release(root)?;
        let Ok((cluster, _)) = self.memory.cluster(root)?.live() else { return Ok(()) };
        let mut waited_for: Vec<Identifier> =
            cluster.held.iter().flat_map(|held| strangers(cluster, &held.identifiers)).collect();
        let linked = cluster.decrees.iter().filter(|decree| decree.linked);
        waited_for.extend(linked.flat_map(|decree| strangers(cluster, &decree.pair)));
        let foreign = cluster.members.iter().filter(|member| member.foreign);
        waited_for.extend(foreign.map(|member| member.identifier.clone()));
        waited_for.sort();
        waited_for.dedup();
        self.claim_all(root, waited_for);
        Ok(())
    }

    /// At the owner of an identifier: it is found at a more senior root. A word that comes late changes nothing.
    fn reparent(&mut self, identifier: IdentifierKey, root: Root) -> Result<(), store::Error> {
        let parent = self.memory.parent(self.here, identifier)?;
        let senior = parent.root.is_some_and(|have| root < have);
        if senior {
            self.memory.parent_mut(self.here, identifier)?.root = Some(root);
        }
        Ok(())
    }

    /// At the owner of an identifier: it is shared, or no longer. Then it is at home with all who asked for it, and they
    /// are united through it.
    fn share(&mut self, identifier: Identifier, shared: bool) -> Result<(), store::Error> {
        if self.memory.parent(self.here, identifier.key())?.shared == shared {
            return Ok(());
        }
        let parent = self.memory.parent_mut(self.here, identifier.key())?;
        parent.shared = shared;
        let standing = parent.standing;
        let askers = std::mem::take(&mut parent.askers);
        let Some(home) = parent.root else { return Ok(()) };
        for asker in askers {
            self.unite(home, asker, Some((asker, identifier.clone(), standing)));
        }
        Ok(())
    }

    /// At the owner of an identifier: an operator's word on it.
    fn rule(&mut self, identifier: &Identifier, standing: Standing, cause: &Cause) -> Result<(), store::Error> {
        let parent = self.memory.parent_mut(self.here, identifier.key())?;
        parent.standing = parent.standing.join(standing);
        let standing = parent.standing;
        let homes: Vec<Root> = parent.root.into_iter().chain(parent.askers.iter().copied()).collect();
        for root in homes {
            let (identifier, cause) = (identifier.clone(), cause.clone());
            self.send(root.partition, Message::Stand { root, identifier, standing, cause });
        }
        Ok(())
    }

    /// At a home: the owner of a member learnt something of it.
    fn stand(
        &mut self,
        root: Root,
        identifier: Identifier,
        standing: Standing,
        cause: Cause,
    ) -> Result<(), store::Error> {
        let cell = self.memory.cluster(root)?;
        let (cluster, work) = match cell.live() {
            Ok(live) => live,
            Err(root) => {
                self.send(root.partition, Message::Stand { root, identifier, standing, cause });
                return Ok(());
            }
        };
        let Some(index) = cluster.find(identifier.key()) else { return Ok(()) };
        let member = &mut cluster.members[index as usize];
        let joined = member.standing.join(standing);
        if joined == member.standing {
            return Ok(());
        }
        member.standing = joined;
        work.ruled(cause);
        work.changed = true;
        work.moved = true;
        work.refold = true;
        work.resolution = None;
        if joined.erased_at.is_some() {
            self.forget_evidence(root, identifier.key())?;
            self.release(root)?;
        }
        Ok(())
    }

    /// Takes out of a cluster every touchpoint that names a member and was received no later than its erasure.
    fn forget_evidence(&mut self, root: Root, key: IdentifierKey) -> Result<(), store::Error> {
        let here = root.partition;
        let Ok((cluster, _)) = self.memory.cluster(root)?.live() else { return Ok(()) };
        let Some(index) = cluster.find(key) else { return Ok(()) };
        let Some(erased_at) = cluster.member(index).standing.erased_at else { return Ok(()) };
        let named: Vec<_> = cluster
            .signatures
            .iter()
            .filter(|signature| signature.members.contains(&index))
            .map(|signature| (signature.key, signature.received, signature.count))
            .collect();
        let mut forgotten = false;
        for (signature, received, count) in named {
            let mut kept = None;
            if count == 0 {
                // Its effects are another cluster's, which is told of the erasure as this one was.
            } else if received <= erased_at {
                self.memory.take_effects(here, signature)?;
            } else {
                let (keep, drop): (Vec<_>, Vec<_>) = self
                    .memory
                    .effects(here, signature)?
                    .into_iter()
                    .partition(|(_, effect)| effect.received > erased_at);
                if drop.is_empty() {
                    continue;
                }
                for (event, _) in drop {
                    self.memory.drop_effect(here, signature, event);
                }
                kept = Some(keep);
            }
            forgotten = true;
            let Ok((cluster, work)) = self.memory.cluster(root)?.live() else { return Ok(()) };
            transfer::rebuild_signature(cluster, work, signature, kept.as_deref().unwrap_or_default());
        }
        let Ok((cluster, work)) = self.memory.cluster(root)?.live() else { return Ok(()) };
        let decrees = cluster.decrees.len();
        let identifier = cluster.member(index).identifier.clone();
        cluster.decrees.retain(|decree| !(decree.pair.contains(&identifier) && decree.at <= erased_at));
        if forgotten || decrees != cluster.decrees.len() {
            cluster.review_sightings();
            work.changed = true;
            work.moved = true;
            work.refold = true;
            work.resolution = None;
        }
        Ok(())
    }

    /// At the owner of the first identifier of a decree: pass it on to the cluster.
    fn ordain(&mut self, decree: Decree) -> Result<(), store::Error> {
        let identifier = decree.pair[0].clone();
        if self.memory.parent(self.here, identifier.key())?.standing.forgets(decree.at) {
            return Ok(());
        }
        let root = self.root_of(&identifier)?;
        self.send(root.partition, Message::Decree { root, decree });
        Ok(())
    }

    /// At a home: an operator's word on a pair.
    fn decree(&mut self, root: Root, decree: Decree) -> Result<(), store::Error> {
        let cell = self.memory.cluster(root)?;
        let (cluster, work) = match cell.live() {
            Ok(live) => live,
            Err(root) => {
                self.send(root.partition, Message::Decree { root, decree });
                return Ok(());
            }
        };
        let forgotten = cluster
            .members
            .iter()
            .any(|member| decree.pair.contains(&member.identifier) && member.standing.forgets(decree.at));
        if forgotten {
            return Ok(());
        }
        let strangers = if decree.linked { strangers(cluster, &decree.pair) } else { Vec::new() };
        work.ruled(decree.cause.clone());
        cluster.decree(decree);
        work.changed = true;
        work.moved = true;
        work.resolution = None;
        self.claim_all(root, strangers);
        Ok(())
    }

    /// At a home: the turn of a cluster that is too large to be resolved at every step has come.
    fn resolve_now(&mut self, root: Root) -> Result<(), store::Error> {
        let cell = self.memory.cluster(root)?;
        match cell.live() {
            Ok((cluster, work)) => {
                cluster.queued = false;
                work.changed = true;
                work.due = true;
            }
            Err(root) => self.send(root.partition, Message::Resolve { root }),
        }
        Ok(())
    }
}

/// Looks again at when members were seen, where decrees name a member that was admitted just now.
fn cluster_review<R: Reader>(memory: &mut Memory<R>, root: Root) -> Result<(), store::Error> {
    if let Ok((cluster, _)) = memory.cluster(root)?.live()
        && !cluster.decrees.is_empty()
    {
        cluster.review_sightings();
    }
    Ok(())
}

fn forgets(cluster: &Cluster, observation: &Observation) -> bool {
    observation.identifiers.iter().any(|identifier| {
        cluster
            .find(identifier.key())
            .is_some_and(|member| cluster.member(member).standing.forgets(observation.effect.received))
    })
}

fn strangers(cluster: &Cluster, identifiers: &[Identifier]) -> Vec<Identifier> {
    identifiers.iter().filter(|identifier| cluster.find(identifier.key()).is_none()).cloned().collect()
}
