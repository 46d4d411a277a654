//! The fetch thread: one consumer for the inputs of every partition this process holds, and a lane to each worker.
//!
//! After every broker was away the consumer is made anew. On Apache Kafka 4.0, whose only broker had been away for half a
//! minute, the consumer before (librdkafka 2.12) was seen to fetch nothing ever after, with its partitions assigned and no
//! error said; a new one reads at once. What is known of where each input goes on is therefore kept here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rdkafka::error::KafkaError;

use super::calls::{Cluster, Heard, Message, Place, Reads, View};
use super::inbox::Inbox;
use super::{Settings, footer::Footer};
use crate::{Bytes, Delivery, Error, Offset, Partition, Record, Topic};

/// How many messages are taken from librdkafka before they are handed on.
const HANDFUL: usize = 2_000;
/// How long the thread sleeps where nothing comes: the delay of a command. What comes wakes it. The last millisecond of
/// it rdkafka spends in spinning, so it is not to be short.
const NAP: Duration = Duration::from_millis(50);

/// How long no more is heard of brokers that are away before the consumer is made anew.
const QUIET: Duration = Duration::from_secs(2);

/// What the fetch thread is told.
pub(super) enum Command {
    /// Read a partition's inputs from where a footer ends. What is fetched belongs to the epoch.
    Read { partition: Partition, worker: usize, epoch: u64, from: Footer },
    /// Read it no longer.
    Leave { partition: Partition },
}

/// A partition that is being read.
struct Reading {
    worker: usize,
    epoch: u64,
    /// Where each input goes on.
    next: Vec<Offset>,
}

pub(super) struct Fetch<C: Cluster> {
    cluster: Arc<C>,
    consumer: C::Reads,
    commands: Receiver<Command>,
    inboxes: Vec<Arc<Inbox>>,
    /// The inputs, and their names on the cluster.
    inputs: Vec<(Topic, String)>,
    most: usize,
    reading: BTreeMap<Partition, Reading>,
    paused: Vec<bool>,
    /// When the consumer is to be made anew.
    renewal: Option<Duration>,
}

impl<C: Cluster> Fetch<C> {
    pub(super) fn open(
        cluster: Arc<C>,
        settings: &Settings,
        inboxes: Vec<Arc<Inbox>>,
        commands: Receiver<Command>,
    ) -> Result<Self, Error> {
        Ok(Self {
            consumer: cluster.reads(View::Inputs)?,
            cluster,
            commands,
            paused: vec![false; inboxes.len()],
            inboxes,
            inputs: settings.inputs.iter().map(|topic| (topic.clone(), settings.name(topic))).collect(),
            most: settings.inbox,
            reading: BTreeMap::new(),
            renewal: None,
        })
    }

    /// Fetches until nobody commands any more. An error is given to every worker.
    pub(super) fn run(mut self) {
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => {
                    self.inboxes.iter().for_each(|inbox| inbox.fail(why.clone()));
                    // The workers are told once; the thread stays so that commands find an ear.
                    std::thread::sleep(NAP);
                }
            }
        }
    }

    /// One look at commands and at what comes; false when nobody commands any more.
    pub(super) fn turn(&mut self) -> Result<bool, Error> {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.obey(command)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
        if self.renewal.is_some_and(|at| at <= self.cluster.now()) {
            self.renew()?;
        }
        self.press()?;
        let mut handful: Vec<Vec<(usize, u64, Delivery)>> = vec![Vec::new(); self.inboxes.len()];
        let mut patience = NAP;
        for _ in 0..HANDFUL {
            let heard = self.consumer.poll(patience, |message| sort(&self.inputs, &mut self.reading, message));
            match heard {
                Heard::Nothing => break,
                Heard::Message(None) | Heard::End => {}
                Heard::Message(Some((worker, fetched))) => handful[worker].push(fetched),
                Heard::Failed(why) => self.hear(why)?,
            }
            patience = Duration::ZERO;
        }
        for (inbox, fetched) in self.inboxes.iter().zip(handful) {
            if !fetched.is_empty() {
                inbox.push(fetched);
            }
        }
        Ok(true)
    }

    fn obey(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Leave { partition } => self.leave(partition),
            Command::Read { partition, worker, epoch, from } => {
                self.leave(partition)?;
                let next = self.inputs.iter().map(|(topic, _)| from.next(topic).unwrap_or_default()).collect();
                let reading = Reading { worker, epoch, next };
                #[cfg(feature = "sabotage")]
                let reading = replayed(reading, &self.inputs, &from);
                self.assign(partition, &reading)?;
                self.reading.insert(partition, reading);
                Ok(())
            }
        }
    }

    /// The consumer reads a partition's inputs from where they go on.
    fn assign(&self, partition: Partition, reading: &Reading) -> Result<(), Error> {
        let place = |((_, name), at): (&(Topic, String), &Offset)| Place { topic: name.clone(), partition, at: *at };
        let places = Vec::from_iter(self.inputs.iter().zip(&reading.next).map(place));
        self.consumer.join(&places).map_err(|why| Error::broker("reading inputs", why))?;
        // Said either way: librdkafka remembers of a partition that left while it was paused that it is.
        let paused = self.paused[reading.worker];
        let told = if paused { self.consumer.hold(&places) } else { self.consumer.go_on(&places) };
        told.map_err(|why| Error::broker("pausing or resuming inputs", why))
    }

    /// Another consumer reads on where this one stopped.
    fn renew(&mut self) -> Result<(), Error> {
        self.renewal = None;
        self.consumer = self.cluster.reads(View::Inputs)?;
        tracing::info!("the brokers were away: the inputs are read by another consumer");
        self.reading.iter().try_for_each(|(partition, reading)| self.assign(*partition, reading))
    }

    fn leave(&mut self, partition: Partition) -> Result<(), Error> {
        if self.reading.remove(&partition).is_none() {
            return Ok(());
        }
        let list = self.list(std::iter::once(partition));
        self.consumer.leave(&list).map_err(|why| Error::broker("leaving inputs", why))
    }

    fn list(&self, partitions: impl Iterator<Item = Partition>) -> Vec<Place> {
        let of = |partition| self.inputs.iter().map(move |(_, name)| Place { topic: name.clone(), partition, at: 0 });
        partitions.flat_map(of).collect()
    }

    /// Pauses the partitions of a worker whose inbox is full, and resumes them when it is half empty.
    fn press(&mut self) -> Result<(), Error> {
        for worker in 0..self.inboxes.len() {
            let waiting = self.inboxes[worker].len();
            let pause = if self.paused[worker] { waiting > self.most / 2 } else { waiting > self.most };
            if pause == self.paused[worker] {
                continue;
            }
            self.paused[worker] = pause;
            let its = self.reading.iter().filter(|(_, reading)| reading.worker == worker);
            let list = self.list(its.map(|(partition, _)| *partition));
            let done = if pause { self.consumer.hold(&list) } else { self.consumer.go_on(&list) };
            done.map_err(|why| Error::broker("pausing or resuming inputs", why))?;
        }
        Ok(())
    }

    /// What cannot be read any more is an error; what librdkafka goes on trying is not.
    fn hear(&mut self, why: KafkaError) -> Result<(), Error> {
        use rdkafka::error::RDKafkaErrorCode as Code;
        if why.rdkafka_error_code() == Some(Code::AllBrokersDown) {
            self.renewal = Some(self.cluster.now() + QUIET);
        }
        let lost =
            matches!(why.rdkafka_error_code(), Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::Fatal));
        if lost {
            return Err(Error::broker("reading inputs: a position is no longer there", why));
        }
        tracing::warn!(%why, "reading inputs");
        Ok(())
    }
}

/// A message as a delivery, and whose it is.
fn sort(
    inputs: &[(Topic, String)],
    reading: &mut BTreeMap<Partition, Reading>,
    message: Message<'_>,
) -> Option<(usize, (usize, u64, Delivery))> {
    let reading = reading.get_mut(&message.partition)?;
    let lane = inputs.iter().position(|(_, name)| name == message.topic)?;
    let delivery = delivery(inputs[lane].0.clone(), message);
    reading.next[lane] = delivery.offset + 1;
    Some((reading.worker, (lane, reading.epoch, delivery)))
}

/// The same, from where the batch began that a footer covers.
#[cfg(feature = "sabotage")]
fn replayed(mut reading: Reading, inputs: &[(Topic, String)], from: &Footer) -> Reading {
    if crate::sabotage::is(crate::sabotage::Bug::ReplayedBatch) {
        for ((topic, _), next) in inputs.iter().zip(&mut reading.next) {
            let covered = from.inputs.iter().find(|covered| covered.topic == topic.as_str());
            *next = covered.map_or(*next, |covered| covered.from);
        }
    }
    reading
}

/// A message as a delivery of ours. Key and value are slices of one buffer.
pub(super) fn delivery(topic: Topic, message: Message<'_>) -> Delivery {
    let Message { partition, offset, key, value, headers, timestamp_ms, .. } = message;
    let mut buffer = Vec::with_capacity(key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len));
    buffer.extend_from_slice(key.unwrap_or_default());
    let middle = buffer.len();
    buffer.extend_from_slice(value.unwrap_or_default());
    let buffer = Bytes::from(buffer);
    let record = Record {
        key: key.map(|_| buffer.slice(..middle)),
        value: value.map(|_| buffer.slice(middle..)),
        headers,
        timestamp_ms: timestamp_ms.unwrap_or_default(),
    };
    Delivery { topic, partition, offset, record }
}
