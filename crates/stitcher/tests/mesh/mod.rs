//! A mesh without a log: one machine for each partition, first-in-first-out between every two of them.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use musubi_core::change::{Output, Position};
use musubi_core::cluster::{Cluster, Observation, SignatureKey, Standing};
use musubi_core::directive::Directive;
use musubi_core::fingerprint::Fingerprint;
use musubi_core::forest::Home;
use musubi_core::identifier::{DeploymentKey, Identifier};
use musubi_core::policy::Policy;
use musubi_core::profile::Profile;
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
        let mut batch = Batch::default();
        machine.write(&mut batch);
        batch.apply(&mut machine.reader_mut().0);
        for (to, message) in effects.messages {
            self.queues[to as usize].push_back(through_bytes(&message));
        }
        self.outputs.extend(effects.outputs);
        effects.verdicts
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
    }

    /// Forgets all that is cached: what is read next comes from the store.
    pub fn forget(&mut self) {
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

/// Table, key, the value put, and where a range that is dropped ends.
type Write = (&'static str, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

#[derive(Default)]
struct Batch(Vec<Write>);

impl musubi_store::Writer for Batch {
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

impl Batch {
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

/// What must come out, computed without any mesh: all evidence that is not forgotten in one cluster, resolved in full,
/// and every profile folded from its touchpoints. Arrivals with one event name count once.
pub fn oracle(policy: &Policy, arrivals: &[Arrival]) -> Picture {
    let deployment = DeploymentKey::derive(b"test");
    let nowhere = Position { topic: "touchpoints".into(), partition: 0, offset: 0 };
    let mut standings: BTreeMap<_, Standing> = BTreeMap::new();
    let mut whole = Cluster::default();
    let rulings: Vec<Ruling> = arrivals
        .iter()
        .filter_map(|arrival| match arrival {
            Arrival::Directive(directive) => {
                Some(Ruling::read(directive, policy, &deployment, nowhere.clone()).expect("it can be read"))
            }
            Arrival::Touchpoint(_) => None,
        })
        .collect();
    for ruling in &rulings {
        if let Ruling::Standing(identifier, standing, _) = ruling {
            let known = standings.entry(identifier.key()).or_default();
            *known = known.join(*standing);
        }
    }
    let standing = |identifier: &Identifier| standings.get(&identifier.key()).copied().unwrap_or_default();
    let mut picture = Picture::default();
    let mut observations: BTreeMap<EventKey, Observation> = BTreeMap::new();
    for arrival in arrivals {
        let Arrival::Touchpoint(touchpoint) = arrival else { continue };
        let event = EventKey::of(&touchpoint.source, &touchpoint.event_id);
        match policy.read(touchpoint.clone(), &deployment) {
            Ok(reading) => {
                let (identifiers, effect) = (reading.identifiers, reading.effect);
                observations.insert(event, Observation { identifiers, effect, event, position: nowhere.clone() });
            }
            Err(reason) => {
                picture.quarantined.insert(format!("{} — {}", touchpoint.event_id, reason.reason()));
            }
        }
    }
    observations.retain(|_, seen| !seen.identifiers.iter().any(|it| standing(it).forgets(seen.effect.received)));
    for observation in observations.values() {
        for identifier in &observation.identifiers {
            whole.admit(identifier, standing(identifier), false);
        }
        whole.observe(observation);
    }
    for ruling in rulings {
        let Ruling::Decree(decree) = ruling else { continue };
        if decree.pair.iter().any(|identifier| standing(identifier).forgets(decree.at)) {
            continue;
        }
        for identifier in decree.pair.iter().filter(|_| decree.linked) {
            whole.admit(identifier, standing(identifier), false);
        }
        whole.decree(decree);
    }
    let resolution = resolve_fully(&whole, policy);
    let mut profiles = vec![Profile::default(); resolution.anchors.len()];
    for observation in observations.values() {
        let place = whole.find_signature(SignatureKey::of(&observation.identifiers));
        let signature = &whole.signatures[place.expect("every observation left a signature")];
        let beneficiary = whole.beneficiary(signature, |member| resolution.shared[member as usize]);
        if let Some(person) = beneficiary.and_then(|member| resolution.person[member as usize]) {
            profiles[person as usize].observe(&observation.effect, policy);
        }
    }
    let mut fingerprint = Fingerprint::default();
    for (person, (anchor, profile)) in (0..).zip(resolution.anchors.iter().zip(profiles)) {
        let id = whole.member(*anchor).person_id();
        let members = whole.members.iter().zip(&resolution.person).filter(|(_, of)| **of == Some(person));
        let mut texts: Vec<&str> = Vec::new();
        for (member, _) in members {
            fingerprint.add_identity(&member.identifier, id);
            picture.ids.insert(member.identifier.text().to_owned(), id.to_string());
            texts.push(member.identifier.text());
        }
        texts.sort_unstable();
        fingerprint.add_profile(id, resolution.shared[*anchor as usize], &profile);
        let view = musubi_core::profile::view(&profile);
        let lines = view.iter().map(|(field, value)| format!("{field} = {value}")).collect();
        picture.profiles.insert(texts.join(" "), lines);
        picture.persons.insert(texts.join(" "));
    }
    picture.fingerprint = fingerprint.to_string();
    picture
}
