//! Rebuilding the state from the evidence, beside the live one, and comparing the two.

use std::path::Path;
use std::sync::Arc;

use musubi_core::fingerprint::Fingerprint;
use musubi_log::kafka::{self, Progress};
use musubi_log::{Delivery, Topic};
use musubi_stitcher::topics::{DIRECTIVES, TOUCHPOINTS};
use musubi_stitcher::{Batch, Input, Intake, Machine, Options, Reading, Replica, State, replay};
use musubi_store::{Rocks, Stored, Tables, Writer, keys};

use super::Cluster;
use super::evidence::{Evidence, Places};
use crate::census::fingerprint_of;
use crate::{Census, Error};

/// Told now and then: how many records were read, and how many offsets are left.
pub type Told<'a> = &'a mut dyn FnMut(u64, u64);

/// The state that the cluster's changelog holds, brought into a directory. What is there already is only brought up to
/// date.
///
/// # Errors
/// [`Error::Log`], [`Error::Store`], [`Error::Mismatch`].
pub fn live(cluster: &Cluster, directory: &Path) -> Result<Census, Error> {
    let rocks = cluster.state(directory)?;
    kafka::recover(&cluster.settings, Arc::new(Replica(rocks.clone())), &Progress::default())?;
    let settled = kafka::lag(&cluster.settings)?.iter().all(|lag| lag.behind() == 0);
    Census::of(&rocks, cluster.settings.partitions, settled)
}

/// Replays touchpoints and directives from the beginning into a directory of its own. Cut off, it goes on where it was.
///
/// # Errors
/// [`Error::Log`], [`Error::Store`], [`Error::Mismatch`].
pub fn rebuild(cluster: &Cluster, directory: &Path, told: Told<'_>) -> Result<Census, Error> {
    let rocks = cluster.state(directory)?;
    let mut evidence = Evidence::open(cluster, &places(cluster, &rocks)?)?;
    let partitions = cluster.settings.partitions;
    let options = Options { snapshots: false, throttle: false, ..cluster.machine };
    let mut machine = Machine::new(Arc::clone(&cluster.policy), partitions, Stored(rocks.clone()), options);
    let mut reading = cluster.reading();
    let mut records = 0;
    loop {
        let piece = evidence.read()?;
        if piece.is_empty() && evidence.left() == 0 {
            break;
        }
        records += piece.len() as u64;
        take_in(&mut machine, &mut reading, &piece)?;
        let mut state = State::default();
        machine.write(&mut state);
        rocks.write(|batch| {
            replay(state.0.sorted(), batch);
            evidence.next.iter().for_each(|(place, next)| batch.put(keys::META, &key(place), &next.to_be_bytes()));
        })?;
        told(records, evidence.left());
    }
    Census::of(&rocks, partitions, true)
}

/// Takes records in, and hands the partitions what they say to each other until nobody says anything.
fn take_in(machine: &mut Machine<Stored<Rocks>>, reading: &mut Reading, piece: &[Delivery]) -> Result<(), Error> {
    let failed = |why| Error::from(musubi_stitcher::Error::from(why));
    reading.prepare(piece).map_err(musubi_stitcher::Error::from)?;
    let inputs = piece.iter().filter_map(|delivery| match reading.record(delivery) {
        Intake::Input(owner, input) => Some((owner, input)),
        Intake::Refused(_) => None,
    });
    machine.take_in(inputs.collect()).map_err(failed)?;
    loop {
        let messages = machine.outgoing();
        if messages.is_empty() {
            break;
        }
        let inputs = messages.into_iter().map(|(partition, message)| (partition, Input::Message(message)));
        machine.take_in(inputs.collect()).map_err(failed)?;
    }
    // What it would say is not said: the live state has said it.
    machine.publish().map(drop).map_err(failed)
}

/// Who is who by another way: all evidence at once, connected components first, then each resolved in full. It holds all
/// of it in memory. Returns the fingerprint by partition of the persons' ids.
///
/// # Errors
/// [`Error::Log`].
pub fn verify(cluster: &Cluster, told: Told<'_>) -> Result<Vec<Fingerprint>, Error> {
    let mut evidence = Evidence::open(cluster, &Places::new())?;
    let mut batch = Batch::new(&cluster.policy, &cluster.key);
    let mut reading = cluster.reading();
    let mut records = 0;
    loop {
        let piece = evidence.read()?;
        if piece.is_empty() && evidence.left() == 0 {
            break;
        }
        records += piece.len() as u64;
        reading.prepare(&piece).map_err(musubi_stitcher::Error::from)?;
        for delivery in &piece {
            reading.into_batch(delivery, &mut batch);
        }
        told(records, evidence.left());
    }
    let mut by_person = vec![Fingerprint::default(); cluster.settings.partitions as usize];
    for person in &batch.persons().persons {
        let partition =
            musubi_stitcher::topics::partition_of(&person.person_id.to_string(), cluster.settings.partitions);
        let sum = &mut by_person[partition as usize];
        *sum = sum.join(fingerprint_of(person));
    }
    Ok(by_person)
}

/// Where an earlier rebuilding came to.
fn places(cluster: &Cluster, rocks: &Rocks) -> Result<Places, Error> {
    let mut places = Places::new();
    for topic in [DIRECTIVES, TOUCHPOINTS] {
        for partition in 0..cluster.settings.partitions {
            let place = (topic.clone(), partition);
            rocks.get_many(keys::META, &[key(&place)], |_, value| {
                let next = value.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
                next.map(|next| places.insert(place.clone(), next));
                Ok(())
            })?;
        }
    }
    Ok(places)
}

fn key((topic, partition): &(Topic, u32)) -> Vec<u8> {
    format!("rebuilt/{topic}/{partition}").into_bytes()
}
