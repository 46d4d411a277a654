//! Seeing a cluster at rest: what the oracles are asked about.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use musubi_core::touchpoint::EventKey;
use musubi_log::kafka::{self, Ends, Footer, Onlooker, Replica as _};
use musubi_log::{Budget, Delivery, Partition, Reader as _, Topic};
use musubi_serve::{Census, cluster};
use musubi_stitcher::topics::{ALL, DIRECTIVES, PROFILE_CHANGES, QUARANTINE, TOUCHPOINTS};
use musubi_stitcher::{Account, Input, Intake, Reading, Replica};
use musubi_store::{Rocks, Tables as _, keys};

use super::{Books, Digests, Place, Said, accounting, coverage, digests, openness, positions, versions};
use crate::cluster::Fixture;
use crate::processes::binary;

/// How much is read of a topic at a time.
const PIECE: Budget = Budget { records: 10_000, bytes: 16 << 20, patience: Duration::from_secs(10) };

/// All that the oracles are asked about.
#[derive(Debug, Default)]
pub struct Story {
    /// Where everybody stands, by partition.
    pub places: Vec<Place>,
    /// What was said of persons, by partition and offset.
    pub said: Vec<Said>,
    /// What the ways to the persons come to.
    pub digests: Digests,
    /// Where every topic ends.
    pub ends: Vec<Ends>,
    /// What became of every record.
    pub books: Books,
}

/// The states of all processes that ever worked, open.
struct States {
    all: Vec<(String, Rocks)>,
    /// For each partition, the one that is furthest.
    leading: Vec<Rocks>,
}

impl Story {
    /// Sees a cluster at rest. `states` are the directories of all processes that ever worked on it, which have ended;
    /// `lines` what was fed to it, for `musubi run` to say what it makes of it; none where that is asked elsewhere.
    ///
    /// # Errors
    /// Where something cannot be read.
    pub fn gather(fixture: &Fixture, states: &[PathBuf], lines: &[Vec<u8>]) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let states = States::open(fixture, states)?;
        let onlooker = Onlooker::open(&fixture.cluster.settings)?;
        let mut story = Self { places: places(fixture, &onlooker, &states)?, ..Self::default() };
        story.said = said(fixture, &onlooker)?;
        story.ends = kafka::ends(&fixture.cluster.settings, &topics(fixture))?;
        let rebuilt = scratch.path().join("changelog");
        story.digests = ways(fixture, &states, &rebuilt, &scratch.path().join("replay"))?;
        if !lines.is_empty() {
            story.digests.run = Some(run(lines)?);
        }
        story.books = books(fixture, &onlooker, &states, &rebuilt)?;
        Ok(story)
    }

    /// What all six oracles object to.
    pub fn deviations(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (partition, place) in (0..).zip(&self.places) {
            wrong.extend(coverage(partition, place));
            wrong.extend(positions(partition, place));
        }
        wrong.extend(versions(&self.said));
        wrong.extend(digests(&self.digests));
        wrong.extend(openness(&self.ends));
        wrong.extend(accounting(&self.books));
        wrong
    }

    /// That no oracle objects, and what was seen in one line.
    ///
    /// # Errors
    /// What they object to, the first of it.
    pub fn believed(&self) -> Result<String> {
        let wrong = self.deviations();
        let first = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
        ensure!(wrong.is_empty(), "{} deviations:\n{first}", wrong.len());
        let all = self.books.live.iter().fold(Account::default(), |sum, account| sum.join(*account));
        let batches: usize = self.places.iter().map(|place| place.footers.len()).sum();
        let fingerprint = self.digests.whole().unwrap_or_default();
        let (changes, read, taken) = (self.said.len(), all.read, all.taken);
        let (copies, aside) = (all.duplicates, all.quarantined);
        Ok(format!(
            "six oracles: 0 deviations; {read} records read, {taken} taken, {copies} copies, {aside} set aside, \
             {batches} batches, {changes} changes; fingerprint {fingerprint}"
        ))
    }
}

impl States {
    fn open(fixture: &Fixture, directories: &[PathBuf]) -> Result<Self> {
        let mut all = Vec::new();
        for directory in directories {
            let rocks = fixture.cluster.state(directory).context("a state that a process may still hold")?;
            all.push((directory.display().to_string(), rocks));
        }
        ensure!(!all.is_empty(), "somebody must have worked");
        let mut leading = Vec::new();
        for partition in 0..fixture.cluster.settings.partitions {
            let mut best = (None, all[0].1.clone());
            for (_, rocks) in &all {
                let at = Replica(rocks.clone()).position(partition)?;
                if at > best.0 {
                    best = (at, rocks.clone());
                }
            }
            leading.push(best.1);
        }
        Ok(Self { all, leading })
    }

    fn positions(&self, partition: Partition) -> Result<BTreeMap<String, u64>> {
        let mut positions = BTreeMap::new();
        for (name, rocks) in &self.all {
            if let Some(at) = Replica(rocks.clone()).position(partition)? {
                positions.insert(name.clone(), at);
            }
        }
        Ok(positions)
    }
}

/// Every topic of the deployment.
fn topics(fixture: &Fixture) -> Vec<Topic> {
    ALL.into_iter().chain([fixture.cluster.settings.changelog.clone()]).collect()
}

/// Hands over every committed record of a topic's partition.
fn each(onlooker: &Onlooker, topic: &Topic, partition: Partition, mut visit: impl FnMut(&Delivery)) -> Result<()> {
    let (mut next, end) = (onlooker.start_offset(topic, partition)?, onlooker.end_offset(topic, partition)?);
    while next < end {
        let stretch = onlooker.read(topic, partition, next, PIECE)?;
        ensure!(stretch.next > next, "nothing comes from `{topic}/{partition}` at {next} of {end}");
        stretch.records.iter().for_each(&mut visit);
        next = stretch.next;
    }
    Ok(())
}

fn places(fixture: &Fixture, onlooker: &Onlooker, states: &States) -> Result<Vec<Place>> {
    let settings = &fixture.cluster.settings;
    let mut places = Vec::new();
    for partition in 0..settings.partitions {
        let mut place = Place { states: states.positions(partition)?, ..Place::default() };
        each(onlooker, &settings.changelog, partition, |delivery| {
            place.footers.extend(Footer::of(&delivery.record).map(|footer| (delivery.offset + 1, footer)));
        })?;
        places.push(place);
    }
    for lag in kafka::lag(settings)? {
        if let Some(committed) = lag.committed {
            places[lag.partition as usize].committed.insert(lag.topic.to_string(), committed);
        }
    }
    Ok(places)
}

fn said(fixture: &Fixture, onlooker: &Onlooker) -> Result<Vec<Said>> {
    let mut said = Vec::new();
    for partition in 0..fixture.cluster.settings.partitions {
        each(onlooker, &PROFILE_CHANGES, partition, |delivery| said.push(change(delivery)))?;
    }
    Ok(said)
}

fn change(delivery: &Delivery) -> Said {
    let header = |name: &str| {
        let found = delivery.record.headers.iter().find(|(have, _)| have == name);
        found.map_or_else(String::new, |(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let person = String::from_utf8_lossy(delivery.record.key.as_deref().unwrap_or_default()).into_owned();
    Said { person, version: header("profile_version").parse().unwrap_or_default(), cause: header("src") }
}

fn ways(fixture: &Fixture, states: &States, rebuilt: &Path, replayed: &Path) -> Result<Digests> {
    let cluster = &fixture.cluster;
    let ways = vec![
        ("live state", Census::gathered(&states.leading, true)?.by_person),
        ("changelog", cluster::live(cluster, rebuilt)?.by_person),
        ("replay", cluster::rebuild(cluster, replayed, &mut |_, _| ())?.by_person),
        ("batch algorithm", cluster::verify(cluster, &mut |_, _| ())?),
    ];
    Ok(Digests { ways, run: None })
}

/// The fingerprint that `musubi run` prints for these lines.
///
/// # Errors
/// Where it cannot run.
pub fn run(lines: &[Vec<u8>]) -> Result<String> {
    let scratch = tempfile::tempdir()?;
    let input = scratch.path().join("lines.ndjson");
    let mut text = Vec::new();
    for line in lines {
        text.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            text.push(b'\n');
        }
    }
    std::fs::write(&input, text)?;
    let mut command = Command::new(binary()?);
    command.args(["run", "--quiet", "--out"]).arg(scratch.path().join("run")).arg(&input).env_remove("MUSUBI_KEY");
    let done = command.output().context("cannot start `musubi run`")?;
    ensure!(
        done.status.success(),
        "`musubi run` ended with {}: {}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    Ok(summary["fingerprint"].as_str().context("a fingerprint in the summary")?.to_owned())
}

fn books(fixture: &Fixture, onlooker: &Onlooker, states: &States, rebuilt: &Path) -> Result<Books> {
    let partitions = fixture.cluster.settings.partitions;
    let mut books = count_evidence(fixture, onlooker)?;
    let rebuilt = fixture.cluster.state(rebuilt)?;
    for (partition, live) in (0..).zip(&states.leading) {
        books.live.push(Account::find(live, partition)?);
        books.rebuilt.push(Account::find(&rebuilt, partition)?);
        live.scan(keys::SEEN, &keys::partition_bytes(partition), |_, _| {
            books.seen += 1;
            Ok(())
        })?;
    }
    for partition in 0..partitions {
        each(onlooker, &QUARANTINE, partition, |_| books.quarantined += 1)?;
    }
    Ok(books)
}

/// Counts the evidence without any stitcher: the first at its owner stands.
fn count_evidence(fixture: &Fixture, onlooker: &Onlooker) -> Result<Books> {
    let cluster = &fixture.cluster;
    let partitions = cluster.settings.partitions;
    let mut books = Books { evidence: vec![0; partitions as usize], ..Books::default() };
    let mut reading = Reading::new(Arc::clone(&cluster.policy), cluster.key.clone(), partitions);
    let mut standing = HashMap::<EventKey, u64>::new();
    for topic in [DIRECTIVES, TOUCHPOINTS] {
        for partition in 0..partitions {
            each(onlooker, &topic, partition, |delivery| {
                books.evidence[partition as usize] += 1;
                let Intake::Input(owner, Input::Touchpoint { observation, content }) = reading.record(delivery) else {
                    return;
                };
                if owner != partition {
                    return;
                }
                match standing.entry(observation.event) {
                    Entry::Vacant(place) => {
                        place.insert(content);
                        books.events += 1;
                    }
                    Entry::Occupied(first) => books.copies += u64::from(*first.get() == content),
                }
            })?;
        }
    }
    Ok(books)
}
