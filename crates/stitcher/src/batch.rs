//! The batch: who is who, from all that ever came in, taken at once and without any mesh. The answer that the mesh must
//! agree with, whatever happened to it on the way.

use std::collections::{BTreeMap, BTreeSet};

use musubi_core::change::{Position, Snapshot};
use musubi_core::cluster::{Cluster, Decree, Observation, SignatureKey, Standing};
use musubi_core::directive::Directive;
use musubi_core::fingerprint::Fingerprint;
use musubi_core::identifier::{DeploymentKey, Identifier, IdentifierKey};
use musubi_core::policy::Policy;
use musubi_core::profile::Profile;
use musubi_core::resolve::resolve_fully;
use musubi_core::touchpoint::{EventKey, Rejection, Touchpoint};
use petgraph::unionfind::UnionFind;

use crate::machine::Ruling;

/// All that came in, under one policy and deployment, in whatever order.
pub struct Batch<'a> {
    policy: &'a Policy,
    deployment: &'a DeploymentKey,
    observations: BTreeMap<EventKey, Observation>,
    decrees: Vec<Decree>,
    standings: BTreeMap<IdentifierKey, Standing>,
}

/// What a batch comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persons {
    /// Every person, by id. Versions tell the story of arrival, which a batch has none of: they are 0.
    pub persons: Vec<Snapshot>,
    /// The events that are evidence: those that no erasure made forgotten.
    pub events: BTreeSet<EventKey>,
}

impl Persons {
    /// The fingerprint of these persons.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        for person in &self.persons {
            for identifier in &person.identifiers {
                fingerprint.add_identity(identifier, person.person_id);
            }
            fingerprint.add_profile(person.person_id, person.shared, &person.profile);
        }
        fingerprint
    }
}

impl<'a> Batch<'a> {
    /// Nothing came in yet.
    pub fn new(policy: &'a Policy, deployment: &'a DeploymentKey) -> Self {
        let (observations, decrees, standings) = Default::default();
        Self { policy, deployment, observations, decrees, standings }
    }

    /// Takes in a touchpoint. Of several with one event name the first stands.
    ///
    /// # Errors
    /// Why the policy sets it aside.
    pub fn touchpoint(&mut self, touchpoint: Touchpoint) -> Result<(), Rejection> {
        let event = EventKey::of(&touchpoint.source, &touchpoint.event_id);
        let reading = self.policy.read(touchpoint, self.deployment)?;
        let (identifiers, effect) = (reading.identifiers, reading.effect);
        self.observe(Observation { identifiers, effect, event, position: nowhere() });
        Ok(())
    }

    /// Takes in a directive. Twice is once.
    ///
    /// # Errors
    /// The identifier that the policy cannot read.
    pub fn directive(&mut self, directive: &Directive) -> Result<(), String> {
        match Ruling::read(directive, self.policy, self.deployment, nowhere())? {
            Ruling::Decree(decree) => self.decrees.push(decree),
            Ruling::Standing(identifier, standing, _) => {
                let known = self.standings.entry(identifier.key()).or_default();
                *known = known.join(standing);
            }
            Ruling::Consent(observation) => self.observe(observation),
        }
        Ok(())
    }

    /// Who is who, after all of it.
    pub fn persons(mut self) -> Persons {
        let standings = std::mem::take(&mut self.standings);
        let standing = |identifier: &Identifier| standings.get(&identifier.key()).copied().unwrap_or_default();
        self.observations
            .retain(|_, seen| !seen.identifiers.iter().any(|it| standing(it).forgets(seen.effect.received)));
        self.decrees.retain(|decree| !decree.pair.iter().any(|it| standing(it).forgets(decree.at)));
        let events = self.observations.keys().copied().collect();
        let mut persons: Vec<Snapshot> =
            self.components().iter().flat_map(|component| component.persons(self.policy, standing)).collect();
        persons.sort_by_key(|person| person.person_id);
        Persons { persons, events }
    }

    fn observe(&mut self, observation: Observation) {
        self.observations.entry(observation.event).or_insert(observation);
    }

    /// The evidence, cut into parts that have no identifier in common.
    fn components(&self) -> Vec<Component<'_>> {
        let linked = self.decrees.iter().filter(|decree| decree.linked).map(|decree| &decree.pair[..]);
        let seen = self.observations.values().map(|observation| &observation.identifiers[..]);
        let sets: Vec<&[Identifier]> = seen.chain(linked).collect();
        let mut places: BTreeMap<IdentifierKey, usize> = BTreeMap::new();
        for identifier in sets.iter().copied().flatten() {
            let next = places.len();
            places.entry(identifier.key()).or_insert(next);
        }
        let place = |identifier: &Identifier| places.get(&identifier.key()).copied();
        let mut forest = UnionFind::<usize>::new(places.len());
        for pair in sets.iter().flat_map(|set| set.windows(2)) {
            if let (Some(a), Some(b)) = (place(&pair[0]), place(&pair[1])) {
                forest.union(a, b);
            }
        }
        let mut components: BTreeMap<usize, Component<'_>> = BTreeMap::new();
        let mut of = |identifier: &Identifier| place(identifier).map(|place| forest.find_mut(place));
        for observation in self.observations.values() {
            if let Some(root) = of(&observation.identifiers[0]) {
                components.entry(root).or_default().observations.push(observation);
            }
        }
        // What was unlinked without being known together keeps nobody apart.
        for decree in &self.decrees {
            if let Some(root) = of(&decree.pair[0]) {
                components.entry(root).or_default().decrees.push(decree);
            }
        }
        components.into_values().collect()
    }
}

fn nowhere() -> Position {
    Position { topic: "batch".into(), partition: 0, offset: 0 }
}

/// Evidence that hangs together.
#[derive(Default)]
struct Component<'a> {
    observations: Vec<&'a Observation>,
    decrees: Vec<&'a Decree>,
}

impl Component<'_> {
    fn cluster(&self, standing: impl Fn(&Identifier) -> Standing) -> Cluster {
        let mut cluster = Cluster::default();
        for observation in &self.observations {
            for identifier in &observation.identifiers {
                cluster.admit(identifier, standing(identifier), false);
            }
            cluster.observe(observation);
        }
        for decree in &self.decrees {
            for identifier in decree.pair.iter().filter(|_| decree.linked) {
                cluster.admit(identifier, standing(identifier), false);
            }
            cluster.decree((*decree).clone());
        }
        cluster
    }

    /// Resolves the evidence in full and folds every profile from its touchpoints.
    fn persons(&self, policy: &Policy, standing: impl Fn(&Identifier) -> Standing) -> Vec<Snapshot> {
        let cluster = self.cluster(standing);
        let resolution = resolve_fully(&cluster, policy);
        let mut profiles = vec![Profile::default(); resolution.anchors.len()];
        for observation in &self.observations {
            let place = cluster.find_signature(SignatureKey::of(&observation.identifiers));
            let signature = &cluster.signatures[place.expect("it was observed just now")];
            let beneficiary = cluster.beneficiary(signature, |member| resolution.shared[member as usize]);
            if let Some(person) = beneficiary.and_then(|member| resolution.person[member as usize]) {
                profiles[person as usize].observe(&observation.effect, policy);
            }
        }
        let mut identifiers = vec![Vec::new(); resolution.anchors.len()];
        for (member, person) in cluster.members.iter().zip(&resolution.person) {
            if let Some(person) = person {
                identifiers[*person as usize].push(member.identifier.clone());
            }
        }
        let anchors = resolution.anchors.iter().zip(profiles).zip(identifiers);
        let snapshot = |((anchor, profile), mut identifiers): ((&u32, Profile), Vec<Identifier>)| {
            identifiers.sort();
            let (person_id, shared) = (cluster.member(*anchor).person_id(), resolution.shared[*anchor as usize]);
            Snapshot { person_id, version: 0, shared, identifiers, profile }
        };
        anchors.map(snapshot).collect()
    }
}
