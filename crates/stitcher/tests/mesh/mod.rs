//! A mesh without a log: one machine for each partition, first-in-first-out between every two of them.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use musubi_core::change::{Output, Position};
use musubi_core::cluster::{Cluster, Observation};
use musubi_core::directive::Directive;
use musubi_core::fingerprint::Fingerprint;
use musubi_core::forest::Home;
use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_core::resolve::{Reason, resolve_fully};
use musubi_core::touchpoint::{EventKey, Rejection, Touchpoint};
use musubi_stitcher::{Input, Machine, Message, Options, Ruling, Verdict, snapshot, standing_resolution};
use musubi_store::codec::{Decode, Encode};
use musubi_store::{InMemory, Stored};

/// What arrives at the mesh.
#[derive(Clone, Debug)]
pub enum Arrival {
    Touchpoint(Touchpoint),
    Directive(Directive),
}

pub struct Mesh {
    policy: Arc<Policy>,
    deployment: DeploymentKey,
    partitions: u32,
    machines: Vec<Machine<Stored<InMemory>>>,
    queues: Vec<VecDeque<Message>>,
    pub outputs: Vec<Output>,
    pub quarantined: Vec<(Arc<str>, Rejection)>,
    arrived: u64,
    /// What writers have and the store does not, for each partition.
    pending: Vec<Writes>,
    /// How many steps more the store has to wait.
    kept_back: usize,
}

/// What can be said of a mesh at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    pub persons: BTreeSet<String>,
    pub refused: BTreeSet<String>,
    pub quarantined: BTreeSet<String>,
    pub ids: BTreeMap<String, String>,
    pub profiles: BTreeMap<String, Vec<String>>,
    pub fingerprint: String,
}

impl Mesh {
    pub fn new(policy: &Arc<Policy>, partitions: u32) -> Self {
        let machine = |_| Machine::new(Arc::clone(policy), partitions, Stored(InMemory::default()), Options::default());
        Self {
            policy: Arc::clone(policy),
            deployment: DeploymentKey::derive(b"test"),
            partitions,
            machines: (0..partitions).map(machine).collect(),
            queues: vec![VecDeque::new(); partitions as usize],
            outputs: Vec::new(),
            quarantined: Vec::new(),
            arrived: 0,
            pending: (0..partitions).map(|_| Writes::default()).collect(),
            kept_back: 0,
        }
    }

    fn position(&mut self) -> Position {
        self.arrived += 1;
        Position { topic: "touchpoints".into(), partition: 0, offset: self.arrived }
    }

    pub fn arrive(&mut self, arrival: Arrival) {
        let position = self.position();
        match arrival {
            Arrival::Touchpoint(touchpoint) => {
                let content = content(&touchpoint);
                let event_id = Arc::clone(&touchpoint.event_id);
                let event = EventKey::of(&touchpoint.source, &event_id);
                match self.policy.read(touchpoint, &self.deployment) {
                    Ok(reading) => {
                        let partition = reading.identifiers[0].owner(self.partitions);
                        let observation =
                            Observation { identifiers: reading.identifiers, effect: reading.effect, event, position };
                        let verdicts = self.step(partition, Input::Touchpoint { observation, content });
                        if let Some(Verdict::Rejected(reason)) = verdicts.first() {
                            self.quarantined.push((event_id, *reason));
                        }
                    }
                    Err(reason) => self.quarantined.push((event_id, reason)),
                }
            }
            Arrival::Directive(directive) => {
                let ruling = Ruling::read(&directive, &self.policy, &self.deployment, position)
                    .expect("the tests give directives that can be read");
                let partition = ruling.entry().owner(self.partitions);
                self.step(partition, Input::Directive(ruling));
            }
        }
    }

    fn step(&mut self, partition: u32, input: Input) -> Vec<Verdict> {
        let machine = &mut self.machines[partition as usize];
        let effects = machine.step(vec![(partition, input)]).expect("memory does not fail");
        // The writer and the reader are one map: the writes go through a batch of their own.
        if self.kept_back > 0 {
            self.kept_back -= 1;
            machine.write_ahead(&mut self.pending[partition as usize]);
        } else {
            self.store(partition as usize);
        }
        for (to, message) in effects.messages {
            self.queues[to as usize].push_back(through_bytes(&message));
        }
        self.outputs.extend(effects.outputs);
        effects.verdicts
    }

    /// Lets the store wait for this many steps.
    pub fn keep_back(&mut self, steps: usize) {
        self.kept_back = steps;
    }

    /// Writes what a partition changed.
    fn store(&mut self, partition: usize) {
        let (machine, pending) = (&mut self.machines[partition], &mut self.pending[partition]);
        machine.write(pending);
        std::mem::take(pending).apply(&mut machine.reader_mut().0);
    }

    fn store_all(&mut self) {
        (0..self.machines.len()).for_each(|partition| self.store(partition));
    }

    /// Handles one message of one partition, where there is one; `pick` chooses among the partitions that have any.
    pub fn hear_one(&mut self, pick: usize) -> bool {
        let waiting: Vec<usize> = (0..self.queues.len()).filter(|queue| !self.queues[*queue].is_empty()).collect();
        if waiting.is_empty() {
            return false;
        }
        let partition = waiting[pick % waiting.len()];
        let message = self.queues[partition].pop_front().expect("the queue has one");
        self.step(u32::try_from(partition).expect("few partitions"), Input::Message(message));
        true
    }

    pub fn rest(&mut self) {
        let mut heard = 0;
        while self.hear_one(heard) {
            heard += 1;
            assert!(heard < 3_000, "the mesh does not come to rest");
        }
        self.store_all();
    }

    /// Forgets all that is cached: what is read next comes from the store.
    pub fn forget(&mut self) {
        self.store_all();
        self.machines.iter_mut().for_each(Machine::forget);
    }

    pub fn clusters(&mut self) -> Vec<Cluster> {
        let mut clusters = Vec::new();
        for (partition, machine) in (0..).zip(&mut self.machines) {
            machine
                .reader_mut()
                .each_cluster(partition, |_, home| {
                    if let Home::Live(cluster) = home {
                        clusters.push(*cluster);
                    }
                    Ok(())
                })
                .expect("memory does not fail");
        }
        clusters
    }

    pub fn picture(&mut self) -> Picture {
        let mut picture = Picture::default();
        let mut fingerprint = Fingerprint::default();
        for cluster in self.clusters() {
            assert_eq!(cluster.held, vec![], "nothing is held at rest");
            assert_eq!(cluster.arriving, vec![], "nothing is arriving at rest");
            assert!(!cluster.stale, "everything is published at rest");
            let resolution = resolve_fully(&cluster, &self.policy);
            let published = standing_resolution(&cluster);
            assert_eq!(resolution.person, published.person, "what is published is what the evidence says");
            for person in (0..).take(published.anchors.len()) {
                let snapshot = snapshot(&cluster, &published, person);
                let texts: Vec<&str> = snapshot.identifiers.iter().map(|identifier| identifier.text()).collect();
                picture.persons.insert(texts.join(" "));
                for identifier in &snapshot.identifiers {
                    fingerprint.add_identity(identifier, snapshot.person_id);
                    let taken = picture.ids.insert(identifier.text().to_owned(), snapshot.person_id.to_string());
                    assert_eq!(taken, None, "{identifier:?} belongs to one person");
                }
                fingerprint.add_profile(snapshot.person_id, snapshot.shared, &snapshot.profile);
                let view = musubi_core::profile::view(&snapshot.profile);
                let lines = view.iter().map(|(field, value)| format!("{field} = {value}")).collect();
                picture.profiles.insert(texts.join(" "), lines);
            }
            for refusal in &resolution.refusals {
                let text = |member: u32| cluster.member(member).identifier.text().to_owned();
                let reason = refusal.reason.describe(&self.policy);
                if refusal.reason != Reason::Blocked {
                    let line = format!("{} {} — {reason}", text(refusal.stronger), text(refusal.weaker));
                    picture.refused.insert(line);
                }
            }
        }
        picture.quarantined =
            self.quarantined.iter().map(|(event, reason)| format!("{event} — {}", reason.reason())).collect();
        picture.fingerprint = fingerprint.to_string();
        picture
    }
}

/// A message as its receiver reads it.
fn through_bytes(message: &Message) -> Message {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let read = Message::decode(&mut bytes.as_slice()).expect("what was written can be read");
    assert_eq!(&read, message);
    read
}

fn content(touchpoint: &Touchpoint) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    format!("{:?} {:?} {:?}", touchpoint.identifiers, touchpoint.traits, touchpoint.properties).hash(&mut hasher);
    hasher.finish()
}

/// A table, a key, and its value; without one a deletion, of a range where an end is given.
type Write = (&'static str, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

#[derive(Default)]
struct Writes(Vec<Write>);

impl musubi_store::Writer for Writes {
    fn put(&mut self, table: &'static str, key: &[u8], value: &[u8]) {
        self.0.push((table, key.to_vec(), Some(value.to_vec()), None));
    }

    fn delete(&mut self, table: &'static str, key: &[u8]) {
        self.0.push((table, key.to_vec(), None, None));
    }

    fn delete_range(&mut self, table: &'static str, from: &[u8], to: &[u8]) {
        self.0.push((table, from.to_vec(), None, Some(to.to_vec())));
    }
}

impl Writes {
    fn apply(self, tables: &mut InMemory) {
        use musubi_store::Writer;
        for (table, key, value, to) in self.0 {
            match (value, to) {
                (Some(value), _) => tables.put(table, &key, &value),
                (None, Some(to)) => tables.delete_range(table, &key, &to),
                (None, None) => tables.delete(table, &key),
            }
        }
    }
}

/// What must come out, computed without any mesh. Arrivals with one event name count once.
pub fn oracle(policy: &Policy, arrivals: &[Arrival]) -> Picture {
    let deployment = DeploymentKey::derive(b"test");
    let mut picture = Picture::default();
    let mut batch = musubi_stitcher::Batch::new(policy, &deployment);
    for arrival in arrivals {
        match arrival {
            Arrival::Touchpoint(touchpoint) => {
                if let Err(reason) = batch.touchpoint(touchpoint.clone()) {
                    picture.quarantined.insert(format!("{} — {}", touchpoint.event_id, reason.reason()));
                }
            }
            Arrival::Directive(directive) => batch.directive(directive).expect("it can be read"),
        }
    }
    let found = batch.persons();
    picture.fingerprint = found.fingerprint().to_string();
    for person in found.persons {
        let texts: Vec<&str> = person.identifiers.iter().map(|identifier| identifier.text()).collect();
        let of = |text: &&str| ((*text).to_owned(), person.person_id.to_string());
        picture.ids.extend(texts.iter().map(of));
        let view = musubi_core::profile::view(&person.profile);
        let lines = view.iter().map(|(field, value)| format!("{field} = {value}")).collect();
        picture.profiles.insert(texts.join(" "), lines);
        picture.persons.insert(texts.join(" "));
    }
    picture
}
