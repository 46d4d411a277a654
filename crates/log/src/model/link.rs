//! A process' way to the cluster: the calls of the log, each with what can happen to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use super::group::Sight;
use super::transactions::{Late, Target};
use super::{DEEPEST, DEPTH, Fate, INTERLUDE, Model, Word};
use crate::kafka::calls::{
    Cluster, Heard, Member, Message, Outgoing, Place, Reads, Rebalance, Refused, Sort, Transactions, View,
};
use crate::{Bytes, Error, Offset, Partition, Record};

/// How long a request is waited for before it counts as lost: as long as the log lets librdkafka wait.
const REQUEST_MS: u64 = 10_000;
/// How long the end of a transaction is waited for.
const END_MS: u64 = 20_000;
/// How long the group's offsets are waited for.
const ASK_MS: u64 = 15_000;
/// How long a process may seem to itself to have been left alone.
const ALONE_MS: u64 = 61_000;

/// A process' way to the cluster. Clones are the same process.
#[derive(Clone, Debug)]
pub struct Link {
    model: Model,
    process: usize,
    instance: Arc<str>,
    fate: Arc<Fate>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(code: Code, sort: Sort) -> Refused {
    Refused { why: KafkaError::Global(code), sort }
}

fn timed_out() -> Refused {
    refused(Code::OperationTimedOut, Sort::Retriable)
}

impl Link {
    pub(super) fn new(model: Model, process: usize, instance: &str, fate: Arc<Fate>) -> Self {
        Self { model, process, instance: instance.into(), fate }
    }

    /// What is to become of the process.
    pub fn fate(&self) -> &Arc<Fate> {
        &self.fate
    }

    /// Its number: no two have the same.
    pub fn number(&self) -> usize {
        self.process
    }

    /// A member of the group, which has not joined it yet.
    pub fn member(&self) -> Membership {
        Membership { link: self.clone(), state: Mutex::default() }
    }

    /// A call begins: a moment passes, the process may die, and others may have their turn `weight` times as often as
    /// in other calls.
    fn enter(&self, weight: u32) {
        self.fate.call();
        let wanders = {
            let mut state = self.model.state();
            let passes = state.random.random_range(0..4) == 0;
            state.pass(u64::from(passes));
            let chance = state.faults.interludes * weight / 10;
            state.happens(chance)
        };
        if wanders {
            self.others();
        }
    }

    /// Time passes while the process waits.
    fn wait(&self, ms: u64) {
        self.fate.call();
        let wanders = {
            let mut state = self.model.state();
            state.pass(ms);
            state.faults.interludes > 0 && state.happens(300)
        };
        if wanders {
            self.others();
        }
    }

    fn others(&self) {
        let interlude = INTERLUDE.with_borrow(Clone::clone);
        if let Some(interlude) = interlude.filter(|_| DEPTH.get() < DEEPEST) {
            DEPTH.set(DEPTH.get() + 1);
            interlude(self.process);
            DEPTH.set(DEPTH.get() - 1);
            self.fate.call();
        }
    }

    fn chance(&self, of: impl FnOnce(&super::Faults) -> u32) -> bool {
        let mut state = self.model.state();
        let per_mille = of(&state.faults);
        state.happens(per_mille)
    }

    fn draw(&self, end: u64) -> u64 {
        self.model.state().random.random_range(0..end)
    }

    fn now_ms(&self) -> u64 {
        self.model.state().now
    }

    /// Waits for a coordinator.
    fn reach(&self, away: impl Fn(&super::Away) -> u64, patience: u64) -> Result<(), Refused> {
        let until = self.now_ms() + patience;
        loop {
            let (now, back) = {
                let state = self.model.state();
                (state.now, away(&state.away))
            };
            if now >= back {
                return Ok(());
            }
            if now > until {
                return Err(timed_out());
            }
            self.wait(200);
        }
    }

    /// Asks again for as long as the answer is that marks are still to be written.
    fn concurrently<T>(&self, patience: u64, ask: impl Fn() -> Result<T, Code>) -> Result<T, Code> {
        let until = self.now_ms() + patience;
        loop {
            match ask() {
                Err(Code::ConcurrentTransactions) if self.now_ms() <= until => self.wait(5),
                answer => return answer,
            }
        }
    }
}

impl Cluster for Link {
    type Transactions = Writer;
    type Reads = Reading;
    type Member = Membership;

    fn transactions(&self, id: &str) -> Result<Writer, Error> {
        self.enter(10);
        Ok(Writer { link: self.clone(), id: id.to_owned(), state: Mutex::default() })
    }

    fn reads(&self, view: View) -> Result<Reading, Error> {
        Ok(Reading { link: self.clone(), view, places: Mutex::default() })
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.now_ms() + self.fate.skew_ms())
    }

    fn wall_ms(&self) -> i64 {
        self.model.state().wall_ms()
    }

    fn pause(&self, time: Duration) {
        let least = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let ms = least + self.draw(least.max(100));
        self.wait(ms);
        if self.chance(|faults| faults.interludes / 4) {
            self.fate.run_ahead(ALONE_MS);
        }
    }
}

/// A record that waits to be sent.
#[derive(Debug)]
struct Queued {
    topic: String,
    partition: Partition,
    record: Record,
    timed: bool,
    asked: usize,
}

#[derive(Debug, Default)]
struct Writing {
    epoch: u32,
    queue: VecDeque<Queued>,
    added: BTreeSet<Target>,
    places: Vec<(usize, Offset)>,
    failure: Option<KafkaError>,
    disturbed: bool,
}

/// A producer of transactions.
#[derive(Debug)]
pub struct Writer {
    link: Link,
    id: String,
    state: Mutex<Writing>,
}

impl Writer {
    fn epoch(&self) -> u32 {
        lock(&self.state).epoch
    }

    /// Sends the first that waits. False where none does.
    fn send_one(&self) -> bool {
        let Some(Queued { topic, partition, mut record, timed, asked }) = lock(&self.state).queue.pop_front() else {
            return false;
        };
        let target = Target::Lane(topic.clone(), partition);
        let sent = self.add(&target).and_then(|()| {
            let lost = self.link.chance(|faults| faults.undelivered);
            let mut state = self.link.model.state();
            let writer = state.verified(&self.id, self.epoch(), &target)?;
            if lost {
                return Err(Code::MessageTimedOut);
            }
            if !timed {
                record.timestamp_ms = state.wall_ms();
            }
            let lane = state.lane_mut(&topic, partition).ok_or(Code::UnknownTopicOrPartition)?;
            Ok(lane.append(record, Some(writer)))
        });
        let mut state = lock(&self.state);
        match sent {
            Ok(offset) if asked > 0 => state.places.push((asked - 1, offset)),
            Ok(_) => {}
            Err(code) => drop(state.failure.get_or_insert(KafkaError::MessageProduction(code))),
        }
        true
    }

    fn add(&self, target: &Target) -> Result<(), Code> {
        if lock(&self.state).added.contains(target) {
            return Ok(());
        }
        let add = || self.link.model.state().add(&self.id, self.epoch(), target.clone());
        self.link.concurrently(END_MS, add)?;
        lock(&self.state).added.insert(target.clone());
        Ok(())
    }

    fn end(&self, commit: bool) -> Result<(), Refused> {
        self.link.enter(20);
        self.link.reach(|away| away.transactions, END_MS)?;
        if self.link.chance(|faults| faults.lost_ends) {
            return self.end_with_losses(commit);
        }
        self.arrive(commit)?;
        let (seen, unseen) =
            (self.link.chance(|faults| faults.doubled_ends), self.link.chance(|faults| faults.unseen_ends));
        if seen || unseen {
            lock(&self.state).disturbed |= seen;
            self.come_late(commit, 3_000);
        }
        self.link.enter(20);
        Ok(())
    }

    /// The request arrives.
    fn arrive(&self, commit: bool) -> Result<(), Refused> {
        let end = || self.link.model.state().end(&self.id, self.epoch(), commit);
        let ended = self.link.concurrently(END_MS, end);
        ended.map_err(|code| match code {
            Code::ConcurrentTransactions => timed_out(),
            code => refused(code, Sort::Fatal),
        })
    }

    /// The request, or a copy of it, is under way for a while.
    fn come_late(&self, commit: bool, most: u64) {
        let mut state = self.link.model.state();
        let due = state.now + state.random.random_range(1..=most);
        let serial = state.ids.get(&self.id).map_or(0, |id| id.serial);
        let epoch = self.epoch();
        state.counts.ends += 1;
        state.late.push(Late { due, id: self.id.clone(), epoch, serial, commit });
    }

    fn end_with_losses(&self, commit: bool) -> Result<(), Refused> {
        self.link.model.state().counts.ends += 1;
        match self.link.draw(4) {
            // The request is lost, and the connection with it.
            0 => {}
            // It is under way.
            1 => self.come_late(commit, 2 * END_MS),
            // It arrives, and its answer is lost.
            2 => self.arrive(commit)?,
            // It arrives, its answer is lost, and the client asks once more.
            _ => {
                self.arrive(commit)?;
                self.link.wait(REQUEST_MS + 1);
                return self.arrive(commit);
            }
        }
        for _ in 0..20 {
            self.link.wait(END_MS / 20 + 1);
        }
        Err(timed_out())
    }
}

impl Transactions for Writer {
    type Word = Word;

    fn init(&self) -> Result<(), Refused> {
        self.link.enter(10);
        self.link.reach(|away| away.transactions, REQUEST_MS)?;
        let begun = self.link.concurrently(REQUEST_MS, || self.link.model.state().init(&self.id));
        let epoch = begun.map_err(|_| timed_out())?;
        *lock(&self.state) = Writing { epoch, ..Writing::default() };
        Ok(())
    }

    fn begin(&self) -> Result<(), Refused> {
        let mut state = lock(&self.state);
        *state = Writing { epoch: state.epoch, ..Writing::default() };
        Ok(())
    }

    fn send(&self, outgoing: &Outgoing<'_>) -> Result<(), Refused> {
        self.link.enter(2);
        let Outgoing { topic, partition, key, value, headers, timestamp_ms, asked } = *outgoing;
        let record = Record {
            key: key.map(Bytes::copy_from_slice),
            value: value.map(Bytes::copy_from_slice),
            headers: headers.to_vec(),
            timestamp_ms: timestamp_ms.unwrap_or_default(),
        };
        let timed = timestamp_ms.is_some();
        lock(&self.state).queue.push_back(Queued { topic: topic.to_owned(), partition, record, timed, asked });
        // Now and then something is on its way before the rest.
        if self.link.draw(4) == 0 {
            self.send_one();
        }
        Ok(())
    }

    fn deliver(&self) -> Result<(), Refused> {
        self.link.enter(20);
        while self.send_one() {
            self.link.enter(2);
        }
        lock(&self.state).failure.take().map_or(Ok(()), |why| Err(why.into()))
    }

    fn offsets(&self, inputs: &[Place], word: &Word) -> Result<(), Refused> {
        self.link.enter(20);
        self.link.reach(|away| away.transactions, REQUEST_MS)?;
        self.add(&Target::Offsets).map_err(|code| refused(code, Sort::Fatal))?;
        self.link.reach(|away| away.group, REQUEST_MS)?;
        {
            let mut state = self.link.model.state();
            let writer = state.verified(&self.id, self.epoch(), &Target::Offsets);
            let writer = writer.map_err(|code| refused(code, Sort::Fatal))?;
            state.group.check(word).map_err(|code| refused(code, Sort::Abortable))?;
            let offset = |place: &Place| ((place.topic.clone(), place.partition), place.at);
            state.group.pend(writer, inputs.iter().map(offset).collect());
        }
        self.link.enter(20);
        Ok(())
    }

    fn commit(&self) -> Result<(), Refused> {
        self.end(true)
    }

    fn abort(&self) -> Result<(), Refused> {
        let nothing = {
            let mut state = lock(&self.state);
            state.queue.clear();
            state.added.is_empty()
        };
        if nothing { Ok(()) } else { self.end(false) }
    }

    fn places(&self) -> Vec<(usize, Offset)> {
        std::mem::take(&mut lock(&self.state).places)
    }

    fn disturbed(&self) -> bool {
        lock(&self.state).disturbed
    }
}

#[derive(Debug)]
struct Reached {
    next: Offset,
    told_end: bool,
    held: bool,
}

/// A consumer.
#[derive(Debug)]
pub struct Reading {
    link: Link,
    view: View,
    places: Mutex<BTreeMap<(String, Partition), Reached>>,
}

/// What a poll found.
enum Next {
    Record(String, Partition, Offset, Record),
    End,
    Gone,
    Nothing,
}

impl Reading {
    fn next(&self) -> Next {
        let mut state = self.link.model.state();
        let mut places = lock(&self.places);
        let turn = if places.len() > 1 { state.random.random_range(0..places.len()) } else { 0 };
        let order = (turn..places.len()).chain(0..turn);
        let names: Vec<(String, Partition)> = places.keys().cloned().collect();
        for name in order.map(|place| &names[place]) {
            let Some(reached) = places.get_mut(name).filter(|reached| !reached.held) else { continue };
            let Some(lane) = state.lane_mut(&name.0, name.1) else { continue };
            if reached.next < lane.start() {
                return Next::Gone;
            }
            if let Some((offset, record)) = lane.committed(reached.next) {
                *reached = Reached { next: offset + 1, told_end: false, held: false };
                return Next::Record(name.0.clone(), name.1, offset, record.clone());
            }
            reached.next = reached.next.max(lane.stable());
            if self.view == View::Committed && !std::mem::replace(&mut reached.told_end, true) {
                return Next::End;
            }
        }
        Next::Nothing
    }

    fn set_held(&self, of: &[Place], held: bool) {
        let mut places = lock(&self.places);
        for place in of {
            if let Some(reached) = places.get_mut(&(place.topic.clone(), place.partition)) {
                reached.held = held;
            }
        }
    }
}

impl Reads for Reading {
    fn assign(&self, places: &[Place]) -> KafkaResult<()> {
        lock(&self.places).clear();
        self.join(places)
    }

    fn join(&self, places: &[Place]) -> KafkaResult<()> {
        let reached = |at| Reached { next: at, told_end: false, held: false };
        lock(&self.places)
            .extend(places.iter().map(|place| ((place.topic.clone(), place.partition), reached(place.at))));
        Ok(())
    }

    fn leave(&self, places: &[Place]) -> KafkaResult<()> {
        let mut all = lock(&self.places);
        for place in places {
            all.remove(&(place.topic.clone(), place.partition));
        }
        Ok(())
    }

    fn hold(&self, places: &[Place]) -> KafkaResult<()> {
        self.set_held(places, true);
        Ok(())
    }

    fn go_on(&self, places: &[Place]) -> KafkaResult<()> {
        self.set_held(places, false);
        Ok(())
    }

    fn poll<T>(&self, patience: Duration, visit: impl FnOnce(Message<'_>) -> T) -> Heard<T> {
        self.link.enter(1);
        let slow = self.link.chance(|faults| faults.slow_polls);
        let next = if slow { Next::Nothing } else { self.next() };
        match next {
            Next::Record(topic, partition, offset, record) => Heard::Message(visit(Message {
                topic: &topic,
                partition,
                offset,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: record.headers.clone(),
                timestamp_ms: Some(record.timestamp_ms),
            })),
            Next::End => Heard::End,
            Next::Gone => Heard::Failed(KafkaError::MessageConsumption(Code::OffsetOutOfRange)),
            Next::Nothing => {
                if !patience.is_zero() {
                    self.link.wait(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
                }
                Heard::Nothing
            }
        }
    }

    fn watermarks(&self, topic: &str, partition: Partition) -> KafkaResult<(Offset, Offset)> {
        self.link.enter(5);
        let mut state = self.link.model.state();
        let lane = state.lane_mut(topic, partition);
        let lane = lane.ok_or(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition))?;
        let end = if self.view == View::Written { lane.end() } else { lane.stable() };
        Ok((lane.start(), end))
    }

    fn committed(&self, places: &[Place]) -> KafkaResult<Vec<Option<Offset>>> {
        self.link.enter(10);
        let until = self.link.now_ms() + ASK_MS;
        self.link.reach(|away| away.group, ASK_MS).map_err(|_| KafkaError::OffsetFetch(Code::NotCoordinator))?;
        loop {
            let stable: Option<Vec<_>> = {
                let state = self.link.model.state();
                places.iter().map(|place| state.group.stable(&place.topic, place.partition)).collect()
            };
            match stable {
                Some(committed) => return Ok(committed),
                None if self.link.now_ms() > until => return Err(KafkaError::OffsetFetch(Code::UnstableOffsetCommit)),
                None => self.link.wait(50),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Belonging {
    member: Option<u64>,
    generation: u32,
    owned: BTreeSet<Partition>,
    /// What it is giving up, and has not finished with.
    giving: Option<BTreeSet<Partition>>,
    /// What comes to it after that.
    coming: BTreeSet<Partition>,
    rejoins: bool,
}

/// A member of the group.
#[derive(Debug)]
pub struct Membership {
    link: Link,
    state: Mutex<Belonging>,
}

impl Membership {
    /// Looks what the group has to say. After [`Rebalance::Given`] it says nothing until [`Membership::gave`].
    pub fn poll(&self) -> Option<Rebalance> {
        self.link.enter(5);
        let mut state = self.link.model.state();
        let mut its = lock(&self.state);
        let now = state.now;
        if its.giving.is_some() || now < state.away.group || !self.link.fate.is_heard() {
            return None;
        }
        if !its.coming.is_empty() {
            let coming = std::mem::take(&mut its.coming);
            its.owned.extend(&coming);
            return Some(Rebalance::Gained(coming.into_iter().collect()));
        }
        let Some(member) = its.member else {
            its.member = Some(state.group.admit(&self.link.instance, self.link.process, now));
            its.generation = 0;
            return None;
        };
        match state.group.look(member) {
            Sight::Expelled => {
                its.member = None;
                its.rejoins = false;
                let lost = its.owned.clone();
                if lost.is_empty() {
                    return None;
                }
                its.giving = Some(lost.clone());
                Some(Rebalance::Given { partitions: lost.into_iter().collect(), lost: true })
            }
            Sight::Preparing => {
                state.group.join(member, &its.owned, now);
                its.rejoins = false;
                None
            }
            Sight::Waiting => None,
            Sight::Assigned(..) if its.rejoins => {
                state.group.join(member, &its.owned, now);
                its.rejoins = false;
                None
            }
            Sight::Assigned(generation, _) if generation == its.generation => None,
            Sight::Assigned(generation, assigned) => {
                its.generation = generation;
                let given: BTreeSet<Partition> = its.owned.difference(&assigned).copied().collect();
                let gained: BTreeSet<Partition> = assigned.difference(&its.owned).copied().collect();
                if given.is_empty() {
                    its.owned.extend(&gained);
                    return (!gained.is_empty()).then(|| Rebalance::Gained(gained.into_iter().collect()));
                }
                its.coming = gained;
                its.giving = Some(given.clone());
                Some(Rebalance::Given { partitions: given.into_iter().collect(), lost: false })
            }
        }
    }

    /// It has finished with what it gives up.
    pub fn gave(&self) {
        let mut its = lock(&self.state);
        if let Some(given) = its.giving.take() {
            its.owned.retain(|partition| !given.contains(partition));
            its.rejoins = its.member.is_some();
        }
    }
}

impl Member for Membership {
    type Word = Word;

    fn word(&self) -> Option<Word> {
        self.link.enter(10);
        let its = lock(&self.state);
        let word = |member| Word { instance: self.link.instance.to_string(), member, generation: its.generation };
        its.member.map(word)
    }
}
