//! Rebuilding the state from the evidence, beside the live one, and comparing the two.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use musubi_core::fingerprint::Fingerprint;
use musubi_log::kafka::{self, Progress};
use musubi_log::{Partition, Topic};
use musubi_stitcher::topics::{DIRECTIVES, TOUCHPOINTS};
use musubi_stitcher::{Batch, Input, Intake, Machine, Options, Reading, Replica, State, replay};
use musubi_store::{Rocks, Stored, Tables, Writer, keys};

use super::Cluster;
use super::evidence::{Evidence, Places};
use crate::census::fingerprint_of;
use crate::{Census, Error};

/// How many records are decided on and written at once, or a few more.
const ENOUGH: u64 = 20_000;
/// How many pieces are read before their turn.
const AHEAD: usize = 2;

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
    let evidence = Evidence::open(cluster, &places(cluster, &rocks)?)?;
    let partitions = cluster.settings.partitions;
    let options = Options { snapshots: false, throttle: false, ..cluster.machine };
    let mut machine = Machine::new(Arc::clone(&cluster.policy), partitions, Stored(rocks.clone()), options);
    let reading = cluster.reading();
    let (hand_over, pieces) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || read_ahead(evidence, reading, &hand_over));
        let mut records = 0;
        pieces.iter().try_for_each(|piece| {
            let Piece { inputs, read, next, left } = piece?;
            records += read;
            take_in(&mut machine, inputs)?;
            let mut state = State::default();
            machine.write(&mut state);
            rocks.write(|batch| {
                replay(state.0.sorted(), batch);
                next.iter().for_each(|(place, next)| batch.put(keys::META, &key(place), &next.to_be_bytes()));
            })?;
            told(records, left);
            Ok::<(), Error>(())
        })
    })?;
    Census::of(&rocks, partitions, true)
}

/// Evidence as inputs: what is written at once.
struct Piece {
    inputs: Vec<(Partition, Input)>,
    /// How many records were read for it.
    read: u64,
    /// Where the reading goes on.
    next: Places,
    /// How many offsets are left behind it.
    left: u64,
}

/// Reads evidence on a thread of its own, so that one core reads while another decides; until there is no more, or
/// nobody takes it.
fn read_ahead(mut evidence: Evidence, mut reading: Reading, hand_over: &SyncSender<Result<Piece, Error>>) {
    while evidence.left() > 0 {
        let piece = read_piece(&mut evidence, &mut reading);
        let failed = piece.is_err();
        if hand_over.send(piece).is_err() || failed {
            return;
        }
    }
}

fn read_piece(evidence: &mut Evidence, reading: &mut Reading) -> Result<Piece, Error> {
    let (mut inputs, mut read) = (Vec::new(), 0);
    while read < ENOUGH && evidence.left() > 0 {
        let records = evidence.read()?;
        read += records.len() as u64;
        reading.prepare(&records).map_err(musubi_stitcher::Error::from)?;
        inputs.extend(records.iter().filter_map(|delivery| match reading.record(delivery) {
            Intake::Input(owner, input) => Some((owner, input)),
            Intake::Refused(_) => None,
        }));
    }
    Ok(Piece { inputs, read, next: evidence.next.clone(), left: evidence.left() })
}

/// Takes inputs in, and hands the partitions what they say to each other until nobody says anything.
fn take_in(machine: &mut Machine<Stored<Rocks>>, inputs: Vec<(Partition, Input)>) -> Result<(), Error> {
    let failed = |why| Error::from(musubi_stitcher::Error::from(why));
    machine.take_in(inputs).map_err(failed)?;
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
