//! The driver: workers take turns, records come in, time passes, and things go wrong, all as the seed has it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use musubi_core::change::Position;
use musubi_log::simulated::{Cluster, WorkerId};
use musubi_log::{Append, Budget, Log, Offset, Producer, Record};
use musubi_schema::avro;
use musubi_stitcher::{Error, Ruling, Store as _, Turn, Worker, topics};
use musubi_store::{InMemory, Tables, keys};

use crate::Failed;
use crate::arrivals::Arrival;
use crate::disk::Disk;
use crate::mishap::{Fate, Fated, Mishap};
use crate::rest::Rest;
use crate::scenario::Scenario;
use crate::story::{Step, Story};

/// How many turns a run may take to come to rest, for each arrival and beside them.
const TURNS_PER_ARRIVAL: u64 = 500;
const TURNS: u64 = 5_000;

/// What all turns did, as far as the workers could say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) turns: u64,
    pub(crate) taken: u64,
    pub(crate) duplicates: u64,
    pub(crate) forgotten: u64,
    pub(crate) quarantined: u64,
    pub(crate) undone: u64,
    pub(crate) deaths: u64,
    pub(crate) moves: u64,
    /// Whether some commit happened of which no turn told.
    pub(crate) untold: bool,
}

/// A place for a worker.
struct Seat {
    worker: Worker<Fated, Disk>,
    disk: Disk,
    id: WorkerId,
    fate: Rc<RefCell<Fate>>,
}

/// A run on its way.
pub(crate) struct Driver {
    pub(crate) scenario: Scenario,
    pub(crate) cluster: Cluster,
    pub(crate) totals: Totals,
    seats: Vec<Seat>,
    /// The seat that each partition was given to.
    owners: Vec<usize>,
    story: Rc<RefCell<Story>>,
}

impl Driver {
    /// Sets the stage.
    pub(crate) fn new(mut scenario: Scenario, story: Rc<RefCell<Story>>) -> Result<Self, Failed> {
        let partitioned = topics::ALL.map(|topic| (topic, scenario.partitions));
        let random = scenario.dice.spawn();
        let cluster = Cluster::new(&partitioned, &topics::INPUTS, scenario.faults, random)?;
        let mut driver =
            Self { cluster, totals: Totals::default(), seats: Vec::new(), owners: Vec::new(), story, scenario };
        for _ in 0..driver.scenario.workers {
            let seat = driver.seat(Disk::new(driver.scenario.real_disks)?);
            driver.seats.push(seat);
        }
        for partition in 0..driver.scenario.partitions {
            let seat = driver.scenario.dice.index(driver.seats.len());
            driver.owners.push(seat);
            driver.cluster.assign(driver.seats[seat].id, &[partition]);
        }
        Ok(driver)
    }

    /// Plays the scenario until nothing is left to be done.
    pub(crate) fn run(&mut self) -> Result<(), Failed> {
        let mut next = 0;
        while next < self.scenario.arrivals.len() {
            if self.scenario.dice.happens(350) {
                self.send(next)?;
                next += 1;
            }
            self.trouble();
            let mishap = self.mishap();
            let seat = self.scenario.dice.index(self.seats.len());
            self.turn(seat, mishap)?;
            self.cluster.tick();
        }
        // A while longer, so that what was said last meets with troubles, too.
        for _ in 0..self.scenario.dice.below(40) {
            self.trouble();
            let mishap = self.mishap();
            let seat = self.scenario.dice.index(self.seats.len());
            self.turn(seat, mishap)?;
            self.cluster.tick();
        }
        self.rest()
    }

    /// What it has come to.
    pub(crate) fn at_rest(&self) -> Result<Rest<'_>, Failed> {
        let mut onlooker = self.cluster.worker();
        let mut rebuilt = Vec::new();
        for partition in 0..self.scenario.partitions {
            let (mut state, mut next) = (InMemory::default(), 0);
            while let Some(changes) = onlooker.changelog(partition, next)? {
                state.apply(&changes.state)?;
                next = changes.next;
            }
            rebuilt.push(state);
        }
        let disks = (0..self.scenario.partitions).map(|partition| self.disk(partition).clone()).collect();
        Ok(Rest { scenario: &self.scenario, shelf: &self.cluster, disks, rebuilt, totals: self.totals })
    }

    /// The disk of the worker that holds a partition.
    pub(crate) fn disk(&self, partition: u32) -> &Disk {
        &self.seats[self.owners[partition as usize]].disk
    }

    fn seat(&self, disk: Disk) -> Seat {
        let fate = Rc::default();
        let log = Fated::new(&self.cluster, Rc::clone(&fate));
        let id = log.id();
        let (policy, deployment) = (Arc::clone(&self.scenario.policy), self.scenario.deployment.clone());
        let partitions = self.scenario.partitions;
        let worker = Worker::new(log, disk.clone(), policy, deployment, partitions, self.scenario.machine);
        Seat { worker, disk, id, fate }
    }

    fn tell(&self, step: Step) {
        self.story.borrow_mut().tell(step);
    }

    fn send(&mut self, arrival: usize) -> Result<(), Failed> {
        let partitions = self.scenario.partitions;
        let (topic, key, value) = encode(&self.scenario, &self.scenario.arrivals[arrival])?;
        let owner = topics::partition_of(&key, partitions);
        let astray = self.scenario.dice.happens(self.scenario.troubles.astray);
        let partition = if astray { self.scenario.dice.below(partitions) } else { owner };
        self.tell(Step::Sent { arrival, partition, astray: partition != owner });
        let record = Record::new(key.into_bytes(), value, i64::try_from(arrival).unwrap_or_default());
        self.cluster.append(vec![Append { topic, partition, record }])?;
        Ok(())
    }

    /// Lets partitions change hands.
    fn trouble(&mut self) {
        if self.scenario.dice.happens(self.scenario.troubles.moves) {
            let partition = self.scenario.dice.below(self.scenario.partitions);
            let to = self.scenario.dice.index(self.seats.len());
            self.give(partition, to);
        }
    }

    fn give(&mut self, partition: u32, to: usize) {
        self.totals.moves += 1;
        self.owners[partition as usize] = to;
        self.cluster.assign(self.seats[to].id, &[partition]);
        self.tell(Step::Moved { partition, to });
    }

    fn mishap(&mut self) -> Mishap {
        let (dice, troubles) = (&mut self.scenario.dice, self.scenario.troubles);
        if dice.happens(troubles.deaths) {
            return match dice.below(5) {
                0 | 1 => Mishap::DiesBeforeCommit,
                2 | 3 => Mishap::DiesAfterCommit,
                _ => Mishap::DiesRestoring,
            };
        }
        if dice.happens(troubles.robberies) {
            let robber = dice.index(self.seats.len());
            let stolen: Vec<u32> = (0..self.scenario.partitions).filter(|_| dice.happens(500)).collect();
            return Mishap::Robbed(stolen, self.seats[robber].id);
        }
        Mishap::None
    }

    /// Lets one worker have its turn, and replaces it where it dies.
    fn turn(&mut self, seat: usize, mishap: Mishap) -> Result<Turn, Failed> {
        let greed = self.scenario.dice.between(1, self.scenario.greed) as usize;
        self.seats[seat].fate.borrow_mut().mishap = mishap.clone();
        let outcome = self.seats[seat].worker.turn(Budget::records(greed));
        self.totals.turns += 1;
        let (dead, happened) = {
            let mut fate = self.seats[seat].fate.borrow_mut();
            self.totals.untold |= fate.untold;
            (fate.dead, std::mem::take(&mut fate.mishap) != mishap)
        };
        if let (Mishap::Robbed(stolen, robber), true) = (&mishap, happened) {
            self.robbed(stolen, *robber);
        }
        match outcome {
            Ok(turn) => {
                self.tell(Step::turned(seat, &turn));
                self.count(&turn);
                Ok(turn)
            }
            Err(Error::Log(_)) if dead => {
                self.die(seat)?;
                Ok(Turn::default())
            }
            Err(why) => Err(why.into()),
        }
    }

    fn robbed(&mut self, stolen: &[u32], robber: WorkerId) {
        let Some(to) = self.seats.iter().position(|seat| seat.id == robber) else { return };
        for partition in stolen {
            self.totals.moves += 1;
            self.owners[*partition as usize] = to;
            self.tell(Step::Moved { partition: *partition, to });
        }
    }

    fn count(&mut self, turn: &Turn) {
        self.totals.taken += turn.taken;
        self.totals.duplicates += turn.duplicates;
        self.totals.forgotten += turn.forgotten;
        self.totals.quarantined += turn.quarantined;
        self.totals.undone += u64::from(turn.undone);
    }

    /// Puts another worker in the place of a dead one, and shares out what it held.
    fn die(&mut self, seat: usize) -> Result<(), Failed> {
        self.totals.deaths += 1;
        let disk_lost = self.scenario.dice.happens(self.scenario.troubles.lost_disks);
        self.tell(Step::Died { seat, disk_lost });
        let Seat { worker, disk, .. } = self.seats.remove(seat);
        drop(worker);
        let disk = if disk_lost { Disk::new(self.scenario.real_disks)? } else { disk.reopen()? };
        self.seats.insert(seat, self.seat(disk));
        for partition in 0..self.scenario.partitions {
            if self.owners[partition as usize] == seat {
                let elsewhere = self.scenario.dice.happens(300);
                let to = if elsewhere { self.scenario.dice.index(self.seats.len()) } else { seat };
                self.give(partition, to);
            }
        }
        Ok(())
    }

    /// Goes on without troubles until every record is read and every worker knows all that happened to its partitions.
    fn rest(&mut self) -> Result<(), Failed> {
        self.tell(Step::Resting);
        self.cluster.settle();
        let most = self.totals.turns + TURNS + TURNS_PER_ARRIVAL * self.scenario.arrivals.len() as u64;
        while self.cluster.unread() > 0 || !self.is_up_to_date()? {
            for seat in 0..self.seats.len() {
                self.turn(seat, Mishap::None)?;
            }
            self.cluster.tick();
            if self.totals.turns > most {
                return Err(Failed(format!("it does not come to rest: {} records are unread", self.cluster.unread())));
            }
        }
        self.cluster.settle();
        Ok(())
    }

    /// Whether the disk of every partition's owner holds all of its changelog.
    fn is_up_to_date(&self) -> Result<bool, Failed> {
        let mut onlooker = self.cluster.worker();
        for partition in 0..self.scenario.partitions {
            let next = restored(self.disk(partition), partition)?;
            if onlooker.changelog(partition, next)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The topic, key and bytes of an arrival.
pub(crate) fn encode(scenario: &Scenario, arrival: &Arrival) -> Result<(musubi_log::Topic, String, Vec<u8>), Failed> {
    let Scenario { policy, deployment, .. } = scenario;
    let mut bytes = Vec::new();
    let name = |(namespace, value): &(Arc<str>, Arc<str>)| format!("{namespace}:{value}");
    Ok(match arrival {
        Arrival::Touchpoint(touchpoint) => {
            avro::Record::Touchpoint(touchpoint).encode(&mut bytes)?;
            let strongest = policy.identify(touchpoint, deployment).ok();
            let key = strongest.map_or_else(|| name(&touchpoint.identifiers[0]), |it| it.kept[0].text().to_owned());
            (topics::TOUCHPOINTS, key, bytes)
        }
        Arrival::Directive(directive) => {
            avro::Record::Directive(directive).encode(&mut bytes)?;
            let nowhere = Position { topic: topics::DIRECTIVES.as_str().into(), partition: 0, offset: 0 };
            let entry = Ruling::read(directive, policy, deployment, nowhere).ok();
            let key = entry.map_or_else(|| "nobody".to_owned(), |ruling| ruling.entry().text().to_owned());
            (topics::DIRECTIVES, key, bytes)
        }
        Arrival::Noise(bytes) => (topics::TOUCHPOINTS, "noise".to_owned(), bytes.clone()),
    })
}

/// Where a partition's changelog is to be read next, by what a disk holds.
pub(crate) fn restored(disk: &impl Tables, partition: u32) -> Result<Offset, Failed> {
    let mut next = 0;
    disk.get_many(keys::META, &[keys::changelog(partition)], |_, value| {
        next = value.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        Ok(())
    })?;
    Ok(next)
}
