//! The oracles: what must hold when everything is in and the workers have come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use musubi_core::change::Snapshot;
use musubi_core::cluster::{Cluster, Observation, SignatureKey};
use musubi_core::forest::{Home, Root};
use musubi_core::policy::Policy;
use musubi_core::profile;
use musubi_core::resolve::resolve_fully;
use musubi_core::touchpoint::{Effect, EventKey};
use musubi_schema::content_digest;
use musubi_stitcher::{Batch, Input, Intake, Persons, Reading, snapshot, standing_resolution, topics};
use musubi_store::{Reader, STATE_FAMILIES, Stored, Tables, keys};

use crate::arrivals::Arrival;
use crate::consumer::{self, documents, same};
use crate::rest::Rest;
use crate::scenario::Scenario;
use crate::{Failed, Report};

/// Asks every oracle about a run that has come to rest.
pub(crate) fn at_rest(rest: &Rest<'_>) -> Result<Report, Failed> {
    honestly(|| {
        let account = Account::of(rest)?;
        let wanted = batch(rest.scenario, &account)?;
        let clusters = clusters(rest)?;
        for (root, cluster) in &clusters {
            check_cluster(*root, cluster, &rest.scenario.policy)?;
        }
        check_persons(&persons(&clusters), &wanted)?;
        check_evidence(rest, &clusters, &wanted)?;
        check_parents(rest, &clusters)?;
        check_changelogs(rest)?;
        account.check(rest)?;
        consumer::follow(rest.shelf, &wanted)?;
        report(rest, &wanted)
    })
}

/// The fingerprint of all persons, as the disks have them.
pub(crate) fn fingerprint(rest: &Rest<'_>) -> Result<String, Failed> {
    Ok(persons(&clusters(rest)?).fingerprint().to_string())
}

/// Runs an oracle without the bug that is planted: it must not be fooled by what it is to find.
pub(crate) fn honestly<T>(run: impl FnOnce() -> T) -> T {
    #[cfg(feature = "sabotage")]
    return musubi_core::sabotage::suspended(|| musubi_log::sabotage::suspended(run));
    #[cfg(not(feature = "sabotage"))]
    run()
}

/// What stands on the topics that workers read, and what must have become of it.
#[derive(Default)]
struct Account {
    /// The content that stands for each event: the first at the owner of its strongest identifier.
    standing: BTreeMap<EventKey, u64>,
    duplicates: u64,
    /// How many records must be in quarantine, by reason, source and event.
    quarantined: BTreeMap<String, u64>,
}

impl Account {
    fn of(rest: &Rest<'_>) -> Result<Self, Failed> {
        let Scenario { policy, deployment, partitions, .. } = rest.scenario;
        let mut reading = Reading::new(policy.clone(), deployment.clone(), *partitions);
        let mut account = Self::default();
        for topic in [topics::TOUCHPOINTS, topics::DIRECTIVES] {
            for delivery in rest.shelf.records(&topic)? {
                match reading.record(&delivery) {
                    Intake::Refused(refused) => {
                        account.quarantine(refused.reason, refused.source.as_deref(), refused.event_id.as_deref());
                    }
                    Intake::Input(owner, Input::Touchpoint { observation, content }) if owner == delivery.partition => {
                        account.arrive(&observation, content);
                    }
                    // Sent on to its owner, or a directive.
                    Intake::Input(..) => {}
                }
            }
        }
        Ok(account)
    }

    fn arrive(&mut self, observation: &Observation, content: u64) {
        match self.standing.get(&observation.event) {
            None => drop(self.standing.insert(observation.event, content)),
            Some(first) if *first == content => self.duplicates += 1,
            Some(_) => {
                let Effect { source, event_id, .. } = observation.effect.as_ref();
                self.quarantine("conflicting-duplicate", Some(source), Some(event_id));
            }
        }
    }

    fn quarantine(&mut self, reason: &str, source: Option<&str>, event: Option<&str>) {
        let name = format!("{reason} of {source:?} {event:?}");
        *self.quarantined.entry(name).or_default() += 1;
    }

    /// That every record was taken, forgotten, known already or set aside, as it must be, and once.
    fn check(&self, rest: &Rest<'_>) -> Result<(), Failed> {
        let mut set_aside = Self::default();
        for (_, document) in documents(rest.shelf, &topics::QUARANTINE)? {
            let part = |name: &str| document.as_ref()?.get(name)?.as_str();
            set_aside.quarantine(part("reason").unwrap_or_default(), part("source"), part("event_id"));
        }
        same("quarantine", &set_aside.quarantined, &self.quarantined)?;
        let totals = rest.totals;
        if totals.untold {
            return Ok(());
        }
        let found = [
            ("taken or forgotten", totals.taken + totals.forgotten),
            ("duplicates", totals.duplicates),
            ("quarantined", totals.quarantined),
        ];
        let wanted = [self.standing.len() as u64, self.duplicates, self.quarantined.values().sum()];
        let table = |numbers: [u64; 3]| found.iter().map(|(name, _)| (*name).to_owned()).zip(numbers).collect();
        same("what turns did", &table(found.map(|(_, number)| number)), &table(wanted))
    }
}

/// That the accounts of all partitions say of the evidence what it is.
pub(crate) fn accounts(rest: &Rest<'_>, all: &musubi_stitcher::Account) -> Result<(), Failed> {
    let account = Account::of(rest)?;
    let found = [all.taken + all.forgotten, all.duplicates, all.quarantined];
    let wanted = [account.standing.len() as u64, account.duplicates, account.quarantined.values().sum()];
    if found == wanted { Ok(()) } else { Err(Failed(format!("accounted for {found:?}, counted {wanted:?}"))) }
}

/// The persons that all of it must come to.
fn batch(scenario: &Scenario, account: &Account) -> Result<Persons, Failed> {
    let mut batch = Batch::new(&scenario.policy, &scenario.deployment);
    let mut missing: BTreeSet<EventKey> = account.standing.keys().copied().collect();
    for arrival in &scenario.arrivals {
        match arrival {
            Arrival::Touchpoint(touchpoint) => {
                let event = EventKey::of(&touchpoint.source, &touchpoint.event_id);
                let standing = account.standing.get(&event);
                let stands = standing.is_none_or(|content| *content == content_digest(touchpoint));
                if stands && batch.touchpoint(touchpoint.clone()).is_ok() {
                    missing.remove(&event);
                    standing.ok_or_else(|| Failed(format!("`{}` never came to its owner", touchpoint.event_id)))?;
                }
            }
            // One that cannot be read is in quarantine, where it is counted.
            Arrival::Directive(directive) => drop(batch.directive(directive)),
            Arrival::Noise(_) => {}
        }
    }
    if missing.is_empty() { Ok(batch.persons()) } else { Err(Failed(format!("nobody sent {missing:?}"))) }
}

/// Every live cluster of every partition, at its home.
fn clusters(rest: &Rest<'_>) -> Result<Vec<(Root, Cluster)>, Failed> {
    let mut clusters = Vec::new();
    for partition in 0..rest.scenario.partitions {
        Stored(rest.disk(partition).clone()).each_cluster(partition, |root, home| {
            if let Home::Live(cluster) = home {
                clusters.push((root, *cluster));
            }
            Ok(())
        })?;
    }
    Ok(clusters)
}

/// That nothing is on its way, and what is published is what the evidence says.
fn check_cluster(root: Root, cluster: &Cluster, policy: &Policy) -> Result<(), Failed> {
    let restless = [
        ("holds evidence", !cluster.held.is_empty()),
        ("waits for pieces", !cluster.arriving.is_empty()),
        ("is stale", cluster.stale),
        ("waits for its turn", cluster.queued),
    ];
    if let Some((what, _)) = restless.iter().find(|(_, is)| *is) {
        let members: Vec<_> = cluster.members.iter().map(|member| &member.identifier).collect();
        return Err(Failed(format!("at rest, the cluster of {members:?} at {root:?} {what}")));
    }
    let (says, published) = (resolve_fully(cluster, policy), standing_resolution(cluster));
    if (&says.person, &says.anchors, &says.shared) != (&published.person, &published.anchors, &published.shared) {
        let members: Vec<_> = cluster.members.iter().map(|member| &member.identifier).collect();
        return Err(Failed(format!("the evidence of {members:?} says {says:?}, published is {published:?}")));
    }
    Ok(())
}

/// The persons as they stand.
fn persons(clusters: &[(Root, Cluster)]) -> Persons {
    let of = |cluster: &Cluster| {
        let published = standing_resolution(cluster);
        let persons = (0..).take(published.anchors.len());
        persons.map(|person| snapshot(cluster, &published, person)).collect::<Vec<_>>()
    };
    let mut persons: Vec<Snapshot> = clusters.iter().flat_map(|(_, cluster)| of(cluster)).collect();
    persons.sort_by_key(|person| person.person_id);
    Persons { persons, ..Persons::default() }
}

/// That the persons are those of the batch, to the last field.
fn check_persons(found: &Persons, wanted: &Persons) -> Result<(), Failed> {
    let table = |persons: &Persons| {
        let line = |person: &Snapshot| {
            let fields = profile::view(&person.profile);
            let fields: Vec<String> = fields.iter().map(|(field, value)| format!("{field} = {value}")).collect();
            (person.person_id.to_string(), (person.shared, person.identifiers.clone(), fields))
        };
        persons.persons.iter().map(line).collect::<BTreeMap<_, _>>()
    };
    same("persons", &table(found), &table(wanted))?;
    if found.persons.len() != wanted.persons.len() {
        return Err(Failed("a person lives at two homes".to_owned()));
    }
    let (found, wanted) = (found.fingerprint().to_string(), wanted.fingerprint().to_string());
    if found == wanted { Ok(()) } else { Err(Failed(format!("the fingerprint is {found}, wanted {wanted}"))) }
}

/// That every event which is not forgotten is behind one signature, and nothing else is kept.
fn check_evidence(rest: &Rest<'_>, clusters: &[(Root, Cluster)], wanted: &Persons) -> Result<(), Failed> {
    let mut kept = BTreeSet::new();
    for (root, cluster) in clusters {
        let stored = Stored(rest.disk(root.partition).clone());
        for signature in cluster.signatures.iter().filter(|signature| signature.count > 0) {
            let effects = stored.effects(root.partition, signature.key)?;
            if effects.len() as u64 != signature.count {
                let (many, count) = (effects.len(), signature.count);
                return Err(Failed(format!("{many} effects are kept of {count} touchpoints at {root:?}")));
            }
            for (event, effect) in effects {
                if !kept.insert(event) {
                    return Err(Failed(format!("`{}` is evidence twice", effect.event_id)));
                }
            }
        }
    }
    if kept != wanted.events {
        let (lost, extra) = (wanted.events.difference(&kept).count(), kept.difference(&wanted.events).count());
        return Err(Failed(format!("{lost} events are no evidence, and {extra} are that must not be")));
    }
    check_strays(rest, clusters)
}

/// That no effects lie about to which no signature of a cluster leads.
fn check_strays(rest: &Rest<'_>, clusters: &[(Root, Cluster)]) -> Result<(), Failed> {
    let counted = |(root, cluster): &(Root, Cluster)| -> Vec<(u32, SignatureKey)> {
        let counted = cluster.signatures.iter().filter(|signature| signature.count > 0);
        counted.map(|signature| (root.partition, signature.key)).collect()
    };
    let known: BTreeSet<Vec<u8>> =
        clusters.iter().flat_map(counted).map(|(partition, key)| keys::effects(partition, key).to_vec()).collect();
    for partition in 0..rest.scenario.partitions {
        let stored = table(rest.disk(partition), keys::EFFECTS, partition)?;
        if let Some((key, _)) = stored.iter().find(|(key, _)| !known.contains(&key[..keys::PREFIX])) {
            return Err(Failed(format!("an effect lies about under {key:02x?}")));
        }
    }
    Ok(())
}

/// That the owner of every identifier knows the way to the cluster that it lives in.
fn check_parents(rest: &Rest<'_>, clusters: &[(Root, Cluster)]) -> Result<(), Failed> {
    for (root, cluster) in clusters {
        for member in cluster.members.iter().filter(|member| !member.foreign) {
            let owner = member.identifier.owner(rest.scenario.partitions);
            let parent = Stored(rest.disk(owner).clone()).parents(&[(owner, member.identifier.key())])?;
            let mut way = parent.first().and_then(|parent| parent.as_ref()?.root);
            while let Some(at) = way.filter(|at| at != root) {
                let home = Stored(rest.disk(at.partition).clone()).clusters(&[at])?.pop().flatten();
                way = match home {
                    Some((Home::Forward(on), _)) if on < at => Some(on),
                    Some((Home::Forward(_) | Home::Live(_), _)) | None => None,
                };
            }
            if way.is_none() {
                return Err(Failed(format!("no way leads from {:?} to its cluster at {root:?}", member.identifier)));
            }
        }
    }
    Ok(())
}

/// That the state of every partition is what its changelog gives to somebody who starts with nothing.
fn check_changelogs(rest: &Rest<'_>) -> Result<(), Failed> {
    for (partition, rebuilt) in (0..).zip(&rest.rebuilt) {
        for family in STATE_FAMILIES.into_iter().filter(|family| *family != keys::META) {
            let (live, rebuilt) = (table(rest.disk(partition), family, partition)?, table(rebuilt, family, partition)?);
            if live != rebuilt {
                return Err(Failed(format!("partition {partition}: `{family}` is not what its changelog says")));
            }
        }
    }
    Ok(())
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// All that a table holds of a partition.
fn table(tables: &impl Tables, family: &'static str, partition: u32) -> Result<Entries, Failed> {
    let mut entries = Vec::new();
    tables.scan(family, &keys::partition_bytes(partition), |key, value| {
        entries.push((key.to_vec(), value.to_vec()));
        Ok(())
    })?;
    Ok(entries)
}

fn report(rest: &Rest<'_>, wanted: &Persons) -> Result<Report, Failed> {
    let (mut story, mut records) = (DefaultHasher::new(), 0);
    for topic in topics::ALL {
        for delivery in rest.shelf.records(&topic)? {
            let record = &delivery.record;
            (topic.as_str(), delivery.partition, delivery.offset, record.timestamp_ms).hash(&mut story);
            (record.key.as_deref(), record.value.as_deref(), &record.headers).hash(&mut story);
            records += 1;
        }
    }
    Ok(Report {
        seed: rest.scenario.seed,
        arrivals: rest.scenario.arrivals.len(),
        records,
        turns: rest.totals.turns,
        undone: rest.totals.undone,
        deaths: rest.totals.deaths,
        moves: rest.totals.moves,
        alarms: 0,
        persons: wanted.persons.len(),
        fingerprint: wanted.fingerprint().to_string(),
        story: story.finish(),
    })
}
