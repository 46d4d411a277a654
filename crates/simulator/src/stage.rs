//! The stage: processes of the log on Kafka, on the model of a cluster. Their parts move one at a time, as the seed has
//! it, and others in the midst of their calls.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use musubi_log::kafka::{self, Replica as _, Settings, Steps};
use musubi_log::model::{Died, Link, Model};
use musubi_log::{self as log, Append, Budget, Partition, Record, Table, Topic};
use musubi_stitcher::{Error, Worker, topics};
use musubi_store::{self as store, STATE_FAMILIES, keys};

use crate::Failed;
use crate::dice::Dice;
use crate::disk::{Blow, Disk};
use crate::driver::{Totals, encode};
use crate::footers;
use crate::hardships::Hardships;
use crate::scenario::Scenario;
use crate::story::{Step, Story};

/// The compacted topic of the state.
pub(crate) const CHANGELOG: Topic = Topic::constant("changelog");
/// How many rounds a run may take to come to rest.
const ROUNDS: u32 = 6_000;

/// How many turns may be undone on the way to rest: a transaction of before may have to be settled first.
const UNDONE: u64 = 100;

/// What moves in a process.
#[derive(Clone, Copy, Debug)]
enum Part {
    Member,
    Fetch,
    Restorer,
    Standby(Partition),
    Worker(usize),
}

/// A process.
struct Process {
    instance: String,
    link: Link,
    steps: Steps<Link>,
    workers: Vec<RefCell<Worker<kafka::Worker<Link>, Disk>>>,
    disk: Disk,
    /// Until when its group hears nothing of it.
    silent_until: Cell<u64>,
    /// Whether it stands still meanwhile.
    still: Cell<bool>,
    /// Whether it ended because its disk cannot be read.
    unreadable: Cell<bool>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything is read, and nothing moves.
    AtRest,
    /// Somebody found a torn transaction, and raised the alarm.
    Alarm(String),
}

/// Everything that is on the stage.
pub(crate) struct Stage {
    pub(crate) scenario: Scenario,
    pub(crate) hardships: Hardships,
    pub(crate) model: Model,
    dice: RefCell<Dice>,
    totals: RefCell<Totals>,
    story: Rc<RefCell<Story>>,
    processes: RefCell<Vec<Rc<Process>>>,
    failure: RefCell<Option<Failed>>,
    alarm: RefCell<Option<String>>,
}

impl Stage {
    /// Sets the stage.
    pub(crate) fn new(scenario: Scenario, story: Rc<RefCell<Story>>) -> Result<Rc<Self>, Failed> {
        let (hardships, mut dice) = Hardships::draw(scenario.seed);
        let names: Vec<Topic> = topics::ALL.into_iter().chain([CHANGELOG]).collect();
        let times = hardships.times.of_the_cluster();
        let model = Model::new(&names, scenario.partitions, hardships.faults, times, dice.spawn());
        let totals = RefCell::new(Totals { untold: true, ..Totals::default() });
        let (failure, alarm, processes) = Default::default();
        let dice = RefCell::new(dice);
        let stage = Rc::new(Self { scenario, hardships, model, dice, totals, story, processes, failure, alarm });
        for number in 0..hardships.processes {
            let disk = Disk::new(stage.scenario.real_disks)?.with_room(hardships.room);
            let process = stage.start(&format!("stitcher-{number}"), disk)?;
            stage.processes.borrow_mut().push(Rc::new(process));
        }
        let weak = Rc::downgrade(&stage);
        Model::set_interlude(Some(Rc::new(move |caller| {
            if let Some(stage) = weak.upgrade() {
                stage.interlude(caller);
            }
        })));
        Ok(stage)
    }

    /// How the processes meet the cluster.
    pub(crate) fn settings(&self, instance: &str) -> Settings {
        let times = self.hardships.times;
        let tables = STATE_FAMILIES.map(Table).to_vec();
        let base = Settings::new("", topics::INPUTS.to_vec(), topics::TOUCHPOINTS, tables, self.scenario.partitions);
        Settings {
            instance: instance.to_owned(),
            changelog: CHANGELOG,
            packed: [keys::SEEN, keys::PARENTS].map(Table).to_vec(),
            workers: self.hardships.workers,
            standby: self.hardships.standby,
            inbox: 20,
            linger: Duration::ZERO,
            transaction_timeout: Duration::from_millis(times.transaction_ms),
            session_timeout: Duration::from_millis(times.session_ms),
            uncompacted: Duration::from_millis(times.uncompacted_ms),
            tombstones: Duration::from_millis(times.tombstones_ms),
            ..base
        }
    }

    fn start(&self, instance: &str, disk: Disk) -> Result<Process, Failed> {
        let link = self.model.process(instance);
        let disk = disk.with_fate(link.fate());
        let steps = Steps::new(link.clone(), link.member(), self.settings(instance), Arc::new(disk.clone()))?;
        let Scenario { policy, deployment, partitions, machine, .. } = &self.scenario;
        let worker = |number| {
            let (policy, deployment) = (Arc::clone(policy), deployment.clone());
            RefCell::new(Worker::new(steps.worker(number), disk.clone(), policy, deployment, *partitions, *machine))
        };
        let workers = (0..self.hardships.workers).map(worker).collect();
        let (silent_until, still, unreadable) = Default::default();
        Ok(Process { instance: instance.to_owned(), link, steps, workers, disk, silent_until, still, unreadable })
    }

    fn tell(&self, step: Step) {
        self.story.borrow_mut().tell(step);
    }

    fn dice<T>(&self, draw: impl FnOnce(&mut Dice) -> T) -> T {
        draw(&mut self.dice.borrow_mut())
    }

    /// What all processes did.
    pub(crate) fn totals(&self) -> Totals {
        *self.totals.borrow()
    }

    /// Plays the scenario to its end.
    pub(crate) fn run(&self) -> Result<End, Failed> {
        let (mut next, mut after) = (0, self.dice(|dice| dice.below(300)));
        while next < self.scenario.arrivals.len() || after > 0 {
            if next == self.scenario.arrivals.len() {
                after -= 1;
            } else if self.dice(|dice| dice.happens(150)) {
                self.send(next)?;
                next += 1;
            }
            self.hardship();
            self.replace_the_dead(200)?;
            self.move_somebody();
            if let Some(end) = self.ended()? {
                return Ok(end);
            }
        }
        self.rest()
    }

    fn ended(&self) -> Result<Option<End>, Failed> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        Ok(self.alarm.take().map(End::Alarm))
    }

    fn send(&self, arrival: usize) -> Result<(), Failed> {
        let Scenario { partitions, troubles, arrivals, .. } = &self.scenario;
        let (topic, key, value) = encode(&self.scenario, &arrivals[arrival])?;
        let owner = topics::partition_of(&key, *partitions);
        let astray = self.dice(|dice| dice.happens(troubles.astray));
        let partition = if astray { self.dice(|dice| dice.below(*partitions)) } else { owner };
        self.tell(Step::Sent { arrival, partition, astray: partition != owner });
        let record = Record::new(key.into_bytes(), value, i64::try_from(arrival).unwrap_or_default());
        self.model.append(vec![Append { topic, partition, record }]);
        Ok(())
    }

    fn seat(&self) -> (usize, Rc<Process>) {
        let processes = self.processes.borrow();
        let seat = self.dice(|dice| dice.index(processes.len()));
        (seat, Rc::clone(&processes[seat]))
    }

    fn part(&self) -> Part {
        let (workers, partitions) = (self.hardships.workers, self.scenario.partitions);
        self.dice(|dice| match dice.below(10) {
            0 | 1 => Part::Member,
            2 | 3 => Part::Fetch,
            4 | 5 => Part::Restorer,
            6 if self.hardships.standby => Part::Standby(dice.below(partitions)),
            _ => Part::Worker(dice.index(workers)),
        })
    }

    fn move_somebody(&self) {
        let ms = self.dice(|dice| *dice.pick(&[1, 1, 5, 5, 20, 20, 100]));
        self.model.pass(ms);
        let (seat, process) = self.seat();
        if !process.still.get() {
            self.step(seat, &process, self.part());
        }
    }

    /// In the midst of a call of a process: others have their turn, and now and then for so long that its group goes on
    /// without it, or its other parts without this one.
    fn interlude(&self, caller: usize) {
        let long = self.hardships.silences > 0 && self.dice(|dice| dice.happens(60));
        let still = long && self.dice(|dice| dice.happens(500));
        let process = self.processes.borrow().iter().find(|process| process.link.number() == caller).cloned();
        let process = process.filter(|_| still);
        if let Some(process) = &process {
            process.link.fate().silence(true);
            process.still.set(true);
        }
        let (many, ms) = if long { (80, 250) } else { (1 + self.dice(|dice| dice.below(4)), 1) };
        for _ in 0..many {
            self.model.pass(ms);
            self.move_somebody();
        }
        if let Some(process) = &process {
            process.link.fate().silence(false);
            process.still.set(false);
        }
    }

    /// What befalls processes from outside.
    fn hardship(&self) {
        let Hardships { deaths, silences, rebalances, cleanings, times, .. } = self.hardships;
        let now = self.model.now_ms();
        for process in self.processes.borrow().iter() {
            let until = process.silent_until.get();
            if until > 0 && until <= now {
                process.silent_until.set(0);
                process.still.set(false);
                process.link.fate().silence(false);
            }
        }
        if self.dice(|dice| dice.happens(deaths)) {
            let calls = self.dice(|dice| dice.between(1, 300));
            self.seat().1.link.fate().doom(calls);
        }
        if self.dice(|dice| dice.happens(silences)) {
            let (seat, process) = self.seat();
            let (length, still) = self.dice(|dice| (dice.between(500, 20_000), dice.happens(500)));
            process.silent_until.set(now + u64::from(length));
            process.still.set(still);
            process.link.fate().silence(true);
            self.tell(Step::Silent { seat, still });
        }
        if self.dice(|dice| dice.happens(rebalances)) {
            self.totals.borrow_mut().moves += 1;
            self.model.unsettle();
            self.tell(Step::Unsettled);
        }
        if self.dice(|dice| dice.happens(cleanings)) {
            let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
            let deletes = ms(times.uncompacted_ms + times.tombstones_ms);
            self.model.compact(&CHANGELOG, ms(times.uncompacted_ms), deletes);
            self.model.purge(&topics::MESH);
        }
    }

    /// A part of a process moves. Where it dies of it, only it does.
    fn step(&self, seat: usize, process: &Process, part: Part) {
        if process.link.fate().is_dead() || self.failure.borrow().is_some() {
            return;
        }
        let moved = catch_unwind(AssertUnwindSafe(|| self.act(seat, process, part)));
        if let Err(panic) = moved
            && !panic.is::<Died>()
        {
            resume_unwind(panic);
        }
    }

    fn act(&self, seat: usize, process: &Process, part: Part) {
        let steps = &process.steps;
        match part {
            Part::Member => {
                let member = steps.member();
                if let Some(word) = member.poll() {
                    self.tell(Step::Told { seat, word: format!("{word:?}") });
                    steps.hear(word);
                }
                if steps.has_given() {
                    member.gave();
                }
            }
            Part::Fetch => steps.fetch(),
            Part::Restorer => steps.restore(),
            Part::Standby(partition) => match steps.stand_by(partition) {
                Ok(()) | Err(log::Error::Broker { .. } | log::Error::Stalled { .. }) => {}
                Err(why) => self.end_of(seat, process, Error::Log(why)),
            },
            Part::Worker(number) => self.work(seat, process, number),
        }
    }

    fn work(&self, seat: usize, process: &Process, number: usize) {
        let Ok(mut worker) = process.workers[number].try_borrow_mut() else { return };
        let greed = self.dice(|dice| dice.between(1, self.scenario.greed)) as usize;
        let outcome = worker.turn(Budget::records(greed));
        let mut totals = self.totals.borrow_mut();
        totals.turns += 1;
        match outcome {
            Ok(turn) => {
                totals.undone += u64::from(turn.undone);
                drop(totals);
                if turn.records > 0 {
                    self.tell(Step::turned(seat, &turn));
                }
            }
            Err(why) => {
                drop((totals, worker));
                self.end_of(seat, process, why);
            }
        }
    }

    /// Whether a process holds nothing, or takes something for its own that the group has given to another.
    fn is_outdated(&self, process: &Process) -> bool {
        let held = process.steps.held();
        let number = process.link.number();
        held.is_empty() || held.into_iter().any(|partition| self.model.holder(partition) != Some(number))
    }

    /// A process ends with an error, as `musubi stitch` does; somebody starts it again.
    fn end_of(&self, seat: usize, process: &Process, why: Error) {
        self.tell(Step::Ended { seat, why: why.to_string() });
        let struck = self.model.counts().strikes > 0;
        match &why {
            Error::Store(store::Error::Corrupt { .. }) | Error::Log(log::Error::State(_)) => {
                process.unreadable.set(true);
            }
            Error::Log(log::Error::Corrupt { .. } | log::Error::Mismatch { .. }) if struck => {
                self.alarm.borrow_mut().get_or_insert(why.to_string());
            }
            // Whose partitions are another's by now may find them read and purged.
            Error::Log(log::Error::Broker { doing, .. })
                if !doing.contains("no longer there") || self.is_outdated(process) => {}
            Error::Log(log::Error::Stalled { .. }) => {}
            Error::Log(_) | Error::Store(_) | Error::Encode(_) | Error::Schema(_) => {
                self.failure.borrow_mut().get_or_insert(Failed(format!("process {seat} ends: {why}")));
            }
        }
        process.link.fate().end();
    }

    /// Starts processes again that have ended, each so often in a thousand.
    fn replace_the_dead(&self, per_mille: u32) -> Result<(), Failed> {
        for seat in 0..self.hardships.processes {
            let dead = self.processes.borrow()[seat].link.fate().is_dead();
            if !dead || !self.dice(|dice| dice.happens(per_mille)) {
                continue;
            }
            let process = self.processes.borrow_mut().remove(seat);
            let process = Rc::into_inner(process).ok_or_else(|| Failed("a dead process still moves".to_owned()))?;
            let blow = if process.unreadable.get() { Blow::Loss } else { self.blow() };
            let Process { instance, steps, workers, disk, .. } = process;
            drop((steps, workers));
            self.totals.borrow_mut().deaths += 1;
            self.tell(Step::Died { seat, disk_lost: blow == Blow::Loss });
            let disk = self.dice(|dice| disk.after(blow, dice))?;
            let process = self.start(&instance, disk)?;
            self.processes.borrow_mut().insert(seat, Rc::new(process));
        }
        Ok(())
    }

    fn blow(&self) -> Blow {
        let [power, damage, loss] = self.hardships.blows;
        match self.dice(|dice| dice.below(1_000)) {
            drawn if drawn < power => Blow::Power,
            drawn if drawn < power + damage => Blow::Damage,
            drawn if drawn < power + damage + loss => Blow::Loss,
            _ => Blow::Kill,
        }
    }

    /// Goes on without hardships until every record is read and every state is where its changelog ends.
    fn rest(&self) -> Result<End, Failed> {
        self.tell(Step::Resting);
        self.model.calm();
        for process in self.processes.borrow().iter() {
            process.silent_until.set(0);
            process.still.set(false);
            process.link.fate().silence(false);
            process.link.fate().doom(0);
        }
        let before = self.totals().undone;
        for _ in 0..ROUNDS {
            self.replace_the_dead(1_000)?;
            self.round();
            if let Some(end) = self.ended()? {
                return Ok(end);
            }
            let undone = self.totals().undone - before;
            if undone > UNDONE {
                return Err(Failed(format!("it does not come to rest: {undone} turns were undone without a hardship")));
            }
            if self.is_at_rest() {
                return Ok(End::AtRest);
            }
        }
        // A transaction that was torn may have moved a footer and left the group's offsets behind.
        if self.model.counts().strikes > 0 {
            return Ok(End::AtRest);
        }
        let unread = self.model.unread(&topics::INPUTS);
        Err(Failed(format!("it does not come to rest: {unread} partitions are unread")))
    }

    fn round(&self) {
        self.model.pass(20);
        for seat in 0..self.hardships.processes {
            let process = Rc::clone(&self.processes.borrow()[seat]);
            let workers = (0..self.hardships.workers).map(Part::Worker);
            for part in [Part::Member, Part::Fetch, Part::Restorer].into_iter().chain(workers) {
                self.step(seat, &process, part);
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        if self.model.unread(&topics::INPUTS) > 0 || !self.model.is_calm() {
            return false;
        }
        for partition in 0..self.scenario.partitions {
            let Some(disk) = self.disk(partition) else { return false };
            // One that cannot be read is about to be found so.
            let at = disk.position(partition).ok().map(Option::unwrap_or_default);
            if at != Some(footers::end(&self.model, partition)) {
                return false;
            }
        }
        true
    }

    /// The disk of the process that holds a partition.
    pub(crate) fn disk(&self, partition: Partition) -> Option<Disk> {
        let holder = self.model.holder(partition)?;
        let processes = self.processes.borrow();
        processes.iter().find(|process| process.link.number() == holder).map(|process| process.disk.clone())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        Model::set_interlude(None);
    }
}
